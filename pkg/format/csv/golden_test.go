package csv_test

import (
	"bytes"
	"encoding/hex"
	stdjson "encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"pencere/pkg/format/csv"
	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// goldenCase is a job that a Flink 1.20.5 ran: the records it read and the bytes that it wrote.
type goldenCase struct {
	Columns []struct{ Name, Type string }
	JSON    map[string]string
	CSV     map[string]string
	Query   string
	Result  string

	dir     string
	records [][]byte
}

// Every case is written byte for byte as Flink wrote it.
func TestGolden(t *testing.T) {
	dirs, err := filepath.Glob("testdata/flink/*")
	if err != nil || len(dirs) < 44 {
		t.Fatalf("%d cases: %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			c := loadCase(t, dir)
			if c.Result == "each" {
				c.runEach(t)
				return
			}
			got, err := c.encode(t, c.records)
			if err != nil {
				t.Fatal(err)
			}
			compareLines(t, got, c.read(t, "expected.csv"))
		})
	}
}

func loadCase(t *testing.T, dir string) *goldenCase {
	t.Helper()
	c := &goldenCase{dir: dir}
	if err := stdjson.Unmarshal(c.read(t, "case.json"), c); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "input.jsonl")); err == nil {
		c.records = bytes.Split(bytes.TrimSuffix(c.read(t, "input.jsonl"), []byte("\n")), []byte("\n"))
		return c
	}
	for line := range bytes.Lines(c.read(t, "input.hex")) {
		record, err := hex.DecodeString(string(bytes.TrimSuffix(line, []byte("\n"))))
		if err != nil {
			t.Fatal(err)
		}
		c.records = append(c.records, record)
	}
	return c
}

func (c *goldenCase) read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// runEach runs each record as a job of its own.
func (c *goldenCase) runEach(t *testing.T) {
	for line := range bytes.Lines(c.read(t, "expected-each.jsonl")) {
		var want struct {
			Record     int
			CSV, Error string
		}
		if err := stdjson.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		got, err := c.encode(t, c.records[want.Record:want.Record+1])
		if (err != nil) != (want.Error != "") || err == nil && string(got) != want.CSV {
			t.Errorf("record %d: got %q, error %v; want %q, error %q", want.Record, got, err, want.CSV, want.Error)
		}
	}
}

// encode decodes the records, runs the case's query and writes its rows.
func (c *goldenCase) encode(t *testing.T, records [][]byte) ([]byte, error) {
	t.Helper()
	var schema sqltype.Schema
	for _, column := range c.Columns {
		typ, err := sqltype.Parse(column.Type)
		if err != nil {
			t.Fatal(err)
		}
		schema = append(schema, sqltype.Column{Name: column.Name, Type: typ})
	}
	options, err := json.ParseOptions(c.JSON)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := json.NewDecoder(schema, options, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		if _, err := decoder.Append(record); err != nil {
			return nil, err
		}
	}
	batch := decoder.NewBatch()
	if c.Query != "SELECT * FROM src" {
		schema, batch = withKDV(schema, batch)
	}
	flink := maps.Clone(c.CSV)
	flink["write-bigdecimal-in-scientific-notation"] = "true" // Flink SQL's default
	csvOptions, err := csv.ParseOptions(flink)
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := csv.NewEncoder(schema, csvOptions)
	if err != nil {
		t.Fatal(err)
	}
	return encoder.AppendRows(nil, batch)
}

// withKDV is SELECT id, price, kdv, price * (1 + kdv) AS price_with_kdv.
func withKDV(schema sqltype.Schema, batch arrow.RecordBatch) (sqltype.Schema, arrow.RecordBatch) {
	schema = append(schema, sqltype.Column{Name: "price_with_kdv", Type: sqltype.DoubleType})
	prices, rates := batch.Column(1).(*array.Int64), batch.Column(2).(*array.Float64)
	result := array.NewFloat64Builder(memory.DefaultAllocator)
	for row := range int(batch.NumRows()) {
		if prices.IsNull(row) || rates.IsNull(row) {
			result.AppendNull()
			continue
		}
		factor := 1 + rates.Value(row)
		result.Append(float64(prices.Value(row)) * factor)
	}
	columns := []arrow.Array{batch.Column(0), batch.Column(1), batch.Column(2), result.NewArray()}
	return schema, array.NewRecordBatch(schema.Arrow(), columns, batch.NumRows())
}

func compareLines(t *testing.T, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	gotLines, wantLines := bytes.SplitAfter(got, []byte("\n")), bytes.SplitAfter(want, []byte("\n"))
	if len(gotLines) != len(wantLines) {
		t.Errorf("%d lines, want %d", len(gotLines), len(wantLines))
	}
	for i := range min(len(gotLines), len(wantLines)) {
		if !bytes.Equal(gotLines[i], wantLines[i]) {
			t.Errorf("line %d: got %q, want %q", i+1, gotLines[i], wantLines[i])
		}
	}
}
