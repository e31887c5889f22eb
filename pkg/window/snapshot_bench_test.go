package window_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"pencere/pkg/checkpoint"
	"pencere/pkg/window"
)

// million is a store with a window of a million groups of the reference job, and its aggregates if there are any.
func million(b *testing.B, config window.Config) *window.Store {
	b.Helper()
	s := mustStore(b, config)
	for first := 0; first < 1_000_000; first += benchRows {
		batch := referenceBatch(first)
		mustAdd(b, s, withArguments(batch, config))
	}
	return s
}

// BenchmarkSnapshot is how long a store stands still for a checkpoint.
func BenchmarkSnapshot(b *testing.B) {
	for _, config := range []window.Config{reference, withAggregates(reference)} {
		b.Run(fmt.Sprintf("aggregates=%d", len(config.Aggregates)), func(b *testing.B) {
			s := million(b, config)
			for b.Loop() {
				s.Snapshot().Release()
			}
		})
	}
}

// BenchmarkEncode writes a million groups, which the store does not wait for.
func BenchmarkEncode(b *testing.B) {
	for _, config := range []window.Config{reference, withAggregates(reference)} {
		b.Run(fmt.Sprintf("aggregates=%d", len(config.Aggregates)), func(b *testing.B) {
			s := million(b, config)
			for b.Loop() {
				snapshot := s.Snapshot()
				blob := checkpoint.NewBlobWriter("", io.Discard)
				if err := snapshot.Encode(blob, maxParallelism); err != nil {
					b.Fatal(err)
				}
				snapshot.Release()
				b.SetBytes(blob.Blob().Size)
			}
		})
	}
}

// BenchmarkRestore takes a million groups over into a new store.
func BenchmarkRestore(b *testing.B) {
	for _, config := range []window.Config{reference, withAggregates(reference)} {
		b.Run(fmt.Sprintf("aggregates=%d", len(config.Aggregates)), func(b *testing.B) {
			var file bytes.Buffer
			snapshot := million(b, config).Snapshot()
			if err := snapshot.Encode(&file, maxParallelism); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(file.Len()))
			for b.Loop() {
				if err := restore(mustStore(b, config), file.Bytes()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
