package partfile

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pencere/pkg/format/csv"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

var rowSchema = sqltype.Schema{{Name: "n", Type: sqltype.BigIntType}}

// batchOf holds the rows from, from+1, … below to.
func batchOf(from, to int) arrow.RecordBatch {
	builder := array.NewRecordBuilder(memory.DefaultAllocator, rowSchema.Arrow())
	for n := from; n < to; n++ {
		builder.Field(0).(*array.Int64Builder).Append(int64(n))
	}
	return builder.NewRecordBatch()
}

func newEncoder(t testing.TB) *csv.Encoder {
	encoder, err := csv.NewEncoder(rowSchema, csv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return encoder
}

// checkpoint is what a coordinator keeps: how far the source had been read, and the sink's part of the state.
type checkpoint struct {
	rows    int
	pending []Pending
	next    int64
}

// run is a job of one source of total rows and one sink, which restarts from its newest completed checkpoint.
type run struct {
	t         testing.TB
	disk      *disk
	total     int
	completed checkpoint
	attempt   int
	random    *rand.Rand
}

// attemptOnce runs the job from the newest checkpoint to its end, or to the first error.
func (r *run) attemptOnce() (err error) {
	r.attempt++
	if err := commit(r.disk, "out", r.completed.pending); err != nil {
		return err
	}
	if _, err := removeStale(r.disk, "out", "j", func(_, attempt int) bool { return attempt < r.attempt }); err != nil {
		return err
	}
	config := Config{Dir: "out", Job: "j", Attempt: r.attempt, Extension: ".csv", RollSize: 40, Next: r.completed.next}
	w, err := open(config, newEncoder(r.t), r.disk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for row := r.completed.rows; row < r.total; {
		to := min(r.total, row+1+r.random.IntN(20))
		if err := w.Write(batchOf(row, to)); err != nil {
			return err
		}
		row = to
		if row < r.total && r.random.IntN(3) > 0 {
			continue
		}
		if err := r.checkpoint(w, row); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) checkpoint(w *Writer, rows int) error {
	pending, err := w.Prepare()
	if err != nil {
		return err
	}
	if rows < r.total && r.random.IntN(4) == 0 {
		return nil // declined by another subtask: never committed
	}
	r.completed = checkpoint{rows, pending, w.Next()}
	if rows < r.total && r.random.IntN(4) == 0 {
		return nil // the word of its completion is lost: the next one brings these files too
	}
	return w.Commit(pending)
}

// finish lets the job run to its end on a disk that works, turns the machine off once more, and checks that each row
// was published once.
func (r *run) finish() {
	r.t.Helper()
	if err := r.attemptOnce(); err != nil {
		r.t.Fatalf("attempt on a sound disk: %v", err)
	}
	r.disk.crash(r.random)
	var want []string
	for n := range r.total {
		want = append(want, strconv.Itoa(n))
	}
	got := r.disk.finished()
	slices.SortFunc(got, func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	if !slices.Equal(got, want) {
		r.t.Fatalf("finished files hold %v, want 0 to %d, each once", got, r.total-1)
	}
	if hidden := r.disk.hidden(); len(hidden) > 0 {
		r.t.Fatalf("left behind: %v", hidden)
	}
}

// Each operation in turn is the one at which the machine goes off, with and without its effect.
func TestCrashAtEachOperation(t *testing.T) {
	for seed := range uint64(20) {
		for _, applied := range []bool{false, true} {
			for at := 0; ; at++ {
				r := &run{t: t, disk: newDisk(), total: 100, random: rand.New(rand.NewPCG(seed, 0))}
				r.disk.failAt, r.disk.applied, r.disk.fault = at, applied, errCrash
				err := r.attemptOnce()
				if err == nil {
					break // the job has fewer operations
				}
				if !errors.Is(err, errCrash) {
					t.Fatalf("seed %d, crash at %d: %v", seed, at, err)
				}
				r.disk.crash(r.random)
				r.finish()
			}
		}
	}
}

// Each operation in turn fails, the process lives on, and closes its writer.
func TestFaultAtEachOperation(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO} {
		for seed := range uint64(10) {
			for at := 0; ; at++ {
				r := &run{t: t, disk: newDisk(), total: 100, random: rand.New(rand.NewPCG(seed, 1))}
				r.disk.failAt, r.disk.fault = at, fault
				err := r.attemptOnce()
				if r.disk.ops <= at {
					break
				}
				if !errors.Is(err, fault) {
					t.Fatalf("seed %d, fault at %d: error %v", seed, at, err)
				}
				r.finish()
			}
		}
	}
}

// Errors name what was done, the path, and the remedy.
func TestErrorsSayWhatToDo(t *testing.T) {
	for fault, remedy := range map[error]string{
		syscall.ENOSPC: "no space left on device: free space on the file system of out",
		syscall.EDQUOT: "free space on the file system of out",
		syscall.EACCES: "permission denied: let the user that the taskmanager runs as write to out",
		syscall.EROFS:  "write to out",
	} {
		d := newDisk()
		w, err := open(Config{Dir: "out", Job: "j", Extension: ".csv"}, newEncoder(t), d)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(batchOf(0, 3)); err != nil {
			t.Fatal(err)
		}
		d.failAt, d.fault = d.ops, fault
		_, err = w.Prepare()
		if want := "write part file: write out/.part-j-0-0.inprogress.0: "; err == nil ||
			!strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), remedy) {
			t.Errorf("error %q, want %q and %q", err, want, remedy)
		}
		if again := w.Write(batchOf(3, 4)); !errors.Is(again, fault) {
			t.Errorf("after the error the writer says %v", again)
		}
	}
}

// Any number of crashes, at any operations.
func TestCrashesAtRandom(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := &run{t: t, disk: newDisk(), total: 200, random: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 2))}
		for range rapid.IntRange(0, 8).Draw(rt, "crashes") {
			r.disk.ops, r.disk.failAt = 0, r.random.IntN(120)
			r.disk.applied, r.disk.fault = r.random.IntN(2) == 0, errCrash
			if err := r.attemptOnce(); err != nil && !errors.Is(err, errCrash) {
				rt.Fatal(err)
			}
			r.disk.crash(r.random)
		}
		r.finish()
	})
}
