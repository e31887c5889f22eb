package javafmt

import (
	"math"
	"math/big"
	"math/bits"
)

// legacyDigits returns the digits that the FloatingDecimal class of JDK 17 develops for a positive finite number,
// given by its IEEE 754 bits with fractionBits bits of fraction (52 or 23).
//
// The algorithm is the free-format one of Steele and White ("How to Print Floating-Point Numbers Accurately",
// PLDI 1990) with shortcuts that cost exactness: large integers are cut in decimal, not at the nearest neighbour;
// the first digit never ends the search when an exponent will be written; and small operands are compared in
// arithmetic that may overflow. All three show in the output, so all three are kept.
func legacyDigits(pattern uint64, fractionBits int) digits {
	f := decompose(pattern, fractionBits)
	if f.exponent <= 62 && f.bitsBelowPoint() == 0 {
		return f.integerDigits()
	}
	return f.fractionDigits()
}

// binary is the number significand * 2^(exponent-52); the top bit of significand is bit 52.
type binary struct {
	significand uint64
	exponent    int
	precision   int // bits that the format holds for this number: fewer for subnormals
}

func decompose(pattern uint64, fractionBits int) binary {
	exponentBits := uint(10)
	if fractionBits == 23 {
		exponentBits = 7
	}
	bias := 1<<exponentBits - 1
	fraction := pattern & (1<<fractionBits - 1)
	exponent := int(pattern >> fractionBits)
	if exponent > 0 {
		fraction |= 1 << fractionBits
		return binary{fraction << (52 - fractionBits), exponent - bias, fractionBits + 1}
	}
	length := bits.Len64(fraction) // subnormal: as many bits as there are
	return binary{fraction << (53 - length), length - fractionBits - bias, length}
}

// length is the number of significant bits without trailing zeros.
func (f binary) length() int { return 53 - bits.TrailingZeros64(f.significand) }

// bitsBelowPoint is how many binary places the number has; 0 for an integer.
func (f binary) bitsBelowPoint() int { return max(0, f.length()-f.exponent-1) }

// integerDigits develops an integer below 2^63: all its digits, but for those that the format cannot hold.
func (f binary) integerDigits() digits {
	value, dropped := f.significand, 0
	if f.exponent >= 52 {
		value <<= f.exponent - 52
	} else {
		value >>= 52 - f.exponent
	}
	if f.exponent > f.precision {
		dropped = countDigits(1<<(f.exponent-f.precision-1)) - 1
	}
	if dropped > 0 {
		power := powersOfTen[dropped]
		rest := value % power
		value /= power
		if rest >= power/2 {
			value++
		}
	}
	return digitsOf(value, -dropped)
}

// scaled is the number as the fraction b/s with half a unit in its last place, m/s:
// b = significand * 5^b5 * 2^b2, s = 5^s5 * 2^s2, m = 5^b5 * 2^m2.
type scaled struct {
	significand    uint64
	b2, b5, s2, s5 int
	m2             int
	point          int // the estimated decimal exponent, or one more than it
}

func (f binary) scale() scaled {
	length := f.length()
	point := estimatePoint(f)
	n := scaled{significand: f.significand >> (53 - length), b5: max(0, -point), s5: max(0, point), point: point}
	places := f.bitsBelowPoint()
	n.b2 = n.b5 + places + f.exponent
	n.s2 = n.s5 + places
	n.m2 = n.b2 - f.precision
	n.b2 -= length - 1
	common := min(n.b2, n.s2)
	n.b2, n.s2, n.m2 = n.b2-common, n.s2-common, n.m2-common
	if length == 1 {
		n.m2-- // a power of two is closer to its lower neighbour
	}
	if n.m2 < 0 {
		n.b2, n.s2, n.m2 = n.b2-n.m2, n.s2-n.m2, 0
	}
	return n
}

// estimatePoint returns floor(log10) of the number, or one more, by a tangent of the logarithm at 1.5. Each operation
// is rounded by itself, as Java does: the conversions keep the compiler from fusing them.
func estimatePoint(f binary) int {
	mantissa := math.Float64frombits(1023<<52 | f.significand&(1<<52-1))
	tangent := float64((mantissa-1.5)*0.289529654) + 0.176091259
	return int(math.Floor(tangent + float64(float64(f.exponent)*0.301029995663981)))
}

// fractionDigits develops any other number, in the narrowest arithmetic that Java deems sufficient.
func (f binary) fractionDigits() digits {
	n := f.scale()
	numerator := f.length() + n.b2 + bitsOfPower5(n.b5)
	denominator := n.s2 + 1 + bitsOfPower5(n.s5+1)
	switch {
	case numerator < 32 && denominator < 32:
		return develop(n.point, newNative[int32](n))
	case numerator < 64 && denominator < 64:
		return develop(n.point, newNative[int64](n))
	default:
		return develop(n.point, newExact(n))
	}
}

// bitsOfPower5 is Java's bound of the bits of 5^k, exact up to its table's end.
func bitsOfPower5(k int) int {
	switch {
	case k == 0:
		return 0
	case k < 27:
		return bits.Len64(power5(k))
	default:
		return 3 * k
	}
}

func power5(k int) uint64 {
	power := uint64(1)
	for range k {
		power *= 5
	}
	return power
}

// division develops b/s digit by digit.
type division interface {
	// step returns the next digit, and whether the digits so far, as they are (low) or with the last one
	// increased (high), are within half a unit of the number.
	step(first bool) (digit uint64, low, high bool)
	// half compares what is left with half a unit of the last digit: -1, 0, 1.
	half() int
}

func develop(point int, n division) digits {
	d := digits{point: point + 1}
	digit, low, high := n.step(true)
	if digit == 0 && !high {
		d.point-- // the estimate was one too high
		point--
	} else {
		d.value, d.count = digit, 1
	}
	if point < -3 || point >= 8 {
		low, high = false, false // an exponent will be written: it wants a second digit
	}
	for !low && !high {
		digit, low, high = n.step(false)
		d.value, d.count = d.value*10+digit, d.count+1
	}
	if !high {
		return d
	}
	if low {
		if order := n.half(); order < 0 || order == 0 && d.value%2 == 0 {
			return d
		}
	}
	return d.increased()
}

// increased returns d with its last digit one higher.
func (d digits) increased() digits {
	d.value++
	if countDigits(d.value) > d.count {
		d.value /= 10
		d.point++
	}
	return d
}

// native is the division in Java's int or long, overflows included.
type native[T int32 | int64] struct{ b, s, m T }

func newNative[T int32 | int64](n scaled) *native[T] {
	return &native[T]{
		b: T(n.significand) * T(power5(n.b5)) << n.b2,
		s: T(power5(n.s5)) << n.s2,
		m: T(power5(n.b5)) << n.m2,
	}
}

func (n *native[T]) step(first bool) (digit uint64, low, high bool) {
	digit = uint64(n.b / n.s)
	n.b = n.b % n.s * 10
	n.m *= 10
	if n.m <= 0 && !first {
		return digit, true, true
	}
	return digit, n.b < n.m, n.b+n.m > n.s*10
}

func (n *native[T]) half() int {
	switch rest := n.b<<1 - n.s*10; {
	case rest < 0:
		return -1
	case rest > 0:
		return 1
	default:
		return 0
	}
}

// exact is the division in integers of any size.
type exact struct{ b, s, tens, m, quotient, sum big.Int }

func newExact(n scaled) *exact {
	var power big.Int
	power.Exp(big.NewInt(5), big.NewInt(int64(n.b5)), nil)
	e := &exact{}
	e.b.SetUint64(n.significand)
	e.b.Mul(&e.b, &power).Lsh(&e.b, uint(n.b2))
	e.m.Lsh(&power, uint(n.m2))
	e.s.Exp(big.NewInt(5), big.NewInt(int64(n.s5)), nil)
	e.s.Lsh(&e.s, uint(n.s2))
	e.tens.Mul(&e.s, ten)
	return e
}

// ten is never written to.
var ten = big.NewInt(10)

func (e *exact) step(bool) (digit uint64, low, high bool) {
	e.quotient.QuoRem(&e.b, &e.s, &e.b)
	digit = e.quotient.Uint64()
	e.b.Mul(&e.b, ten)
	e.m.Mul(&e.m, ten)
	e.sum.Add(&e.b, &e.m)
	return digit, e.b.Cmp(&e.m) < 0, e.sum.Cmp(&e.tens) >= 0
}

func (e *exact) half() int {
	e.sum.Lsh(&e.b, 1)
	return e.sum.Cmp(&e.tens)
}
