package csv

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"pencere/pkg/javafmt"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// cell writes the values of one column.
type cell interface {
	// bind takes the column's array of the next batch; false if it is of another type.
	bind(values arrow.Array) bool
	// append writes the value at row, which is not NULL.
	append(dst []byte, row int) ([]byte, error)
}

// newCell returns the cell for values of type t, or nil if they have no CSV form. Numbers and booleans are never quoted
// (but for decimals in scientific form, which Flink hands to Jackson as text); all else goes by the quoting rule.
func newCell(t sqltype.Type, o Options, q *quoting) cell {
	switch t.Kind {
	case sqltype.Boolean:
		return &booleanCell{}
	case sqltype.TinyInt:
		return &integerCell[int8]{}
	case sqltype.SmallInt:
		return &integerCell[int16]{}
	case sqltype.Int:
		return &integerCell[int32]{}
	case sqltype.BigInt:
		return &integerCell[int64]{}
	case sqltype.Float:
		return &floatCell{}
	case sqltype.Double:
		return &doubleCell{}
	case sqltype.Decimal:
		if o.ScientificDecimal {
			return &scientificCell{scale: t.Scale, quoting: q}
		}
		return &decimalCell{scale: t.Scale}
	case sqltype.Char, sqltype.VarChar, sqltype.JSON:
		return &textCell{quoting: q}
	case sqltype.Bytes:
		return &bytesCell{quoting: q}
	case sqltype.Date:
		return &dateCell{quoting: q}
	case sqltype.Time:
		return &timeCell{quoting: q}
	case sqltype.Timestamp:
		return &timestampCell{quoting: q}
	case sqltype.TimestampLTZ:
		return &timestampCell{quoting: q, zone: "Z"}
	default:
		return nil
	}
}

// sliceOf is an Arrow array whose elements lie in a slice.
type sliceOf[T any] interface {
	arrow.Array
	Values() []T
}

// bindValues sets to to the elements of an array, if they are of type T.
func bindValues[T any](to *[]T, from arrow.Array) bool {
	typed, ok := from.(sliceOf[T])
	if ok {
		*to = typed.Values()
	}
	return ok
}

type booleanCell struct{ values *array.Boolean }

func (c *booleanCell) bind(values arrow.Array) (ok bool) {
	c.values, ok = values.(*array.Boolean)
	return ok
}

func (c *booleanCell) append(dst []byte, row int) ([]byte, error) {
	return strconv.AppendBool(dst, c.values.Value(row)), nil
}

type integerCell[T int8 | int16 | int32 | int64] struct{ values []T }

func (c *integerCell[T]) bind(values arrow.Array) bool { return bindValues(&c.values, values) }

func (c *integerCell[T]) append(dst []byte, row int) ([]byte, error) {
	return javafmt.AppendLong(dst, int64(c.values[row])), nil
}

type floatCell struct{ values []float32 }

func (c *floatCell) bind(values arrow.Array) bool { return bindValues(&c.values, values) }

func (c *floatCell) append(dst []byte, row int) ([]byte, error) {
	return javafmt.AppendFloat(dst, c.values[row]), nil
}

type doubleCell struct{ values []float64 }

func (c *doubleCell) bind(values arrow.Array) bool { return bindValues(&c.values, values) }

func (c *doubleCell) append(dst []byte, row int) ([]byte, error) {
	return javafmt.AppendDouble(dst, c.values[row]), nil
}

// decimalCell writes decimals plainly, with all digits of their scale, and never quotes them.
type decimalCell struct {
	values []decimal128.Num
	scale  int
}

func (c *decimalCell) bind(values arrow.Array) bool { return bindValues(&c.values, values) }

func (c *decimalCell) append(dst []byte, row int) ([]byte, error) {
	return javafmt.AppendPlainDecimal(dst, c.values[row], c.scale), nil
}

// scientificCell writes decimals as BigDecimal.stripTrailingZeros().toString(), quoted like text.
type scientificCell struct {
	*quoting
	values []decimal128.Num
	scale  int
}

func (c *scientificCell) bind(values arrow.Array) bool { return bindValues(&c.values, values) }

func (c *scientificCell) append(dst []byte, row int) ([]byte, error) {
	var text [javafmt.MaxDecimalText]byte
	return c.appendText(dst, javafmt.AppendScientificDecimal(text[:0], c.values[row], c.scale))
}

type textCell struct {
	*quoting
	bytes   []byte
	offsets []int32
}

func (c *textCell) bind(values arrow.Array) bool {
	text, ok := values.(*array.String)
	if ok {
		c.bytes, c.offsets = text.ValueBytes(), text.ValueOffsets()
	}
	return ok
}

func (c *textCell) append(dst []byte, row int) ([]byte, error) {
	first := c.offsets[0] // a slice of an array does not begin at 0
	return c.appendText(dst, c.bytes[c.offsets[row]-first:c.offsets[row+1]-first])
}

type bytesCell struct {
	*quoting
	values *array.Binary
	text   []byte // scratch
}

func (c *bytesCell) bind(values arrow.Array) (ok bool) {
	c.values, ok = values.(*array.Binary)
	return ok
}

func (c *bytesCell) append(dst []byte, row int) ([]byte, error) {
	c.text = base64.StdEncoding.AppendEncode(c.text[:0], c.values.Value(row))
	return c.appendText(dst, c.text)
}

type dateCell struct {
	*quoting
	values []arrow.Date32
}

func (c *dateCell) bind(values arrow.Array) bool { return bindValues(&c.values, values) }

func (c *dateCell) append(dst []byte, row int) ([]byte, error) {
	var text [javafmt.MaxTimeText]byte
	return c.appendText(dst, javafmt.AppendDate(text[:0], int64(c.values[row])))
}

type timeCell struct {
	*quoting
	values []arrow.Time32
}

func (c *timeCell) bind(values arrow.Array) bool { return bindValues(&c.values, values) }

// errTimeOfDay is what a TIME outside of a day fails with; Java's LocalTime throws there too.
var errTimeOfDay = errors.New("time is not between 00:00:00 and 23:59:59.999")

func (c *timeCell) append(dst []byte, row int) ([]byte, error) {
	ms := int64(c.values[row])
	if ms < 0 || ms >= javafmt.MillisPerDay {
		return dst, fmt.Errorf("%w: %d ms", errTimeOfDay, ms)
	}
	var text [javafmt.MaxTimeText]byte
	return c.appendText(dst, javafmt.AppendTime(text[:0], ms, 0))
}

// timestampCell writes TIMESTAMP, and TIMESTAMP_LTZ in UTC with zone "Z". Rows of one window carry the same time, so
// the last cell is kept.
type timestampCell struct {
	*quoting
	values []decimal128.Num
	zone   string
	last   decimal128.Num
	text   []byte // the cell of last, quoted; empty before the first
}

func (c *timestampCell) bind(values arrow.Array) bool { return bindValues(&c.values, values) }

func (c *timestampCell) append(dst []byte, row int) (_ []byte, err error) {
	if value := c.values[row]; value != c.last || len(c.text) == 0 {
		var text [javafmt.MaxTimeText]byte
		plain := append(javafmt.AppendTimestamp(text[:0], value, ' '), c.zone...)
		if c.text, err = c.appendText(c.text[:0], plain); err != nil {
			return dst, err
		}
		c.last = value
	}
	return append(dst, c.text...), nil
}
