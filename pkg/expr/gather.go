package expr

import (
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// gather makes out the vector whose row i is row i of values[choice[i]], all of o's type.
func gather(n int, o *op, out *vector, values []*vector, choice []int32) *vector {
	out.constant, out.null, out.valid = false, false, nil
	gatherNulls(n, out, values, choice)
	gatherValues(n, o, out, values, choice)
	return out
}

// gatherValues is gather without the NULLs.
func gatherValues(n int, o *op, out *vector, values []*vector, choice []int32) {
	switch o.typ.Arrow().(type) {
	case *arrow.BooleanType:
		gatherBits(n, out, values, choice)
	case *arrow.Int8Type:
		gatherCells[int8](n, out, values, choice)
	case *arrow.Int16Type:
		gatherCells[int16](n, out, values, choice)
	case *arrow.Int32Type, *arrow.Date32Type, *arrow.Time32Type:
		gatherCells[int32](n, out, values, choice)
	case *arrow.Int64Type:
		gatherCells[int64](n, out, values, choice)
	case *arrow.Float32Type:
		gatherCells[float32](n, out, values, choice)
	case *arrow.Float64Type:
		gatherCells[float64](n, out, values, choice)
	case *arrow.Decimal128Type:
		gatherCells[decimal128.Num](n, out, values, choice)
	case *arrow.StringType, *arrow.BinaryType:
		gatherText(n, out, values, choice)
	}
}

func gatherNulls(n int, out *vector, values []*vector, choice []int32) {
	never := true
	for _, v := range values {
		never = never && (v.constant && !v.null || !v.constant && v.valid == nil)
	}
	if never {
		return
	}
	for i, k := range choice {
		if values[k].isNull(i) {
			out.setNull(i, n)
		}
	}
}

func gatherBits(n int, out *vector, values []*vector, choice []int32) {
	bits := out.roomBits(n)
	for i, k := range choice {
		if v := values[k]; !v.isNull(i) && v.bits.get(i&v.mask()) {
			bits.set(i)
		}
	}
}

func gatherCells[T fixed](n int, out *vector, values []*vector, choice []int32) {
	dst := room[T](out, n)
	for k, v := range values {
		if v.constant && v.null {
			continue
		}
		src, mask := *cells[T](v), v.mask()
		for i, chosen := range choice {
			if chosen == int32(k) {
				dst[i] = src[i&mask]
			}
		}
	}
}

func gatherText(n int, out *vector, values []*vector, choice []int32) {
	dst := out.roomText(n)
	for i, k := range choice {
		if v := values[k]; !v.isNull(i) {
			dst.data = append(dst.data, v.text.at(i&v.mask())...)
		}
		dst.end()
	}
}

// hasText tells the types whose values are texts or byte strings.
func hasText(t sqltype.Type) bool { return t.IsText() || t.Kind == sqltype.Bytes }
