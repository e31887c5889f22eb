package expr

import (
	"bytes"
	"cmp"
	"math"

	"pencere/pkg/expr/internal/decimal"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// bindComparison compiles = <> < <= > >=.
func bindComparison(b *binder, n *syntax.Call, args []*op) (*op, error) {
	return b.compare(n, n.Name, args[0], args[1])
}

// compare returns x operator y, nil if the two cannot be compared.
func (b *binder) compare(n syntax.Node, operator string, x, y *op) (*op, error) {
	if x.typ.Kind == sqltype.JSON || y.typ.Kind == sqltype.JSON {
		return nil, failAt(n, "JSON values cannot be compared: the same value has many texts; compare what JSON_VALUE takes out of them, or CAST(… AS STRING) for the texts")
	}
	switch operator {
	case ">":
		operator, x, y = "<", y, x
	case ">=":
		operator, x, y = "<=", y, x
	}
	if x.typ.Kind == sqltype.Null || y.typ.Kind == sqltype.Null {
		return b.constant(n, sqltype.BooleanType, nullVector()), nil
	}
	if x.column() >= 0 && x.column() == y.column() {
		return b.compareSame(n, operator, x), nil
	}
	x, y, ok := b.comparable(n, operator, x, y)
	if !ok {
		return nil, nil
	}
	return b.strict(n, sqltype.BooleanType, compareKernel(operator, x.typ, y.typ), x, y), nil
}

// compareSame compares a column with itself. The planner knows the answer for all values, NaN too.
func (b *binder) compareSame(n syntax.Node, operator string, x *op) *op {
	fill := byte(0)
	if operator == "=" || operator == "<=" {
		fill = 0xff
	}
	return b.strict(n, sqltype.BooleanType, func(c *call) error {
		c.out.bits = c.out.bits.resize(c.n)
		c.out.bits.fill(fill)
		c.out.clearNullBits()
		return nil
	}, x)
}

// comparable brings x and y to types with one layout.
func (b *binder) comparable(n syntax.Node, operator string, x, y *op) (_, _ *op, ok bool) {
	p, q := x.typ, y.typ
	switch {
	case p.IsNumeric() && q.IsNumeric():
		return b.comparableNumbers(n, x, y)
	case p.IsText() && q.IsText(), p.Kind == q.Kind && p.Kind != sqltype.Null:
		return x, y, true
	case p.IsTimestamp() && q.IsTimestamp():
		t := sqltype.TimestampLTZType(max(p.Precision, q.Precision))
		return b.convert(n, x, t), b.convert(n, y, t), true
	case p.IsText():
		y, x, ok = b.comparableText(n, operator, y, x)
		return x, y, ok
	case q.IsText():
		return b.comparableText(n, operator, x, y)
	}
	return nil, nil, false
}

// comparableText brings x and the text y together: texts are read as x's type. Dates that cannot be read are NULL; a BOOLEAN becomes text
// instead. For equality with numbers Flink has no such conversion.
func (b *binder) comparableText(n syntax.Node, operator string, x, y *op) (_, _ *op, ok bool) {
	switch {
	case x.typ.Kind == sqltype.Boolean:
		return b.convert(n, x, sqltype.StringType), y, true
	case x.typ.IsNumeric() && (operator == "=" || operator == "<>"):
		return nil, nil, false
	case x.typ.IsNumeric():
		return x, b.convert(n, y, x.typ), true
	case x.typ.Kind == sqltype.Date:
		return x, b.tryConvert(n, y, x.typ), true
	case isTime(x.typ):
		return x, b.convert(n, y, x.typ), true
	}
	return nil, nil, false
}

// comparableNumbers follows Java's promotion, which Flink's generated code leaves it to: long to float or double; a DECIMAL against a
// floating-point number becomes a double, and stays exact against others.
func (b *binder) comparableNumbers(n syntax.Node, x, y *op) (_, _ *op, ok bool) {
	p, q := x.typ, y.typ
	var t sqltype.Type
	switch {
	case p.Kind == sqltype.Double || q.Kind == sqltype.Double:
		t = sqltype.DoubleType
	case p.Kind == sqltype.Float || q.Kind == sqltype.Float:
		if t = sqltype.FloatType; p.Kind == sqltype.Decimal || q.Kind == sqltype.Decimal {
			t = sqltype.DoubleType
		}
	case p.Kind == sqltype.Decimal || q.Kind == sqltype.Decimal:
		return b.exactDecimal(n, x), b.exactDecimal(n, y), true
	default:
		t = numericCommon(p, q)
	}
	return b.convert(n, x, t), b.convert(n, y, t), true
}

// exactDecimal makes an integer a DECIMAL without digits after the point.
func (b *binder) exactDecimal(n syntax.Node, x *op) *op {
	if x.typ.Kind == sqltype.Decimal {
		return x
	}
	precision, _ := digitsOf(x.typ)
	return b.convert(n, x, sqltype.DecimalType(precision, 0))
}

// compareKernel compares values of one layout; operator is = <> < or <=.
func compareKernel(operator string, x, y sqltype.Type) kernel {
	compare := func(k kernel) kernel {
		return func(c *call) error {
			if err := k(c); err != nil {
				return err
			}
			c.out.clearNullBits()
			return nil
		}
	}
	switch {
	case x.Kind == sqltype.Boolean:
		return compare(compareBits(operator))
	case hasText(x):
		return compare(compareFunc(operator, func(c *call, i, j int) int {
			return bytes.Compare(c.args[0].text.at(i), c.args[1].text.at(j))
		}))
	case x.Kind == sqltype.Decimal && x.Scale != y.Scale:
		return compare(compareFunc(operator, func(c *call, i, j int) int {
			return decimal.Compare(c.args[0].n128[i], x.Scale, c.args[1].n128[j], y.Scale)
		}))
	}
	return compare(numericKernel(x.Kind, unaryKernels{
		i8: compareCells[int8](operator), i16: compareCells[int16](operator), i32: compareCells[int32](operator),
		i64: compareCells[int64](operator), f32: compareCells[float32](operator), f64: compareCells[float64](operator),
		n128: compareFunc(operator, func(c *call, i, j int) int { return compare128(c.args[0].n128[i], c.args[1].n128[j]) }),
	}))
}

// compare128 orders DECIMALs of one scale, and timestamps.
func compare128(a, b decimal128.Num) int {
	if a.HighBits() != b.HighBits() {
		return cmp.Compare(a.HighBits(), b.HighBits())
	}
	return cmp.Compare(a.LowBits(), b.LowBits())
}

// compareCells compares as Java does: NaN equals nothing, 0.0 equals -0.0.
func compareCells[T number](operator string) kernel {
	return func(c *call) error {
		a, b, bits := *cells[T](c.args[0]), *cells[T](c.args[1]), c.out.roomBits(c.n)
		ma, mb := c.args[0].mask(), c.args[1].mask()
		switch operator {
		case "=":
			for i := range c.n {
				bits[i>>3] |= bit(a[i&ma] == b[i&mb]) << (i & 7)
			}
		case "<>":
			for i := range c.n {
				bits[i>>3] |= bit(a[i&ma] != b[i&mb]) << (i & 7)
			}
		case "<":
			for i := range c.n {
				bits[i>>3] |= bit(a[i&ma] < b[i&mb]) << (i & 7)
			}
		default:
			for i := range c.n {
				bits[i>>3] |= bit(a[i&ma] <= b[i&mb]) << (i & 7)
			}
		}
		return nil
	}
}

// bit is 1 for true; the compiler makes it a move without a branch.
func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// compareFunc compares by order, which is given the call and the positions of both values.
func compareFunc(operator string, order func(c *call, i, j int) int) kernel {
	accept := map[string]func(int) bool{
		"=":  func(o int) bool { return o == 0 },
		"<>": func(o int) bool { return o != 0 },
		"<":  func(o int) bool { return o < 0 },
		"<=": func(o int) bool { return o <= 0 },
	}[operator]
	return func(c *call) error {
		bits := c.out.roomBits(c.n)
		ma, mb := c.args[0].mask(), c.args[1].mask()
		for i := range c.n {
			if c.wanted(i) && accept(order(c, i&ma, i&mb)) {
				bits.set(i)
			}
		}
		return nil
	}
}

// compareBits compares BOOLEANs; FALSE is less than TRUE.
func compareBits(operator string) kernel {
	return func(c *call) error {
		a, b, bits := c.args[0].bits, c.args[1].bits, c.out.roomBits(c.n)
		var x, y byte
		for i := range bits {
			x, y = byteOf(c.args[0], a, i), byteOf(c.args[1], b, i)
			switch operator {
			case "=":
				bits[i] = ^(x ^ y)
			case "<>":
				bits[i] = x ^ y
			case "<":
				bits[i] = ^x & y
			default:
				bits[i] = ^x | y
			}
		}
		return nil
	}
}

// byteOf returns the i-th eight bits of v, whose bits are given.
func byteOf(v *vector, bits bitmap, i int) byte {
	if !v.constant {
		return bits[i]
	}
	if bits.get(0) {
		return 0xff
	}
	return 0
}

// clearNullBits keeps the rule that the bit of a NULL is 0.
func (v *vector) clearNullBits() {
	for i := range v.valid {
		v.bits[i] &= v.valid[i]
	}
}

// compareFor returns a total order of the values of a type: NaN is the greatest number, -0.0 less than 0.0 (Java's Double.compare).
func compareFor(t sqltype.Type) func(a *vector, i int, b *vector, j int) int {
	switch t.Kind {
	case sqltype.Boolean:
		return func(a *vector, i int, b *vector, j int) int {
			return int(bit(a.bits.get(i))) - int(bit(b.bits.get(j)))
		}
	case sqltype.TinyInt:
		return func(a *vector, i int, b *vector, j int) int { return cmp.Compare(a.i8[i], b.i8[j]) }
	case sqltype.SmallInt:
		return func(a *vector, i int, b *vector, j int) int { return cmp.Compare(a.i16[i], b.i16[j]) }
	case sqltype.Int, sqltype.Date, sqltype.Time, sqltype.IntervalYearMonth:
		return func(a *vector, i int, b *vector, j int) int { return cmp.Compare(a.i32[i], b.i32[j]) }
	case sqltype.BigInt, sqltype.IntervalDayTime:
		return func(a *vector, i int, b *vector, j int) int { return cmp.Compare(a.i64[i], b.i64[j]) }
	case sqltype.Float:
		return func(a *vector, i int, b *vector, j int) int {
			return compareDoubles(float64(a.f32[i]), float64(b.f32[j]))
		}
	case sqltype.Double:
		return func(a *vector, i int, b *vector, j int) int { return compareDoubles(a.f64[i], b.f64[j]) }
	case sqltype.Char, sqltype.VarChar, sqltype.Bytes:
		return func(a *vector, i int, b *vector, j int) int { return bytes.Compare(a.text.at(i), b.text.at(j)) }
	default:
		return func(a *vector, i int, b *vector, j int) int { return compare128(a.n128[i], b.n128[j]) }
	}
}

func compareDoubles(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	case x == y:
		return int(bit(math.Signbit(y))) - int(bit(math.Signbit(x))) // not 0 for zeros only
	}
	return int(bit(math.IsNaN(x))) - int(bit(math.IsNaN(y)))
}
