package checkpoint_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"pencere/pkg/checkpoint"

	"github.com/google/go-cmp/cmp"
)

var exampleMetadata = checkpoint.Metadata{
	JobID: "caf2e25754f645769b7e2abf332b6ef5", JobName: "kdv-2min", Plan: []byte(`{"Name":"kdv-2min"}`),
	Splits:     []checkpoint.Split{{Number: 0, Topic: "sahibinden", Partition: 3, Next: 5, Stop: -1, Newest: math.MinInt64}},
	Checkpoint: example,
}

// Every version of a savepoint that there ever was is read. The file of a version is never written again.
func TestMetadataVersions(t *testing.T) {
	newest := filepath.Join("testdata", "v5.savepoint")
	if _, err := os.Stat(newest); *update && errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(newest, exampleMetadata.Encode(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	first := exampleMetadata
	first.Checkpoint = inVersion2() // the version of its subtasks' states
	second := exampleMetadata
	second.Checkpoint = inVersion3()
	third := exampleMetadata
	third.Checkpoint = inVersion4()
	fourth := exampleMetadata
	fourth.Checkpoint = inVersion5()
	for file, want := range map[string]checkpoint.Metadata{
		filepath.Join("testdata", "v1.savepoint"): first, filepath.Join("testdata", "v2.savepoint"): second,
		filepath.Join("testdata", "v3.savepoint"): third,
		filepath.Join("testdata", "v4.savepoint"): fourth, newest: exampleMetadata,
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := checkpoint.DecodeMetadata(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
		if file == newest && !bytes.Equal(exampleMetadata.Encode(), data) {
			t.Error("the encoding has changed; that needs a new version")
		}
	}
}

// A savepoint that misses any byte, or has any changed, is refused and never half read.
func TestMetadataDamaged(t *testing.T) {
	data := exampleMetadata.Encode()
	for i := range data {
		if _, err := checkpoint.DecodeMetadata(data[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for a savepoint", i, len(data))
		}
		damaged := bytes.Clone(data)
		damaged[i] ^= 0x40
		if _, err := checkpoint.DecodeMetadata(damaged); err == nil {
			t.Fatalf("byte %d may be anything", i)
		}
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	f.Add(exampleMetadata.Encode())
	f.Add(checkpoint.Metadata{Checkpoint: checkpoint.Checkpoint{ID: 1}}.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := checkpoint.DecodeMetadata(data)
		if err != nil {
			return
		}
		again, err := checkpoint.DecodeMetadata(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWithBlobs(t *testing.T) {
	moved, err := example.WithBlobs(func(b checkpoint.Blob) (checkpoint.Blob, error) {
		b.Key = "elsewhere"
		return b, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want, got := example.Blobs(), moved.Blobs()
	want[0].Key = "elsewhere"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if example.Blobs()[0].Key == "elsewhere" {
		t.Error("the original was changed")
	}
	refused := errors.New("no space")
	if _, err := example.WithBlobs(func(checkpoint.Blob) (checkpoint.Blob, error) { return checkpoint.Blob{}, refused }); !errors.Is(err, refused) {
		t.Errorf("error %v", err)
	}
	if left := example.Published().Pending(); len(left) > 0 || len(example.Pending()) == 0 {
		t.Errorf("%v are still to be published", left)
	}
}
