package checkpoint_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"

	"pencere/pkg/checkpoint"

	"pgregory.net/rapid"
)

type keyedFile struct {
	head   []byte
	groups map[int][]byte
}

func (f keyedFile) write(t interface{ Fatal(...any) }) ([]byte, checkpoint.Blob) {
	var b bytes.Buffer
	blob := checkpoint.NewBlobWriter("key", &b)
	w := checkpoint.NewKeyedWriter(blob, f.head)
	for keyGroup := range 200 {
		if payload, ok := f.groups[keyGroup]; ok {
			if err := w.KeyGroup(keyGroup, payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), blob.Blob()
}

func TestKeyedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := keyedFile{
			head:   rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "head"),
			groups: rapid.MapOfN(rapid.IntRange(0, 199), rapid.SliceOfN(rapid.Byte(), 0, 20), 0, 9).Draw(t, "groups"),
		}
		data, blob := file.write(t)
		if want := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)); blob.Size != int64(len(data)) || blob.CRC32C != want {
			t.Fatalf("blob is %+v of %d bytes, %x", blob, len(data), want)
		}
		own := checkpoint.KeyGroups{First: rapid.IntRange(0, 199).Draw(t, "first")}
		own.Last = rapid.IntRange(own.First, 199).Draw(t, "last")
		r, err := checkpoint.NewKeyedReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(r.Head(), file.head) {
			t.Fatalf("head is %v, want %v", r.Head(), file.head)
		}
		last, read := -1, 0
		err = r.Each(own, func(keyGroup int, payload []byte) error {
			if want, ok := file.groups[keyGroup]; !ok || !bytes.Equal(want, payload) || keyGroup <= last || keyGroup < own.First || keyGroup > own.Last {
				t.Fatalf("key group %d after %d: %v, want %v", keyGroup, last, payload, want)
			}
			last = keyGroup
			read++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for keyGroup := range file.groups {
			if keyGroup >= own.First && keyGroup <= own.Last {
				read--
			}
		}
		if read != 0 {
			t.Fatalf("%d key groups too many", read)
		}
		damage(t, data, readKeyed)
	})
}

func readKeyed(data []byte) error {
	r, err := checkpoint.NewKeyedReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	return r.Each(checkpoint.KeyGroups{First: 0, Last: 1 << 20}, func(int, []byte) error { return nil })
}

// A blob that is shorter than it was, or longer, is noticed by its size.
func TestKeyedOfAnotherSize(t *testing.T) {
	data, _ := keyedFile{head: []byte("head"), groups: map[int][]byte{3: []byte("three")}}.write(t)
	for size := range int64(len(data)) + 3 {
		if size == int64(len(data)) {
			continue
		}
		_, err := checkpoint.NewKeyedReader(bytes.NewReader(data), size)
		if _, corrupt := errors.AsType[*checkpoint.CorruptError](err); !corrupt {
			t.Errorf("size %d of %d: error is %v", size, len(data), err)
		}
	}
}

// Reading a range leaves the rest of the file alone, but for its ends.
func TestKeyedReadsItsRange(t *testing.T) {
	groups := map[int][]byte{}
	for keyGroup := range 128 {
		groups[keyGroup] = bytes.Repeat([]byte{byte(keyGroup)}, 1000)
	}
	data, _ := keyedFile{groups: groups}.write(t)
	counted := &countingReader{ReaderAt: bytes.NewReader(data)}
	r, err := checkpoint.NewKeyedReader(counted, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Each(checkpoint.KeyGroups{First: 10, Last: 12}, func(int, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if counted.read > 5000 {
		t.Errorf("3 key groups of 1000 bytes took %d bytes", counted.read)
	}
}

type countingReader struct {
	io.ReaderAt
	read int
}

func (c *countingReader) ReadAt(p []byte, at int64) (int, error) {
	c.read += len(p)
	return c.ReaderAt.ReadAt(p, at)
}

var errDisk = errors.New("disk")

type failing struct{ room int }

func (f *failing) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func (f *failing) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

func TestKeyedErrors(t *testing.T) {
	data, _ := keyedFile{groups: map[int][]byte{1: []byte("one"), 2: []byte("two")}}.write(t)
	for room := range len(data) {
		w := checkpoint.NewKeyedWriter(&failing{room: room}, nil)
		_ = w.KeyGroup(1, []byte("one"))
		_ = w.KeyGroup(2, []byte("two"))
		if err := w.Close(); !errors.Is(err, errDisk) {
			t.Errorf("room for %d bytes: error is %v", room, err)
		}
	}
	if _, err := checkpoint.NewKeyedReader(&failing{}, 1000); !errors.Is(err, errDisk) || !strings.HasPrefix(err.Error(), "read keyed state: ") {
		t.Errorf("error is %v", err)
	}
	r, err := checkpoint.NewKeyedReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	err = r.Each(checkpoint.KeyGroups{First: 2, Last: 9}, func(int, []byte) error { return errDisk })
	if err == nil || err.Error() != "key group 2: disk" {
		t.Errorf("error is %v", err)
	}
}

func FuzzKeyed(f *testing.F) {
	data, _ := keyedFile{head: []byte("head"), groups: map[int][]byte{3: []byte("three"), 100: nil}}.write(f)
	f.Add(data)
	f.Add(slices.Concat(data, data))
	f.Fuzz(func(_ *testing.T, data []byte) { _ = readKeyed(data) })
}
