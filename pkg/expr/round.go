package expr

import (
	"strconv"

	"pencere/pkg/expr/internal/decimal"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// bindRound compiles ROUND(x[, digits]): half up in decimal.
func bindRound(b *binder, n *syntax.Call, args []*op) (*op, error) {
	return b.roundTo(n, args, decimal.Round, roundDouble)
}

// bindTruncate compiles TRUNCATE(x[, digits]): towards zero in decimal.
func bindTruncate(b *binder, n *syntax.Call, args []*op) (*op, error) {
	return b.roundTo(n, args, decimal.RoundDown, truncateDouble)
}

type (
	// decimalRounding rounds v to 10^-digits; the result has the scale of v and, for integers, wraps around by itself.
	decimalRounding func(v decimal128.Num, scale, digits int) decimal128.Num
	doubleRounding  func(v float64, digits int) (float64, error)
)

// roundTo compiles rounding to a number of digits after the point (0 if not given, negative before the point). The result has the type of x; a
// DECIMAL has the digits that are left where their number is a literal.
func (b *binder) roundTo(n *syntax.Call, args []*op, exact decimalRounding, approximate doubleRounding) (*op, error) {
	x := args[0]
	digits := b.constant(n, sqltype.IntType, &vector{i32: []int32{0}})
	if len(args) == 2 {
		digits = args[1]
	}
	if !x.typ.IsNumeric() || !digits.typ.IsInteger() {
		return nil, nil
	}
	digits = b.convert(n, digits, sqltype.IntType)
	switch {
	case x.typ.Kind == sqltype.Decimal:
		return b.roundDecimal(n, x, digits, exact), nil
	case x.typ.IsApproximate():
		k := func(c *call) error {
			src, dst, places := c.args[0].f64, room[float64](c.out, c.n), c.args[1].i32
			mask, mp := c.args[0].mask(), c.args[1].mask()
			for i := range dst {
				if !c.wanted(i) {
					continue
				}
				v, err := approximate(src[i&mask], int(places[i&mp]))
				if err != nil {
					return &failure{i, c.at, err}
				}
				dst[i] = v
			}
			return nil
		}
		o := b.strict(n, sqltype.DoubleType, k, b.convert(n, x, sqltype.DoubleType), digits)
		return b.convert(n, o, x.typ.Nullable()), nil
	}
	k := func(c *call) error {
		src, dst, places := c.args[0].i64, room[int64](c.out, c.n), c.args[1].i32
		mask, mp := c.args[0].mask(), c.args[1].mask()
		for i := range dst {
			dst[i] = int64(exact(decimal.FromInt64(src[i&mask]), 0, int(places[i&mp])).LowBits())
		}
		return nil
	}
	o := b.strict(n, sqltype.BigIntType, k, b.convert(n, x, sqltype.BigIntType), digits)
	return b.convert(n, o, x.typ.Nullable()), nil
}

// roundDecimal has Flink's type (LogicalTypeMerging.findRoundDecimalType): one digit more before the point, for the carry.
func (b *binder) roundDecimal(n *syntax.Call, x, digits *op, round decimalRounding) *op {
	t := x.typ
	if digits.value != nil && !digits.value.null {
		switch d := int(digits.value.i32[0]); {
		case d >= t.Scale:
			return x
		case d < 0:
			t = sqltype.DecimalType(min(sqltype.MaxDecimalPrecision, 1+t.Precision-t.Scale), 0)
		default:
			t = sqltype.DecimalType(min(sqltype.MaxDecimalPrecision, 1+t.Precision-t.Scale+d), d)
		}
	}
	from := x.typ.Scale
	return b.strict(n, t, func(c *call) error {
		src, dst, places := c.args[0].n128, room[decimal128.Num](c.out, c.n), c.args[1].i32
		mask, mp := c.args[0].mask(), c.args[1].mask()
		for i := range dst {
			v, ok := decimal.Rescale(round(src[i&mask], from, int(places[i&mp])), from, t.Scale, t.Precision)
			if dst[i] = v; !ok {
				c.out.setNull(i, c.n)
			}
		}
		return nil
	}, x, digits)
}

// roundDouble rounds the decimal that Java prints for v; NaN and infinities fail.
func roundDouble(v float64, digits int) (float64, error) {
	r, ok := decimal.RoundFloat64(v, digits)
	if !ok {
		return 0, errorf("cannot round %v", v)
	}
	return r, nil
}

// truncateDouble truncates v as a DECIMAL(38, 18), which Flink makes of it first; what does not fit it fails.
func truncateDouble(v float64, digits int) (float64, error) {
	d, ok := decimal.FromFloat64(v, sqltype.MaxDecimalPrecision, 18)
	if !ok {
		return 0, errorf("cannot truncate %s: it does not fit DECIMAL(38, 18)", strconv.FormatFloat(v, 'g', -1, 64))
	}
	return decimal.Float64(decimal.RoundDown(d, 18, digits), sqltype.MaxDecimalPrecision, 18), nil
}
