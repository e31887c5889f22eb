package replay

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"pencere/pkg/javafmt"
	"pencere/pkg/sqltype"
)

// value is a plain Go value of an SQL type, nil for NULL:
//
//	BOOLEAN                      bool
//	TINYINT … BIGINT             int64
//	FLOAT, DOUBLE                float32, float64
//	DECIMAL                      *big.Int, the digits without the point
//	CHAR, VARCHAR, BYTES, JSON   string
//	DATE, TIME                   int64: days since 1970, ms since midnight
//	TIMESTAMP, TIMESTAMP_LTZ     stamp
//	INTERVAL … TO MONTH, SECOND  int64: months, ms
type value any

// stamp is a point in time: ms since 1970 and the nanoseconds of the last one.
type stamp struct {
	ms    int64
	nanos int64
}

func (s stamp) time() time.Time { return time.UnixMilli(s.ms).Add(time.Duration(s.nanos)).UTC() }

func powerOfTen(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// rounded returns a / b rounded half away from zero.
func rounded(a, b *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(a, b, new(big.Int))
	if r.Abs(r).Lsh(r, 1).CmpAbs(b) >= 0 {
		q.Add(q, big.NewInt(int64(a.Sign()*b.Sign())))
	}
	return q
}

// rescaled moves digits of a scale to a DECIMAL type, rounding half up; nil if it has too few digits for them.
func rescaled(digits *big.Int, scale int, to sqltype.Type) value {
	if scale <= to.Scale {
		digits = new(big.Int).Mul(digits, powerOfTen(to.Scale-scale))
	} else {
		digits = rounded(digits, powerOfTen(scale-to.Scale))
	}
	if digits.CmpAbs(powerOfTen(to.Precision)) >= 0 {
		return nil
	}
	return digits
}

// plain writes digits with a point before the last scale ones.
func plain(digits *big.Int, scale int) string {
	text := new(big.Int).Abs(digits).String()
	if missing := scale + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	if scale > 0 {
		text = text[:len(text)-scale] + "." + text[len(text)-scale:]
	}
	if digits.Sign() < 0 {
		return "-" + text
	}
	return text
}

// parseDecimal reads Java's BigDecimal: a sign, digits with a point, an exponent. ok is false for what is none.
func parseDecimal(text string) (digits *big.Int, scale int, ok bool) {
	mantissa, exponent := text, 0
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		var err error
		if exponent, err = strconv.Atoi(text[at+1:]); err != nil {
			return nil, 0, false
		}
		mantissa = text[:at]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if unsigned := strings.TrimLeft(whole, "+-"); len(whole)-len(unsigned) > 1 || unsigned+fraction == "" || !digitsOnly(unsigned+fraction) {
		return nil, 0, false
	}
	digits, ok = new(big.Int).SetString(whole+fraction, 10)
	scale = len(fraction) - exponent
	if !ok || scale > 10_000 || scale < -10_000 {
		return nil, 0, false
	}
	if scale < 0 {
		return digits.Mul(digits, powerOfTen(-scale)), 0, true
	}
	return digits, scale, true
}

func digitsOnly(text string) bool { return strings.Trim(text, "0123456789") == "" }

// exact returns an integer or DECIMAL as a fraction's parts.
func exact(v value, t sqltype.Type) (digits *big.Int, scale int) {
	if t.Kind == sqltype.Decimal {
		return v.(*big.Int), t.Scale
	}
	return big.NewInt(v.(int64)), 0
}

// double returns a number as DOUBLE.
func double(v value, t sqltype.Type) float64 {
	switch v := v.(type) {
	case float32:
		return float64(v)
	case float64:
		return v
	case int64:
		return float64(v)
	default:
		f, _ := strconv.ParseFloat(plain(v.(*big.Int), t.Scale), 64) // digits are a number; beyond the range it is infinite
		return f
	}
}

// wrapped keeps the low bits of an integer that its type has.
func wrapped(v int64, kind sqltype.Kind) int64 {
	switch kind {
	case sqltype.TinyInt:
		return int64(int8(v))
	case sqltype.SmallInt:
		return int64(int16(v))
	case sqltype.Int:
		return int64(int32(v))
	default:
		return v
	}
}

// compare orders two values that are not NULL, of types that are comparableTypes; ok is false where one is NaN.
func compare(a, b value, s, t sqltype.Type) (order int, ok bool) {
	switch {
	case s.IsApproximate() || t.IsApproximate():
		x, y := double(a, s), double(b, t)
		if math.IsNaN(x) || math.IsNaN(y) {
			return 0, false
		}
		switch {
		case x < y:
			return -1, true
		case x > y:
			return 1, true
		}
		return 0, true
	case s.IsNumeric():
		x, scaleX := exact(a, s)
		y, scaleY := exact(b, t)
		x, y = new(big.Int).Mul(x, powerOfTen(scaleY)), new(big.Int).Mul(y, powerOfTen(scaleX))
		return x.Cmp(y), true
	}
	switch a := a.(type) {
	case bool:
		return cmp.Compare(number(a), number(b.(bool))), true
	case string:
		return strings.Compare(a, b.(string)), true
	case stamp:
		y := b.(stamp)
		return cmp.Or(cmp.Compare(a.ms, y.ms), cmp.Compare(a.nanos, y.nanos)), true
	default:
		return cmp.Compare(a.(int64), b.(int64)), true
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// comparableTypes reports whether compare knows two types.
func comparableTypes(s, t sqltype.Type) bool {
	switch {
	case s.IsNumeric() && t.IsNumeric():
		// Flink compares FLOAT and DECIMAL, or FLOAT and DOUBLE, in ways of their own.
		return s.Kind == t.Kind || s.Kind != sqltype.Float && t.Kind != sqltype.Float
	case s.IsText() && t.IsText():
		return true
	default:
		return s.Kind == t.Kind && s.Kind != sqltype.Null
	}
}

// text writes a value as a cell of CSV says it, before quotes.
func text(v value, t sqltype.Type) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case float32:
		return string(javafmt.AppendFloat(nil, v))
	case float64:
		return string(javafmt.AppendDouble(nil, v))
	case *big.Int:
		return plain(v, t.Scale)
	case string:
		if t.Kind == sqltype.Bytes {
			return base64.StdEncoding.EncodeToString([]byte(v))
		}
		return v
	case stamp:
		shown := day(floorDiv(v.ms, msPerDay)) + " " + clock(floorMod(v.ms, msPerDay), v.nanos)
		if t.Kind == sqltype.TimestampLTZ {
			shown += "Z"
		}
		return shown
	}
	switch n := v.(int64); t.Kind {
	case sqltype.Date:
		return day(n)
	case sqltype.Time:
		return clock(n, 0)
	default:
		return strconv.FormatInt(n, 10)
	}
}

const msPerDay = int64(24 * time.Hour / time.Millisecond)

func floorDiv(a, b int64) int64 { return (a - floorMod(a, b)) / b }

func floorMod(a, b int64) int64 { return ((a % b) + b) % b }

// day writes a date as Java's ISO_LOCAL_DATE.
func day(days int64) string {
	year, month, of := time.Unix(0, 0).UTC().AddDate(0, 0, int(days)).Date()
	switch {
	case year > 9999:
		return fmt.Sprintf("+%d-%02d-%02d", year, month, of)
	case year < 0:
		return fmt.Sprintf("-%04d-%02d-%02d", -year, month, of)
	}
	return fmt.Sprintf("%04d-%02d-%02d", year, month, of)
}

// clock writes a time of day with the digits of its fraction that are no trailing zeros.
func clock(ms, nanos int64) string {
	s := ms / 1000
	shown := fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
	if fraction := strings.TrimRight(fmt.Sprintf("%09d", ms%1000*1_000_000+nanos), "0"); fraction != "" {
		shown += "." + fraction
	}
	return shown
}
