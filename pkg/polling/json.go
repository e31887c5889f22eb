package polling

import (
	"bytes"
	"encoding/json"
	"iter"
)

// The functions of this file walk over JSON text that is known to be valid, without another look at what they pass.

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func trim(text []byte) []byte {
	return bytes.TrimFunc(text, func(r rune) bool { return r < 0x80 && isBlank(byte(r)) })
}

func skipBlanks(text []byte, i int) int {
	for i < len(text) && isBlank(text[i]) {
		i++
	}
	return i
}

// skipValue returns the position behind the value that begins at i.
func skipValue(text []byte, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		return skipNested(text, i)
	default:
		for i < len(text) && !isBlank(text[i]) && text[i] != ',' && text[i] != ']' && text[i] != '}' {
			i++
		}
		return i
	}
}

func skipString(text []byte, i int) int {
	for i++; i < len(text) && text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(text))
}

func skipNested(text []byte, i int) int {
	depth := 0
	for i < len(text) {
		switch text[i] {
		case '"':
			i = skipString(text, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			break
		}
	}
	return i
}

// elements yields the elements of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := skipBlanks(array, 1); i < len(array) && array[i] != ']'; {
			end := skipValue(array, i)
			if !yield(array[i:end:end]) {
				return
			}
			i = skipSeparator(array, end)
		}
	}
}

// skipSeparator returns the position of the next element, or of the closing bracket.
func skipSeparator(text []byte, i int) int {
	i = skipBlanks(text, i)
	if i < len(text) && text[i] == ',' {
		i = skipBlanks(text, i+1)
	}
	return i
}

// Valid reports whether text is one JSON value.
func Valid(text []byte) bool { return json.Valid(text) }
