// Package javatext does with text what Java 17's String does where Go differs: the full case mapping of Unicode 13, UTF-16 units, character
// sets, and SQL's patterns. Texts are UTF-8. The package is pure.
package javatext

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// specialUpper are the characters whose upper case is several, from Unicode's SpecialCasing.txt: code point, colon, code points.
const specialUpper = `
	00DF:0053+0053 0149:02BC+004E 01F0:004A+030C 0390:0399+0308+0301 03B0:03A5+0308+0301 0587:0535+0552 1E96:0048+0331 1E97:0054+0308 1E98:0057+030A
	1E99:0059+030A 1E9A:0041+02BE 1F50:03A5+0313 1F52:03A5+0313+0300 1F54:03A5+0313+0301 1F56:03A5+0313+0342 1F80:1F08+0399 1F81:1F09+0399 1F82:1F0A+0399
	1F83:1F0B+0399 1F84:1F0C+0399 1F85:1F0D+0399 1F86:1F0E+0399 1F87:1F0F+0399 1F88:1F08+0399 1F89:1F09+0399 1F8A:1F0A+0399 1F8B:1F0B+0399 1F8C:1F0C+0399
	1F8D:1F0D+0399 1F8E:1F0E+0399 1F8F:1F0F+0399 1F90:1F28+0399 1F91:1F29+0399 1F92:1F2A+0399 1F93:1F2B+0399 1F94:1F2C+0399 1F95:1F2D+0399 1F96:1F2E+0399
	1F97:1F2F+0399 1F98:1F28+0399 1F99:1F29+0399 1F9A:1F2A+0399 1F9B:1F2B+0399 1F9C:1F2C+0399 1F9D:1F2D+0399 1F9E:1F2E+0399 1F9F:1F2F+0399 1FA0:1F68+0399
	1FA1:1F69+0399 1FA2:1F6A+0399 1FA3:1F6B+0399 1FA4:1F6C+0399 1FA5:1F6D+0399 1FA6:1F6E+0399 1FA7:1F6F+0399 1FA8:1F68+0399 1FA9:1F69+0399 1FAA:1F6A+0399
	1FAB:1F6B+0399 1FAC:1F6C+0399 1FAD:1F6D+0399 1FAE:1F6E+0399 1FAF:1F6F+0399 1FB2:1FBA+0399 1FB3:0391+0399 1FB4:0386+0399 1FB6:0391+0342
	1FB7:0391+0342+0399 1FBC:0391+0399 1FC2:1FCA+0399 1FC3:0397+0399 1FC4:0389+0399 1FC6:0397+0342 1FC7:0397+0342+0399 1FCC:0397+0399 1FD2:0399+0308+0300
	1FD3:0399+0308+0301 1FD6:0399+0342 1FD7:0399+0308+0342 1FE2:03A5+0308+0300 1FE3:03A5+0308+0301 1FE4:03A1+0313 1FE6:03A5+0342 1FE7:03A5+0308+0342
	1FF2:1FFA+0399 1FF3:03A9+0399 1FF4:038F+0399 1FF6:03A9+0342 1FF7:03A9+0342+0399 1FFC:03A9+0399 FB00:0046+0046 FB01:0046+0049 FB02:0046+004C
	FB03:0046+0046+0049 FB04:0046+0046+004C FB05:0053+0054 FB06:0053+0054 FB13:0544+0546 FB14:0544+0535 FB15:0544+053B FB16:054E+0546 FB17:0544+053D`

// upperOf maps the characters of specialUpper.
var upperOf = func() map[rune]string {
	all := map[rune]string{}
	for entry := range strings.FieldsSeq(specialUpper) {
		from, to, _ := strings.Cut(entry, ":")
		var upper []rune
		for code := range strings.SplitSeq(to, "+") {
			upper = append(upper, codePoint(code))
		}
		all[codePoint(from)] = string(upper)
	}
	return all
}()

func codePoint(hexadecimal string) rune {
	n, _ := strconv.ParseInt(hexadecimal, 16, 32) // the table is ours, and tested
	return rune(n)
}

// newer tells the letters with two cases that came with Unicode 14 and 15, which Java 17 does not know.
func newer(r rune) bool {
	return r == 0x2C2F || r == 0x2C5F || r == 0xA7C0 || r == 0xA7C1 || 0xA7D0 <= r && r <= 0xA7D9 || 0x10570 <= r && r <= 0x105BC
}

// AppendUpper appends s as String.toUpperCase(Locale.ROOT) makes it.
func AppendUpper(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			if 'a' <= b && b <= 'z' {
				b -= 'a' - 'A'
			}
			dst = append(dst, b)
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		if upper, ok := upperOf[r]; ok {
			dst = append(dst, upper...)
		} else {
			dst = appendMapped(dst, s[i:i+size], r, unicode.ToUpper(r))
		}
		i += size
	}
	return dst
}

// AppendLower appends s as String.toLowerCase(Locale.ROOT) makes it: a sigma that ends a word is ς, İ is i with a dot above.
func AppendLower(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			if 'A' <= b && b <= 'Z' {
				b += 'a' - 'A'
			}
			dst = append(dst, b)
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		switch {
		case r == 'Σ' && endsWord(s, i, size):
			dst = append(dst, "ς"...)
		case r == 'İ':
			dst = append(dst, "i̇"...)
		default:
			dst = appendMapped(dst, s[i:i+size], r, unicode.ToLower(r))
		}
		i += size
	}
	return dst
}

// appendMapped appends the mapped character, or the bytes as they are where nothing changes (bad UTF-8 stays).
func appendMapped(dst, was []byte, r, mapped rune) []byte {
	if mapped == r || newer(r) {
		return append(dst, was...)
	}
	return utf8.AppendRune(dst, mapped)
}

// endsWord reports whether the character of size bytes at i has a cased letter before it in its word and none after it.
func endsWord(s []byte, i, size int) bool {
	before := false
	for rest := s[:i]; len(rest) > 0 && !before; {
		r, n := utf8.DecodeLastRune(rest)
		if !inWord(r) {
			break
		}
		before = cased(r)
		rest = rest[:len(rest)-n]
	}
	if !before {
		return false
	}
	for rest := s[i+size:]; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if !inWord(r) {
			break
		}
		if cased(r) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

func cased(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) || unicode.In(r, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// inWord tells characters that do not end a word, by the rules of word breaks (UAX #29) in short.
func inWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.Pc, unicode.Cf) || strings.ContainsRune("'’.·:", r)
}
