package bson_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	driver "go.mongodb.org/mongo-driver/v2/bson"

	"pencere/pkg/format"
	"pencere/pkg/format/bson"
	"pencere/pkg/sqltype"
)

// batch makes a batch of one row. nil is NULL.
func batch(t testing.TB, schema sqltype.Schema, values ...any) arrow.RecordBatch {
	t.Helper()
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
	defer builder.Release()
	for i, value := range values {
		switch b := builder.Field(i); value := value.(type) {
		case nil:
			b.AppendNull()
		case bool:
			b.(*array.BooleanBuilder).Append(value)
		case int8:
			b.(*array.Int8Builder).Append(value)
		case int16:
			b.(*array.Int16Builder).Append(value)
		case int32:
			b.(*array.Int32Builder).Append(value)
		case int64:
			b.(*array.Int64Builder).Append(value)
		case float32:
			b.(*array.Float32Builder).Append(value)
		case float64:
			b.(*array.Float64Builder).Append(value)
		case string:
			b.(*array.StringBuilder).Append(value)
		case []byte:
			b.(*array.BinaryBuilder).Append(value)
		case arrow.Date32:
			b.(*array.Date32Builder).Append(value)
		case arrow.Time32:
			b.(*array.Time32Builder).Append(value)
		case decimal128.Num:
			b.(*array.Decimal128Builder).Append(value)
		default:
			t.Fatalf("no column for %T", value)
		}
	}
	return builder.NewRecordBatch()
}

// document makes a document of one row.
func document(t testing.TB, schema sqltype.Schema, root string, values ...any) (string, error) {
	t.Helper()
	encoder, err := bson.NewEncoder(schema, root)
	if err != nil {
		t.Fatal(err)
	}
	rows := batch(t, schema, values...)
	defer rows.Release()
	text, err := encoder.AppendRow([]byte("before"), bson.ID{Value: bson.TextID("t-0-7"), Fallback: true}, rows, 0)
	if err != nil {
		if string(text) != "before" {
			t.Errorf("with an error %q is there", text)
		}
		return "", err
	}
	raw := driver.Raw(text[len("before"):])
	if err := raw.Validate(); err != nil {
		t.Fatalf("%x: %v", []byte(raw), err)
	}
	extended, err := driver.MarshalExtJSON(raw, true, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(extended), nil
}

func column(name string, of sqltype.Type) sqltype.Column { return sqltype.Column{Name: name, Type: of} }

func TestColumns(t *testing.T) {
	schema := sqltype.Schema{
		column("b", sqltype.BooleanType), column("i8", sqltype.TinyIntType), column("i16", sqltype.SmallIntType), column("i32", sqltype.IntType),
		column("i64", sqltype.BigIntType), column("f", sqltype.FloatType), column("d", sqltype.DoubleType), column("n", sqltype.DecimalType(38, 2)),
		column("s", sqltype.StringType), column("y", sqltype.BytesType), column("day", sqltype.DateType), column("time", sqltype.TimeType(3)),
		column("ts", sqltype.TimestampType(9)), column("ltz", sqltype.TimestampLTZType(3)), column("null", sqltype.IntType),
		column("$a.b", sqltype.JSONType),
	}
	got, err := document(t, schema, "", true, int8(-1), int16(300), int32(1), int64(1), float32(0.5), math.Inf(1), decimal128.FromI64(-1800000),
		"ü\"", []byte{0, 255}, arrow.Date32(1), arrow.Time32(3_661_020), sqltype.TimestampValue(1_700_000_000_123, 456_789), sqltype.TimestampValue(-1, 0), nil,
		`{"z": [1, {"a": null}], "a": "x"}`)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_id":"t-0-7","b":true,"i8":{"$numberInt":"-1"},"i16":{"$numberInt":"300"},"i32":{"$numberInt":"1"},"i64":{"$numberLong":"1"},` +
		`"f":{"$numberDouble":"0.5"},"d":{"$numberDouble":"Infinity"},"n":{"$numberDecimal":"-18000.00"},"s":"ü\"",` +
		`"y":{"$binary":{"base64":"AP8=","subType":"00"}},"day":{"$date":{"$numberLong":"86400000"}},"time":"01:01:01.02",` +
		`"ts":{"$date":{"$numberLong":"1700000000123"}},"ltz":{"$date":{"$numberLong":"-1"}},"null":null,` +
		`"$a.b":{"z":[{"$numberInt":"1"},{"a":null}],"a":"x"}}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The numbers of a JSON document, and how BSON holds them.
func TestNumbers(t *testing.T) {
	schema := sqltype.Schema{column("v", sqltype.JSONType)}
	for text, want := range map[string]string{
		"0": `{"$numberInt":"0"}`, "-0": `{"$numberInt":"0"}`, "2147483647": `{"$numberInt":"2147483647"}`, "-2147483648": `{"$numberInt":"-2147483648"}`,
		"2147483648": `{"$numberLong":"2147483648"}`, "9223372036854775807": `{"$numberLong":"9223372036854775807"}`,
		"9223372036854775808": `{"$numberDecimal":"9223372036854775808"}`, "-9999999999999999999999999999999999": `{"$numberDecimal":"-9999999999999999999999999999999999"}`,
		"1.0": `{"$numberDouble":"1.0"}`, "-0.0": `{"$numberDouble":"-0.0"}`, "0.1": `{"$numberDouble":"0.1"}`, "1e2": `{"$numberDouble":"100.0"}`,
		"0.30000000000000004": `{"$numberDouble":"0.30000000000000004"}`, "1.10": `{"$numberDouble":"1.1"}`,
		"0.3000000000000000400": `{"$numberDouble":"0.30000000000000004"}`, "0.12345678901234567890": `{"$numberDecimal":"0.1234567890123456789"}`,
		"1E400": `{"$numberDecimal":"1E+400"}`, "1e-400": `{"$numberDecimal":"1E-400"}`, "100000000000000000000000000000000000000": `{"$numberDecimal":"1E+38"}`,
		"12345678901234567890123456789012345": "", "0.12345678901234567890123456789012345": "", "1e7000": "", "1e99999999999": "", "1e-7000": "",
		"0e7000": `{"$numberDouble":"0.0"}`,
	} {
		got, err := document(t, schema, "", text)
		switch {
		case want == "" && err == nil:
			t.Errorf("%s became %s", text, got)
		case want != "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && !strings.Contains(got, `"v":`+want):
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
}

// A document of its own keeps the order of its fields; _id comes first.
func TestRoot(t *testing.T) {
	schema := sqltype.Schema{column("document", sqltype.JSONType), column("at", sqltype.BigIntType)}
	for text, want := range map[string]string{
		`{"b": 1, "a": {"$x": [], "y.z": {}}}`: `{"_id":"t-0-7","b":1,"a":{"$x":[],"y.z":{}},"at":5}`,
		`{}`:                                   `{"_id":"t-0-7","at":5}`,
		`{"b":1,"_id":{"x":1}}`:                `{"_id":{"x":1},"b":1,"at":5}`,
		` {"k" : "\u00fc\n\ud83d\ude00\/"} `:   `{"_id":"t-0-7","k":"ü\n😀/","at":5}`,
	} {
		got, err := document(t, schema, "document", text, int64(5))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var raw driver.Raw
		if err := driver.UnmarshalExtJSON([]byte(got), true, &raw); err != nil {
			t.Fatal(err)
		}
		relaxed, err := driver.MarshalExtJSON(raw, false, false)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(relaxed)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// What can be no document says why.
func TestRefused(t *testing.T) {
	schema := sqltype.Schema{column("document", sqltype.JSONType), column("s", sqltype.StringType), column("n", sqltype.DecimalType(38, 0))}
	tooManyDigits, _ := new(big.Int).SetString("12345678901234567890123456789012345678", 10)
	for _, c := range []struct {
		document any
		s        string
		n        decimal128.Num
		want     string
	}{
		{document: `[1]`, want: "column document: the value is no JSON object, and nothing else can be a document"},
		{document: nil, want: "column document: the document is NULL"},
		{document: `{"a":1,"a":2}`, want: `column document: field "a" is there twice, and which of the two is meant is not known`},
		{document: `{"s":1}`, want: `column document: field "s" is there twice, and which of the two is meant is not known`},
		{document: `{"a\u0000":1}`, want: `column document: "a\x00": the name of a field has a NUL, which BSON's cannot`},
		{document: `{"a":"\ud800"}`, want: "column document: a text has half of a surrogate pair"},
		{document: `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
			want: "column document: the document is nested more deeply than MongoDB allows, which is 100 levels"},
		{document: `{"a":}`, want: `column document: the value is no JSON: "" is no number`},
		{document: `{"a":1`, want: "column document: the value is no JSON, at byte 6"},
		{document: `{"a":1} x`, want: "column document: the value is no JSON, at byte 8"},
		{document: `{}`, s: "\xff", want: "column s: text is not valid UTF-8 (a surrogate without its other half, perhaps)"},
		{document: `{}`, s: strings.Repeat("x", 16<<20), want: "the document is too large for MongoDB: it has 16777263 bytes, and 16777216 are the most"},
		{document: `{}`, n: decimal128.FromBigInt(tooManyDigits), want: "column n: the number has more than the 34 digits of a Decimal128: 12345678901234567890123456789012345678"},
	} {
		got, err := document(t, schema, "document", c.document, c.s, c.n)
		var row *format.RowError
		if !errors.As(err, &row) || row.Row != 0 || err.Error() != c.want {
			t.Errorf("%.60v became %.60s, %v, want %s", c.document, got, err, c.want)
		}
	}
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf(`"f%d":%d`, i, i))
	}
	if _, err := document(t, schema, "document", "{"+strings.Join(append(many, `"f3":1`), ",")+"}", "", decimal128.Num{}); err == nil {
		t.Error("a name is there twice among many")
	}
}

func TestIDs(t *testing.T) {
	rows := batch(t, sqltype.Schema{column("i", sqltype.BigIntType), column("null", sqltype.StringType)}, int64(7), nil)
	defer rows.Release()
	ids, err := bson.NewIDs(sqltype.BigIntType)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := ids.Of(rows.Column(0), 0); err != nil || id.Int64() != 7 {
		t.Errorf("_id %v, %v", id, err)
	}
	texts, err := bson.NewIDs(sqltype.StringType)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := texts.Of(rows.Column(1), 0); err == nil || err.Error() != "the _id is NULL" {
		t.Errorf("_id %v, %v", id, err)
	}
	if _, err := bson.NewIDs(sqltype.NullType); err == nil {
		t.Error("an untyped NULL can be an _id")
	}
}
