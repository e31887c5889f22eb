package checkpoint_test

import (
	"fmt"
	"testing"

	"pencere/pkg/checkpoint"
	"pencere/pkg/ledger"
	"pencere/pkg/rowkey"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const vertex = "v"

// world makes a checkpoint of a vertex that reads splits, keeps keyed state, and writes files, all at once.
func world(parallelism, maxParallelism, splits int) checkpoint.Checkpoint {
	c := checkpoint.Checkpoint{ID: 1, MaxParallelism: maxParallelism}
	for i := range parallelism {
		own := checkpoint.KeyGroups{}
		own.First, own.Last = rowkey.Range(i, parallelism, maxParallelism)
		c.States = append(c.States, checkpoint.State{
			Subtask: checkpoint.Subtask{VertexID: vertex, Index: i},
			Keyed:   []checkpoint.Keyed{{KeyGroups: own, Handle: checkpoint.Handle{Blob: checkpoint.Blob{Key: fmt.Sprint("blob", i), Size: 1}}}},
			Sink:    checkpoint.Sink{Next: int64(10 + i), Pending: []checkpoint.PartFile{{Hidden: fmt.Sprint("file", i)}}},
		})
	}
	for number := range int32(splits) {
		owner := &c.States[checkpoint.SplitOwner(number, parallelism)]
		owner.Splits = append(owner.Splits, checkpoint.Split{Number: number, Next: int64(number) * 10})
		owner.Ledger = append(owner.Ledger, ledger.Entry{Split: number, Read: 5, Filtered: 1})
	}
	for i := range c.States { // what another vertex read
		c.States[i].Ledger = append(c.States[i].Ledger, ledger.Entry{Split: 1000, Read: 3, Collapsed: 2, Emitted: 1, Open: 7})
	}
	return c
}

// Every key group, split, pending file and count has one new owner, whatever the old and the new parallelism, also when state
// moves twice.
func TestRedistribute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxParallelism := rapid.IntRange(1, 40).Draw(t, "key groups")
		parallelism := rapid.IntRange(1, maxParallelism)
		c := world(parallelism.Draw(t, "old"), maxParallelism, rapid.IntRange(0, 9).Draw(t, "splits"))
		want := contents(c)
		for range 2 {
			p := parallelism.Draw(t, "new")
			states, err := checkpoint.Redistribute(c, vertex, p, maxParallelism)
			if err != nil {
				t.Fatal(err)
			}
			c.States = states
			if diff := cmp.Diff(want, contents(c)); diff != "" {
				t.Fatal(diff)
			}
			for i, s := range states {
				checkOwner(t, s, i, p, maxParallelism)
			}
		}
	})
}

// contents lists all that a checkpoint has, however it lies; what is there twice is listed twice.
func contents(c checkpoint.Checkpoint) map[string]int {
	found := map[string]int{}
	for _, s := range c.States {
		for _, k := range s.Keyed {
			for keyGroup := k.KeyGroups.First; keyGroup <= k.KeyGroups.Last; keyGroup++ {
				found[fmt.Sprint("key group ", keyGroup, " of ", k.Handle.Blob.Key)]++
			}
		}
		for _, split := range s.Splits {
			found[fmt.Sprint("split ", split.Number, " at ", split.Next)]++
		}
		for _, p := range s.Sink.Pending {
			found["pending "+p.Hidden]++
		}
	}
	for _, e := range c.Ledger() {
		e.Open = 0
		found[fmt.Sprintf("%+v", e)]++
	}
	return found
}

func checkOwner(t *rapid.T, s checkpoint.State, index, parallelism, maxParallelism int) {
	if s.Subtask != (checkpoint.Subtask{VertexID: vertex, Index: index}) {
		t.Fatalf("subtask %d is %+v", index, s.Subtask)
	}
	for _, k := range s.Keyed {
		for _, keyGroup := range []int{k.KeyGroups.First, k.KeyGroups.Last} {
			if rowkey.Subtask(keyGroup, parallelism, maxParallelism) != index {
				t.Fatalf("key group %d goes to subtask %d", keyGroup, index)
			}
		}
	}
	if open := s.Ledger.Total().Open; open != 0 {
		t.Fatalf("subtask %d takes over %d open groups, which its keyed state counts", index, open)
	}
	for _, split := range s.Splits {
		if e := s.Ledger.Of(split.Number); e.Read != 5 || checkpoint.SplitOwner(split.Number, parallelism) != index {
			t.Fatalf("split %d goes to subtask %d, with %+v", split.Number, index, e)
		}
	}
}

// File numbers stay with their subtask while the parallelism does; with another one none is used again.
func TestRedistributeFileNumbers(t *testing.T) {
	for parallelism, want := range map[int]string{1: "[12]", 2: "[12 12]", 3: "[10 11 12]", 4: "[12 12 12 12]"} {
		states, err := checkpoint.Redistribute(world(3, 128, 0), vertex, parallelism, 128)
		if err != nil {
			t.Fatal(err)
		}
		var numbers []int64
		for _, s := range states {
			numbers = append(numbers, s.Sink.Next)
		}
		if got := fmt.Sprint(numbers); got != want {
			t.Errorf("parallelism %d: next numbers %s, want %s", parallelism, got, want)
		}
	}
}

func TestRedistributeRefuses(t *testing.T) {
	overlap, outside := world(2, 8, 0), world(2, 8, 0)
	overlap.States[1].Keyed[0].KeyGroups.First = 3
	outside.States[1].Keyed[0].KeyGroups.Last = 8
	for _, c := range []struct {
		checkpoint                  checkpoint.Checkpoint
		parallelism, maxParallelism int
		want                        string
	}{
		{world(2, 128, 0), 2, 256, "max_parallelism is 256 and was 128 in checkpoint 1: state cannot move between other key groups, set it back to 128"},
		{world(2, 8, 0), 9, 8, "parallelism 9 is not between 1 and max_parallelism 8"},
		{world(2, 8, 0), 0, 8, "parallelism 0 is not between 1 and max_parallelism 8"},
		{overlap, 2, 8, "checkpoint 1: vertex v: two keyed states have key group 3"},
		{outside, 2, 8, "checkpoint 1: vertex v: keyed state of key groups 4 to 8, of 8"},
	} {
		_, err := checkpoint.Redistribute(c.checkpoint, vertex, c.parallelism, c.maxParallelism)
		if err == nil || err.Error() != c.want {
			t.Errorf("error is %v, want %s", err, c.want)
		}
	}
	states, err := checkpoint.Redistribute(world(2, 8, 0), "new", 2, 16)
	if err != nil || len(states) != 2 || len(states[0].Keyed) > 0 {
		t.Errorf("a vertex without state: %+v, %v", states, err)
	}
}

func TestPaths(t *testing.T) {
	dir := checkpoint.Dir{JobID: "a1b2", ID: 12}
	subtask := checkpoint.Subtask{VertexID: "v", Index: 3}
	if got, want := dir.StateKey(subtask, 4), "a1b2/chk-12/v-3-4"; got != want {
		t.Errorf("key is %s, want %s", got, want)
	}
	dir.Kind = checkpoint.Stop
	if got, want := dir.StateKey(subtask, 4)+" "+dir.ManifestKey(), "a1b2/savepoint-12/v-3-4 a1b2/savepoint-12/_metadata"; got != want {
		t.Errorf("keys are %s, want %s", got, want)
	}
}

// What an attempt that is over made, and what is for a checkpoint that another has superseded, is nobody's unless a checkpoint holds it.
func TestOrphans(t *testing.T) {
	inUse := []checkpoint.Blob{{Key: "j/chk-5/v-0-1"}, {Key: "j/chk-0/v-1-1"}}
	for key, orphan := range map[string]bool{
		"j/chk-5/v-0-1":            false, // in use
		"j/chk-0/v-1-1":            false, // in use: of a subtask that ended
		"j/chk-0/v-1-2":            false, // the running attempt's, of a subtask that ended
		"j/chk-6/v-0-2":            false, // the running attempt's, for the next checkpoint
		"j/chk-6/v-0-1":            true,  // never completed
		"j/chk-6/v-0-1.123.tmp":    true,  // never even written
		"j/chk-0/v-0-1":            true,  // never part of a checkpoint
		"j/chk-4/v-0-2":            true,  // aborted or superseded
		"j/savepoint-3/v-0-0":      true,  // copied when the job began
		"j/chk-x/v-0-1":            false, // not made here, nor are the rest
		"j/chk-4":                  false,
		"j/chk-4/v":                false,
		"j/readme":                 false,
		"jj/chk-1/v-0-0":           false,
		"other/chk-1/v-0-0":        false,
		"other/j/chk-1/v-0-0":      false,
		"j/chk-1/v-0-0/more-1":     false,
		"j/chk-4/v-0-notanattempt": false,
	} {
		if got := len(checkpoint.Orphans("j", []string{key}, inUse, 2, 5)) > 0; got != orphan {
			t.Errorf("%s is an orphan: %t", key, got)
		}
	}
}
