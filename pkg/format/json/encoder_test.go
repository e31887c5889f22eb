package json_test

import (
	"errors"
	"testing"

	"pencere/pkg/format"
	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// rowOf decodes a record into a batch of one row.
func rowOf(t *testing.T, schema sqltype.Schema, record string) arrow.RecordBatch {
	t.Helper()
	d, err := json.NewDecoder(schema, json.Options{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	if _, err := d.Append([]byte(record)); err != nil {
		t.Fatal(err)
	}
	return d.NewBatch()
}

// Values are written as flink-json 1.20 and Jackson write them.
func TestEncoder(t *testing.T) {
	scientific, plain := json.EncodeOptions{}, json.EncodeOptions{PlainDecimal: true}
	iso := json.EncodeOptions{TimestampFormat: json.ISO8601}
	for _, test := range []struct {
		columnType, value, want string
		options                 json.EncodeOptions
	}{
		{"BOOLEAN", `true`, `true`, scientific},
		{"TINYINT", `-128`, `-128`, scientific},
		{"SMALLINT", `7`, `7`, scientific},
		{"INT", `2147483647`, `2147483647`, scientific},
		{"BIGINT", `-9223372036854775808`, `-9223372036854775808`, scientific},
		{"FLOAT", `0.1`, `0.1`, scientific},
		{"DOUBLE", `195000000`, `1.95E8`, scientific},
		{"DOUBLE", `"NaN"`, `"NaN"`, scientific},
		{"DOUBLE", `"-Infinity"`, `"-Infinity"`, scientific},
		{"DECIMAL(10, 2)", `18000`, `1.8E+4`, scientific},
		{"DECIMAL(10, 2)", `18000`, `18000`, plain},
		{"DECIMAL(10, 2)", `12.30`, `12.3`, scientific},
		{"DECIMAL(10, 2)", `-12.30`, `-12.3`, plain},
		{"DECIMAL(10, 9)", `0.000000027`, `2.7E-8`, scientific},
		{"DECIMAL(10, 9)", `0.000000027`, `0.000000027`, plain},
		{"DECIMAL(10, 2)", `0`, `0`, scientific},
		{"DECIMAL(10, 2)", `0`, `0`, plain},
		{"DECIMAL(10, 0)", `100`, `100`, plain},
		{"STRING", `"a\"b\\c\/d\u001f\n\t\u0007ğ\u2028"`, "\"a\\\"b\\\\c/d\\u001F\\n\\t\\u0007ğ\u2028\"", scientific},
		{"BYTES", `"AQL/"`, `"AQL/"`, scientific},
		{"DATE", `"2025-03-04"`, `"2025-03-04"`, scientific},
		{"TIME(3)", `"11:55:49"`, `"11:55:49"`, scientific},
		{"TIMESTAMP(3)", `"2025-03-04 11:55:49"`, `"2025-03-04 11:55:49"`, scientific},
		{"TIMESTAMP(3)", `"2025-03-04 11:55:49.120"`, `"2025-03-04T11:55:49.12"`, iso},
		{"TIMESTAMP_LTZ(3)", `"2025-03-04 11:55:49.5Z"`, `"2025-03-04 11:55:49.5Z"`, scientific},
		{"TIMESTAMP_LTZ(3)", `"2025-03-04 11:55:49.5Z"`, `"2025-03-04T11:55:49.5Z"`, iso},
		{"STRING", `null`, `null`, scientific},
	} {
		columnType, err := sqltype.Parse(test.columnType)
		if err != nil {
			t.Fatal(err)
		}
		schema := sqltype.Schema{{Name: "v", Type: columnType}, {Name: `w"`, Type: sqltype.IntType}}
		row := rowOf(t, schema, `{"v":`+test.value+`}`)
		t.Cleanup(row.Release)
		e, err := json.NewEncoder(schema, test.options)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.AppendRow(nil, row, 0)
		if want := `{"v":` + test.want + `,"w\"":null}`; err != nil || string(got) != want {
			t.Errorf("%s %s: %s, %v, want %s", test.columnType, test.value, got, err, want)
		}
	}
}

func TestEncoderIgnoresNull(t *testing.T) {
	schema := sqltype.Schema{{Name: "a", Type: sqltype.IntType}, {Name: "b", Type: sqltype.IntType}, {Name: "c", Type: sqltype.IntType}}
	e, err := json.NewEncoder(schema, json.EncodeOptions{IgnoreNullFields: true})
	if err != nil {
		t.Fatal(err)
	}
	for record, want := range map[string]string{`{"b":1,"c":2}`: `{"b":1,"c":2}`, `{"a":1}`: `{"a":1}`, `{}`: `{}`} {
		row := rowOf(t, schema, record)
		t.Cleanup(row.Release)
		if got, err := e.AppendRow([]byte("x"), row, 0); err != nil || string(got) != "x"+want {
			t.Errorf("%s: %s, %v, want %s", record, got, err, want)
		}
	}
}

// A lone surrogate has no form in UTF-8; Flink's writer fails there too.
func TestEncoderRefusesSurrogate(t *testing.T) {
	schema := sqltype.Schema{{Name: "v", Type: sqltype.StringType}}
	row := rowOf(t, schema, `{"v":"\ud800"}`)
	defer row.Release()
	e, err := json.NewEncoder(schema, json.EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.AppendRow([]byte("x"), row, 0)
	var bad *format.RowError
	if !errors.As(err, &bad) || bad.Column != "v" || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestParseEncodeOptions(t *testing.T) {
	got, err := json.ParseEncodeOptions(map[string]string{
		"timestamp-format.standard": "ISO-8601", "encode.decimal-as-plain-number": "TRUE", "encode.ignore-null-fields": "false",
	})
	if want := (json.EncodeOptions{TimestampFormat: json.ISO8601, PlainDecimal: true}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for key, value := range map[string]string{"encode.nulls": "true", "encode.ignore-null-fields": "yes", "timestamp-format.standard": "RFC"} {
		if _, err := json.ParseEncodeOptions(map[string]string{key: value}); err == nil {
			t.Errorf("%s: %s is taken", key, value)
		}
	}
}
