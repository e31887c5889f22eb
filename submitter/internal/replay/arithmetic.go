package replay

import (
	"errors"
	"math"
	"math/big"
	"strconv"

	"pencere/pkg/sqltype"
)

// digitsOf returns precision and scale of an exact type.
func digitsOf(t sqltype.Type) (precision, scale int) {
	switch t.Kind {
	case sqltype.TinyInt:
		return 3, 0
	case sqltype.SmallInt:
		return 5, 0
	case sqltype.Int:
		return 10, 0
	case sqltype.BigInt:
		return 19, 0
	default:
		return t.Precision, t.Scale
	}
}

// fitted is a DECIMAL within 38 digits: digits after the point give way, down to 6.
func fitted(precision, scale int) sqltype.Type {
	if precision > sqltype.MaxDecimalPrecision {
		scale = max(sqltype.MaxDecimalPrecision-(precision-scale), min(scale, 6))
		precision = sqltype.MaxDecimalPrecision
	}
	return sqltype.DecimalType(precision, scale)
}

// arithmetic is + - * / % of numbers, and + and - of a time and an interval.
func arithmetic(name string, args []expression) (expression, bool) {
	if len(args) == 1 {
		return signed(name, args[0])
	}
	a, b := args[0], args[1]
	switch {
	case a.typ.IsTimestamp() || b.typ.IsTimestamp():
		return moved(name, a, b)
	case !a.typ.IsNumeric() || !b.typ.IsNumeric():
		return expression{}, false
	case a.typ.IsApproximate() || b.typ.IsApproximate():
		return approximate(name, a, b)
	case a.typ.IsInteger() && b.typ.IsInteger():
		return integers(name, a, b)
	default:
		return decimals(name, a, b)
	}
}

func signed(name string, a expression) (expression, bool) {
	if !a.typ.IsNumeric() {
		return expression{}, false
	}
	if name == "+" {
		return a, true
	}
	return strict(a.typ, func(v []value) (value, error) {
		switch x := v[0].(type) {
		case int64:
			return wrapped(-x, a.typ.Kind), nil
		case float32:
			return -x, nil
		case float64:
			return -x, nil
		default:
			return new(big.Int).Neg(x.(*big.Int)), nil
		}
	}, a), name == "-"
}

func approximate(name string, a, b expression) (expression, bool) {
	if a.typ.Kind == sqltype.Float || b.typ.Kind == sqltype.Float {
		return expression{}, false // in which precision Flink computes depends on its code generator
	}
	return strict(sqltype.DoubleType, func(v []value) (value, error) {
		x, y := double(v[0], a.typ), double(v[1], b.typ)
		switch name {
		case "+":
			return x + y, nil
		case "-":
			return x - y, nil
		case "*":
			return float64(x * y), nil // one rounding: it is never fused with an addition
		case "/":
			return x / y, nil
		default:
			return math.Mod(x, y), nil
		}
	}, a, b), true
}

func integers(name string, a, b expression) (expression, bool) {
	kind := max(a.typ.Kind, b.typ.Kind)
	if name == "%" || name == "MOD" {
		kind = b.typ.Kind
	}
	return strict(sqltype.Type{Kind: kind}, func(v []value) (value, error) {
		x, y := v[0].(int64), v[1].(int64)
		switch name {
		case "+":
			return wrapped(x+y, kind), nil
		case "-":
			return wrapped(x-y, kind), nil
		case "*":
			return wrapped(x*y, kind), nil
		}
		if y == 0 {
			return nil, errDivisionByZero
		}
		if name == "/" {
			return wrapped(x/y, kind), nil
		}
		return wrapped(x%y, kind), nil
	}, a, b), true
}

func decimals(name string, a, b expression) (expression, bool) {
	p1, s1 := digitsOf(a.typ)
	p2, s2 := digitsOf(b.typ)
	scale := max(s1, s2)
	var t sqltype.Type
	switch name {
	case "+", "-":
		t = fitted(max(p1-s1, p2-s2)+scale+1, scale)
	case "*":
		t = fitted(p1+p2+1, s1+s2)
	case "/":
		scale = max(6, s1+p2+1)
		t = fitted(p1-s1+s2+scale, scale)
	default:
		t = fitted(min(p1-s1, p2-s2)+scale, scale)
	}
	return strict(t, func(v []value) (value, error) {
		x, _ := exact(v[0], a.typ)
		y, _ := exact(v[1], b.typ)
		switch name {
		case "*":
			return rescaled(new(big.Int).Mul(x, y), s1+s2, t), nil
		case "/":
			return quotient(x, s1, y, s2, t)
		}
		x, y = new(big.Int).Mul(x, powerOfTen(scale-s1)), new(big.Int).Mul(y, powerOfTen(scale-s2))
		switch name {
		case "+":
			return rescaled(x.Add(x, y), scale, t), nil
		case "-":
			return rescaled(x.Sub(x, y), scale, t), nil
		}
		if y.Sign() == 0 {
			return nil, errDivisionByZero
		}
		return rescaled(x.Rem(x, y), scale, t), nil
	}, a, b), true
}

// quotient is rounded to 38 significant digits and then to the scale of its type, as Flink does.
func quotient(x *big.Int, s1 int, y *big.Int, s2 int, t sqltype.Type) (value, error) {
	if y.Sign() == 0 {
		return nil, errDivisionByZero
	}
	if x.Sign() == 0 {
		return new(big.Int), nil
	}
	// Enough digits that the last of 38 is among them, whatever the quotient is.
	whole := len(new(big.Int).Abs(x).String()) - len(new(big.Int).Abs(y).String()) // or one more
	for _, digits := range []int{whole, whole + 1} {
		scale := sqltype.MaxDecimalPrecision - digits // of x / y, so that it has 38 digits
		numerator, denominator := new(big.Int).Set(x), new(big.Int).Set(y)
		if scale >= 0 {
			numerator.Mul(numerator, powerOfTen(scale))
		} else {
			denominator.Mul(denominator, powerOfTen(-scale))
		}
		if cut := new(big.Int).Quo(numerator, denominator); cut.CmpAbs(powerOfTen(sqltype.MaxDecimalPrecision)) >= 0 {
			continue
		}
		q, scale := rounded(numerator, denominator), scale+s1-s2
		if scale < 0 {
			q, scale = q.Mul(q, powerOfTen(-scale)), 0
		}
		return rescaled(q, scale, t), nil
	}
	return nil, unsupported("a quotient of %s and %s", x, y)
}

// moved is a timestamp and an interval after or before it.
func moved(name string, a, b expression) (expression, bool) {
	if b.typ.IsTimestamp() && name == "+" {
		a, b = b, a
	}
	if a.typ.Kind != sqltype.Timestamp || b.typ.Kind != sqltype.IntervalDayTime || name != "+" && name != "-" {
		return expression{}, false
	}
	t := a.typ
	t.Precision = max(t.Precision, 3)
	return strict(t, func(v []value) (value, error) {
		s, by := v[0].(stamp), v[1].(int64)
		if name == "-" {
			by = -by
		}
		return stamp{s.ms + by, s.nanos}, nil
	}, a, b), true
}

func abs(_ string, args []expression) (expression, bool) {
	if len(args) != 1 || !args[0].typ.IsNumeric() {
		return expression{}, false
	}
	t := args[0].typ
	return strict(t, func(v []value) (value, error) {
		switch x := v[0].(type) {
		case int64:
			if x < 0 {
				x = wrapped(-x, t.Kind)
			}
			return x, nil
		case float32:
			return float32(math.Abs(float64(x))), nil
		case float64:
			return math.Abs(x), nil
		default:
			return new(big.Int).Abs(x.(*big.Int)), nil
		}
	}, args[0]), true
}

// floor is FLOOR and CEIL of numbers.
func floor(name string, args []expression) (expression, bool) {
	if len(args) != 1 {
		return expression{}, false
	}
	t := args[0].typ
	switch {
	case t.IsInteger():
		return args[0], true
	case t.Kind == sqltype.Double:
		return strict(t, func(v []value) (value, error) {
			if name == "FLOOR" {
				return math.Floor(v[0].(float64)), nil
			}
			return math.Ceil(v[0].(float64)), nil
		}, args[0]), true
	default:
		return expression{}, false
	}
}

func sign(_ string, args []expression) (expression, bool) {
	if len(args) != 1 || !args[0].typ.IsInteger() {
		return expression{}, false
	}
	return strict(args[0].typ, func(v []value) (value, error) {
		return int64(big.NewInt(v[0].(int64)).Sign()), nil
	}, args[0]), true
}

// round is ROUND of a DOUBLE: of the digits that Java prints for it, half up.
func round(_ string, args []expression) (expression, bool) {
	if len(args) != 2 || args[0].typ.Kind != sqltype.Double || args[1].typ.Kind != sqltype.Int {
		return expression{}, false
	}
	return strict(sqltype.DoubleType, func(v []value) (value, error) {
		digits, scale, ok := parseDecimal(text(v[0], args[0].typ))
		places := int(v[1].(int64))
		switch {
		case !ok:
			return nil, errors.New("ROUND of NaN or an infinity") // Java's BigDecimal knows neither
		case places < 0 || math.Abs(v[0].(float64)) >= 1<<53:
			return nil, unsupported("ROUND of %s to %d digits", text(v[0], args[0].typ), places)
		case places >= scale:
			return v[0], nil
		}
		f, err := strconv.ParseFloat(plain(rounded(digits, powerOfTen(scale-places)), places), 64)
		return f, err
	}, args...), true
}
