package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// CorruptError says that stored state is damaged, or not what it is said to be.
type CorruptError struct {
	What   string // the piece of state, with its place
	Reason string
}

func (e *CorruptError) Error() string { return fmt.Sprintf("%s is corrupt: %s", e.What, e.Reason) }

// Decoder reads numbers and texts from bytes and never beyond their end. After the first error it returns zeros.
type Decoder struct {
	what string
	rest []byte
	size int
	err  error
}

// NewDecoder returns a decoder of data, which errors call what. Results may share data's memory.
func NewDecoder(what string, data []byte) *Decoder {
	return &Decoder{what: what, rest: data, size: len(data)}
}

// Err returns the first error, a *CorruptError, or nil.
func (d *Decoder) Err() error { return d.err }

// Len returns the number of bytes left; 0 after an error.
func (d *Decoder) Len() int { return len(d.rest) }

// Finish returns the first error, and that bytes are left if there are.
func (d *Decoder) Finish() error {
	if len(d.rest) > 0 {
		d.Fail("%d bytes too many", len(d.rest))
	}
	return d.err
}

// Fail makes the data corrupt at the current place, for the reason given, unless it is already.
func (d *Decoder) Fail(format string, args ...any) {
	if d.err == nil {
		d.err = &CorruptError{What: d.what, Reason: fmt.Sprintf("byte %d: ", d.size-len(d.rest)) + fmt.Sprintf(format, args...)}
		d.rest = nil
	}
}

// Uvarint reads an unsigned varint.
func (d *Decoder) Uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.Fail("no number")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// Varint reads a signed varint.
func (d *Decoder) Varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.Fail("no number")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// Int32 reads a signed varint that must fit 32 bits.
func (d *Decoder) Int32() int32 {
	v := d.Varint()
	if v < math.MinInt32 || v > math.MaxInt32 {
		d.Fail("%d is no 32-bit number", v)
		return 0
	}
	return int32(v)
}

// Int reads an unsigned varint of at most limit.
func (d *Decoder) Int(limit int) int {
	v := d.Uvarint()
	if v > uint64(limit) {
		d.Fail("%d is more than %d", v, limit)
		return 0
	}
	return int(v)
}

// Count reads the number of things that follow, each of at least size bytes, so that room for them is bounded by the data.
func (d *Decoder) Count(size int) int {
	v := d.Uvarint()
	if most := uint64(len(d.rest) / size); v > most {
		d.Fail("%d things are more than the bytes that follow", v)
		return 0
	}
	return int(v)
}

// Fixed reads n bytes, or returns nil when there are not so many.
func (d *Decoder) Fixed(n int) []byte {
	if n > len(d.rest) {
		d.Fail("%d bytes where %d are wanted", len(d.rest), n)
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// Bytes reads bytes after their number.
func (d *Decoder) Bytes() []byte { return d.Fixed(d.Count(1)) }

// Text reads a text after its length.
func (d *Decoder) Text() string { return string(d.Bytes()) }

// Bool reads a byte that is 0 or 1.
func (d *Decoder) Bool() bool {
	b := d.Fixed(1)
	if len(b) == 0 {
		return false
	}
	if b[0] > 1 {
		d.Fail("%d is neither true nor false", b[0])
	}
	return b[0] == 1
}

// Uint32 reads 4 bytes.
func (d *Decoder) Uint32() uint32 {
	if b := d.Fixed(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads 8 bytes.
func (d *Decoder) Uint64() uint64 {
	if b := d.Fixed(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// AppendText appends a text, or bytes, after their length, as Bytes and Text read them.
func AppendText[T ~string | ~[]byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// AppendBool appends a byte as Bool reads it.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}
