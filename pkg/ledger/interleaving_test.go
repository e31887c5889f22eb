package ledger_test

import (
	"maps"
	"slices"
	"testing"

	"pencere/pkg/ledger"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// part is what a subtask puts into a checkpoint: a source has counts, a window open groups too.
type part struct {
	counts ledger.Ledger
	open   map[int]int32 // nil for a source
}

// ack is a part on its way.
type ack struct {
	checkpoint, subtask int
	part
}

// acks are those of checkpoints that a job takes while its subtasks go on, and while acks are lost, doubled, and come in any order.
type acks struct {
	w        world
	truth    map[int]world        // what there was at each checkpoint's cut
	flying   []ack                // to the coordinator
	gathered map[int]map[int]part // by checkpoint and subtask, of this attempt
	newest   int                  // the last complete checkpoint, 0 for none
	complete world                // as its acks said
	last     int                  // the last checkpoint that was begun
}

// begin cuts all subtasks at the same records.
func (a *acks) begin() {
	a.last++
	cut := a.w.checkpoint()
	a.truth[a.last], a.gathered[a.last] = cut, map[int]part{}
	for i, counts := range cut.sources {
		a.flying = append(a.flying, ack{a.last, i, part{counts: counts}})
	}
	for i, own := range cut.windows {
		a.flying = append(a.flying, ack{a.last, len(cut.sources) + i, part(own)})
	}
}

// deliver lets an ack come once or more often, or never.
func (a *acks) deliver(t *rapid.T) {
	if len(a.flying) == 0 {
		return
	}
	i := rapid.IntRange(0, len(a.flying)-1).Draw(t, "ack")
	next := a.flying[i]
	fate := rapid.SampledFrom([]string{"comes", "comes", "comes", "is doubled", "is lost"}).Draw(t, "ack's fate")
	if fate != "is doubled" {
		a.flying = slices.Delete(a.flying, i, i+1)
	}
	subtasks, underWay := a.gathered[next.checkpoint]
	if fate == "is lost" || !underWay {
		return
	}
	subtasks[next.subtask] = next.part
	if len(subtasks) == len(a.w.sources)+len(a.w.windows) {
		a.finish(t, next.checkpoint)
	}
}

// finish checks a checkpoint that all subtasks have acked. Those before it will never be complete.
func (a *acks) finish(t *rapid.T, id int) {
	truth := a.truth[id]
	c := world{read: truth.read}
	for i := range len(a.gathered[id]) {
		if p := a.gathered[id][i]; p.open == nil {
			c.sources = append(c.sources, p.counts)
		} else {
			c.windows = append(c.windows, windows(p))
		}
	}
	all := c.ledger()
	if err := all.Balance(nil); err != nil {
		t.Fatalf("checkpoint %d: %v", id, err)
	}
	want := truth.ledger()
	if diff := cmp.Diff(want, all); diff != "" {
		t.Fatalf("checkpoint %d (-what there was +what its acks say):\n%s", id, diff)
	}
	for split, read := range truth.read {
		if e := all.Of(int32(split)); e.Read != int64(read) || e.Lost != int64(truth.lost[split]) {
			t.Fatalf("checkpoint %d: split %d has %d read and %d lost, want %d and %d", id, split, e.Read, e.Lost, read, truth.lost[split])
		}
	}
	a.newest, a.complete = id, truth
	a.complete.sources, a.complete.windows = c.sources, c.windows
	maps.DeleteFunc(a.gathered, func(other int, _ map[int]part) bool { return other <= id })
}

// fail ends the attempt: the next one goes on from the newest complete checkpoint, if there is one, and hears no ack of this one.
func (a *acks) fail(sources, windowSubtasks int) {
	clear(a.gathered)
	if a.newest == 0 {
		a.w = newWorld(len(a.w.read), sources, windowSubtasks)
		return
	}
	a.w = a.complete.restore(sources, windowSubtasks)
}

// Whatever becomes of the acks: a checkpoint that is complete accounts for the records of its own cut, each once, and so do all that go on
// from it, at any parallelism.
func TestRandomAcks(t *testing.T) {
	completed := 0
	rapid.Check(t, func(t *rapid.T) {
		subtasks := rapid.IntRange(1, 3)
		w := newWorld(rapid.IntRange(1, 4).Draw(t, "splits"), subtasks.Draw(t, "sources"), subtasks.Draw(t, "windows"))
		a := acks{w: w, truth: map[int]world{}, gathered: map[int]map[int]part{}}
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			switch rapid.IntRange(0, 14).Draw(t, "what") {
			case 0:
				a.begin()
			case 1:
				a.fail(subtasks.Draw(t, "sources"), subtasks.Draw(t, "windows"))
			case 2, 3, 4, 5, 6, 7:
				a.deliver(t)
			default:
				a.w.step(t)
			}
		}
		completed += a.newest
	})
	if completed == 0 {
		t.Error("no checkpoint was ever complete")
	}
}

// A part that counts twice is noticed, or balances in itself: then the sum has more records than were read.
func TestDoubledPart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(2, rapid.IntRange(1, 2).Draw(t, "sources"), 1)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			w.step(t)
		}
		all := w.ledger()
		before := all.Total()
		doubled := w.sources[rapid.IntRange(0, len(w.sources)-1).Draw(t, "source")]
		all.Merge(doubled)
		if all.Balance(nil) == nil && all.Total() == before && doubled.Total() != (ledger.Entry{}) {
			t.Fatalf("%+v counts twice, and nobody sees it", doubled)
		}
	})
}
