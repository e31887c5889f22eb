package window_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/eventtime"
	"pencere/pkg/rowkey"
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

// fatal is the part of testing.T and rapid.T that helpers need.
type fatal interface {
	Helper()
	Fatal(...any)
}

func mustZone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return zone
}

// row is a row of a split: its time, whose text is array.NullValueStr for NULL, and the key and argument columns of a store, all
// as Arrow's own text.
type row struct {
	time  string
	cells []string
}

// pipeline is a whole job in small: splits whose rows get windows, an exchange by key group, and stores.
type pipeline struct {
	config     window.Config
	timeType   sqltype.Type
	delay      int64
	subtasks   int
	batchSizes func() int // the size of the next batch
}

const maxParallelism = 128

// run reads the splits in turns, a batch of each, and returns the result batches.
func (p pipeline) run(t fatal, splits [][]row) (results []arrow.RecordBatch, late int) {
	t.Helper()
	stores := make([]*window.Store, p.subtasks)
	for i := range stores {
		var err error
		if stores[i], err = window.NewStore(p.config); err != nil {
			t.Fatal(err)
		}
	}
	combined := eventtime.NewCombiner[int]()
	generators := make([]*eventtime.Generator, len(splits))
	for i := range splits {
		combined.Add(i)
		generators[i] = eventtime.NewGenerator(p.delay)
	}
	fire := func(w eventtime.Watermark) {
		for _, s := range stores {
			err := s.Fire(w, func(batch arrow.RecordBatch) error {
				results = append(results, batch)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}

	assigner := window.NewAssigner(p.config.Window)
	splits = slices.Clone(splits)
	for left := true; left; {
		left = false
		for i, rows := range splits {
			n := min(p.batchSizes(), len(rows))
			late += p.read(t, assigner, generators[i], stores, rows[:n])
			splits[i] = rows[n:]
			left = left || len(splits[i]) > 0
			combined.Update(i, generators[i].Watermark())
			w, _ := combined.Watermark()
			fire(w)
		}
	}
	fire(eventtime.End)
	for _, s := range stores {
		if open := s.OpenWindows(); len(open) > 0 {
			t.Fatal("windows are open after the end:", open)
		}
	}
	return results, late
}

// read takes a batch of one split: it assigns windows, drops late rows, and adds the others to the stores of their groups.
func (p pipeline) read(t fatal, a *window.Assigner, split *eventtime.Generator, stores []*window.Store, rows []row) (late int) {
	t.Helper()
	times := array.NewBuilder(memory.DefaultAllocator, p.timeType.Arrow())
	for _, r := range rows {
		if err := times.AppendValueFromString(r.time); err != nil {
			t.Fatal(err)
		}
	}
	var assigned window.Assigned
	a.Assign(&assigned, times.NewArray(), split)

	var kept [][]string
	for i, r := range rows {
		if assigned.Late[i] {
			late++
			continue
		}
		kept = append(kept, append(slices.Clone(r.cells), strconv.FormatInt(assigned.Starts[i], 10), "0"))
	}
	batch := hashed(textBatch(t, p.config.Input(), kept), p.config)
	for subtask, s := range stores {
		mine := p.ofSubtask(batch, subtask, kept)
		added, err := s.Add(hashed(textBatch(t, p.config.Input(), mine), p.config))
		if err != nil {
			t.Fatal(err)
		}
		if added.Late > 0 || added.New+added.Collapsed != len(mine) {
			t.Fatal("of", len(mine), "rows in time were added", added)
		}
	}
	return late
}

// ofSubtask returns the rows whose key group belongs to a subtask.
func (p pipeline) ofSubtask(batch arrow.RecordBatch, subtask int, rows [][]string) [][]string {
	hashes := batch.Column(int(batch.NumCols()) - 1).(*array.Int64).Values()
	var mine [][]string
	for i, r := range rows {
		keyGroup := rowkey.KeyGroup(uint64(hashes[i]), maxParallelism)
		if rowkey.Subtask(keyGroup, p.subtasks, maxParallelism) == subtask {
			mine = append(mine, r)
		}
	}
	return mine
}

func textBatch(t fatal, schema sqltype.Schema, rows [][]string) arrow.RecordBatch {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
	defer b.Release()
	for _, cells := range rows {
		for i, cell := range cells {
			if err := b.Field(i).AppendValueFromString(cell); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b.NewRecordBatch()
}

// textRows returns the rows of batches as Arrow's own text.
func textRows(batches []arrow.RecordBatch) [][]string {
	var rows [][]string
	for _, batch := range batches {
		for i := range int(batch.NumRows()) {
			cells := make([]string, batch.NumCols())
			for c, column := range batch.Columns() {
				cells[c] = valueText(column, i)
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

// valueText is a value as Arrow's own text, but a decimal with all digits of its scale.
func valueText(column arrow.Array, i int) string {
	if d, ok := column.(*array.Decimal128); ok && d.IsValid(i) {
		return d.Value(i).ToString(d.DataType().(*arrow.Decimal128Type).Scale)
	}
	return column.ValueStr(i)
}

func timestamp(ms int64) string { return sqltype.TimestampValue(ms, 0).BigInt().String() }
