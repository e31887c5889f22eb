package window_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/eventtime"
	"pencere/pkg/ledger"
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
	j := p.start(t, splits)
	for j.left() {
		j.step(t)
	}
	j.finish(t)
	return j.results, int(j.counts.Total().Late)
}

// runningJob is a job that has read part of its splits.
type runningJob struct {
	pipeline
	assigner   *window.Assigner
	stores     []*window.Store
	generators []*eventtime.Generator
	combined   *eventtime.Combiner[int]
	splits     [][]row // what is left of them
	results    []arrow.RecordBatch
	counts     ledger.Ledger // of the sources, and of stores before those that run
}

func (p pipeline) start(t fatal, splits [][]row) *runningJob {
	t.Helper()
	j := &runningJob{
		pipeline: p, assigner: window.NewAssigner(p.config.Window), stores: make([]*window.Store, p.subtasks),
		combined: eventtime.NewCombiner[int](), splits: slices.Clone(splits),
	}
	for i := range j.stores {
		var err error
		if j.stores[i], err = window.NewStore(p.config); err != nil {
			t.Fatal(err)
		}
	}
	for i := range splits {
		j.combined.Add(i)
		j.generators = append(j.generators, eventtime.NewGenerator(p.delay))
	}
	return j
}

func (j *runningJob) left() bool {
	return slices.ContainsFunc(j.splits, func(rows []row) bool { return len(rows) > 0 })
}

// step reads a batch of each split.
func (j *runningJob) step(t fatal) {
	t.Helper()
	for i, rows := range j.splits {
		n := min(j.batchSizes(), len(rows))
		j.read(t, i, rows[:n])
		j.splits[i] = rows[n:]
		j.combined.Update(i, j.generators[i].Watermark())
		w, _ := j.combined.Watermark()
		j.fire(t, w)
	}
}

func (j *runningJob) fire(t fatal, w eventtime.Watermark) {
	t.Helper()
	for _, s := range j.stores {
		err := s.Fire(w, func(batch arrow.RecordBatch) error {
			j.results = append(j.results, batch)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (j *runningJob) finish(t fatal) {
	t.Helper()
	j.fire(t, eventtime.End)
	for _, s := range j.stores {
		if open := s.OpenWindows(); len(open) > 0 {
			t.Fatal("windows are open after the end:", open)
		}
	}
	j.balance(t)
}

// balance checks that the fates of all rows read so far are known.
func (j *runningJob) balance(t fatal) {
	t.Helper()
	all := slices.Clone(j.counts)
	open := int64(0)
	for _, s := range j.stores {
		all.Merge(s.Ledger())
		for _, w := range s.OpenWindows() {
			open += int64(w.Groups)
		}
	}
	if err := all.Balance(nil); err != nil {
		t.Fatal(err)
	}
	if all.Total().Open != open {
		t.Fatal("ledger has", all.Total().Open, "open groups, windows have", open)
	}
}

// read takes a batch of a split: it assigns windows, drops late rows, and adds the others to the stores of their groups.
func (j *runningJob) read(t fatal, split int, rows []row) {
	t.Helper()
	times := array.NewBuilder(memory.DefaultAllocator, j.timeType.Arrow())
	for _, r := range rows {
		if err := times.AppendValueFromString(r.time); err != nil {
			t.Fatal(err)
		}
	}
	var assigned window.Assigned
	j.assigner.Assign(&assigned, times.NewArray(), j.generators[split])
	source := j.counts.Of(int32(split))
	source.Read += int64(len(rows))

	var kept [][]string
	for i, r := range rows {
		if assigned.Late[i] {
			source.Late++
			continue
		}
		kept = append(kept, append(slices.Clone(r.cells), strconv.FormatInt(assigned.Starts[i], 10), "0"))
	}
	batch := hashed(textBatch(t, j.config.Input(), kept), j.config)
	for subtask, s := range j.stores {
		mine := j.ofSubtask(batch, subtask, kept)
		added, err := s.Add(int32(split), hashed(textBatch(t, j.config.Input(), mine), j.config))
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(func(batch arrow.RecordBatch) error {
			j.results = append(j.results, batch)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if added.Late > 0 || added.New+added.Collapsed != len(mine) {
			t.Fatal("of", len(mine), "rows in time were added", added)
		}
	}
}

// newest returns the last row of each group in its window. Only a window that takes rows after it has fired gives more than one, and
// only of groups with aggregates.
func (p pipeline) newest(t fatal, rows [][]string) (newest [][]string) {
	t.Helper()
	places, keys := map[string]int{}, len(p.config.Keys)
	for _, r := range rows {
		group := fmt.Sprintf("%q", slices.Concat(r[:keys], r[len(r)-2:]))
		place, again := places[group]
		switch {
		case !again:
			places[group] = len(newest)
			newest = append(newest, r)
		case p.config.Window.Lateness == 0 || len(p.config.Aggregates) == 0:
			t.Fatal("the row of a group comes twice:", r)
		default:
			newest[place] = r
		}
	}
	return newest
}

// ofSubtask returns the rows whose key group belongs to a subtask.
func (j *runningJob) ofSubtask(batch arrow.RecordBatch, subtask int, rows [][]string) [][]string {
	hashes := batch.Column(int(batch.NumCols()) - 1).(*array.Int64).Values()
	var mine [][]string
	for i, r := range rows {
		keyGroup := rowkey.KeyGroup(uint64(hashes[i]), maxParallelism)
		if rowkey.Subtask(keyGroup, j.subtasks, maxParallelism) == subtask {
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
