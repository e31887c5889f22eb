package decimal

import (
	"math/big"
)

// Divide returns a of scale sa / b of scale sb with the digits of to, and whether it fits them; b is not 0. The quotient is first rounded half
// up to 38 significant digits and then to the scale, as Flink's DecimalDataUtils.divide does with MathContext(38, HALF_UP).
func Divide(a Num, sa int, b Num, sb int, to Digits) (Num, bool) {
	if shift := to.Scale + sb - sa; shift >= 0 && shift <= MaxPrecision {
		if q, ok := divideSmall(a, b, shift); ok {
			return q, Fits(q, to.Precision)
		}
	}
	return divideWide(a, sa, b, sb, to)
}

// divideSmall returns a * 10^shift / b rounded half up where b fits 64 bits and both roundings of Divide agree.
func divideSmall(a, b Num, shift int) (Num, bool) {
	ma, na := magnitude(a)
	mb, nb := magnitude(b)
	if mb.hi != 0 || mb.lo >= 1<<62 {
		return Num{}, false
	}
	q, rest := mul(ma, powers[shift]).div(mb.lo)
	// Rounding to 38 digits first moves a quotient of up to 18 digits by less than 10^-20 of a unit; its distance from
	// a tie is at least 1/(2b) of a unit, which is more.
	if q[3]|q[2]|q[1] != 0 || q[0] >= powers64[18] {
		return Num{}, false
	}
	if 2*rest >= mb.lo {
		q[0]++
	}
	return signed(q.low(), na != nb), true
}

// divideWide is Divide for all values.
func divideWide(a Num, sa int, b Num, sb int, to Digits) (Num, bool) {
	x, y := a.BigInt(), b.BigInt()
	negative := x.Sign()*y.Sign() < 0
	x.Abs(x)
	y.Abs(y)
	if x.Sign() == 0 {
		return Num{}, true
	}
	// The quotient's scale is chosen so that it has 38 digits or one more; then digits are dropped to 38.
	scale := MaxPrecision + digits(y) - digits(x)
	if scale >= 0 {
		x.Mul(x, pow10(scale))
	} else {
		y.Mul(y, pow10(-scale))
	}
	q, rest := new(big.Int).QuoRem(x, y, new(big.Int))
	sticky := rest.Sign() != 0
	scale += sa - sb
	if digits(q) > MaxPrecision {
		q, scale = halfUp(q, 1), scale-1
	} else if sticky && rest.Lsh(rest, 1).Cmp(y) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	if to.Scale >= scale {
		q.Mul(q, pow10(to.Scale-scale))
	} else {
		q = halfUp(q, scale-to.Scale)
	}
	if digits(q) > to.Precision {
		return Num{}, false
	}
	return fromBig(q, negative), true
}

// Remainder returns a - b*trunc(a/b) with the digits of to, and whether it fits them; b is not 0. possible is false
// where the whole quotient has more than 38 digits, for which Flink fails ("Division impossible").
func Remainder(a Num, sa int, b Num, sb int, to Digits) (r Num, fits, possible bool) {
	scale := max(sa, sb)
	x, y := a.BigInt(), b.BigInt()
	x.Mul(x, pow10(scale-sa))
	y.Mul(y, pow10(scale-sb))
	q, rest := new(big.Int).QuoRem(x, y, new(big.Int))
	if digits(q) > MaxPrecision {
		return Num{}, false, false
	}
	negative := rest.Sign() < 0
	rest.Abs(rest)
	if to.Scale >= scale {
		rest.Mul(rest, pow10(to.Scale-scale))
	} else {
		rest = halfUp(rest, scale-to.Scale)
	}
	if digits(rest) > to.Precision {
		return Num{}, false, true
	}
	return fromBig(rest, negative), true, true
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// digits is the number of decimal digits of |v|, 1 for 0.
func digits(v *big.Int) int {
	if v.IsUint64() {
		n, u := 1, v.Uint64()
		for n < len(powers64) && u >= powers64[n] {
			n++
		}
		return n
	}
	return len(new(big.Int).Abs(v).Text(10))
}

// halfUp returns v / 10^n, rounded half up; v is not negative.
func halfUp(v *big.Int, n int) *big.Int {
	p := pow10(n)
	q, rest := new(big.Int).QuoRem(v, p, new(big.Int))
	if rest.Lsh(rest, 1).Cmp(p) >= 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

func fromBig(v *big.Int, negative bool) Num {
	words := new(big.Int).Rsh(v, 64)
	return signed(uint128{words.Uint64(), new(big.Int).And(v, new(big.Int).SetUint64(1<<64-1)).Uint64()}, negative)
}
