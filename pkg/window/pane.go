package window

import (
	"bytes"
	"math/bits"
	"reflect"
	"sync/atomic"

	"pencere/pkg/eventtime"
)

// pane is an open window: its groups, in the order in which their first rows came, and their aggregates.
//
// Groups are found by an open-addressing table without pointers. A slot holds the high half of the hash and the group's
// number plus one; 0 is free. The slot to begin at is the top bits of that half, so the table grows without looking at
// groups, and the low bits, which the rows of one subtask share by key group, play no part.
type pane struct {
	start        int64
	deadline     eventtime.Watermark // from which it fires
	expiry       eventtime.Watermark // from which it takes no row
	slots        []uint64            // a power of two
	shift        int                 // 32 less the number of its bits
	groups       paged[group]
	keys         keyArena
	runs         []splitRun // of groups whose first rows came from one split
	accumulators []accumulator

	lateRows

	// readers counts the snapshots that read this pane's memory. Only they touch it from another goroutine.
	readers atomic.Int32
}

// splitRun says that the first rows of the groups from number first up to the next run came from a split. It costs a row
// nothing and, as rows come in batches of one split, next to no memory.
type splitRun struct {
	first uint32
	split int32
}

// group is a key that has rows. The group's key group is rowkey.KeyGroup of its hash.
type group struct {
	hash uint64
	key  keyRef
}

const leastSlots = 64

func newPane(accumulators []accumulator) *pane {
	p := &pane{accumulators: accumulators}
	p.setSlots(make([]uint64, leastSlots))
	return p
}

func (p *pane) setSlots(slots []uint64) {
	p.slots, p.shift = slots, 32-bits.TrailingZeros(uint(len(slots)))
}

// home returns the slot at which the search for a hash begins.
func (p *pane) home(hash uint64) uint32 { return uint32(hash>>32) >> p.shift }

// find returns the number of the group of a key, which it adds if it is new. seen is what the hash's home slot held a moment
// ago: slots only ever go from free to taken, so a group seen there is still the one.
func (p *pane) find(hash uint64, key []byte, seen uint64) (number uint32, added bool) {
	if p.holds(seen, hash, key) {
		return uint32(seen) - 1, false
	}
	mask := uint32(len(p.slots) - 1)
	for i := p.home(hash); ; i = (i + 1) & mask {
		slot := p.slots[i]
		if slot == 0 {
			return p.add(hash, key, i), true
		}
		if p.holds(slot, hash, key) {
			return uint32(slot) - 1, false
		}
	}
}

// holds reports whether slot is that of the key's group.
func (p *pane) holds(slot, hash uint64, key []byte) bool {
	if slot>>32 != hash>>32 || slot == 0 {
		return false
	}
	g := p.groups.at(uint32(slot) - 1)
	return g.hash == hash && bytes.Equal(p.keys.at(g.key), key)
}

func (p *pane) add(hash uint64, key []byte, slot uint32) uint32 {
	number := uint32(p.groups.count)
	p.groups.append(group{hash: hash, key: p.keys.append(key)})
	p.slots[slot] = hash>>32<<32 | uint64(number+1)
	if p.groups.count > len(p.slots)/4*3 {
		p.growSlots()
	}
	return number
}

// attribute notes that the groups from number first on were opened by rows of a split.
func (p *pane) attribute(split int32, first int) {
	if first < p.groups.count && (len(p.runs) == 0 || p.runs[len(p.runs)-1].split != split) {
		p.runs = append(p.runs, splitRun{first: uint32(first), split: split})
	}
}

// eachRun calls visit with each run of groups, from first to before end.
func (p *pane) eachRun(visit func(split int32, first, end int)) {
	for i, run := range p.runs {
		end := p.groups.count
		if i+1 < len(p.runs) {
			end = int(p.runs[i+1].first)
		}
		visit(run.split, int(run.first), end)
	}
}

func (p *pane) growSlots() {
	old := p.slots
	p.setSlots(make([]uint64, 2*len(old)))
	mask := uint32(len(p.slots) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		i := uint32(slot>>32) >> p.shift
		for p.slots[i] != 0 {
			i = (i + 1) & mask
		}
		p.slots[i] = slot
	}
}

// memory returns about how many bytes the pane's groups take.
func (p *pane) memory() int64 {
	groupSize := int64(reflect.TypeFor[group]().Size())
	n := int64(len(p.slots))*8 + int64(p.groups.count)*groupSize + p.keys.used + int64(len(p.runs))*int64(reflect.TypeFor[splitRun]().Size())
	for _, a := range p.accumulators {
		n += a.memory()
	}
	return n
}

// sparse reports that the pane holds far more memory than its groups needed.
func (p *pane) sparse() bool {
	return len(p.slots) > leastSlots && p.groups.count < len(p.slots)/8 ||
		p.keys.allocated > mostChunk && p.keys.used < p.keys.allocated/8
}

// reset empties the pane and keeps its memory.
func (p *pane) reset() {
	clear(p.slots)
	p.groups.reset()
	p.keys.reset()
	p.runs = p.runs[:0]
	p.fired = false
	p.written()
	for _, a := range p.accumulators {
		a.reset()
	}
}
