// Package javafmt writes floating-point numbers as Java 17 does, byte for byte.
//
// Flink prints DOUBLE and FLOAT with Double.toString and Float.toString. Up to JDK 18 their digits are not always
// the shortest that read back (JDK-4511638), so a file that is to be equal to Flink's needs that algorithm and not
// strconv's. The package is pure; its functions may be called from any goroutine.
package javafmt

import (
	"math"
	"strconv"
)

// AppendDouble appends x to dst as Java 17's Double.toString(double) writes it: "0.18", "1.0E7", "-0.0", "NaN",
// "-Infinity". It allocates nothing for 1e-3 <= |x| < 2^54, whose digits are the shortest that read back.
func AppendDouble(dst []byte, x float64) []byte {
	dst, x, done := appendSpecial(dst, x)
	if done {
		return dst
	}
	if x < shortestFrom || x >= shortestDoubleTo {
		return appendScientific(dst, legacyDigits(math.Float64bits(x), 52))
	}
	if n, scale, ok := fewDigits(x, 1e15); ok {
		return appendDecimal(dst, n, scale)
	}
	return appendShortest(dst, x, 64)
}

// AppendFloat appends x to dst as Java 17's Float.toString(float) writes it. It allocates nothing for
// 1e-3 <= |x| < 2^25, whose digits are the shortest that read back as a float32.
func AppendFloat(dst []byte, x float32) []byte {
	dst, wide, done := appendSpecial(dst, float64(x))
	if done {
		return dst
	}
	if wide < shortestFrom || wide >= shortestFloatTo {
		return appendScientific(dst, legacyDigits(uint64(math.Float32bits(float32(wide))), 23))
	}
	if n, scale, ok := fewDigits(float32(wide), 1e6); ok {
		return appendDecimal(dst, n, scale)
	}
	return appendShortest(dst, wide, 32)
}

// Between these bounds Java 17 writes the shortest digits that read back. Below 1e-3 it sometimes writes one more;
// from the upper bounds on it writes the digits of the integer itself.
const (
	shortestFrom     = 1e-3
	shortestDoubleTo = 1 << 54
	shortestFloatTo  = 1 << 25
	plainTo          = 1e7 // from here on Java writes an exponent
)

// appendSpecial writes NaN, infinities and zeros, and the sign of any other x, of which it returns the magnitude.
func appendSpecial(dst []byte, x float64) (_ []byte, magnitude float64, done bool) {
	if x != x {
		return append(dst, "NaN"...), 0, true
	}
	if math.Signbit(x) {
		dst = append(dst, '-')
		x = -x
	}
	switch {
	case x == 0:
		return append(dst, "0.0"...), 0, true
	case x > math.MaxFloat64:
		return append(dst, "Infinity"...), 0, true
	}
	return dst, x, false
}

// powersOfTen are exact in float32 too.
var powersOfTen = [...]int64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000}

// fewDigits returns n and scale with x = n / 10^scale for an x of few digits, as prices and rates are: several
// times quicker than a search for the shortest digits. below is the power of ten of the digits that F holds for
// certain (6 for float32, 15 for float64): decimals of so many digits all read back as different numbers, so the
// one that reads back as x is the shortest. Both operands of the division are exact, so it rounds as reading does.
func fewDigits[F float32 | float64](x F, below F) (n int64, scale int, ok bool) {
	for scale, power := range powersOfTen {
		scaled := x * F(power)
		if scaled >= below {
			return 0, 0, false
		}
		n := int64(scaled + 0.5)
		if rest := scaled - F(n); rest > 1./16 || rest < -1./16 {
			continue // not near a whole number: the division would say so too, and slower
		}
		if F(n)/F(power) == x {
			return n, scale, true
		}
	}
	return 0, 0, false
}

// appendDecimal writes n / 10^scale, which is at least 1e-3; scale is the least possible.
func appendDecimal(dst []byte, n int64, scale int) []byte {
	power := powersOfTen[scale]
	whole, fraction := n/power, n%power
	if whole >= plainTo {
		return appendScientific(dst, digitsOf(uint64(n), scale))
	}
	dst = strconv.AppendInt(dst, whole, 10)
	dst = append(dst, '.')
	if scale == 0 {
		return append(dst, '0')
	}
	for ; scale > 1 && fraction < powersOfTen[scale-1]; scale-- {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, fraction, 10)
}

// appendShortest writes the shortest digits that read back as x, 1e-3 <= x, in Java's layout.
func appendShortest(dst []byte, x float64, bits int) []byte {
	mark := len(dst)
	if x < plainTo {
		dst = strconv.AppendFloat(dst, x, 'f', -1, bits)
		for _, c := range dst[mark:] {
			if c == '.' {
				return dst
			}
		}
		return append(dst, ".0"...)
	}
	dst = strconv.AppendFloat(dst, x, 'e', -1, bits) // d.ddde+dd
	exponent := dst[len(dst)-2:]
	tens, ones := exponent[0], exponent[1]
	dst = dst[:len(dst)-4]
	if len(dst) == mark+1 {
		dst = append(dst, ".0"...)
	}
	dst = append(dst, 'E')
	if tens != '0' {
		dst = append(dst, tens)
	}
	return append(dst, ones)
}

// digits is the decimal 0.d1d2d3… * 10^point, where d1d2d3… are the count digits of value; d1 is not 0.
type digits struct {
	value uint64
	count int
	point int
}

// digitsOf returns n / 10^scale without trailing zeros.
func digitsOf(n uint64, scale int) digits {
	d := digits{value: n, count: countDigits(n)}
	d.point = d.count - scale
	for d.value%10 == 0 {
		d.value /= 10
		d.count--
	}
	return d
}

func countDigits(n uint64) int {
	count := 1
	for ; n >= 10; n /= 10 {
		count++
	}
	return count
}

// appendScientific writes d in Java's layout: plain from 1e-3 up to 1e7, else with an exponent; at least one digit
// on either side of the point. The plain form is for the few values that round up to a bound.
func appendScientific(dst []byte, d digits) []byte {
	var buffer [20]byte
	text := strconv.AppendUint(buffer[:0], d.value, 10)
	switch {
	case d.point > 0 && d.point < 8:
		for len(text) < d.point {
			text = append(text, '0')
		}
		dst = append(dst, text[:d.point]...)
		return appendFraction(dst, text[d.point:])
	case d.point <= 0 && d.point > -3:
		dst = append(dst, "0.00"[:2-d.point]...)
		return append(dst, text...)
	}
	dst = append(dst, text[0])
	dst = appendFraction(dst, text[1:])
	dst = append(dst, 'E')
	return strconv.AppendInt(dst, int64(d.point-1), 10)
}

func appendFraction(dst, fraction []byte) []byte {
	dst = append(dst, '.')
	if len(fraction) == 0 {
		return append(dst, '0')
	}
	return append(dst, fraction...)
}
