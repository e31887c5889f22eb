package json

import (
	"math"
	"math/bits"
	"strconv"
	"unicode"
	"unicode/utf8"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// quickInt reads an integer of up to 18 digits that nothing of a number follows. It returns none for all else, good or bad.
func quickInt(b []byte, i int) (v int64, next int) {
	negative := b[i] == '-'
	if negative {
		i++
	}
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		v = v*10 + int64(b[i]-'0')
		i++
	}
	n := i - start
	if n == 0 || n > 18 || n > 1 && b[start] == '0' || i < len(b) && (b[i] == '.' || b[i]|0x20 == 'e') {
		return 0, none
	}
	if negative {
		v = -v
	}
	return v, i
}

// quickNumber reads a number of up to 18 digits without exponent as its digits, how many of them are behind the point, and
// its sign. It returns none for all else, good or bad.
func quickNumber(b []byte, i int) (digits uint64, fraction int, negative bool, next int) {
	if b[i] == '-' {
		negative = true
		i++
	}
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		digits = digits*10 + uint64(b[i]-'0')
		i++
	}
	whole := i - start
	if i < len(b) && b[i] == '.' {
		i++
		for i < len(b) && b[i]-'0' <= 9 {
			digits = digits*10 + uint64(b[i]-'0')
			i++
		}
		if fraction = i - start - whole - 1; fraction == 0 {
			return 0, 0, false, none
		}
	}
	if whole == 0 || whole > 1 && b[start] == '0' || whole+fraction > 18 || i < len(b) && b[i]|0x20 == 'e' {
		return 0, 0, false, none
	}
	return digits, fraction, negative, i
}

// powers of ten that a float64 holds exactly.
var powers = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}

// quickDouble reads a number without exponent whose digits make an integer below 2^53. One correctly rounded division by
// an exact power of ten is then the correctly rounded value (Clinger, How to Read Floating Point Numbers Accurately,
// PLDI 1990). It returns none for all else, good or bad.
func quickDouble(b []byte, i int) (f float64, next int) {
	digits, fraction, negative, next := quickNumber(b, i)
	if next == none || digits >= 1<<53 {
		return 0, none
	}
	f = float64(digits) / powers[fraction]
	if negative {
		f = -f
	}
	return f, next
}

// quickDecimal reads a number without exponent that is exact at the scale and has up to 18 digits there. It returns none for
// all else, good or bad.
func quickDecimal(b []byte, i, precision, scale int) (v int64, next int) {
	digits, fraction, negative, next := quickNumber(b, i)
	if next == none || fraction > scale {
		return 0, none
	}
	for ; fraction < scale && digits < 1e17; fraction++ {
		digits *= 10
	}
	if fraction < scale || precision < 18 && digits >= uint64(powers[precision]) {
		return 0, none
	}
	if negative {
		return -int64(digits), next
	}
	return int64(digits), next
}

// fits reports whether v is in the range of an integer type.
func fits(kind sqltype.Kind, v int64) bool {
	switch kind {
	case sqltype.TinyInt:
		return v == int64(int8(v))
	case sqltype.SmallInt:
		return v == int64(int16(v))
	case sqltype.Int:
		return v == int64(int32(v))
	default:
		return true
	}
}

// parseInteger reads a whole number as Java's Long.parseLong does, which knows the decimal digits of all scripts of the
// Basic Multilingual Plane.
func parseInteger(text []byte) (v int64, reason string) {
	negative := len(text) > 0 && text[0] == '-'
	if len(text) > 0 && (negative || text[0] == '+') {
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, notInteger
	}
	var m uint64
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	for len(text) > 0 {
		digit, size := digitAt(text)
		if size == 0 {
			return 0, notInteger
		}
		high, low := bits.Mul64(m, 10)
		m = low + uint64(digit)
		if high != 0 || m < low || m > limit {
			return 0, outOfRange
		}
		text = text[size:]
	}
	if negative {
		m = -m
	}
	return int64(m), ""
}

// digitAt returns the value and size of the decimal digit at the start of text, size 0 if there is none.
func digitAt(text []byte) (value byte, size int) {
	if c := text[0]; c < utf8.RuneSelf {
		if c-'0' <= 9 {
			return c - '0', 1
		}
		return 0, 0
	}
	r, size := utf8.DecodeRune(text)
	for _, run := range unicode.Nd.R16 { // digits stand in runs of ten
		if rune(run.Lo) <= r && r <= rune(run.Hi) {
			return byte((r - rune(run.Lo)) % 10), size
		}
	}
	return 0, 0
}

// truncated reads a number with a fraction or exponent into an INT or BIGINT as Jackson does: by way of a double, cut
// toward zero. The range is judged on the double; the two doubles just beyond BIGINT's ends count as the ends.
func truncated(kind sqltype.Kind, number []byte) (v int64, reason string) {
	f := parseFloat(number, 64)
	low, high := float64(math.MinInt64), float64(math.MaxInt64)
	if kind == sqltype.Int {
		low, high = math.MinInt32, math.MaxInt32
	}
	switch {
	case f < low || f > high:
		return 0, outOfRange
	case f == math.MaxInt64: // 2^63, one more than fits
		return math.MaxInt64, ""
	}
	return int64(f), ""
}

// parseFloat converts a number of JSON's or Go's syntax, of which the caller is sure, to the nearest value of that many
// bits; beyond the largest it is infinite.
func parseFloat(number []byte, size int) float64 {
	f, _ := strconv.ParseFloat(string(number), size)
	return f
}

// parseDouble reads what Java's Double.parseDouble does from text without blanks around it: decimal and hexadecimal
// numbers, with f or d behind them or not, NaN and Infinity.
func parseDouble(text []byte, size int) (f float64, ok bool) {
	unsigned := text
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		unsigned = text[1:]
	}
	switch string(unsigned) {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		if text[0] == '-' {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	}
	end := floatSyntax(unsigned)
	if end == 0 || end < len(unsigned)-1 || end < len(unsigned) && !isFloatSuffix(unsigned[end]) {
		return 0, false
	}
	return parseFloat(text[:len(text)-len(unsigned)+end], size), true
}

func isFloatSuffix(c byte) bool { return c|0x20 == 'f' || c|0x20 == 'd' }

// floatSyntax returns the length of the unsigned number that text begins with, 0 if there is none.
func floatSyntax(text []byte) int {
	isDigit, exponent, i := isDecimalDigit, byte('e'), 0
	hex := len(text) > 1 && text[0] == '0' && text[1]|0x20 == 'x'
	if hex {
		isDigit, exponent, i = isHexDigit, 'p', 2
	}
	digits := 0
	for point := false; i < len(text); i++ {
		if isDigit(text[i]) {
			digits++
		} else if text[i] == '.' && !point {
			point = true
		} else {
			break
		}
	}
	if digits == 0 {
		return 0
	}
	if i == len(text) || text[i]|0x20 != exponent {
		if hex {
			return 0 // its exponent is not optional
		}
		return i
	}
	i++
	if i < len(text) && (text[i] == '+' || text[i] == '-') {
		i++
	}
	end := skipDigits(text, i)
	if end == i {
		return 0
	}
	return end
}

func isDecimalDigit(c byte) bool { return c-'0' <= 9 }

func isHexDigit(c byte) bool { return c-'0' <= 9 || c|0x20-'a' <= 5 }

// decimal is a number as digits × 10^exponent.
type decimal struct {
	negative bool
	digits   []byte // ASCII, without leading zeros; empty for zero
	exponent int64
}

// parseDecimal reads what Java's BigDecimal constructor does, appending the digits to scratch space.
func parseDecimal(text, scratch []byte) (d decimal, ok bool) {
	d.digits = scratch
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		d.negative = text[0] == '-'
		text = text[1:]
	}
	seen, point := false, false
	for len(text) > 0 && text[0]|0x20 != 'e' {
		if text[0] == '.' {
			if point {
				return d, false
			}
			point, text = true, text[1:]
			continue
		}
		digit, size := digitAt(text)
		if size == 0 {
			return d, false
		}
		if digit != 0 || len(d.digits) > 0 {
			d.digits = append(d.digits, '0'+digit)
		}
		if point {
			d.exponent--
		}
		seen, text = true, text[size:]
	}
	if !seen {
		return d, false
	}
	if len(text) > 0 {
		written, ok := parseExponent(text[1:])
		if !ok {
			return d, false
		}
		d.exponent += written
	}
	return d, -d.exponent == int64(int32(-d.exponent)) // BigDecimal's scale is an int
}

// parseExponent reads what stands behind the e of a BigDecimal: at most ten digits but for leading zeros, within an int.
func parseExponent(text []byte) (v int64, ok bool) {
	negative := len(text) > 0 && text[0] == '-'
	if len(text) > 0 && (negative || text[0] == '+') {
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, false
	}
	for len(text) > 0 {
		digit, size := digitAt(text)
		v = v*10 + int64(digit)
		if size == 0 || v > math.MaxInt32 {
			return 0, false
		}
		text = text[size:]
	}
	if negative {
		v = -v
	}
	return v, true
}

// unscaled returns the number rounded half up to scale digits behind the point, as an integer of that scale, and whether
// it has no more than precision digits.
func (d decimal) unscaled(precision, scale int) (v decimal128.Num, ok bool) {
	keep := int64(len(d.digits)) + d.exponent + int64(scale)
	if len(d.digits) == 0 || keep < 0 {
		return v, true
	}
	if keep > int64(precision) {
		return v, false
	}
	var high, low uint64
	for i := range int(keep) {
		digit := uint64(0)
		if i < len(d.digits) {
			digit = uint64(d.digits[i] - '0')
		}
		high, low = times10(high, low, digit)
	}
	if int(keep) < len(d.digits) && d.digits[keep] >= '5' {
		var carry uint64
		low, carry = bits.Add64(low, 1, 0)
		high += carry
	}
	v = decimal128.New(int64(high), low)
	if !v.FitsInPrecision(int32(precision)) {
		return v, false
	}
	if d.negative {
		v = v.Negate()
	}
	return v, true
}

func times10(high, low, digit uint64) (uint64, uint64) {
	over, low := bits.Mul64(low, 10)
	low, carry := bits.Add64(low, digit, 0)
	return high*10 + over + carry, low
}
