package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pencere/pkg/expr/syntax"
)

// Aggregate is a call of an aggregate function.
type Aggregate struct {
	Func     string // COUNT, SUM, MIN, MAX or AVG
	Arg      string // the argument's text, "*" for COUNT(*)
	Offset   int    // of the argument in the text that was parsed, in bytes
	Distinct bool   // always false: DISTINCT is refused
}

var aggregates = []string{"COUNT", "SUM", "MIN", "MAX", "AVG"}

// ParseAggregate reads a call of an aggregate function. Whether the argument is an expression that makes sense shows when it is
// compiled. Errors are *Error.
func ParseAggregate(text string) (Aggregate, error) {
	name, argument, offset, err := syntax.SplitCall(text)
	if err != nil {
		return Aggregate{}, newError(text, err)
	}
	a := Aggregate{Func: strings.ToUpper(name), Arg: argument, Offset: offset}
	if !slices.Contains(aggregates, a.Func) {
		return Aggregate{}, newError(text, &syntax.Error{Message: fmt.Sprintf("unknown aggregate %s; there are %s", name, strings.Join(aggregates, ", "))})
	}
	if a.Arg == "*" {
		if a.Func != "COUNT" {
			return Aggregate{}, newError(text, &syntax.Error{Offset: offset, Message: "* stands only in COUNT(*)"})
		}
		return a, nil
	}
	if first, _, _ := strings.Cut(a.Arg, " "); strings.EqualFold(first, "DISTINCT") {
		return Aggregate{}, newError(text, &syntax.Error{Offset: offset, Message: fmt.Sprintf("%s(DISTINCT …) is not supported yet", a.Func)})
	}
	if _, err := Identifiers(a.Arg); err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			err = &syntax.Error{Offset: offset + e.Offset, Message: e.Message}
		}
		return Aggregate{}, newError(text, err)
	}
	return a, nil
}
