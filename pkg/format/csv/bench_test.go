package csv_test

import (
	"bytes"
	stdcsv "encoding/csv"
	"strconv"
	"testing"

	"pencere/pkg/format/csv"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowcsv "github.com/apache/arrow-go/v18/arrow/csv"
)

// referenceRows is a batch of what the reference job writes: id, product, description, price, kdv, price_with_kdv,
// window_start.
func referenceRows(b testing.TB) (sqltype.Schema, arrow.RecordBatch) {
	products := []string{"Televizyon", "Araba", "Ses Sistemi", "Buzdolabı"}
	descriptions := []string{"ikinci el LG OLED TV", "ikinci el opel araba, temiz", "sıfır ayarında ses sistemi", "Beko no-frost"}
	var rows [][]any
	for i := range 4096 {
		price, kdv := int64(500*(i%3000)+1000), float64(i%20+1)/100
		start := sqltype.TimestampValue(1741089240000+int64(i/1024)*120_000, 0)
		rows = append(rows, []any{int32(i), products[i%4], descriptions[i/4%4], price, kdv, float64(price) * (1 + kdv), start})
	}
	return batchOf(b, []sqltype.Type{
		sqltype.IntType, sqltype.StringType, sqltype.StringType, sqltype.BigIntType,
		sqltype.DoubleType, sqltype.DoubleType, sqltype.TimestampType(3),
	}, rows...)
}

func BenchmarkReferenceRow(b *testing.B) {
	schema, batch := referenceRows(b)
	encoder, err := csv.NewEncoder(schema, csv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = encoder.AppendRows(dst[:0], batch); err != nil {
			b.Fatal(err)
		}
	}
	report(b, batch, len(dst))
}

// BenchmarkArrowWriter is Arrow's own CSV writer on the same batch, but for the timestamp, which it knows as a number.
func BenchmarkArrowWriter(b *testing.B) {
	_, batch := referenceRows(b)
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		writer := arrowcsv.NewWriter(&out, batch.Schema())
		if err := writer.Write(batch); err != nil {
			b.Fatal(err)
		}
		if err := writer.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	report(b, batch, out.Len())
}

// BenchmarkStandardLibrary is what hand-written Go does: strconv and encoding/csv.
func BenchmarkStandardLibrary(b *testing.B) {
	_, batch := referenceRows(b)
	var out bytes.Buffer
	record := make([]string, 7)
	for b.Loop() {
		out.Reset()
		writer := stdcsv.NewWriter(&out)
		for row := range int(batch.NumRows()) {
			record[0] = strconv.Itoa(int(batch.Column(0).(*array.Int32).Value(row)))
			record[1] = batch.Column(1).(*array.String).Value(row)
			record[2] = batch.Column(2).(*array.String).Value(row)
			record[3] = strconv.FormatInt(batch.Column(3).(*array.Int64).Value(row), 10)
			record[4] = strconv.FormatFloat(batch.Column(4).(*array.Float64).Value(row), 'f', -1, 64)
			record[5] = strconv.FormatFloat(batch.Column(5).(*array.Float64).Value(row), 'f', -1, 64)
			record[6] = "2025-03-04 11:54:00"
			if err := writer.Write(record); err != nil {
				b.Fatal(err)
			}
		}
		writer.Flush()
	}
	report(b, batch, out.Len())
}

func report(b *testing.B, batch arrow.RecordBatch, size int) {
	rows := float64(batch.NumRows())
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	b.ReportMetric(float64(size)/rows, "B/row")
}

func BenchmarkCell(b *testing.B) {
	for name, c := range map[string]struct {
		typ   sqltype.Type
		value any
	}{
		"text10":     {sqltype.StringType, "Televizyon"},
		"text26":     {sqltype.StringType, "ikinci el opel araba temiz"},
		"textTR":     {sqltype.StringType, "sıfır ayarında ses sistemi"},
		"date":       {sqltype.DateType, arrow.Date32(20151)},
		"int":        {sqltype.IntType, int32(1)},
		"decimal":    {sqltype.DecimalType(20, 2), sqltype.TimestampValue(0, 2124000)},
		"price*kdv":  {sqltype.DoubleType, 55000.00000000001},
		"priceshort": {sqltype.DoubleType, 21240.5},
	} {
		b.Run(name, func(b *testing.B) {
			var rows [][]any
			for range 1024 {
				rows = append(rows, []any{c.value})
			}
			schema, batch := batchOf(b, []sqltype.Type{c.typ}, rows...)
			encoder, err := csv.NewEncoder(schema, csv.Options{})
			if err != nil {
				b.Fatal(err)
			}
			var dst []byte
			for b.Loop() {
				dst, _ = encoder.AppendRows(dst[:0], batch)
			}
			report(b, batch, len(dst))
		})
	}
}
