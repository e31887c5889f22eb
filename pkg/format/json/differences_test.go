package json_test

// difference is a record of a golden case for which the decoder deliberately gives another result than Flink.
type difference struct {
	flink, ours string // CSV; for a case run record by record "" is an error
	reason      string
}

// Reasons of differences: accidents of Flink's parser that are not followed.
const (
	inside   = "Flink reads on inside an object that stands where a scalar is wanted and loses the row's rest; here it is skipped"
	shifted  = "Flink's tokens shift by one behind an array that stands where a scalar is wanted; here it is skipped"
	overlong = "Jackson takes overlong UTF-8; here it is not UTF-8, and the field is NULL"
	resume   = "Jackson loses its place over bad UTF-8 or a bad escape in a text; here the text ends at its quote, and the field is NULL"
)

// differences are listed by case and record, counted from 0.
var differences = map[string]map[int]difference{
	"json-malformed-each": {
		38: {"45,/,1,0.5,true\n", "", overlong},
		83: {"95,in,,,false\n", "95,Ev,,,false\n", inside},
	},
	"json-malformed-ignored": {
		33: {"", "40,,1,0.5,true\n", resume},
		35: {"", "42,,1,0.5,true\n", resume},
		37: {"45,/,1,0.5,true\n", "45,,1,0.5,true\n", overlong},
		38: {"", "46,,1,0.5,true\n", resume},
		39: {"", "47,,1,0.5,true\n", resume},
		58: {"", "68,,,,\n", resume},
		75: {"7,,,0.1,\n", "89,Ev,,,\n", inside},
		76: {"90,,,,\n", "90,Ev,,0.25,\n", inside},
		77: {"", "91,Ev,,0.25,\n", shifted},
		78: {"", "92,Ev,,0.25,\n", shifted},
		79: {"93,,,,\n", "93,Ev,,0.25,\n", inside},
		80: {"94,in,,,\n", "94,,,,true\n", inside},
		81: {"95,in,,,false\n", "95,Ev,,,false\n", inside},
		87: {"", "101,Ev,,,\n", shifted},
		88: {"", "102,Ev,,,\n", shifted},
	},
	"json-to-bigint":   containers(""),
	"json-to-decimal":  containers(""),
	"json-to-double":   containers(""),
	"json-to-float":    containers(""),
	"json-to-int":      containers(""),
	"json-to-smallint": containers(""),
	"json-to-tinyint":  containers(""),
	"json-to-boolean":  containers("false"),
	"timestamp-sql":    timestamps,
	"timestamp-iso":    timestamps,
}

// containers are the records of the json-to cases with [], {} and {"a":7} where a scalar is wanted.
func containers(value string) map[int]difference {
	return map[int]difference{
		40: {"", "41," + value + ",end\n", shifted},
		42: {"43," + value + ",\n", "43," + value + ",end\n", inside},
		43: {"44," + value + ",\n", "44," + value + ",end\n", inside},
	}
}

var timestamps = map[int]difference{
	78: {"", "79,,,,,,79\n", shifted},
	79: {"80,,,,,,\n", "80,,,,,,80\n", inside},
}
