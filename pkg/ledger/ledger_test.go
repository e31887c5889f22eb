package ledger_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pencere/pkg/ledger"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestImbalance(t *testing.T) {
	topic := func(split int32) string { return []string{"cars-0", "cars-1"}[split] }
	for _, c := range []struct {
		entry ledger.Entry
		want  string
	}{
		{ledger.Entry{Split: 1, Read: 7, Emitted: 2, Filtered: 1, Late: 1, DeadLettered: 1, Skipped: 1, Collapsed: 1}, ""},
		{ledger.Entry{Split: 1, Read: 7, Emitted: 2, Open: 4}, "ledger of split cars-1 does not balance: 7 read, 2 emitted, 4 open: 1 missing"},
		{ledger.Entry{Split: 0, Read: 7}, "ledger of split cars-0 does not balance: 7 read, none accounted for: 7 missing"},
		{ledger.Entry{Split: 0, Read: 7, Emitted: 5, Collapsed: 4}, "ledger of split cars-0 does not balance: 7 read, 5 emitted, 4 collapsed: 2 too many"},
		{ledger.Entry{Split: 1, Read: 1, Emitted: 1, Lost: 9, Truncations: 2}, ""},
		{ledger.Entry{Split: 1, Read: 1, Emitted: 1, Lost: -1}, "ledger of split cars-1 does not balance: 1 read, 1 emitted: a count is negative"},
		{ledger.Entry{Split: 0, Read: 7, Emitted: 8, Open: -1}, "ledger of split cars-0 does not balance: 7 read, 8 emitted, -1 open: a count is negative"},
	} {
		err := ledger.Ledger{c.entry}.Balance(topic)
		if err == nil && c.want == "" {
			continue
		}
		var imbalance *ledger.ImbalanceError
		if !errors.As(err, &imbalance) || err.Error() != c.want || imbalance.Entry != c.entry {
			t.Errorf("%+v: error is %v, want %q", c.entry, err, c.want)
		}
	}
	err := ledger.Ledger{{Split: 3, Read: 1}, {Split: 4, Read: 1, Late: 1}, {Split: 9, Late: 1}}.Balance(nil)
	want := "ledger of split number 3 does not balance: 1 read, none accounted for: 1 missing\n" +
		"ledger of split number 9 does not balance: 0 read, 1 late: 1 too many"
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v, want\n%s", err, want)
	}
}

// world is a job that reads splits, drops rows on the way, exchanges the others by their key, and keeps the first of each key
// until its window fires. Each subtask knows only its own part.
type world struct {
	sources []ledger.Ledger
	windows []windows
	read    []int // records, by split
	lost    []int // those that were gone, by split
}

type windows struct {
	counts ledger.Ledger // but for open groups
	open   map[int]int32 // the split of the first row, by key
}

func (w *world) step(t *rapid.T) {
	split := rapid.IntRange(0, len(w.read)-1).Draw(t, "split")
	source := w.sources[split%len(w.sources)].Of(int32(split))
	if rapid.IntRange(0, 9).Draw(t, "gap") == 0 {
		n := rapid.IntRange(1, 5).Draw(t, "lost")
		w.lost[split] += n
		source.Lost += int64(n)
	}
	w.read[split]++
	source.Read++
	switch rapid.SampledFrom([]string{"filtered", "late", "dead", "skipped", "key", "key", "key", "fire"}).Draw(t, "fate") {
	case "filtered":
		source.Filtered++
	case "late":
		source.Late++
	case "dead":
		source.DeadLettered++
	case "skipped":
		source.Skipped++
	case "key":
		w.take(int32(split), rapid.IntRange(0, 5).Draw(t, "key"))
	case "fire":
		source.Emitted++ // a row that no window holds
		w.fire()
	}
}

func (w *world) take(split int32, key int) {
	own := &w.windows[key%len(w.windows)]
	if _, found := own.open[key]; found {
		own.counts.Of(split).Collapsed++
		return
	}
	own.open[key] = split
}

func (w *world) fire() {
	for i := range w.windows {
		for _, split := range w.windows[i].open {
			w.windows[i].counts.Of(split).Emitted++
		}
		clear(w.windows[i].open)
	}
}

// checkpoint returns what the subtasks hold, copied.
func (w *world) checkpoint() (c world) {
	c.read, c.lost = slices.Clone(w.read), slices.Clone(w.lost)
	for _, s := range w.sources {
		c.sources = append(c.sources, slices.Clone(s))
	}
	for _, own := range w.windows {
		c.windows = append(c.windows, windows{counts: slices.Clone(own.counts), open: maps.Clone(own.open)})
	}
	return c
}

// restore makes the world that a checkpoint describes, with other numbers of subtasks.
func (w *world) restore(sources, windowSubtasks int) (r world) {
	r = newWorld(len(w.read), sources, windowSubtasks)
	copy(r.read, w.read)
	copy(r.lost, w.lost)
	for _, old := range w.sources {
		for _, e := range old {
			r.sources[int(e.Split)%sources].Of(e.Split).Add(e)
		}
	}
	for i, old := range w.windows {
		r.windows[i%windowSubtasks].counts.Merge(old.counts)
		for k, s := range old.open {
			r.windows[k%windowSubtasks].open[k] = s
		}
	}
	return r
}

func newWorld(splits, sources, windowSubtasks int) world {
	w := world{sources: make([]ledger.Ledger, sources), windows: make([]windows, windowSubtasks), read: make([]int, splits), lost: make([]int, splits)}
	for i := range w.windows {
		w.windows[i].open = map[int]int32{}
	}
	return w
}

func (w *world) ledger() ledger.Ledger {
	var all ledger.Ledger
	for _, s := range w.sources {
		all.Merge(s)
	}
	for _, own := range w.windows {
		all.Merge(own.counts)
		for _, split := range own.open {
			all.Of(split).Open++
		}
	}
	return all
}

// Whatever becomes of records, and however often the job goes back to a checkpoint at another parallelism, each checkpoint
// balances and counts each record once; and a record more or less is noticed.
func TestRandomFates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subtasks := rapid.IntRange(1, 3)
		w := newWorld(rapid.IntRange(1, 4).Draw(t, "splits"), subtasks.Draw(t, "sources"), subtasks.Draw(t, "windows"))
		last := w.checkpoint()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				last = w.checkpoint()
			case 1:
				w = last.restore(subtasks.Draw(t, "sources"), subtasks.Draw(t, "windows"))
				last = w.checkpoint()
			default:
				w.step(t)
			}
		}
		all := w.ledger()
		if err := all.Balance(nil); err != nil {
			t.Fatal(err)
		}
		for split, read := range w.read {
			if got := all.Of(int32(split)); got.Read != int64(read) || got.Lost != int64(w.lost[split]) {
				t.Fatalf("split %d has %d records read and %d lost, want %d and %d", split, got.Read, got.Lost, read, w.lost[split])
			}
		}
		tamper(t, all)
	})
}

// tamper changes one count and wants it noticed.
func tamper(t *rapid.T, all ledger.Ledger) {
	i := rapid.IntRange(0, len(all)-1).Draw(t, "entry")
	counts := all[i].Counts()
	counts[rapid.IntRange(0, len(counts)-1).Draw(t, "count")] += rapid.SampledFrom([]int64{-1, 1}).Draw(t, "by")
	all[i] = ledger.EntryOf(all[i].Split, counts)
	var imbalance *ledger.ImbalanceError
	if err := all.Balance(nil); !errors.As(err, &imbalance) || imbalance.Entry != all[i] {
		t.Fatalf("entry %+v does not balance, yet the error is %v", all[i], err)
	}
}

func TestMerge(t *testing.T) {
	var l ledger.Ledger
	l.Merge(ledger.Ledger{{Split: 5, Read: 2}, {Split: 9, Late: 1}})
	l.Merge(ledger.Ledger{{Split: 2, Open: 4}, {Split: 5, Read: 1, Skipped: 3}})
	want := ledger.Ledger{{Split: 2, Open: 4}, {Split: 5, Read: 3, Skipped: 3}, {Split: 9, Late: 1}}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Error(diff)
	}
	if got, want := l.Total(), (ledger.Entry{Read: 3, Skipped: 3, Open: 4, Late: 1}); got != want {
		t.Errorf("total is %+v, want %+v", got, want)
	}
}
