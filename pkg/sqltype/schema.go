package sqltype

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Column is a named column of a row type.
type Column struct {
	Name string
	Type Type
}

// Schema is a row type: columns in order, with distinct names (case matters, as in Flink).
type Schema []Column

// Index returns the position of the column called name, or -1.
func (s Schema) Index(name string) int {
	for i := range s {
		if s[i].Name == name {
			return i
		}
	}
	return -1
}

// Names returns the columns' names in order.
func (s Schema) Names() []string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].Name
	}
	return names
}

// Arrow returns the Arrow schema that batches of this row type have.
func (s Schema) Arrow() *arrow.Schema {
	fields := make([]arrow.Field, len(s))
	for i, c := range s {
		fields[i] = arrow.Field{Name: c.Name, Type: c.Type.Arrow(), Nullable: !c.Type.NotNull}
	}
	return arrow.NewSchema(fields, nil)
}

// TimestampValue packs an instant or wall-clock time into the 128 bits that carry TIMESTAMP and TIMESTAMP_LTZ:
// ms are milliseconds since 1970-01-01 00:00:00, nanos the nanoseconds within that millisecond (0 to 999,999).
func TimestampValue(ms int64, nanos uint32) decimal128.Num {
	return decimal128.New(ms, uint64(nanos))
}

// TimestampParts is the inverse of TimestampValue.
func TimestampParts(v decimal128.Num) (ms int64, nanos uint32) {
	return v.HighBits(), uint32(v.LowBits())
}
