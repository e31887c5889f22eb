package manifest

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
)

// partition is a Kafka partition as a key.
type partition struct {
	topic string
	index int32
}

// judgeOffsets looks for offsets that checkpoints leave out or cover twice, and sums up those that they cover. After
// an entry that is missing or not to be trusted it is not known where a partition was; that is reported already.
func (a *audit) judgeOffsets(c *chain) {
	var covered []OffsetRange
	positions := map[partition]int64{}
	next := int64(0)
	var checkpoint *Checkpoint // whose offsets are in positions
	for _, found := range c.entries {
		e := found.Entry
		if e.Sequence != next || c.suspect[e.Sequence] {
			clear(positions)
		}
		next = e.Sequence + 1
		if c.suspect[e.Sequence] {
			checkpoint = nil
			continue
		}
		if checkpoint != nil && checkpoint.ID == e.Checkpoint.ID && e.Kind != KindEnd {
			a.sameCheckpoint(c, found, *checkpoint)
			continue
		}
		checkpoint = &e.Checkpoint
		covered = append(covered, e.Checkpoint.Offsets...)
		c.count(e.Checkpoint.ID)
		for _, r := range e.Checkpoint.Offsets {
			a.follow(c, found, r, positions)
		}
	}
	c.report.Offsets = union(covered)
}

// count counts a checkpoint, which may come again with the end of the chain.
func (c *chain) count(checkpoint int64) {
	r := &c.report
	if r.Checkpoints == 0 {
		r.FirstCheckpoint = checkpoint
	} else if checkpoint == r.LastCheckpoint {
		return
	}
	r.Checkpoints++
	r.LastCheckpoint = checkpoint
}

// sameCheckpoint compares what entries of one checkpoint have in common.
func (a *audit) sameCheckpoint(c *chain, found FoundEntry, want Checkpoint) {
	got := found.Entry.Checkpoint
	if !bytes.Equal(got.appendCanonical(nil), want.appendCanonical(nil)) {
		a.problem(ChainBroken, path.Join(Dir, found.Name), c.job, Difference{
			"checkpoint, which the entry before has too", fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)})
	}
}

// follow compares a range with where the partition was, and moves it on.
func (a *audit) follow(c *chain, found FoundEntry, r OffsetRange, positions map[partition]int64) {
	key := partition{r.Topic, r.Partition}
	if at, known := positions[key]; known && at != r.From {
		kind := Gap
		if r.From < at {
			kind = Overlap
		}
		file := path.Join(Dir, found.Name)
		if found.Entry.File != nil {
			file = found.Entry.File.Name
		}
		a.problem(kind, file, c.job, intsDiffer("first offset of "+r.partition(), at, r.From))
	}
	positions[key] = r.To
}

// union returns the offsets of ranges in as few ranges as there can be.
func union(ranges []OffsetRange) []OffsetRange {
	slices.SortFunc(ranges, func(a, b OffsetRange) int { return cmp.Or(comparePartitions(a, b), cmp.Compare(a.From, b.From)) })
	merged := []OffsetRange{}
	for _, r := range ranges {
		if n := len(merged); n > 0 && comparePartitions(merged[n-1], r) == 0 && r.From <= merged[n-1].To {
			merged[n-1].To = max(merged[n-1].To, r.To)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}
