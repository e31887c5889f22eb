package json

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Decoder turns messages into rows of Arrow record batches. It is for one goroutine.
type Decoder struct {
	options Options
	alloc   memory.Allocator
	schema  *arrow.Schema
	columns []column
	keys    *keys
	scanner scanner
	tree    tree
	utf8    []byte // the message's text, where it came in another encoding
	scratch []byte // bytes of base64, digits of a DECIMAL
	rows    int
	stats   Stats

	// Of the record being read:
	matched  int  // members that were a column's, repeats too
	repeated int  // of them
	ignored  int  // bad fields made NULL
	voided   bool // a NOT NULL column has become NULL
}

// NewDecoder compiles a decoder for messages with the schema's columns. Batches take their memory from alloc. It fails for
// a schema without columns, with a repeated or malformed column name or a type that no JSON value can have, and for
// contradicting options.
func NewDecoder(schema sqltype.Schema, options Options, alloc memory.Allocator) (*Decoder, error) {
	if err := errors.Join(checkSchema(schema), options.validate()); err != nil {
		return nil, err
	}
	d := &Decoder{
		options: options,
		alloc:   alloc,
		schema:  schema.Arrow(),
		columns: make([]column, len(schema)),
	}
	for i, c := range schema {
		d.columns[i] = newColumn(c, options.TimestampFormat)
	}
	d.keys = newKeys(d.columns)
	return d, nil
}

func checkSchema(schema sqltype.Schema) error {
	if len(schema) == 0 {
		return errors.New("json: the schema has no columns")
	}
	seen := make(map[string]bool, len(schema))
	for _, c := range schema {
		switch {
		case seen[c.Name]:
			return fmt.Errorf("json: column %q is declared twice", c.Name)
		case !utf8.ValidString(c.Name):
			return fmt.Errorf("json: column name %q is not valid UTF-8", c.Name)
		case c.Type.Kind < sqltype.Boolean || c.Type.Kind > sqltype.JSON:
			return fmt.Errorf("json: column %q cannot be read as %s", c.Name, c.Type)
		}
		seen[c.Name] = true
	}
	return nil
}

// Len returns the number of rows appended since the last batch.
func (d *Decoder) Len() int { return d.rows }

// Stats returns what the decoder has done since it was made.
func (d *Decoder) Stats() Stats { return d.stats }

// NewBatch returns the rows appended since the last batch, or an empty batch. The caller releases it.
func (d *Decoder) NewBatch() arrow.RecordBatch {
	arrays := make([]arrow.Array, len(d.columns))
	for i := range d.columns {
		arrays[i] = d.columns[i].take(d.alloc)
	}
	batch := array.NewRecordBatch(d.schema, arrays, int64(d.rows))
	for _, a := range arrays {
		a.Release()
	}
	d.rows = 0
	return batch
}

// Release gives back the memory of rows that no batch has taken. The decoder can be used again.
func (d *Decoder) Release() {
	for i := range d.columns {
		d.columns[i].release()
	}
	d.rows = 0
}

// Append reads one message, which it does not retain, and adds its row. Of a message that is Dropped or an error nothing
// stays. The error is a *DecodeError, under Fail only, or ErrBatchFull.
func (d *Decoder) Append(message []byte) (Outcome, error) {
	if len(message) == 0 {
		d.stats.MessagesEmpty++
		return Empty, nil
	}
	text := message
	if message[0] != '{' || len(message) > 1 && message[1] == 0 {
		text, d.utf8 = detect(message, d.utf8[:0])
	}
	if !d.record(text) {
		return d.refuse(text)
	}
	d.rows++
	d.stats.RowsAppended++
	d.stats.FieldsIgnored += int64(d.ignored)
	return Appended, nil
}

// refuse takes the record's values back and says what becomes of it.
func (d *Decoder) refuse(text []byte) (Outcome, error) {
	for i := range d.columns {
		if c := &d.columns[i]; c.rows > d.rows {
			c.dropLast()
		}
	}
	f := d.scanner.fault
	if f.full && d.rows > 0 {
		return Dropped, ErrBatchFull
	}
	if d.options.OnError != Fail {
		d.stats.RecordsDropped++
		return Dropped, nil
	}
	e := &DecodeError{Reason: f.reason, Offset: f.at, Record: shorten(text, shownRecord)}
	if f.column != nil {
		e.Field = f.column.name
	}
	if f.value != nil {
		e.Reason = shorten(f.value, shownValue) + " " + f.reason
	}
	return Dropped, e
}

// record reads the object that b begins with. What stands behind it is never looked at.
func (d *Decoder) record(b []byte) bool {
	d.matched, d.repeated, d.ignored, d.voided = 0, 0, 0, false
	d.keys.begin()
	i := skipBlanks(b, 0)
	if i == len(b) || b[i] != '{' {
		return d.scanner.malformed(i, "not a JSON object") != none
	}
	if i = skipBlanks(b, i+1); i < len(b) && b[i] == '}' {
		return d.complete(i)
	}
	for {
		if i = d.member(b, i); i == none {
			return false
		}
		i = skipBlanks(b, i)
		switch {
		case i == len(b):
			return d.scanner.malformed(i, endsEarly) != none
		case b[i] == ',':
			i = skipBlanks(b, i+1)
		case b[i] == '}':
			return d.complete(i)
		default:
			return d.scanner.malformed(i, "expected a comma or the object's end") != none
		}
	}
}

// member reads a member's name and value, the value into the name's column if there is one.
func (d *Decoder) member(b []byte, i int) int {
	var c *column
	if d.matched < len(d.columns) {
		c, i = d.keys.expected(b, i)
	}
	if c == nil {
		if c, i = d.lookUp(b, i); c == nil || i == none {
			return i
		}
	}
	d.matched++
	if c.rows > d.rows {
		d.repeated++
		c.dropLast() // the last value counts
	}
	if i = skipBlanks(b, i); i == len(b) {
		return d.scanner.malformed(i, endsEarly)
	}
	if c.typ.Kind == sqltype.JSON {
		return d.documentValue(c, b, i)
	}
	switch first := b[i]; {
	case first == '"':
		return d.textValue(c, b, i)
	case first-'0' <= 9 || first == '-':
		return d.numberValue(c, b, i)
	case first == '{' || first == '[':
		return d.containerValue(c, b, i)
	default:
		return d.wordValue(c, b, i)
	}
}

// lookUp reads a name that was not expected and returns its column and the position of its value. A member that is no
// column's is skipped whole. Once as many were read as there are columns none is, so a column whose field comes behind
// repeated ones stays NULL: so does Flink.
func (d *Decoder) lookUp(b []byte, i int) (*column, int) {
	name, i := d.scanner.name(b, i)
	if i == none {
		return nil, none
	}
	if d.matched < len(d.columns) {
		if c := d.keys.find(name); c != nil {
			return c, i
		}
	}
	return nil, d.scanner.skip(b, i)
}

// complete ends the row of an object that closes at position at: columns without a value become NULL.
func (d *Decoder) complete(at int) bool {
	if d.matched-d.repeated < len(d.columns) {
		missing := d.fillMissing()
		if d.options.FailOnMissingField && d.matched < len(d.columns) {
			d.scanner.fault = fault{at: at, reason: "the field is missing", column: missing}
			return false
		}
	}
	return !d.voided || d.checkNotNull(at)
}

// fillMissing makes the columns without a value NULL and returns the first of them.
func (d *Decoder) fillMissing() (first *column) {
	for i := range d.columns {
		if c := &d.columns[i]; c.rows == d.rows {
			d.null(c)
			if first == nil {
				first = c
			}
		}
	}
	return first
}

// checkNotNull reports whether all NOT NULL columns have a value, as a repeated field may have given one after all.
func (d *Decoder) checkNotNull(at int) bool {
	for i := range d.columns {
		if c := &d.columns[i]; c.typ.NotNull && c.isNull(d.rows) {
			d.scanner.fault = fault{at: at, reason: "NULL in a column that is NOT NULL", column: c}
			return false
		}
	}
	return true
}

func (d *Decoder) null(c *column) {
	c.appendNull(d.alloc)
	if c.typ.NotNull {
		d.voided = true
	}
}
