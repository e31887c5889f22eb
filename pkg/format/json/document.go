package json

import (
	"encoding/binary"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// DocumentDecoder turns messages into rows of one column of type JSON: the whole message is the value, whatever its kind, and its
// text is kept byte for byte but for blanks around it. It is for one goroutine.
//
// It is stricter than a Decoder, as others will read the text: the message is one JSON value to its end (RFC 8259), control
// characters in strings are escaped. Values may be nested to any depth, and names of members may repeat.
type DocumentDecoder struct{ rows *Decoder }

// NewDocumentDecoder returns a decoder for a column of that name. Batches take their memory from alloc. OnError says what follows for a
// message that is no JSON; as it has no fields, Ignore and Skip are the same.
func NewDocumentDecoder(name string, onError OnError, alloc memory.Allocator) (*DocumentDecoder, error) {
	schema := sqltype.Schema{{Name: name, Type: sqltype.JSONType.WithNotNull(true)}}
	rows, err := NewDecoder(schema, Options{OnError: onError}, alloc)
	if err != nil {
		return nil, err
	}
	return &DocumentDecoder{rows: rows}, nil
}

// Len returns the number of rows appended since the last batch.
func (d *DocumentDecoder) Len() int { return d.rows.Len() }

// Stats returns what the decoder has done since it was made.
func (d *DocumentDecoder) Stats() Stats { return d.rows.Stats() }

// NewBatch returns the rows appended since the last batch, or an empty batch. The caller releases it.
func (d *DocumentDecoder) NewBatch() arrow.RecordBatch { return d.rows.NewBatch() }

// Release gives back the memory of rows that no batch has taken. The decoder can be used again.
func (d *DocumentDecoder) Release() { d.rows.Release() }

// Append reads one message, which it does not retain, and adds its row. The encoding is detected as a Decoder does. The error is a
// *DecodeError, under Fail only, or ErrBatchFull.
func (d *DocumentDecoder) Append(message []byte) (Outcome, error) {
	if len(message) == 0 {
		d.rows.stats.MessagesEmpty++
		return Empty, nil
	}
	text := message
	if message[0] != '{' || len(message) > 1 && message[1] == 0 {
		text, d.rows.utf8 = detect(message, d.rows.utf8[:0])
	}
	if !d.record(text) {
		return d.rows.refuse(text)
	}
	d.rows.rows++
	d.rows.stats.RowsAppended++
	return Appended, nil
}

// record reads the value that is all of b.
func (d *DocumentDecoder) record(b []byte) bool {
	s := &d.rows.scanner
	i := skipBlanks(b, 0)
	end := s.strict(b, i)
	if end == none {
		return false
	}
	if rest := skipBlanks(b, end); rest < len(b) {
		return s.malformed(rest, "text behind the value") != none
	}
	c := &d.rows.columns[0]
	if reason, full := d.rows.text(c, b[i:end]); reason != "" {
		s.fault = fault{at: i, reason: reason, column: c, full: full}
		return false
	}
	return true
}

// documentValue reads a value of any kind into a column of type JSON. One that is not strictly JSON is bad, but its end is known.
func (d *Decoder) documentValue(c *column, b []byte, i int) int {
	end := d.scanner.skip(b, i)
	switch {
	case end == none:
		return none
	case string(b[i:end]) == "null":
		d.null(c)
		return end
	}
	if at := rawControl(b[i:end]); at != none {
		return d.spoiled(c, fault{at: i + at, reason: bareControl, value: b[i:end]}, end)
	}
	if reason, full := d.text(c, b[i:end]); reason != "" {
		return d.spoiled(c, fault{at: i, reason: reason, value: b[i:end], full: full}, end)
	}
	return end
}

const bareControl = "has a control character in a string that is not escaped"

// strict reads one value of any kind and depth, without control characters in its strings.
func (s *scanner) strict(b []byte, i int) int {
	end := s.skip(b, i)
	if end == none {
		return none
	}
	if at := rawControl(b[i:end]); at != none {
		return s.malformed(i+at, "the value "+bareControl)
	}
	return end
}

// rawControl returns the position of a control character inside a string of the well-formed value b, or none.
func rawControl(b []byte) int {
	if !anyControl(b) {
		return none
	}
	for i := 0; i < len(b); i++ {
		if b[i] != '"' {
			continue
		}
		end, _, _ := scanString(b, i+1)
		for ; i < end; i++ {
			if b[i] < ' ' {
				return i
			}
		}
	}
	return none
}

// anyControl reports whether b has a control character anywhere, eight bytes at a time as scanString looks for quotes.
func anyControl(b []byte) bool {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if (w-' '*ones)&^w&highs != 0 {
			return true
		}
	}
	for ; i < len(b); i++ {
		if b[i] < ' ' {
			return true
		}
	}
	return false
}
