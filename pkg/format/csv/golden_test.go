package csv_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"pencere/pkg/flinkcases"
	"pencere/pkg/format/csv"
	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// groups are those of the cases that are about CSV.
var groups = []string{"csv-text", "csv-options", "double", "types"}

// Every case is written byte for byte as Flink wrote it.
func TestGolden(t *testing.T) {
	cases, err := flinkcases.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if !slices.Contains(groups, c.Group) || c.Result == "error" || len(flinkcases.Differences(c.Name)) > 0 {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if c.Result == "each" {
				runEach(t, c)
				return
			}
			got, err := encodeCase(t, c, c.Records[0])
			if err != nil {
				t.Fatal(err)
			}
			compareLines(t, got, c.Expected)
		})
	}
}

// runEach runs each record as a job of its own.
func runEach(t *testing.T, c flinkcases.Case) {
	for _, want := range c.Outcomes {
		got, err := encodeCase(t, c, c.Records[0][want.Record:want.Record+1])
		if (err != nil) != (want.Error != "") || err == nil && string(got) != want.CSV {
			t.Errorf("record %d: got %q, error %v; want %q, error %q", want.Record, got, err, want.CSV, want.Error)
		}
	}
}

// encodeCase decodes the records, runs the case's query and writes its rows.
func encodeCase(t *testing.T, c flinkcases.Case, records [][]byte) ([]byte, error) {
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
