package polling

import (
	"container/list"

	"github.com/zeebo/xxh3"
)

// Digest stands for the bytes of an item, or for its key. Two that differ have the same one with a probability of 2^-64.
type Digest uint64

// DigestOf returns the digest of bytes.
func DigestOf(text []byte) Digest { return Digest(xxh3.Hash(text)) }

// Seen remembers how items looked when they came last, by their keys. Of more keys than its limit it forgets those that did not
// come for the longest time: such an item counts as new when it comes again.
type Seen struct {
	limit     int
	order     *list.List // of sighting, the one that came last in front
	byKey     map[Digest]*list.Element
	forgotten int64
}

type sighting struct{ key, item Digest }

// NewSeen returns a Seen that remembers nothing, and never more than limit keys.
func NewSeen(limit int) *Seen {
	return &Seen{limit: limit, order: list.New(), byKey: make(map[Digest]*list.Element)}
}

// Observe notes an item and reports whether it is as it was when its key came last.
func (s *Seen) Observe(key, item Digest) (unchanged bool) {
	if e := s.byKey[key]; e != nil {
		before := e.Value.(sighting)
		e.Value = sighting{key, item}
		s.order.MoveToFront(e)
		return before.item == item
	}
	s.byKey[key] = s.order.PushFront(sighting{key, item})
	if s.order.Len() > s.limit {
		oldest := s.order.Back()
		delete(s.byKey, s.order.Remove(oldest).(sighting).key)
		s.forgotten++
	}
	return false
}

// Len returns the number of keys that are remembered.
func (s *Seen) Len() int { return s.order.Len() }

// Forgotten returns how many keys have been forgotten.
func (s *Seen) Forgotten() int64 { return s.forgotten }
