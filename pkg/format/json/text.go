package json

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// appendUnescaped appends the text of a string's inside, which holds escapes, and reports whether all are JSON's. An
// escaped surrogate without its other half is kept as the three bytes that UTF-8's scheme gives it: not valid UTF-8, so
// that whoever writes the text can refuse it, as Flink's writer does.
func appendUnescaped(dst, raw []byte) ([]byte, bool) {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			continue
		}
		i++
		if i == len(raw) {
			return dst, false
		}
		switch c := raw[i]; c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, n := codePoint(raw[i+1:])
			if n == 0 {
				return dst, false
			}
			dst = appendCodePoint(dst, r)
			i += n
		default:
			return dst, false
		}
	}
	return dst, true
}

// codePoint reads the four digits behind \u, and a second escape if both are a surrogate pair. It returns the number of
// bytes read, 0 if these are no digits.
func codePoint(raw []byte) (r rune, n int) {
	r, ok := hex4(raw)
	if !ok {
		return 0, 0
	}
	if utf16.IsSurrogate(r) && len(raw) >= 10 && raw[4] == '\\' && raw[5] == 'u' {
		if low, ok := hex4(raw[6:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 10
			}
		}
	}
	return r, 4
}

func hex4(raw []byte) (r rune, ok bool) {
	if len(raw) < 4 {
		return 0, false
	}
	for _, c := range raw[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func appendCodePoint(dst []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(dst, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F)
	}
	return utf8.AppendRune(dst, r)
}

// trim removes what Java's String.trim removes: all up to U+0020 at both ends.
func trim(s []byte) []byte {
	for len(s) > 0 && s[0] <= ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// appendBase64 appends the bytes of a base64 text as Jackson's default variant reads it: units of four characters of the
// standard alphabet, padding required, blanks and control characters between units, and bits behind the last byte ignored.
func appendBase64(dst, text []byte) ([]byte, bool) {
	for i := 0; ; i += 4 {
		for i < len(text) && text[i] <= ' ' {
			i++
		}
		if i == len(text) {
			return dst, true
		}
		if len(text)-i < 4 {
			return dst, false
		}
		unit := text[i : i+4]
		a, b, c, d := sextet(unit[0]), sextet(unit[1]), sextet(unit[2]), sextet(unit[3])
		switch {
		case a|b|c|d < 64:
			dst = append(dst, a<<2|b>>4, b<<4|c>>2, c<<6|d)
		case a|b|c < 64 && unit[3] == '=':
			dst = append(dst, a<<2|b>>4, b<<4|c>>2)
		case a|b < 64 && unit[2] == '=' && unit[3] == '=':
			dst = append(dst, a<<2|b>>4)
		default:
			return dst, false
		}
	}
}

// sextet returns the six bits of a base64 character, or 64.
func sextet(c byte) byte {
	switch {
	case c-'A' <= 25:
		return c - 'A'
	case c-'a' <= 25:
		return c - 'a' + 26
	case c-'0' <= 9:
		return c - '0' + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return 64
}

// AppendText appends a text as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendText(dst []byte, text string) []byte {
	return appendQuoted(dst, []byte(strings.ToValidUTF8(text, "\ufffd")))
}
