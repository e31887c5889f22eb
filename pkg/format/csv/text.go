package csv

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// maxUnquoted is the length in UTF-16 units up to which text is looked at before it is quoted: Jackson's CsvEncoder
// quotes longer text unseen (its MAX_QUOTE_CHECK).
const maxUnquoted = 24

// errInvalidText is what a cell of text that is not Unicode fails with; Flink's writer throws there too.
var errInvalidText = errors.New("text is not valid Unicode (a lone surrogate or invalid UTF-8), which a CSV file cannot hold")

// What a byte of UTF-8 means for the cell that it stands in.
const (
	forcesQuotes byte = 1 << iota
	isDoubled         // the quote or escape character, or may be part of it
	isWide            // part of a character beyond ASCII
)

// quoting is the rule by which Jackson's CsvEncoder quotes text when it does not check strictly, as Flink uses it:
// quotes for more than 24 UTF-16 units, for any unit up to the highest one of delimiter, quote character and line
// feed, and for the escape character, or for a backslash if there is none.
type quoting struct {
	bytes      [256]byte
	disabled   bool
	quote      rune
	escape     rune // 0 when there is none
	threshold  rune // units below it force quotes
	wideForces bool // a unit beyond ASCII may force quotes
}

func newQuoting(o Options) *quoting {
	q := &quoting{disabled: o.DisableQuote, quote: o.QuoteCharacter, escape: o.EscapeCharacter}
	q.threshold = max(o.FieldDelimiter, o.QuoteCharacter, '\n') + 1
	q.wideForces = q.threshold > utf8.RuneSelf || q.escape >= utf8.RuneSelf
	for c := range rune(utf8.RuneSelf) {
		if q.unitForces(c) {
			q.bytes[c] |= forcesQuotes
		}
		if q.doubles(c) {
			q.bytes[c] |= isDoubled
		}
	}
	for c := utf8.RuneSelf; c < len(q.bytes); c++ {
		q.bytes[c] = isWide
		if q.quote >= utf8.RuneSelf || q.escape >= utf8.RuneSelf {
			q.bytes[c] |= isDoubled
		}
	}
	return q
}

func (q *quoting) unitForces(unit rune) bool {
	if unit < q.threshold {
		return true
	}
	if q.escape != 0 {
		return unit == q.escape
	}
	return unit == '\\'
}

func (q *quoting) doubles(c rune) bool { return c == q.quote || q.escape != 0 && c == q.escape }

// appendText appends text as a cell. The error is errInvalidText or nil.
func (q *quoting) appendText(dst []byte, text []byte) ([]byte, error) {
	var seen byte
	for _, c := range text {
		seen |= q.bytes[c]
	}
	long := len(text) > maxUnquoted
	if seen&isWide != 0 {
		if !utf8.Valid(text) {
			return dst, errInvalidText
		}
		long = (long || q.wideForces) && q.wideNeedsQuotes(text)
	}
	if q.disabled || seen&forcesQuotes == 0 && !long {
		return append(dst, text...), nil
	}
	dst = utf8.AppendRune(dst, q.quote)
	if seen&isDoubled != 0 {
		dst = q.appendDoubled(dst, text)
	} else {
		dst = append(dst, text...)
	}
	return utf8.AppendRune(dst, q.quote), nil
}

// wideNeedsQuotes looks at the UTF-16 units of text, how many and which.
func (q *quoting) wideNeedsQuotes(text []byte) bool {
	units := 0
	for _, c := range string(text) { // no copy: the conversion is only ranged over
		high, low := c, c
		if c > 0xffff {
			high, low = utf16.EncodeRune(c)
			units++
		}
		if units++; units > maxUnquoted || q.unitForces(high) || q.unitForces(low) {
			return true
		}
	}
	return false
}

// appendDoubled appends text with quote and escape characters doubled.
func (q *quoting) appendDoubled(dst, text []byte) []byte {
	for _, c := range string(text) {
		dst = utf8.AppendRune(dst, c)
		if q.doubles(c) {
			dst = utf8.AppendRune(dst, c)
		}
	}
	return dst
}
