package operator

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// takeBatch returns the rows of batch that rows names, in its order. The caller releases it.
func takeBatch(batch arrow.RecordBatch, rows []int32, alloc memory.Allocator) arrow.RecordBatch {
	columns := make([]arrow.Array, batch.NumCols())
	for i, column := range batch.Columns() {
		columns[i] = take(column, rows, alloc)
	}
	return newBatch(batch.Schema(), columns, len(rows))
}

// newBatch makes a batch of columns and gives up the caller's hold on them.
func newBatch(schema *arrow.Schema, columns []arrow.Array, rows int) arrow.RecordBatch {
	batch := array.NewRecordBatch(schema, columns, int64(rows))
	for _, column := range columns {
		column.Release()
	}
	return batch
}

// take returns the values of column at rows. It knows the layouts of sqltype and no others.
func take(column arrow.Array, rows []int32, alloc memory.Allocator) arrow.Array {
	switch c := column.(type) {
	case *array.Boolean:
		return takeBooleans(c, rows, alloc)
	case *array.Int8:
		return takeFixed(c, c.Values(), rows, alloc)
	case *array.Int16:
		return takeFixed(c, c.Values(), rows, alloc)
	case *array.Int32:
		return takeFixed(c, c.Values(), rows, alloc)
	case *array.Int64:
		return takeFixed(c, c.Values(), rows, alloc)
	case *array.Float32:
		return takeFixed(c, c.Values(), rows, alloc)
	case *array.Float64:
		return takeFixed(c, c.Values(), rows, alloc)
	case *array.Date32:
		return takeFixed(c, c.Values(), rows, alloc)
	case *array.Time32:
		return takeFixed(c, c.Values(), rows, alloc)
	case *array.Decimal128:
		return takeFixed(c, c.Values(), rows, alloc)
	case *array.String:
		return takeBytes(c, c.ValueOffsets(), c.Data().Buffers()[2], rows, alloc)
	case *array.Binary:
		return takeBytes(c, c.ValueOffsets(), c.Data().Buffers()[2], rows, alloc)
	default:
		panic(fmt.Sprintf("operator: no layout for %s", column.DataType())) //nolint:forbidigo // sqltype has no such type: a new layout was not added here
	}
}

// fixed are the values that lie side by side in a buffer.
type fixed interface {
	int8 | int16 | int32 | int64 | float32 | float64 | arrow.Date32 | arrow.Time32 | decimal128.Num
}

func takeFixed[T fixed](column arrow.Array, values []T, rows []int32, alloc memory.Allocator) arrow.Array {
	buffer := memory.NewResizableBuffer(alloc)
	defer buffer.Release()
	width := column.DataType().(arrow.FixedWidthDataType).Bytes()
	buffer.Resize(len(rows) * width)
	out := arrow.GetData[T](buffer.Bytes())
	for i, row := range rows {
		out[i] = values[row]
	}
	return assemble(column, rows, alloc, buffer)
}

func takeBooleans(column *array.Boolean, rows []int32, alloc memory.Allocator) arrow.Array {
	buffer := memory.NewResizableBuffer(alloc)
	defer buffer.Release()
	buffer.Resize(int(bitutil.BytesForBits(int64(len(rows)))))
	for i, row := range rows {
		bitutil.SetBitTo(buffer.Bytes(), i, column.Value(int(row)))
	}
	return assemble(column, rows, alloc, buffer)
}

func takeBytes(column arrow.Array, offsets []int32, data *memory.Buffer, rows []int32, alloc memory.Allocator) arrow.Array {
	total := 0
	for _, row := range rows {
		total += int(offsets[row+1] - offsets[row])
	}
	outOffsets, outData := memory.NewResizableBuffer(alloc), memory.NewResizableBuffer(alloc)
	defer outOffsets.Release()
	defer outData.Release()
	outOffsets.Resize((len(rows) + 1) * arrow.Int32SizeBytes)
	outData.Resize(total)
	ends, bytes := arrow.GetData[int32](outOffsets.Bytes()), outData.Bytes()
	var in []byte
	if data != nil { // there is none when all values are empty
		in = data.Bytes()
	}
	ends[0] = 0
	at := 0
	for i, row := range rows {
		at += copy(bytes[at:], in[offsets[row]:offsets[row+1]])
		ends[i+1] = int32(at)
	}
	return assemble(column, rows, alloc, outOffsets, outData)
}

// assemble makes an array of column's type from value buffers and the validity of its rows.
func assemble(column arrow.Array, rows []int32, alloc memory.Allocator, values ...*memory.Buffer) arrow.Array {
	var validity *memory.Buffer
	nulls := 0
	if column.NullN() > 0 {
		validity = memory.NewResizableBuffer(alloc)
		defer validity.Release()
		validity.Resize(int(bitutil.BytesForBits(int64(len(rows)))))
		for i, row := range rows {
			valid := column.IsValid(int(row))
			bitutil.SetBitTo(validity.Bytes(), i, valid)
			if !valid {
				nulls++
			}
		}
	}
	data := array.NewData(column.DataType(), len(rows), append([]*memory.Buffer{validity}, values...), nil, nulls, 0)
	defer data.Release()
	return array.MakeFromData(data)
}

// int64Array makes an INT64 array of values.
func int64Array(values []int64, alloc memory.Allocator) arrow.Array {
	buffer := memory.NewResizableBuffer(alloc)
	defer buffer.Release()
	buffer.Resize(len(values) * arrow.Int64SizeBytes)
	copy(arrow.GetData[int64](buffer.Bytes()), values)
	data := array.NewData(arrow.PrimitiveTypes.Int64, len(values), []*memory.Buffer{nil, buffer}, nil, 0, 0)
	defer data.Release()
	return array.MakeFromData(data)
}

// bufferBytes returns the bytes of a batch's buffers, which is nearly what it is as a message.
func bufferBytes(batch arrow.RecordBatch) int64 {
	total := 0
	for _, column := range batch.Columns() {
		for _, buffer := range column.Data().Buffers() {
			if buffer != nil {
				total += buffer.Len()
			}
		}
	}
	return int64(total)
}
