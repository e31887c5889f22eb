package decimal

import (
	"cmp"
	"math/bits"
)

// uint256 is a product of two magnitudes, least significant word first.
type uint256 [4]uint64

func mul(a, b uint128) (p uint256) {
	if a.hi|b.hi == 0 {
		p[1], p[0] = bits.Mul64(a.lo, b.lo)
		return p
	}
	var c uint64
	p[1], p[0] = bits.Mul64(a.lo, b.lo)
	h1, l1 := bits.Mul64(a.hi, b.lo)
	h2, l2 := bits.Mul64(a.lo, b.hi)
	p[3], p[2] = bits.Mul64(a.hi, b.hi)
	p[1], c = bits.Add64(p[1], l1, 0)
	p[2], c = bits.Add64(p[2], h1, c)
	p[3] += c
	p[1], c = bits.Add64(p[1], l2, 0)
	p[2], c = bits.Add64(p[2], h2, c)
	p[3] += c
	return p
}

func (p uint256) compare(q uint256) int {
	for i := 3; i > 0; i-- {
		if p[i] != q[i] {
			return cmp.Compare(p[i], q[i])
		}
	}
	return cmp.Compare(p[0], q[0])
}

func (p uint256) low() uint128 { return uint128{p[1], p[0]} }

// num returns the magnitude p with a sign, and whether it fits precision digits.
func (p uint256) num(negative bool, precision int) (Num, bool) {
	if p[2]|p[3] != 0 || precision <= MaxPrecision && !p.low().less(powers[precision]) || int64(p[1]) < 0 {
		return Num{}, false
	}
	return signed(p.low(), negative), true
}

// div returns p / d and the remainder.
func (p uint256) div(d uint64) (q uint256, rest uint64) {
	for i := 3; i >= 0; i-- {
		if p[i] == 0 && rest == 0 {
			continue
		}
		q[i], rest = bits.Div64(rest, p[i], d)
	}
	return q, rest
}

// cutDigits returns p / 10^n, rounded down.
func (p uint256) cutDigits(n int) uint256 {
	for n > 0 {
		step := min(n, len(powers64)-1)
		p, _ = p.div(powers64[step])
		n -= step
	}
	return p
}

// dropDigits returns p / 10^n, rounded half up: the first of the dropped digits decides.
func (p uint256) dropDigits(n int) uint256 {
	if n == 0 {
		return p
	}
	q, digit := p.cutDigits(n - 1).div(10)
	if digit >= 5 {
		carry := uint64(1)
		for i := range q {
			q[i], carry = bits.Add64(q[i], 0, carry)
		}
	}
	return q
}

func (p uint256) add(q uint256) uint256 {
	carry := uint64(0)
	for i := range p {
		p[i], carry = bits.Add64(p[i], q[i], carry)
	}
	return p
}

// sub returns p - q; q is not greater.
func (p uint256) sub(q uint256) uint256 {
	borrow := uint64(0)
	for i := range p {
		p[i], borrow = bits.Sub64(p[i], q[i], borrow)
	}
	return p
}
