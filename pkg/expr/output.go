package expr

import (
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// toArrow copies the n values of v into an array of type t.
func (v *vector) toArrow(t sqltype.Type, n int, alloc memory.Allocator) arrow.Array {
	out := builder{n: n, alloc: alloc}
	out.validity(v)
	switch t.Arrow().(type) {
	case *arrow.BooleanType:
		out.bits(v)
	case *arrow.Int8Type:
		copyCells[int8](&out, v)
	case *arrow.Int16Type:
		copyCells[int16](&out, v)
	case *arrow.Int32Type, *arrow.Date32Type, *arrow.Time32Type:
		copyCells[int32](&out, v)
	case *arrow.Int64Type:
		copyCells[int64](&out, v)
	case *arrow.Float32Type:
		copyCells[float32](&out, v)
	case *arrow.Float64Type:
		copyCells[float64](&out, v)
	case *arrow.Decimal128Type:
		copyCells[decimal128.Num](&out, v)
	case *arrow.StringType, *arrow.BinaryType:
		out.texts(v)
	}
	return out.array(t)
}

// builder collects the buffers of an array.
type builder struct {
	n       int
	nulls   int
	alloc   memory.Allocator
	buffers []*memory.Buffer
}

func (b *builder) add(size int) []byte {
	buffer := memory.NewResizableBuffer(b.alloc)
	buffer.Resize(size)
	b.buffers = append(b.buffers, buffer)
	return buffer.Bytes()
}

func (b *builder) validity(v *vector) {
	switch {
	case v.constant && v.null:
		b.nulls = b.n
		bitmap(b.add(bytesFor(b.n))).fill(0)
	case v.constant || v.valid == nil || v.valid.count(b.n) == b.n:
		b.buffers = append(b.buffers, nil)
	default:
		b.nulls = b.n - v.valid.count(b.n)
		copy(b.add(bytesFor(b.n)), v.valid)
	}
}

func (b *builder) bits(v *vector) {
	dst := bitmap(b.add(bytesFor(b.n)))
	switch {
	case !v.constant:
		copy(dst, v.bits)
	case !v.null && v.bits.get(0):
		dst.fill(0xff)
	default:
		dst.fill(0)
	}
}

func copyCells[T fixed](b *builder, v *vector) {
	dst := arrow.GetData[T](b.add(b.n * len(arrow.GetBytes(make([]T, 1)))))
	src := *cells[T](v)
	if !v.constant {
		copy(dst, src)
		return
	}
	var value T
	if !v.null {
		value = src[0]
	}
	for i := range dst {
		dst[i] = value
	}
}

func (b *builder) texts(v *vector) {
	offsets := arrow.Int32Traits.CastFromBytes(b.add((b.n + 1) * arrow.Int32SizeBytes))
	offsets[0] = 0
	if !v.constant {
		first := v.text.offsets[0]
		for i, end := range v.text.offsets[:b.n+1] {
			offsets[i] = end - first
		}
		copy(b.add(int(offsets[b.n])), v.text.data[first:])
		return
	}
	var value []byte
	if !v.null {
		value = v.text.at(0)
	}
	data := b.add(b.n * len(value))
	for i := range b.n {
		copy(data[i*len(value):], value)
		offsets[i+1] = int32((i + 1) * len(value))
	}
}

func (b *builder) array(t sqltype.Type) arrow.Array {
	data := array.NewData(t.Arrow(), b.n, b.buffers, nil, b.nulls, 0)
	for _, buffer := range b.buffers {
		if buffer != nil {
			buffer.Release()
		}
	}
	defer data.Release()
	return array.MakeFromData(data)
}
