package csv_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pencere/pkg/format"
	"pencere/pkg/format/csv"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// batchOf builds a batch of one column for each type; a value is of the Go type that its builder takes, nil is NULL.
func batchOf(t testing.TB, types []sqltype.Type, rows ...[]any) (sqltype.Schema, arrow.RecordBatch) {
	t.Helper()
	var schema sqltype.Schema
	for i, typ := range types {
		schema = append(schema, sqltype.Column{Name: fmt.Sprintf("c%d", i), Type: typ})
	}
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
	for _, row := range rows {
		for i, value := range row {
			appendValue(t, builder.Field(i), value)
		}
	}
	return schema, builder.NewRecordBatch()
}

func appendValue(t testing.TB, builder array.Builder, value any) {
	t.Helper()
	if value == nil {
		builder.AppendNull()
		return
	}
	switch b := builder.(type) {
	case *array.BooleanBuilder:
		b.Append(value.(bool))
	case *array.Int8Builder:
		b.Append(value.(int8))
	case *array.Int16Builder:
		b.Append(value.(int16))
	case *array.Int32Builder:
		b.Append(value.(int32))
	case *array.Int64Builder:
		b.Append(value.(int64))
	case *array.Float32Builder:
		b.Append(value.(float32))
	case *array.Float64Builder:
		b.Append(value.(float64))
	case *array.Decimal128Builder:
		b.Append(value.(decimal128.Num))
	case *array.StringBuilder:
		b.Append(value.(string))
	case *array.BinaryBuilder:
		b.Append(value.([]byte))
	case *array.Date32Builder:
		b.Append(value.(arrow.Date32))
	case *array.Time32Builder:
		b.Append(value.(arrow.Time32))
	default:
		t.Fatalf("no builder for %T", builder)
	}
}

// encode writes rows as CSV.
func encode(t testing.TB, options csv.Options, types []sqltype.Type, rows ...[]any) (string, error) {
	t.Helper()
	schema, batch := batchOf(t, types, rows...)
	encoder, err := csv.NewEncoder(schema, options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := encoder.AppendRows(nil, batch)
	return string(text), err
}

// encodeOne writes a single cell, without the row's end.
func encodeOne(t testing.TB, options csv.Options, typ sqltype.Type, value any) string {
	t.Helper()
	text, err := encode(t, options, []sqltype.Type{typ}, []any{value})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(text, "\n")
}

func TestEveryType(t *testing.T) {
	for _, c := range []struct {
		typ   sqltype.Type
		value any
		want  string
	}{
		{sqltype.BooleanType, true, "true"},
		{sqltype.BooleanType, false, "false"},
		{sqltype.TinyIntType, int8(-128), "-128"},
		{sqltype.SmallIntType, int16(32767), "32767"},
		{sqltype.IntType, int32(math.MinInt32), "-2147483648"},
		{sqltype.BigIntType, int64(math.MinInt64), "-9223372036854775808"},
		{sqltype.FloatType, float32(1.1e10), "1.10000005E10"},
		{sqltype.DoubleType, 2e23, "1.9999999999999998E23"},
		{sqltype.DoubleType, math.Inf(-1), "-Infinity"},
		{sqltype.StringType, "", ""},
		{sqltype.StringType, "ikinci el LG OLED TV", `"ikinci el LG OLED TV"`},
		{sqltype.BytesType, []byte{0xff, 0xef}, `"/+8="`},
		{sqltype.BytesType, []byte{}, ""},
		{sqltype.DateType, arrow.Date32(20151), "2025-03-04"},
		{sqltype.DateType, arrow.Date32(-719529), "-0001-12-31"},
		{sqltype.DateType, arrow.Date32(2932897), `"+10000-01-01"`},
		{sqltype.DateType, arrow.Date32(math.MaxInt32), `"+5881580-07-11"`},
		{sqltype.DateType, arrow.Date32(math.MinInt32), "-5877641-06-23"},
		{sqltype.TimeType(0), arrow.Time32(11_045_120), "03:04:05.12"},
		{sqltype.TimeType(3), arrow.Time32(0), "00:00:00"},
		{sqltype.TimestampType(0), sqltype.TimestampValue(1741089349120, 0), `"2025-03-04 11:55:49.12"`},
		{sqltype.TimestampType(9), sqltype.TimestampValue(-1, 999_999), `"1969-12-31 23:59:59.999999999"`},
		{sqltype.TimestampType(9), sqltype.TimestampValue(0, 1), `"1970-01-01 00:00:00.000000001"`},
		{sqltype.TimestampType(3), sqltype.TimestampValue(math.MaxInt64, 0), `"+292278994-08-17 07:12:55.807"`},
		{sqltype.TimestampType(3), sqltype.TimestampValue(math.MinInt64, 0), `"-292275055-05-16 16:47:04.192"`},
		{sqltype.TimestampLTZType(3), sqltype.TimestampValue(1741089349000, 0), `"2025-03-04 11:55:49Z"`},
	} {
		if got := encodeOne(t, csv.Options{}, c.typ, c.value); got != c.want {
			t.Errorf("%s: got %s, want %s", c.typ, got, c.want)
		}
		if got := encodeOne(t, csv.Options{NullLiteral: `n "`}, c.typ, nil); got != `n "` {
			t.Errorf("%s NULL: got %s", c.typ, got)
		}
	}
}

// A timestamp equal to the one before is the same text; another one, or a NULL between, does not disturb that.
func TestRepeatedTimestamps(t *testing.T) {
	row := func(ms int64, nanos uint32) []any { return []any{sqltype.TimestampValue(ms, nanos)} }
	got, err := encode(t, csv.Options{}, []sqltype.Type{sqltype.TimestampType(9)}, row(0, 0), row(0, 0), []any{nil}, row(0, 1), row(0, 0))
	want := "\"1970-01-01 00:00:00\"\n\"1970-01-01 00:00:00\"\n\n\"1970-01-01 00:00:00.000000001\"\n\"1970-01-01 00:00:00\"\n"
	if err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestInvalidText(t *testing.T) {
	types := []sqltype.Type{sqltype.IntType, sqltype.StringType}
	for _, text := range []string{"\xff", "a\xed\xa0\x80b", "ok \xc3", strings.Repeat("x", 30) + "\xc0\x80"} {
		for _, options := range []csv.Options{{}, {DisableQuote: true}} {
			got, err := encode(t, options, types, []any{int32(1), "iyi"}, []any{int32(2), text})
			var row *format.RowError
			if !errors.As(err, &row) || row.Row != 1 || row.Column != "c1" {
				t.Errorf("%q: error %v, want a RowError of row 1, column c1", text, err)
			}
			if got != "1,iyi\n" {
				t.Errorf("%q: wrote %q, want the row before only", text, got)
			}
		}
	}
}

func TestTimeOutsideOfDay(t *testing.T) {
	for _, ms := range []arrow.Time32{-1, 86_400_000} {
		_, err := encode(t, csv.Options{}, []sqltype.Type{sqltype.TimeType(3)}, []any{ms})
		if err == nil || !strings.Contains(err.Error(), "column c0: time is not between") {
			t.Errorf("%d ms: error %v", ms, err)
		}
	}
}

func TestAppendUntil(t *testing.T) {
	schema, batch := batchOf(t, []sqltype.Type{sqltype.IntType, sqltype.StringType},
		[]any{int32(1), "a"}, []any{int32(2), "b"}, []any{int32(3), "c"}, []any{int32(4), "d"})
	encoder, err := csv.NewEncoder(schema, csv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dst, next, err := encoder.AppendUntil([]byte("x\n"), batch, 1, 7)
	if string(dst) != "x\n2,b\n3,c\n" || next != 3 || err != nil {
		t.Errorf("AppendUntil = %q, %d, %v", dst, next, err)
	}
	if dst, err = encoder.AppendRow(nil, batch, 3); string(dst) != "4,d\n" || err != nil {
		t.Errorf("AppendRow = %q, %v", dst, err)
	}
	slice := batch.NewSlice(1, 3)
	if dst, err = encoder.AppendRows(nil, slice); string(dst) != "2,b\n3,c\n" || err != nil {
		t.Errorf("AppendRows of a slice = %q, %v", dst, err)
	}
	if dst, err = encoder.AppendRows(nil, batch.NewSlice(2, 2)); len(dst) != 0 || err != nil {
		t.Errorf("AppendRows of no rows = %q, %v", dst, err)
	}
}

func TestWrongBatch(t *testing.T) {
	schema, _ := batchOf(t, []sqltype.Type{sqltype.IntType, sqltype.StringType})
	encoder, err := csv.NewEncoder(schema, csv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, fewer := batchOf(t, []sqltype.Type{sqltype.IntType}, []any{int32(1)})
	if _, err := encoder.AppendRows(nil, fewer); err == nil || !strings.Contains(err.Error(), "batch has 1 columns, the CSV schema 2") {
		t.Errorf("error %v", err)
	}
	_, other := batchOf(t, []sqltype.Type{sqltype.BigIntType, sqltype.StringType}, []any{int64(1), "a"})
	if _, err := encoder.AppendRows(nil, other); err == nil || !strings.Contains(err.Error(), "column c0: batch carries int64") {
		t.Errorf("error %v", err)
	}
}

func TestTypeWithoutCSV(t *testing.T) {
	_, err := csv.NewEncoder(sqltype.Schema{{Name: "i", Type: sqltype.Type{Kind: sqltype.IntervalDayTime}}}, csv.Options{})
	if err == nil || !strings.Contains(err.Error(), "column i: a value of type INTERVAL DAY TO SECOND cannot be written as CSV") {
		t.Errorf("error %v", err)
	}
}

func TestParseOptions(t *testing.T) {
	got, err := csv.ParseOptions(map[string]string{
		"field-delimiter": `\t`, "quote-character": "'", "escape-character": `\`, "null-literal": "NULL",
		"write-bigdecimal-in-scientific-notation": "TRUE", "allow-comments": "true", "ignore-parse-errors": "false",
		"array-element-delimiter": "|", "disable-quote-character": "false",
	})
	want := csv.Options{FieldDelimiter: '\t', QuoteCharacter: '\'', EscapeCharacter: '\\', NullLiteral: "NULL", ScientificDecimal: true}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for text, want := range map[string]rune{
		";": ';', `\\`: '\\', `\`: '\\', `\u0001`: 1, `\uuu20AC`: '€', `\1`: 1, `\174`: '|', `\"`: '"', "§": '§', `\n`: '\n',
	} {
		if got, err := csv.ParseOptions(map[string]string{"field-delimiter": text}); err != nil || got.FieldDelimiter != want {
			t.Errorf("field-delimiter %s: got %q, %v, want %q", text, got.FieldDelimiter, err, want)
		}
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	for _, c := range []struct {
		options map[string]string
		want    string
	}{
		{map[string]string{"field-delimiter": ";;"}, `csv option field-delimiter: ";;" is not one character`},
		{map[string]string{"field-delimiter": ""}, `csv option field-delimiter: "" is not one character`},
		{map[string]string{"field-delimiter": `\u00zz`}, "is not one character"},
		{map[string]string{"quote-character": "😀"}, `csv option quote-character: "😀" is not one character`},
		{map[string]string{"escape-character": "\xff"}, "csv option escape-character"},
		{map[string]string{"array-element-delimiter": "ab"}, "csv option array-element-delimiter"},
		{map[string]string{"disable-quote-character": "yes"}, `csv option disable-quote-character: "yes" is neither true nor false`},
		{map[string]string{"quote-character": "'", "disable-quote-character": "true"}, "quote-character and disable-quote-character exclude each other"},
		{map[string]string{"feld-delimiter": ","}, `csv option "feld-delimiter" is unknown: the options are allow-comments, `},
		{map[string]string{"allow-comments": "1", "zzz": ""}, "csv option allow-comments: \"1\" is neither true nor false\ncsv option \"zzz\" is unknown"},
		{map[string]string{"null-literal": "\xff"}, "csv option null-literal"},
	} {
		if _, err := csv.ParseOptions(c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q in it", c.options, err, c.want)
		}
	}
}
