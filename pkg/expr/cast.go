package expr

import (
	"fmt"
	"strings"

	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

// bindCast compiles CAST and TRY_CAST.
func (b *binder) bindCast(n *syntax.Cast) (*op, error) {
	arg, err := b.bind(n.Arg)
	if err != nil {
		return nil, err
	}
	t, err := b.castType(n)
	if err != nil {
		return nil, err
	}
	if arg.typ.Kind == sqltype.Null {
		return b.constant(n, t, nullVector()), nil
	}
	o := b.cast(n, arg, t, n.Try)
	if o == nil {
		return nil, failAt(n, "cannot cast %s to %s%s", arg.typ.Nullable(), t, castHint(arg.typ, t))
	}
	if n.Try && o.typ.NotNull {
		c := *o
		c.typ = c.typ.Nullable()
		return &c, nil
	}
	return o, nil
}

// castType reads the type of a cast. Without a length CHAR is CHAR(1), and VARCHAR, BINARY and VARBINARY are as in Flink.
func (b *binder) castType(n *syntax.Cast) (sqltype.Type, error) {
	fail := func(format string, args ...any) (sqltype.Type, error) {
		return sqltype.Type{}, &syntax.Error{Offset: n.TypeOffset, Message: fmt.Sprintf(format, args...)}
	}
	text := n.Type
	switch strings.ToUpper(text) {
	case "VARCHAR":
		text = "STRING"
	case "VARBINARY":
		text = "BYTES"
	}
	t, err := sqltype.Parse(text)
	if err != nil {
		return fail("%v", err)
	}
	if t.NotNull {
		return fail("the type of a CAST has no NOT NULL: the result is NOT NULL if the argument is")
	}
	if t.Kind == sqltype.Char && t.Length > maxValue {
		return fail("CHAR(%d) is padded to more than %d characters: use VARCHAR", t.Length, maxValue)
	}
	if t.Kind == sqltype.Time {
		t.Precision = 0 // Flink's planner knows no other TIME
	}
	return t, nil
}

// castHint says what to use instead of a cast that Flink refuses too.
func castHint(from, to sqltype.Type) string {
	switch {
	case from.IsNumeric() && to.IsTimestamp():
		return ": use TO_TIMESTAMP_LTZ(number, 3) for milliseconds since 1970, with 0 for seconds"
	case from.IsTimestamp() && to.IsNumeric():
		return ": use EXTRACT(EPOCH FROM timestamp) for seconds since 1970"
	}
	return ""
}

// convert is a cast that the types allow, as the operators insert them. One that they do not allow fails Compile.
func (b *binder) convert(n syntax.Node, x *op, t sqltype.Type) *op {
	if o := b.cast(n, x, t, false); o != nil {
		return o
	}
	b.err = failAt(n, "cannot convert %s to %s", x.typ.Nullable(), t.Nullable())
	return b.constant(n, t, nullVector())
}

// tryConvert is convert with NULL for what cannot be converted.
func (b *binder) tryConvert(n syntax.Node, x *op, t sqltype.Type) *op { return b.cast(n, x, t, true) }

// cast returns x as type t, nil if there is no such cast. try makes NULL of values that cannot be cast.
func (b *binder) cast(n syntax.Node, x *op, t sqltype.Type, try bool) *op {
	from, to := x.typ.Nullable(), t.Nullable()
	switch {
	case from == to:
		return x
	case from.Kind == sqltype.Null:
		return b.constant(n, to, nullVector())
	}
	k, outcome := castKernel(from, to, b.zone)
	if k == nil {
		return nil
	}
	if try && outcome == mayFail {
		k, outcome = tolerant(k), mayBeNull
	}
	if outcome == mayBeNull {
		return b.nullable(n, to, k, x) // Flink says NOT NULL for a NOT NULL argument, and fails where it is NULL after all
	}
	return b.strict(n, to, k, x)
}

// tolerant makes NULL of the values for which k fails.
func tolerant(k kernel) kernel {
	return func(c *call) error {
		c.try = true
		defer func() { c.try = false }()
		return k(c)
	}
}

// reject makes row i NULL in a TRY_CAST, and otherwise fails.
func (c *call) reject(i int, format string, args ...any) error {
	if c.try {
		c.out.setNull(i, c.n)
		return nil
	}
	return c.fail(i, format, args...)
}

// outcome says what a cast makes of values that it cannot convert.
type outcome uint8

const (
	total     outcome = iota // there are none
	mayBeNull                // NULL
	mayFail                  // a failure, by call.reject
)
