package replay

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"pencere/pkg/sqltype"
)

// layout is how a row is written: Flink's rules for CSV, without any of the engine's code for it.
type layout struct {
	delimiter, quote, escape rune // escape is 0 where there is none
	bare                     bool // text is never quoted
	null                     string
	scientific               bool // DECIMAL as Java's BigDecimal writes it without trailing zeros
}

func newLayout(options map[string]string) (layout, error) {
	l := layout{delimiter: ',', quote: '"'}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		value := options[name]
		switch name {
		case "field-delimiter":
			if l.delimiter = character(value); l.delimiter == 0 {
				return l, unsupported("sink.csv.field-delimiter %q", value)
			}
		case "quote-character":
			l.quote, _ = utf8.DecodeRuneInString(value)
		case "escape-character":
			l.escape, _ = utf8.DecodeRuneInString(value)
		case "disable-quote-character":
			l.bare = strings.EqualFold(value, "true")
		case "null-literal":
			l.null = value
		case "write-bigdecimal-in-scientific-notation":
			l.scientific = strings.EqualFold(value, "true")
		case "array-element-delimiter", "allow-comments", "ignore-parse-errors": // say nothing about what is written
		default:
			return l, unsupported("sink.csv.%s", name)
		}
	}
	return l, nil
}

// character reads one character, which may be an escape; 0 is neither.
func character(value string) rune {
	if c, size := utf8.DecodeRuneInString(value); size == len(value) {
		return c
	}
	c, _, rest, err := strconv.UnquoteChar(value, 0)
	if err != nil || rest != "" {
		return 0
	}
	return c
}

// errNoText is the failure of a job that is to write what no file can hold.
var errNoText = errors.New("text with half a surrogate pair cannot be written")

// row writes values as a row with its line feed.
func (l layout) row(values []value, types []sqltype.Type) (string, error) {
	var row strings.Builder
	for i, v := range values {
		if i > 0 {
			row.WriteRune(l.delimiter)
		}
		if v == nil {
			row.WriteString(l.null)
			continue
		}
		cell := text(v, types[i])
		if d, decimal := v.(*big.Int); decimal && l.scientific {
			cell = scientific(d, types[i].Scale)
		}
		if !utf8.ValidString(cell) {
			return "", fmt.Errorf("column %d: %w", i+1, errNoText)
		}
		if l.isText(types[i]) {
			cell = l.quoted(cell)
		}
		row.WriteString(cell)
	}
	row.WriteByte('\n')
	return row.String(), nil
}

func (l layout) isText(t sqltype.Type) bool {
	switch {
	case t.Kind == sqltype.Boolean, t.IsInteger(), t.IsApproximate():
		return false
	case t.Kind == sqltype.Decimal:
		return l.scientific
	}
	return true
}

// longest is the number of UTF-16 units above which Jackson quotes text without a look at it.
const longest = 24

func (l layout) quoted(cell string) string {
	if l.bare || !l.needsQuotes(cell) {
		return cell
	}
	quote := string(l.quote)
	cell = strings.ReplaceAll(cell, quote, quote+quote)
	if l.escape != 0 && l.escape != l.quote {
		cell = strings.ReplaceAll(cell, string(l.escape), string(l.escape)+string(l.escape))
	}
	return quote + cell + quote
}

func (l layout) needsQuotes(cell string) bool {
	units := utf16.Encode([]rune(cell))
	below, special := max(l.delimiter, l.quote, '\n')+1, '\\'
	if l.escape != 0 {
		special = l.escape
	}
	return len(units) > longest || slices.ContainsFunc(units, func(u uint16) bool { return rune(u) < below || rune(u) == special })
}

// scientific is Java's BigDecimal.stripTrailingZeros().toString().
func scientific(digits *big.Int, scale int) string {
	if digits.Sign() == 0 {
		return "0"
	}
	kept := strings.TrimRight(new(big.Int).Abs(digits).String(), "0")
	scale -= len(new(big.Int).Abs(digits).String()) - len(kept)
	exponent := len(kept) - 1 - scale
	stripped, _ := new(big.Int).SetString(kept, 10)
	sign := ""
	if digits.Sign() < 0 {
		sign = "-"
	}
	if scale >= 0 && exponent >= -6 {
		return sign + plain(stripped, scale)
	}
	mantissa := kept[:1]
	if len(kept) > 1 {
		mantissa += "." + kept[1:]
	}
	plus := ""
	if exponent > 0 {
		plus = "+"
	}
	return sign + mantissa + "E" + plus + strconv.Itoa(exponent)
}

// cutRows cuts the text of a file into rows, each with its line feed. A line feed between two of quote is text; quote 0 is none.
func cutRows(text string, quote byte) []string {
	var rows []string
	begin, inside := 0, false
	for i := range len(text) {
		switch {
		case quote != 0 && text[i] == quote:
			inside = !inside
		case text[i] == '\n' && !inside:
			rows = append(rows, text[begin:i+1])
			begin = i + 1
		}
	}
	if begin < len(text) {
		rows = append(rows, text[begin:])
	}
	return rows
}
