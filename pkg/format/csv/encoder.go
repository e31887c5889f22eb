// Package csv writes batches of rows as Flink's CSV format does, byte for byte: its quoting, number and time layouts,
// NULL as nothing, "\n" after each row, no header.
//
// The rules are those of flink-csv 1.20 and the Jackson CsvEncoder below it, proved by the cases of package flinkcases, which a
// Flink 1.20.5 wrote. The package is pure.
package csv

import (
	"fmt"
	"math"
	"unicode/utf8"

	"pencere/pkg/format"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
)

// Encoder appends rows of one schema as CSV. It is for one goroutine.
type Encoder struct {
	columns   []column
	delimiter rune
	null      string
}

// column is a column of the schema, bound to its array of the batch at hand.
type column struct {
	name  string
	nulls nullBits
	cell  cell
}

// NewEncoder returns an encoder for batches of the Arrow schema that sqltype.Schema.Arrow gives. It fails for a column
// whose type has no CSV form: an interval, or an untyped NULL.
func NewEncoder(schema sqltype.Schema, options Options) (*Encoder, error) {
	options = options.withDefaults()
	if options.DisableQuote {
		options.QuoteCharacter = -1
	}
	e := &Encoder{delimiter: options.FieldDelimiter, null: options.NullLiteral}
	q := newQuoting(options)
	for _, c := range schema {
		cell := newCell(c.Type, options, q)
		if cell == nil {
			return nil, fmt.Errorf("column %s: a value of type %s cannot be written as CSV: CAST it to another type", c.Name, c.Type)
		}
		e.columns = append(e.columns, column{name: c.Name, cell: cell})
	}
	return e, nil
}

// AppendRows appends all rows of batch to dst. At a row that cannot be written it stops with a *format.RowError; dst then
// ends with the row before.
func (e *Encoder) AppendRows(dst []byte, batch arrow.RecordBatch) ([]byte, error) {
	if batch.NumRows() == 0 {
		return dst, nil
	}
	dst, _, err := e.AppendUntil(dst, batch, 0, math.MaxInt)
	return dst, err
}

// AppendRow appends the row at index row. Errors are AppendRows'.
func (e *Encoder) AppendRow(dst []byte, batch arrow.RecordBatch, row int) ([]byte, error) {
	dst, _, err := e.AppendUntil(dst, batch, row, 0)
	return dst, err
}

// AppendUntil appends the row at index row, and further ones until dst has limit bytes or the batch ends. It returns
// the index of the next row, which on error is that of the row that cannot be written. Errors are AppendRows'.
func (e *Encoder) AppendUntil(dst []byte, batch arrow.RecordBatch, row, limit int) (_ []byte, next int, err error) {
	if err := e.bind(batch); err != nil {
		return dst, row, err
	}
	for {
		end := len(dst)
		if dst, err = e.appendRow(dst, row); err != nil {
			return dst[:end], row, err
		}
		row++
		if row >= int(batch.NumRows()) || len(dst) >= limit {
			return dst, row, nil
		}
	}
}

func (e *Encoder) bind(batch arrow.RecordBatch) error {
	if int(batch.NumCols()) != len(e.columns) {
		return fmt.Errorf("batch has %d columns, the CSV schema %d", batch.NumCols(), len(e.columns))
	}
	for i := range e.columns {
		c, values := &e.columns[i], batch.Column(i)
		if !c.cell.bind(values) {
			return fmt.Errorf("column %s: batch carries %s, which the CSV schema does not expect", c.name, values.DataType())
		}
		c.nulls = newNullBits(values)
	}
	return nil
}

func (e *Encoder) appendRow(dst []byte, row int) (_ []byte, err error) {
	for i := range e.columns {
		c := &e.columns[i]
		if i > 0 {
			dst = utf8.AppendRune(dst, e.delimiter)
		}
		if c.nulls.isNull(row) {
			dst = append(dst, e.null...)
			continue
		}
		if dst, err = c.cell.append(dst, row); err != nil {
			return dst, &format.RowError{Row: row, Column: c.name, Err: err}
		}
	}
	return append(dst, '\n'), nil
}

// nullBits tells which rows of an array are NULL.
type nullBits struct {
	valid  []byte // nil when no row is NULL
	offset int
}

func newNullBits(values arrow.Array) nullBits {
	if values.NullN() == 0 {
		return nullBits{}
	}
	return nullBits{valid: values.NullBitmapBytes(), offset: values.Data().Offset()}
}

func (n nullBits) isNull(row int) bool {
	if n.valid == nil {
		return false
	}
	at := n.offset + row
	return n.valid[at>>3]&(1<<(at&7)) == 0
}
