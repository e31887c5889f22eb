package subtask

import (
	"fmt"
	"testing"
	"testing/synctest"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/ledger"
)

// lose has a split find that the records from wanted up to first are gone.
func (p *pipeline) lose(number int32, wanted, first int64, truncated bool) {
	loss := &kafka.DataLossError{Topic: "listings", Partition: number, Wanted: wanted, First: first, Truncated: truncated}
	owner, at := p.reading(number)
	p.readers[owner].put(kafka.Fetch{Split: at, Next: first, Loss: loss})
}

// losses are what a checkpoint says is lost of a split.
func losses(c *checkpoint.Checkpoint, split int32) string {
	counts := c.Ledger()
	e := counts.Of(split)
	return fmt.Sprintf("%d lost, %d truncations, %d read", e.Lost, e.Truncations, e.Read)
}

// What is lost is counted once, however often the job goes on from a checkpoint, at any parallelism: a loss that no checkpoint has is met again.
func TestRestoreLosses(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 2}, {2, 1}, {2, 3}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				p := newPipeline(t, dir)
				defer p.stop()
				p.start(size[0], nil)
				p.lose(0, 0, 3, false)
				p.put(0, 5, 10, 20)
				first := p.checkpoint(1)
				p.lose(1, 0, 7, false)
				p.lose(0, 5, 2, true)
				p.stop()

				p.start(size[1], first)
				if got := losses(p.checkpoint(2), 0); got != "3 lost, 0 truncations, 2 read" {
					t.Errorf("after a restore: %s", got)
				}
				p.lose(1, 0, 9, false)
				p.lose(0, 5, 2, true)
				p.lose(0, 2, 4, false)
				second := p.checkpoint(3)
				p.stop()

				p.start(size[0], second)
				third := p.checkpoint(4)
				for split, want := range []string{"5 lost, 1 truncations, 2 read", "9 lost, 0 truncations, 0 read"} {
					if got := losses(third, int32(split)); got != want {
						t.Errorf("split %d: %s, want %s", split, got, want)
					}
				}
			})
		})
	}
}

// A bounded split has lost only what it was to read.
func TestLossBeyondTheEnd(t *testing.T) {
	from := checkpoint.State{
		Subtask: checkpoint.Subtask{VertexID: "v"}, Splits: []checkpoint.Split{{Number: 0, Topic: "listings", Next: 2, Stop: 8}},
		Ledger: ledger.Ledger{{Split: 0, Lost: 1}},
	}
	goOn(t, "bounded\n", 1, from, func(w *world) {
		w.reader.put(kafka.Fetch{Next: 10, Loss: &kafka.DataLossError{Wanted: 2, First: 10}})
		w.reader.put(kafka.Fetch{Next: 10, Done: true})
		if lost := w.over(0).Ledger.Total().Lost; lost != 1+6 {
			t.Errorf("%d records are lost", lost)
		}
		if lost := w.task.Metrics().GetLostRecords(); lost != 6 {
			t.Errorf("the attempt says that it lost %d", lost)
		}
	})
}
