package csv

import (
	"strings"
	"unicode/utf8"
)

func (o Options) withDefaults() Options {
	if o.FieldDelimiter == 0 {
		o.FieldDelimiter = ','
	}
	if o.QuoteCharacter == 0 {
		o.QuoteCharacter = '"'
	}
	return o
}

// RowQuote returns the ASCII character between two of which a line feed is text, so that any other line feed ends a row. It is ""
// when the bytes of a file do not tell its rows: text is not quoted, or something else holds a quote or a line feed.
func (o Options) RowQuote() string {
	o = o.withDefaults()
	switch {
	case o.DisableQuote, o.QuoteCharacter >= utf8.RuneSelf, o.QuoteCharacter == '\n',
		o.FieldDelimiter == '\n', o.FieldDelimiter == o.QuoteCharacter,
		strings.ContainsRune(o.NullLiteral, o.QuoteCharacter), strings.Contains(o.NullLiteral, "\n"):
		return ""
	}
	return string(o.QuoteCharacter)
}
