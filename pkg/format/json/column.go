package json

import (
	"encoding/binary"
	"math"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// column collects one column's values in Arrow's layout. It does less than Arrow's builders: no validity bits are kept
// until the first NULL, and the last row can be taken back.
type column struct {
	name  string
	typ   sqltype.Type
	arrow arrow.DataType
	width int // bytes of one of values; 0 for BOOLEAN, whose values are bits
	// isText says that values are offsets into text: CHAR, VARCHAR, STRING, BYTES and JSON.
	isText bool
	limit  int             // of used
	layout timestampLayout // of TIMESTAMP and TIMESTAMP_LTZ

	rows    int
	nulls   int
	tracked bool   // valid holds a bit for each row
	valid   buffer // bitmap
	values  buffer // fixed-width values, a bitmap for BOOLEAN, the offsets of text
	text    buffer // the bytes of texts; text.used of them
	used    int
}

// buffer is growing memory of an Arrow allocator.
type buffer struct {
	owner *memory.Buffer
	bytes []byte // all that is allocated
	hint  int    // what the last batch used, for the first allocation of the next
}

// leastAllocation is the first allocation of a buffer in bytes: little enough for schemas of 10,000 columns.
const leastAllocation = 256

// reserve makes at least size bytes addressable.
func (b *buffer) reserve(alloc memory.Allocator, size int) {
	if b.owner == nil {
		b.owner = memory.NewResizableBuffer(alloc)
	}
	b.owner.ResizeNoShrink(max(size, min(2*len(b.bytes), len(b.bytes)+(64<<20)), b.hint, leastAllocation))
	b.bytes = b.owner.Buf()
}

// take gives the memory away, cut to size bytes; there is some even for no bytes.
func (b *buffer) take(alloc memory.Allocator, size int) *memory.Buffer {
	if b.owner == nil {
		b.reserve(alloc, size)
	}
	owner := b.owner
	owner.ResizeNoShrink(size)
	*b = buffer{hint: size}
	return owner
}

func (b *buffer) release() {
	if b.owner != nil {
		b.owner.Release()
	}
	*b = buffer{}
}

// room returns the bytes [from, from+n) of the buffer.
func (b *buffer) room(alloc memory.Allocator, from, n int) []byte {
	if from+n > len(b.bytes) {
		b.reserve(alloc, from+n)
	}
	return b.bytes[from : from+n]
}

func newColumn(c sqltype.Column, format TimestampFormat) column {
	return column{
		name: c.Name, typ: c.Type, arrow: c.Type.Arrow(), width: widthOf(c.Type.Kind),
		isText: c.Type.IsText() || c.Type.Kind == sqltype.Bytes || c.Type.Kind == sqltype.JSON,
		limit:  math.MaxInt32, // what Arrow's offsets can count
		layout: layoutOf(format, c.Type.Kind == sqltype.TimestampLTZ),
	}
}

func widthOf(kind sqltype.Kind) int {
	switch kind {
	case sqltype.Boolean:
		return 0
	case sqltype.TinyInt:
		return 1
	case sqltype.SmallInt:
		return 2
	case sqltype.BigInt, sqltype.Double:
		return 8
	case sqltype.Decimal, sqltype.Timestamp, sqltype.TimestampLTZ:
		return 16
	default: // INT, FLOAT, DATE, TIME, and the offsets of texts
		return 4
	}
}

// added counts a row whose value was just put in place.
func (c *column) added(alloc memory.Allocator) {
	if c.tracked {
		c.mark(alloc, true)
	}
	c.rows++
}

// mark sets the validity of the row to come.
func (c *column) mark(alloc memory.Allocator, valid bool) {
	setBit(c.valid.room(alloc, 0, c.rows/8+1), c.rows, valid)
}

// track begins to keep validity bits; all rows so far are valid.
func (c *column) track(alloc memory.Allocator) {
	c.tracked = true
	bits := c.valid.room(alloc, 0, c.rows/8+1)
	for i := range bits {
		bits[i] = 0xff
	}
}

func setBit(bits []byte, i int, on bool) {
	if i%8 == 0 {
		bits[i/8] = 0 // what allocators return need not be clear
	}
	if on {
		bits[i/8] |= 1 << (i % 8)
	} else {
		bits[i/8] &^= 1 << (i % 8)
	}
}

func (c *column) appendBool(alloc memory.Allocator, v bool) {
	setBit(c.values.room(alloc, 0, c.rows/8+1), c.rows, v)
	c.added(alloc)
}

// appendInt appends an integer, DATE or TIME that fits the column.
func (c *column) appendInt(alloc memory.Allocator, v int64) {
	switch c.width {
	case 1:
		c.values.room(alloc, c.rows, 1)[0] = byte(v)
		c.added(alloc)
	case 2:
		binary.NativeEndian.PutUint16(c.values.room(alloc, 2*c.rows, 2), uint16(v))
		c.added(alloc)
	case 4:
		c.append32(alloc, uint32(v))
	default:
		c.append64(alloc, uint64(v))
	}
}

// append32 appends the bits of a value of four bytes.
func (c *column) append32(alloc memory.Allocator, v uint32) {
	binary.NativeEndian.PutUint32(c.values.room(alloc, 4*c.rows, 4), v)
	c.added(alloc)
}

// append64 appends the bits of a value of eight bytes.
func (c *column) append64(alloc memory.Allocator, v uint64) {
	binary.NativeEndian.PutUint64(c.values.room(alloc, 8*c.rows, 8), v)
	c.added(alloc)
}

// append128 appends an unscaled DECIMAL or the two words of a timestamp.
func (c *column) append128(alloc memory.Allocator, v decimal128.Num) {
	arrow.Decimal128Traits.PutValue(c.values.room(alloc, 16*c.rows, 16), v)
	c.added(alloc)
}

// appendText appends a text or BYTES value and reports whether the batch had room for it.
func (c *column) appendText(alloc memory.Allocator, v []byte) bool {
	end := c.used + len(v)
	if end > c.limit {
		return false
	}
	if end > len(c.text.bytes) {
		c.text.reserve(alloc, end)
	}
	copy(c.text.bytes[c.used:end], v)
	c.used = end
	c.appendOffset(alloc)
	c.added(alloc)
	return true
}

// appendOffset ends the text of the next row at used.
func (c *column) appendOffset(alloc memory.Allocator) {
	at := 4 * (c.rows + 1)
	offsets := c.values.room(alloc, 0, at+4)
	if c.rows == 0 {
		binary.NativeEndian.PutUint32(offsets, 0)
	}
	binary.NativeEndian.PutUint32(offsets[at:], uint32(c.used))
}

func (c *column) appendNull(alloc memory.Allocator) {
	switch width := c.width; {
	case c.isText:
		c.appendOffset(alloc)
	case width == 0:
		setBit(c.values.room(alloc, 0, c.rows/8+1), c.rows, false)
	default:
		clear(c.values.room(alloc, width*c.rows, width))
	}
	if !c.tracked {
		c.track(alloc)
	}
	c.mark(alloc, false)
	c.nulls++
	c.rows++
}

// isNull reports whether row i is NULL.
func (c *column) isNull(i int) bool { return c.tracked && !bitutil.BitIsSet(c.valid.bytes, i) }

// dropLast takes the last row back.
func (c *column) dropLast() {
	c.rows--
	if c.isNull(c.rows) {
		c.nulls--
	}
	if c.isText {
		c.used = int(binary.NativeEndian.Uint32(c.values.bytes[4*c.rows:]))
	}
}

// take returns the rows as an array and begins anew.
func (c *column) take(alloc memory.Allocator) arrow.Array {
	buffers := []*memory.Buffer{nil, c.takeValues(alloc)}
	if c.nulls > 0 {
		buffers[0] = c.valid.take(alloc, (c.rows+7)/8)
	} else {
		c.valid.release()
	}
	if c.isText {
		buffers = append(buffers, c.text.take(alloc, c.used))
	}
	data := array.NewData(c.arrow, c.rows, buffers, nil, c.nulls, 0)
	for _, b := range buffers {
		if b != nil {
			b.Release()
		}
	}
	defer data.Release()
	c.rows, c.nulls, c.tracked, c.used = 0, 0, false, 0
	return array.MakeFromData(data)
}

func (c *column) takeValues(alloc memory.Allocator) *memory.Buffer {
	size := c.width * c.rows
	if c.typ.Kind == sqltype.Boolean {
		size = (c.rows + 7) / 8
	}
	if c.isText {
		size += 4 // one offset more than rows
		if c.rows == 0 {
			binary.NativeEndian.PutUint32(c.values.room(alloc, 0, 4), 0)
		}
	}
	return c.values.take(alloc, size)
}

// release gives all memory back.
func (c *column) release() {
	c.valid.release()
	c.values.release()
	c.text.release()
	c.rows, c.nulls, c.tracked, c.used = 0, 0, false, 0
}
