package kafka

import (
	"math/bits"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pool keeps the memory of records, and of what batches were decompressed into, for use again: read-ahead then lives in
// the same few MiB for ever, and the garbage collector has little to do.
type pool struct {
	records shelf[kgo.Record]
	bytes   shelf[byte]
}

var (
	_ kgo.PoolRecords         = (*pool)(nil)
	_ kgo.PoolDecompressBytes = (*pool)(nil)
)

// What a pool keeps at most, for each of the two kinds: the rest is left to the garbage collector.
const (
	maxPooledRecords = 32 << 10
	maxPooledBytes   = 4 << 20
)

func newPool() *pool {
	return &pool{records: shelf[kgo.Record]{limit: maxPooledRecords}, bytes: shelf[byte]{limit: maxPooledBytes}}
}

// GetRecords returns n zero records; kgo calls it for each batch.
func (p *pool) GetRecords(n int) []kgo.Record { return p.records.get(n) }

// PutRecords takes the records of a batch back, zeroed by kgo, when each was recycled.
func (p *pool) PutRecords(records []kgo.Record) { p.records.put(records) }

// GetDecompressBytes returns room to decompress a batch into; kgo makes more if it does not do.
func (p *pool) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	return p.bytes.get(expansion * len(compressed))
}

// expansion is how many times longer than itself a compressed batch is taken to be: that of JSON, roughly.
const expansion = 8

// PutDecompressBytes takes the bytes of a batch back when each of its records was recycled.
func (p *pool) PutDecompressBytes(b []byte) { p.bytes.put(b) }

// shelf keeps slices that are not in use, sorted by capacity in powers of two. It is safe for concurrent use.
type shelf[T any] struct {
	mu    sync.Mutex
	size  [48][][]T // of index i: capacity at least 1<<i
	kept  int       // elements, in all
	limit int       // of kept
}

// get returns a slice of capacity n at least. It may be one of the next larger capacity, but not of a much larger one.
func (s *shelf[T]) get(n int) []T {
	i := bits.Len(uint(max(n, 1) - 1))
	s.mu.Lock()
	defer s.mu.Unlock()
	for size := i; size <= i+1 && size < len(s.size); size++ {
		last := len(s.size[size]) - 1
		if last < 0 {
			continue
		}
		slice := s.size[size][last]
		s.size[size][last] = nil
		s.size[size] = s.size[size][:last]
		s.kept -= cap(slice)
		return slice[:0]
	}
	return make([]T, 0, 1<<i)
}

func (s *shelf[T]) put(slice []T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cap(slice) == 0 || s.kept+cap(slice) > s.limit {
		return
	}
	i := bits.Len(uint(cap(slice))) - 1
	s.size[i] = append(s.size[i], slice[:0])
	s.kept += cap(slice)
}

func recycle(records []*kgo.Record) {
	for _, r := range records {
		r.Recycle()
	}
}
