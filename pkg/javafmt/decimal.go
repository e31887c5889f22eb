package javafmt

import (
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// MaxDecimalText is above the longest decimal in bytes: 39 digits, sign, point, "0.", exponent.
const MaxDecimalText = 64

// AppendPlainDecimal appends unscaled / 10^scale as BigDecimal.toPlainString does.
func AppendPlainDecimal(dst []byte, unscaled decimal128.Num, scale int) []byte {
	var buffer [MaxDecimalText]byte
	if unscaled.Sign() < 0 {
		dst = append(dst, '-')
	}
	return appendPoint(dst, appendMagnitude(buffer[:0], unscaled), scale)
}

// AppendScientificDecimal appends unscaled / 10^scale as BigDecimal.stripTrailingZeros().toString() does: plain unless
// zeros were stripped before the point or more than five would follow it.
func AppendScientificDecimal(dst []byte, unscaled decimal128.Num, scale int) []byte {
	var buffer [MaxDecimalText]byte
	digits := appendMagnitude(buffer[:0], unscaled)
	if unscaled.Sign() < 0 {
		dst = append(dst, '-')
	}
	for len(digits) > 1 && digits[len(digits)-1] == '0' {
		digits, scale = digits[:len(digits)-1], scale-1
	}
	if digits[0] == '0' {
		return append(dst, '0')
	}
	exponent := len(digits) - 1 - scale
	if scale >= 0 && exponent >= -6 {
		return appendPoint(dst, digits, scale)
	}
	dst = append(dst, digits[0])
	if len(digits) > 1 {
		dst = append(dst, '.')
		dst = append(dst, digits[1:]...)
	}
	dst = append(dst, 'E')
	if exponent > 0 {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, int64(exponent), 10)
}

// appendPoint appends digits with scale of them after the point.
func appendPoint(dst, digits []byte, scale int) []byte {
	whole := len(digits) - scale
	if whole > 0 {
		dst = append(dst, digits[:whole]...)
		digits = digits[whole:]
	} else {
		dst = append(dst, '0')
	}
	if scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	for ; whole < 0; whole++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// appendMagnitude appends the digits of |n|.
func appendMagnitude(dst []byte, n decimal128.Num) []byte {
	high, low := uint64(n.HighBits()), n.LowBits()
	if n.Sign() < 0 {
		var carry uint64
		low, carry = bits.Add64(^low, 1, 0)
		high = ^high + carry
	}
	if high == 0 {
		return strconv.AppendUint(dst, low, 10)
	}
	const power = 1e19 // the largest power of ten that 64 bits hold
	top, rest := high/power, high%power
	middle, bottom := bits.Div64(rest, low, power)
	if top > 0 {
		dst = strconv.AppendUint(dst, top, 10)
		dst = appendPadded(dst, middle, 19)
	} else {
		dst = strconv.AppendUint(dst, middle, 10)
	}
	return appendPadded(dst, bottom, 19)
}

// appendPadded appends n with leading zeros up to width digits, at most 19.
func appendPadded(dst []byte, n uint64, width int) []byte {
	var buffer [20]byte
	digits := strconv.AppendUint(buffer[:0], n, 10)
	for range width - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}
