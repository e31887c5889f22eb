// Package arrowpool keeps the memory of released Arrow buffers for the next ones.
//
// A stream of batches asks for the same few sizes over and over. Go's own allocator would clear each new buffer and leave the
// old one to the garbage collector; kept here, the buffers of a steady stream are allocated once.
package arrowpool

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Buffers below minClass are not worth a lock; those above maxClass are rare and would pin much memory.
const (
	minClass = 10 // 1 KiB
	maxClass = 24 // 16 MiB
)

// alignment is what Arrow's kernels and IPC want of a buffer's first byte.
const alignment = 64

// Pool is a memory.Allocator that reuses freed buffers, up to a number of bytes. It is safe for concurrent use.
type Pool struct {
	limit int // bytes kept at most

	mu struct {
		sync.Mutex
		kept int // bytes in free
		free [maxClass + 1][][]byte
	}
}

var _ memory.Allocator = (*Pool)(nil)

// New returns a pool that keeps up to limit bytes of freed buffers.
func New(limit int) *Pool { return &Pool{limit: limit} }

// Allocate returns size bytes, aligned to 64. Unlike Go's own allocator it does not clear a reused buffer.
func (p *Pool) Allocate(size int) []byte {
	class := classOf(size)
	if class < minClass || class > maxClass {
		return aligned(size)
	}
	if b := p.take(class); b != nil {
		return b[:size]
	}
	return aligned(1 << class)[:size]
}

// Reallocate returns b with another size, its bytes kept as far as they fit.
func (p *Pool) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	grown := p.Allocate(size)
	copy(grown, b)
	p.Free(b)
	return grown
}

// Free takes b back. Nobody may use it afterwards.
func (p *Pool) Free(b []byte) {
	class := classOf(cap(b))
	if class < minClass || class > maxClass || cap(b) != 1<<class {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.kept+cap(b) > p.limit {
		return
	}
	p.mu.kept += cap(b)
	p.mu.free[class] = append(p.mu.free[class], b[:0])
}

func (p *Pool) take(class int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.mu.free[class]
	if len(free) == 0 {
		return nil
	}
	b := free[len(free)-1]
	p.mu.free[class] = free[:len(free)-1]
	p.mu.kept -= cap(b)
	return b
}

// classOf returns the power of two that holds size bytes.
func classOf(size int) int {
	if size <= 0 {
		return 0
	}
	return bits.Len(uint(size - 1))
}

// aligned returns size bytes whose first is aligned and whose capacity is size, so that Free knows its class.
func aligned(size int) []byte {
	if size == 0 {
		return nil
	}
	raw := make([]byte, size+alignment)
	shift := 0
	if rest := int(uintptr(unsafe.Pointer(unsafe.SliceData(raw))) % alignment); rest != 0 {
		shift = alignment - rest
	}
	return raw[shift : shift+size : shift+size]
}
