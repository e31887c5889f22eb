package expr

import (
	"strings"

	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

// bindCase compiles both forms of CASE; the one with an operand compares it with =.
func (b *binder) bindCase(n *syntax.Case) (*op, error) {
	var parts []*op
	var operand *op
	if n.Operand != nil {
		var err error
		if operand, err = b.bind(n.Operand); err != nil {
			return nil, err
		}
		operand = b.share(operand)
	}
	for _, w := range n.Whens {
		pair, err := b.bindAll([]syntax.Node{w.If, w.Then})
		if err != nil {
			return nil, err
		}
		if operand != nil {
			if pair[0], err = b.equalTo(w.If, operand, pair[0]); err != nil {
				return nil, err
			}
		}
		if k := pair[0].typ.Kind; k != sqltype.Boolean && k != sqltype.Null {
			return nil, failAt(w.If, "the condition of WHEN must be BOOLEAN, not %s", pair[0].typ.Nullable())
		}
		parts = append(parts, pair...)
	}
	last := b.constant(n, sqltype.NullType, nullVector())
	if n.Else != nil {
		var err error
		if last, err = b.bind(n.Else); err != nil {
			return nil, err
		}
	}
	return b.caseOf(n, append(parts, last), branchType, "CASE")
}

// equalTo compares the operand of a CASE with the value of a WHEN.
func (b *binder) equalTo(n syntax.Node, operand, value *op) (*op, error) {
	equal, err := b.compare(n, "=", operand, value)
	if err == nil && equal == nil {
		err = failAt(n, "the value of WHEN is %s and cannot be compared with the operand of CASE, which is %s", value.typ.Nullable(), operand.typ.Nullable())
	}
	return equal, err
}

// caseOf brings the values of a CASE, at the odd positions and the last of parts, to a common type.
func (b *binder) caseOf(n syntax.Node, parts []*op, common func([]sqltype.Type) (sqltype.Type, bool), what string) (*op, error) {
	var types []sqltype.Type
	for i, p := range parts {
		if isCaseValue(i, len(parts)) {
			types = append(types, p.typ)
		}
	}
	t, ok := common(types)
	switch {
	case !ok:
		return nil, failAt(n, "the values of %s have no common type: %s", what, typeList(types))
	case t.Kind == sqltype.Null:
		return nil, failAt(n, "all values of %s are NULL: write CAST(NULL AS type) for one of them", what)
	}
	for i := range parts {
		if isCaseValue(i, len(parts)) {
			parts[i] = b.convert(n, parts[i], t)
		}
	}
	return b.operator(n, t, runCase, parts...), nil
}

func isCaseValue(i, parts int) bool { return i%2 == 1 || i == parts-1 }

func typeList(types []sqltype.Type) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Nullable().String()
	}
	return strings.Join(names, ", ")
}

// bindIf compiles IF(condition, then, else). The type is nullable if any argument's is, the condition's too; texts and times have the type of
// the common branch, as CASE.
func bindIf(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if args[0].typ.Kind != sqltype.Boolean {
		return nil, nil
	}
	notNull := args[0].typ.NotNull && args[1].typ.NotNull && args[2].typ.NotNull
	o, err := b.caseOf(n, args, func(types []sqltype.Type) (sqltype.Type, bool) {
		t, ok := branchType(types)
		if t.IsTimestamp() {
			t = types[0]
		}
		return t.WithNotNull(notNull), ok
	}, "IF")
	return o, err
}

// bindCoalesce compiles COALESCE and IFNULL; the type is NOT NULL if one argument's is.
func bindCoalesce(b *binder, n *syntax.Call, args []*op) (*op, error) {
	types, notNull := typesOf(args), false
	for _, t := range types {
		notNull = notNull || t.NotNull
	}
	t, ok := mergedType(types)
	if !ok {
		return nil, failAt(n, "the arguments of %s have no common type: %s", n.Name, typeList(types))
	}
	t = t.WithNotNull(notNull)
	for i := range args {
		args[i] = b.convert(n, args[i], t)
	}
	if len(args) == 1 {
		return args[0], nil
	}
	return b.operator(n, t, runCoalesce, args...), nil
}

func typesOf(args []*op) []sqltype.Type {
	types := make([]sqltype.Type, len(args))
	for i, a := range args {
		types[i] = a.typ
	}
	return types
}

// bindNullIf compiles NULLIF(x, y), which is CASE WHEN x = y THEN NULL ELSE x END.
func bindNullIf(b *binder, n *syntax.Call, args []*op) (*op, error) {
	args[0] = b.share(args[0])
	equal, err := b.compare(n, "=", args[0], args[1])
	if err != nil || equal == nil {
		return nil, err
	}
	t := args[0].typ.Nullable()
	return b.operator(n, t, runCase, equal, b.constant(n, t, nullVector()), args[0]), nil
}

// bindConnective compiles AND and OR.
func bindConnective(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if args[0].typ.Kind != sqltype.Boolean || args[1].typ.Kind != sqltype.Boolean {
		return nil, nil
	}
	return b.connect(n, n.Name, args[0], args[1]), nil
}

func (b *binder) connect(n syntax.Node, name string, x, y *op) *op {
	run := runAnd
	if name == "OR" {
		run = runOr
	}
	return b.operator(n, sqltype.BooleanType.WithNotNull(x.typ.NotNull && y.typ.NotNull), run, x, y)
}

func bindNot(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if args[0].typ.Kind != sqltype.Boolean {
		return nil, nil
	}
	return b.negate(n, args[0]), nil
}

func (b *binder) negate(n syntax.Node, x *op) *op {
	return b.strict(n, sqltype.BooleanType, notKernel, x)
}

// bindIs compiles IS [NOT] NULL, TRUE, FALSE and UNKNOWN.
func bindIs(test func(*vector, bitmap), negate, anyType bool) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		if !anyType && args[0].typ.Kind != sqltype.Boolean {
			return nil, nil
		}
		return b.lenient(n, sqltype.BooleanType.WithNotNull(true), truthTest(test, negate), args[0]), nil
	}
}

// bindDistinct compiles IS [NOT] DISTINCT FROM: comparison where NULL equals NULL.
func bindDistinct(distinct bool) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		args[0], args[1] = b.share(args[0]), b.share(args[1])
		equal, err := b.compare(n, "=", args[0], args[1])
		if err != nil || equal == nil {
			return nil, err
		}
		return b.lenient(n, sqltype.BooleanType.WithNotNull(true), sameOrNull(distinct), equal, args[0], args[1]), nil
	}
}

// sameOrNull finds the rows whose equality is TRUE or both of whose values are NULL, or all others.
func sameOrNull(negate bool) kernel {
	return func(c *call) error {
		bits := c.out.roomBits(c.n)
		c.out.validity = c.out.validity.resize(c.n)
		nulls(c.args[1], bits)
		nulls(c.args[2], c.out.validity)
		for i := range bits {
			bits[i] &= c.out.validity[i]
		}
		trues(c.args[0], c.out.validity)
		for i := range bits {
			bits[i] |= c.out.validity[i]
			if negate {
				bits[i] = ^bits[i]
			}
		}
		return nil
	}
}

// bindBetween compiles BETWEEN: x >= low AND x <= high, SYMMETRIC with the bounds in either order.
func bindBetween(symmetric, negate bool) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		for i := range args {
			args[i] = b.share(args[i])
		}
		within, err := b.within(n, args[0], args[1], args[2])
		if err != nil || within == nil {
			return nil, err
		}
		if symmetric {
			reversed, err := b.within(n, args[0], args[2], args[1])
			if err != nil || reversed == nil {
				return nil, err
			}
			either := b.connect(n, "OR", within, reversed)
			// The bounds are evaluated first, for all rows: the connectives would not ask for the same rows each time.
			within = b.operator(n, either.typ, runLast, args[0], args[1], args[2], either)
		}
		if negate {
			within = b.negate(n, within)
		}
		return within, nil
	}
}

func (b *binder) within(n *syntax.Call, x, low, high *op) (*op, error) {
	above, err := b.compare(n, ">=", x, low)
	if err != nil || above == nil {
		return nil, err
	}
	below, err := b.compare(n, "<=", x, high)
	if err != nil || below == nil {
		return nil, err
	}
	return b.connect(n, "AND", above, below), nil
}

// bindIn compiles IN and NOT IN: TRUE if an element equals x, else NULL if one or x is NULL, else FALSE.
func bindIn(negate bool) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		x := b.share(args[0])
		tests := make([]*op, 0, len(args)-1)
		notNull := true
		for _, element := range args[1:] {
			element = b.asElement(n, x, element)
			if element == nil {
				return nil, nil
			}
			equal, err := b.compare(n, "=", x, element)
			if err != nil || equal == nil {
				return nil, err
			}
			tests = append(tests, equal)
			notNull = notNull && equal.typ.NotNull
		}
		o := b.lenient(n, sqltype.BooleanType.WithNotNull(notNull), anyTrue, tests...)
		if negate {
			o = b.negate(n, o)
		}
		return o, nil
	}
}

// asElement brings an element of IN to the type of x, as Calcite does: 2.5 in a list for INTs is 2. nil if there is no such cast.
func (b *binder) asElement(n syntax.Node, x, element *op) *op {
	if element.typ.Kind == x.typ.Kind || element.typ.Kind == sqltype.Null || x.typ.Kind == sqltype.Null || element.typ.IsText() && x.typ.IsText() {
		return element
	}
	if from, to := element.typ, x.typ; from.Kind == sqltype.Bytes || to.Kind == sqltype.Bytes || from.IsNumeric() != to.IsNumeric() && !from.IsText() && !to.IsText() || isTime(from) && isTime(to) && from.IsTimestamp() != to.IsTimestamp() {
		return nil
	}
	return b.cast(n, element, x.typ.Nullable(), false)
}

// anyTrue is OR of all arguments.
func anyTrue(c *call) error {
	bits := c.out.roomBits(c.n)
	scratch := make(bitmap, len(bits))
	missing := make(bitmap, len(bits))
	for _, a := range c.args {
		trues(a, scratch)
		for i := range bits {
			bits[i] |= scratch[i]
		}
		nulls(a, scratch)
		for i := range bits {
			missing[i] |= scratch[i]
		}
	}
	c.out.validity = c.out.validity.resize(c.n)
	for i := range bits {
		c.out.validity[i] = bits[i] | ^missing[i]
	}
	c.out.valid = c.out.validity
	return nil
}
