package operator_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/eventtime"
	"pencere/pkg/format/csv"
	"pencere/pkg/plan"
	"pencere/pkg/rowkey"
	"pencere/taskmanager/internal/exchange"
	"pencere/taskmanager/internal/operator"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

const chainSpec = `
name: chain
max_parallelism: 16
source:
  kafka: {brokers: "k:9092", topic: listings}
  schema: {id: INT, product: STRING, t: TIMESTAMP(3)}
  watermark: {column: t, delay: 5s}
sink: {csv: {path: "${OUT}"}}
`

// checked is an allocator that fails the test when something is not given back.
func checked(t *testing.T) memory.Allocator {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	t.Cleanup(func() { alloc.AssertSize(t, 0) })
	return alloc
}

func mustParse(t *testing.T, spec string) *plan.Program {
	t.Helper()
	program, err := parse(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// collected is an output that keeps rows as text, or fails.
type collected struct {
	rows []string
	err  error
}

func (c *collected) Rows(_ context.Context, rows operator.Rows) error {
	defer rows.Batch.Release()
	for i := range int(rows.Batch.NumRows()) {
		c.rows = append(c.rows, text(rows.Batch, i))
	}
	return c.err
}

func (*collected) Watermark(context.Context, eventtime.Watermark) error { return nil }
func (*collected) Idle(context.Context) error                           { return nil }
func (*collected) End(context.Context) error                            { return nil }

func (*collected) Barrier(context.Context, checkpoint.ID, bool) error { return nil }

// splitOf returns the beginning of a partition.
func splitOf(partition int32) checkpoint.Split {
	return checkpoint.Split{Number: partition, Topic: "listings", Partition: partition, Newest: math.MinInt64}
}

func text(batch arrow.RecordBatch, row int) string {
	var values []string
	for _, column := range batch.Columns() {
		values = append(values, column.ValueStr(row))
	}
	return strings.Join(values, "|")
}

func records(values ...string) []*kgo.Record {
	all := make([]*kgo.Record, len(values))
	for i, v := range values {
		all[i] = &kgo.Record{Value: []byte(v), Offset: int64(100 + i)}
	}
	return all
}

func listing(id int, product string, second int) string {
	return fmt.Sprintf(`{"id":%d,"product":%q,"t":"2025-03-04 11:%02d:%02d"}`, id, product, second/60, second%60)
}

// The errors of records say where the record is, and leave no memory behind, wherever in the chain they happen.
func TestRecordErrors(t *testing.T) {
	good, bad := listing(1, "a", 0), `{"id":"x"}`
	divides := "compute: {twice: id * 2, ratio: 10 / id}\n"
	for name, test := range map[string]struct {
		more    string
		records []string
		out     error
		want    string
		offset  int64 // of the record; 0 when the error is about none
	}{
		"decode":         {"", []string{good, good, bad, good}, nil, "record at topic listings, partition 3, offset 102: ", 102},
		"compute":        {divides, []string{good, listing(0, "b", 1)}, nil, "record at topic listings, partition 3, offset 101: ratio: ", 101},
		"where":          {"where: 10 / id > 1\n", []string{listing(0, "b", 1), good}, nil, "record at topic listings, partition 3, offset 100: where: ", 100},
		"output":         {"", []string{good}, errors.New("downstream"), "downstream", 0},
		"after a filter": {"where: id <> 1\n", []string{good, listing(2, "b", 1)}, errors.New("downstream"), "downstream", 0},
	} {
		t.Run(name, func(t *testing.T) {
			chain, err := operator.NewSource(mustParse(t, chainSpec+test.more), &collected{err: test.out}, operator.NewCounters(), checked(t))
			if err != nil {
				t.Fatal(err)
			}
			defer chain.Release()
			chain.AddSplit(splitOf(3))
			err = chain.Records(t.Context(), 0, records(test.records...))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			var where *operator.RecordError
			if errors.As(err, &where) != (test.offset != 0) || where != nil && where.Offset != test.offset {
				t.Errorf("error %v is about offset %d", err, test.offset)
			}
		})
	}
}

func TestSourceCounts(t *testing.T) {
	spec := chainSpec + "compute: {twice: id * 2}\nwhere: id < 5\nwindow: {tumble: 1m, group_by: [product]}\n"
	spec = strings.Replace(spec, "source:\n", "source:\n  on_error: skip\n", 1)
	out, counters := &collected{}, operator.NewCounters()
	chain, err := operator.NewSource(mustParse(t, spec), out, counters, checked(t))
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Release()
	chain.AddSplit(splitOf(0))
	if got := chain.Watermark(0); got != eventtime.None {
		t.Errorf("watermark %d before the first record", got)
	}
	all := records(listing(1, "a", 0), "", `{"id":"x"}`, listing(7, "b", 1), listing(2, "c", 125), listing(3, "late", 30))
	if err := chain.Records(t.Context(), 0, all); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string][2]int64{
		"records in": {counters.RecordsIn.Load(), 6}, "empty": {counters.Empty.Load(), 1}, "dropped": {counters.Dropped.Load(), 1},
		"filtered": {counters.Filtered.Load(), 1}, "late": {counters.Late.Load(), 1}, "passed on": {int64(len(out.rows)), 2},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %d, want %d", name, n[0], n[1])
		}
	}
	if out.rows[1] != "2|c|"+strings.Split(out.rows[1], "|")[2]+"|4" {
		t.Errorf("rows %v", out.rows)
	}
}

// sent is an edge that keeps what it carries, or breaks after some batches.
type sent struct {
	alive    int // batches until it breaks; -1 for ever
	elements []exchange.Element
}

func (s *sent) Send(_ context.Context, e exchange.Element) error {
	if e.Kind == exchange.Batch && s.alive == 0 {
		e.Batch.Release()
		return fmt.Errorf("send: %w", exchange.ErrPeerGone)
	}
	s.alive--
	s.elements = append(s.elements, e)
	return nil
}

func (*sent) Close() {}

func (s *sent) release() {
	for _, e := range s.elements {
		if e.Batch != nil {
			e.Batch.Release()
		}
	}
}

// Each row goes to the subtask that owns its key group, and all rows together are those that went in.
func TestKeyedSpread(t *testing.T) {
	program := mustParse(t, chainSpec+"compute: {big: id * 1000}\nwindow: {tumble: 1m, group_by: [product, id], aggregates: {total: SUM(big)}}\n")
	rapid.Check(t, func(rt *rapid.T) {
		alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
		edges := make([]*sent, rapid.IntRange(1, 5).Draw(rt, "parallelism"))
		senders := make([]exchange.Sender, len(edges))
		for i := range edges {
			edges[i] = &sent{alive: -1}
			senders[i] = edges[i]
		}
		keyed := operator.NewKeyed(program, senders, operator.NewCounters(), alloc)
		chain, err := operator.NewSource(program, keyed, operator.NewCounters(), alloc)
		if err != nil {
			rt.Fatal(err)
		}
		chain.AddSplit(splitOf(0))
		want := make(map[string]int)
		var values []string
		for _, id := range rapid.SliceOfN(rapid.IntRange(-3, 3), 0, 60).Draw(rt, "ids") {
			product := rapid.SampledFrom([]string{"", "a", "b", "ş"}).Draw(rt, "product")
			values = append(values, listing(id, product, 30))
			want[fmt.Sprintf("%s|%d|%d", product, id, id*1000)]++
		}
		if err := chain.Records(t.Context(), 0, records(values...)); err != nil {
			rt.Fatal(err)
		}
		got := make(map[string]int)
		for i, edge := range edges {
			for _, e := range edge.elements {
				hashes := e.Batch.Column(int(e.Batch.NumCols()) - 1).(*array.Int64)
				for row := range int(e.Batch.NumRows()) {
					columns := strings.Split(text(e.Batch, row), "|")
					got[strings.Join(columns[:3], "|")]++
					group := rowkey.KeyGroup(uint64(hashes.Value(row)), 16)
					if owner := rowkey.Subtask(group, len(edges), 16); owner != i {
						rt.Fatalf("key group %d went to subtask %d, its owner is %d", group, i, owner)
					}
				}
			}
			edge.release()
		}
		chain.Release()
		if !maps.Equal(got, want) {
			rt.Fatalf("rows %v, want %v", got, want)
		}
		if left := alloc.CurrentAlloc(); left != 0 {
			rt.Fatalf("%d bytes are not released", left)
		}
	})
}

func TestKeyedErrors(t *testing.T) {
	var values []string
	for id := range 50 {
		values = append(values, listing(id, "a", 0))
	}
	for name, test := range map[string]struct {
		aggregate string
		edges     int
		want      func(error) bool
	}{
		"one peer is gone":      {"SUM(id)", 1, func(err error) bool { return errors.Is(err, exchange.ErrPeerGone) }},
		"one of three is gone":  {"SUM(id)", 3, func(err error) bool { return errors.Is(err, exchange.ErrPeerGone) }},
		"an argument's failure": {"SUM(1 / id)", 3, func(err error) bool { return strings.Contains(err.Error(), "offset 100: total: ") }},
	} {
		t.Run(name, func(t *testing.T) {
			program := mustParse(t, chainSpec+"window: {tumble: 1m, group_by: [id], aggregates: {total: "+test.aggregate+"}}\n")
			alloc := checked(t)
			var senders []exchange.Sender
			for i := range test.edges {
				edge := &sent{alive: test.edges - 1 - i}
				t.Cleanup(edge.release)
				senders = append(senders, edge)
			}
			chain, err := operator.NewSource(program, operator.NewKeyed(program, senders, operator.NewCounters(), alloc), operator.NewCounters(), alloc)
			if err != nil {
				t.Fatal(err)
			}
			defer chain.Release()
			chain.AddSplit(splitOf(0))
			if err := chain.Records(t.Context(), 0, records(values...)); err == nil || !test.want(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// keyedVertex is the chain of a keyed vertex, and what is around it.
type keyedVertex struct {
	*operator.Window
	program  *plan.Program
	sink     *operator.Sink
	counters *operator.Counters
	alloc    memory.Allocator
	finished []partfile.File
}

func newWindow(t *testing.T, inputs int, budget int64, alloc memory.Allocator) *keyedVertex {
	t.Helper()
	program := mustParse(t, chainSpec+"window: {tumble: 1m, group_by: [id, product]}\n")
	encoder, err := csv.NewEncoder(program.Sink, csv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := partfile.New(partfile.Config{Dir: program.Job.Sink.CSV.Path, Job: "j", Extension: ".csv"}, encoder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
	})
	v := &keyedVertex{program: program, counters: operator.NewCounters(), alloc: alloc}
	v.sink = operator.NewSink(program, writer, v.counters, alloc, func(files []partfile.File) { v.finished = append(v.finished, files...) })
	if v.Window, err = operator.NewWindow(program, inputs, v.sink, v.counters, alloc, budget); err != nil {
		t.Fatal(err)
	}
	return v
}

// batch makes what a source chain sends of records.
func (v *keyedVertex) batch(t *testing.T, values ...string) exchange.Element {
	t.Helper()
	edge := &sent{alive: -1}
	keyed := operator.NewKeyed(v.program, []exchange.Sender{edge}, operator.NewCounters(), v.alloc)
	chain, err := operator.NewSource(v.program, keyed, operator.NewCounters(), v.alloc)
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Release()
	chain.AddSplit(splitOf(0))
	if err := chain.Records(t.Context(), 0, records(values...)); err != nil {
		t.Fatal(err)
	}
	return edge.elements[0]
}

func element(t *testing.T, w *keyedVertex, input int, e exchange.Element) (done bool) {
	t.Helper()
	done, err := w.Element(t.Context(), input, e)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func watermark(second int64) exchange.Element {
	const base = 1741086000000 // 2025-03-04 11:00:00
	return exchange.Element{Kind: exchange.Watermark, Watermark: eventtime.Watermark(base + second*1000)}
}

// A window fires when the slowest input that is not idle has passed it, and the end of all inputs ends it.
func TestWindowFollowsItsInputs(t *testing.T) {
	w := newWindow(t, 3, 0, checked(t))
	counters := w.counters
	batch := func(values ...string) exchange.Element { return w.batch(t, values...) }
	idle, end := exchange.Element{Kind: exchange.Idle}, exchange.Element{Kind: exchange.EndOfInput}
	element(t, w, 0, batch(listing(1, "a", 0), listing(1, "a", 1), listing(2, "a", 30)))
	element(t, w, 0, watermark(100))
	element(t, w, 1, watermark(59))
	element(t, w, 2, idle)
	if rows := counters.RowsWritten.Load(); rows != 0 {
		t.Fatalf("%d rows before the slowest input has passed", rows)
	}
	if counters.OpenGroups.Load() != 2 || counters.OpenWindows.Load() != 1 || counters.Collapsed.Load() != 1 {
		t.Errorf("%d groups in %d windows, %d collapsed", counters.OpenGroups.Load(), counters.OpenWindows.Load(), counters.Collapsed.Load())
	}
	element(t, w, 1, watermark(60))
	if rows := counters.RowsWritten.Load(); rows != 2 || !w.TakeFired() || w.TakeFired() || counters.OpenGroups.Load() != 0 {
		t.Errorf("%d rows written, %d groups left open", rows, counters.OpenGroups.Load())
	}
	// The idle input comes back behind the others: its rows are late, and counted apart.
	element(t, w, 2, batch(listing(9, "b", 10)))
	if late := counters.LateAfterIdle.Load(); late != 1 {
		t.Errorf("%d rows are late after idleness, want 1", late)
	}
	element(t, w, 0, batch(listing(3, "c", 200)))
	if element(t, w, 0, end) || element(t, w, 1, end) {
		t.Error("done before the last input has ended")
	}
	if !element(t, w, 2, end) || counters.RowsWritten.Load() != 3 {
		t.Errorf("at the end %d rows are written", counters.RowsWritten.Load())
	}
	// Nothing is published but by a commit of what was prepared.
	if len(w.finished) != 0 {
		t.Errorf("published before a checkpoint: %v", w.finished)
	}
	if files := w.counters.FilesPublished.Load(); files != 0 {
		t.Errorf("%d files counted before a checkpoint", files)
	}
	if err := publish(w.sink); err != nil || w.counters.FilesPublished.Load() != 1 || w.counters.RowsPublished.Load() != 3 {
		t.Errorf("counted %d files, %d rows, %v", w.counters.FilesPublished.Load(), w.counters.RowsPublished.Load(), err)
	}
	if len(w.finished) != 1 || w.finished[0].Rows != 3 {
		t.Errorf("published %v", w.finished)
	}
}

func TestWindowBudget(t *testing.T) {
	w := newWindow(t, 1, 1<<20, checked(t))
	var err error
	for id := 0; err == nil && id < 100_000; id += 1000 {
		var values []string
		for k := range 1000 {
			values = append(values, listing(id+k, "a product of some length", 0))
		}
		_, err = w.Element(t.Context(), 0, w.batch(t, values...))
	}
	if err == nil {
		t.Fatal("100,000 groups in 1 MiB")
	}
	for _, want := range []string{"Window", "1 open windows hold", "more than this taskmanager's 1 MiB", "--memory"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

// Every layout can be filtered, also a column that is NULL throughout.
func TestFilterKeepsEveryType(t *testing.T) {
	spec := strings.Replace(chainSpec, "{id: INT, product: STRING, t: TIMESTAMP(3)}",
		"{id: INT, product: STRING, t: TIMESTAMP(3), b: BOOLEAN, d: \"DECIMAL(10, 2)\", f: DOUBLE, n: BIGINT}", 1)
	out := &collected{}
	chain, err := operator.NewSource(mustParse(t, spec+"compute: {nothing: CAST(NULL AS INT)}\nwhere: id = 2\n"), out, operator.NewCounters(), checked(t))
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Release()
	chain.AddSplit(splitOf(0))
	value := func(id int) string {
		return fmt.Sprintf(`{"id":%d,"product":"p%[1]d","t":"2025-03-04 11:00:00","b":true,"d":1.5,"f":0.25,"n":null}`, id)
	}
	if err := chain.Records(t.Context(), 0, records(value(1), value(2), value(3))); err != nil {
		t.Fatal(err)
	}
	if len(out.rows) != 1 || !slices.Contains(strings.Split(out.rows[0], "|"), "p2") || !strings.HasSuffix(out.rows[0], "|true|1.5|0.25|(null)|(null)") {
		t.Errorf("rows %v", out.rows)
	}
}
