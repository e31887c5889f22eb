package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"pencere/pkg/plan"
	"pencere/pkg/sqltype"
)

// Whether SUM and AVG are reduced is what the plans of a Flink 1.20.5 say for such windows.
func TestReduced(t *testing.T) {
	pairs := func(columns string, counted int) string {
		var calls []string
		for i, c := range strings.Fields(columns) {
			calls = append(calls, "SUM("+c+")", "AVG("+c+")")
			if i < counted {
				calls = append(calls, "COUNT("+c+")")
			}
		}
		return strings.Join(calls, " ")
	}
	for _, c := range []struct {
		keys  int
		calls string
		want  bool
	}{
		{0, "SUM(b1)", false},
		{0, "SUM(b1) AVG(b1)", false},
		{0, "AVG(b1) COUNT(b1)", false},
		{0, pairs("b1 b2 b3 d1 x1 i1", 1), true},
		{1, pairs("b1 b2", 1), true},
		{1, pairs("b1 b2 b3", 1), false},
		{1, pairs("b1 x1 d1", 1), false},
		{1, pairs("i1 i2 i3 i4 i5", 1), true},
		{1, pairs("i1 i2 i3 i4 i5 i6", 1), false},
		{1, pairs("b1 b2 b3 b4 b5", 2), true},
		{1, pairs("b1 b2 b3 b4 b5 b6", 2), false},
		{2, pairs("b1", 1), true},
		{2, pairs("b1 b2", 1), false},
		{3, pairs("b1", 1), false},
		{3, pairs("i1", 1), true},
		{3, pairs("i1 i2", 1), false},
		{1, pairs("i1", 1) + " SUM(i2)", false},
		{1, pairs("i1", 1) + " MIN(i2) MAX(i2) COUNT(*)", true},
		{1, pairs("i1 i2", 2) + " SUM(i3)", true},
		{1, "SUM(i1 + 1) AVG(i1) COUNT(i1)", false},
		{1, "SUM(i1) SUM(i1) AVG(i1)", false},
		{1, "SUM(n1) AVG(n1)", false},
		{1, "AVG(n1) COUNT(*)", false},
		{1, "SUM(n1) AVG(n1) COUNT(*)", true},
		{1, "SUM(n1) AVG(n1) COUNT(n1)", true},
		{1, "SUM(n1) AVG(n1) COUNT(*) SUM(i1)", false},
		{3, pairs("n1 n2", 1), true},
	} {
		job := reference()
		job.Compute, job.Select, job.Window.GroupBy = nil, nil, nil
		job.Source.Schema = sqltype.Schema{{Name: "timestamp_column", Type: sqltype.TimestampType(3)}}
		for i := range 6 {
			for name, typ := range map[string]sqltype.Type{
				"k": sqltype.StringType, "b": sqltype.BigIntType, "d": sqltype.DecimalType(10, 2), "x": sqltype.DoubleType,
				"i": sqltype.IntType, "n": sqltype.BigIntType.WithNotNull(true),
			} {
				job.Source.Schema = append(job.Source.Schema, sqltype.Column{Name: fmt.Sprint(name, i+1), Type: typ})
			}
			if i < c.keys {
				job.Window.GroupBy = append(job.Window.GroupBy, fmt.Sprint("k", i+1))
			}
		}
		for i, text := range strings.Split(strings.ReplaceAll(c.calls, ") ", ")|"), "|") {
			job.Window.Aggregates = append(job.Window.Aggregates, plan.NamedExpr{Name: fmt.Sprint("a", i), Expr: text})
		}
		if got := compile(t, job).Window.Reduced; got != c.want {
			t.Errorf("%d keys, %s: reduced %v, want %v", c.keys, c.calls, got, c.want)
		}
	}
}
