package partfile_test

import (
	"crypto/sha256"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pencere/pkg/connector/partfile"
	"pencere/pkg/format"
	"pencere/pkg/format/csv"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

var textSchema = sqltype.Schema{{Name: "s", Type: sqltype.StringType}}

func texts(values ...string) arrow.RecordBatch {
	builder := array.NewRecordBuilder(memory.DefaultAllocator, textSchema.Arrow())
	builder.Field(0).(*array.StringBuilder).AppendValues(values, nil)
	return builder.NewRecordBatch()
}

func mustOpen(t testing.TB, config partfile.Config) *partfile.Writer {
	t.Helper()
	encoder, err := csv.NewEncoder(textSchema, csv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if config.Job == "" {
		config.Job, config.Extension = "j", ".csv"
	}
	w, err := partfile.New(config, encoder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func mustWrite(t testing.TB, w *partfile.Writer, values ...string) {
	t.Helper()
	if err := w.Write(texts(values...)); err != nil {
		t.Fatal(err)
	}
}

// finish prepares and commits, and returns what that published.
func finish(w *partfile.Writer) ([]partfile.File, error) {
	pending, err := w.Prepare()
	if err != nil {
		return nil, err
	}
	if err := w.Commit(pending); err != nil {
		return nil, err
	}
	finished := slices.DeleteFunc(w.Files(), func(f partfile.File) bool { return f.State != partfile.StateFinished })
	return finished[len(finished)-len(pending):], nil
}

func mustFinish(t testing.TB, w *partfile.Writer) []partfile.File {
	t.Helper()
	files, err := finish(w)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// contents returns the names in dir, and what is in each.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Name()] = string(text)
	}
	return found
}

func checkContents(t testing.TB, dir string, want map[string]string) {
	t.Helper()
	got := contents(t, dir)
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s holds %q, want %q", name, got[name], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("files %v, want %v", got, want)
	}
}

func TestWriteAndFinish(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	w := mustOpen(t, partfile.Config{Dir: dir, Subtask: 3, Attempt: 7, Job: "j", Extension: ".csv"})
	checkContents(t, dir, nil)
	if files := mustFinish(t, w); len(files) != 0 {
		t.Errorf("finished %v without rows", files)
	}
	mustWrite(t, w, "a", "b")
	checkContents(t, dir, map[string]string{".part-j-3-0.inprogress.7": ""})
	files := mustFinish(t, w)
	if len(files) != 1 || files[0].Name != "part-j-3-0.csv" || files[0].Rows != 2 || files[0].Bytes != 4 || files[0].State != partfile.StateFinished {
		t.Errorf("finished %+v", files)
	}
	mustWrite(t, w, "c")
	if files := w.Files(); len(files) != 2 || files[1].State != partfile.StateInProgress || files[1].Name != ".part-j-3-1.inprogress.7" {
		t.Errorf("files %+v", files)
	}
	if files := mustFinish(t, w); len(files) != 1 || files[0].Name != "part-j-3-1.csv" {
		t.Errorf("finished %+v", files)
	}
	checkContents(t, dir, map[string]string{"part-j-3-0.csv": "a\nb\n", "part-j-3-1.csv": "c\n"})
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("directory has mode %v, %v", info.Mode(), err)
	}
}

// A file takes rows until it has its size; the row that reaches it is its last, and whole.
func TestRollsBySize(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, partfile.Config{Dir: dir, RollSize: 6})
	mustWrite(t, w, "a", "b", "c", "d", "longer-than-a-file", "e")
	mustFinish(t, w)
	checkContents(t, dir, map[string]string{"part-j-0-0.csv": "a\nb\nc\n", "part-j-0-1.csv": "d\nlonger-than-a-file\n", "part-j-0-2.csv": "e\n"})
}

// Rows larger than the buffer, and many of them, are all there.
func TestManyBytes(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, partfile.Config{Dir: dir, RollSize: 1 << 20})
	row := strings.Repeat("x", 300_000)
	for range 10 {
		mustWrite(t, w, row, "a")
	}
	var rows, size int64
	for _, f := range mustFinish(t, w) {
		rows, size = rows+f.Rows, size+f.Bytes
	}
	all := strings.Join(slices.Collect(func(yield func(string) bool) {
		for _, f := range w.Files() {
			if !yield(contents(t, dir)[f.Name]) {
				return
			}
		}
	}), "")
	if want := strings.Repeat("\""+row+"\"\na\n", 10); all != want || rows != 20 || size != int64(len(want)) {
		t.Errorf("%d rows and %d bytes, %d of them on disk, want 20 and %d", rows, size, len(all), len(want))
	}
}

func TestRollsByAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := mustOpen(t, partfile.Config{Dir: dir, RollInterval: time.Minute, Job: "j", Extension: ".csv"})
		mustWrite(t, w, "a")
		<-time.After(59 * time.Second) // the bubble's clock
		if err := w.Tick(time.Now()); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, w, "b")
		<-time.After(time.Second)
		if err := w.Tick(time.Now()); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, w, "c")
		files := w.Files()
		if len(files) != 2 || files[0].State != partfile.StatePending || files[0].Rows != 2 || !files[0].Modified.Equal(time.Now()) {
			t.Errorf("files %+v", files)
		}
	})
	checkContents(t, dir, map[string]string{})
}

// Numbers go on after files that are there, finished or hidden, of any attempt, and after the checkpoint's.
func TestNumbersGoOn(t *testing.T) {
	dir := t.TempDir()
	old := map[string]string{"part-j-0-4.csv": "old\n", ".part-j-0-6.inprogress.1": "half", "part-j-1-9.csv": "other subtask", "part-other-0-12.csv": "", "foreign": "x"}
	for name, text := range old {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w := mustOpen(t, partfile.Config{Dir: dir, Attempt: 2})
	if w.Next() != 7 {
		t.Errorf("next number %d, want 7", w.Next())
	}
	if w := mustOpen(t, partfile.Config{Dir: dir, Next: 20}); w.Next() != 20 {
		t.Errorf("next number %d, want the checkpoint's 20", w.Next())
	}
	mustWrite(t, w, "new")
	mustFinish(t, w)
	old["part-j-0-7.csv"] = "new\n"
	checkContents(t, dir, old)
}

func TestCloseRemovesWhatNoCheckpointHolds(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, partfile.Config{Dir: dir, RollSize: 2})
	mustWrite(t, w, "a")
	pending, err := w.Prepare()
	if err != nil || len(pending) != 1 {
		t.Fatalf("Prepare = %v, %v", pending, err)
	}
	mustWrite(t, w, "b")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	checkContents(t, dir, map[string]string{".part-j-0-0.inprogress.0": "a\n"})
	if err := w.Write(texts("c")); err == nil {
		t.Error("a closed writer took rows")
	}
	if _, err := w.Prepare(); err == nil {
		t.Error("a closed writer prepared")
	}
	for range 2 { // by whoever restores, as often as need be
		if err := partfile.Commit(dir, pending); err != nil {
			t.Fatal(err)
		}
	}
	checkContents(t, dir, map[string]string{"part-j-0-0.csv": "a\n"})
}

func TestCommitRefuses(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, partfile.Config{Dir: dir})
	mustWrite(t, w, "a")
	pending, err := w.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	final := filepath.Join(dir, "part-j-0-0.csv")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refuses := func(want error, words ...string) {
		t.Helper()
		err := partfile.Commit(dir, pending)
		if !errors.Is(err, want) {
			t.Fatalf("error %v, want %v", err, want)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("error %q does not say %q", err, word)
			}
		}
	}
	write(final, "b\n") // as long as ours
	refuses(partfile.ErrForeign, final, "move it away")
	write(final, "foreign")
	refuses(partfile.ErrForeign, final, "has 7 bytes, not 2")
	if got := contents(t, dir); got["part-j-0-0.csv"] != "foreign" {
		t.Errorf("a foreign file was changed: %v", got)
	}
	if err := os.Remove(final); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(dir, pending[0].Hidden), "a\nb\n")
	refuses(partfile.ErrForeign, "has 4 bytes, not 2")
	if err := os.Remove(filepath.Join(dir, pending[0].Hidden)); err != nil {
		t.Fatal(err)
	}
	refuses(partfile.ErrMissing, final, pending[0].Hidden)
	pending[0].Name = "../escaped.csv"
	if err := partfile.Commit(dir, pending); err == nil || !strings.Contains(err.Error(), "must not lead to another directory") {
		t.Errorf("error %v", err)
	}
}

func TestRemoveStale(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		".part-j-0-1.inprogress.1", ".part-j-1-1.inprogress.1", ".part-j-0-2.inprogress.2", ".part-other-0-1.inprogress.1",
		"part-j-0-0.csv", ".part-j-0-1.inprogress.x", ".hidden",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := partfile.RemoveStale(dir, "j", func(_, attempt int) bool { return attempt < 2 })
	slices.Sort(removed)
	if want := []string{".part-j-0-1.inprogress.1", ".part-j-1-1.inprogress.1"}; err != nil || !slices.Equal(removed, want) {
		t.Errorf("removed %v, %v, want %v", removed, err, want)
	}
	if got := contents(t, dir); len(got) != 5 {
		t.Errorf("left %v", got)
	}
	if _, err := partfile.RemoveStale(filepath.Join(dir, "none"), "j", nil); err != nil {
		t.Errorf("a missing directory has nothing stale: %v", err)
	}
}

func TestNewest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if names, err := partfile.Newest(dir, "a", ".csv"); len(names) > 0 || err != nil {
		t.Errorf("without a directory: %v, %v", names, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"part-a-0-9.csv", "part-a-0-10.csv", "part-a-0-11.csv.gz", ".part-a-0-12.inprogress.0", "part-a-1-0.csv", "part-a-12-3.csv", "part-b-2-7.csv",
		"part-a-0-013.csv", "part-a-x-1.csv", "part-a-1.csv", "notes.txt",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := partfile.Newest(dir, "a", ".csv")
	want := map[int]string{0: "part-a-0-10.csv", 1: "part-a-1-0.csv", 12: "part-a-12-3.csv"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestNewRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{path, filepath.Join(path, "below")} {
		_, err := partfile.New(partfile.Config{Dir: dir, Job: "j"}, nil)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "name a directory as the sink's path") {
			t.Errorf("%s: error %v", dir, err)
		}
	}
	for _, job := range []string{"", "a/b", `a\b`} {
		if _, err := partfile.New(partfile.Config{Dir: t.TempDir(), Job: job}, nil); err == nil {
			t.Errorf("job id %q was taken", job)
		}
	}
}

// A row that cannot be written stops the writer with the encoder's error, and nothing of the batch is published.
func TestRowError(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, partfile.Config{Dir: dir})
	err := w.Write(texts("a", "\xff"))
	var row *format.RowError
	if !errors.As(err, &row) || row.Row != 1 || row.Column != "s" {
		t.Fatalf("error %v", err)
	}
	if _, again := finish(w); again == nil {
		t.Error("rows were published after an error")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	checkContents(t, dir, map[string]string{})
}

func BenchmarkWrite(b *testing.B) {
	values := make([]string, 4096)
	for i := range values {
		values[i] = "ikinci el LG OLED TV, 85 bytes a row, as the reference job writes them to its files"
	}
	batch := texts(values...)
	w := mustOpen(b, partfile.Config{Dir: b.TempDir(), RollSize: 1 << 40, Job: "j"})
	for b.Loop() {
		if err := w.Write(batch); err != nil {
			b.Fatal(err)
		}
		if w.Files()[0].Bytes > 1<<28 { // no disk is filled
			b.StopTimer()
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
			w = mustOpen(b, partfile.Config{Dir: b.TempDir(), RollSize: 1 << 40, Job: "j"})
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(values)), "ns/row")
}

// Each file is told of with the digest of its bytes and the range of its rows' windows, however it was filled.
func TestDigestAndWindows(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, partfile.Config{Dir: dir, RollSize: 300_000})
	big := strings.Repeat("x", 200_000)
	mustWrite(t, w, "without a window")
	first, err := w.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	w.InWindow(100, 200)
	mustWrite(t, w, "a", big)
	w.InWindow(-100, 0)
	mustWrite(t, w, big, "c") // the file is full after the first of these
	w.InWindow(500, 600)
	mustWrite(t, w, "d")
	all, err := w.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	var windows [][2]int64
	for i, p := range all {
		text, err := os.ReadFile(filepath.Join(dir, p.Hidden))
		if err != nil {
			t.Fatal(err)
		}
		if p.SHA256 != sha256.Sum256(text) {
			t.Errorf("file %d: the digest is not that of its %d bytes", i, len(text))
		}
		windows = append(windows, [2]int64{p.WindowStart, p.WindowEnd})
	}
	if want := [][2]int64{{0, 0}, {-100, 200}, {-100, 600}}; !slices.Equal(windows, want) {
		t.Errorf("windows are %v, want %v", windows, want)
	}
	if all[0] != first[0] {
		t.Errorf("a file that is prepared again is %v, was %v", all[0], first[0])
	}
	if err := w.Commit(all); err != nil {
		t.Fatal(err)
	}
	// A later checkpoint holds them too, as it was cut before they were published. By now somebody has taken them away.
	for _, p := range all {
		if err := os.Remove(filepath.Join(dir, p.Name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(all); err != nil {
		t.Error(err)
	}
}
