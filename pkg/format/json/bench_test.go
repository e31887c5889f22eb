package json_test

import (
	"fmt"
	"testing"

	"pencere/pkg/arrowpool"
	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// listings is the reference job's row type.
var listings = sqltype.Schema{
	{Name: "id", Type: sqltype.IntType},
	{Name: "product", Type: sqltype.StringType},
	{Name: "description", Type: sqltype.StringType},
	{Name: "price", Type: sqltype.BigIntType},
	{Name: "kdv", Type: sqltype.DoubleType},
	{Name: "timestamp_column", Type: sqltype.TimestampType(3)},
}

const listing = `{"id":7,"product":"Televizyon","description":"ikinci el LG OLED TV","price":18000,"kdv":0.18,"timestamp_column":"2025-03-04 11:55:49"}`

const benchmarkBatch = 4096

// benchmarkDecode appends messages in turn and takes a batch every few thousand rows, as a source does.
func benchmarkDecode(b *testing.B, schema sqltype.Schema, messages ...string) {
	d, err := json.NewDecoder(schema, json.Options{}, arrowpool.New(64<<20))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Release()
	texts := make([][]byte, len(messages))
	bytes := 0
	for i, m := range messages {
		texts[i] = []byte(m)
		bytes += len(m)
	}
	b.SetBytes(int64(bytes / len(messages)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if outcome, err := d.Append(texts[i%len(texts)]); outcome != json.Appended {
			b.Fatal(outcome, err)
		}
		if d.Len() == benchmarkBatch {
			d.NewBatch().Release()
		}
	}
}

var _ = fmt.Sprint
var _ arrow.Array
var _ array.Builder
var _ memory.Allocator

func BenchmarkDecode(b *testing.B) {
	b.Run("reference", func(b *testing.B) { benchmarkDecode(b, listings, listing) })
}
