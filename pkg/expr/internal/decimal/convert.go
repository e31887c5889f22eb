package decimal

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"pencere/pkg/javafmt"
)

// Append appends v of the given scale with all its digits and no exponent, as BigDecimal.toPlainString: "-0.05", "100.00".
func Append(dst []byte, v Num, scale int) []byte {
	m, negative := magnitude(v)
	var digits [MaxPrecision + 2]byte
	n := len(digits)
	rest := uint256{m.lo, m.hi}
	for rest[1] != 0 || rest[0] != 0 || len(digits)-n <= scale {
		var chunk uint64
		rest, chunk = rest.div(1e18)
		for range 18 {
			if n == 0 || rest == (uint256{}) && chunk == 0 && len(digits)-n > scale {
				break
			}
			n--
			digits[n] = byte('0' + chunk%10)
			chunk /= 10
		}
	}
	if negative {
		dst = append(dst, '-')
	}
	dst = append(dst, digits[n:len(digits)-scale]...)
	if scale > 0 {
		dst = append(append(dst, '.'), digits[len(digits)-scale:]...)
	}
	return dst
}

// Float64 returns v as Flink's DecimalDataUtils.doubleValue: up to 18 digits of precision the unscaled long is divided by a
// power of ten, which rounds twice; above it is the nearest double.
func Float64(v Num, precision, scale int) float64 {
	if precision <= 18 {
		return float64(float64(int64(v.LowBits())) / float64(powers64[scale]))
	}
	if small, ok := Small(v); ok && scale <= 22 && -1<<53 < small && small < 1<<53 {
		return float64(float64(small) / exactPowers[scale])
	}
	f, _ := strconv.ParseFloat(string(Append(nil, v, scale)), 64)
	return f
}

// exactPowers are the powers of ten that a double holds exactly.
var exactPowers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// Int64 returns the integer part of v as BigDecimal.longValue does: the low 64 bits.
func Int64(v Num, scale int) int64 {
	if scale == 0 {
		return int64(v.LowBits())
	}
	return int64(Truncate(v, scale).LowBits())
}

// FromFloat64 returns x at the scale, rounded half up, and whether it is finite and fits precision digits. What is rounded is
// the decimal that Java prints for x, not x itself: BigDecimal.valueOf.
func FromFloat64(x float64, precision, scale int) (Num, bool) {
	if scale < len(exactPowers) {
		// The printed decimal differs from x by at most one part in 2^52, so away from a tie both round alike.
		y := math.Abs(x) * exactPowers[scale]
		if y < 1<<49 {
			whole := math.Floor(y)
			if fraction := y - whole; math.Abs(fraction-0.5) > y*0x1p-50+0x1p-200 {
				if fraction > 0.5 {
					whole++
				}
				v := int64(whole)
				if x < 0 {
					v = -v
				}
				n := FromInt64(v)
				return n, uint64(whole) < powers64[min(precision, 19)]
			}
		}
	}
	return fromPrinted(javafmt.AppendDouble(nil, x), precision, scale)
}

func fromPrinted(text []byte, precision, scale int) (Num, bool) {
	v, err := Parse(string(text), precision, scale)
	return v, err == nil
}

// RoundFloat64 returns x rounded half up to digits digits after the point (before it, if negative), as
// BigDecimal.valueOf(x).setScale(digits, HALF_UP).doubleValue(). ok is false for NaN and infinities.
func RoundFloat64(x float64, digits int) (rounded float64, ok bool) {
	if x-x != 0 {
		return 0, false
	}
	if 0 <= digits && digits < len(exactPowers) {
		y := math.Abs(x) * exactPowers[digits]
		if whole := math.Floor(y); y < 1<<49 && math.Abs(y-whole-0.5) > y*0x1p-50+0x1p-200 {
			if y-whole > 0.5 {
				whole++
			}
			if x < 0 && whole != 0 {
				whole = -whole
			}
			return whole / exactPowers[digits], true
		}
	}
	text := string(javafmt.AppendDouble(nil, x))
	mantissa, e, _ := strings.Cut(text, "E")
	exponent, _ := strconv.Atoi(e)
	negative, mantissa := sign(mantissa)
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	kept := len(whole) + exponent + digits // digits that stay
	switch {
	case kept >= len(all):
		return x + 0, true // + 0 makes -0.0 the 0.0 that BigDecimal knows
	case kept < 0:
		return 0, true
	}
	v, _ := new(big.Int).SetString("0"+all[:kept], 10)
	if all[kept] >= '5' {
		v.Add(v, big.NewInt(1))
	}
	f, _ := strconv.ParseFloat(v.String()+"e"+strconv.Itoa(-digits), 64)
	if negative && f != 0 {
		f = -f
	}
	return f, true
}
