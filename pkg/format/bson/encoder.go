// Package bson writes rows as BSON documents, as MongoDB keeps them.
//
// A column becomes a field of its name, in the columns' order, behind _id. TINYINT, SMALLINT and INT become int32, BIGINT int64, FLOAT and
// DOUBLE double, DECIMAL Decimal128, BOOLEAN, texts and BYTES what they are; NULL becomes null. DATE, TIMESTAMP and TIMESTAMP_LTZ become
// a BSON date, which counts milliseconds: finer digits are cut off, and a TIMESTAMP's wall clock is taken for UTC. TIME becomes text,
// hh:mm:ss with its fraction, for BSON has no such type. JSON becomes the value that it is, see AppendJSON.
//
// A column of type JSON may also be the document itself: then its members are the document's fields, and the other columns come behind them.
package bson

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"pencere/pkg/format"
	"pencere/pkg/javafmt"
	"pencere/pkg/sqltype"
)

// MaxDocument is the most bytes that a document may have in MongoDB.
const MaxDocument = 16 << 20

// Encoder makes documents of rows. It is for one goroutine.
type Encoder struct {
	fields []field
	root   int // the column that is the document; -1 for none
	taken  []string
	object root
}

type field struct {
	name  string
	value appendField // nil for root
}

// appendField appends a field of the value at a row, which is not NULL.
type appendField func(dst []byte, name string, values arrow.Array, row int) ([]byte, error)

// NewEncoder returns an encoder for batches of the Arrow schema that sqltype.Schema.Arrow gives. document is the column that is the document
// itself, "" if columns are its fields. It fails for a type without a BSON form.
func NewEncoder(schema sqltype.Schema, document string) (*Encoder, error) {
	e := &Encoder{root: schema.Index(document)}
	if document != "" && (e.root < 0 || schema[e.root].Type.Kind != sqltype.JSON) {
		return nil, fmt.Errorf("bson: there is no column %q of type JSON", document)
	}
	for i, c := range schema {
		if i == e.root {
			e.fields = append(e.fields, field{name: c.Name})
			continue
		}
		value := fieldOf(c.Type)
		if value == nil {
			return nil, fmt.Errorf("bson: column %q of type %s has no place in a document", c.Name, c.Type)
		}
		e.fields, e.taken = append(e.fields, field{c.Name, value}), append(e.taken, c.Name)
	}
	return e, nil
}

// ID is the _id of a document. One that is Fallback gives way to that of the document itself.
type ID struct {
	Value    bsoncore.Value
	Fallback bool
}

// AppendRow appends a document of the row. An error is a *format.RowError, and nothing is appended then.
func (e *Encoder) AppendRow(dst []byte, id ID, batch arrow.RecordBatch, row int) ([]byte, error) {
	before := len(dst)
	at, dst := bsoncore.AppendDocumentStart(dst)
	dst, err := e.appendRoot(dst, id, batch, row)
	if err != nil {
		return dst[:before], &format.RowError{Row: row, Column: e.fields[e.root].name, Err: err}
	}
	for i, f := range e.fields {
		if i == e.root {
			continue
		}
		values := batch.Column(i)
		if values.IsNull(row) {
			dst = bsoncore.AppendNullElement(dst, f.name)
			continue
		}
		if dst, err = f.value(dst, f.name, values, row); err != nil {
			return dst[:before], &format.RowError{Row: row, Column: f.name, Err: err}
		}
	}
	if size := len(dst) + 1 - before; size > MaxDocument {
		return dst[:before], &format.RowError{Row: row, Err: fmt.Errorf("%w: it has %d bytes, and %d are the most", errTooLarge, size, MaxDocument)}
	}
	if dst, err = bsoncore.AppendDocumentEnd(dst, at); err != nil {
		return dst[:before], &format.RowError{Row: row, Err: err}
	}
	return dst, nil
}

// appendRoot appends the _id and the fields of the column that is the document.
func (e *Encoder) appendRoot(dst []byte, id ID, batch arrow.RecordBatch, row int) ([]byte, error) {
	if e.root < 0 {
		return bsoncore.AppendValueElement(dst, IDField, id.Value), nil
	}
	column := batch.Column(e.root)
	if column.IsNull(row) {
		return dst, errNullDocument
	}
	if err := e.object.read(column.(*array.String).Value(row), e.taken); err != nil {
		return dst, err
	}
	if id.Fallback && len(e.object.id) > 0 {
		dst = append(dst, e.object.id...)
	} else {
		dst = bsoncore.AppendValueElement(dst, IDField, id.Value)
	}
	return append(dst, e.object.fields...), nil
}

// IDField is the field that tells documents apart.
const IDField = "_id"

// The reasons for which a row is no document.
var (
	errTooLarge  = errors.New("the document is too large for MongoDB")
	errNotUTF8   = errors.New("text is not valid UTF-8 (a surrogate without its other half, perhaps)")
	errTimeOfDay = errors.New("time is not between 00:00:00 and 23:59:59.999")
	errDigits    = errors.New("the number has more than the 34 digits of a Decimal128")
	errNullID    = errors.New("the _id is NULL")
	// errNullDocument is the reason of a row whose document is NULL.
	errNullDocument = errors.New("the document is NULL")
)

// IDs makes the values of _id from the values of an expression.
type IDs struct{ value appendField }

// NewIDs returns what makes an _id of values of type t. It fails for a type without a BSON form.
func NewIDs(t sqltype.Type) (IDs, error) {
	value := fieldOf(t)
	if value == nil {
		return IDs{}, fmt.Errorf("bson: a value of type %s cannot be an _id", t)
	}
	return IDs{value}, nil
}

// Of returns the _id of a row. An error is a *format.RowError.
func (i IDs) Of(values arrow.Array, row int) (bsoncore.Value, error) {
	if values.IsNull(row) {
		return bsoncore.Value{}, &format.RowError{Row: row, Err: errNullID}
	}
	element, err := i.value(nil, IDField, values, row)
	if err != nil {
		return bsoncore.Value{}, &format.RowError{Row: row, Column: IDField, Err: err}
	}
	value, err := bsoncore.Element(element).ValueErr()
	if err != nil {
		return bsoncore.Value{}, &format.RowError{Row: row, Column: IDField, Err: err}
	}
	return value, nil
}

// TextID returns a text as an _id.
func TextID(text string) bsoncore.Value {
	return bsoncore.Value{Type: bsoncore.TypeString, Data: bsoncore.AppendString(nil, text)}
}

// fieldOf returns what writes values of type t, nil if they have no BSON form.
func fieldOf(t sqltype.Type) appendField {
	switch t.Kind {
	case sqltype.Boolean:
		return func(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
			return bsoncore.AppendBooleanElement(dst, name, values.(*array.Boolean).Value(row)), nil
		}
	case sqltype.TinyInt:
		return appendInt32[int8]
	case sqltype.SmallInt:
		return appendInt32[int16]
	case sqltype.Int:
		return appendInt32[int32]
	case sqltype.BigInt:
		return func(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
			return bsoncore.AppendInt64Element(dst, name, values.(*array.Int64).Value(row)), nil
		}
	case sqltype.Float:
		return func(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
			return bsoncore.AppendDoubleElement(dst, name, float64(values.(*array.Float32).Value(row))), nil
		}
	case sqltype.Double:
		return func(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
			return bsoncore.AppendDoubleElement(dst, name, values.(*array.Float64).Value(row)), nil
		}
	case sqltype.Decimal:
		return appendDecimal(t.Scale)
	case sqltype.Char, sqltype.VarChar:
		return appendText
	case sqltype.JSON:
		return func(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
			return AppendJSON(dst, name, values.(*array.String).Value(row))
		}
	case sqltype.Bytes:
		return func(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
			return bsoncore.AppendBinaryElement(dst, name, bson.TypeBinaryGeneric, values.(*array.Binary).Value(row)), nil
		}
	default:
		return temporalField(t.Kind)
	}
}

func temporalField(kind sqltype.Kind) appendField {
	switch kind {
	case sqltype.Date:
		return func(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
			return bsoncore.AppendDateTimeElement(dst, name, int64(values.(*array.Date32).Value(row))*javafmt.MillisPerDay), nil
		}
	case sqltype.Time:
		return appendTime
	case sqltype.Timestamp, sqltype.TimestampLTZ:
		return func(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
			return bsoncore.AppendDateTimeElement(dst, name, values.(*array.Decimal128).Value(row).HighBits()), nil
		}
	default:
		return nil
	}
}

func appendInt32[T int8 | int16 | int32](dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
	return bsoncore.AppendInt32Element(dst, name, int32(values.(interface{ Value(int) T }).Value(row))), nil
}

func appendDecimal(scale int) appendField {
	return func(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
		unscaled := values.(interface{ Value(int) decimal128.Num }).Value(row)
		value, fits := bson.ParseDecimal128FromBigInt(unscaled.BigInt(), -scale)
		if !fits {
			return dst, fmt.Errorf("%w: %s", errDigits, javafmt.AppendPlainDecimal(nil, unscaled, scale))
		}
		high, low := value.GetBytes()
		return bsoncore.AppendDecimal128Element(dst, name, high, low), nil
	}
}

func appendText(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
	text := values.(*array.String).Value(row)
	if !utf8.ValidString(text) {
		return dst, errNotUTF8
	}
	return bsoncore.AppendStringElement(dst, name, text), nil
}

func appendTime(dst []byte, name string, values arrow.Array, row int) ([]byte, error) {
	ms := int64(values.(*array.Time32).Value(row))
	if ms < 0 || ms >= javafmt.MillisPerDay {
		return dst, fmt.Errorf("%w: %d ms", errTimeOfDay, ms)
	}
	return bsoncore.AppendStringElement(dst, name, string(javafmt.AppendTime(nil, ms, 0))), nil
}
