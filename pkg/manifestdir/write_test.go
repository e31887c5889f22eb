package manifestdir

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pencere/pkg/connector/partfile"
	"pencere/pkg/format/csv"
	"pencere/pkg/manifest"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func chained(t testing.TB, names ...string) []manifest.Entry {
	var files []manifest.File
	for _, name := range names {
		files = append(files, manifest.File{Name: name, SHA256: manifest.Sum([]byte("1\n")), Rows: 1, Bytes: 2, Quote: `"`})
	}
	_, entries, err := manifest.Chain(manifest.Head{}, manifest.Checkpoint{ID: 1, Job: "a"}, files)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	entries := chained(t, "part-a-0-0.csv", "part-a-1-0.csv")
	for range 2 { // the second time all is there
		if err := Write(dir, entries...); err != nil {
			t.Fatal(err)
		}
	}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, manifest.Dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if read, err := manifest.Decode(text); err != nil || read.Hash != entry.Hash {
			t.Errorf("wrote %s: %v", text, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, manifest.Dir)); err != nil || len(left) != 2 {
		t.Errorf("left %v: %v", left, err)
	}
}

func TestOf(t *testing.T) {
	dir := t.TempDir()
	if _, ok, err := Of(dir, "part-a-0-0.csv"); ok || err != nil {
		t.Errorf("without a manifest: %t, %v", ok, err)
	}
	want := chained(t, "part-a-0-0.csv")[0]
	if err := Write(dir, want); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := Of(dir, "part-a-0-0.csv"); !ok || err != nil || got.Hash != want.Hash {
		t.Errorf("got %+v, %t, %v", got, ok, err)
	}
	if err := os.WriteFile(filepath.Join(dir, manifest.Dir, want.Name()), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Of(dir, "part-a-0-0.csv"); err == nil || !strings.Contains(err.Error(), want.Name()) {
		t.Errorf("of a broken entry: %v", err)
	}
}

func TestWriteOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	entry := chained(t, "part-a-0-0.csv")[0]
	if err := Write(dir, entry); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, manifest.Dir, entry.Name())
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := entry
	other.Checkpoint.Program = "other"
	other.Hash = other.ComputeHash()
	if err := Write(dir, other); !errors.Is(err, ErrDifferent) || !strings.Contains(err.Error(), path) {
		t.Errorf("wrote another entry: %v", err)
	}
	other.Hash[0]++
	if err := Write(dir, other); !errors.Is(err, manifest.ErrEdited) {
		t.Errorf("wrote an entry with a wrong hash: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("now there is %s: %v", after, err)
	}
}

func TestWriteExplains(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, manifest.Dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Write(dir, chained(t, "part-a-0-0.csv")...)
	if !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), "move the file") {
		t.Error(err)
	}
	full := newDisk()
	full.failAt, full.fault = 3, syscall.ENOSPC
	err = write(full, "out", chained(t, "part-a-0-0.csv"))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space") {
		t.Error(err)
	}
	if len(full.live) != 0 {
		t.Errorf("left %v", full.live)
	}
}

// What the sink writes with its manifest is proved, while it runs and when it has ended.
func TestVerifyPartfiles(t *testing.T) {
	dir := t.TempDir()
	schema := sqltype.Schema{{Name: "s", Type: sqltype.StringType}}
	encoder, err := csv.NewEncoder(schema, csv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := partfile.New(partfile.Config{Dir: dir, Job: "a", Extension: ".csv"}, encoder)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	rows := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
	rows.Field(0).(*array.StringBuilder).AppendValues([]string{"plain", "two\nlines", `a "quote"`}, nil)
	if err := writer.Write(rows.NewRecordBatch()); err != nil {
		t.Fatal(err)
	}
	pending, err := writer.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, pending[0].Hidden))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := manifest.Checkpoint{ID: 1, Job: "a"}
	head, entries, err := manifest.Chain(manifest.Head{}, checkpoint, []manifest.File{{
		Name: pending[0].Name, SHA256: manifest.Sum(content), Rows: pending[0].Rows, Bytes: pending[0].Bytes, Quote: `"`}})
	if err != nil {
		t.Fatal(err)
	}
	_, end, err := manifest.End(head, checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		do             func() error
		intact, proved bool
		files          int64
	}{
		{func() error { return nil }, true, true, 0},
		{func() error { return Write(dir, entries...) }, true, false, 0},
		{func() error { return writer.Commit(pending) }, true, false, 1},
		{func() error { return Write(dir, end) }, true, true, 1},
		{func() error { return os.Remove(filepath.Join(dir, manifest.Dir, entries[0].Name())) }, false, false, 0},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		report, err := Verify(os.DirFS(dir))
		if err != nil || report.Intact() != step.intact || report.Proved() != step.proved || report.Totals.Files != step.files {
			t.Fatal(report, err)
		}
	}
}

func TestVerifyNoDirectory(t *testing.T) {
	if _, err := Verify(os.DirFS(filepath.Join(t.TempDir(), "none"))); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// A pipe in place of a part file is an error, and not waited on.
func TestVerifyPipe(t *testing.T) {
	dir := t.TempDir()
	entries := chained(t, "part-a-0-0.csv")
	if err := Write(dir, entries...); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, entries[0].File.Name), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := Verify(os.DirFS(dir))
	if err != nil || report.Intact() || report.Problems[1].Kind != manifest.Unreadable {
		t.Error(report, err)
	}
}

// A Write that fails or dies at any of its steps leaves each entry wholly or not at all, and one that is done again
// after it makes them all there, for good.
func TestWriteCrashes(t *testing.T) {
	entries := chained(t, "part-a-0-0.csv", "part-a-1-0.csv")
	for _, fault := range []error{errCrash, syscall.EIO} {
		for _, applied := range []bool{false, true} {
			for seed := range uint64(20) {
				for step := 0; crashOnce(t, entries, crashPoint{step, fault, applied, seed}); step++ {
				}
			}
		}
	}
}

type crashPoint struct {
	step    int
	fault   error
	applied bool
	seed    uint64
}

// crashOnce reports whether the disk failed at the point given: a Write has not so many steps if not.
func crashOnce(t *testing.T, entries []manifest.Entry, at crashPoint) bool {
	d := newDisk()
	d.failAt, d.fault, d.applied = at.step, at.fault, at.applied
	err := write(d, "out", entries)
	if err == nil && d.ops > at.step {
		t.Fatalf("%+v: a fault was not reported", at)
	}
	if errors.Is(at.fault, errCrash) {
		d.crash(at.seed)
	}
	d.failAt = -1
	d.mustHoldOnly(t, entries)
	if err := write(d, "out", entries); err != nil {
		t.Fatalf("%+v: written again: %v", at, err)
	}
	if _, err := removeTemporary(d, "out", "a"); err != nil {
		t.Fatal(err)
	}
	d.crash(at.seed) // what was promised is kept
	if got := d.mustHoldOnly(t, entries); got != len(entries) {
		t.Fatalf("%+v: %d entries are there after a crash: %v", at, got, maps.Keys(d.live))
	}
	return err != nil
}
