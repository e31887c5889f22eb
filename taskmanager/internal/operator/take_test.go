package operator

import (
	"testing"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// drawn are types that cover every layout of a column.
var drawn = []sqltype.Type{
	{Kind: sqltype.Boolean}, {Kind: sqltype.TinyInt}, {Kind: sqltype.SmallInt}, {Kind: sqltype.Int}, {Kind: sqltype.BigInt},
	{Kind: sqltype.Float}, {Kind: sqltype.Double}, sqltype.DecimalType(20, 2),
	{Kind: sqltype.Char, Length: 3}, {Kind: sqltype.VarChar, Length: sqltype.MaxLength}, {Kind: sqltype.Bytes, Length: sqltype.MaxLength},
	{Kind: sqltype.Date}, sqltype.TimeType(3), sqltype.TimestampType(3), sqltype.TimestampLTZType(3),
}

// drawValue appends a value, which is NULL now and then.
func drawValue(t *rapid.T, b array.Builder, nulls bool) {
	if nulls && rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		b.AppendNull()
		return
	}
	n := rapid.Int64().Draw(t, "value")
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(n%2 == 0)
	case *array.Int8Builder:
		b.Append(int8(n))
	case *array.Int16Builder:
		b.Append(int16(n))
	case *array.Int32Builder:
		b.Append(int32(n))
	case *array.Int64Builder:
		b.Append(n)
	case *array.Float32Builder:
		b.Append(float32(n))
	case *array.Float64Builder:
		b.Append(float64(n))
	case *array.Date32Builder:
		b.Append(arrow.Date32(n))
	case *array.Time32Builder:
		b.Append(arrow.Time32(uint64(n) % 86_400_000))
	case *array.Decimal128Builder:
		b.Append(decimal128.New(n, uint64(n)*7))
	case *array.StringBuilder:
		b.Append(rapid.StringN(0, 4, -1).Draw(t, "text"))
	case *array.BinaryBuilder:
		b.Append(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "bytes"))
	default:
		t.Fatalf("no values for %T", b)
	}
}

// Whatever the layout, the NULLs, and where a slice begins: row i of what was taken is row rows[i] of what was there.
func TestTake(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		typ := rapid.SampledFrom(drawn).Draw(t, "type")
		length := rapid.IntRange(0, 40).Draw(t, "length")
		nulls := rapid.Bool().Draw(t, "with NULLs")
		builder := array.NewBuilder(alloc, typ.Arrow())
		for range length {
			drawValue(t, builder, nulls)
		}
		whole := builder.NewArray()
		builder.Release()
		from := rapid.IntRange(0, length).Draw(t, "from")
		column := array.NewSlice(whole, int64(from), int64(rapid.IntRange(from, length).Draw(t, "to")))
		whole.Release()
		var rows []int32
		if column.Len() > 0 {
			rows = rapid.SliceOfN(rapid.Int32Range(0, int32(column.Len()-1)), 0, 50).Draw(t, "rows")
		}

		got := take(column, rows, alloc)
		if got.Len() != len(rows) || !arrow.TypeEqual(got.DataType(), typ.Arrow()) {
			t.Fatalf("took %d of %s, want %d of %s", got.Len(), got.DataType(), len(rows), typ.Arrow())
		}
		for i, row := range rows {
			if !array.SliceEqual(got, int64(i), int64(i+1), column, int64(row), int64(row+1)) {
				t.Fatalf("value %d is %s, want %s", i, got.ValueStr(i), column.ValueStr(int(row)))
			}
		}
		got.Release()
		column.Release()
		if left := alloc.CurrentAlloc(); left != 0 {
			t.Fatalf("%d bytes are not released", left)
		}
	})
}
