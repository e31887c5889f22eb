package window

import (
	"encoding/binary"
	"slices"
)

const (
	pageBits = 12
	pageSize = 1 << pageBits
)

// paged is a list that grows without moving more than its first page, so that a million groups never double in memory at
// once. With a T free of pointers the garbage collector does not look inside.
type paged[T any] struct {
	pages [][]T
	count int
}

func (p *paged[T]) append(v T) {
	page := p.count >> pageBits
	switch {
	case page == len(p.pages) && page == 0:
		p.pages = append(p.pages, nil) // grows by itself: most windows of most jobs are small
	case page == len(p.pages):
		p.pages = append(p.pages, make([]T, 0, pageSize))
	}
	p.pages[page] = append(p.pages[page], v)
	p.count++
}

func (p *paged[T]) at(i uint32) *T { return &p.pages[i>>pageBits][i&(pageSize-1)] }

// grow appends zero values until there are n.
func (p *paged[T]) grow(n int) {
	var zero T
	for p.count < n {
		p.append(zero)
	}
}

// share returns the list as it is now. Values that are appended to p later are not in it and touch no memory that it reads.
func (p *paged[T]) share() paged[T] { return paged[T]{pages: slices.Clone(p.pages), count: p.count} }

// copy returns the list as it is now, in memory of its own.
func (p *paged[T]) copy() paged[T] {
	c := p.share()
	for i, page := range c.pages {
		c.pages[i] = slices.Clone(page)
	}
	return c
}

// reset empties the list and keeps its memory.
func (p *paged[T]) reset() {
	for i := range p.pages {
		p.pages[i] = p.pages[i][:0]
	}
	p.count = 0
}

// Chunks of keys double from the least to the most size: a small window stays small, a large one makes few allocations.
const (
	leastChunk = 1 << 10
	mostChunk  = 1 << 18
)

// keyRef says where a key begins.
type keyRef struct{ chunk, offset uint32 }

// keyArena holds key bytes, each after its length, in chunks that never move.
type keyArena struct {
	chunks    [][]byte
	current   int   // the chunk that is being filled
	used      int64 // bytes
	allocated int64 // bytes
}

func (a *keyArena) append(key []byte) keyRef {
	size := binary.MaxVarintLen32 + len(key) // at most
	for a.current < len(a.chunks) && cap(a.chunks[a.current])-len(a.chunks[a.current]) < size {
		a.current++
	}
	if a.current == len(a.chunks) {
		a.chunks = append(a.chunks, make([]byte, 0, max(size, a.nextChunk())))
		a.allocated += int64(cap(a.chunks[a.current]))
	}
	chunk := &a.chunks[a.current]
	ref := keyRef{chunk: uint32(a.current), offset: uint32(len(*chunk))}
	*chunk = binary.AppendUvarint(*chunk, uint64(len(key)))
	*chunk = append(*chunk, key...)
	a.used += int64(len(*chunk)) - int64(ref.offset)
	return ref
}

func (a *keyArena) nextChunk() int {
	return min(leastChunk<<min(len(a.chunks), 20), mostChunk)
}

func (a *keyArena) at(ref keyRef) []byte {
	chunk := a.chunks[ref.chunk][ref.offset:]
	n, size := binary.Uvarint(chunk)
	return chunk[size : size+int(n)]
}

// share returns the arena as it is now. Keys that are appended to a later are not in it and touch no memory that it reads.
func (a *keyArena) share() keyArena { return keyArena{chunks: slices.Clone(a.chunks)} }

// reset empties the arena and keeps its memory.
func (a *keyArena) reset() {
	for i := range a.chunks {
		a.chunks[i] = a.chunks[i][:0]
	}
	a.current, a.used = 0, 0
}
