package replay

import (
	"strings"

	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

// comparison is NULL where a side is, and false where one is NaN but for <>.
func comparison(name string, args []expression) (expression, bool) {
	a, b := args[0], args[1]
	if a.typ.Kind == sqltype.Null || b.typ.Kind == sqltype.Null {
		return constant(sqltype.BooleanType, nil), true
	}
	return strict(sqltype.BooleanType, func(v []value) (value, error) {
		return holds(name, v[0], v[1], a.typ, b.typ), nil
	}, a, b), comparableTypes(a.typ, b.typ)
}

func holds(name string, a, b value, s, t sqltype.Type) bool {
	order, ok := compare(a, b, s, t)
	switch name {
	case "=":
		return ok && order == 0
	case "<>":
		return !ok || order != 0
	case "<":
		return ok && order < 0
	case "<=":
		return ok && order <= 0
	case ">":
		return ok && order > 0
	default:
		return ok && order >= 0
	}
}

// boolean reports whether all are BOOLEAN or NULL without a type.
func boolean(args []expression) bool {
	for _, a := range args {
		if a.typ.Kind != sqltype.Boolean && a.typ.Kind != sqltype.Null {
			return false
		}
	}
	return true
}

// connective is AND and OR; the second side is not looked at where the first decides.
func connective(name string, args []expression) (expression, bool) {
	decides := name == "OR"
	return expression{sqltype.BooleanType, func(row []value) (value, error) {
		a, err := args[0].eval(row)
		if err != nil || a == decides {
			return a, err
		}
		b, err := args[1].eval(row)
		if err != nil || b == decides {
			return b, err
		}
		if a == nil || b == nil {
			return nil, nil
		}
		return !decides, nil
	}}, boolean(args)
}

func not(_ string, args []expression) (expression, bool) {
	return strict(sqltype.BooleanType, func(v []value) (value, error) { return !v[0].(bool), nil }, args[0]), boolean(args)
}

// is is IS [NOT] NULL, TRUE, FALSE and UNKNOWN.
func is(name string, args []expression) (expression, bool) {
	what, negated := strings.CutPrefix(strings.TrimPrefix(name, "IS "), "NOT ")
	return expression{sqltype.BooleanType, func(row []value) (value, error) {
		v, err := args[0].eval(row)
		if err != nil {
			return nil, err
		}
		found := v == nil
		switch what {
		case "TRUE":
			found = isTrue(v)
		case "FALSE":
			found = v != nil && !isTrue(v)
		}
		return found != negated, nil
	}}, what == "NULL" || boolean(args)
}

func distinct(name string, args []expression) (expression, bool) {
	same := strings.Contains(name, "NOT")
	return expression{sqltype.BooleanType, func(row []value) (value, error) {
		a, err := args[0].eval(row)
		if err != nil {
			return nil, err
		}
		b, err := args[1].eval(row)
		if err != nil {
			return nil, err
		}
		equal := a == nil && b == nil
		if a != nil && b != nil {
			equal = holds("=", a, b, args[0].typ, args[1].typ)
		}
		return equal == same, nil
	}}, comparableTypes(args[0].typ, args[1].typ)
}

func and(a, b expression) expression {
	e, _ := connective("AND", []expression{a, b})
	return e
}

func or(a, b expression) expression {
	e, _ := connective("OR", []expression{a, b})
	return e
}

func between(name string, args []expression) (expression, bool) {
	within := func(low, high expression) (expression, bool) {
		above, ok := comparison(">=", []expression{args[0], low})
		below, ok2 := comparison("<=", []expression{args[0], high})
		return and(above, below), ok && ok2
	}
	e, ok := within(args[1], args[2])
	if strings.HasSuffix(name, "SYMMETRIC") {
		other, _ := within(args[2], args[1])
		e = or(e, other)
	}
	if strings.HasPrefix(name, "NOT") {
		e, _ = not("NOT", []expression{e})
	}
	return e, ok
}

// alike reports whether values of two types are compared as they are: where candidates of IN differ, Flink converts all to one type.
func alike(s, t sqltype.Type) bool {
	return s.Kind == t.Kind || s.Kind == sqltype.Null || s.IsText() && t.IsText() || s.IsInteger() && t.IsInteger()
}

func isTrue(v value) bool {
	b, ok := v.(bool)
	return ok && b
}

func in(name string, args []expression) (expression, bool) {
	var found expression
	for i, candidate := range args[1:] {
		equal, ok := comparison("=", []expression{args[0], candidate})
		if !ok || !alike(candidate.typ, args[0].typ) {
			return expression{}, false
		}
		if i == 0 {
			found = equal
		} else {
			found = or(found, equal)
		}
	}
	if name == "NOT IN" {
		found, _ = not("NOT", []expression{found})
	}
	return found, true
}

// common is the one type of branches whose types differ in nothing that a value shows, or are integers.
func common(branches []expression) (sqltype.Type, bool) {
	t := sqltype.NullType
	for _, b := range branches {
		s := b.typ.Nullable()
		switch {
		case s.Kind == sqltype.Null || s == t:
		case t.Kind == sqltype.Null:
			t = s
		case s.IsInteger() && t.IsInteger():
			t.Kind = max(s.Kind, t.Kind)
		case s.IsText() && t.IsText():
			if s.Kind == sqltype.Char && t.Kind == sqltype.Char && s.Length != t.Length {
				t.Length = max(s.Length, t.Length)
			}
			if s.Kind == sqltype.VarChar {
				t = s
			}
		default:
			return t, false
		}
	}
	return t, t.Kind != sqltype.Null
}

func choice(_ string, args []expression) (expression, bool) {
	t, ok := common(args[1:])
	return expression{t, func(row []value) (value, error) {
		v, err := args[0].eval(row)
		if err != nil {
			return nil, err
		}
		if isTrue(v) {
			return args[1].eval(row)
		}
		return args[2].eval(row)
	}}, ok && boolean(args[:1])
}

func coalesce(_ string, args []expression) (expression, bool) {
	t, ok := common(args)
	return expression{t, func(row []value) (value, error) {
		for _, arg := range args {
			if v, err := arg.eval(row); err != nil || v != nil {
				return v, err
			}
		}
		return nil, nil
	}}, ok
}

func nullIf(_ string, args []expression) (expression, bool) {
	equal, ok := comparison("=", args)
	return expression{args[0].typ, func(row []value) (value, error) {
		v, err := equal.eval(row)
		if err != nil || isTrue(v) {
			return nil, err
		}
		return args[0].eval(row)
	}}, ok && args[0].typ.Kind != sqltype.Null
}

func (w *walker) caseOf(n *syntax.Case) (expression, error) {
	var conditions, branches []expression
	for _, when := range n.Whens {
		condition := when.If
		if n.Operand != nil {
			condition = syntax.NewCall(n.Offset(), "=", n.Operand, when.If)
		}
		c, err := w.walk(condition)
		if err != nil {
			return expression{}, err
		}
		b, err := w.walk(when.Then)
		if err != nil {
			return expression{}, err
		}
		conditions, branches = append(conditions, c), append(branches, b)
	}
	otherwise := constant(sqltype.NullType, nil)
	if n.Else != nil {
		var err error
		if otherwise, err = w.walk(n.Else); err != nil {
			return expression{}, err
		}
	}
	branches = append(branches, otherwise)
	t, ok := common(branches)
	if !ok || !boolean(conditions) {
		return expression{}, unsupported("CASE with branches of different types")
	}
	return expression{t, func(row []value) (value, error) {
		for i, condition := range conditions {
			if v, err := condition.eval(row); err != nil || isTrue(v) {
				if err != nil {
					return nil, err
				}
				return branches[i].eval(row)
			}
		}
		return otherwise.eval(row)
	}}, nil
}
