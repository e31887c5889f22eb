// Package rowkey turns the columns that rows are grouped by into key bytes and back.
//
// Two rows are in one group just when their key bytes are equal. Equality is Flink's: by the bits of a DOUBLE or FLOAT, so
// that 0.0 and -0.0 are apart, with all NaN one; NULL equals NULL; NULL and the empty text are apart. A TIMESTAMP of
// precision 3 or less is cut, not rounded, to its milliseconds, as Flink does when a row passes a keyed exchange; one of
// higher precision keeps all nine digits.
//
// A key is a bitmap of the NULL columns, then the values of fixed width, then the texts, each after its length. Numbers
// are little-endian. State and the exchange of every version rest on these bytes and their hash: they never change.
//
// The package is pure. A Codec is immutable and may be shared between goroutines; Keys belong to one.
package rowkey

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"pencere/pkg/sqltype"
)

// Codec encodes and decodes the keys of one list of column types.
type Codec struct {
	columns []column
	bitmap  int // bytes of the bitmap of NULL columns, which starts a key
	fixed   int // bytes of the bitmap and the values of fixed width
}

// column is the place of a key column in the key.
type column struct {
	typ      sqltype.Type
	layout   layout
	at       int  // where the value begins, if its width is fixed
	nullByte int  // where the NULL bit is
	nullBit  byte // its mask
}

// layout says how values of a column lie in a key.
type layout uint8

const (
	constant layout = iota // NULL in every row, no bytes
	boolean                // 1 byte, 0 or 1
	one                    // integers of so many bytes
	two
	four
	eight
	float      // 4 bytes, one NaN
	double     // 8 bytes, one NaN
	shortMoney // the low 8 bytes of a decimal that has at most 18 digits
	money      // 16 bytes of a decimal
	millis     // 8 bytes of a timestamp: its milliseconds
	nanos      // 12 bytes of a timestamp: milliseconds, then nanoseconds
	text       // the length as a varint, then the bytes; after the fixed values
)

// widths are the bytes of fixed layouts.
var widths = [...]int{
	boolean: 1, one: 1, two: 2, four: 4, eight: 8, float: 4, double: 8,
	shortMoney: 8, money: 16, millis: 8, nanos: 12, text: 0,
}

// New returns the codec of keys with the columns of schema, which may be none: then there is one key, the empty one.
func New(schema sqltype.Schema) *Codec {
	c := &Codec{bitmap: (len(schema) + 7) / 8}
	c.fixed = c.bitmap
	for i, field := range schema {
		col := column{typ: field.Type, layout: layoutOf(field.Type), at: c.fixed, nullByte: i / 8, nullBit: 1 << (i % 8)}
		c.fixed += widths[col.layout]
		c.columns = append(c.columns, col)
	}
	return c
}

func layoutOf(t sqltype.Type) layout {
	switch t.Kind {
	case sqltype.Null:
		return constant
	case sqltype.Boolean:
		return boolean
	case sqltype.TinyInt:
		return one
	case sqltype.SmallInt:
		return two
	case sqltype.Int, sqltype.Date, sqltype.Time, sqltype.IntervalYearMonth:
		return four
	case sqltype.BigInt, sqltype.IntervalDayTime:
		return eight
	case sqltype.Float:
		return float
	case sqltype.Double:
		return double
	case sqltype.Decimal:
		if t.Precision <= 18 {
			return shortMoney
		}
		return money
	case sqltype.Timestamp, sqltype.TimestampLTZ:
		if t.Precision <= 3 {
			return millis
		}
		return nanos
	case sqltype.Char, sqltype.VarChar, sqltype.Bytes:
		return text
	default:
		panic(fmt.Sprintf("rowkey: no key layout for %s", t)) //nolint:forbidigo // the plan lets no such column through
	}
}

// Keys are the keys of a batch's rows, one after the other in one piece of memory that the next Encode reuses.
// The zero Keys is empty and ready.
type Keys struct {
	bytes   []byte
	offsets []int // where each key begins; one more for the end
	cursors []int // where each key's next text goes
}

// Len returns the number of keys.
func (k *Keys) Len() int { return max(len(k.offsets)-1, 0) }

// Key returns the key of a row, counted from 0. It is valid until the next Encode.
func (k *Keys) Key(row int) []byte { return k.bytes[k.offsets[row]:k.offsets[row+1]] }

// Hashes appends the Hash of every key to dst.
func (k *Keys) Hashes(dst []uint64) []uint64 {
	dst = slices.Grow(dst, k.Len())
	for row := range k.Len() {
		dst = append(dst, Hash(k.Key(row)))
	}
	return dst
}

// Encode replaces dst by the keys of all rows of batch. columns are the places in batch of the codec's columns, in its order;
// their arrays must have the Arrow types of the codec's schema.
func (c *Codec) Encode(dst *Keys, batch arrow.RecordBatch, columns []int) {
	rows := int(batch.NumRows())
	dst.reset(rows, c.fixed)
	for i, col := range c.columns {
		if col.layout == text {
			measure(dst, batch.Column(columns[i]))
		}
	}
	dst.place(c)
	for i, col := range c.columns {
		col.encode(dst, batch.Column(columns[i]))
	}
}

// reset makes room for the offsets of rows keys. Until place, offsets[i+1] is the length of key i.
func (k *Keys) reset(rows, length int) {
	k.offsets = slices.Grow(k.offsets[:0], rows+1)[:rows+1]
	k.offsets[0] = 0
	for i := 1; i <= rows; i++ {
		k.offsets[i] = length
	}
}

// measure adds the bytes that a text column takes to the lengths of the keys.
func measure(k *Keys, values arrow.Array) {
	offsets := textOffsets(values)
	lengths := k.offsets[1:]
	nulls := values.NullN() > 0
	for row := range lengths {
		n := int(offsets[row+1] - offsets[row])
		if nulls && values.IsNull(row) {
			n = 0
		}
		lengths[row] += varintLen(n) + n
	}
}

// place turns lengths into offsets and clears the bitmaps of NULL columns.
func (k *Keys) place(c *Codec) {
	rows := k.Len()
	for i := range rows {
		k.offsets[i+1] += k.offsets[i]
	}
	k.bytes = slices.Grow(k.bytes[:0], k.offsets[rows])[:k.offsets[rows]]
	k.cursors = slices.Grow(k.cursors[:0], rows)[:rows]
	for i := range rows {
		at := k.offsets[i]
		clear(k.bytes[at : at+c.bitmap])
		k.cursors[i] = at + c.fixed
	}
}

func (c *column) encode(k *Keys, values arrow.Array) {
	switch c.layout {
	case constant:
	case boolean:
		encodeBooleans(k, c, values.(*array.Boolean))
	case one:
		encodeFixed(k, c, values, func(dst []byte, v uint8) { dst[0] = v })
	case two:
		encodeFixed(k, c, values, binary.LittleEndian.PutUint16)
	case four:
		encodeFixed(k, c, values, binary.LittleEndian.PutUint32)
	case eight:
		encodeFixed(k, c, values, binary.LittleEndian.PutUint64)
	case float:
		encodeFixed(k, c, values, putFloat)
	case double:
		encodeFixed(k, c, values, putDouble)
	case shortMoney:
		encodeFixed(k, c, values, func(dst []byte, v decimal128.Num) { binary.LittleEndian.PutUint64(dst, v.LowBits()) })
	case money:
		encodeFixed(k, c, values, putMoney)
	case millis:
		encodeFixed(k, c, values, func(dst []byte, v decimal128.Num) { binary.LittleEndian.PutUint64(dst, uint64(v.HighBits())) })
	case nanos:
		encodeFixed(k, c, values, putNanos)
	case text:
		encodeText(k, values)
	}
	c.markNulls(k, values)
}

// encodeFixed writes a column of fixed width. T may be any type of the array's element size: only its bits count.
func encodeFixed[T arrow.FixedWidthType](k *Keys, c *column, values arrow.Array, put func([]byte, T)) {
	for row, v := range elements[T](values) {
		put(k.bytes[k.offsets[row]+c.at:], v)
	}
}

func encodeBooleans(k *Keys, c *column, values *array.Boolean) {
	for row := range values.Len() {
		var v byte
		if values.Value(row) {
			v = 1
		}
		k.bytes[k.offsets[row]+c.at] = v
	}
}

// The one NaN of keys, as Java's floatToIntBits and doubleToLongBits have it.
const (
	floatNaN  uint32 = 0x7fc00000
	doubleNaN uint64 = 0x7ff8000000000000
)

func putFloat(dst []byte, v float32) {
	b := math.Float32bits(v)
	if math.IsNaN(float64(v)) {
		b = floatNaN
	}
	binary.LittleEndian.PutUint32(dst, b)
}

func putDouble(dst []byte, v float64) {
	b := math.Float64bits(v)
	if math.IsNaN(v) {
		b = doubleNaN
	}
	binary.LittleEndian.PutUint64(dst, b)
}

func putMoney(dst []byte, v decimal128.Num) {
	binary.LittleEndian.PutUint64(dst, v.LowBits())
	binary.LittleEndian.PutUint64(dst[8:], uint64(v.HighBits()))
}

func putNanos(dst []byte, v decimal128.Num) {
	ms, n := sqltype.TimestampParts(v)
	binary.LittleEndian.PutUint64(dst, uint64(ms))
	binary.LittleEndian.PutUint32(dst[8:], n)
}

func encodeText(k *Keys, values arrow.Array) {
	offsets, bytes := textOffsets(values), textBytes(values)
	nulls := values.NullN() > 0
	for row, at := range k.cursors {
		v := bytes[offsets[row]:offsets[row+1]]
		if nulls && values.IsNull(row) {
			v = nil
		}
		if len(v) < 0x80 {
			k.bytes[at] = byte(len(v))
			at++
		} else {
			at += binary.PutUvarint(k.bytes[at:], uint64(len(v)))
		}
		k.cursors[row] = at + copy(k.bytes[at:], v)
	}
}

// markNulls sets the bit of NULL values and clears what lies under them, which Arrow leaves undefined.
func (c *column) markNulls(k *Keys, values arrow.Array) {
	if values.NullN() == 0 {
		return
	}
	for row := range values.Len() {
		if values.IsNull(row) {
			key := k.Key(row)
			key[c.nullByte] |= c.nullBit
			clear(key[c.at : c.at+widths[c.layout]])
		}
	}
}

// elements returns the values buffer of an array, from its first row on.
func elements[T arrow.FixedWidthType](values arrow.Array) []T {
	if values.Len() == 0 {
		return nil
	}
	return arrow.GetValues[T](values.Data(), 1)
}

func textOffsets(values arrow.Array) []int32 {
	if values.Len() == 0 {
		return nil
	}
	data := values.Data()
	offsets := arrow.GetData[int32](data.Buffers()[1].Bytes())
	return offsets[data.Offset() : data.Offset()+data.Len()+1]
}

func textBytes(values arrow.Array) []byte {
	if b := values.Data().Buffers()[2]; b != nil {
		return b.Bytes()
	}
	return nil
}

func varintLen(n int) int {
	if n < 0x80 {
		return 1
	}
	return (bits.Len(uint(n)) + 6) / 7
}
