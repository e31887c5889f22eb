package window_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"pencere/pkg/eventtime"
	"pencere/pkg/ledger"
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

// patient is byText whose windows take rows for 50 ms after their end.
var patient = window.Config{Keys: byText.Keys, Window: window.Tumbling{Size: 100, Lateness: 50}}

var counting = window.Config{Keys: byText.Keys, Window: patient.Window, Aggregates: []window.AggregateSpec{{Name: "n", Func: window.Count}}}

// emitted are the rows that emit was given, without the windows' bounds.
type emitted [][]string

func (e *emitted) emit(batch arrow.RecordBatch) error {
	for _, r := range textRows([]arrow.RecordBatch{batch}) {
		*e = append(*e, r[:len(r)-2])
	}
	return nil
}

// take returns the rows since the last call, sorted: "a 2, b 1".
func (e *emitted) take() string {
	var rows []string
	for _, r := range sorted(*e) {
		rows = append(rows, strings.Join(r, " "))
	}
	*e = nil
	return strings.Join(rows, ", ")
}

// Within the allowed lateness a fired window takes rows: new groups are written, changed ones anew if they have aggregates, and
// others not again. The ledger has each group once.
func TestAllowedLateness(t *testing.T) {
	for name, test := range map[string]struct {
		config         window.Config
		fired, updated string
	}{
		"groups":     {patient, "a, b, c, d", "e, f"},
		"aggregates": {counting, "a 1, b 2, c 1, d 1", "a 2, c 3, d 2, e 1, f 2"},
	} {
		var out emitted
		s := mustStore(t, test.config)
		mustAdd(t, s, textKeys(t, 0, "a", "b", "b", "c", "d"))
		if err := errors.Join(s.Update(out.emit), s.Fire(98, out.emit)); err != nil || len(out) > 0 {
			t.Fatalf("%s: %v before the window fires, %v", name, out, err)
		}
		if err := s.Fire(99, out.emit); err != nil || out.take() != test.fired {
			t.Errorf("%s: fired %v, %v", name, out, err)
		}
		if open := s.OpenWindows(); len(open) != 0 || s.Memory() == 0 {
			t.Errorf("%s: %d open windows, %d bytes", name, len(open), s.Memory())
		}
		if err := s.Fire(148, out.emit); err != nil || len(out) > 0 {
			t.Errorf("%s: fired again: %v, %v", name, out, err)
		}
		if got, want := mustAdd(t, s, textKeys(t, 0, "c", "e", "f", "f", "c", "a", "d")), (window.Added{New: 2, Collapsed: 5}); got != want {
			t.Errorf("%s: added %+v, want %+v", name, got, want)
		}
		if err := s.Update(out.emit); err != nil {
			t.Error(err)
		}
		if got := out.take(); got != test.updated {
			t.Errorf("%s: written anew %q, want %q", name, got, test.updated)
		}
		if err := errors.Join(s.Update(out.emit), s.Fire(149, out.emit), s.Fire(eventtime.End, out.emit)); err != nil || len(out) > 0 {
			t.Errorf("%s: written without a change: %v, %v", name, out, err)
		}
		if got := mustAdd(t, s, textKeys(t, 0, "a")); got.Late != 1 {
			t.Errorf("%s: a row after the allowed lateness: %+v", name, got)
		}
		want := ledger.Ledger{{Split: 0, Emitted: 6, Collapsed: 6, Late: 1}}
		if got := s.Ledger(); !slices.Equal(got, want) {
			t.Errorf("%s: ledger %+v, want %+v", name, got, want)
		}
	}
}

// A window that opens after its end, as its first row is that late, writes at once.
func TestFirstRowWithinLateness(t *testing.T) {
	var out emitted
	s := mustStore(t, patient)
	if err := s.Fire(120, out.emit); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, s, textKeys(t, 0, "a", "a"))
	if err := s.Update(out.emit); err != nil || out.take() != "a" {
		t.Errorf("written %v, %v", out, err)
	}
}

// fileOf returns the state of a store of counting at a watermark.
func fileOf(t *testing.T, w eventtime.Watermark, keys ...string) []byte {
	t.Helper()
	s := mustStore(t, counting)
	mustAdd(t, s, textKeys(t, 0, keys...))
	if err := s.Fire(w, discard); err != nil {
		t.Fatal(err)
	}
	return encoded(t, s)
}

// A window that has fired is part of the state while it takes rows, and does not fire again.
func TestSnapshotWithinLateness(t *testing.T) {
	var out emitted
	s := mustStore(t, counting)
	if err := restore(s, fileOf(t, 120, "a", "b")); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, s, textKeys(t, 0, "b", "c"))
	if err := errors.Join(s.Update(out.emit), s.Fire(eventtime.End, out.emit)); err != nil {
		t.Fatal(err)
	}
	if got := out.take(); got != "b 2, c 1" {
		t.Errorf("written after the restore: %q", got)
	}
	if got, want := s.Ledger(), (ledger.Ledger{{Split: 0, Emitted: 1, Collapsed: 1}}); !slices.Equal(got, want) {
		t.Errorf("ledger %+v, want %+v", got, want)
	}
}

// Subtasks whose windows had not fired together give each group once all the same, whichever is read first.
func TestRestoreOfHalfFiredWindow(t *testing.T) {
	for _, firedFirst := range []bool{false, true} {
		files := [][]byte{fileOf(t, 98, "a", "b"), fileOf(t, 99, "x")}
		if firedFirst {
			slices.Reverse(files)
		}
		var out emitted
		s := mustStore(t, counting)
		for _, file := range files {
			if err := restore(s, file); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(s.Update(out.emit), s.Fire(eventtime.End, out.emit)); err != nil {
			t.Fatal(err)
		}
		if got := out.take(); got != "a 1, b 1" {
			t.Errorf("fired first: %v: written %q", firedFirst, got)
		}
		if got, want := s.Ledger(), (ledger.Ledger{{Split: 0, Emitted: 2}}); !slices.Equal(got, want) {
			t.Errorf("ledger %+v, want %+v", got, want)
		}
	}
}

// The allowed lateness may change from one savepoint to the next: with less, windows are forgotten that have fired.
func TestRestoreWithOtherLateness(t *testing.T) {
	for lateness, want := range map[int64]window.Added{0: {Late: 2}, 20: {Late: 2}, 40: {New: 1, Collapsed: 1}, 1000: {New: 1, Collapsed: 1}} {
		config := counting
		config.Window.Lateness = lateness
		s := mustStore(t, config)
		if err := restore(s, fileOf(t, 120, "a")); err != nil {
			t.Fatal(err)
		}
		if got := mustAdd(t, s, textKeys(t, 0, "a", "b")); got != want {
			t.Errorf("lateness %d: %+v, want %+v", lateness, got, want)
		}
	}
}

// The state with a fired window, as the first version that had some wrote it, is read for ever.
func TestVersionWithFiredWindow(t *testing.T) {
	file := filepath.Join("testdata", "lateness", "v1.keyed")
	written := fileOf(t, 120, "a", "b", "b")
	if _, err := os.Stat(file); *update && errors.Is(err, os.ErrNotExist) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, written, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, written) {
		t.Error("the encoding has changed; that needs a new version")
	}
	var out emitted
	s := mustStore(t, counting)
	if err := restore(s, data); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, s, textKeys(t, 0, "b"))
	if err := s.Update(out.emit); err != nil || out.take() != "b 3" {
		t.Errorf("written %v, %v", out, err)
	}
}

// Lateness beyond the end of time is no overflow.
func TestLatenessWithoutEnd(t *testing.T) {
	w := window.Tumbling{Size: 100, Lateness: 1<<63 - 1}
	if w.Expired(0, eventtime.End-1) || !w.Expired(0, eventtime.End) {
		t.Error("a window with endless lateness expires before the end of time, or not then")
	}
	if _, err := window.NewStore(window.Config{Keys: sqltype.Schema{}, Window: w}); err != nil {
		t.Error(err)
	}
}
