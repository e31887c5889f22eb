package expr

import (
	"pencere/pkg/expr/internal/decimal"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

type integer interface{ int8 | int16 | int32 | int64 }

type number interface {
	int8 | int16 | int32 | int64 | float32 | float64
}

// bindArithmetic compiles + - * / % of numbers, and what + - * mean for times and intervals.
func bindArithmetic(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if len(args) == 1 {
		return bindSign(b, n, args[0])
	}
	x, y := args[0], args[1]
	if !x.typ.IsNumeric() || !y.typ.IsNumeric() {
		return bindTimeArithmetic(b, n, x, y)
	}
	name := n.Name
	if name == "MOD" {
		name = "%"
	}
	if name == "%" && (x.typ.IsApproximate() || y.typ.IsApproximate()) {
		return nil, nil
	}
	t := arithmeticType(name, x.typ, y.typ)
	if t.Kind == sqltype.Decimal {
		return b.decimalArithmetic(n, name, t, x, y)
	}
	operand := t
	if name == "%" {
		operand = numericCommon(x.typ, y.typ)
	}
	x, y = b.convert(n, x, operand), b.convert(n, y, operand)
	o := b.strict(n, operand, arithmeticKernel(name, operand.Kind), x, y)
	return b.convert(n, o, t), nil
}

func bindSign(b *binder, n *syntax.Call, x *op) (*op, error) {
	switch {
	case !x.typ.IsNumeric() && !isInterval(x.typ):
		return nil, nil
	case n.Name == "+":
		return x, nil
	}
	return b.strict(n, x.typ, numericKernel(x.typ.Kind, unaryKernels{
		i8: negate[int8], i16: negate[int16], i32: negate[int32], i64: negate[int64], f32: negate[float32], f64: negate[float64],
		n128: mapCells(decimal.Neg),
	}), x), nil
}

// unaryKernels has a kernel for each layout of numbers.
type unaryKernels struct {
	i8, i16, i32, i64, f32, f64, n128 kernel
}

// numericKernel picks the kernel for the layout of a kind.
func numericKernel(kind sqltype.Kind, k unaryKernels) kernel {
	switch kind {
	case sqltype.TinyInt:
		return k.i8
	case sqltype.SmallInt:
		return k.i16
	case sqltype.Int, sqltype.Date, sqltype.Time, sqltype.IntervalYearMonth:
		return k.i32
	case sqltype.BigInt, sqltype.IntervalDayTime:
		return k.i64
	case sqltype.Float:
		return k.f32
	case sqltype.Double:
		return k.f64
	default:
		return k.n128
	}
}

func negate[T number](c *call) error {
	src, dst := *cells[T](c.args[0]), room[T](c.out, c.n)
	mask := c.args[0].mask()
	for i := range dst {
		dst[i] = -src[i&mask]
	}
	return nil
}

// mapCells makes a kernel of a function of one value.
func mapCells[A, R fixed](f func(A) R) kernel {
	return func(c *call) error {
		src, dst := *cells[A](c.args[0]), room[R](c.out, c.n)
		mask := c.args[0].mask()
		for i := range dst {
			dst[i] = f(src[i&mask])
		}
		return nil
	}
}

func arithmeticKernel(operator string, kind sqltype.Kind) kernel {
	switch kind {
	case sqltype.TinyInt:
		return integerKernel[int8](operator)
	case sqltype.SmallInt:
		return integerKernel[int16](operator)
	case sqltype.Int:
		return integerKernel[int32](operator)
	case sqltype.BigInt:
		return integerKernel[int64](operator)
	case sqltype.Float:
		return plainKernel[float32](operator)
	default:
		return plainKernel[float64](operator)
	}
}

// integerKernel is plainKernel but for division, which fails for zero.
func integerKernel[T integer](operator string) kernel {
	if operator != "/" && operator != "%" {
		return plainKernel[T](operator)
	}
	return func(c *call) error {
		a, b, dst := *cells[T](c.args[0]), *cells[T](c.args[1]), room[T](c.out, c.n)
		ma, mb := c.args[0].mask(), c.args[1].mask()
		for i := range dst {
			divisor := b[i&mb]
			if divisor == 0 {
				if c.wanted(i) {
					return c.fail(i, "division by zero: %d %s 0", a[i&ma], operator)
				}
				continue
			}
			if operator == "/" {
				dst[i] = a[i&ma] / divisor
			} else {
				dst[i] = a[i&ma] % divisor
			}
		}
		return nil
	}
}

// plainKernel computes all rows: integers wrap around, floating-point numbers follow IEEE 754. Each operation is rounded by itself:
// there is no fused multiply-add because each is a loop of its own.
func plainKernel[T number](operator string) kernel {
	return func(c *call) error {
		a, b, dst := *cells[T](c.args[0]), *cells[T](c.args[1]), room[T](c.out, c.n)
		switch {
		case c.args[0].constant:
			plainLeft(operator, dst, a[0], b)
		case c.args[1].constant:
			plainRight(operator, dst, a, b[0])
		default:
			plainBoth(operator, dst, a, b)
		}
		return nil
	}
}

func plainLeft[T number](operator string, dst []T, x T, b []T) {
	b = b[:len(dst)]
	switch operator {
	case "+":
		for i := range dst {
			dst[i] = x + b[i]
		}
	case "-":
		for i := range dst {
			dst[i] = x - b[i]
		}
	case "*":
		for i := range dst {
			dst[i] = x * b[i]
		}
	case "/":
		for i := range dst {
			dst[i] = x / b[i]
		}
	}
}

func plainRight[T number](operator string, dst, a []T, y T) {
	a = a[:len(dst)]
	switch operator {
	case "+":
		for i := range dst {
			dst[i] = a[i] + y
		}
	case "-":
		for i := range dst {
			dst[i] = a[i] - y
		}
	case "*":
		for i := range dst {
			dst[i] = a[i] * y
		}
	case "/":
		for i := range dst {
			dst[i] = a[i] / y
		}
	}
}

func plainBoth[T number](operator string, dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	switch operator {
	case "+":
		for i := range dst {
			dst[i] = a[i] + b[i]
		}
	case "-":
		for i := range dst {
			dst[i] = a[i] - b[i]
		}
	case "*":
		for i := range dst {
			dst[i] = a[i] * b[i]
		}
	case "/":
		for i := range dst {
			dst[i] = a[i] / b[i]
		}
	}
}

// decimalArithmetic compiles an operation whose result is DECIMAL. A DECIMAL result that has too many digits is NULL; an integer
// operand that does not fit the result's type makes the job fail, as in Flink.
func (b *binder) decimalArithmetic(n *syntax.Call, operator string, t sqltype.Type, x, y *op) (*op, error) {
	x, y = b.decimalOperand(n, x, t), b.decimalOperand(n, y, t)
	d := decimalOp{x.typ, y.typ, t}
	k := map[string]kernel{"+": d.sum(false), "-": d.sum(true), "*": d.product, "/": d.quotient, "%": d.remainder}[operator]
	if x.typ.NotNull && y.typ.NotNull && d.total(operator) {
		return b.strict(n, t, k, x, y), nil
	}
	return b.nullable(n, t, k, x, y), nil
}

// decimalOperand makes an integer a DECIMAL of the result's type; a DECIMAL stays.
func (b *binder) decimalOperand(n *syntax.Call, x *op, t sqltype.Type) *op {
	if x.typ.Kind == sqltype.Decimal {
		return x
	}
	precision, _ := digitsOf(x.typ)
	if precision <= t.Precision-t.Scale {
		return b.convert(n, x, t)
	}
	return b.strict(n, t, requiredDecimal(t), b.convert(n, x, sqltype.BigIntType))
}

// requiredDecimal converts BIGINT to DECIMAL and fails where the number does not fit.
func requiredDecimal(t sqltype.Type) kernel {
	return func(c *call) error {
		src, dst := c.args[0].i64, room[decimal128.Num](c.out, c.n)
		mask := c.args[0].mask()
		for i := range dst {
			v, ok := decimal.Rescale(decimal.FromInt64(src[i&mask]), 0, t.Scale, t.Precision)
			if dst[i] = v; !ok && c.wanted(i) {
				return c.fail(i, "%d does not fit %s, the type of the result", src[i&mask], t.Nullable())
			}
		}
		return nil
	}
}

// decimalOp are the types of an operation on DECIMALs.
type decimalOp struct{ x, y, result sqltype.Type }

func (d decimalOp) digits() decimal.Digits {
	return decimal.Digits{Precision: d.result.Precision, Scale: d.result.Scale}
}

// total reports whether no result has too many digits. (Flink says NOT NULL of others too, and fails in the sink where they are NULL.)
func (d decimalOp) total(operator string) bool {
	whole := d.result.Precision - d.result.Scale
	switch operator {
	case "+", "-":
		return whole > max(d.x.Precision-d.x.Scale, d.y.Precision-d.y.Scale)
	case "*":
		return whole > d.x.Precision-d.x.Scale+d.y.Precision-d.y.Scale
	}
	return false
}

// sum is x + y, or x - y. Flink adds 64-bit values of equal scale without looking at the precision, which suffices for them.
func (d decimalOp) sum(subtract bool) kernel {
	scale := max(d.x.Scale, d.y.Scale)
	upX, upY := scale-d.x.Scale, scale-d.y.Scale
	// Where the type has a digit more than the operands nothing can overflow.
	digits := max(d.x.Precision-d.x.Scale, d.y.Precision-d.y.Scale) + scale + 1
	safe := digits <= sqltype.MaxDecimalPrecision
	if digits <= 18 {
		return sum64(decimal.Power64(upX), decimal.Power64(upY), subtract)
	}
	return func(c *call) error {
		a, b, dst := c.args[0].n128, c.args[1].n128, room[decimal128.Num](c.out, c.n)
		ma, mb := c.args[0].mask(), c.args[1].mask()
		for i := range dst {
			x, y := a[i&ma], b[i&mb]
			if subtract {
				y = decimal.Neg(y)
			}
			if safe {
				dst[i] = decimal.AddScaled(x, upX, y, upY)
				continue
			}
			v, ok := decimal.AddWide(x, d.x.Scale, y, d.y.Scale, d.digits())
			if dst[i] = v; !ok {
				c.out.setNull(i, c.n)
			}
		}
		return nil
	}
}

// sum64 is sum where everything fits 64 bits.
func sum64(unitX, unitY int64, subtract bool) kernel {
	if subtract {
		unitY = -unitY
	}
	return func(c *call) error {
		a, b, dst := c.args[0].n128, c.args[1].n128, room[decimal128.Num](c.out, c.n)
		ma, mb := c.args[0].mask(), c.args[1].mask()
		for i := range dst {
			dst[i] = decimal.FromInt64(int64(a[i&ma].LowBits())*unitX + int64(b[i&mb].LowBits())*unitY)
		}
		return nil
	}
}

func (d decimalOp) product(c *call) error {
	a, b, dst := c.args[0].n128, c.args[1].n128, room[decimal128.Num](c.out, c.n)
	ma, mb := c.args[0].mask(), c.args[1].mask()
	drop := d.x.Scale + d.y.Scale - d.result.Scale
	safe := drop == 0 && d.x.Precision+d.y.Precision <= sqltype.MaxDecimalPrecision
	for i := range dst {
		x, y := a[i&ma], b[i&mb]
		if safe {
			p, smallX := decimal.Small(x)
			q, smallY := decimal.Small(y)
			if smallX && smallY {
				dst[i] = decimal.Mul64(p, q)
				continue
			}
		}
		v, ok := decimal.Mul(x, y, drop, d.result.Precision)
		if dst[i] = v; !ok {
			c.out.setNull(i, c.n)
		}
	}
	return nil
}

func (d decimalOp) quotient(c *call) error {
	a, b, dst := c.args[0].n128, c.args[1].n128, room[decimal128.Num](c.out, c.n)
	ma, mb := c.args[0].mask(), c.args[1].mask()
	for i := range dst {
		if !c.wanted(i) {
			continue
		}
		if b[i&mb] == (decimal128.Num{}) {
			return c.fail(i, "division by zero: %s / 0", decimal.Append(nil, a[i&ma], d.x.Scale))
		}
		v, ok := decimal.Divide(a[i&ma], d.x.Scale, b[i&mb], d.y.Scale, d.digits())
		if dst[i] = v; !ok {
			c.out.setNull(i, c.n)
		}
	}
	return nil
}

func (d decimalOp) remainder(c *call) error {
	a, b, dst := c.args[0].n128, c.args[1].n128, room[decimal128.Num](c.out, c.n)
	ma, mb := c.args[0].mask(), c.args[1].mask()
	for i := range dst {
		if !c.wanted(i) {
			continue
		}
		if b[i&mb] == (decimal128.Num{}) {
			return c.fail(i, "division by zero: MOD(%s, 0)", decimal.Append(nil, a[i&ma], d.x.Scale))
		}
		v, ok, possible := decimal.Remainder(a[i&ma], d.x.Scale, b[i&mb], d.y.Scale, d.digits())
		if !possible {
			return c.fail(i, "the whole part of %s / %s has more than %d digits", decimal.Append(nil, a[i&ma], d.x.Scale), decimal.Append(nil, b[i&mb], d.y.Scale), decimal.MaxPrecision)
		}
		if dst[i] = v; !ok {
			c.out.setNull(i, c.n)
		}
	}
	return nil
}
