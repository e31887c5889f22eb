package replay

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"pencere/pkg/plan"
	"pencere/pkg/sqltype"
)

// decoder reads records as Flink's formats json and raw do, by encoding/json and a table of conversions.
type decoder struct {
	schema    sqltype.Schema
	onError   plan.OnError
	missing   bool // a field that is missing is an error
	iso       bool
	positions map[string]int
	raw       bool // the record is the only column
	document  bool // and is JSON
	verbatim  bool // a column is of type JSON
}

func newDecoder(source plan.Source) (*decoder, error) {
	d := &decoder{schema: source.Schema, onError: source.OnError, positions: map[string]int{}}
	for name, value := range source.FormatOptions {
		on := strings.EqualFold(value, "true")
		switch name {
		case "fail-on-missing-field":
			d.missing = on
		case "ignore-parse-errors":
			if on {
				d.onError = plan.OnErrorIgnore
			}
		case "timestamp-format.standard":
			d.iso = value == "ISO-8601"
		default:
			return nil, unsupported("source.json.%s", name)
		}
	}
	switch d.onError {
	case plan.OnErrorFail, plan.OnErrorIgnore, plan.OnErrorSkip, plan.OnErrorDeadLetter:
	default:
		return nil, unsupported("on_error: %s", d.onError)
	}
	d.raw, d.document = source.Format == plan.FormatRaw, source.Document
	for i, column := range d.schema {
		d.positions[column.Name] = i
		d.verbatim = d.verbatim || column.Type.Kind == sqltype.JSON
	}
	return d, nil
}

// errMalformed is that a record is no JSON object.
var errMalformed = errors.New("no JSON object")

// undecodableError is that a record goes to the dead letters: because of some fields, or as no JSON object when there are none.
type undecodableError struct{ fields []string }

func (e *undecodableError) Error() string { return "undecodable: " + strings.Join(e.fields, ", ") }

// fieldError is that a field cannot be decoded.
type fieldError struct {
	name string
	err  error
}

func (e *fieldError) Error() string { return fmt.Sprintf("field %s: %v", e.name, e.err) }

// badFields lists the fields of joined errors.
func badFields(err error) (names []string) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			names = append(names, badFields(e)...)
		}
		return names
	}
	if field, ok := errors.AsType[*fieldError](err); ok {
		names = append(names, field.name)
	}
	return names
}

// decode returns the row of a record, nil if it makes none. The error is that the job fails here, *UnsupportedError, or *undecodableError.
func (d *decoder) decode(record []byte) ([]value, error) {
	if d.raw {
		return []value{rawValue(record)}, nil
	}
	if len(record) == 0 {
		return nil, nil
	}
	row, bad, err := d.columns(record)
	if _, beyond := errors.AsType[*UnsupportedError](err); beyond {
		return nil, err
	}
	switch {
	case err == nil && bad == nil:
		return row, nil
	case d.onError == plan.OnErrorFail:
		return nil, errors.Join(err, bad)
	case d.onError == plan.OnErrorIgnore && err == nil:
		return row, nil
	case d.onError == plan.OnErrorDeadLetter && err != nil:
		return nil, &undecodableError{}
	case d.onError == plan.OnErrorDeadLetter:
		return nil, &undecodableError{badFields(bad)}
	default:
		return nil, nil
	}
}

// columns reads a record, as an object with a field for each column or as a document. bad is as object's.
func (d *decoder) columns(record []byte) (row []value, bad, err error) {
	if !d.document {
		return d.object(record)
	}
	v, err := document(record)
	return []value{v}, nil, err
}

// object reads the fields of a record. bad is the first one that could not be read and is NULL.
func (d *decoder) object(record []byte) (row []value, bad, err error) {
	if record, err = utf8Record(record); err != nil {
		return nil, nil, err
	}
	readable := escaped(record)
	if d.verbatim && !bytes.Equal(readable, record) {
		return nil, nil, unsupported("a record with bad escapes or bare control characters, and a column of type JSON")
	}
	reader := json.NewDecoder(bytes.NewReader(readable))
	if open, err := reader.Token(); err != nil || open != json.Delim('{') {
		return nil, nil, fmt.Errorf("%w: %.100q", errMalformed, record)
	}
	row = make([]value, len(d.schema))
	found, seen := make([]bool, len(d.schema)), 0
	for reader.More() {
		name, err := reader.Token()
		var raw json.RawMessage
		if err == nil {
			err = reader.Decode(&raw)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		i, known := d.positions[name.(string)]
		if !known || seen == len(d.schema) {
			continue // once there are as many fields as columns, Flink's parser skips the rest
		}
		seen++
		found[i] = true
		if row[i], err = d.field(raw, d.schema[i].Type); err != nil {
			if _, beyond := errors.AsType[*UnsupportedError](err); beyond {
				return nil, nil, err
			}
			row[i] = nil
			bad = errors.Join(bad, &fieldError{d.schema[i].Name, err})
		}
	}
	if _, err := reader.Token(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	for i, column := range d.schema {
		if d.missing && !found[i] && seen < len(d.schema) {
			bad = errors.Join(bad, &fieldError{column.Name, errors.New("it is missing")})
		}
		if row[i] == nil && column.Type.NotNull && (bad == nil || d.onError == plan.OnErrorIgnore) {
			return nil, nil, unsupported("a record without a value for %s, which is NOT NULL", column.Name)
		}
	}
	return row, bad, nil
}

// escaped makes of what Jackson takes and encoding/json does not something that it takes too: control characters inside texts become
// escapes, and a bad escape the byte FF, which is no UTF-8, so that only its field is bad.
func escaped(record []byte) []byte {
	out := make([]byte, 0, len(record))
	inside := false
	for i := 0; i < len(record); i++ {
		c := record[i]
		switch {
		case c == '"':
			inside = !inside
		case inside && c < ' ':
			out = fmt.Appendf(out, `\u%04x`, c)
			continue
		case inside && c == '\\' && i+1 < len(record):
			if !goodEscape(record[i:]) {
				out = append(out, 0xff)
				if record[i+1] != '"' && record[i+1] != '\\' {
					continue
				}
			}
			out = append(out, c)
			i++
			c = record[i]
		}
		out = append(out, c)
	}
	return out
}

func goodEscape(text []byte) bool {
	if text[1] != 'u' {
		return bytes.IndexByte([]byte(`"\/bfnrt`), text[1]) >= 0
	}
	if len(text) < 6 {
		return false
	}
	_, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return err == nil
}

var errKind = errors.New("a value of another kind")

// field converts the text of a JSON value.
func (d *decoder) field(raw []byte, t sqltype.Type) (value, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	if t.Kind == sqltype.JSON {
		if !utf8.Valid(raw) {
			return nil, unsupported("a value of type JSON that is not UTF-8")
		}
		return string(raw), nil
	}
	var content string
	switch raw[0] {
	case '"':
		var err error
		if content, err = unquote(raw); err != nil {
			return nil, err
		}
	case '{', '[':
		switch {
		case t.IsText():
			return compact(raw)
		case t.Kind == sqltype.Boolean:
			return false, nil
		}
		return nil, errKind
	case 't', 'f':
		if t.Kind != sqltype.Boolean && !t.IsText() {
			return nil, errKind
		}
		content = string(raw)
	default:
		content = string(raw)
	}
	isNumber := raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9'
	switch t.Kind {
	case sqltype.Boolean:
		return strings.EqualFold(javaTrim(content), "true"), nil
	case sqltype.TinyInt, sqltype.SmallInt, sqltype.Int, sqltype.BigInt:
		if isNumber && strings.ContainsAny(content, ".eE") {
			return integerOfFloat(content, t.Kind)
		}
		return integer(javaTrim(content), t.Kind)
	case sqltype.Float, sqltype.Double:
		return floating(javaTrim(content), t.Kind, isNumber && strings.ContainsAny(content, ".eE"))
	case sqltype.Decimal:
		digits, scale, ok := parseDecimal(asciiDigits(javaTrim(content)))
		if !ok {
			return nil, fmt.Errorf("%.60q is no number", content)
		}
		return rescaled(digits, scale, t), nil
	case sqltype.Char, sqltype.VarChar:
		return content, nil
	default:
		return d.textual(raw, content, t)
	}
}

// textual converts a value that only a JSON text can be.
func (d *decoder) textual(raw []byte, content string, t sqltype.Type) (value, error) {
	if raw[0] != '"' {
		return nil, errKind
	}
	switch t.Kind {
	case sqltype.Bytes:
		return base64Text(content)
	case sqltype.Date:
		return isoDate(content)
	case sqltype.Time:
		return timeOfDay(content)
	case sqltype.Timestamp, sqltype.TimestampLTZ:
		return d.timestamp(content, t.Kind == sqltype.TimestampLTZ)
	default:
		return nil, unsupported("a column of type %s", t)
	}
}

// javaTrim cuts blanks and control characters off the ends, as String.trim.
func javaTrim(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) }

// unquote reads a JSON text. Half a surrogate pair stays, as three bytes that are no UTF-8.
func unquote(raw []byte) (string, error) {
	if !utf8.Valid(raw) {
		return "", errors.New("a text with a bad escape or bytes that are no UTF-8")
	}
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), nil
	}
	var units []uint16
	for len(inner) > 0 {
		c, size := utf8.DecodeRune(inner)
		switch {
		case c != '\\':
			units = utf16.AppendRune(units, c)
		case inner[1] == 'u':
			n, _ := strconv.ParseUint(string(inner[2:6]), 16, 16) // goodEscape has seen it
			units, size = append(units, uint16(n)), 6
		default:
			plain := map[byte]uint16{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}
			unit, short := plain[inner[1]]
			if !short {
				unit = uint16(inner[1])
			}
			units, size = append(units, unit), 2
		}
		inner = inner[size:]
	}
	return textOfUnits(units), nil
}

func textOfUnits(units []uint16) string {
	var out []byte
	for i := 0; i < len(units); i++ {
		c := rune(units[i])
		if i+1 < len(units) && utf16.IsSurrogate(c) {
			if pair := utf16.DecodeRune(c, rune(units[i+1])); pair != unicode.ReplacementChar {
				out = utf8.AppendRune(out, pair)
				i++
				continue
			}
		}
		if utf16.IsSurrogate(c) {
			out = append(out, 0xe0|byte(c>>12), 0x80|byte(c>>6)&0x3f, 0x80|byte(c)&0x3f)
			continue
		}
		out = utf8.AppendRune(out, c)
	}
	return string(out)
}

func bits(kind sqltype.Kind) int {
	return map[sqltype.Kind]int{sqltype.TinyInt: 8, sqltype.SmallInt: 16, sqltype.Int: 32, sqltype.BigInt: 64}[kind]
}

// asciiDigits makes the decimal digits of all scripts those of ASCII, as Java's Character.digit.
func asciiDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf || !unicode.Is(unicode.Nd, r) {
			return r
		}
		zero := r
		for unicode.Is(unicode.Nd, zero-1) && r-zero < 9 {
			zero--
		}
		return '0' + r - zero
	}, s)
}

func integer(s string, kind sqltype.Kind) (value, error) {
	s = asciiDigits(s)
	if !digitsOnly(strings.TrimLeft(s, "+-")) {
		return nil, fmt.Errorf("%.60q is no integer", s)
	}
	return intValue(strconv.ParseInt(s, 10, bits(kind)))
}

func intValue(n int64, err error) (value, error) {
	if err != nil {
		return nil, err
	}
	return n, nil
}

// integerOfFloat cuts a number with a point or an exponent, as Jackson does for INT and BIGINT only.
func integerOfFloat(s string, kind sqltype.Kind) (value, error) {
	f, err := strconv.ParseFloat(s, 64)
	least, greatest := float64(math.MinInt32), float64(math.MaxInt32)
	if kind == sqltype.BigInt {
		least, greatest = -1<<63, 1<<63
	}
	switch {
	case kind != sqltype.Int && kind != sqltype.BigInt, err != nil && !errors.Is(err, strconv.ErrRange), f < least, f > greatest:
		return nil, fmt.Errorf("%s does not fit", s)
	case f == 1<<63:
		return int64(math.MaxInt64), nil
	}
	return int64(f), nil
}

var javaDouble = regexp.MustCompile(`^[+-]?(NaN|Infinity|((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?\d+)[fFdD]?)$`)

// floating reads what Java's Double.parseDouble reads. A FLOAT that is a number with a point is rounded to DOUBLE first, as Jackson does.
func floating(s string, kind sqltype.Kind, twice bool) (value, error) {
	if !javaDouble.MatchString(s) {
		return nil, fmt.Errorf("%.60q is no number", s)
	}
	if hex := strings.ContainsAny(s, "xX"); !strings.HasSuffix(s, "Infinity") && !strings.HasSuffix(s, "NaN") || hex {
		s = strings.TrimRight(s, "fFdD")
	}
	if kind == sqltype.Float && !twice {
		f, err := strconv.ParseFloat(strings.TrimPrefix(s, "+"), 32)
		return float32(f), ignoreRange(err)
	}
	f, err := strconv.ParseFloat(strings.TrimLeft(s, "+"), 64)
	if strings.HasSuffix(s, "NaN") {
		f, err = math.NaN(), nil
	}
	if kind == sqltype.Float {
		return float32(f), ignoreRange(err)
	}
	return f, ignoreRange(err)
}

func ignoreRange(err error) error {
	if errors.Is(err, strconv.ErrRange) {
		return nil
	}
	return err
}

func base64Text(s string) (value, error) {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' {
			return -1
		}
		return r
	}, s)
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, err
	}
	return string(raw), nil
}

var (
	dateText  = regexp.MustCompile(`^([+-]?\d{4,9})-(\d\d)-(\d\d)$`)
	clockText = regexp.MustCompile(`^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{0,9}))?)?$`)
)

// isoDate reads Java's ISO_LOCAL_DATE, strictly.
func isoDate(s string) (value, error) {
	days, err := dateOf(s, false)
	if err != nil {
		return nil, err
	}
	return days, nil
}

// dateOf reads a date into days since 1970. lenient takes a day that a month does not have for its last.
func dateOf(s string, lenient bool) (int64, error) {
	parts := dateText.FindStringSubmatch(s)
	if parts == nil {
		return 0, fmt.Errorf("%.60q is no date", s)
	}
	year, _ := strconv.Atoi(parts[1])
	month, _ := strconv.Atoi(parts[2])
	of, _ := strconv.Atoi(parts[3])
	signed := parts[1][0] == '+' || parts[1][0] == '-'
	if !signed && len(parts[1]) > 4 || parts[1][0] == '+' && len(parts[1]) <= 5 || month < 1 || month > 12 || of < 1 || of > 31 {
		return 0, fmt.Errorf("%.60q is no date", s)
	}
	last := time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	if of > last && !lenient {
		return 0, fmt.Errorf("%.60q is no date: the month has %d days", s, last)
	}
	seconds := time.Date(year, time.Month(month), min(of, last), 0, 0, 0, 0, time.UTC).Unix()
	return seconds / (24 * 60 * 60), nil
}

// clockOf reads a time of day.
func clockOf(s string, needsSeconds bool) (ms, nanos int64, err error) {
	parts := clockText.FindStringSubmatch(s)
	if len(parts) == 0 || needsSeconds && parts[3] == "" {
		return 0, 0, fmt.Errorf("%.60q is no time of day", s)
	}
	hour, _ := strconv.ParseInt(parts[1], 10, 64)
	minute, _ := strconv.ParseInt(parts[2], 10, 64)
	second, _ := strconv.ParseInt("0"+parts[3], 10, 64)
	fraction, _ := strconv.ParseInt((parts[4] + "000000000")[:9], 10, 64)
	if hour > 24 || minute > 59 || second > 59 || hour == 24 && minute+second+fraction > 0 {
		return 0, 0, fmt.Errorf("%.60q is no time of day", s)
	}
	return (hour*3600+minute*60+second)*1000 + fraction/1_000_000, fraction % 1_000_000, nil
}

func timeOfDay(s string) (value, error) {
	ms, _, err := clockOf(s, true)
	if err != nil || strings.HasSuffix(s, ".") {
		return nil, fmt.Errorf("%.60q is no time of day", s)
	}
	return ms % msPerDay / 1000 * 1000, nil
}

// timestamp reads Flink's two forms of a timestamp.
func (d *decoder) timestamp(s string, zoned bool) (value, error) {
	bad := fmt.Errorf("%.60q is no timestamp", s)
	if zoned {
		var z bool
		if s, z = strings.CutSuffix(s, "Z"); !z {
			return nil, bad
		}
	}
	separator := strings.IndexByte(s, ' ')
	if d.iso {
		separator = strings.IndexAny(s, "tT")
	}
	if separator < 0 {
		return nil, bad
	}
	days, err := dateOf(s[:separator], !d.iso)
	if err != nil {
		return nil, bad
	}
	ms, nanos, err := clockOf(s[separator+1:], !d.iso)
	if err != nil || d.iso && ms == msPerDay || d.iso && strings.HasSuffix(s, ".") {
		return nil, bad
	}
	return stamp{days*msPerDay + ms, nanos}, nil
}
