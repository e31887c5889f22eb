package window_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"pencere/pkg/eventtime"
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

// The corners of aggregates, as Flink 1.20 has them.
func TestAggregates(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for _, c := range []struct {
		fn, arg, values, want string
		reduced               bool
	}{
		{fn: "COUNT", arg: "INT", values: "(null) 1 (null)", want: "1"},
		{fn: "SUM", arg: "INT", values: "(null) (null)", want: null},
		{fn: "SUM", arg: "INT", values: "2147483647 1", want: "-2147483648"},
		{fn: "SUM", arg: "BIGINT", values: "9223372036854775807 1", want: "-9223372036854775808"},
		{fn: "SUM", arg: "DOUBLE", values: "-0 -0", want: "-0"},
		{fn: "SUM", arg: "DOUBLE", values: "-0 -0", want: "0", reduced: true},
		{fn: "SUM", arg: "FLOAT", values: "(null) -0", want: "-0"},
		{fn: "AVG", arg: "DOUBLE", values: "-0 -0", want: "0"},
		{fn: "SUM", arg: "DOUBLE", values: "1e16 1 -1e16", want: "0"},
		{fn: "SUM", arg: "FLOAT", values: "1e8 1 -1e8", want: "0"},
		{fn: "SUM", arg: "DECIMAL(38,0)", values: nines + " 1", want: null},
		{fn: "SUM", arg: "DECIMAL(38,0)", values: nines + " " + nines, want: null},
		{fn: "SUM", arg: "DECIMAL(38,0)", values: "-" + nines + " -" + nines, want: null},
		{fn: "SUM", arg: "DECIMAL(38,0)", values: nines + " 1 -5 2", want: "-3"}, // it begins again
		{fn: "SUM", arg: "DECIMAL(38,0)", values: nines + " 1 -" + nines, want: null, reduced: true},
		{fn: "SUM", arg: "DECIMAL(38,0)", values: nines + " -1", want: strings.Repeat("9", 37) + "8"},
		{fn: "AVG", arg: "INT", values: "1 2", want: "1"},
		{fn: "AVG", arg: "INT", values: "-1 -2", want: "-1"},
		{fn: "AVG", arg: "INT", values: "2147483647 1", want: "1073741824"},
		{fn: "AVG", arg: "INT", values: "2147483647 1", want: "-1073741824", reduced: true},
		{fn: "AVG", arg: "FLOAT", values: "1e8 1 -1e8", want: "0.33333334"},
		{fn: "AVG", arg: "FLOAT", values: "1e8 1 -1e8", want: "0", reduced: true},
		{fn: "AVG", arg: "DECIMAL(10,2)", values: "0.01 0.01 0.03", want: "0.016667"},
		{fn: "AVG", arg: "DECIMAL(10,2)", values: "-0.01 -0.01 -0.03", want: "-0.016667"},
		{fn: "AVG", arg: "DECIMAL(38,0)", values: strings.Repeat("9", 33), want: null}, // with six digits more it has 39
		// The quotient ends in …0.00000045, which 38 digits hold as …0.0000005: the rounding to the scale starts from there.
		{fn: "AVG", arg: "DECIMAL(38,6)", values: "11" + strings.Repeat("0", 30) + ".000005" + strings.Repeat(" 0", 10),
			want: "1" + strings.Repeat("0", 30) + ".000001"},
		{fn: "MIN", arg: "DOUBLE", values: "NaN 1", want: "NaN"},
		{fn: "MAX", arg: "DOUBLE", values: "1 NaN 3", want: "3"},
		{fn: "MIN", arg: "DOUBLE", values: "-0 0", want: "-0"},
		{fn: "MIN", arg: "DOUBLE", values: "0 -0", want: "0"},
		{fn: "MAX", arg: "BOOLEAN", values: "false (null) true false", want: "true"},
		{fn: "MIN", arg: "BOOLEAN", values: "true (null)", want: "true"},
		{fn: "MAX", arg: "STRING", values: "Z a ş", want: "ş"},
		{fn: "MIN", arg: "STRING", values: "Z a ş", want: "Z"},
		{fn: "MAX", arg: "TIMESTAMP(3)", values: sqltype.TimestampValue(-1, 999_999).BigInt().String(), want: timestamp(-1)},
		{fn: "MAX", arg: "TIMESTAMP(4)", values: timestamp(-1), want: timestamp(-1)},
	} {
		if got := aggregated(t, c.fn, c.arg, strings.Fields(c.values), c.reduced); got != c.want {
			t.Errorf("%s of %s %s (reduced: %v) is %s, want %s", c.fn, c.arg, c.values, c.reduced, got, c.want)
		}
	}
}

// aggregated returns an aggregate of one group of values.
func aggregated(t *testing.T, fn, arg string, values []string, reduced bool) string {
	t.Helper()
	typ, err := sqltype.Parse(arg)
	if err != nil {
		t.Fatal(err)
	}
	config := window.Config{Reduced: reduced, Window: window.Tumbling{Size: 100}, Aggregates: []window.AggregateSpec{{Name: "a", Func: fn, Arg: typ}}}
	var rows [][]string
	for _, v := range values {
		rows = append(rows, []string{v, "0", "0"})
	}
	s := mustStore(t, config)
	mustAdd(t, s, hashed(textBatch(t, config.Input(), rows), config))
	var results []arrow.RecordBatch
	err = s.Fire(eventtime.End, func(batch arrow.RecordBatch) error {
		results = append(results, batch)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return textRows(results)[0][0]
}

// COUNT of what is NULL in every row counts nothing.
func TestCountOfNull(t *testing.T) {
	config := window.Config{
		Window:     window.Tumbling{Size: 100},
		Aggregates: []window.AggregateSpec{{Name: "a", Func: window.Count, Arg: sqltype.NullType}, {Name: "b", Func: window.Count}},
	}
	s := mustStore(t, config)
	mustAdd(t, s, hashed(textBatch(t, config.Input(), [][]string{{null, "0", "0"}, {null, "0", "0"}}), config))
	err := s.Fire(eventtime.End, func(batch arrow.RecordBatch) error {
		if got := textRows([]arrow.RecordBatch{batch})[0][:2]; got[0] != "0" || got[1] != "2" {
			t.Errorf("COUNT(NULL) and COUNT(*) of two rows are %s", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
