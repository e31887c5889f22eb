package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// Keyed state lies by key group, so that a subtask of another parallelism reads only the groups that it owns. After the
// preamble come these sections, and a footer: the place of the index (8 bytes), its CRC-32C (4 bytes), and the magic.
const (
	tagHead     = iota + 1 // what the owner of the state says of all of it
	tagKeyGroup            // one for each key group that has state, ascending
	tagIndex               // the key groups and the lengths of their sections
)

const footerSize = 8 + 4 + len(magic)

// KeyedWriter writes the keyed state of one subtask. Errors are those of the writer below, and are returned again by all later calls.
type KeyedWriter struct {
	w        io.Writer
	at       int64 // bytes written
	keyGroup int   // the last one
	groups   int
	index    []byte // without the number of groups
	err      error
}

// NewKeyedWriter begins a file with head, which NewKeyedReader returns. The writer makes a few large writes for each key group.
func NewKeyedWriter(w io.Writer, head []byte) *KeyedWriter {
	k := &KeyedWriter{w: w, keyGroup: -1}
	k.write(preambleOf(formatKeyed))
	k.section(tagHead, head)
	return k
}

// KeyGroup writes the state of a key group. Key groups come in ascending order; those without state are left out.
func (k *KeyedWriter) KeyGroup(keyGroup int, payload []byte) error {
	if keyGroup <= k.keyGroup {
		panic(fmt.Sprintf("checkpoint: key group %d written after %d", keyGroup, k.keyGroup)) //nolint:forbidigo // the caller counts wrongly
	}
	k.keyGroup = keyGroup
	k.groups++
	k.index = binary.AppendUvarint(k.index, uint64(keyGroup))
	k.index = binary.AppendUvarint(k.index, uint64(k.at))
	k.section(tagKeyGroup, payload)
	return k.err
}

// Close ends the file. It does not close the writer below.
func (k *KeyedWriter) Close() error {
	place := binary.LittleEndian.AppendUint64(nil, uint64(k.at))
	k.section(tagIndex, append(binary.AppendUvarint(nil, uint64(k.groups)), k.index...))
	footer := binary.LittleEndian.AppendUint32(place, crc32.Checksum(place, castagnoli))
	k.write(append(footer, magic...))
	return k.err
}

func (k *KeyedWriter) section(tag byte, payload []byte) {
	header := sectionHeader(tag, payload)
	k.write(header[:])
	k.write(payload)
}

func (k *KeyedWriter) write(b []byte) {
	if k.err != nil {
		return
	}
	n, err := k.w.Write(b)
	k.at += int64(n)
	k.err = err
}

// KeyedReader reads what a KeyedWriter wrote, of any version. Errors are *CorruptError, or the reader's, with what was read.
type KeyedReader struct {
	r      io.ReaderAt
	head   []byte
	groups []keyGroupPlace
	end    int64 // of the last key group
}

type keyGroupPlace struct {
	keyGroup int
	at       int64
}

// NewKeyedReader reads the head and the index of a file of size bytes.
func NewKeyedReader(r io.ReaderAt, size int64) (*KeyedReader, error) {
	k := &KeyedReader{r: r}
	if size < int64(preambleSize+footerSize) {
		return nil, &CorruptError{What: formatKeyed.String(), Reason: fmt.Sprintf("%d bytes are no file", size)}
	}
	preamble, err := k.bytes(0, int64(preambleSize))
	if err != nil {
		return nil, err
	}
	if err := checkPreamble(formatKeyed, preamble); err != nil {
		return nil, err
	}
	if err := k.readIndex(size); err != nil {
		return nil, err
	}
	firstGroup := k.end
	if len(k.groups) > 0 {
		firstGroup = k.groups[0].at
	}
	k.head, err = k.section(tagHead, int64(preambleSize), firstGroup)
	return k, err
}

// Head returns what the file was begun with.
func (k *KeyedReader) Head() []byte { return k.head }

// Each reads the key groups of a range that have state, in ascending order. payload is valid during the call. An error of read
// ends Each and is returned with the key group's number.
func (k *KeyedReader) Each(keyGroups KeyGroups, read func(keyGroup int, payload []byte) error) error {
	for i, g := range k.groups {
		if g.keyGroup < keyGroups.First || g.keyGroup > keyGroups.Last {
			continue
		}
		end := k.end
		if i+1 < len(k.groups) {
			end = k.groups[i+1].at
		}
		payload, err := k.section(tagKeyGroup, g.at, end)
		if err == nil {
			err = read(g.keyGroup, payload)
		}
		if err != nil {
			return fmt.Errorf("key group %d: %w", g.keyGroup, err)
		}
	}
	return nil
}

func (k *KeyedReader) readIndex(size int64) error {
	footer, err := k.bytes(size-int64(footerSize), size)
	if err != nil {
		return err
	}
	d := NewDecoder("keyed state: footer", footer)
	place := d.Uint64()
	if d.Uint32() != crc32.Checksum(footer[:8], castagnoli) || string(d.Fixed(len(magic))) != magic {
		d.Fail("it does not end as keyed state does")
	}
	if err := d.Finish(); err != nil {
		return err
	}
	if place > math.MaxInt64 {
		return &CorruptError{What: formatKeyed.String(), Reason: fmt.Sprintf("its index is at byte %d", place)}
	}
	k.end = int64(place)
	index, err := k.section(tagIndex, k.end, size-int64(footerSize))
	if err != nil {
		return err
	}
	d = NewDecoder("keyed state: index", index)
	k.groups = make([]keyGroupPlace, d.Count(2))
	last := keyGroupPlace{keyGroup: -1, at: int64(preambleSize) - 1}
	for i := range k.groups {
		g := keyGroupPlace{keyGroup: d.Int(math.MaxInt32), at: int64(d.Int(math.MaxInt))}
		if d.Err() == nil && (g.keyGroup <= last.keyGroup || g.at <= last.at || g.at >= k.end) {
			d.Fail("key group %d at byte %d follows key group %d at byte %d", g.keyGroup, g.at, last.keyGroup, last.at)
		}
		k.groups[i], last = g, g
	}
	return d.Finish()
}

// section reads the section that lies from from to to.
func (k *KeyedReader) section(want byte, from, to int64) ([]byte, error) {
	data, err := k.bytes(from, to)
	if err != nil {
		return nil, err
	}
	tag, payload, rest, err := nextSection(formatKeyed, data)
	if err != nil {
		return nil, err
	}
	if tag != want || len(rest) > 0 {
		return nil, &CorruptError{What: formatKeyed.String(), Reason: fmt.Sprintf("bytes %d to %d are not section %d", from, to, want)}
	}
	return payload, nil
}

func (k *KeyedReader) bytes(from, to int64) ([]byte, error) {
	if from < 0 || from > to {
		return nil, &CorruptError{What: formatKeyed.String(), Reason: fmt.Sprintf("it has no bytes %d to %d", from, to)}
	}
	b := make([]byte, to-from)
	n, err := k.r.ReadAt(b, from)
	switch {
	case n == len(b):
		return b, nil
	case errors.Is(err, io.EOF) || err == nil:
		return nil, &CorruptError{What: formatKeyed.String(), Reason: fmt.Sprintf("it ends at byte %d", from+int64(n))}
	default:
		return nil, fmt.Errorf("read keyed state: %w", err)
	}
}

// BlobWriter counts and sums what is written through it, for the Blob that it becomes.
type BlobWriter struct {
	w    io.Writer
	blob Blob
}

// NewBlobWriter returns a writer to w of the blob with a key.
func NewBlobWriter(key string, w io.Writer) *BlobWriter {
	return &BlobWriter{w: w, blob: Blob{Key: key}}
}

func (b *BlobWriter) Write(p []byte) (int, error) {
	n, err := b.w.Write(p)
	b.blob.Size += int64(n)
	b.blob.CRC32C = crc32.Update(b.blob.CRC32C, castagnoli, p[:n])
	return n, err
}

// Blob returns the blob as written so far.
func (b *BlobWriter) Blob() Blob { return b.blob }
