// Package sqltype holds the SQL types of columns and expressions and how their values lie in memory.
//
// The types are Flink SQL's (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/dev/table/types/).
// One table, layouts, says for each kind which Arrow array carries its values; every decoder, kernel, key
// encoder and writer goes by it. The package is pure.
package sqltype

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
)

// Kind is the root of a type: the type without its length, precision, scale and nullability.
type Kind uint8

// The kinds, in the order of Flink's documentation. JSON is not Flink's: a JSON value of any kind, nested or not, whose text is kept as it
// was read. Null is the type of the bare literal NULL; the two intervals exist in expressions only and cannot be declared for a column.
const (
	Invalid Kind = iota
	Boolean
	TinyInt
	SmallInt
	Int
	BigInt
	Float
	Double
	Decimal
	Char
	VarChar
	Bytes
	Date
	Time
	Timestamp
	TimestampLTZ
	JSON
	IntervalYearMonth
	IntervalDayTime
	Null
)

// Limits of Flink's type parameters.
const (
	MaxDecimalPrecision = 38
	MaxLength           = 1<<31 - 1 // the length of STRING and BYTES, in characters or bytes
	MaxTimePrecision    = 9
)

// Type is an SQL type. The zero Type is invalid. Types are comparable with ==.
type Type struct {
	Kind Kind
	// Length is the declared length of CHAR, VARCHAR (characters) and BYTES (bytes); MaxLength for STRING.
	Length int
	// Precision is the number of digits of a DECIMAL, or of fractional digits of a second of TIME and TIMESTAMP.
	Precision int
	// Scale is the number of a DECIMAL's digits after the point.
	Scale int
	// NotNull says that the type excludes NULL.
	NotNull bool
}

// Constructors of the types that take no parameters; all are nullable.
var (
	BooleanType  = Type{Kind: Boolean}
	TinyIntType  = Type{Kind: TinyInt}
	SmallIntType = Type{Kind: SmallInt}
	IntType      = Type{Kind: Int}
	BigIntType   = Type{Kind: BigInt}
	FloatType    = Type{Kind: Float}
	DoubleType   = Type{Kind: Double}
	StringType   = Type{Kind: VarChar, Length: MaxLength}
	BytesType    = Type{Kind: Bytes, Length: MaxLength}
	DateType     = Type{Kind: Date}
	JSONType     = Type{Kind: JSON}
	NullType     = Type{Kind: Null}
)

// DecimalType returns DECIMAL(precision, scale).
func DecimalType(precision, scale int) Type {
	return Type{Kind: Decimal, Precision: precision, Scale: scale}
}

// TimeType returns TIME(precision).
func TimeType(precision int) Type { return Type{Kind: Time, Precision: precision} }

// TimestampType returns TIMESTAMP(precision).
func TimestampType(precision int) Type { return Type{Kind: Timestamp, Precision: precision} }

// TimestampLTZType returns TIMESTAMP_LTZ(precision).
func TimestampLTZType(precision int) Type { return Type{Kind: TimestampLTZ, Precision: precision} }

// layouts is the one table of how values lie in memory.
//
//   - DECIMAL is the unscaled integer in a Decimal128 of the declared precision and scale.
//   - DATE counts days since 1970-01-01, TIME milliseconds since midnight (Flink keeps no finer TIME).
//   - TIMESTAMP and TIMESTAMP_LTZ are 128 bits: the high word is the milliseconds since 1970-01-01 00:00:00
//     (wall clock or UTC), the low word the nanoseconds within that millisecond, 0 to 999,999. This is Flink's
//     TimestampData: nine digits at any precision and years beyond those that 64 bits of nanoseconds can count.
//     A signed comparison of the 128 bits is chronological order. See TimestampValue.
//   - JSON is the value's text: valid JSON (RFC 8259) in UTF-8, without blanks around it.
//   - INTERVAL YEAR TO MONTH counts months, INTERVAL DAY TO SECOND milliseconds.
var layouts = [...]struct {
	name  string
	arrow arrow.DataType
}{
	Boolean:           {"BOOLEAN", arrow.FixedWidthTypes.Boolean},
	TinyInt:           {"TINYINT", arrow.PrimitiveTypes.Int8},
	SmallInt:          {"SMALLINT", arrow.PrimitiveTypes.Int16},
	Int:               {"INT", arrow.PrimitiveTypes.Int32},
	BigInt:            {"BIGINT", arrow.PrimitiveTypes.Int64},
	Float:             {"FLOAT", arrow.PrimitiveTypes.Float32},
	Double:            {"DOUBLE", arrow.PrimitiveTypes.Float64},
	Decimal:           {"DECIMAL", nil}, // by precision and scale
	Char:              {"CHAR", arrow.BinaryTypes.String},
	VarChar:           {"VARCHAR", arrow.BinaryTypes.String},
	Bytes:             {"VARBINARY", arrow.BinaryTypes.Binary},
	Date:              {"DATE", arrow.FixedWidthTypes.Date32},
	Time:              {"TIME", arrow.FixedWidthTypes.Time32ms},
	Timestamp:         {"TIMESTAMP", timestampArrow},
	TimestampLTZ:      {"TIMESTAMP_LTZ", timestampArrow},
	JSON:              {"JSON", arrow.BinaryTypes.String},
	IntervalYearMonth: {"INTERVAL YEAR TO MONTH", arrow.PrimitiveTypes.Int32},
	IntervalDayTime:   {"INTERVAL DAY TO SECOND", arrow.PrimitiveTypes.Int64},
	Null:              {"NULL", arrow.Null},
}

// timestampArrow is the 128-bit carrier of timestamps; it is never read as a decimal number.
var timestampArrow = &arrow.Decimal128Type{Precision: MaxDecimalPrecision, Scale: 0}

// Arrow returns the Arrow type that carries values of t. It panics for the zero Type, which no parser returns.
func (t Type) Arrow() arrow.DataType {
	if t.Kind == Decimal {
		return &arrow.Decimal128Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
	}
	if t.Kind == Invalid || int(t.Kind) >= len(layouts) {
		panic(fmt.Sprintf("sqltype: no layout for kind %d", t.Kind)) //nolint:forbidigo // no parser returns such a type
	}
	return layouts[t.Kind].arrow
}

// String returns the type as Flink prints it in EXPLAIN and DESCRIBE, for instance "DECIMAL(10, 2) NOT NULL".
func (t Type) String() string {
	if t.NotNull {
		return t.withoutNullability() + " NOT NULL"
	}
	return t.withoutNullability()
}

func (t Type) withoutNullability() string {
	switch t.Kind {
	case Decimal:
		return fmt.Sprintf("DECIMAL(%d, %d)", t.Precision, t.Scale)
	case Char:
		return fmt.Sprintf("CHAR(%d)", t.Length)
	case VarChar:
		if t.Length == MaxLength {
			return "STRING"
		}
		return fmt.Sprintf("VARCHAR(%d)", t.Length)
	case Bytes:
		if t.Length == MaxLength {
			return "BYTES"
		}
		return fmt.Sprintf("VARBINARY(%d)", t.Length)
	case Time, Timestamp, TimestampLTZ:
		return fmt.Sprintf("%s(%d)", layouts[t.Kind].name, t.Precision)
	case Invalid:
		return "INVALID"
	default:
		return layouts[t.Kind].name
	}
}

// Nullable returns t with NULL allowed.
func (t Type) Nullable() Type {
	t.NotNull = false
	return t
}

// WithNotNull returns t with nullability as given.
func (t Type) WithNotNull(notNull bool) Type {
	t.NotNull = notNull
	return t
}

// IsInteger reports whether t is TINYINT, SMALLINT, INT or BIGINT.
func (t Type) IsInteger() bool { return t.Kind >= TinyInt && t.Kind <= BigInt }

// IsApproximate reports whether t is FLOAT or DOUBLE.
func (t Type) IsApproximate() bool { return t.Kind == Float || t.Kind == Double }

// IsNumeric reports whether t is an integer, DECIMAL, FLOAT or DOUBLE.
func (t Type) IsNumeric() bool { return t.Kind >= TinyInt && t.Kind <= Decimal }

// IsText reports whether t is CHAR, VARCHAR or STRING.
func (t Type) IsText() bool { return t.Kind == Char || t.Kind == VarChar }

// IsTimestamp reports whether t is TIMESTAMP or TIMESTAMP_LTZ.
func (t Type) IsTimestamp() bool { return t.Kind == Timestamp || t.Kind == TimestampLTZ }
