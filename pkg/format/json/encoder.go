package json

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"pencere/pkg/format"
	"pencere/pkg/javafmt"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// EncodeOptions are those of Flink's JSON format that matter when writing. The zero value is Flink's default.
type EncodeOptions struct {
	TimestampFormat TimestampFormat
	// PlainDecimal writes DECIMAL without an exponent: 18000, where the default is 1.8E+4. Both leave trailing zeros out.
	PlainDecimal bool
	// IgnoreNullFields leaves fields out that are NULL.
	IgnoreNullFields bool
}

// ParseEncodeOptions reads options under Flink's names without their prefix: "timestamp-format.standard" (SQL or ISO-8601),
// "encode.decimal-as-plain-number" and "encode.ignore-null-fields" (true or false). Its errors name every key or value that is
// not known and what is allowed in its place.
func ParseEncodeOptions(flink map[string]string) (EncodeOptions, error) {
	var o EncodeOptions
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(flink)) {
		var err error
		switch value := flink[key]; key {
		case "timestamp-format.standard":
			var shared Options
			err = shared.set(key, value, new(bool))
			o.TimestampFormat = shared.TimestampFormat
		case "encode.decimal-as-plain-number":
			o.PlainDecimal, err = parseBool(key, value)
		case "encode.ignore-null-fields":
			o.IgnoreNullFields, err = parseBool(key, value)
		default:
			err = fmt.Errorf("unknown json option %q: known are encode.decimal-as-plain-number, encode.ignore-null-fields, timestamp-format.standard", key)
		}
		problems = append(problems, err)
	}
	return o, errors.Join(problems...)
}

// Encoder appends rows of one schema as JSON objects, as Flink's JSON format does, byte for byte: the fields in the order of the
// columns, no blanks, numbers as Java prints them. The rules are those of flink-json 1.20 (RowDataToJsonConverters) and Jackson
// below it. An Encoder is for one goroutine.
type Encoder struct {
	fields     []encodedField
	ignoreNull bool
}

type encodedField struct {
	name  string
	label []byte // the name as JSON, with its colon
	value encodeValue
}

// encodeValue appends the value at a row of an array, which is not NULL.
type encodeValue func(dst []byte, values arrow.Array, row int) ([]byte, error)

// NewEncoder returns an encoder for batches of the Arrow schema that sqltype.Schema.Arrow gives. It fails for a column whose type
// has no JSON form: an interval, or an untyped NULL.
func NewEncoder(schema sqltype.Schema, options EncodeOptions) (*Encoder, error) {
	e := &Encoder{ignoreNull: options.IgnoreNullFields}
	for _, c := range schema {
		value := encoderOf(c.Type, options)
		if value == nil {
			return nil, fmt.Errorf("column %s: a value of type %s cannot be written as JSON: CAST it to another type", c.Name, c.Type)
		}
		e.fields = append(e.fields, encodedField{name: c.Name, label: append(appendQuoted(nil, []byte(c.Name)), ':'), value: value})
	}
	return e, nil
}

// AppendRow appends the row of batch at index row. At a row that cannot be written it fails with a *format.RowError, and dst is as before.
func (e *Encoder) AppendRow(dst []byte, batch arrow.RecordBatch, row int) ([]byte, error) {
	before := len(dst)
	dst = append(dst, '{')
	for i := range e.fields {
		f, values := &e.fields[i], batch.Column(i)
		isNull := values.IsNull(row)
		if isNull && e.ignoreNull {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, f.label...)
		if isNull {
			dst = append(dst, "null"...)
			continue
		}
		var err error
		if dst, err = f.value(dst, values, row); err != nil {
			return dst[:before], &format.RowError{Row: row, Column: f.name, Err: err}
		}
	}
	return append(dst, '}'), nil
}

// encoderOf returns what writes values of type t, nil if they have no JSON form.
func encoderOf(t sqltype.Type, o EncodeOptions) encodeValue {
	switch t.Kind {
	case sqltype.Boolean:
		return func(dst []byte, values arrow.Array, row int) ([]byte, error) {
			return strconv.AppendBool(dst, values.(*array.Boolean).Value(row)), nil
		}
	case sqltype.TinyInt:
		return encodeInteger[int8]
	case sqltype.SmallInt:
		return encodeInteger[int16]
	case sqltype.Int:
		return encodeInteger[int32]
	case sqltype.BigInt:
		return encodeInteger[int64]
	case sqltype.Float, sqltype.Double:
		return encodeFloat
	case sqltype.Decimal:
		return encodeDecimal(t.Scale, o.PlainDecimal)
	case sqltype.Char, sqltype.VarChar:
		return encodeText
	case sqltype.JSON:
		return func(dst []byte, values arrow.Array, row int) ([]byte, error) {
			return append(dst, values.(*array.String).Value(row)...), nil
		}
	case sqltype.Bytes:
		return func(dst []byte, values arrow.Array, row int) ([]byte, error) {
			dst = base64.StdEncoding.AppendEncode(append(dst, '"'), values.(*array.Binary).Value(row))
			return append(dst, '"'), nil
		}
	case sqltype.Date, sqltype.Time, sqltype.Timestamp, sqltype.TimestampLTZ:
		return encodeTemporal(t.Kind, o.TimestampFormat)
	default:
		return nil
	}
}

func encodeInteger[T int8 | int16 | int32 | int64](dst []byte, values arrow.Array, row int) ([]byte, error) {
	return strconv.AppendInt(dst, int64(values.(interface{ Value(int) T }).Value(row)), 10), nil
}

// encodeFloat writes what is no number as text, as Jackson does.
func encodeFloat(dst []byte, values arrow.Array, row int) ([]byte, error) {
	begin := len(dst)
	var wide float64
	switch values := values.(type) {
	case *array.Float32:
		wide = float64(values.Value(row))
		dst = javafmt.AppendFloat(dst, values.Value(row))
	case *array.Float64:
		wide = values.Value(row)
		dst = javafmt.AppendDouble(dst, wide)
	}
	if math.IsNaN(wide) || math.IsInf(wide, 0) {
		dst = append(slices.Insert(dst, begin, '"'), '"')
	}
	return dst, nil
}

func encodeDecimal(scale int, plain bool) encodeValue {
	return func(dst []byte, values arrow.Array, row int) ([]byte, error) {
		value := values.(interface{ Value(int) decimal128.Num }).Value(row)
		if !plain {
			return javafmt.AppendScientificDecimal(dst, value, scale), nil
		}
		dst = javafmt.AppendPlainDecimal(dst, value, scale)
		if scale == 0 {
			return dst, nil
		}
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
		if dst[len(dst)-1] == '.' {
			dst = dst[:len(dst)-1]
		}
		return dst, nil
	}
}

var errTimeOfDay = errors.New("time is not between 00:00:00 and 23:59:59.999")

func encodeTemporal(kind sqltype.Kind, style TimestampFormat) encodeValue {
	separator := byte(' ')
	if style == ISO8601 {
		separator = 'T'
	}
	return func(dst []byte, values arrow.Array, row int) ([]byte, error) {
		dst = append(dst, '"')
		switch kind {
		case sqltype.Date:
			dst = javafmt.AppendDate(dst, int64(values.(*array.Date32).Value(row)))
		case sqltype.Time:
			ms := int64(values.(*array.Time32).Value(row))
			if ms < 0 || ms >= javafmt.MillisPerDay {
				return dst, fmt.Errorf("%w: %d ms", errTimeOfDay, ms)
			}
			dst = javafmt.AppendTime(dst, ms, 0)
		default:
			dst = javafmt.AppendTimestamp(dst, values.(interface{ Value(int) decimal128.Num }).Value(row), separator)
			if kind == sqltype.TimestampLTZ {
				dst = append(dst, 'Z')
			}
		}
		return append(dst, '"'), nil
	}
}

var errNotUTF8 = errors.New("text is not valid UTF-8 (a surrogate without its other half, perhaps)")

func encodeText(dst []byte, values arrow.Array, row int) ([]byte, error) {
	text := []byte(values.(*array.String).Value(row))
	if !utf8.Valid(text) {
		return dst, errNotUTF8
	}
	return appendQuoted(dst, text), nil
}
