package raw

import (
	"bytes"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// Values are kept byte for byte, and none at all apart from an empty one, over any cut into batches.
func TestLossless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer alloc.AssertSize(t, 0)
		d := NewDecoder("raw", alloc)
		defer d.Release()
		var want [][]byte
		check := func() {
			batch := d.NewBatch()
			defer batch.Release()
			column := batch.Column(0).(*array.Binary)
			if column.Len() != len(want) || batch.ColumnName(0) != "raw" {
				t.Fatalf("%d rows of %s, want %d", column.Len(), batch.ColumnName(0), len(want))
			}
			for i, value := range want {
				if column.IsNull(i) != (value == nil) || !bytes.Equal(column.Value(i), value) {
					t.Fatalf("row %d is %q, want %q", i, column.Value(i), value)
				}
			}
			want = nil
		}
		for range rapid.IntRange(0, 20).Draw(t, "rows") {
			value := rapid.SliceOf(rapid.Byte()).Draw(t, "value")
			if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
				value = nil
			}
			if !d.Append(value) {
				t.Fatal("no room")
			}
			want = append(want, bytes.Clone(value))
			clear(value)
			if d.Len() != len(want) {
				t.Fatalf("%d rows, want %d", d.Len(), len(want))
			}
			if rapid.IntRange(0, 5).Draw(t, "cut") == 0 {
				check()
			}
		}
		check()
	})
}

func TestFullBatch(t *testing.T) {
	d := NewDecoder("raw", memory.DefaultAllocator)
	defer d.Release()
	d.limit = 10
	if !d.Append(make([]byte, 8)) || d.Append(make([]byte, 3)) || !d.Append(make([]byte, 2)) || d.Len() != 2 {
		t.Errorf("%d rows", d.Len())
	}
	d.NewBatch().Release()
	if !d.Append(make([]byte, 3)) {
		t.Error("no room in a new batch")
	}
}
