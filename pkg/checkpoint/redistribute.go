package checkpoint

import (
	"cmp"
	"fmt"
	"slices"

	"pencere/pkg/ledger"
	"pencere/pkg/rowkey"
)

// SplitOwner returns the index of the source subtask that reads a split, by the split's number in the job. It is so for
// splits that are found later too.
func SplitOwner(number int32, parallelism int) int { return int(number) % parallelism }

// Redistribute returns what each of parallelism new subtasks of a vertex takes over from the states of its old ones, of which
// there may have been another number. Every key group, split, pending file and count goes to exactly one new subtask, and
// nothing but file numbers to two:
//
//   - a new subtask gets the keyed states that have key groups of its own range, and reads that range from them;
//   - a split goes to its SplitOwner;
//   - the pending files and transactions of old subtask i go to subtask i modulo parallelism. With another parallelism all new subtasks number
//     their files on from the highest number, so that a subtask that goes and comes back repeats none;
//   - the counts of a split go to its owner if the vertex reads it; else those of old subtask i go to i modulo parallelism. Open
//     is not taken over: it is counted anew from the keyed state.
//
// maxParallelism is that of the job now and must be the checkpoint's. A state whose key groups do not fit is an error.
func Redistribute(c Checkpoint, vertexID string, parallelism, maxParallelism int) ([]State, error) {
	if parallelism < 1 || parallelism > maxParallelism {
		return nil, fmt.Errorf("parallelism %d is not between 1 and max_parallelism %d", parallelism, maxParallelism)
	}
	old := c.OfVertex(vertexID)
	if len(old) > 0 && c.MaxParallelism != maxParallelism {
		return nil, fmt.Errorf("max_parallelism is %d and was %d in checkpoint %d: state cannot move between other key groups, set it back to %d",
			maxParallelism, c.MaxParallelism, c.ID, c.MaxParallelism)
	}
	next := make([]State, parallelism)
	for i := range next {
		next[i].Subtask = Subtask{VertexID: vertexID, Index: i}
	}
	if err := moveKeyed(next, old, maxParallelism); err != nil {
		return nil, fmt.Errorf("checkpoint %d: vertex %s: %w", c.ID, vertexID, err)
	}
	moveSplits(next, old)
	moveSinks(next, old, func(s *State) *Sink { return &s.Sink })
	moveSinks(next, old, func(s *State) *Sink { return &s.DeadLetters })
	moveLedgers(next, old)
	return next, nil
}

// moveKeyed gives new subtasks the keyed states that overlap their ranges, each cut to the range.
func moveKeyed(next, old []State, maxParallelism int) error {
	var all []Keyed
	for _, s := range old {
		all = append(all, s.Keyed...)
	}
	slices.SortFunc(all, func(a, b Keyed) int { return cmp.Compare(a.KeyGroups.First, b.KeyGroups.First) })
	for i, k := range all {
		if k.KeyGroups.First < 0 || k.KeyGroups.Last < k.KeyGroups.First || k.KeyGroups.Last >= maxParallelism {
			return fmt.Errorf("keyed state of key groups %d to %d, of %d", k.KeyGroups.First, k.KeyGroups.Last, maxParallelism)
		}
		if i > 0 && k.KeyGroups.Overlaps(all[i-1].KeyGroups) {
			return fmt.Errorf("two keyed states have key group %d", k.KeyGroups.First)
		}
	}
	for i := range next {
		own := KeyGroups{}
		own.First, own.Last = rowkey.Range(i, len(next), maxParallelism)
		for _, k := range all {
			if k.KeyGroups.Overlaps(own) {
				both := KeyGroups{First: max(own.First, k.KeyGroups.First), Last: min(own.Last, k.KeyGroups.Last)}
				next[i].Keyed = append(next[i].Keyed, Keyed{KeyGroups: both, Handle: k.Handle})
			}
		}
	}
	return nil
}

func moveSplits(next, old []State) {
	for _, s := range old {
		for _, split := range s.Splits {
			owner := &next[SplitOwner(split.Number, len(next))]
			owner.Splits = append(owner.Splits, split)
		}
	}
	for i := range next {
		slices.SortFunc(next[i].Splits, func(a, b Split) int { return cmp.Compare(a.Number, b.Number) })
	}
}

func moveSinks(next, old []State, of func(*State) *Sink) {
	highest := int64(0)
	for i := range old {
		from, taker := of(&old[i]), of(&next[i%len(next)])
		taker.Pending = append(taker.Pending, from.Pending...)
		taker.Transactions = append(taker.Transactions, from.Transactions...)
		taker.Next = from.Next
		highest = max(highest, from.Next)
	}
	if len(next) == len(old) {
		return
	}
	for i := range next {
		of(&next[i]).Next = highest
	}
}

func moveLedgers(next, old []State) {
	read := map[int32]bool{}
	for _, s := range old {
		for _, split := range s.Splits {
			read[split.Number] = true
		}
	}
	for i, s := range old {
		for _, e := range s.Ledger {
			taker := i % len(next)
			if read[e.Split] {
				taker = SplitOwner(e.Split, len(next))
			}
			e.Open = 0
			next[taker].Ledger.Merge(ledger.Ledger{e})
		}
	}
}
