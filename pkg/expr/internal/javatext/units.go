package javatext

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Units returns s in UTF-16, in which Java counts characters.
func Units(s []byte) []uint16 {
	units := make([]uint16, 0, len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRune(s[i:])
		units = utf16.AppendRune(units, r)
		i += size
	}
	return units
}

// AppendUnits appends UTF-16 as UTF-8; ok is false if half of a pair stands alone.
func AppendUnits(dst []byte, units []uint16) (_ []byte, ok bool) {
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			i++
			if i == len(units) {
				return dst, false
			}
			if r = utf16.DecodeRune(r, rune(units[i])); r == utf8.RuneError {
				return dst, false
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}
