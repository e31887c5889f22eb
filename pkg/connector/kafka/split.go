package kafka

import (
	"cmp"
	"fmt"
	"slices"
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

// Assign spreads the splits over so many subtasks (at least 1): the splits of subtask i are at index i. The subtasks'
// counts differ by at most 1, overall and in each topic, and depend on nothing but the splits' names.
func Assign(splits []Split, parallelism int) [][]Split {
	return Extend(make([][]Split, parallelism), splits)
}

// Extend spreads splits that were found later: it returns, at index i, those that subtask i takes over besides the
// ones it has, assigned[i], which it keeps. Each topic's counts still differ by at most 1; overall they are as near as
// that allows without moving a split.
func Extend(assigned [][]Split, found []Split) [][]Split {
	total := make([]int, len(assigned))
	ofTopic := make(map[string][]int)
	count := func(subtask int, topic string) {
		if ofTopic[topic] == nil {
			ofTopic[topic] = make([]int, len(assigned))
		}
		ofTopic[topic][subtask]++
		total[subtask]++
	}
	for i, splits := range assigned {
		for _, s := range splits {
			count(i, s.Topic)
		}
	}
	added := make([][]Split, len(assigned))
	for _, s := range slices.SortedFunc(slices.Values(found), compareSplits) {
		i := lightest(ofTopic[s.Topic], total)
		added[i] = append(added[i], s)
		count(i, s.Topic)
	}
	return added
}

// lightest returns the subtask with the fewest splits of the topic (nil: none has any), then the fewest of all.
func lightest(ofTopic, total []int) int {
	best := 0
	for i := range total {
		byTopic := 0
		if ofTopic != nil {
			byTopic = cmp.Compare(ofTopic[i], ofTopic[best])
		}
		if cmp.Or(byTopic, cmp.Compare(total[i], total[best])) < 0 {
			best = i
		}
	}
	return best
}
