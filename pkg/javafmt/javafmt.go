// Package javafmt writes numbers, dates and times as Java 17 does, byte for byte.
//
// Flink prints DOUBLE and FLOAT with Double.toString and Float.toString. Up to JDK 18 their digits are not always
// the shortest that read back (JDK-4511638), so a file that is to be equal to Flink's needs that algorithm and not
// strconv's. The package is pure; its functions may be called from any goroutine.
package javafmt

import (
	"bytes"
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
	if n, ok := fewDigits(x, 1e15); ok {
		return appendDecimal(dst, n)
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
	if n, ok := fewDigits(float32(wide), 1e6); ok {
		return appendDecimal(dst, n)
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
	if math.IsNaN(x) {
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

// fewDigits returns x as n / 10,000 if that is exact in its digits, as it is for most prices and rates: several times
// quicker than a search for the shortest digits. below is the power of ten of the digits that F holds for certain (6
// for float32, 15 for float64): decimals of so many digits all read back as different numbers, so the one that reads
// back as x is the shortest. Both operands of the division are exact, so it rounds as reading does.
func fewDigits[F float32 | float64](x, below F) (n uint64, ok bool) {
	scaled := x * 10_000
	if scaled >= below {
		return 0, false
	}
	n = uint64(int64(scaled + 0.5))
	return n, F(int64(n))/10_000 == x
}

// appendDecimal writes n / 10,000.
func appendDecimal(dst []byte, n uint64) []byte {
	whole, fraction := n/10_000, uint32(n%10_000)
	if whole >= plainTo {
		return appendScientific(dst, digitsOf(n, 4))
	}
	dst = appendUint(dst, whole)
	switch {
	case fraction == 0:
		return append(dst, '.', '0')
	case fraction%1000 == 0:
		return append(dst, '.', '0'+byte(fraction/1000))
	}
	high, low := fraction/100, fraction%100
	dst = append(dst, '.', '0'+byte(high/10), '0'+byte(high%10))
	switch {
	case low == 0:
		return dst
	case low%10 == 0:
		return append(dst, '0'+byte(low/10))
	}
	return append(dst, '0'+byte(low/10), '0'+byte(low%10))
}

// appendShortest writes the shortest digits that read back as x, 1e-3 <= x, in Java's layout.
func appendShortest(dst []byte, x float64, bits int) []byte {
	mark := len(dst)
	if x < plainTo {
		dst = strconv.AppendFloat(dst, x, 'f', -1, bits)
		if bytes.IndexByte(dst[mark:], '.') >= 0 {
			return dst
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

// appendScientific writes d in Java's layout: plain from 1e-3 up to 1e7, else with an exponent; at least one digit
// on either side of the point. The plain form is for the few values that round up to a bound.
func appendScientific(dst []byte, d digits) []byte {
	var buffer [20]byte
	text := appendUint(buffer[:0], d.value)
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
	return AppendLong(dst, int64(d.point-1))
}

func appendFraction(dst, fraction []byte) []byte {
	dst = append(dst, '.')
	if len(fraction) == 0 {
		return append(dst, '0')
	}
	return append(dst, fraction...)
}
