package rowkey

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/sqltype"
)

// Decode is the inverse of Encode: it returns an array for each of the codec's columns, of its Arrow type, with a row for each
// key. The caller releases them. The keys must be the codec's own and their texts less than 2 GiB in sum; anything else panics.
func (c *Codec) Decode(keys [][]byte, alloc memory.Allocator) []arrow.Array {
	arrays := make([]arrow.Array, len(c.columns))
	var rest [][]byte // of each key, what follows the texts decoded so far
	nulls := c.columnsWithNull(keys)
	for i := range c.columns {
		d := decoder{column: &c.columns[i], keys: keys, alloc: alloc}
		d.hasNull = nulls[d.nullByte]&d.nullBit != 0
		if d.layout != text {
			arrays[i] = d.fixed()
			continue
		}
		if rest == nil {
			rest = c.afterFixed(keys)
		}
		arrays[i] = d.texts(rest)
	}
	return arrays
}

// columnsWithNull returns the bitmap of the columns in which any key is NULL.
func (c *Codec) columnsWithNull(keys [][]byte) []byte {
	nulls := make([]byte, c.bitmap)
	for _, key := range keys {
		for i := range nulls {
			nulls[i] |= key[i]
		}
	}
	return nulls
}

func (c *Codec) afterFixed(keys [][]byte) [][]byte {
	rest := make([][]byte, len(keys))
	for i, key := range keys {
		rest[i] = key[c.fixed:]
	}
	return rest
}

// decoder makes the array of one column.
type decoder struct {
	*column
	keys    [][]byte
	hasNull bool
	alloc   memory.Allocator
}

func (d decoder) fixed() arrow.Array {
	little := binary.LittleEndian
	switch d.layout {
	case boolean:
		return d.booleans()
	case one:
		return decodeFixed(d, func(b []byte) uint8 { return b[0] })
	case two:
		return decodeFixed(d, little.Uint16)
	case four:
		return decodeFixed(d, little.Uint32)
	case eight:
		return decodeFixed(d, little.Uint64)
	case float:
		return decodeFixed(d, func(b []byte) float32 { return math.Float32frombits(little.Uint32(b)) })
	case double:
		return decodeFixed(d, func(b []byte) float64 { return math.Float64frombits(little.Uint64(b)) })
	case shortMoney:
		return decodeFixed(d, func(b []byte) decimal128.Num { return decimal128.FromI64(int64(little.Uint64(b))) })
	case money:
		return decodeFixed(d, func(b []byte) decimal128.Num {
			return decimal128.New(int64(little.Uint64(b[8:])), little.Uint64(b))
		})
	case millis:
		return decodeFixed(d, func(b []byte) decimal128.Num { return sqltype.TimestampValue(int64(little.Uint64(b)), 0) })
	case nanos:
		return decodeFixed(d, func(b []byte) decimal128.Num {
			return sqltype.TimestampValue(int64(little.Uint64(b)), little.Uint32(b[8:]))
		})
	default:
		return array.NewNull(len(d.keys))
	}
}

// decodeFixed reads a column of fixed width. T may be any type of the array's element size.
func decodeFixed[T arrow.FixedWidthType](d decoder, get func([]byte) T) arrow.Array {
	var element T
	buffer := d.buffer(len(d.keys) * elementSize(element))
	values := arrow.GetData[T](buffer.Bytes())
	for i, key := range d.keys {
		values[i] = get(key[d.at:])
	}
	return d.array(buffer)
}

func elementSize[T arrow.FixedWidthType](v T) int { return len(arrow.GetBytes([]T{v})) }

func (d decoder) booleans() arrow.Array {
	buffer := d.buffer(int(bitutil.BytesForBits(int64(len(d.keys)))))
	clear(buffer.Bytes())
	for i, key := range d.keys {
		if key[d.at] != 0 {
			bitutil.SetBit(buffer.Bytes(), i)
		}
	}
	return d.array(buffer)
}

// texts takes one text from the front of each of rest.
func (d decoder) texts(rest [][]byte) arrow.Array {
	offsetBuffer := d.buffer((len(rest) + 1) * arrow.Int32SizeBytes)
	offsets := arrow.GetData[int32](offsetBuffer.Bytes())
	total := 0
	for i, b := range rest {
		n, size := binary.Uvarint(b)
		rest[i] = b[size:]
		offsets[i] = int32(total)
		total += int(n)
	}
	offsets[len(rest)] = int32(total)

	buffer := d.buffer(total)
	values := buffer.Bytes()
	for i, b := range rest {
		rest[i] = b[copy(values[offsets[i]:offsets[i+1]], b):]
	}
	return d.array(offsetBuffer, buffer)
}

func (d decoder) buffer(size int) *memory.Buffer {
	b := memory.NewResizableBuffer(d.alloc)
	b.Resize(size)
	return b
}

// array puts the column together from the buffers after the validity bitmap, which it takes over.
func (d decoder) array(buffers ...*memory.Buffer) arrow.Array {
	validity, nulls := d.validity()
	all := append([]*memory.Buffer{validity}, buffers...)
	data := array.NewData(d.typ.Arrow(), len(d.keys), all, nil, nulls, 0)
	defer data.Release()
	for _, b := range all {
		if b != nil {
			b.Release()
		}
	}
	return array.MakeFromData(data)
}

// validity returns the bitmap of values that are not NULL, nil when none is, and the number of NULL.
func (d decoder) validity() (*memory.Buffer, int) {
	if !d.hasNull {
		return nil, 0
	}
	buffer := d.buffer(int(bitutil.BytesForBits(int64(len(d.keys)))))
	clear(buffer.Bytes())
	nulls := 0
	for i, key := range d.keys {
		if key[d.nullByte]&d.nullBit == 0 {
			bitutil.SetBit(buffer.Bytes(), i)
		} else {
			nulls++
		}
	}
	return buffer, nulls
}
