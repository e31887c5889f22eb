package expr

import (
	stdjson "encoding/json"
	"strings"
	"testing"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A function on JSON gives for a column of type JSON what Flink gives for the same texts.
func TestJSONDocuments(t *testing.T) {
	lines := linesOf(t, "testdata/differential/json.jsonl")
	var table struct{ Rows []stdjson.RawMessage }
	if err := stdjson.Unmarshal([]byte(lines[0]), &table); err != nil {
		t.Fatal(err)
	}
	var kept []int
	var rows []string
	for i, row := range table.Rows {
		var r struct{ S *string }
		if err := stdjson.Unmarshal(row, &r); err != nil {
			t.Fatal(err)
		}
		if r.S == nil || stdjson.Valid([]byte(*r.S)) {
			kept, rows = append(kept, i), append(rows, string(row))
		}
	}
	texts := sqltype.Schema{{Name: "id", Type: sqltype.IntType}, {Name: "s", Type: sqltype.StringType}}
	schema := sqltype.Schema{texts[0], {Name: "s", Type: sqltype.JSONType}}
	batch := batchOf(t, texts, rows)
	defer batch.Release()
	cast, err := Compile("CAST(s AS JSON)", texts, Options{})
	if err != nil {
		t.Fatal(err)
	}
	documents, err := cast.Eval(batch, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer documents.Release()
	batch = array.NewRecordBatch(schema.Arrow(), []arrow.Array{batch.Column(0), documents}, int64(len(rows)))
	defer batch.Release()
	compared := 0
	for _, line := range lines[1:] {
		var want flinkResult
		if err := stdjson.Unmarshal([]byte(line), &want); err != nil {
			t.Fatal(err)
		}
		if want.Values == nil || differenceIn("json", want.Expr) != "" || strings.Contains(want.Expr, "IF(") || strings.Contains(want.Expr, "DEFAULT s") {
			continue
		}
		compared++
		all := want.Values
		want.Values = nil
		for _, i := range kept {
			want.Values = append(want.Values, all[i])
		}
		if difference := compareWithFlink(want, schema, batch); difference != "" {
			t.Errorf("%s: %s", want.Expr, difference)
		}
	}
	if len(kept) < 20 || compared < 90 {
		t.Errorf("only %d rows, %d expressions", len(kept), compared)
	}
}

func TestJSONErrors(t *testing.T) {
	schema := sqltype.Schema{{Name: "j", Type: sqltype.JSONType}, {Name: "s", Type: sqltype.StringType}, {Name: "n", Type: sqltype.IntType}}
	for text, part := range map[string]string{
		"JSON_VALUE(j)":                                           `expected ","`,
		"JSON_VALUE(n, '$')":                                      "takes JSON or a text, not INT",
		"JSON_VALUE(j, s)":                                        "must be a literal",
		"JSON_VALUE(j, '$.a[*]')":                                 "several values",
		"JSON_VALUE(j, '$.a' RETURNING BIGINT)":                   "write CAST(JSON_VALUE(…) AS BIGINT)",
		"JSON_VALUE(j, '$.a' RETURNING NUMBER)":                   `unknown type "NUMBER"`,
		"JSON_VALUE(j, '$.a' RETURNING DECIMAL(10, 2":             `")" after the type`,
		"JSON_VALUE(j, '$.a' RETURNING 'x')":                      "a type such as INT",
		"JSON_VALUE(j, '$.a' RETURNING INT DEFAULT 'x' ON ERROR)": "the default is CHAR(1), but JSON_VALUE returns INT",
		"JSON_VALUE(j, '$.a' EMPTY ARRAY ON ERROR)":               `expected NULL, ERROR, DEFAULT or ")"`,
		"JSON_VALUE(j, '$.a' NULL ON NULL)":                       "expected EMPTY or ERROR",
		"JSON_VALUE(j, '$.a' NULL ON ERROR ERROR ON ERROR)":       "ON ERROR is there twice",
		"JSON_VALUE(j, '$.a' NULL ERROR)":                         `expected "ON"`,
		"JSON_EXISTS(j, '$.a' FALSE ON EMPTY)":                    "expected EMPTY or ERROR",
		"JSON_QUERY(j, '$.a' RETURNING INT)":                      "JSON_QUERY returns STRING",
		"JSON_QUERY(j, '$.a' WITH OUTER WRAPPER)":                 `expected "WRAPPER"`,
		"j IS JSON OBJECTS":                                       "expected an operator",
		"n IS JSON":                                               "IS JSON cannot be applied to (INT); it takes JSON or a text",
		"j = j":                                                   "cannot be compared",
		"j IN (j)":                                                "cannot be compared",
		"CAST(n AS JSON)":                                         "cannot cast INT to JSON",
		"CAST(j AS DATE)":                                         "cannot cast JSON to DATE",
		"CAST(j AS BYTES)":                                        "cannot cast JSON to BYTES",
		"j || 'x'":                                                "cannot be applied to (JSON, CHAR(1))",
	} {
		if _, err := Compile(text, schema, Options{}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want %q", text, err, part)
		}
	}
}

// What fails in a row says what it looked for and where.
func TestJSONFailures(t *testing.T) {
	schema := sqltype.Schema{{Name: "s", Type: sqltype.StringType}}
	batch := batchOf(t, schema, []string{`{"s":"{\"a\":[1]}"}`, `{"s":"{\"a\" 1}"}`})
	defer batch.Release()
	for text, part := range map[string]string{
		"JSON_VALUE(s, '$.b' ERROR ON ERROR)":                      `there is no value at '$.b' in "{\"a\":[1]}"`,
		"JSON_VALUE(s, '$.a' ERROR ON ERROR)":                      `the value at '$.a' is of the wrong kind: "[1]"`,
		"JSON_VALUE(s, '$.a[0]' ERROR ON ERROR)":                   "no JSON: byte 5: expected a colon",
		"JSON_VALUE(s, 'lax $.a[0]' ERROR ON EMPTY)":               "no JSON: byte 5: expected a colon",
		"JSON_VALUE(s, '$.a[0]' RETURNING BOOLEAN ERROR ON ERROR)": "of the wrong kind",
		"CAST(s AS JSON)":        "no JSON: byte 5: expected a colon",
		"CAST(s || 'x' AS JSON)": "text behind the value",
	} {
		p, err := Compile(text, schema, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Eval(batch, memory.DefaultAllocator); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want %q", text, err, part)
		}
	}
}

// A cast to JSON keeps the text, TRY_CAST makes NULL of what is none, and the way back is the text.
func TestCastJSON(t *testing.T) {
	schema := sqltype.Schema{{Name: "s", Type: sqltype.StringType}}
	batch := batchOf(t, schema, []string{`{"s":" {\"a\": [1.50]} "}`, `{"s":"{"}`, `{}`, `{"s":"1 2"}`, `{"s":"null"}`})
	defer batch.Release()
	for text, want := range map[string]string{
		"TRY_CAST(s AS JSON)":                              `{"a": [1.50]}|(null)|(null)|(null)|null`,
		"CAST(TRY_CAST(s AS JSON) AS VARCHAR(4))":          `{"a"|(null)|(null)|(null)|null`,
		"COALESCE(TRY_CAST(s AS JSON), CAST('0' AS JSON))": `{"a": [1.50]}|0|0|0|null`,
		"CAST(JSON_QUERY(s, '$.a') AS JSON)":               `[1.5]|(null)|(null)|(null)|(null)`,
	} {
		p, err := Compile(text, schema, Options{})
		if err != nil {
			t.Fatal(err)
		}
		values, err := p.Eval(batch, memory.DefaultAllocator)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := cellsOf(values); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		values.Release()
	}
}

func cellsOf(values arrow.Array) string {
	cells := make([]string, values.Len())
	for i := range cells {
		cells[i] = values.ValueStr(i)
	}
	return strings.Join(cells, "|")
}
