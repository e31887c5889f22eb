package flinkcases

// differences are all cases whose answer is not Flink's. A test fails for one that is listed and agrees, and for one that is not
// listed and does not.
var differences = []Difference{
	unsaid("json-fail-array-each", NestedTypes),
	unsaid("json-fail-row-each", NestedTypes),
	unsaid("json-nested-types", NestedTypes),
	unsaid("csv-opt-null-literal-array", NestedTypes),
	unsaid("type-array-delim", NestedTypes),
	unsaid("type-array-double", NestedTypes),
	unsaid("type-array-row", NestedTypes),
	unsaid("type-array-string", NestedTypes),
	unsaid("type-array-timestamp", NestedTypes),
	unsaid("type-map", NestedTypes),
	unsaid("type-row", NestedTypes),
	unsaid("type-row-nested", NestedTypes),

	unsaid("group-hop", OtherWindows),
	unsaid("group-session", OtherWindows),
	unsaid("late-jump-cumulate-tvf", OtherWindows),
	unsaid("late-jump-hop-group", OtherWindows),
	unsaid("late-jump-hop-tvf", OtherWindows),
	unsaid("late-jump-session-group", OtherWindows),
	unsaid("late-jump-session-tvf", OtherWindows),
	unsaid("late-random-cumulate-tvf", OtherWindows),
	unsaid("late-random-hop-group", OtherWindows),
	unsaid("late-random-hop-tvf", OtherWindows),
	unsaid("late-random-session-group", OtherWindows),
	unsaid("tvf-cumulate", OtherWindows),
	unsaid("tvf-hop", OtherWindows),
	unsaid("tvf-hop-offset", OtherWindows),
	unsaid("tvf-session", OtherWindows),
	unsaid("tvf-passthrough", RowsWithWindow),

	unsaid("agg-expr", HavingAndFilter),
	unsaid("agg-moments", OtherAggregates, "sp", "ss", "vp", "vs", "fv", "lv", "la", "lb"),
	unsaid("agg-tumble", OtherAggregates, "cds", "cdi"),
	unsaid("agg-tumble-nokey", OtherAggregates, "cds", "cdi"),
	unsaid("agg-tumble-tvf", OtherAggregates, "cds", "cdi"),
	unsaid("late-jump-tumble-tvf", OtherAggregates, "l"),
	unsaid("late-random-nokey-tvf", OtherAggregates, "ds"),
	unsaid("late-random-tumble-group", OtherAggregates, "ds"),
	unsaid("late-random-tumble-tvf", OtherAggregates, "ds"),

	single("json-malformed-each", Overlong, map[int]Single{38: {"45,/,1,0.5,true\n", Fails}}),
	single("json-malformed-each", Container, map[int]Single{83: {"95,in,,,false\n", "95,Ev,,,false\n"}}),
	single("json-malformed-ignored", Overlong, map[int]Single{37: {"45,/,1,0.5,true\n", "45,,1,0.5,true\n"}}),
	single("json-malformed-ignored", BadText, map[int]Single{
		33: {"", "40,,1,0.5,true\n"},
		35: {"", "42,,1,0.5,true\n"},
		38: {"", "46,,1,0.5,true\n"},
		39: {"", "47,,1,0.5,true\n"},
		58: {"", "68,,,,\n"},
	}),
	single("json-malformed-ignored", Container, map[int]Single{
		75: {"7,,,0.1,\n", "89,Ev,,,\n"},
		76: {"90,,,,\n", "90,Ev,,0.25,\n"},
		77: {"", "91,Ev,,0.25,\n"},
		78: {"", "92,Ev,,0.25,\n"},
		79: {"93,,,,\n", "93,Ev,,0.25,\n"},
		80: {"94,in,,,\n", "94,,,,true\n"},
		81: {"95,in,,,false\n", "95,Ev,,,false\n"},
		87: {"", "101,Ev,,,\n"},
		88: {"", "102,Ev,,,\n"},
	}),
	single("json-to-bigint", Container, containers("")),
	single("json-to-boolean", Container, containers("false")),
	single("json-to-decimal", Container, containers("")),
	single("json-to-double", Container, containers("")),
	single("json-to-float", Container, containers("")),
	single("json-to-int", Container, containers("")),
	single("json-to-smallint", Container, containers("")),
	single("json-to-tinyint", Container, containers("")),
	single("file-json-binary-3", BadText, base64Texts),
	single("file-json-bytes", BadText, base64Texts),
	single("expr-fails", Simplified, map[int]Single{17: {"1,true\n", "1,false\n"}}),
	single("timestamp-iso", Container, timestampContainers),
	single("timestamp-sql", Container, timestampContainers),

	{Case: "win-periodic-late", Reason: Timer, Missing: []string{
		"3,Ev,\"satılık daire\",100,0.18,118.0,\"2025-03-04 11:54:00\"\n",
		"4,Ev,\"satılık daire\",100,0.18,118.0,\"2025-03-04 12:00:00\"\n",
	}},
	{Case: "win-size-90s", Reason: Timer, Missing: []string{
		"8,Ev,\"satılık daire\",100,0.18,118.0,\"2025-03-04 00:00:00\"\n",
	}},
	{Case: "tvf-tumble-null-ts", Reason: NullTime, Added: []string{
		"\"2025-03-04 11:54:00\",\"2025-03-04 11:56:00\",1,1\n",
		"\"2025-03-04 11:56:00\",\"2025-03-04 11:58:00\",1,3\n",
	}},
}

func unsaid(name string, reason Reason, columns ...string) Difference {
	return Difference{Case: name, Reason: reason, Unsaid: true, Columns: columns}
}

func single(name string, reason Reason, results map[int]Single) Difference {
	return Difference{Case: name, Reason: reason, Single: results}
}

// containers are the records of the cases json-to-… with [], {} and {"a":7} where a scalar is wanted, which gives value.
func containers(value string) map[int]Single {
	return map[int]Single{
		40: {"", "41," + value + ",end\n"},
		42: {"43," + value + ",\n", "43," + value + ",end\n"},
		43: {"44," + value + ",\n", "44," + value + ",end\n"},
	}
}

var timestampContainers = map[int]Single{
	78: {"", "79,,,,,,79\n"},
	79: {"80,,,,,,\n", "80,,,,,,80\n"},
}

// base64Texts are texts that end, or stop being base64, in the middle of four characters.
var base64Texts = map[int]Single{
	38: {"", "38,,end\n"},
	53: {"", "53,,end\n"},
	57: {"", "57,,end\n"},
	58: {"", "58,,end\n"},
	66: {"", "66,,end\n"},
}
