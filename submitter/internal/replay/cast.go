package replay

import (
	"errors"
	"math"
	"math/big"
	"strings"

	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

// cast is CAST and TRY_CAST between numbers, from and to text, and between timestamps of other precision.
func (w *walker) cast(n *syntax.Cast) (expression, error) {
	text := map[string]string{"VARCHAR": "STRING", "VARBINARY": "BYTES"}[strings.ToUpper(n.Type)]
	if text == "" {
		text = n.Type
	}
	to, err := sqltype.Parse(text)
	if err != nil {
		return expression{}, err
	}
	arg, err := w.walk(n.Arg)
	if err != nil {
		return expression{}, err
	}
	if arg.typ.Kind == sqltype.Null {
		return constant(to, nil), nil
	}
	convert := conversion(arg.typ, to)
	if convert == nil {
		return expression{}, unsupported("CAST(%s AS %s)", arg.typ, to)
	}
	return strict(to, func(v []value) (value, error) {
		converted, err := convert(v[0])
		if _, beyond := errors.AsType[*UnsupportedError](err); err != nil && n.Try && !beyond {
			return nil, nil
		}
		return converted, err
	}, arg), nil
}

// conversion returns what casts from one type to another, nil if that is not replayed.
func conversion(from, to sqltype.Type) func(value) (value, error) {
	switch {
	case from.Kind == to.Kind && from.Kind != sqltype.Decimal && !from.IsTimestamp() && !from.IsText() && from.Kind != sqltype.Bytes:
		return func(v value) (value, error) { return v, nil }
	case to.Kind == sqltype.VarChar && to.Length == sqltype.MaxLength:
		return toText(from)
	case from.Kind == sqltype.Boolean && to.IsInteger():
		return func(v value) (value, error) { return int64(number(v.(bool))), nil }
	case from.Kind == sqltype.Timestamp && to.Kind == sqltype.Date:
		return func(v value) (value, error) { return floorDiv(v.(stamp).ms, msPerDay), nil }
	case from.IsInteger() && to.Kind == sqltype.Boolean:
		return func(v value) (value, error) { return v.(int64) != 0, nil }
	case from.IsNumeric() && to.IsNumeric():
		return numbers(from, to)
	case from.Kind == sqltype.Timestamp && to.Kind == sqltype.Timestamp:
		return func(v value) (value, error) { return cutStamp(v.(stamp), to.Precision) }
	case from.IsText() && to.Kind == sqltype.JSON:
		return toJSON
	case from.IsText():
		return fromText(to)
	default:
		return nil
	}
}

func toText(from sqltype.Type) func(value) (value, error) {
	switch {
	case from.IsText(), from.Kind == sqltype.JSON:
		return func(v value) (value, error) { return v, nil }
	case from.Kind == sqltype.Boolean:
		return func(v value) (value, error) { return strings.ToUpper(text(v, from)), nil }
	case from.IsNumeric(), from.Kind == sqltype.Date:
		return func(v value) (value, error) { return text(v, from), nil }
	case from.Kind == sqltype.Timestamp:
		return func(v value) (value, error) {
			whole, fraction, _ := strings.Cut(text(v, from), ".")
			if from.Precision == 0 {
				return whole, nil
			}
			return whole + "." + (fraction + "000000000")[:from.Precision], nil
		}
	default:
		return nil
	}
}

func numbers(from, to sqltype.Type) func(value) (value, error) {
	switch {
	case to.Kind == sqltype.Decimal && !from.IsApproximate():
		return func(v value) (value, error) {
			digits, scale := exact(v, from)
			return rescaled(digits, scale, to), nil
		}
	case to.Kind == sqltype.Decimal:
		return func(v value) (value, error) {
			digits, scale, ok := parseDecimal(text(v, from))
			if !ok {
				return nil, unsupported("a CAST of %s to %s", text(v, from), to)
			}
			return rescaled(digits, scale, to), nil
		}
	case to.Kind == sqltype.Double:
		return func(v value) (value, error) { return double(v, from), nil }
	case to.Kind == sqltype.Float && from.Kind != sqltype.BigInt:
		return func(v value) (value, error) { return float32(double(v, from)), nil }
	case from.IsApproximate() && to.IsInteger():
		return func(v value) (value, error) { return cutDouble(double(v, from), to.Kind), nil }
	case from.IsInteger() && to.IsInteger():
		return func(v value) (value, error) { return wrapped(v.(int64), to.Kind), nil }
	case from.Kind == sqltype.Decimal && to.IsInteger():
		return func(v value) (value, error) {
			whole := new(big.Int).Quo(v.(*big.Int), powerOfTen(from.Scale))
			if !whole.IsInt64() {
				return nil, unsupported("a CAST of %s to %s", text(v, from), to)
			}
			return wrapped(whole.Int64(), to.Kind), nil
		}
	default:
		return nil
	}
}

// cutDouble is Java's cast: NaN is 0, what is too large the nearest INT or BIGINT, of which narrower types take the low bits.
func cutDouble(f float64, kind sqltype.Kind) int64 {
	least, greatest := int64(math.MinInt32), int64(math.MaxInt32)
	if kind == sqltype.BigInt {
		least, greatest = math.MinInt64, math.MaxInt64
	}
	switch {
	case math.IsNaN(f):
		return 0
	case f >= float64(greatest):
		return wrapped(greatest, kind)
	case f <= float64(least):
		return wrapped(least, kind)
	}
	return wrapped(int64(f), kind)
}

// cutStamp keeps so many digits of a second's fraction.
func cutStamp(s stamp, precision int) (value, error) {
	if s.ms < 0 && precision < 3 {
		return nil, unsupported("a CAST of a time before 1970 to TIMESTAMP(%d)", precision)
	}
	unit := int64(math.Pow10(9 - precision))
	fraction := s.ms%1000*1_000_000 + s.nanos
	if precision >= 3 {
		return stamp{s.ms, s.nanos - s.nanos%unit}, nil
	}
	kept := fraction - fraction%unit
	return stamp{s.ms - s.ms%1000 + kept/1_000_000, 0}, nil
}

func fromText(to sqltype.Type) func(value) (value, error) {
	switch to.Kind {
	case sqltype.Timestamp:
		sql := &decoder{}
		return func(v value) (value, error) {
			s, err := sql.timestamp(v.(string), false)
			if err != nil || !dateText.MatchString(v.(string)[:10]) {
				return nil, unsupported("a CAST of the text %q to %s", v, to) // Flink takes more forms than the common one
			}
			return cutStamp(s.(stamp), to.Precision)
		}
	case sqltype.TinyInt, sqltype.SmallInt, sqltype.Int, sqltype.BigInt:
		return func(v value) (value, error) {
			if !digitsOnly(strings.TrimPrefix(v.(string), "-")) {
				return nil, unsupported("a CAST of the text %q to %s", v, to)
			}
			return integer(v.(string), to.Kind)
		}
	default:
		return nil
	}
}
