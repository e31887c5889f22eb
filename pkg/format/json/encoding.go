package json

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// detect returns the message as UTF-8. The encoding is told as Jackson tells it, by a byte order mark or by the zero
// bytes that ASCII characters have in UTF-16 and UTF-32 (RFC 4627, section 3). Malformed code units become U+FFFD.
// The text is part of the message or of the scratch space that is returned.
func detect(message, scratch []byte) (text, grown []byte) {
	var head [4]byte
	n := copy(head[:], message)
	quad := binary.BigEndian.Uint32(head[:])
	switch pair := quad >> 16; {
	case n == 4 && quad == 0x0000FEFF:
		scratch = appendUTF32(scratch, message[4:], binary.BigEndian)
	case n == 4 && quad == 0xFFFE0000:
		scratch = appendUTF32(scratch, message[4:], binary.LittleEndian)
	case n == 4 && pair == 0xFEFF:
		scratch = appendUTF16(scratch, message[2:], binary.BigEndian)
	case n == 4 && pair == 0xFFFE:
		scratch = appendUTF16(scratch, message[2:], binary.LittleEndian)
	case n == 4 && quad>>8 == 0xEFBBBF:
		return message[3:], scratch
	case n == 4 && quad>>8 == 0:
		scratch = appendUTF32(scratch, message, binary.BigEndian)
	case n == 4 && quad&0xFFFFFF == 0:
		scratch = appendUTF32(scratch, message, binary.LittleEndian)
	case n >= 2 && pair>>8 == 0:
		scratch = appendUTF16(scratch, message, binary.BigEndian)
	case n >= 2 && pair&0xFF == 0:
		scratch = appendUTF16(scratch, message, binary.LittleEndian)
	default:
		return message, scratch
	}
	return scratch, scratch
}

func appendUTF16(dst, src []byte, order binary.ByteOrder) []byte {
	for len(src) >= 2 {
		r := rune(order.Uint16(src))
		src = src[2:]
		if utf16.IsSurrogate(r) && len(src) >= 2 {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(src))); pair != utf8.RuneError {
				r, src = pair, src[2:]
			}
		}
		dst = utf8.AppendRune(dst, r) // a surrogate alone becomes U+FFFD
	}
	if len(src) > 0 {
		dst = utf8.AppendRune(dst, utf8.RuneError)
	}
	return dst
}

func appendUTF32(dst, src []byte, order binary.ByteOrder) []byte {
	for len(src) >= 4 {
		dst = utf8.AppendRune(dst, rune(min(order.Uint32(src), utf8.MaxRune+1)))
		src = src[4:]
	}
	if len(src) > 0 {
		dst = utf8.AppendRune(dst, utf8.RuneError)
	}
	return dst
}
