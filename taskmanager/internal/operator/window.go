package operator

import (
	"context"
	"fmt"
	"io"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/ledger"
	"pencere/pkg/plan"
	"pencere/pkg/window"
	"pencere/taskmanager/internal/exchange"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Window is the chain of a keyed vertex: it keeps the open windows of its key groups, and what they hold when they fire goes
// to the sink.
type Window struct {
	store    *window.Store
	inputs   *eventtime.Combiner[int]
	open     int // inputs that have not ended
	reached  eventtime.Watermark
	fired    bool // rows were written that no checkpoint holds
	sink     *Sink
	counters *Counters
	budget   int64 // bytes of state; 0 is no bound
	name     string
}

// NewWindow returns the chain of a program's keyed vertex with so many inputs. budget bounds its state, in bytes; 0 does not.
func NewWindow(p *plan.Program, inputs int, sink *Sink, counters *Counters, alloc memory.Allocator, budget int64) (*Window, error) { //nolint:revive // what it is wired to, each of a type of its own
	store, err := window.NewStore(windowConfig(p, alloc))
	if err != nil {
		return nil, fmt.Errorf("window: %w", err)
	}
	w := &Window{
		store: store, inputs: eventtime.NewCombiner[int](), open: inputs, reached: eventtime.None, sink: sink,
		counters: counters, budget: budget, name: p.Vertices[len(p.Vertices)-1].Name,
	}
	for i := range inputs {
		w.inputs.Add(i)
	}
	return w, nil
}

// Restore takes over what an old subtask had of the key groups that are this one's now: size bytes of state.
func (w *Window) Restore(state io.ReaderAt, size int64, keyGroups checkpoint.KeyGroups) error {
	if err := w.store.Restore(state, size, keyGroups); err != nil {
		return fmt.Errorf("restore windows: %w", err)
	}
	w.count()
	return nil
}

// count shows the open windows and their groups.
func (w *Window) count() {
	open, groups := w.store.OpenWindows(), 0
	for _, o := range open {
		groups += o.Groups
	}
	w.counters.OpenWindows.Store(int64(len(open)))
	w.counters.OpenGroups.Store(int64(groups))
}

// NextToFire returns the n open windows that begin first, or all when there are fewer.
func (w *Window) NextToFire(n int) []window.OpenWindow {
	open := w.store.OpenWindows()
	return open[:min(n, len(open))]
}

// Snapshot returns the open windows as they are now, and what became of rows since the attempt began.
func (w *Window) Snapshot() (*window.Snapshot, ledger.Ledger) {
	return w.store.Snapshot(), w.store.Ledger()
}

// TakeFired reports whether windows have fired since the last call.
func (w *Window) TakeFired() bool {
	fired := w.fired
	w.fired = false
	return fired
}

// Element processes an element of an input other than a barrier. done says that all inputs have ended.
func (w *Window) Element(ctx context.Context, input int, e exchange.Element) (done bool, err error) {
	switch e.Kind {
	case exchange.Batch:
		w.inputs.SetIdle(input, false)
		return false, w.add(ctx, e.Split, e.Batch)
	case exchange.Watermark:
		w.inputs.SetIdle(input, false)
		w.inputs.Update(input, e.Watermark)
	case exchange.Idle:
		w.inputs.SetIdle(input, true)
	case exchange.EndOfInput:
		w.inputs.SetIdle(input, false)
		w.inputs.Update(input, eventtime.End)
		w.open--
	case exchange.Barrier, exchange.Nudge: // the subtask's own to handle
		return false, nil
	}
	if err := w.advance(ctx); err != nil {
		return false, err
	}
	return w.open == 0, nil
}

func (w *Window) add(ctx context.Context, split int32, batch arrow.RecordBatch) error {
	defer batch.Release()
	w.counters.RecordsIn.Add(batch.NumRows())
	w.counters.BytesIn.Add(bufferBytes(batch))
	added, err := w.store.Add(split, batch)
	if err != nil {
		return err
	}
	w.counters.Collapsed.Add(int64(added.Collapsed))
	w.counters.LateAfterIdle.Add(int64(added.Late))
	if err := w.WriteAnew(ctx); err != nil {
		return err
	}
	w.count()
	return w.checkBudget()
}

// WriteAnew writes the rows of groups that have changed since their window fired. Rows that are added within the allowed lateness do
// that, and so may Restore.
func (w *Window) WriteAnew(ctx context.Context) error {
	return w.store.Update(func(batch arrow.RecordBatch) error { return w.write(ctx, batch) })
}

// write writes rows of a window.
func (w *Window) write(ctx context.Context, batch arrow.RecordBatch) error {
	w.fired = true
	w.sink.InWindow(bounds(batch))
	return w.sink.Rows(ctx, Rows{Batch: batch})
}

// checkBudget fails the job before its windows take memory that the taskmanager does not have.
func (w *Window) checkBudget() error {
	bytes := int64(0)
	if w.budget > 0 {
		bytes = w.store.Memory()
	}
	if bytes <= w.budget {
		return nil
	}
	return fmt.Errorf("%s: %d open windows hold %d MiB, more than this taskmanager's %d MiB of state: "+
		"give taskmanagers more --memory, run more of them, or make the window or its allowed lateness smaller",
		w.name, w.counters.OpenWindows.Load(), bytes>>20, w.budget>>20)
}

// advance fires the windows that the inputs have passed.
func (w *Window) advance(ctx context.Context) error {
	watermark, _ := w.inputs.Watermark()
	if watermark <= w.reached {
		return nil
	}
	w.reached = watermark
	w.counters.InputWatermark.Store(int64(watermark))
	err := w.store.Fire(watermark, func(batch arrow.RecordBatch) error { return w.write(ctx, batch) })
	if err != nil {
		return err
	}
	if w.fired {
		w.count()
	}
	return w.sink.Watermark(ctx, watermark)
}

// bounds returns the start and the end of the window whose rows a batch of a Store has, in ms.
func bounds(batch arrow.RecordBatch) (start, end int64) {
	columns := batch.Columns()
	first := func(column arrow.Array) int64 { return column.(*array.Decimal128).Value(0).HighBits() }
	return first(columns[len(columns)-2]), first(columns[len(columns)-1])
}
