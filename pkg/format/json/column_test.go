package json

import (
	"errors"
	"testing"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A text column that is full ends the batch, not the job; only what does not fit an empty batch is a bad record.
func TestBatchFull(t *testing.T) {
	for _, onError := range []OnError{Fail, Ignore, Skip} {
		d, err := NewDecoder(sqltype.Schema{{Name: "v", Type: sqltype.StringType}}, Options{OnError: onError}, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		d.columns[0].limit = 10
		message := []byte(`{"v":"1234567"}`)
		if _, err := d.Append(message); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Append(message); !errors.Is(err, ErrBatchFull) || d.Len() != 1 {
			t.Fatalf("error %v with %d rows, want ErrBatchFull with 1", err, d.Len())
		}
		d.NewBatch().Release()
		if outcome, err := d.Append(message); outcome != Appended || err != nil {
			t.Fatalf("after the batch: %d, %v", outcome, err)
		}
		d.NewBatch().Release()
		outcome, err := d.Append([]byte(`{"v":"12345678901"}`))
		var bad *DecodeError
		if outcome != Dropped || errors.As(err, &bad) != (onError == Fail) || errors.Is(err, ErrBatchFull) {
			t.Fatalf("a text that never fits: %d, %v", outcome, err)
		}
	}
}
