package expr

import (
	"math"

	"pencere/pkg/expr/internal/decimal"
	"pencere/pkg/expr/internal/javamath"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

func numericFunctions() map[string]function {
	one := func(bind func(b *binder, n *syntax.Call, args []*op) (*op, error)) function {
		return function{min: 1, max: 1, takes: "a number", bind: bind}
	}
	round := func(bind func(b *binder, n *syntax.Call, args []*op) (*op, error)) function {
		return function{min: 1, max: 2, takes: "a number and an INT, the digits to keep after the point", bind: bind}
	}
	ceil, floor := rounding{math.Ceil, decimal.Ceil, ceilTime}, rounding{math.Floor, decimal.Floor, floorTime}
	return map[string]function{
		"ABS": one(bindAbs), "SIGN": one(bindSignum),
		"CEIL": ceil.function(), "CEILING": ceil.function(), "FLOOR": floor.function(),
		"ROUND": round(bindRound), "TRUNCATE": round(bindTruncate),
		"SQRT": one(bindDouble(math.Sqrt)), "EXP": one(bindDouble(javamath.Exp)), "LN": one(bindDouble(javamath.Log)),
		"LOG10": one(bindDouble(javamath.Log10)), "LOG2": one(bindDouble(func(x float64) float64 { return javamath.Log(x) / javamath.Log(2) })),
		"LOG":   {min: 1, max: 2, takes: "one or two numbers", bind: bindLog},
		"POWER": {min: 2, max: 2, takes: "two numbers", bind: bindDouble2(javamath.Pow)},
		"PI":    {bind: bindNumber(math.Pi)}, "E": {bind: bindNumber(math.E)},
		"DEGREES":  one(bindDouble(func(x float64) float64 { return x * (180 / math.Pi) })),
		"RADIANS":  one(bindDouble(func(x float64) float64 { return x * (math.Pi / 180) })),
		"LEAST":    {min: 1, max: -1, takes: "values of one type", bind: bindExtreme(-1)},
		"GREATEST": {min: 1, max: -1, takes: "values of one type", bind: bindExtreme(1)},
	}
}

func bindNumber(v float64) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, _ []*op) (*op, error) {
		return b.constant(n, sqltype.DoubleType, &vector{f64: []float64{v}}), nil
	}
}

// bindDouble makes a function of one DOUBLE; other numbers are converted.
func bindDouble(f func(float64) float64) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		if !args[0].typ.IsNumeric() {
			return nil, nil
		}
		return b.strict(n, sqltype.DoubleType, mapCells(f), b.convert(n, args[0], sqltype.DoubleType)), nil
	}
}

// bindDouble2 makes a function of two DOUBLEs.
func bindDouble2(f func(x, y float64) float64) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		if !args[0].typ.IsNumeric() || !args[1].typ.IsNumeric() {
			return nil, nil
		}
		k := func(c *call) error {
			x, y, dst := c.args[0].f64, c.args[1].f64, room[float64](c.out, c.n)
			mx, my := c.args[0].mask(), c.args[1].mask()
			for i := range dst {
				dst[i] = f(x[i&mx], y[i&my])
			}
			return nil
		}
		return b.strict(n, sqltype.DoubleType, k, b.convert(n, args[0], sqltype.DoubleType), b.convert(n, args[1], sqltype.DoubleType)), nil
	}
}

// bindLog compiles LOG(x) and LOG(base, x).
func bindLog(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if len(args) == 1 {
		return bindDouble(javamath.Log)(b, n, args)
	}
	return bindDouble2(func(base, x float64) float64 { return javamath.Log(x) / javamath.Log(base) })(b, n, args)
}

func bindAbs(b *binder, n *syntax.Call, args []*op) (*op, error) {
	t := args[0].typ
	if !t.IsNumeric() {
		return nil, nil
	}
	return b.strict(n, t, numericKernel(t.Kind, unaryKernels{
		i8: mapCells(abs[int8]), i16: mapCells(abs[int16]), i32: mapCells(abs[int32]), i64: mapCells(abs[int64]),
		f32:  mapCells(func(v float32) float32 { return float32(math.Abs(float64(v))) }),
		f64:  mapCells(math.Abs),
		n128: mapCells(decimal.Abs),
	}), args[0]), nil
}

// abs of the least integer is itself, as in Java.
func abs[T integer](v T) T {
	if v < 0 {
		return -v
	}
	return v
}

func bindSignum(b *binder, n *syntax.Call, args []*op) (*op, error) {
	t := args[0].typ
	if !t.IsNumeric() {
		return nil, nil
	}
	one, _ := decimal.Rescale(decimal.FromInt64(1), 0, t.Scale, decimal.MaxPrecision+1)
	return b.strict(n, t, numericKernel(t.Kind, unaryKernels{
		i8: mapCells(signum[int8]), i16: mapCells(signum[int16]), i32: mapCells(signum[int32]), i64: mapCells(signum[int64]),
		f32: mapCells(floatSignum[float32]), f64: mapCells(floatSignum[float64]),
		n128: mapCells(func(v decimal128.Num) decimal128.Num {
			switch v.Sign() {
			case 1:
				if v == (decimal128.Num{}) {
					return v
				}
				return one
			case -1:
				return decimal.Neg(one)
			}
			return decimal128.Num{}
		}),
	}), args[0]), nil
}

func signum[T integer](v T) T {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// floatSignum keeps NaN and the sign of zero.
func floatSignum[T float32 | float64](v T) T {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return v
}

// rounding is CEIL or FLOOR.
type rounding struct {
	float   func(float64) float64
	decimal func(v decimal128.Num, scale int) decimal128.Num
	time    func(unit syntax.Unit, ms int64) int64
}

func (r rounding) function() function {
	return function{min: 1, max: 2, takes: "a number, or a time TO a unit", syntax: func(b *binder, n *syntax.Call) (*op, error) {
		arg, err := b.bind(n.Args[0])
		if err != nil {
			return nil, err
		}
		if len(n.Args) == 2 {
			return r.bindTime(b, n, arg)
		}
		if !arg.typ.IsNumeric() {
			return nil, mismatch(n, b.functions[n.Name], []*op{arg})
		}
		return r.bindNumber(b, n, arg), nil
	}}
}

func (r rounding) bindNumber(b *binder, n *syntax.Call, x *op) *op {
	t := x.typ
	switch {
	case t.IsInteger():
		return x
	case t.Kind == sqltype.Decimal:
		scale := t.Scale
		return b.strict(n, sqltype.DecimalType(t.Precision, 0), mapCells(func(v decimal128.Num) decimal128.Num { return r.decimal(v, scale) }), x)
	case t.Kind == sqltype.Float:
		return b.strict(n, t, mapCells(func(v float32) float32 { return float32(r.float(float64(v))) }), x)
	}
	return b.strict(n, t, mapCells(r.float), x)
}

// bindExtreme compiles LEAST (order -1) and GREATEST (order 1): NULL if an argument is NULL; NaN is the greatest number, -0.0 less than 0.0.
func bindExtreme(order int) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		t, ok := mergedType(typesOf(args))
		if !ok || t.Kind == sqltype.Bytes || t.Kind == sqltype.JSON {
			return nil, failAt(n, "the arguments of %s have no common type that has an order: %s", n.Name, typeList(typesOf(args)))
		}
		for i := range args {
			args[i] = b.convert(n, args[i], t)
		}
		compare := compareFor(t)
		run := func(f *frame, o *op, active bitmap) (*vector, error) {
			c, err := f.call(o, active)
			if err != nil {
				return nil, err
			}
			if c.out.meet(c.args, f.n) {
				return c.out, nil
			}
			valid, validity := c.out.valid, c.out.validity
			choice := f.choice(o.slot)
			for i := range choice {
				choice[i] = 0
				for k := 1; k < len(c.args) && c.wanted(i); k++ {
					if best := c.args[choice[i]]; compare(c.args[k], i&c.args[k].mask(), best, i&best.mask())*order > 0 {
						choice[i] = int32(k)
					}
				}
			}
			gatherValues(f.n, o, c.out, c.args, choice)
			c.out.valid, c.out.validity = valid, validity
			return c.out, nil
		}
		return b.operator(n, t, run, args...), nil
	}
}
