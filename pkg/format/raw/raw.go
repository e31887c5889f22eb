// Package raw takes records as bytes of which nothing is known, as Flink's format of this name does
// (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/connectors/table/formats/raw/). No value at all is NULL, which
// an empty one is not.
package raw

import (
	"math"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Decoder collects values in a column of type BYTES. It is for one goroutine.
type Decoder struct {
	schema *arrow.Schema
	values *array.BinaryBuilder
	limit  int // of the bytes of a batch
}

// NewDecoder returns a decoder for a column of that name. Batches take their memory from alloc.
func NewDecoder(name string, alloc memory.Allocator) *Decoder {
	schema := sqltype.Schema{{Name: name, Type: sqltype.BytesType}}
	return &Decoder{
		schema: schema.Arrow(),
		values: array.NewBinaryBuilder(alloc, arrow.BinaryTypes.Binary),
		limit:  math.MaxInt32, // what Arrow's offsets can count
	}
}

// Append adds a row with value, which it does not retain; nil is NULL. It reports whether the batch had room: if not, take the batch
// and append the value again.
func (d *Decoder) Append(value []byte) bool {
	if d.values.DataLen()+len(value) > d.limit {
		return false
	}
	if value == nil {
		d.values.AppendNull()
	} else {
		d.values.Append(value)
	}
	return true
}

// Len returns the number of rows appended since the last batch.
func (d *Decoder) Len() int { return d.values.Len() }

// NewBatch returns the rows appended since the last batch, or an empty batch. The caller releases it.
func (d *Decoder) NewBatch() arrow.RecordBatch {
	column := d.values.NewArray()
	defer column.Release()
	return array.NewRecordBatch(d.schema, []arrow.Array{column}, int64(column.Len()))
}

// Release gives back the memory of rows that no batch has taken. The decoder can be used again.
func (d *Decoder) Release() { d.values.NewArray().Release() }
