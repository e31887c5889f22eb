package csv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// maxUnquoted is the length in UTF-16 units up to which text is looked at before it is quoted: Jackson's CsvEncoder
// quotes longer text unseen (its MAX_QUOTE_CHECK).
const maxUnquoted = 24

// errInvalidText is what a cell of text that is not Unicode fails with; Flink's writer throws there too.
var errInvalidText = errors.New("text is not valid Unicode (a lone surrogate or invalid UTF-8), which a CSV file cannot hold")

// quoting is the rule by which Jackson's CsvEncoder quotes text when it does not check strictly, as Flink uses it:
// quotes for more than 24 UTF-16 units, for any unit up to the highest one of delimiter, quote character and line
// feed, and for the escape character, or for a backslash if there is none.
type quoting struct {
	disabled   bool
	quote      rune
	escape     rune // 0 when there is none
	threshold  rune // units below it force quotes
	wideForces bool // a unit beyond ASCII may force quotes

	// The rule for eight bytes of ASCII at once: threshold, and the escape character or backslash, in each byte.
	thresholds, extras uint64
}

func newQuoting(o Options) *quoting {
	q := &quoting{disabled: o.DisableQuote, quote: o.QuoteCharacter, escape: o.EscapeCharacter}
	q.threshold = max(o.FieldDelimiter, o.QuoteCharacter, '\n') + 1
	q.wideForces = q.threshold > utf8.RuneSelf || q.escape >= utf8.RuneSelf
	q.thresholds = inEachByte * uint64(min(q.threshold, utf8.RuneSelf))
	switch {
	case q.escape == 0:
		q.extras = inEachByte * '\\'
	case q.escape < utf8.RuneSelf:
		q.extras = inEachByte * uint64(q.escape)
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
func (q *quoting) appendText(dst, text []byte) ([]byte, error) {
	quoted, wide := q.scan(text)
	if wide && !utf8.Valid(text) {
		return dst, errInvalidText
	}
	long := len(text) > maxUnquoted
	switch {
	case quoted: // whatever else there is
	case !wide:
		quoted = long
	case long || q.wideForces:
		quoted = q.wideNeedsQuotes(text)
	}
	if q.disabled || !quoted {
		return append(dst, text...), nil
	}
	dst = utf8.AppendRune(dst, q.quote)
	if q.hasDoubled(text) {
		dst = q.appendDoubled(dst, text)
	} else {
		dst = append(dst, text...)
	}
	return utf8.AppendRune(dst, q.quote), nil
}

const (
	inEachByte  = 0x0101010101010101
	highOfBytes = 0x8080808080808080
)

// scan tells whether text has a character of ASCII that forces quotes, and whether it has one beyond ASCII. It looks at
// eight bytes at a time: in (w - n) & ^w the high bit of some byte is set if and only if some byte of w is below n,
// for n up to 128 (Sean Eron Anderson, Bit Twiddling Hacks, "Determine if a word has a byte less than n").
func (q *quoting) scan(text []byte) (forced, wide bool) {
	if len(text) < 8 {
		for _, c := range text {
			wide = wide || c >= utf8.RuneSelf
			forced = forced || c < utf8.RuneSelf && q.unitForces(rune(c))
		}
		return forced, wide
	}
	var found, all uint64
	look := func(w uint64) {
		extra := w ^ q.extras
		found |= (w-q.thresholds)&^w | (extra-inEachByte)&^extra
		all |= w
	}
	for at := 0; at+8 < len(text); at += 8 {
		look(binary.LittleEndian.Uint64(text[at:]))
	}
	look(binary.LittleEndian.Uint64(text[len(text)-8:]))
	return found&highOfBytes != 0, all&highOfBytes != 0
}

// hasDoubled reports whether text may have a quote or escape character.
func (q *quoting) hasDoubled(text []byte) bool {
	if q.quote >= utf8.RuneSelf || q.escape >= utf8.RuneSelf {
		return true
	}
	return bytes.IndexByte(text, byte(q.quote)) >= 0 || q.escape != 0 && bytes.IndexByte(text, byte(q.escape)) >= 0
}

// wideNeedsQuotes looks at the UTF-16 units of text, how many and which.
func (q *quoting) wideNeedsQuotes(text []byte) bool {
	units := 0
	for _, c := range string(text) { // no copy: the conversion is only ranged over
		high, low := c, c
		if c > 0xffff {
			high, low = utf16.EncodeRune(c)
		}
		units += utf16.RuneLen(c)
		if units > maxUnquoted || q.unitForces(high) || q.unitForces(low) {
			return true
		}
	}
	return false
}

// appendDoubled appends text with quote and escape characters doubled.
func (q *quoting) appendDoubled(dst, text []byte) []byte {
	if q.quote < utf8.RuneSelf && q.escape < utf8.RuneSelf {
		begin := 0
		for i, c := range text {
			if q.doubles(rune(c)) {
				dst = append(dst, text[begin:i+1]...)
				begin = i // once more
			}
		}
		return append(dst, text[begin:]...)
	}
	for _, c := range string(text) {
		dst = utf8.AppendRune(dst, c)
		if q.doubles(c) {
			dst = utf8.AppendRune(dst, c)
		}
	}
	return dst
}
