package json_test

import (
	"bytes"
	stdjson "encoding/json"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
)

var seeds = []string{
	listing,
	`{"id": 7, "product": "Televizyon", "price": 1.8e4, "kdv": "0.18"}`,
	`{"s":"a","s":"b","l":1,"x":{"y":[1,2.50,{"z":null}],"y":-0}}`,
	`{"s":{"a":1,"b":{"a":1},"a":[1e400,"\u0001\ud83d\ude00\ud800"]},"d":-0.0,"b":"TRUE"}`,
	`{"t":"2025-02-30 24:00:00.","z":"+10000-01-01 00:00:00.123456789Z","c":"23:59:59.9","a":"-0001-02-29","y":"AA==\n/+9="}`,
	`{"l":9223372036854775807.5,"n":"99999999.995e-2","d":"0x1.8p-3f","f":16777217.0000000000001}`,
	"\xff\xfe{\x00\"\x00l\x00\"\x00:\x001\x00}\x00", "{\"s\":\"\xc3(\"}", `{"l":01}`, `{"l":1,}`, `[{}]`, `{"s":"\`,
}

const everyType = "l BIGINT, s STRING, d DOUBLE, b BOOLEAN, i INT, h SMALLINT NOT NULL, g TINYINT, f FLOAT, n DECIMAL(10,2), " +
	"m DECIMAL(38,18), v VARCHAR(3), y BYTES, a DATE, c TIME(3), t TIMESTAMP(3), z TIMESTAMP_LTZ(9)"

// Whatever the bytes and whatever came before them, a message gives the same result and leaves its neighbours alone.
func FuzzDecode(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed), uint8(len(seed)))
	}
	f.Fuzz(func(t *testing.T, message []byte, mode uint8) {
		options := json.Options{OnError: json.OnError(mode % 3), TimestampFormat: json.TimestampFormat(mode / 3 % 2)}
		options.FailOnMissingField = mode >= 128 && options.OnError != json.Ignore
		schema := schemaOf(t, strings.ReplaceAll(everyType, " NOT NULL", []string{"", " NOT NULL"}[mode/6%2]))
		var decoders [2]*json.Decoder
		for i := range decoders {
			var err error
			if decoders[i], err = json.NewDecoder(schema, options, memory.DefaultAllocator); err != nil {
				t.Fatal(err)
			}
		}
		fresh, used := decoders[0], decoders[1]
		appendAll := func(d *json.Decoder, messages ...string) {
			for _, m := range messages {
				if _, err := d.Append([]byte(m)); err != nil {
					t.Fatalf("%s: %v", m, err)
				}
			}
		}
		const whole = `{"z":null,"t":null,"c":null,"a":null,"y":null,"v":"end","m":null,"n":2,"f":2,"g":2,"h":2,"i":2,"b":true,"d":2,"s":null,"l":3}`
		appendAll(fresh, whole)
		appendAll(used, whole)
		used.NewBatch().Release()
		appendAll(used, whole)

		kept := bytes.Clone(message)
		outcome, err := fresh.Append(message)
		again, errAgain := used.Append(message)
		if outcome != again || !cmp.Equal(err, errAgain) {
			t.Fatalf("outcomes %d and %d, errors %v and %v", outcome, again, err, errAgain)
		}
		if !bytes.Equal(kept, message) {
			t.Fatal("the message was changed")
		}
		appendAll(fresh, whole)
		appendAll(used, whole)
		want := 2
		if outcome == json.Appended {
			want++
		}
		a, b := fresh.NewBatch(), used.NewBatch()
		defer a.Release()
		defer b.Release()
		if int(a.NumRows()) != want || !array.RecordApproxEqual(a, b, array.WithNaNsEqual(true)) {
			t.Fatalf("%d rows, want %d:\n%v\n%v", a.NumRows(), want, a, b)
		}
		for _, row := range []int{0, want - 1} {
			if s := a.Column(10).(*array.String); s.Value(row) != "end" || a.Column(0).(*array.Int64).Value(row) != 3 {
				t.Fatalf("row %d became %v", row, a)
			}
		}
		for _, column := range a.Columns() { // not ValidateFull: texts may hold lone surrogates
			if v, ok := column.(interface{ Validate() error }); ok && v.Validate() != nil {
				t.Fatal(v.Validate())
			}
		}
	})
}

// model is what encoding/json makes of a message: the four columns' values, nil for NULL, and whether it is an object.
type model struct {
	long    *big.Int
	text    *string
	double  *float64
	boolean *bool
	nested  []byte // the container in the text column
}

// modelOf walks over the members in order, as fields are counted. Not ok stands for a malformed object.
func modelOf(message []byte) (m model, ok bool) {
	d := stdjson.NewDecoder(bytes.NewReader(message))
	if first, err := d.Token(); err != nil || first != stdjson.Delim('{') {
		return m, false
	}
	for matched := 0; d.More(); {
		name, err := d.Token()
		var raw stdjson.RawMessage
		if err != nil || d.Decode(&raw) != nil {
			return m, false
		}
		if matched < 4 && m.set(name.(string), bytes.TrimSpace(raw)) {
			matched++
		}
	}
	_, err := d.Token()
	return m, err == nil
}

func (m *model) set(name string, raw []byte) bool {
	text, isText := "", raw[0] == '"'
	if isText {
		if stdjson.Unmarshal(raw, &text) != nil {
			panic("a string that is none: " + string(raw))
		}
	}
	isNumber := raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
	switch name {
	case "l":
		m.long = modelLong(string(raw), text, isText, isNumber)
	case "s":
		m.text, m.nested = nil, nil
		switch {
		case isText:
			m.text = &text
		case raw[0] == '{' || raw[0] == '[':
			m.nested = raw
		case string(raw) != "null":
			literal := string(raw)
			m.text = &literal
		}
	case "d":
		m.double = modelDouble(string(raw), text, isText, isNumber)
	case "b":
		m.boolean = nil
		if string(raw) != "null" {
			isTrue := string(raw) == "true" || isText && strings.EqualFold(javaTrim(text), "true")
			m.boolean = &isTrue
		}
	default:
		return false
	}
	return true
}

func javaTrim(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) }

var (
	jsonEscape  = regexp.MustCompile(`^\\(["\\/bfnrt]|u[0-9a-fA-F]{4})`)
	wholeNumber = regexp.MustCompile(`^[+-]?\d+$`)
	javaFloat   = regexp.MustCompile(`^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fFdD]?$`)
	javaHex     = regexp.MustCompile(`^([+-]?0[xX](?:[0-9a-fA-F]+\.?|[0-9a-fA-F]*\.[0-9a-fA-F]+)[pP][+-]?[0-9]+)[fFdD]?$`)
)

func modelLong(raw, text string, isText, isNumber bool) *big.Int {
	switch {
	case isText && wholeNumber.MatchString(javaTrim(text)):
		return inRange(javaTrim(text))
	case isNumber && wholeNumber.MatchString(raw):
		return inRange(raw)
	case isNumber:
		f, _ := strconv.ParseFloat(raw, 64)
		if math.Abs(f) > 1<<63 {
			return nil
		}
		v, _ := big.NewFloat(f).Int(nil)
		if !v.IsInt64() && v.Sign() > 0 {
			v.SetInt64(math.MaxInt64)
		}
		return v
	}
	return nil
}

func inRange(digits string) *big.Int {
	v, _ := new(big.Int).SetString(digits, 10)
	if !v.IsInt64() {
		return nil
	}
	return v
}

func modelDouble(raw, text string, isText, isNumber bool) *float64 {
	text = javaTrim(text)
	switch {
	case isNumber:
		text = raw
	case !isText:
		return nil
	case strings.TrimLeft(text, "+-") == "NaN" && len(text) <= 4:
		f := math.NaN()
		return &f
	case strings.TrimLeft(text, "+-") == "Infinity" && len(text) <= 9:
		f := math.Inf(1 - 2*strings.Count(text, "-"))
		return &f
	case javaHex.MatchString(text):
		text = javaHex.FindStringSubmatch(text)[1]
	case javaFloat.MatchString(text):
		text = javaFloat.FindStringSubmatch(text)[1]
	default:
		return nil
	}
	f, _ := strconv.ParseFloat(text, 64)
	return &f
}

// sameRules reports whether encoding/json has the same rules for message: not for control characters and unknown
// escapes in strings, bytes that are not UTF-8 or another encoding's, and lone surrogates.
func sameRules(message []byte) bool {
	if !utf8.Valid(message) || bytes.HasPrefix(message, []byte("\ufeff")) || bytes.IndexByte(message, 0) >= 0 {
		return false
	}
	inString := false
	for i := 0; i < len(message); i++ {
		switch c := message[i]; {
		case c == '\\' && inString:
			if !jsonEscape.Match(message[i:]) {
				return false
			}
			i++
		case c == '"':
			inString = !inString
		case c < ' ' && inString:
			return false
		}
	}
	return !bytes.Contains(bytes.ToLower(message), []byte(`\ud`))
}

func FuzzDifferential(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) > 0 && sameRules(message) {
			compareWithModel(t, message)
		}
	})
}

// reporter is a *testing.T or a *rapid.T.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

var modelSchema = sqltype.Schema{
	{Name: "l", Type: sqltype.BigIntType}, {Name: "s", Type: sqltype.StringType},
	{Name: "d", Type: sqltype.DoubleType}, {Name: "b", Type: sqltype.BooleanType},
}

func compareWithModel(t reporter, message []byte) {
	t.Helper()
	want, ok := modelOf(message)
	d, err := json.NewDecoder(modelSchema, json.Options{OnError: json.Ignore}, memory.DefaultAllocator)
	if err != nil {
		t.Fatalf("%v", err)
	}
	outcome, err := d.Append(message)
	if err != nil || (outcome == json.Appended) != ok {
		t.Fatalf("%q: outcome %d, %v; encoding/json takes it: %v", message, outcome, err, ok)
	}
	if !ok {
		return
	}
	batch := d.NewBatch()
	defer batch.Release()
	got := batch.Column(0).(*array.Int64)
	if !nonASCIIDigits(message) && (got.IsNull(0) != (want.long == nil) || want.long != nil && got.Value(0) != want.long.Int64()) {
		t.Fatalf("%q: BIGINT %v, want %v", message, got, want.long)
	}
	compareText(t, message, batch.Column(1).(*array.String), want)
	if got := batch.Column(2).(*array.Float64); got.IsNull(0) != (want.double == nil) ||
		want.double != nil && math.Float64bits(got.Value(0)) != math.Float64bits(*want.double) && !math.IsNaN(*want.double) {
		t.Fatalf("%q: DOUBLE %v, want %v", message, got, want.double)
	}
	if got := batch.Column(3).(*array.Boolean); got.IsNull(0) != (want.boolean == nil) || want.boolean != nil && got.Value(0) != *want.boolean {
		t.Fatalf("%q: BOOLEAN %v, want %v", message, got, want.boolean)
	}
}

// nonASCIIDigits reports whether a text may be a number for Java that the model does not know.
func nonASCIIDigits(message []byte) bool {
	return bytes.IndexFunc(message, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 || bytes.Contains(message, []byte(`\u`))
}

func compareText(t reporter, message []byte, got *array.String, want model) {
	t.Helper()
	switch {
	case want.nested != nil:
		if !sameValue(want.nested, []byte(got.Value(0))) {
			t.Fatalf("%q: STRING %s, want the same as %s", message, got.Value(0), want.nested)
		}
	case got.IsNull(0) != (want.text == nil), want.text != nil && got.Value(0) != *want.text:
		t.Fatalf("%q: STRING %v, want %v", message, got, want.text)
	}
}

// sameValue reports whether two containers hold the same. A number too large for a double is a string in what the decoder
// writes, so containers with one are not compared.
func sameValue(a, b []byte) bool {
	var x, y any
	if err := stdjson.Unmarshal(a, &x); err != nil {
		return true
	}
	return stdjson.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
}
