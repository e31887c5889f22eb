package window_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/eventtime"
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

var byText = window.Config{
	Keys:   sqltype.Schema{{Name: "k", Type: sqltype.StringType}},
	Window: window.Tumbling{Size: 100},
}

// textKeys makes a batch of byText from its keys, all in the window that begins at start.
func textKeys(t *testing.T, start int64, keys ...string) arrow.RecordBatch {
	rows := make([][]string, len(keys))
	for i, k := range keys {
		rows[i] = []string{k, strconv.FormatInt(start, 10), "0"}
	}
	return hashed(textBatch(t, byText.Input(), rows), byText)
}

// Rows of a window that this subtask has fired come from a split that was idle: they are counted, and the window stays closed.
func TestLateByOperator(t *testing.T) {
	s := mustStore(t, byText)
	mustAdd(t, s, textKeys(t, 0, "a", "b", "a"))
	if err := s.Fire(99, discard); err != nil {
		t.Fatal(err)
	}
	if got, want := mustAdd(t, s, textKeys(t, 0, "a", "c")), (window.Added{Late: 2}); got != want {
		t.Errorf("rows of a fired window: %+v, want %+v", got, want)
	}
	if got, want := mustAdd(t, s, textKeys(t, 100, "a", "a", "c")), (window.Added{New: 2, Collapsed: 1}); got != want {
		t.Errorf("rows of an open window: %+v, want %+v", got, want)
	}
	open := s.OpenWindows()
	if len(open) != 1 || open[0].Start != 100 || open[0].End != 200 || open[0].FiresAt != 199 || open[0].Groups != 2 {
		t.Errorf("open windows: %+v", open)
	}
}

// Windows fire when their last millisecond has passed, each once, the earliest first, and never for want of rows.
func TestFire(t *testing.T) {
	s := mustStore(t, byText)
	for _, start := range []int64{300, 0, 100} {
		mustAdd(t, s, textKeys(t, start, "a"))
	}
	for _, step := range []struct {
		watermark eventtime.Watermark
		want      string
	}{
		{98, ""}, {99, "0"}, {99, ""}, {50, ""}, {eventtime.End, "100 300"}, {eventtime.End, ""},
	} {
		var fired []string
		err := s.Fire(step.watermark, func(batch arrow.RecordBatch) error {
			for _, r := range textRows([]arrow.RecordBatch{batch}) {
				for _, start := range []int64{0, 100, 300} {
					if r[1] == timestamp(start) && r[2] == timestamp(start+100) {
						fired = append(fired, strconv.FormatInt(start, 10))
					}
				}
			}
			return nil
		})
		if err != nil || strings.Join(fired, " ") != step.want {
			t.Errorf("watermark %d fires %v (%v), want %q", step.watermark, fired, err, step.want)
		}
	}
}

// Batches are of at most 4096 rows and a bounded size, and all their memory is given back.
func TestBatches(t *testing.T) {
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	config := byText
	config.Alloc = alloc
	config.Aggregates = []window.AggregateSpec{{Name: "n", Func: window.Count}, {Name: "m", Func: window.Max, Arg: sqltype.StringType}}
	for _, c := range []struct {
		keys, keyLen, argLen int
		want                 string
	}{
		{10_000, 8, 1, "4096 4096 1808"},
		{40, 1 << 20, 1, "15 15 10"},
		{40, 10, 1 << 20, "15 15 10"},
		{2, 20 << 20, 1, "1 1"},
	} {
		s := mustStore(t, config)
		rows := make([][]string, c.keys)
		for i := range rows {
			rows[i] = []string{strings.Repeat("k", c.keyLen) + strconv.Itoa(i), strings.Repeat("x", c.argLen), "0", "0"}
		}
		mustAdd(t, s, hashed(textBatch(t, config.Input(), rows), config))
		var sizes []string
		err := s.Fire(eventtime.End, func(batch arrow.RecordBatch) error {
			sizes = append(sizes, strconv.FormatInt(batch.NumRows(), 10))
			batch.Release()
			return nil
		})
		if got := strings.Join(sizes, " "); err != nil || got != c.want {
			t.Errorf("%+v: batches of %s rows (%v)", c, got, err)
		}
	}
	alloc.AssertSize(t, 0)
}

func TestFireReturnsTheErrorOfEmit(t *testing.T) {
	s := mustStore(t, byText)
	mustAdd(t, s, textKeys(t, 0, "a"))
	full := errors.New("disk full")
	err := s.Fire(eventtime.End, func(batch arrow.RecordBatch) error {
		batch.Release()
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("error is %v", err)
	}
}

// A batch of other columns, as from a peer of another version, is refused whole.
func TestAddRefusesOtherColumns(t *testing.T) {
	s := mustStore(t, byText)
	schema := sqltype.Schema{{Name: "k", Type: sqltype.StringType}, {Name: "w", Type: sqltype.IntType}, {Name: "h", Type: sqltype.BigIntType}}
	for _, c := range []struct {
		schema sqltype.Schema
		want   string
	}{
		{schema[:2], "keyed batch has 2 columns, want 3"},
		{schema, `column "$window" of a keyed batch is int32, want int64`},
	} {
		if _, err := s.Add(0, textBatch(t, c.schema, nil)); err == nil || err.Error() != c.want {
			t.Errorf("error is %v, want %s", err, c.want)
		}
	}
}

func TestNewStoreRefuses(t *testing.T) {
	for want, change := range map[string]func(*window.Config){
		"window size must be 1 ms or more, got 0":                              func(c *window.Config) { c.Window.Size = 0 },
		"SUM takes a number, not STRING":                                       func(c *window.Config) { c.Aggregates[0] = window.AggregateSpec{Func: "SUM", Arg: sqltype.StringType} },
		"AVG takes a number, not *":                                            func(c *window.Config) { c.Aggregates[0] = window.AggregateSpec{Func: "AVG"} },
		"MAX takes a number, text, BOOLEAN, date or time, not BYTES":           func(c *window.Config) { c.Aggregates[0] = window.AggregateSpec{Func: "MAX", Arg: sqltype.BytesType} },
		`unknown aggregate function "MEAN": it is COUNT, SUM, MIN, MAX or AVG`: func(c *window.Config) { c.Aggregates[0] = window.AggregateSpec{Func: "MEAN"} },
	} {
		config := byText
		config.Aggregates = make([]window.AggregateSpec, 1)
		change(&config)
		if _, err := window.NewStore(config); err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}

func TestResultType(t *testing.T) {
	for _, c := range []struct{ fn, arg, want string }{
		{"COUNT", "BYTES", "BIGINT NOT NULL"},
		{"SUM", "TINYINT NOT NULL", "TINYINT"},
		{"SUM", "FLOAT", "FLOAT"},
		{"SUM", "DECIMAL(10, 2)", "DECIMAL(38, 2)"},
		{"AVG", "INT", "INT"},
		{"AVG", "DECIMAL(10, 2)", "DECIMAL(38, 6)"},
		{"AVG", "DECIMAL(20, 10)", "DECIMAL(38, 10)"},
		{"MIN", "CHAR(3) NOT NULL", "CHAR(3)"},
		{"MAX", "TIMESTAMP_LTZ(9)", "TIMESTAMP_LTZ(9)"},
	} {
		arg, err := sqltype.Parse(c.arg)
		if err != nil {
			t.Fatal(err)
		}
		got, err := window.ResultType(c.fn, arg)
		if err != nil || got.String() != c.want {
			t.Errorf("%s(%s) is %s (%v), want %s", c.fn, c.arg, got, err, c.want)
		}
	}
}

// A window takes the memory of the one before it, and no more with each; after a large one, small ones soon hold little again.
func TestMemoryOfWindows(t *testing.T) {
	s := mustStore(t, byText)
	start := int64(0)
	fill := func(groups int) int64 {
		keys := make([]string, groups)
		for i := range keys {
			keys[i] = strconv.Itoa(i)
		}
		start += byText.Window.Size
		mustAdd(t, s, textKeys(t, start, keys...))
		held := s.OpenWindows()[0].Bytes
		if err := s.Fire(eventtime.Watermark(start+byText.Window.Size-1), discard); err != nil {
			t.Fatal(err)
		}
		return held
	}
	small, large := fill(10), fill(10_000)
	for range 5 {
		if held := fill(10_000); held != large {
			t.Errorf("10,000 groups hold %d bytes, before it was %d", held, large)
		}
	}
	fill(10) // in the memory of the large one
	if held := fill(10); held != small {
		t.Errorf("10 groups hold %d bytes, want %d", held, small)
	}
}
