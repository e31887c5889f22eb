package bson

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// MaxDepth is how deeply documents and arrays may be nested in MongoDB.
const MaxDepth = 100

// The reasons for which a JSON value is none of BSON's.
var (
	errDepth     = fmt.Errorf("the document is nested more deeply than MongoDB allows, which is %d levels", MaxDepth)
	errSurrogate = errors.New("a text has half of a surrogate pair")
	errNUL       = errors.New("the name of a field has a NUL, which BSON's cannot")
	errTwice     = errors.New("there twice")
	errJSON      = errors.New("the value is no JSON")
	errNoObject  = errors.New("the value is no JSON object, and nothing else can be a document")
)

// AppendJSON appends a field of a JSON value (RFC 8259, in UTF-8). Objects become documents and arrays arrays, in their order, names as they
// are, also with '$' and '.'. An integer becomes an int32 if it fits, else an int64, else a Decimal128; a number with a fraction or an
// exponent becomes a double if that is the same number in its shortest form, else a Decimal128. What none of them can hold, half a
// surrogate pair, an object with one name twice, and nesting beyond MaxDepth are errors.
func AppendJSON(dst []byte, name, text string) ([]byte, error) {
	r := reader{text: text}
	r.blanks()
	dst, err := r.value(dst, name, 1)
	if err != nil {
		return dst, err
	}
	r.blanks()
	if r.at < len(text) {
		return dst, r.malformed()
	}
	return dst, nil
}

// reader reads JSON.
type reader struct {
	text string
	at   int
}

func (r *reader) malformed() error { return fmt.Errorf("%w, at byte %d", errJSON, r.at) }

func (r *reader) blanks() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

// take moves over c, which may have blanks on both sides, and reports whether it is there.
func (r *reader) take(c byte) bool {
	r.blanks()
	if r.at == len(r.text) || r.text[r.at] != c {
		return false
	}
	r.at++
	r.blanks()
	return true
}

// value appends the value that begins here as a field. depth is that of its own fields, if it has any.
func (r *reader) value(dst []byte, name string, depth int) ([]byte, error) {
	if r.at == len(r.text) {
		return dst, r.malformed()
	}
	switch r.text[r.at] {
	case '{':
		return r.object(bsoncore.AppendHeader(dst, bsoncore.TypeEmbeddedDocument, name), depth)
	case '[':
		return r.array(bsoncore.AppendHeader(dst, bsoncore.TypeArray, name), depth)
	case '"':
		text, err := r.quoted()
		if err != nil {
			return dst, err
		}
		return bsoncore.AppendStringElement(dst, name, text), nil
	default:
		return r.word(dst, name)
	}
}

// object appends a document.
func (r *reader) object(dst []byte, depth int) ([]byte, error) {
	at, dst := bsoncore.AppendDocumentStart(dst)
	err := r.members(depth, new(names), func(name string) (err error) {
		dst, err = r.value(dst, name, depth+1)
		return err
	})
	if err != nil {
		return dst, err
	}
	return bsoncore.AppendDocumentEnd(dst, at)
}

// members calls member at the value of each member of the object that begins here. names are those that are taken.
func (r *reader) members(depth int, names *names, member func(name string) error) error {
	if depth > MaxDepth {
		return errDepth
	}
	r.at++
	r.blanks()
	for first := true; !r.take('}'); first = false {
		if !first && !r.take(',') || r.at == len(r.text) || r.text[r.at] != '"' {
			return r.malformed()
		}
		name, err := r.quoted()
		if err == nil {
			err = names.add(name)
		}
		if err != nil {
			return err
		}
		if !r.take(':') {
			return r.malformed()
		}
		if err := member(name); err != nil {
			return err
		}
	}
	return nil
}

// root are the fields of a JSON object that becomes a document of its own.
type root struct {
	fields []byte // but for _id
	id     []byte // that one
}

// read reads the object. Its names must not be among those taken.
func (d *root) read(text string, taken []string) error {
	d.fields, d.id = d.fields[:0], d.id[:0]
	r := reader{text: text}
	r.blanks()
	if r.at == len(text) || text[r.at] != '{' {
		return errNoObject
	}
	var names names
	for _, name := range taken {
		if err := names.add(name); err != nil {
			return err
		}
	}
	err := r.members(1, &names, func(name string) (err error) {
		if name == IDField {
			d.id, err = r.value(d.id, name, 2)
		} else {
			d.fields, err = r.value(d.fields, name, 2)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.blanks()
	if r.at < len(text) {
		return r.malformed()
	}
	return nil
}

// names are those of an object.
type names struct {
	few  []string
	many map[string]bool // in place of few, when there are more
}

// fewNames is how many names are looked through faster than found in a map.
const fewNames = 16

func (n *names) add(name string) error {
	switch {
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("%q: %w", name, errNUL)
	case n.many[name] || n.many == nil && slices.Contains(n.few, name):
		return fmt.Errorf("field %q is %w, and which of the two is meant is not known", name, errTwice)
	case n.many != nil:
		n.many[name] = true
	case len(n.few) < fewNames:
		n.few = append(n.few, name)
	default:
		n.many = map[string]bool{name: true}
		for _, earlier := range n.few {
			n.many[earlier] = true
		}
	}
	return nil
}

// array appends an array, which is a document whose names count.
func (r *reader) array(dst []byte, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return dst, errDepth
	}
	at, dst := bsoncore.AppendArrayStart(dst)
	r.at++
	r.blanks()
	for i := 0; !r.take(']'); i++ {
		if i > 0 && !r.take(',') {
			return dst, r.malformed()
		}
		var err error
		if dst, err = r.value(dst, strconv.Itoa(i), depth+1); err != nil {
			return dst, err
		}
	}
	return bsoncore.AppendArrayEnd(dst, at)
}

// word appends a number, true, false or null.
func (r *reader) word(dst []byte, name string) ([]byte, error) {
	begin := r.at
	for r.at < len(r.text) && strings.IndexByte(",]} \t\r\n", r.text[r.at]) < 0 {
		r.at++
	}
	switch word := r.text[begin:r.at]; word {
	case "true", "false":
		return bsoncore.AppendBooleanElement(dst, name, word == "true"), nil
	case "null":
		return bsoncore.AppendNullElement(dst, name), nil
	default:
		return appendNumber(dst, name, word)
	}
}

// appendNumber appends a number of JSON's.
func appendNumber(dst []byte, name, text string) ([]byte, error) {
	if integer, err := strconv.ParseInt(text, 10, 64); err == nil {
		if integer >= math.MinInt32 && integer <= math.MaxInt32 {
			return bsoncore.AppendInt32Element(dst, name, int32(integer)), nil
		}
		return bsoncore.AppendInt64Element(dst, name, integer), nil
	}
	exact, ok := parseDecimal(text)
	if !ok {
		return dst, fmt.Errorf("%w: %.40q is no number", errJSON, text)
	}
	double, err := strconv.ParseFloat(text, 64)
	if err == nil && strings.ContainsAny(text, ".eE") {
		if shortest, ok := parseDecimal(strconv.FormatFloat(double, 'e', -1, 64)); ok && shortest.equal(exact) {
			return bsoncore.AppendDoubleElement(dst, name, double), nil
		}
	}
	decimal, fits := exact.bson()
	if !fits {
		return dst, fmt.Errorf("%w, or an exponent that it has not: %.60s", errDigits, text)
	}
	high, low := decimal.GetBytes()
	return bsoncore.AppendDecimal128Element(dst, name, high, low), nil
}

// decimal is a number as it is written: ± digits × 10^exponent, the digits without zeros at either end, "" for zero.
type decimal struct {
	negative bool
	digits   string
	exponent int64
}

// parseDecimal reads a number of JSON's, without limits but that of the exponent.
func parseDecimal(text string) (d decimal, ok bool) {
	text, d.negative = strings.CutPrefix(text, "-")
	mantissa := text
	if e := strings.IndexAny(text, "eE"); e >= 0 {
		mantissa = text[:e]
		var err error
		if d.exponent, err = strconv.ParseInt(strings.TrimPrefix(text[e+1:], "+"), 10, 32); err != nil {
			return d, false
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if whole == "" || strings.Trim(digits, "0123456789") != "" {
		return d, false
	}
	d.exponent -= int64(len(fraction))
	d.digits = strings.TrimRight(digits, "0")
	d.exponent += int64(len(digits) - len(d.digits))
	d.digits = strings.TrimLeft(d.digits, "0")
	if d.digits == "" {
		d.exponent = 0
	}
	return d, true
}

// equal compares two numbers; the zeros are all one.
func (d decimal) equal(other decimal) bool {
	return d.digits == other.digits && d.exponent == other.exponent && (d.negative == other.negative || d.digits == "")
}

// bson returns the number as a Decimal128, if that can hold it.
func (d decimal) bson() (bson.Decimal128, bool) {
	if len(d.digits) > decimalDigits {
		return bson.Decimal128{}, false
	}
	unscaled, ok := new(big.Int).SetString("0"+d.digits, 10)
	if !ok || d.exponent < math.MinInt16 || d.exponent > math.MaxInt16 {
		return bson.Decimal128{}, false
	}
	if d.negative {
		unscaled.Neg(unscaled)
	}
	return bson.ParseDecimal128FromBigInt(unscaled, int(d.exponent))
}

// decimalDigits is how many digits a Decimal128 has.
const decimalDigits = 34

// quoted reads a text in its quotes.
func (r *reader) quoted() (string, error) {
	begin := r.at + 1
	for i := begin; i < len(r.text); i++ {
		switch r.text[i] {
		case '"':
			r.at = i + 1
			return r.text[begin:i], nil
		case '\\':
			return r.escaped(begin, i)
		}
	}
	return "", r.malformed()
}

// escapes are those of one character.
const escapes, escaped = `"\/bfnrt`, "\"\\/\b\f\n\r\t"

// escaped reads on from the first escape in a text.
func (r *reader) escaped(begin, i int) (string, error) {
	text := []byte(r.text[begin:i])
	for i < len(r.text) {
		switch c := r.text[i]; {
		case c == '"':
			r.at = i + 1
			return string(text), nil
		case c != '\\':
			text = append(text, c)
			i++
		case i+1 < len(r.text) && r.text[i+1] == 'u':
			char, length, err := r.unicode(i)
			if err != nil {
				return "", err
			}
			text = utf8.AppendRune(text, char)
			i += length
		default:
			which := -1
			if i+1 < len(r.text) {
				which = strings.IndexByte(escapes, r.text[i+1])
			}
			if which < 0 {
				return "", r.malformed()
			}
			text = append(text, escaped[which])
			i += 2
		}
	}
	return "", r.malformed()
}

// unicode reads \uXXXX, or two of them that are one character, and returns how many bytes they are.
func (r *reader) unicode(i int) (rune, int, error) {
	first, ok := hex(r.text, i)
	if !ok {
		return 0, 0, r.malformed()
	}
	if !utf16.IsSurrogate(first) {
		return first, len(`\uXXXX`), nil
	}
	second, ok := hex(r.text, i+len(`\uXXXX`))
	both := utf16.DecodeRune(first, second)
	if !ok || both == utf8.RuneError {
		return 0, 0, errSurrogate
	}
	return both, 2 * len(`\uXXXX`), nil
}

// hex reads the number of a \uXXXX.
func hex(text string, i int) (rune, bool) {
	if i+6 > len(text) || text[i:i+2] != `\u` {
		return 0, false
	}
	code, err := strconv.ParseUint(text[i+2:i+6], 16, 16)
	return rune(code), err == nil
}
