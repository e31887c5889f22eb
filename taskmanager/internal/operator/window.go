package operator

import (
	"context"
	"fmt"

	"pencere/pkg/eventtime"
	"pencere/pkg/plan"
	"pencere/pkg/window"
	"pencere/taskmanager/internal/exchange"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Window is the chain of a keyed vertex: it keeps the open windows of its key groups, and what they hold when they fire goes
// to the sink.
type Window struct {
	store    *window.Store
	inputs   *eventtime.Combiner[int]
	open     int // inputs that have not ended
	reached  eventtime.Watermark
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

// Element processes an element of an input. done says that all inputs have ended and everything is written.
func (w *Window) Element(ctx context.Context, input int, e exchange.Element) (done bool, err error) {
	switch e.Kind {
	case exchange.Batch:
		w.inputs.SetIdle(input, false)
		return false, w.add(e.Batch)
	case exchange.Watermark:
		w.inputs.SetIdle(input, false)
		w.inputs.Update(input, e.Watermark)
	case exchange.Idle:
		w.inputs.SetIdle(input, true)
	case exchange.EndOfInput:
		w.inputs.SetIdle(input, false)
		w.inputs.Update(input, eventtime.End)
		w.open--
	}
	if err := w.advance(ctx); err != nil {
		return false, err
	}
	if w.open > 0 {
		return false, nil
	}
	return true, w.sink.End(ctx)
}

func (w *Window) add(batch arrow.RecordBatch) error {
	defer batch.Release()
	w.counters.RecordsIn.Add(batch.NumRows())
	added, err := w.store.Add(0, batch)
	if err != nil {
		return err
	}
	w.counters.Collapsed.Add(int64(added.Collapsed))
	w.counters.LateAfterIdle.Add(int64(added.Late))
	w.counters.OpenGroups.Add(int64(added.New))
	return w.checkBudget()
}

// checkBudget fails the job before its windows take memory that the taskmanager does not have.
func (w *Window) checkBudget() error {
	open := w.store.OpenWindows()
	w.counters.OpenWindows.Store(int64(len(open)))
	if w.budget == 0 {
		return nil
	}
	var bytes int64
	for _, o := range open {
		bytes += o.Bytes
	}
	if bytes <= w.budget {
		return nil
	}
	return fmt.Errorf("%s: %d open windows hold %d MiB, more than this taskmanager's %d MiB of state: "+
		"give taskmanagers more --memory, run more of them, or make the window smaller", w.name, len(open), bytes>>20, w.budget>>20)
}

// advance fires the windows that the inputs have passed and publishes their rows.
func (w *Window) advance(ctx context.Context) error {
	watermark, _ := w.inputs.Watermark()
	if watermark <= w.reached {
		return nil
	}
	w.reached = watermark
	w.counters.InputWatermark.Store(int64(watermark))
	rows := int64(0)
	err := w.store.Fire(watermark, func(batch arrow.RecordBatch) error {
		rows += batch.NumRows()
		return w.sink.Rows(ctx, Rows{Batch: batch})
	})
	if err != nil {
		return err
	}
	if rows > 0 {
		w.counters.OpenGroups.Add(-rows)
		w.counters.OpenWindows.Store(int64(len(w.store.OpenWindows())))
		if err := w.sink.Publish(); err != nil {
			return err
		}
	}
	return w.sink.Watermark(ctx, watermark)
}
