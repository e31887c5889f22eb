package expr

import (
	"math"
	"time"

	"pencere/pkg/expr/internal/decimal"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// castKernel returns the kernel that casts from one type to another (both nullable), nil if there is no such cast. The table is Flink's
// LogicalTypeCasts, the conversions its cast rules.
func castKernel(from, to sqltype.Type, zone *time.Location) (kernel, outcome) {
	switch {
	case hasText(to):
		return castToText(from, to, zone)
	case from.IsText() && to.Kind == sqltype.JSON:
		return castToJSON()
	case from.IsText():
		return castFromText(to, zone)
	case from.Kind == to.Kind && from.Kind != sqltype.Decimal && !from.IsTimestamp():
		return castSame(from), total
	case from.Kind == sqltype.Boolean && to.IsNumeric():
		return castBoolean(to), total
	case from.IsNumeric() && to.Kind == sqltype.Boolean:
		return numericKernel(from.Kind, unaryKernels{
			notZero[int8], notZero[int16], notZero[int32], notZero[int64], notZero[float32], notZero[float64], notZero[decimal128.Num],
		}), total
	case from.Kind == sqltype.Decimal && to.IsNumeric():
		return castDecimal(from, to)
	case from.IsNumeric() && to.Kind == sqltype.Decimal:
		return castToDecimal(from, to)
	case from.IsNumeric() && to.IsNumeric():
		return numericKernel(from.Kind, unaryKernels{
			castInts[int8](to.Kind), castInts[int16](to.Kind), castInts[int32](to.Kind), castInts[int64](to.Kind),
			castFloats[float32](to.Kind), castFloats[float64](to.Kind), nil,
		}), total
	case from.IsInteger() && isInterval(to), isInterval(from) && to.IsInteger():
		return nil, total
	}
	return castTime(from, to, zone)
}

// castSame copies values whose type changes in length or precision only, which their layout does not show.
func castSame(t sqltype.Type) kernel {
	return numericKernel(t.Kind, unaryKernels{
		mapCells(same[int8]), mapCells(same[int16]), mapCells(same[int32]), mapCells(same[int64]), mapCells(same[float32]), mapCells(same[float64]), mapCells(same[decimal128.Num]),
	})
}

func same[T any](v T) T { return v }

func castBoolean(to sqltype.Type) kernel {
	one := decimal128.Num{}
	if to.Kind == sqltype.Decimal {
		one, _ = decimal.Rescale(decimal.FromInt64(1), 0, to.Scale, to.Precision)
	}
	return numericKernel(to.Kind, unaryKernels{
		fromBits[int8](1), fromBits[int16](1), fromBits[int32](1), fromBits[int64](1), fromBits[float32](1), fromBits[float64](1), fromBits(one),
	})
}

// fromBits makes one of TRUE and zero of FALSE.
func fromBits[T fixed](one T) kernel {
	return func(c *call) error {
		bits, dst := c.args[0].bits, room[T](c.out, c.n)
		mask := c.args[0].mask()
		for i := range dst {
			dst[i] = *new(T)
			if bits.get(i & mask) {
				dst[i] = one
			}
		}
		return nil
	}
}

func notZero[T fixed](c *call) error {
	src, bits := *cells[T](c.args[0]), c.out.roomBits(c.n)
	mask := c.args[0].mask()
	for i := range c.n {
		bits[i>>3] |= bit(src[i&mask] != *new(T)) << (i & 7)
	}
	c.out.clearNullBits()
	return nil
}

// castInts converts integers; narrower integers keep the low bits.
func castInts[A integer](to sqltype.Kind) kernel {
	switch to {
	case sqltype.TinyInt:
		return castCells[A, int8]
	case sqltype.SmallInt:
		return castCells[A, int16]
	case sqltype.Int:
		return castCells[A, int32]
	case sqltype.BigInt:
		return castCells[A, int64]
	case sqltype.Float:
		return castCells[A, float32]
	default:
		return castCells[A, float64]
	}
}

func castCells[A, B number](c *call) error {
	src, dst := *cells[A](c.args[0]), room[B](c.out, c.n)
	if c.args[0].constant {
		for i := range dst {
			dst[i] = B(src[0])
		}
		return nil
	}
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = B(src[i])
	}
	return nil
}

// castFloats converts floating-point numbers as Java does: NaN is 0, what is too large the nearest INT or BIGINT; narrower integers are
// the low bits of that INT.
func castFloats[A float32 | float64](to sqltype.Kind) kernel {
	switch to {
	case sqltype.TinyInt:
		return mapCells(func(v A) int8 { return int8(javaInt(float64(v))) })
	case sqltype.SmallInt:
		return mapCells(func(v A) int16 { return int16(javaInt(float64(v))) })
	case sqltype.Int:
		return mapCells(func(v A) int32 { return javaInt(float64(v)) })
	case sqltype.BigInt:
		return mapCells(func(v A) int64 { return javaLong(float64(v)) })
	case sqltype.Float:
		return castCells[A, float32]
	default:
		return castCells[A, float64]
	}
}

func javaInt(v float64) int32 {
	switch {
	case math.IsNaN(v):
		return 0
	case v >= math.MaxInt32:
		return math.MaxInt32
	case v <= math.MinInt32:
		return math.MinInt32
	}
	return int32(v)
}

func javaLong(v float64) int64 {
	switch {
	case math.IsNaN(v):
		return 0
	case v >= 1<<63:
		return math.MaxInt64
	case v <= -1<<63:
		return math.MinInt64
	}
	return int64(v)
}

func castDecimal(from, to sqltype.Type) (kernel, outcome) {
	scale := from.Scale
	if to.Kind == sqltype.Decimal {
		return rescaleKernel(from, to)
	}
	double := func(v decimal128.Num) float64 { return decimal.Float64(v, from.Precision, scale) }
	return numericKernel(to.Kind, unaryKernels{
		i8:  mapCells(func(v decimal128.Num) int8 { return int8(decimal.Int64(v, scale)) }),
		i16: mapCells(func(v decimal128.Num) int16 { return int16(decimal.Int64(v, scale)) }),
		i32: mapCells(func(v decimal128.Num) int32 { return int32(decimal.Int64(v, scale)) }),
		i64: mapCells(func(v decimal128.Num) int64 { return decimal.Int64(v, scale) }),
		f32: mapCells(func(v decimal128.Num) float32 { return float32(double(v)) }),
		f64: mapCells(double),
	}), total
}

// rescaleKernel casts between DECIMALs, rounding half up; too many digits are NULL.
func rescaleKernel(from, to sqltype.Type) (kernel, outcome) {
	// Whole digits suffice, and dropping digits after the point may carry into one more.
	roomy := to.Precision-to.Scale > from.Precision-from.Scale || to.Precision-to.Scale == from.Precision-from.Scale && to.Scale >= from.Scale
	if roomy && to.Scale >= from.Scale {
		up := to.Scale - from.Scale
		return mapCells(func(v decimal128.Num) decimal128.Num { return decimal.ScaleUp(v, up) }), total
	}
	return func(c *call) error {
		src, dst := c.args[0].n128, room[decimal128.Num](c.out, c.n)
		mask := c.args[0].mask()
		for i := range dst {
			v, ok := decimal.Rescale(src[i&mask], from.Scale, to.Scale, to.Precision)
			if dst[i] = v; !ok {
				c.out.setNull(i, c.n)
			}
		}
		return nil
	}, mayBeNull
}

func castToDecimal(from, to sqltype.Type) (kernel, outcome) {
	switch from.Kind {
	case sqltype.Float:
		return floatsToDecimal[float32](to), mayFail
	case sqltype.Double:
		return floatsToDecimal[float64](to), mayFail
	default:
	}
	precision, _ := digitsOf(from)
	safe := precision <= to.Precision-to.Scale
	how := mayBeNull
	if safe {
		how = total
	}
	return numericKernel(from.Kind, unaryKernels{
		i8: intsToDecimal[int8](to, safe), i16: intsToDecimal[int16](to, safe), i32: intsToDecimal[int32](to, safe), i64: intsToDecimal[int64](to, safe),
	}), how
}

// intsToDecimal converts integers; safe says that all of them fit. Too many digits are NULL.
func intsToDecimal[A integer](to sqltype.Type, safe bool) kernel {
	return func(c *call) error {
		src, dst := *cells[A](c.args[0]), room[decimal128.Num](c.out, c.n)
		mask := c.args[0].mask()
		if safe {
			for i := range dst {
				dst[i] = decimal.ScaleUp(decimal.FromInt64(int64(src[i&mask])), to.Scale)
			}
			return nil
		}
		// Not safe means fewer than 19 digits before the point, so the bound and what is within it fit 64 bits.
		bound, unit := decimal.Power64(to.Precision-to.Scale), decimal.Power64(min(to.Scale, 18))
		for i := range dst {
			v := int64(src[i&mask])
			switch {
			case v <= -bound || v >= bound:
				dst[i] = decimal128.Num{}
				c.out.setNull(i, c.n)
			case to.Scale <= 18:
				dst[i] = decimal.Mul64(v, unit)
			default:
				dst[i] = decimal.ScaleUp(decimal.FromInt64(v), to.Scale)
			}
		}
		return nil
	}
}

// floatsToDecimal rounds the decimal that Java prints for a number. Too many digits are NULL; NaN and infinities fail.
func floatsToDecimal[A float32 | float64](to sqltype.Type) kernel {
	return func(c *call) error {
		src, dst := *cells[A](c.args[0]), room[decimal128.Num](c.out, c.n)
		mask := c.args[0].mask()
		for i := range dst {
			x := float64(src[i&mask])
			v, ok := decimal.FromFloat64(x, to.Precision, to.Scale)
			if dst[i] = v; ok {
				continue
			}
			if x-x == 0 {
				c.out.setNull(i, c.n)
			} else if c.wanted(i) {
				if err := c.reject(i, "%v is no number that %s can hold", x, to); err != nil {
					return err
				}
			}
		}
		return nil
	}
}
