package javatext

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// Charsets names the character sets of Encode and Decode, for messages.
const Charsets = "UTF-8, UTF-16, UTF-16BE, UTF-16LE, US-ASCII and ISO-8859-1"

// Encode appends s in a character set, with ? for what it does not have; UTF-16 is big endian with a mark. ok is false for an unknown set.
func Encode(dst, s []byte, charset string) (_ []byte, ok bool) {
	switch strings.ToUpper(charset) {
	case "UTF-8", "UTF8":
		return append(dst, s...), true
	case "UTF-16", "UTF16":
		if len(s) > 0 {
			dst = append(dst, 0xfe, 0xff)
		}
		return appendUTF16(dst, s, binary.BigEndian), true
	case "UTF-16BE":
		return appendUTF16(dst, s, binary.BigEndian), true
	case "UTF-16LE":
		return appendUTF16(dst, s, binary.LittleEndian), true
	case "US-ASCII", "ASCII":
		return appendBytes(dst, s, 0x7f), true
	case "ISO-8859-1", "LATIN1":
		return appendBytes(dst, s, 0xff), true
	}
	return dst, false
}

func appendUTF16(dst, s []byte, order binary.AppendByteOrder) []byte {
	for _, u := range Units(s) {
		dst = order.AppendUint16(dst, u)
	}
	return dst
}

// appendBytes appends a byte for each character up to last.
func appendBytes(dst, s []byte, last rune) []byte {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRune(s[i:])
		if r > last {
			r = '?'
		}
		dst = append(dst, byte(r))
		i += size
	}
	return dst
}

// Decode appends the text of bytes in a character set, with U+FFFD for what is no text. ok is false for an unknown set.
func Decode(dst, s []byte, charset string) (_ []byte, ok bool) {
	order := binary.ByteOrder(binary.BigEndian)
	switch strings.ToUpper(charset) {
	case "UTF-8", "UTF8":
		for len(s) > 0 {
			r, size := utf8.DecodeRune(s)
			dst, s = utf8.AppendRune(dst, r), s[size:]
		}
		return dst, true
	case "UTF-16", "UTF16":
		if len(s) >= 2 && s[0] == 0xff && s[1] == 0xfe {
			order = binary.LittleEndian
		}
		if len(s) >= 2 && (s[0] == 0xfe && s[1] == 0xff || s[0] == 0xff && s[1] == 0xfe) {
			s = s[2:]
		}
	case "UTF-16BE":
	case "UTF-16LE":
		order = binary.LittleEndian
	case "US-ASCII", "ASCII":
		return appendRunes(dst, s, 0x7f), true
	case "ISO-8859-1", "LATIN1":
		return appendRunes(dst, s, 0xff), true
	default:
		return dst, false
	}
	return decodeUTF16(dst, s, order), true
}

func decodeUTF16(dst, s []byte, order binary.ByteOrder) []byte {
	for ; len(s) >= 2; s = s[2:] {
		unit := []uint16{order.Uint16(s)}
		if 0xd800 <= unit[0] && unit[0] < 0xdc00 && len(s) >= 4 {
			if pair, ok := AppendUnits(dst, []uint16{unit[0], order.Uint16(s[2:])}); ok {
				dst, s = pair, s[2:]
				continue
			}
		}
		if text, ok := AppendUnits(dst, unit); ok {
			dst = text
		} else {
			dst = append(dst, "\uFFFD"...)
		}
	}
	if len(s) > 0 {
		dst = append(dst, "\uFFFD"...)
	}
	return dst
}

func appendRunes(dst, s []byte, last byte) []byte {
	for _, b := range s {
		if b > last {
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = utf8.AppendRune(dst, rune(b))
		}
	}
	return dst
}
