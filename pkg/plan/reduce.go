package plan

import (
	"math"
	"strings"

	"pencere/pkg/sqltype"
)

// call is an aggregate call as Flink's planner tells calls apart.
type call struct{ function, argument string }

// reduction is what a window's aggregates become when SUM and AVG are made of $SUM0 and COUNT, as Calcite's
// AggregateReduceFunctionsRule does.
type reduction struct {
	before, after map[call]bool
	computations  int // that make the results out of the calls after it
}

// reduced reports whether Flink's planner reduces the aggregates of a window with so many group columns. It does so for all of them or
// none, by cost: a call that is saved against the computations that are added, which it thinks of as made once for each group, and of
// the groups as growing with the columns (FlinkRelMdUtil's 1 - e^(-0.1 n) of the rows, without statistics). The rule below agrees with
// the plans of Flink 1.20.5; what it decides shows in corners only (see window.Config).
func reduced(aggregates []Aggregate, columns int) bool {
	r := reduction{before: map[call]bool{}, after: map[call]bool{}}
	for _, a := range aggregates {
		r.add(a)
	}
	groups := 2 * (1 - math.Exp(-0.1*float64(columns)))
	return groups*float64(r.computations) < float64(len(r.before)-len(r.after))
}

func (r *reduction) add(a Aggregate) {
	argument, nullable := "*", false
	if a.Arg != nil {
		argument, nullable = strings.TrimSpace(a.Arg.String()), !a.Arg.Type().NotNull
	}
	count := call{"COUNT", "*"} // of what is never NULL, too
	if nullable {
		count.argument = argument
	}
	written := call{a.Func, argument}
	switch a.Func {
	case "COUNT":
		r.before[count], r.after[count] = true, true
		return
	case "SUM", "AVG":
		r.after[call{"$SUM0", argument}] = true
		if nullable || a.Func == "AVG" {
			r.after[count] = true
		}
		if !r.before[written] && computes(a, nullable) {
			r.computations++
		}
	default:
		r.after[written] = true
	}
	r.before[written] = true
}

// computes reports whether the result of a SUM or an AVG counts as a computation: the CASE that makes an empty SUM NULL does, and the
// division of an AVG, but not one that ends in a CAST, as for integers that are divided as BIGINT.
func computes(a Aggregate, nullable bool) bool {
	if a.Func == "SUM" {
		return nullable
	}
	switch a.Result.Kind {
	case sqltype.TinyInt, sqltype.SmallInt, sqltype.Int:
		return false
	default:
		return true
	}
}
