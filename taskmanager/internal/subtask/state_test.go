package subtask

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"gocloud.dev/blob/memblob"
)

// spillInto writes size bytes in pieces and closes with the error given.
func spillInto(t *testing.T, bucket *blobstore.Bucket, size int, cause error) (checkpoint.Handle, []byte) {
	t.Helper()
	s := &spill{ctx: t.Context(), key: "job/chk-1/v-0-0", open: func() (*blobstore.Bucket, error) { return bucket, nil }}
	data := bytes.Repeat([]byte("durum "), size/6+1)[:size]
	for rest := data; len(rest) > 0; {
		n, err := s.Write(rest[:min(1000, len(rest))])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	handle, err := s.close(cause)
	if err != nil {
		t.Fatal(err)
	}
	return handle, data
}

func keys(t *testing.T, bucket *blobstore.Bucket) (all []string) {
	t.Helper()
	for list := bucket.List(nil); ; {
		object, err := list.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, object.Key)
	}
}

// State travels in the ack while it is small, and comes back from wherever it went.
func TestSpill(t *testing.T) {
	for _, size := range []int{0, 1, checkpoint.MaxInline, checkpoint.MaxInline + 1, 3 * checkpoint.MaxInline} {
		bucket := blobstore.NewBucket("mem:", memblob.OpenBucket(nil))
		handle, data := spillInto(t, bucket, size, nil)
		if large := size > checkpoint.MaxInline; handle.IsBlob() != large || (len(keys(t, bucket)) > 0) != large {
			t.Errorf("%d bytes: in a blob %t, blobs %v", size, handle.IsBlob(), keys(t, bucket))
		}
		s := &Subtask{deploy: &controlv1.DeploySubtask{}}
		s.host.Bucket = func(context.Context, string) (*blobstore.Bucket, error) { return bucket, nil }
		if got, err := s.load(t.Context(), handle); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes come back as %d, %v", size, len(got), err)
		}
		if !handle.IsBlob() {
			continue
		}
		data[0] ^= 1
		if err := bucket.WriteAll(t.Context(), handle.Blob.Key, data); err != nil {
			t.Fatal(err)
		}
		if _, err := s.load(t.Context(), handle); err == nil || !strings.Contains(err.Error(), "is not what was written") {
			t.Errorf("a flipped bit: %v", err)
		}
	}
}

// Of state that could not be written whole, nothing stays.
func TestSpillAborted(t *testing.T) {
	bucket := blobstore.NewBucket("mem:", memblob.OpenBucket(nil))
	handle, _ := spillInto(t, bucket, 3*checkpoint.MaxInline, errors.New("encode"))
	if left := keys(t, bucket); handle.IsBlob() || len(left) > 0 {
		t.Errorf("blobs %v are left", left)
	}
}
