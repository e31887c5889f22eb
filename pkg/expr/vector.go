package expr

import (
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// bitmap holds one bit a row, least significant first, as Arrow's do. Bits beyond the last row have no meaning.
type bitmap []byte

func (b bitmap) get(i int) bool { return b[i>>3]>>(i&7)&1 != 0 }
func (b bitmap) set(i int)      { b[i>>3] |= 1 << (i & 7) }
func (b bitmap) clear(i int)    { b[i>>3] &^= 1 << (i & 7) }

func bytesFor(rows int) int { return (rows + 7) / 8 }

// count returns the number of bits set among the first n.
func (b bitmap) count(n int) int {
	total := 0
	for _, x := range b[:n/8] {
		total += bits.OnesCount8(x)
	}
	if n%8 != 0 {
		total += bits.OnesCount8(b[n/8] & (1<<(n%8) - 1))
	}
	return total
}

// resize returns b with room for rows bits, of any value.
func (b bitmap) resize(rows int) bitmap {
	if n := bytesFor(rows); cap(b) >= n {
		return b[:n]
	}
	return make(bitmap, bytesFor(rows), bytesFor(rows)*5/4+8)
}

func (b bitmap) fill(x byte) {
	for i := range b {
		b[i] = x
	}
}

// texts are strings or byte strings one after the other, as in Arrow: row i is data[offsets[i]:offsets[i+1]].
type texts struct {
	offsets []int32
	data    []byte
}

func (t *texts) at(i int) []byte { return t.data[t.offsets[i]:t.offsets[i+1]] }

// vector holds the values of one expression for all rows of a batch, or, if it is constant, the one value of all rows.
// The field that carries the values follows from the type's Arrow layout (package sqltype).
type vector struct {
	constant bool
	null     bool   // of a constant: it is NULL
	valid    bitmap // of the others: the rows that are not NULL; nil if none is

	bits bitmap // BOOLEAN; 0 where NULL
	i8   []int8
	i16  []int16
	i32  []int32 // INT, DATE, TIME, INTERVAL YEAR TO MONTH
	i64  []int64 // BIGINT, INTERVAL DAY TO SECOND
	f32  []float32
	f64  []float64
	n128 []decimal128.Num // DECIMAL, TIMESTAMP, TIMESTAMP_LTZ
	text texts            // CHAR, VARCHAR, BYTES

	validity bitmap // memory of valid, kept between batches
}

// fixed are the types of values of fixed width.
type fixed interface {
	int8 | int16 | int32 | int64 | float32 | float64 | decimal128.Num
}

// cells returns the field of v that holds values of type T.
func cells[T fixed](v *vector) *[]T {
	var field any
	switch any(*new(T)).(type) {
	case int8:
		field = &v.i8
	case int16:
		field = &v.i16
	case int32:
		field = &v.i32
	case int64:
		field = &v.i64
	case float32:
		field = &v.f32
	case float64:
		field = &v.f64
	case decimal128.Num:
		field = &v.n128
	}
	return field.(*[]T)
}

// room makes v hold n values of type T, of any value, and returns them.
func room[T fixed](v *vector, n int) []T {
	p := cells[T](v)
	if cap(*p) < n {
		*p = make([]T, n, n*5/4+1)
	}
	*p = (*p)[:n]
	return *p
}

// roomBits makes v hold n zero bits and returns them.
func (v *vector) roomBits(n int) bitmap {
	v.bits = v.bits.resize(n)
	v.bits.fill(0)
	return v.bits
}

// roomText makes v hold no text yet, with room for the offsets of n.
func (v *vector) roomText(n int) *texts {
	if cap(v.text.offsets) < n+1 {
		v.text.offsets = make([]int32, 0, n*5/4+1)
	}
	v.text.offsets = append(v.text.offsets[:0], 0)
	v.text.data = v.text.data[:0]
	return &v.text
}

// end closes the text of the current row.
func (t *texts) end() { t.offsets = append(t.offsets, int32(len(t.data))) }

// isNull reports whether row i is NULL.
func (v *vector) isNull(i int) bool {
	if v.constant {
		return v.null
	}
	return v.valid != nil && !v.valid.get(i)
}

// setNull makes row i of the n rows NULL.
func (v *vector) setNull(i, n int) {
	if v.constant {
		v.null = true
		return
	}
	v.ownValidity(n)
	v.valid.clear(i)
}

// mask is 0 for a constant and -1 otherwise: v's value in row i is that at i & mask.
func (v *vector) mask() int {
	if v.constant {
		return 0
	}
	return -1
}

// meet makes out's validity that of rows where none of args is NULL. It reports whether a constant NULL makes all rows
// NULL; out is then that constant.
func (v *vector) meet(args []*vector, n int) (allNull bool) {
	v.constant, v.null, v.valid = false, false, nil
	for _, a := range args {
		switch {
		case a.constant && a.null:
			v.constant, v.null, v.valid = true, true, nil
			return true
		case a.constant || a.valid == nil:
		case v.valid == nil:
			v.valid = a.valid[:bytesFor(n)]
		default:
			v.validity = v.validity.resize(n)
			for i := range v.validity {
				v.validity[i] = v.valid[i] & a.valid[i]
			}
			v.valid = v.validity
		}
	}
	return false
}

// ownValidity makes v.valid its own memory, so that bits may be cleared without touching an argument's.
func (v *vector) ownValidity(n int) {
	if v.valid != nil && len(v.validity) > 0 && &v.valid[0] == &v.validity[0] {
		return
	}
	v.validity = v.validity.resize(n)
	if v.valid == nil {
		v.validity.fill(0xff)
	} else {
		copy(v.validity, v.valid)
	}
	v.valid = v.validity
}

// view makes v the values of an Arrow array, without copying them where Arrow's offset allows.
func (v *vector) view(a arrow.Array) {
	v.constant, v.null, v.valid = false, false, nil
	data := a.Data()
	n, offset := a.Len(), data.Offset()
	if a.NullN() > 0 {
		v.valid, v.validity = aligned(a.NullBitmapBytes(), offset, n, v.validity)
	}
	switch a := a.(type) {
	case *array.Boolean:
		v.viewBits(data, offset, n)
	case *array.Int8:
		v.i8 = a.Int8Values()
	case *array.Int16:
		v.i16 = a.Int16Values()
	case *array.Int32:
		v.i32 = a.Int32Values()
	case *array.Int64:
		v.i64 = a.Int64Values()
	case *array.Float32:
		v.f32 = a.Float32Values()
	case *array.Float64:
		v.f64 = a.Float64Values()
	case *array.Decimal128:
		v.n128 = a.Values()
	case *array.Date32:
		v.i32 = arrow.Int32Traits.CastFromBytes(data.Buffers()[1].Bytes())[offset : offset+n]
	case *array.Time32:
		v.i32 = arrow.Int32Traits.CastFromBytes(data.Buffers()[1].Bytes())[offset : offset+n]
	case *array.String:
		v.text = texts{a.ValueOffsets(), bufferBytes(data, 2)}
	case *array.Binary:
		v.text = texts{a.ValueOffsets(), bufferBytes(data, 2)}
	}
	if v.text.offsets == nil {
		v.text.offsets = []int32{0}
	}
}

func bufferBytes(data arrow.ArrayData, i int) []byte {
	if b := data.Buffers()[i]; b != nil {
		return b.Bytes()
	}
	return nil
}

// viewBits makes v.bits the values of a Boolean array, 0 where NULL.
func (v *vector) viewBits(data arrow.ArrayData, offset, n int) {
	v.bits = v.bits.resize(n)
	if n > 0 {
		bitutil.CopyBitmap(bufferBytes(data, 1), offset, n, v.bits, 0)
	}
	for i := range v.valid {
		v.bits[i] &= v.valid[i]
	}
}

// aligned returns n bits that begin at offset of b, in b itself if they begin a byte, else in scratch.
func aligned(b []byte, offset, n int, scratch bitmap) (valid, memory bitmap) {
	if offset%8 == 0 {
		return b[offset/8:][:bytesFor(n)], scratch
	}
	scratch = scratch.resize(n)
	bitutil.CopyBitmap(b, offset, n, scratch, 0)
	return scratch, scratch
}

// nullVector is a NULL of any type.
func nullVector() *vector { return &vector{constant: true, null: true} }
