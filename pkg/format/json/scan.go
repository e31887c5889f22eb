package json

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// none is the position that scanning functions return when they found a fault.
const none = -1

// fault is why a record cannot be read on, or a field not be kept.
type fault struct {
	at     int
	reason string
	value  []byte  // the text that the reason is about, part of the message or of scratch space; may be empty
	column *column // nil for the record as a whole
	full   bool    // no fault of the message: the batch has no room for it
}

// scanner walks over JSON text. Its methods take the text and a position and return the position behind what they read,
// or none with the fault kept.
type scanner struct {
	fault   fault
	nesting nesting
	scratch []byte // decoded text of the name or value read last
}

func (s *scanner) malformed(at int, reason string) int {
	s.fault = fault{at: at, reason: reason}
	return none
}

func isBlank(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t') }

func skipBlanks(b []byte, i int) int {
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	return i
}

// Eight bytes at a time: a byte of x that is zero sets its high bit in (x - ones) &^ x & highs, and the lowest bit set
// there is never a false one.
const (
	ones    = 0x0101010101010101
	highs   = 0x80 * ones
	quotes  = '"' * ones
	slashes = '\\' * ones
)

// scanString finds the quote that ends the string whose first byte is at i. It returns len(b) when there is none,
// and whether the string holds escapes and bytes beyond ASCII.
func scanString(b []byte, i int) (end int, escaped, wide bool) {
	var seen uint64
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		q, s := w^quotes, w^slashes
		found := ((q-ones)&^q | (s-ones)&^s) & highs
		if found == 0 {
			seen |= w
			i += 8
			continue
		}
		bit := bits.TrailingZeros64(found)
		seen |= w & (1<<bit>>7 - 1)
		i += bit / 8
		if b[i] == '"' {
			return i, escaped, seen&highs != 0
		}
		escaped = true
		i += 2
	}
	for i < len(b) && b[i] != '"' {
		if b[i] == '\\' {
			escaped = true
			i++
		} else {
			seen |= uint64(b[i])
		}
		i++
	}
	return min(i, len(b)), escaped, seen&highs != 0
}

// Reasons of faults that more than one place finds.
const (
	endsEarly   = "the record ends within the object"
	badUTF8     = "is not valid UTF-8"
	badEscape   = "has an escape that JSON does not know"
	badNumber   = "malformed number"
	unknownWord = "not a JSON value"
)

// name reads a member's name and colon and returns the name and the position of the member's value.
func (s *scanner) name(b []byte, i int) ([]byte, int) {
	if i >= len(b) {
		return nil, s.malformed(len(b), endsEarly)
	}
	if b[i] != '"' {
		return nil, s.malformed(i, "expected a field name in double quotes")
	}
	end, escaped, wide := scanString(b, i+1)
	if end == len(b) {
		return nil, s.malformed(i, endsEarly)
	}
	text, reason := s.decode(b[i+1:end], escaped, wide)
	if reason != "" {
		return nil, s.malformed(i, "field name "+reason)
	}
	j := skipBlanks(b, end+1)
	if j == len(b) {
		return nil, s.malformed(j, endsEarly)
	}
	if b[j] != ':' {
		return nil, s.malformed(j, "expected a colon after the field name")
	}
	return text, skipBlanks(b, j+1)
}

// decode returns the text that stands between two quotes, undoing escapes in scratch space, or the reason why it is bad.
func (s *scanner) decode(raw []byte, escaped, wide bool) (text []byte, reason string) {
	if wide && !utf8.Valid(raw) {
		return nil, badUTF8
	}
	if !escaped {
		return raw, ""
	}
	var ok bool
	if s.scratch, ok = appendUnescaped(s.scratch[:0], raw); !ok {
		return nil, badEscape
	}
	return s.scratch, ""
}

// skip reads one value of any kind and depth, without recursion: a bit for each open bracket is all it keeps.
func (s *scanner) skip(b []byte, i int) int {
	s.nesting.reset()
	for {
		if i >= len(b) {
			return s.malformed(len(b), endsEarly)
		}
		if c := b[i]; c == '{' || c == '[' {
			s.nesting.push(c == '{')
			i = s.enter(b, skipBlanks(b, i+1))
		} else {
			i = s.leave(b, s.scalar(b, i))
		}
		if i == none || s.nesting.depth == 0 {
			return i
		}
	}
}

// enter stands behind an opening bracket and goes to the first value inside, or behind the bracket's end.
func (s *scanner) enter(b []byte, i int) int {
	object := s.nesting.inObject()
	if i < len(b) && (object && b[i] == '}' || !object && b[i] == ']') {
		s.nesting.pop()
		return s.leave(b, i+1)
	}
	if object {
		_, i = s.name(b, i)
	}
	return i
}

// leave stands behind a value and goes to the next value in the innermost container that has one, or behind the outermost.
func (s *scanner) leave(b []byte, i int) int {
	for i != none && s.nesting.depth > 0 {
		i = skipBlanks(b, i)
		if i == len(b) {
			return s.malformed(i, endsEarly)
		}
		object := s.nesting.inObject()
		switch c := b[i]; {
		case c == ',' && object:
			_, i = s.name(b, skipBlanks(b, i+1))
			return i
		case c == ',':
			return skipBlanks(b, i+1)
		case c == '}' && object, c == ']' && !object:
			s.nesting.pop()
			i++
		case object:
			return s.malformed(i, "expected a comma or the object's end")
		default:
			return s.malformed(i, "expected a comma or the array's end")
		}
	}
	return i
}

// scalar reads a string, number, true, false or null.
func (s *scanner) scalar(b []byte, i int) int {
	switch c := b[i]; {
	case c == '"':
		end, escaped, wide := scanString(b, i+1)
		if end == len(b) {
			return s.malformed(i, endsEarly)
		}
		if _, reason := s.decode(b[i+1:end], escaped, wide); reason != "" {
			return s.malformed(i, "a text "+reason)
		}
		return end + 1
	case c == '-' || c-'0' <= 9:
		end, _ := s.number(b, i)
		return end
	default:
		return s.word(b, i)
	}
}

// word reads true, false or null.
func (s *scanner) word(b []byte, i int) int {
	for _, word := range [...]string{"null", "true", "false"} {
		if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
			return i + len(word)
		}
	}
	return s.malformed(i, unknownWord)
}

// number reads a number and reports whether it has a fraction or an exponent.
func (s *scanner) number(b []byte, i int) (end int, fractional bool) {
	start := i
	if b[i] == '-' {
		i++
	}
	first := i
	i = skipDigits(b, i)
	if i == first || b[first] == '0' && i > first+1 {
		return s.malformed(start, badNumber), false
	}
	if i < len(b) && b[i] == '.' {
		first, fractional = i+1, true
		if i = skipDigits(b, first); i == first {
			return s.malformed(start, badNumber), false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		fractional = true
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		first = i
		if i = skipDigits(b, first); i == first {
			return s.malformed(start, badNumber), false
		}
	}
	return i, fractional
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// nesting is a stack of one bit for each open bracket: set for an object.
type nesting struct {
	bits  []uint64
	depth int
}

func (n *nesting) reset() { n.depth = 0 }

func (n *nesting) push(object bool) {
	word, bit := n.depth/64, uint64(1)<<(n.depth%64)
	if word == len(n.bits) {
		n.bits = append(n.bits, 0)
	}
	if object {
		n.bits[word] |= bit
	} else {
		n.bits[word] &^= bit
	}
	n.depth++
}

func (n *nesting) pop() { n.depth-- }

// inObject reports what the innermost open bracket is.
func (n *nesting) inObject() bool {
	top := n.depth - 1
	return n.bits[top/64]>>(top%64)&1 != 0
}
