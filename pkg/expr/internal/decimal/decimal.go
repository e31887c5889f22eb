// Package decimal calculates with DECIMAL values of up to 38 digits as Flink's DecimalData does: exactly, rounded half up
// (away from zero), never through a binary fraction. Values are unscaled 128-bit integers; scales are the callers'
// business and always between 0 and 38. The package is pure.
package decimal

import (
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Num is an unscaled value.
type Num = decimal128.Num

// MaxPrecision is the largest number of digits.
const MaxPrecision = 38

// uint128 is a magnitude.
type uint128 struct{ hi, lo uint64 }

// powers are 10^0 … 10^38.
var powers = func() (all [MaxPrecision + 1]uint128) {
	p := uint128{0, 1}
	for i := range all {
		all[i] = p
		hi, lo := bits.Mul64(p.lo, 10)
		p = uint128{hi + p.hi*10, lo}
	}
	return all
}()

// powers64 are 10^0 … 10^19.
var powers64 = func() (all [20]uint64) {
	p := uint64(1)
	for i := range all {
		all[i] = p
		p *= 10
	}
	return all
}()

func (a uint128) less(b uint128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// magnitude returns |v| and whether v is negative.
func magnitude(v Num) (uint128, bool) {
	hi, lo := uint64(v.HighBits()), v.LowBits()
	if v.HighBits() >= 0 {
		return uint128{hi, lo}, false
	}
	lo, carry := bits.Add64(^lo, 1, 0)
	return uint128{^hi + carry, lo}, true
}

func signed(m uint128, negative bool) Num {
	if !negative {
		return decimal128.New(int64(m.hi), m.lo)
	}
	lo, carry := bits.Add64(^m.lo, 1, 0)
	return decimal128.New(int64(^m.hi+carry), lo)
}

// Small reports whether v fits 64 bits, and returns it.
func Small(v Num) (int64, bool) {
	lo := int64(v.LowBits())
	return lo, v.HighBits() == lo>>63
}

// FromInt64 returns v as an unscaled value.
func FromInt64(v int64) Num { return decimal128.New(v>>63, uint64(v)) }

// Power64 returns 10^n, n up to 18.
func Power64(n int) int64 { return int64(powers64[n]) }

// Fits reports whether v has at most precision digits.
func Fits(v Num, precision int) bool {
	m, _ := magnitude(v)
	return precision > MaxPrecision || m.less(powers[precision])
}

// Add returns a + b and whether the sum fits 128 bits.
func Add(a, b Num) (Num, bool) {
	lo, carry := bits.Add64(a.LowBits(), b.LowBits(), 0)
	hi := a.HighBits() + b.HighBits() + int64(carry)
	// Overflow shows as a sign that neither operand has.
	return decimal128.New(hi, lo), (a.HighBits()^hi)&(b.HighBits()^hi) >= 0
}

// Neg returns -a; 38 digits never overflow.
func Neg(a Num) Num {
	lo, carry := bits.Add64(^a.LowBits(), 1, 0)
	return decimal128.New(int64(^uint64(a.HighBits())+carry), lo)
}

// Abs returns |a|.
func Abs(a Num) Num {
	if a.HighBits() < 0 {
		return Neg(a)
	}
	return a
}

// Mul64 returns a * b exactly.
func Mul64(a, b int64) Num {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return decimal128.New(int64(hi)-(a>>63)&b-(b>>63)&a, lo)
}

// Mul returns a * b / 10^drop, rounded half up, and whether it fits precision digits.
func Mul(a, b Num, drop, precision int) (Num, bool) {
	ma, na := magnitude(a)
	mb, nb := magnitude(b)
	return mul(ma, mb).dropDigits(drop).num(na != nb, precision)
}

// Rescale returns v, whose scale is from, at the scale to, rounded half up, and whether it fits precision digits.
func Rescale(v Num, from, to, precision int) (Num, bool) {
	m, negative := magnitude(v)
	if to >= from {
		return mul(m, powers[to-from]).num(negative, precision)
	}
	return uint256{m.lo, m.hi}.dropDigits(from-to).num(negative, precision)
}

// Truncate returns v without its last n digits, rounded towards zero.
func Truncate(v Num, n int) Num {
	m, negative := magnitude(v)
	if n > MaxPrecision {
		return Num{}
	}
	return signed(uint256{m.lo, m.hi}.cutDigits(n).low(), negative)
}

// Floor returns v / 10^scale, rounded towards minus infinity.
func Floor(v Num, scale int) Num {
	whole := Truncate(v, scale)
	if v.HighBits() < 0 && hasFraction(v, whole, scale) {
		whole, _ = Add(whole, FromInt64(-1))
	}
	return whole
}

// Ceil returns v / 10^scale, rounded towards plus infinity.
func Ceil(v Num, scale int) Num {
	whole := Truncate(v, scale)
	if v.HighBits() >= 0 && hasFraction(v, whole, scale) {
		whole, _ = Add(whole, FromInt64(1))
	}
	return whole
}

func hasFraction(v, whole Num, scale int) bool {
	back, _ := Rescale(whole, 0, scale, MaxPrecision+1)
	return back != v
}

// Compare orders a of scale sa and b of scale sb: negative, 0 or positive.
func Compare(a Num, sa int, b Num, sb int) int {
	ma, na := magnitude(a)
	mb, nb := magnitude(b)
	if na != nb {
		if na {
			return -1
		}
		return 1
	}
	order := mul(ma, powers[max(sb-sa, 0)]).compare(mul(mb, powers[max(sa-sb, 0)]))
	if na {
		return -order
	}
	return order
}

// AddScaled returns a * 10^upA + b * 10^upB where the caller knows that it fits 38 digits.
func AddScaled(a Num, upA int, b Num, upB int) Num {
	sum, _ := Add(ScaleUp(a, upA), ScaleUp(b, upB))
	return sum
}

// ScaleUp returns v * 10^n where the caller knows that it fits 128 bits.
func ScaleUp(v Num, n int) Num {
	if n == 0 {
		return v
	}
	if small, ok := Small(v); ok && n < 19 {
		return Mul64(small, int64(powers64[n]))
	}
	m, negative := magnitude(v)
	return signed(mul(m, powers[n]).low(), negative)
}

// Digits is what a result may have: digits in all, and digits after the point.
type Digits struct{ Precision, Scale int }

// AddWide returns a of scale sa + b of scale sb, rounded half up to the digits of to, and whether it fits them.
func AddWide(a Num, sa int, b Num, sb int, to Digits) (Num, bool) {
	ma, na := magnitude(a)
	mb, nb := magnitude(b)
	scale := max(sa, sb)
	x, y := mul(ma, powers[scale-sa]), mul(mb, powers[scale-sb])
	drop := max(scale-to.Scale, 0)
	if na == nb {
		return x.add(y).dropDigits(drop).num(na, to.Precision)
	}
	if x.compare(y) < 0 {
		x, y, na = y, x, nb
	}
	return x.sub(y).dropDigits(drop).num(na, to.Precision)
}

// Round returns v, of the given scale, rounded half up to digits digits after the point, at the same scale. A result beyond 128 bits wraps around.
func Round(v Num, scale, digits int) Num {
	drop := scale - digits
	if drop <= 0 {
		return v
	}
	if drop > MaxPrecision+1 {
		return Num{}
	}
	m, negative := magnitude(v)
	cut := uint256{m.lo, m.hi}.dropDigits(drop).low()
	return signed(mul(cut, power(drop)).low(), negative)
}

// RoundDown is Round towards zero.
func RoundDown(v Num, scale, digits int) Num {
	drop := scale - digits
	if drop <= 0 {
		return v
	}
	if drop > MaxPrecision {
		return Num{}
	}
	m, negative := magnitude(v)
	cut := uint256{m.lo, m.hi}.cutDigits(drop).low()
	return signed(mul(cut, powers[drop]).low(), negative)
}

// power returns 10^n, modulo 2^128 above 38.
func power(n int) uint128 {
	if n <= MaxPrecision {
		return powers[n]
	}
	return mul(powers[MaxPrecision], powers[n-MaxPrecision]).low()
}
