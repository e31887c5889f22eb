package exchange

import (
	"testing"

	exchangev1 "pencere/pkg/gen/pencere/exchange/v1"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"
)

// FuzzDecode feeds a decoder what another process may send: it must refuse it or make a batch whose every value can be
// read.
func FuzzDecode(f *testing.F) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "s", Type: arrow.BinaryTypes.String},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	b.Field(0).(*array.Int64Builder).AppendValues([]int64{1, 2, 3}, []bool{true, false, true})
	b.Field(1).(*array.StringBuilder).AppendValues([]string{"a", "", "çok uzun"}, nil)
	enc := encoder{alloc: memory.DefaultAllocator}
	opening, err := enc.schema(schema)
	if err != nil {
		f.Fatal(err)
	}
	first, err := proto.Marshal(opening)
	if err != nil {
		f.Fatal(err)
	}
	rows, err := enc.batch(b.NewRecordBatch())
	if err != nil {
		f.Fatal(err)
	}
	second, err := proto.Marshal(rows)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(first, second)
	f.Add(first, first)
	f.Add([]byte{}, second)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var opening, rows exchangev1.Message
		if proto.Unmarshal(first, &opening) != nil || proto.Unmarshal(second, &rows) != nil {
			return
		}
		var dec decoder
		if err := dec.schema(&opening); err != nil {
			return
		}
		batch, err := dec.batch(&rows)
		if err != nil {
			return
		}
		for _, column := range batch.Columns() {
			for row := range column.Len() {
				_ = column.ValueStr(row)
			}
		}
	})
}
