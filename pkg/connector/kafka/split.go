package kafka

import (
	"cmp"
	"fmt"
)

// Unbounded is the Stop of a split that has no end.
const Unbounded int64 = -1

// Split is a partition, or what a bounded job reads of it. Offsets are numbers, never "latest": they mean the same
// whenever the split is read again.
type Split struct {
	Topic     string
	Partition int32
	// Start is the offset of the next record to read.
	Start int64
	// Stop is the offset before which reading ends, or Unbounded.
	Stop int64
}

// ID names the split within its job: "topic-3".
func (s Split) ID() string { return fmt.Sprintf("%s-%d", s.Topic, s.Partition) }

// empty says whether there is nothing to read, now or ever.
func (s Split) empty() bool { return s.Stop != Unbounded && s.Start >= s.Stop }

func (s Split) key() partition { return partition{s.Topic, s.Partition} }

// partition is what identifies a split among those of a job.
type partition struct {
	topic  string
	number int32
}

func compareSplits(a, b Split) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}
