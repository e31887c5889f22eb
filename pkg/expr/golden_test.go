package expr

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// goldenCase is a case of testdata/golden, which a real Flink 1.20.5 made.
type goldenCase struct {
	Columns, OutputColumns []struct{ Name, Type string }
	Query                  string
	Queries                []string
	Exprs                  []string
	Computed               any
	Result                 string
}

var selectE = regexp.MustCompile(`(?s)^SELECT (?:id, )?(.*) AS e FROM src$`)

func TestGolden(t *testing.T) {
	folders, err := filepath.Glob("testdata/golden/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) { runGolden(t, folder) })
	}
}

func runGolden(t *testing.T, folder string) {
	var c goldenCase
	text, err := os.ReadFile(filepath.Join(folder, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	// output_columns has an underscore, which encoding/json does not match with the field's name.
	if err := json.Unmarshal([]byte(strings.Replace(string(text), `"output_columns"`, `"OutputColumns"`, 1)), &c); err != nil {
		t.Fatal(err)
	}
	schema := schemaOf(t, c.Columns)
	batch := batchOf(t, schema, linesOf(t, filepath.Join(folder, "input.jsonl")))
	defer batch.Release()
	switch {
	case c.Result == "each":
		for i, line := range linesOf(t, filepath.Join(folder, "expected-each.jsonl")) {
			var want struct{ CSV, Error, Type string }
			if err := json.Unmarshal([]byte(line), &want); err != nil {
				t.Fatal(err)
			}
			text := selectE.FindStringSubmatch(c.Queries[i])[1]
			checkExpression(t, text, schema, batch, want.Type, want.CSV, want.Error)
		}
	case c.Exprs != nil:
		want := csvColumns(t, filepath.Join(folder, "expected.csv"))
		for i, text := range c.Exprs {
			checkColumn(t, text, schema, batch, c.OutputColumns[i+1].Type, want[i+1])
		}
	default:
		checkQuery(t, c, schema, batch, linesOf(t, filepath.Join(folder, "expected.csv")))
	}
}

func schemaOf(t *testing.T, columns []struct{ Name, Type string }) sqltype.Schema {
	var schema sqltype.Schema
	for _, column := range columns {
		typ, err := sqltype.Parse(column.Type)
		if err != nil {
			t.Fatal(err)
		}
		schema = append(schema, sqltype.Column{Name: column.Name, Type: typ})
	}
	return schema
}

func linesOf(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []string
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	return lines
}

// csvColumns returns the raw cells of a CSV file by column.
func csvColumns(t *testing.T, file string) [][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var columns [][]string
	column, start, quoted := 0, 0, false
	for i, b := range text {
		switch {
		case b == '"':
			quoted = !quoted
		case !quoted && (b == ',' || b == '\n'):
			if column == len(columns) {
				columns = append(columns, nil)
			}
			columns[column] = append(columns[column], string(text[start:i]))
			start = i + 1
			column++
			if b == '\n' {
				column = 0
			}
		}
	}
	return columns
}

// checkColumn checks type and cells of an expression.
func checkColumn(t *testing.T, text string, schema sqltype.Schema, batch arrow.RecordBatch, typ string, want []string) {
	t.Helper()
	reason := differenceIn(filepath.Base(t.Name()), text)
	p, err := Compile(text, schema, Options{})
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	a, err := p.Eval(batch, memory.DefaultAllocator)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	defer a.Release()
	same := typ == "" || sameType(p.Type(), typ)
	if !same && reason == "" {
		t.Errorf("%s: type %s, want %s", text, p.Type(), typ)
	}
	for i := range want {
		if got := csvCell(a, p.Type(), i); got != want[i] {
			if same = false; reason == "" {
				t.Errorf("%s: row %d: %s, want %s", text, i, got, want[i])
			}
		}
	}
	if same && reason != "" {
		t.Errorf("%s is listed as a difference but agrees", text)
	}
}

// sameType compares without nullability, which the cases do not tell, and with BINARY(n) as bytes.
func sameType(got sqltype.Type, want string) bool {
	typ, err := sqltype.Parse(want)
	return err == nil && got.Nullable() == typ.Nullable()
}

func checkExpression(t *testing.T, text string, schema sqltype.Schema, batch arrow.RecordBatch, typ, csv, failure string) {
	t.Helper()
	if failure == "" {
		var want []string
		for line := range strings.SplitSeq(strings.TrimSuffix(csv, "\n"), "\n") {
			_, cell, _ := strings.Cut(line, ",")
			want = append(want, cell)
		}
		checkColumn(t, text, schema, batch, typ, want)
		return
	}
	reason := differenceIn(filepath.Base(t.Name()), text)
	p, err := Compile(text, schema, Options{})
	if err == nil {
		var a arrow.Array
		if a, err = p.Eval(batch, memory.DefaultAllocator); err == nil {
			a.Release()
		}
	}
	if (err == nil) != (reason != "") {
		t.Errorf("%s: error = %v, want one like %s; listed as a difference: %q", text, err, failure, reason)
	}
}

// checkQuery checks a whole query: SELECT columns FROM src [WHERE condition], or the computed column.
func checkQuery(t *testing.T, c goldenCase, schema sqltype.Schema, batch arrow.RecordBatch, want []string) {
	t.Helper()
	list, condition, _ := strings.Cut(strings.TrimPrefix(c.Query, "SELECT "), " FROM src")
	rows := make([]int32, batch.NumRows())
	for i := range rows {
		rows[i] = int32(i)
	}
	if condition, filtered := strings.CutPrefix(condition, " WHERE "); filtered {
		p, err := Compile(condition, schema, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if rows, err = p.Filter(batch, nil); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]string, len(rows))
	for k, text := range strings.Split(list, ", ") {
		text, _, _ = strings.Cut(text, " AS ")
		p, err := Compile(text, schema, Options{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		a, err := p.Eval(batch, memory.DefaultAllocator)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for i, row := range rows {
			if k > 0 {
				got[i] += ","
			}
			got[i] += csvCell(a, p.Type(), int(row))
		}
		a.Release()
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %d: %s, want %s", i, got[i], want[i])
		}
	}
}
