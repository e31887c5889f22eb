package json_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
)

func newDecoder(t testing.TB, schema sqltype.Schema, options json.Options) *json.Decoder {
	t.Helper()
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	d, err := json.NewDecoder(schema, options, alloc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Release()
		alloc.AssertSize(t, 0)
	})
	return d
}

// schemaOf parses "name TYPE, name TYPE".
func schemaOf(t testing.TB, text string) sqltype.Schema {
	t.Helper()
	var schema sqltype.Schema
	for column := range strings.SplitSeq(text, ", ") {
		name, typ, _ := strings.Cut(column, " ")
		parsed, err := sqltype.Parse(typ)
		if err != nil {
			t.Fatal(err)
		}
		schema = append(schema, sqltype.Column{Name: name, Type: parsed})
	}
	return schema
}

// rows takes the decoder's batch, each row as its values' texts.
func rows(d *json.Decoder) []string {
	batch := d.NewBatch()
	defer batch.Release()
	var all []string
	for row := range int(batch.NumRows()) {
		var cells []string
		for _, column := range batch.Columns() {
			cells = append(cells, column.ValueStr(row))
		}
		all = append(all, strings.Join(cells, "|"))
	}
	return all
}

func TestDecodeError(t *testing.T) {
	for _, test := range []struct {
		schema, message string
		want            json.DecodeError
	}{
		{"id INT", `{"id":"x"}`, json.DecodeError{Field: "id", Reason: `x is not a whole number`, Offset: 6, Record: `{"id":"x"}`}},
		{"id INT", `{"id":3000000000}`, json.DecodeError{Field: "id", Reason: `3000000000 is out of the column type's range`, Offset: 6, Record: `{"id":3000000000}`}},
		{"id INT, v TIMESTAMP(3)", `{"id":1, "v":"soon"}`, json.DecodeError{
			Field: "v", Reason: `soon is not a timestamp in the layout yyyy-MM-dd HH:mm:ss[.fraction]`, Offset: 13, Record: `{"id":1, "v":"soon"}`}},
		{"v TIMESTAMP_LTZ(3)", `{"v":true}`, json.DecodeError{Field: "v", Reason: `true is not a value of the column's type`, Offset: 5, Record: `{"v":true}`}},
		{"v STRING NOT NULL", `{}`, json.DecodeError{Field: "v", Reason: "NULL in a column that is NOT NULL", Offset: 1, Record: `{}`}},
		{"v STRING", "{\"v\":\"\xff\"}", json.DecodeError{Field: "v", Reason: `\xff is not valid UTF-8`, Offset: 5, Record: `{"v":"\xff"}`}},
		{"v STRING", `{"u":"\x"}`, json.DecodeError{Reason: "a text has an escape that JSON does not know", Offset: 5, Record: `{"u":"\\x"}`}},
		{"v STRING", `{"v":1`, json.DecodeError{Reason: "the record ends within the object", Offset: 6, Record: `{"v":1`}},
		{"v STRING", `[1]`, json.DecodeError{Reason: "not a JSON object", Offset: 0, Record: `[1]`}},
		{"v INT", `{"v":[1,{"a":2}]}`, json.DecodeError{
			Field: "v", Reason: `[1,{"a":2}] (an object or array) is not a value of the column's type`, Offset: 5, Record: `{"v":[1,{"a":2}]}`}},
		{"v INT", `{"v":01}`, json.DecodeError{Reason: "malformed number", Offset: 5, Record: `{"v":01}`}},
		{"v INT", `{"v":"` + strings.Repeat("ş", 200) + `"}`, json.DecodeError{
			Field: "v", Reason: strings.Repeat("ş", 32) + "… is not a whole number", Offset: 5, Record: `{"v":"` + strings.Repeat("ş", 125) + "…"}},
	} {
		d := newDecoder(t, schemaOf(t, test.schema), json.Options{})
		_, err := d.Append([]byte(test.message))
		var got *json.DecodeError
		if !errors.As(err, &got) {
			t.Errorf("%s gives %v, want *DecodeError", test.message, err)
			continue
		}
		if diff := cmp.Diff(&test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.message, diff)
		}
		if d.Len() != 0 {
			t.Errorf("%s leaves %d rows", test.message, d.Len())
		}
	}
}

func TestOnError(t *testing.T) {
	messages := []string{`{"a":1,"b":"x"}`, `{"a":"bad","b":"y"}`, `{"a":2,"b":`, ``, `{"b":"z","a":3}`}
	for _, test := range []struct {
		onError json.OnError
		rows    []string
		stats   json.Stats
	}{
		{json.Ignore, []string{"1|x", "(null)|y", "3|z"}, json.Stats{RowsAppended: 3, MessagesEmpty: 1, RecordsDropped: 1, FieldsIgnored: 1}},
		{json.Skip, []string{"1|x", "3|z"}, json.Stats{RowsAppended: 2, MessagesEmpty: 1, RecordsDropped: 2}},
	} {
		d := newDecoder(t, schemaOf(t, "a INT, b STRING"), json.Options{OnError: test.onError})
		for _, m := range messages {
			if _, err := d.Append([]byte(m)); err != nil {
				t.Fatalf("%q: %v", m, err)
			}
		}
		if diff := cmp.Diff(test.rows, rows(d)); diff != "" {
			t.Errorf("mode %d (-want +got):\n%s", test.onError, diff)
		}
		if diff := cmp.Diff(test.stats, d.Stats()); diff != "" {
			t.Errorf("mode %d (-want +got):\n%s", test.onError, diff)
		}
	}
}

func TestNotNull(t *testing.T) {
	d := newDecoder(t, schemaOf(t, "a INT NOT NULL, b INT"), json.Options{OnError: json.Ignore})
	for message, want := range map[string]json.Outcome{
		`{"a":1}`:                json.Appended,
		`{"b":1}`:                json.Dropped,
		`{"a":null,"b":1}`:       json.Dropped,
		`{"a":"x","b":1}`:        json.Dropped,
		`{"a":null,"a":2,"b":1}`: json.Appended, // the last counts, and is the second of two
		`{"a":2,"a":null,"b":1}`: json.Dropped,
		`{"b":2,"a":3,"a":null}`: json.Appended, // the third of two columns is not read
	} {
		if got, err := d.Append([]byte(message)); got != want || err != nil {
			t.Errorf("%s gives %d, %v, want %d", message, got, err, want)
		}
	}
	if d.Len() != 3 {
		t.Errorf("%d rows, want 3", d.Len())
	}
}

func TestFailOnMissingField(t *testing.T) {
	d := newDecoder(t, schemaOf(t, "a INT, b INT"), json.Options{FailOnMissingField: true})
	for message, field := range map[string]string{
		`{"a":1,"b":null}`: "",
		`{"a":1,"a":2}`:    "", // two fields for two columns, as Flink counts
		`{"a":1}`:          "b",
		`{"b":1,"B":2}`:    "a",
	} {
		_, err := d.Append([]byte(message))
		got, ok := errors.AsType[*json.DecodeError](err)
		if ok != (field != "") || err != nil && !ok || ok && got.Field != field {
			t.Errorf("%s gives %v, want the field %q missing", message, err, field)
		}
	}
}

func TestEncodings(t *testing.T) {
	const text = `{"v":"çay 🍵"}`
	units := utf16.Encode([]rune(text))
	encode16 := func(order binary.AppendByteOrder) (b []byte) {
		for _, u := range units {
			b = order.AppendUint16(b, u)
		}
		return b
	}
	encode32 := func(order binary.AppendByteOrder) (b []byte) {
		for _, r := range text {
			b = order.AppendUint32(b, uint32(r))
		}
		return b
	}
	d := newDecoder(t, schemaOf(t, "v STRING"), json.Options{})
	for name, message := range map[string][]byte{
		"UTF-8":              []byte(text),
		"UTF-8 with mark":    append([]byte("\xef\xbb\xbf"), text...),
		"UTF-16BE":           encode16(binary.BigEndian),
		"UTF-16LE":           encode16(binary.LittleEndian),
		"UTF-16BE with mark": append([]byte{0xfe, 0xff}, encode16(binary.BigEndian)...),
		"UTF-16LE with mark": append([]byte{0xff, 0xfe}, encode16(binary.LittleEndian)...),
		"UTF-32BE":           encode32(binary.BigEndian),
		"UTF-32LE":           encode32(binary.LittleEndian),
		"UTF-32BE with mark": append([]byte{0, 0, 0xfe, 0xff}, encode32(binary.BigEndian)...),
		"UTF-32LE with mark": append([]byte{0xff, 0xfe, 0, 0}, encode32(binary.LittleEndian)...),
	} {
		if _, err := d.Append(message); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := rows(d); !slices.Equal(got, []string{"çay 🍵"}) {
			t.Errorf("%s gives %q", name, got)
		}
	}
}

// Ten thousand levels, a million of them, long texts: all in one pass and without recursion.
func TestLargeRecords(t *testing.T) {
	d := newDecoder(t, schemaOf(t, "id INT, v STRING"), json.Options{})
	nested := func(depth int) string { return strings.Repeat(`[{"a":`, depth) + "1" + strings.Repeat("}]", depth) }
	long := strings.Repeat("ş\"", 1<<19)
	for _, test := range []struct{ message, want string }{
		{`{"id":1,"u":` + nested(10_000) + `,"v":"x"}`, "1|x"},
		{`{"id":2,"v":` + nested(10_000) + `}`, "2|" + nested(10_000)},
		{`{"id":3,"u":` + nested(1_000_000) + `,"v":"x"}`, "3|x"},
		{`{"id":4,"v":"` + strings.ReplaceAll(long, `"`, `\"`) + `"}`, "4|" + long},
		{`{"id":5,"v":{` + strings.Repeat(`"a":{"b":[2]},`, 20_000) + `"a":1}}`, `5|{"a":1}`},
	} {
		if _, err := d.Append([]byte(test.message)); err != nil {
			t.Fatalf("%.60s: %v", test.message, err)
		}
		if got := rows(d); got[0] != test.want {
			t.Errorf("%.60s gives %.60q", test.message, got[0])
		}
	}
}

func manyColumns(n int) (schema sqltype.Schema, message string) {
	var fields []string
	for i := range n {
		name := fmt.Sprintf("column_with_a_long_name_%05d_and_an_end", i)
		schema = append(schema, sqltype.Column{Name: name, Type: sqltype.IntType})
		fields = append(fields, fmt.Sprintf("%q:%d", name, i))
	}
	return schema, "{" + strings.Join(fields, ",") + "}"
}

func TestManyColumns(t *testing.T) {
	const n = 10_000
	schema, message := manyColumns(n)
	d := newDecoder(t, schema, json.Options{})
	fields := strings.Split(strings.Trim(message, "{}"), ",")
	slices.Reverse(fields)
	for _, m := range []string{message, "{" + strings.Join(fields, ",") + "}", message, "{}"} {
		if _, err := d.Append([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	batch := d.NewBatch()
	defer batch.Release()
	for i, column := range batch.Columns() {
		v := column.(*array.Int32)
		if v.Value(0) != int32(i) || v.Value(1) != int32(i) || v.Value(2) != int32(i) || !v.IsNull(3) {
			t.Fatalf("column %d is %v", i, column)
		}
	}
}

// A name may hold what JSON escapes; the record may escape what it need not.
func TestNames(t *testing.T) {
	schema := sqltype.Schema{
		{Name: `a":"b`, Type: sqltype.IntType}, {Name: `back\slash`, Type: sqltype.IntType},
		{Name: "ülke", Type: sqltype.IntType}, {Name: "", Type: sqltype.IntType},
	}
	d := newDecoder(t, schema, json.Options{})
	for _, m := range []string{
		`{"a\":\"b":1,"back\\slash":2,"ülke":3,"":4}`,
		`{ "\u0061\u0022:\u0022b" : 1 , "back\u005cslash" : 2 , "\u00fclke" : 3 , "" : 4 }`,
	} {
		if _, err := d.Append([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	if got := rows(d); !slices.Equal(got, []string{"1|2|3|4", "1|2|3|4"}) {
		t.Errorf("rows %q", got)
	}
	if _, err := d.Append([]byte(`{"a":"b":1}`)); err == nil {
		t.Error(`{"a":"b":1} is taken`)
	}
}

func TestNewDecoderRefuses(t *testing.T) {
	for want, schema := range map[string]sqltype.Schema{
		"no columns":      nil,
		"declared twice":  {{Name: "a", Type: sqltype.IntType}, {Name: "a", Type: sqltype.IntType}},
		"not valid UTF-8": {{Name: "\xff", Type: sqltype.IntType}},
		"cannot be read":  {{Name: "a", Type: sqltype.NullType}},
	} {
		if _, err := json.NewDecoder(schema, json.Options{}, memory.DefaultAllocator); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestParseOptions(t *testing.T) {
	got, err := json.ParseOptions(map[string]string{
		"timestamp-format.standard": "ISO-8601", "ignore-parse-errors": "TRUE", "fail-on-missing-field": "false"})
	if want := (json.Options{OnError: json.Ignore, TimestampFormat: json.ISO8601}); got != want || err != nil {
		t.Errorf("options %+v, %v, want %+v", got, err, want)
	}
	for want, options := range map[string]map[string]string{
		`"yes" is not one of true, false`:     {"ignore-parse-errors": "yes"},
		`"RFC" is not one of SQL, ISO-8601`:   {"timestamp-format.standard": "RFC"},
		`unknown json option "ignore-errors"`: {"ignore-errors": "true"},
		`contradict each other`:               {"ignore-parse-errors": "true", "fail-on-missing-field": "true"},
	} {
		if _, err := json.ParseOptions(options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	d := newDecoder(t, schemaOf(t, "id INT"), json.Options{})
	for message, want := range map[string]string{
		`{"id":"x"}`: `json field "id", byte 6: x is not a whole number: {"id":"x"}`,
		`{"id":1 2}`: `json record, byte 8: expected a comma or the object's end: {"id":1 2}`,
	} {
		if _, err := d.Append([]byte(message)); err == nil || err.Error() != want {
			t.Errorf("%s gives %v, want %s", message, err, want)
		}
	}
}

// What Jackson 2.14 and java.time of JDK 17 make of values at the edges.
func TestConversions(t *testing.T) {
	const null = "(null)"
	iso := json.Options{OnError: json.Ignore, TimestampFormat: json.ISO8601}
	for _, test := range []struct{ typ, value, want string }{
		{"FLOAT", "1.000000059604644775390625000001", "1.0000001"}, // one rounding: by way of a double it would be 1
		{"BIGINT", "9223372036854775808.0", "9223372036854775807"},
		{"BIGINT", "9223372036854776833.0", null},
		{"BIGINT", "-9223372036854775808.5", "-9223372036854775808"},
		{"BIGINT", "9007199254740993.0", "9007199254740992"},
		{"BIGINT", `"\u0bef\uff17"`, "97"},
		{"BIGINT", `"𝟎7"`, null},
		{"DECIMAL(10,2)", `"1e\u0661"`, "10"},
		{"DECIMAL(10,2)", "1e-2147483647", "0"},
		{"DECIMAL(10,2)", "1e2147483648", null},
		{"DECIMAL(10,2)", "0e-2147483648", null},
		{"DECIMAL(10,2)", "1e00000000000000000002", "100"},
		{"DECIMAL(10,2)", `".e1"`, null},
		{"DECIMAL(10,2)", `"1.2.3"`, null},
		{"DECIMAL(10,2)", `"1e"`, null},
		{"DECIMAL(10,2)", "99999999.994", "99999999.99"},
		{"DECIMAL(10,2)", "99999999.995", null},
		{"BYTES", `"YWJj ZGVm"`, "YWJjZGVm"},
		{"BYTES", `"YW Jj"`, null},
		{"BYTES", `"AA==AA=="`, "AAA="},
		{"BYTES", `"AA= ="`, null},
		{"BYTES", `"AB=="`, "AA=="},
		{"BYTES", `"AA="`, null},
		{"BYTES", `"=AAA"`, null},
		{"DATE", `"+02025-03-04"`, "2025-03-04"},
		{"DATE", `"+2025-03-04"`, null},
		{"DATE", `"-0000-01-01"`, null},
		{"DATE", `"+999999999-01-01"`, null}, // more days than 32 bits count
		{"STRING", `"\ud83d\ude00"`, "😀"},
		{"STRING", `"\ud800x"`, "\xed\xa0\x80x"}, // not UTF-8, so that a writer refuses it
		{"STRING", `[9007199254740993.0,1e23,-1e400,-0]`, `[9.007199254740992E15,9.999999999999999E22,"-Infinity",0]`},
		{"STRING", `{"a":{"x":1},"a":{"x":2},"b":1,"a":{"x":3}}`, `{"a":{"x":3},"b":1}`},
		{"STRING", `{"k\n\u001f\u007f\/":"\u2028\""}`, "{\"k\\n\\u001F\u007f/\":\"\u2028\\\"\"}"},
	} {
		d := newDecoder(t, schemaOf(t, "v "+test.typ), iso)
		if outcome, err := d.Append([]byte(`{"v":` + test.value + `}`)); outcome != json.Appended {
			t.Errorf("%s: %d, %v", test.value, outcome, err)
			continue
		}
		if got := rows(d)[0]; got != test.want {
			t.Errorf("%s as %s is %s, want %s", test.value, test.typ, got, test.want)
		}
	}
}
