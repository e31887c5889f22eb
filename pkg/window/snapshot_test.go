package window_test

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"pgregory.net/rapid"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/ledger"
	"pencere/pkg/rowkey"
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

// cut is a checkpoint of a running job.
type cut struct {
	job       runningJob // without stores
	snapshots []*window.Snapshot
}

func (j *runningJob) cut() cut {
	c := cut{job: *j}
	c.job.splits, c.job.results, c.job.counts = slices.Clone(j.splits), slices.Clone(j.results), slices.Clone(j.counts)
	c.job.generators = nil
	for _, g := range j.generators {
		own := *g
		c.job.generators = append(c.job.generators, &own)
	}
	for _, s := range j.stores {
		c.snapshots = append(c.snapshots, s.Snapshot())
		done := s.Ledger()
		for i := range done {
			done[i].Open = 0
		}
		c.job.counts.Merge(done)
	}
	return c
}

// encode writes the snapshots and releases them.
func (c cut) encode() ([][]byte, error) {
	var files [][]byte
	for _, s := range c.snapshots {
		var b bytes.Buffer
		if err := s.Encode(&b, maxParallelism); err != nil {
			return nil, err
		}
		s.Release()
		files = append(files, b.Bytes())
	}
	return files, nil
}

// restore goes on from the files that c encoded, with another number of subtasks.
func (c cut) restore(t fatal, files [][]byte, subtasks int) *runningJob {
	t.Helper()
	p := c.job.pipeline
	p.subtasks = subtasks
	j := p.start(t, c.job.splits)
	j.results, j.counts, j.generators = c.job.results, c.job.counts, c.job.generators
	for i, g := range j.generators {
		j.combined.Update(i, g.Watermark())
	}
	for i, s := range j.stores {
		var own checkpoint.KeyGroups
		own.First, own.Last = rowkey.Range(i, subtasks, maxParallelism)
		for n, file := range files {
			if err := s.Restore(bytes.NewReader(file), int64(len(file)), both(own, n, len(files))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return j
}

// both is what a range of key groups has in common with that of the old subtask n.
func both(own checkpoint.KeyGroups, n, subtasks int) checkpoint.KeyGroups {
	first, last := rowkey.Range(n, subtasks, maxParallelism)
	return checkpoint.KeyGroups{First: max(own.First, first), Last: min(own.Last, last)}
}

// A job that goes on from a snapshot, at whatever parallelism, has the result that it would have had, and so does the job that
// the snapshot was taken of, which goes on while it is written. No row's fate is lost or counted twice.
func TestSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, splits, m := drawJob(t)
		want := sorted(m.result())
		j := p.start(t, splits)
		for range rapid.IntRange(1, 3).Draw(t, "snapshots") {
			for range rapid.IntRange(0, 3).Draw(t, "steps") {
				j.step(t)
			}
			c := j.cut()
			files := make(chan [][]byte, 1)
			go func() {
				encoded, err := c.encode()
				if err != nil {
					panic(err)
				}
				files <- encoded
			}()
			for j.left() {
				j.step(t)
			}
			j.finish(t)
			if got := sorted(p.newest(t, textRows(j.results))); !slices.EqualFunc(got, want, slices.Equal) {
				t.Fatalf("a snapshot was taken; got\n%s\nwant\n%s", lines(got), lines(want))
			}
			j = c.restore(t, <-files, rapid.IntRange(1, 4).Draw(t, "subtasks"))
			j.balance(t)
		}
		for j.left() {
			j.step(t)
		}
		j.finish(t)
		got := sorted(p.newest(t, textRows(j.results)))
		if late := int(j.counts.Total().Late); late != m.late || !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("restored: %d late rows, want %d; got\n%s\nwant\n%s", late, m.late, lines(got), lines(want))
		}
	})
}

func sorted(rows [][]string) [][]string {
	slices.SortFunc(rows, slices.Compare)
	return rows
}

func encoded(t testing.TB, s *window.Store) []byte {
	t.Helper()
	snapshot := s.Snapshot()
	defer snapshot.Release()
	var b bytes.Buffer
	if err := snapshot.Encode(&b, maxParallelism); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var allKeyGroups = checkpoint.KeyGroups{First: 0, Last: maxParallelism - 1}

func restore(s *window.Store, file []byte) error {
	return s.Restore(bytes.NewReader(file), int64(len(file)), allKeyGroups)
}

// A fired window's memory is not used again while a snapshot reads it, and is after its release.
func TestSnapshotOfAFiredWindow(t *testing.T) {
	for _, released := range []bool{false, true} {
		s := mustStore(t, byText)
		mustAdd(t, s, textKeys(t, 0, "a", "b"))
		want := encoded(t, s)
		snapshot := s.Snapshot()
		if released {
			snapshot.Release()
			snapshot.Release()
			snapshot = s.Snapshot()
		}
		if err := s.Fire(99, discard); err != nil {
			t.Fatal(err)
		}
		mustAdd(t, s, textKeys(t, 100, "x", "y"))
		var got bytes.Buffer
		if err := snapshot.Encode(&got, maxParallelism); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("released %t: a snapshot changed when its window had fired", released)
		}
	}
}

// A text that a later one of the same length beats is overwritten in place; a snapshot has the text before.
func TestSnapshotOfTexts(t *testing.T) {
	config := byText
	config.Aggregates = []window.AggregateSpec{{Name: "m", Func: window.Max, Arg: sqltype.StringType}}
	add := func(s *window.Store, text string) {
		mustAdd(t, s, hashed(textBatch(t, config.Input(), [][]string{{"k", text, "0", "0"}}), config))
	}
	s := mustStore(t, config)
	add(s, "aaa")
	want := encoded(t, s)
	snapshot := s.Snapshot()
	add(s, "bbb")
	var got bytes.Buffer
	if err := snapshot.Encode(&got, maxParallelism); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("a snapshot changed with its store")
	}
	restored := mustStore(t, config)
	if err := restore(restored, want); err != nil {
		t.Fatal(err)
	}
	add(restored, "aab")
	if got := fireAll(t, restored); len(got) != 1 || got[0][1] != "aab" {
		t.Errorf("restored and added to: %v", got)
	}
}

// The ledger of a store has each row under its own split, before and after it is restored.
func TestStoreLedger(t *testing.T) {
	s := mustStore(t, byText)
	for split, keys := range map[int32][]string{3: {"a", "b", "a"}, 5: {"c", "d", "e", "c"}} {
		if _, err := s.Add(split, textKeys(t, 0, keys...)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Add(5, textKeys(t, 100, "a")); err != nil {
		t.Fatal(err)
	}
	want := ledger.Ledger{{Split: 3, Collapsed: 1, Open: 2}, {Split: 5, Collapsed: 1, Open: 4}}
	if got := s.Ledger(); !slices.Equal(got, want) {
		t.Errorf("ledger is %+v, want %+v", got, want)
	}
	restored := mustStore(t, byText)
	if err := restore(restored, encoded(t, s)); err != nil {
		t.Fatal(err)
	}
	if got, want := restored.Ledger(), (ledger.Ledger{{Split: 3, Open: 2}, {Split: 5, Open: 4}}); !slices.Equal(got, want) {
		t.Errorf("restored ledger is %+v, want %+v", got, want)
	}
	if err := restored.Fire(99, discard); err != nil {
		t.Fatal(err)
	}
	if _, err := restored.Add(3, textKeys(t, 0, "a", "z")); err != nil {
		t.Fatal(err)
	}
	want = ledger.Ledger{{Split: 3, Emitted: 2, Late: 2}, {Split: 5, Emitted: 3, Open: 1}}
	if got := restored.Ledger(); !slices.Equal(got, want) {
		t.Errorf("ledger after a window fired is %+v, want %+v", got, want)
	}
}

// The watermark is part of the state: a window that had fired stays closed, for just the key groups of the subtask that fired it,
// until the others have caught up, and over further snapshots.
func TestRestoredWatermark(t *testing.T) {
	old := []struct {
		watermark eventtime.Watermark
		keyGroups checkpoint.KeyGroups
	}{{300, checkpoint.KeyGroups{First: 0, Last: 40}}, {199, checkpoint.KeyGroups{First: 41, Last: 41}}, {250, checkpoint.KeyGroups{First: 42, Last: maxParallelism - 1}}}
	s := mustStore(t, byText)
	for _, o := range old {
		before := mustStore(t, byText)
		if err := before.Fire(o.watermark, discard); err != nil {
			t.Fatal(err)
		}
		file := encoded(t, before)
		if err := s.Restore(bytes.NewReader(file), int64(len(file)), o.keyGroups); err != nil {
			t.Fatal(err)
		}
	}
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	wants := func(s *window.Store, start int64, further bool) {
		t.Helper()
		batch := textKeys(t, start, keys...)
		hashes := batch.Column(int(batch.NumCols()) - 1).(*array.Int64).Values()
		late := 0
		for _, hash := range hashes {
			if keyGroup := rowkey.KeyGroup(uint64(hash), maxParallelism); further && keyGroup <= 40 {
				late++
			}
		}
		if got := mustAdd(t, s, batch); got.Late != late || got.New != len(keys)-late {
			t.Errorf("window %d: %+v, want %d late", start, got, late)
		}
	}
	if got := mustAdd(t, s, textKeys(t, 100, "a")); got.Late != 1 {
		t.Errorf("a row of a window that all had fired: %+v", got)
	}
	again := mustStore(t, byText)
	if err := restore(again, encoded(t, s)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*window.Store{s, again} {
		wants(s, 200, true) // of a window that the first of them had fired
		wants(s, 300, false)
		if err := s.Fire(400, discard); err != nil {
			t.Fatal(err)
		}
		wants(s, 500, false)
	}
	if got, want := encoded(t, s), encoded(t, again); !bytes.Equal(got, want) {
		t.Error("states differ when all have caught up")
	}
}

func TestRestoreRefuses(t *testing.T) {
	config := window.Config{
		Keys:       sqltype.Schema{{Name: "k", Type: sqltype.StringType}, {Name: "price", Type: sqltype.IntType}},
		Aggregates: []window.AggregateSpec{{Name: "n", Func: window.Count}},
		Window:     window.Tumbling{Size: 100},
	}
	file := encoded(t, mustStore(t, config))
	for want, change := range map[string]func(c *window.Config){
		"": func(c *window.Config) {
			c.Aggregates = []window.AggregateSpec{{Name: "other", Func: window.Count}}
			c.Keys = sqltype.Schema{{Name: "k", Type: sqltype.StringType.WithNotNull(true)}, c.Keys[1]}
		},
		"group column 2 was price INT and is price BIGINT": func(c *window.Config) {
			c.Keys = sqltype.Schema{c.Keys[0], {Name: "price", Type: sqltype.BigIntType}}
		},
		"group column 2 was price INT and is none":     func(c *window.Config) { c.Keys = c.Keys[:1] },
		"group column 1 was k STRING and is price INT": func(c *window.Config) { c.Keys = sqltype.Schema{c.Keys[1], c.Keys[0]} },
		"aggregate 2 was none and is SUM INT": func(c *window.Config) {
			c.Aggregates = append(slices.Clone(c.Aggregates), window.AggregateSpec{Name: "s", Func: window.Sum, Arg: sqltype.IntType})
		},
		"window size was 100 ms and is 200 ms":                       func(c *window.Config) { c.Window.Size = 200 },
		"window offset was 0 ms and is 1 ms":                         func(c *window.Config) { c.Window.Offset = 1 },
		"window time zone was without a zone and is Europe/Istanbul": func(c *window.Config) { c.Window.Zone = mustZone(t, "Europe/Istanbul") },
	} {
		other := config
		change(&other)
		err := restore(mustStore(t, other), file)
		if want == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		var mismatch *window.MismatchError
		if !errors.As(err, &mismatch) || err.Error() != "state does not fit the job: "+want {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}

// State that is whole by its checksums but cannot be a window's is refused too.
func TestRestoreOfNonsense(t *testing.T) {
	s := mustStore(t, byText)
	mustAdd(t, s, textKeys(t, 0, "a"))
	file := encoded(t, s)
	reader, err := checkpoint.NewKeyedReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	keyGroup, groups := 0, []byte(nil)
	err = reader.Each(allKeyGroups, func(k int, payload []byte) error {
		keyGroup, groups = k, slices.Clone(payload)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for want, payload := range map[string][]byte{
		"a group is there twice":    slices.Concat(groups, groups),
		"no number":                 groups[:1],
		"more than the bytes":       groups[:2],
		"byte 4: ":                  groups[:len(groups)-1],
		"is of another key group":   append(groups[:len(groups)-1:len(groups)-1], 'b'),
		"9223372036854775807 is mo": {0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0},
	} {
		var b bytes.Buffer
		w := checkpoint.NewKeyedWriter(&b, reader.Head())
		if err := errors.Join(w.KeyGroup(keyGroup, payload), w.Close()); err != nil {
			t.Fatal(err)
		}
		err := restore(mustStore(t, byText), b.Bytes())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "key group "+strconv.Itoa(keyGroup)) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

var update = flag.Bool("update", false, "write the file of the newest version if testdata lacks it")

// everyAggregate has each kind of state that there is.
var everyAggregate = func() window.Config {
	config := window.Config{Keys: sqltype.Schema{{Name: "k", Type: sqltype.StringType}}, Window: window.Tumbling{Size: 100}}
	for i, arg := range arguments {
		for _, fn := range []string{window.Count, window.Sum, window.Min, window.Max, window.Avg} {
			if _, err := window.ResultType(fn, arg.typ); err == nil {
				config.Aggregates = append(config.Aggregates, window.AggregateSpec{Name: fn + strconv.Itoa(i), Func: fn, Arg: arg.typ})
			}
		}
	}
	return config
}()

// State of every version that there ever was is read for ever. The file of a version is never written again.
func TestVersions(t *testing.T) {
	s := mustStore(t, everyAggregate)
	var rows [][]string
	for i := range 4 {
		cells := []string{strings.Repeat("k", i%3)}
		for _, a := range everyAggregate.Aggregates {
			for _, arg := range arguments {
				if arg.typ == a.Arg {
					cells = append(cells, append(slices.Clone(arg.values), null, null)[i])
				}
			}
		}
		rows = append(rows, append(cells, strconv.Itoa(i/3*100), "0"))
	}
	if _, err := s.Add(6, hashed(textBatch(t, everyAggregate.Input(), rows), everyAggregate)); err != nil {
		t.Fatal(err)
	}
	newest := filepath.Join("testdata", "state", "v1.keyed")
	if _, err := os.Stat(newest); *update && errors.Is(err, fs.ErrNotExist) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(newest), 0o755), os.WriteFile(newest, encoded(t, s), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want := fireAll(t, s)
	files, err := filepath.Glob("testdata/state/v*.keyed")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		restored := mustStore(t, everyAggregate)
		if err := restore(restored, data); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if file == newest && !bytes.Equal(encoded(t, restored), data) {
			t.Errorf("%s: the encoding has changed; that needs a new version", file)
		}
		if got := fireAll(t, restored); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, lines(got), lines(want))
		}
	}
}

func fireAll(t *testing.T, s *window.Store) (rows [][]string) {
	err := s.Fire(eventtime.End, func(batch arrow.RecordBatch) error {
		rows = append(rows, textRows([]arrow.RecordBatch{batch})...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sorted(rows)
}

func FuzzRestore(f *testing.F) {
	data, err := os.ReadFile("testdata/state/v1.keyed")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := mustStore(t, everyAggregate)
		if err := restore(s, data); err == nil {
			encoded(t, s)
		}
	})
}
