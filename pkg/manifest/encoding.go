package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrEdited says that an entry is not as it was written, to be asked for with errors.Is.
var ErrEdited = errors.New("the entry was edited")

// Encode returns the entry as JSON: the one form that Decode takes. The entry must pass Check.
func (e Entry) Encode() ([]byte, error) {
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("encode manifest entry: %w", err)
	}
	return e.text()
}

func (e Entry) text() ([]byte, error) {
	if e.Checkpoint.Offsets == nil {
		e.Checkpoint.Offsets = []OffsetRange{} // not null
	}
	text, err := json.MarshalIndent(e, "", "  ")
	return append(text, '\n'), err
}

// Decode reads what Encode wrote, and nothing else: each entry has just one form, so any other byte is an edit, and the
// error is ErrEdited; so it is when Hash is not the entry's own. Then the entry is returned too, for what it claims.
// After any other error the entry is zero.
func Decode(text []byte) (Entry, error) {
	var e Entry
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return Entry{}, fmt.Errorf("decode manifest entry: %w", noEnd(err))
	}
	if err := e.Check(); err != nil {
		return Entry{}, fmt.Errorf("decode manifest entry: %w", err)
	}
	if written, err := e.text(); err != nil || !bytes.Equal(written, text) {
		return e, fmt.Errorf("%w: it is not in the form that it is written in", ErrEdited)
	}
	if hash := e.ComputeHash(); hash != e.Hash {
		return e, fmt.Errorf("%w: its hash is %s, and it says %s", ErrEdited, hash, e.Hash)
	}
	return e, nil
}

// noEnd keeps callers from taking an entry that ends too early for the end of a stream.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the text ends too early")
	}
	return err
}

// ComputeHash returns the SHA-256 over the entry's canonical encoding, which holds all fields but Hash, in this order:
//
//	text    "pencere manifest entry"
//	int     version
//	text    kind
//	int     sequence
//	byte    1 and text file, hash; or 0: previous
//	int     checkpoint id
//	text    job, job name
//	hash    spec
//	text    program
//	int     number of offset ranges; for each: text topic, int partition, from, to
//	byte    1 and text name, hash sha256, int rows, bytes, text quote,
//	        byte 1 and int start, end, or 0 (window); or 0: file
//
// An int is 8 bytes, big endian, two's complement; a text is its length in bytes as an int and its bytes of UTF-8; a
// hash is its 32 bytes. Nothing stands between them. The encoding never changes for a version.
func (e Entry) ComputeHash() Hash { return sha256.Sum256(e.appendCanonical(nil)) }

func (e Entry) appendCanonical(dst []byte) []byte {
	dst = appendText(dst, "pencere manifest entry")
	dst = appendInts(dst, int64(e.Version))
	dst = appendText(dst, string(e.Kind))
	dst = appendInts(dst, e.Sequence)
	dst = appendPresence(dst, e.Previous != nil)
	if e.Previous != nil {
		dst = appendText(dst, e.Previous.File)
		dst = append(dst, e.Previous.Hash[:]...)
	}
	dst = e.Checkpoint.appendCanonical(dst)
	dst = appendPresence(dst, e.File != nil)
	if e.File != nil {
		dst = e.File.appendCanonical(dst)
	}
	return dst
}

func (c Checkpoint) appendCanonical(dst []byte) []byte {
	dst = appendInts(dst, c.ID)
	dst = appendText(dst, c.Job)
	dst = appendText(dst, c.JobName)
	dst = append(dst, c.Spec[:]...)
	dst = appendText(dst, c.Program)
	dst = appendInts(dst, int64(len(c.Offsets)))
	for _, r := range c.Offsets {
		dst = appendText(dst, r.Topic)
		dst = appendInts(dst, int64(r.Partition), r.From, r.To)
	}
	return dst
}

func (f File) appendCanonical(dst []byte) []byte {
	dst = appendText(dst, f.Name)
	dst = append(dst, f.SHA256[:]...)
	dst = appendInts(dst, f.Rows, f.Bytes)
	dst = appendText(dst, f.Quote)
	dst = appendPresence(dst, f.Window != nil)
	if f.Window != nil {
		dst = appendInts(dst, f.Window.Start, f.Window.End)
	}
	return dst
}

func appendInts(dst []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	return append(appendInts(dst, int64(len(text))), text...)
}

func appendPresence(dst []byte, present bool) []byte {
	if present {
		return append(dst, 1)
	}
	return append(dst, 0)
}
