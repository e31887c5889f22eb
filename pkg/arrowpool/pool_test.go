package arrowpool_test

import (
	"testing"
	"unsafe"

	"pencere/pkg/arrowpool"

	"pgregory.net/rapid"
)

// Whatever the order of calls, two live buffers never share a byte, and what was written stays.
func TestBuffersAreApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := arrowpool.New(1 << 20)
		type live struct {
			bytes []byte
			mark  byte
		}
		var all []live
		fill := func(l live) {
			for i := range l.bytes {
				l.bytes[i] = l.mark
			}
		}
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			mark := byte(step + 1)
			switch {
			case len(all) == 0 || rapid.Bool().Draw(t, "allocate"):
				l := live{pool.Allocate(rapid.IntRange(0, 5000).Draw(t, "size")), mark}
				if len(l.bytes) > 0 && uintptr(unsafe.Pointer(&l.bytes[0]))%64 != 0 {
					t.Fatal("buffer is not aligned to 64 bytes")
				}
				fill(l)
				all = append(all, l)
			case rapid.Bool().Draw(t, "grow"):
				i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
				before := len(all[i].bytes)
				all[i].bytes = pool.Reallocate(rapid.IntRange(0, 9000).Draw(t, "new size"), all[i].bytes)
				for j := range min(before, len(all[i].bytes)) {
					if all[i].bytes[j] != all[i].mark {
						t.Fatalf("byte %d was lost in growing", j)
					}
				}
				fill(all[i])
			default:
				i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
				pool.Free(all[i].bytes)
				all = append(all[:i], all[i+1:]...)
			}
			for _, l := range all {
				for i, b := range l.bytes {
					if b != l.mark {
						t.Fatalf("buffer with mark %d holds %d at %d", l.mark, b, i)
					}
				}
			}
		}
	})
}

func TestReuse(t *testing.T) {
	pool := arrowpool.New(4096)
	first := pool.Allocate(3000)
	pool.Free(first)
	if second := pool.Allocate(2500); &second[0] != &first[0] {
		t.Error("a freed buffer of the same class was not reused")
	}
	a, b := pool.Allocate(4096), pool.Allocate(4096)
	pool.Free(a)
	pool.Free(b) // beyond the limit
	if again := pool.Allocate(4096); &again[0] != &a[0] {
		t.Error("the kept buffer was not reused")
	}
	if again := pool.Allocate(4096); &again[0] == &b[0] {
		t.Error("a buffer beyond the limit was kept")
	}
}
