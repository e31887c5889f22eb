package subtask

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/eventtime"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/exchange"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
)

// memoryReader is a reader of records that a test puts there.
type memoryReader struct {
	mu       sync.Mutex
	splits   []kafka.Split
	queue    []kafka.Fetch
	err      error
	wake     chan struct{}
	commits  [][]kafka.Position
	slow     chan struct{} // not nil: commits wait for it
	released int
	closed   bool
}

func (r *memoryReader) open(_ plan.KafkaSource, splits []kafka.Split) (reader, error) {
	r.Add(splits...)
	return r, nil
}

func (r *memoryReader) put(f kafka.Fetch) {
	r.mu.Lock()
	r.queue = append(r.queue, f)
	r.mu.Unlock()
	r.wake <- struct{}{}
	synctest.Wait()
}

func (r *memoryReader) fail(err error) {
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	r.wake <- struct{}{}
}

func (r *memoryReader) Poll(ctx context.Context) ([]kafka.Fetch, error) {
	select {
	case <-r.wake:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	queue := r.queue
	r.queue = nil
	return queue, r.err
}

func (r *memoryReader) Release(kafka.Fetch) { r.released++ }

func (r *memoryReader) Add(splits ...kafka.Split) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.splits = append(r.splits, splits...)
}

func (r *memoryReader) Status() []kafka.SplitStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	statuses := make([]kafka.SplitStatus, len(r.splits))
	for i, s := range r.splits {
		statuses[i] = kafka.SplitStatus{Topic: s.Topic, Partition: s.Partition, State: kafka.Reading}
	}
	return statuses
}

func (r *memoryReader) Commit(ctx context.Context, positions []kafka.Position) error {
	if r.slow != nil {
		select {
		case <-r.slow:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commits = append(r.commits, positions)
	return nil
}

func (r *memoryReader) Close() { r.closed = true }

// records makes a fetch of a split: a record for each second given, whose id is that second.
func records(split int, seconds ...int) kafka.Fetch {
	f := kafka.Fetch{Split: split}
	for i, s := range seconds {
		value := fmt.Appendf(nil, `{"id":%d,"t":"2025-03-04 11:%02d:%02d"}`, s, s/60, s%60)
		f.Records = append(f.Records, &kgo.Record{Value: value, Offset: int64(i)})
	}
	f.Next = int64(len(seconds))
	return f
}

const spec = `
name: job
source:
  kafka: {brokers: "k:9092", topic: listings%s}
  schema: {id: INT, t: TIMESTAMP(3)}
  watermark: {column: t, delay: 0s, idle_after: 30s}
sink: {csv: {path: %q}}
checkpoint: {interval: 10s}
`

const windowed = "window: {tumble: 1m, group_by: [id]}\n"

// world is a source subtask in a synctest bubble, with what it reads and what it sends to.
type world struct {
	t        *testing.T
	dir      string
	reader   *memoryReader
	task     *Subtask
	gate     *exchange.Gate // of the downstream; nil without a window
	alloc    *memory.CheckedAllocator
	finished []partfile.File
	cancel   context.CancelCauseFunc
	ended    chan error
}

// inWorld runs a source of some splits. Cleanup ends it, and looks for what it left.
func inWorld(t *testing.T, text string, splits int, test func(w *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, dir: dir, reader: &memoryReader{wake: make(chan struct{}, 100)},
			alloc: memory.NewCheckedAllocator(memory.DefaultAllocator), ended: make(chan error, 1),
		}
		var ctx context.Context
		ctx, w.cancel = context.WithCancelCause(t.Context())
		w.deploy(text, splits)
		go func() { w.ended <- w.task.Run(ctx) }()
		synctest.Wait()
		defer func() {
			w.cancel(ErrCanceled)
			err := <-w.ended
			if w.gate != nil {
				w.gate.Close(errors.New("over"))
			}
			w.alloc.AssertSize(t, 0)
			if !w.reader.closed {
				t.Errorf("the reader is open after %v", err)
			}
			for _, e := range w.files() {
				if strings.HasPrefix(e, ".") {
					t.Errorf("hidden file %s is left", e)
				}
			}
		}()
		test(w)
	})
}

func (w *world) deploy(text string, splits int) {
	bounded := ""
	if rest, ok := strings.CutPrefix(text, "bounded\n"); ok {
		bounded, text = ", bounded: latest", rest
	}
	job, err := jobspec.Parse("job.yaml", []byte(fmt.Sprintf(spec, bounded, w.dir)+text), func(string) (string, bool) { return "", false })
	if err != nil {
		w.t.Fatal(err)
	}
	program, err := plan.Compile(job)
	if err != nil {
		w.t.Fatal(err)
	}
	encoded, err := job.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	d := &controlv1.DeploySubtask{Subtask: &controlv1.SubtaskRef{JobId: "0123456789", VertexId: program.Vertices[0].ID}, Plan: encoded, Parallelism: 1}
	for i := range splits {
		d.Splits = append(d.Splits, &controlv1.Split{Topic: "listings", Partition: int32(i), StopOffset: -1})
	}
	hub := exchange.NewHub()
	if len(program.Vertices) > 1 {
		down := &controlv1.SubtaskRef{JobId: "0123456789", VertexId: program.Vertices[1].ID}
		d.Downstreams = []*controlv1.Endpoint{{Subtask: down, TaskManagerId: "here"}}
		w.gate = exchange.NewGate(1)
		hub.Register(edgeEnd(down), w.gate)
	}
	w.task, err = New(d, Host{
		TaskManagerID: "here", Hub: hub, Alloc: w.alloc, Now: time.Now, Running: func() {},
		Dial:     func(string) (grpc.ClientConnInterface, error) { return nil, errors.New("nobody is elsewhere") },
		Finished: func(files []partfile.File) { w.finished = append(w.finished, files...) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.task.openReader = w.reader.open
}

func (w *world) files() []string {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// wants reads what the subtask has sent: "rows 2", "watermark 70" (seconds of the hour), "idle", "end".
func (w *world) wants(elements ...string) {
	w.t.Helper()
	const hour = 1741086000000 // 2025-03-04 11:00
	var got []string
	for {
		synctest.Wait()
		ctx, cancel := context.WithTimeout(w.t.Context(), 0)
		_, e, err := w.gate.Next(ctx)
		cancel()
		if err != nil {
			break
		}
		switch e.Kind {
		case exchange.Batch:
			got = append(got, fmt.Sprint("rows ", e.Batch.NumRows()))
			e.Batch.Release()
		case exchange.Watermark:
			got = append(got, fmt.Sprint("watermark ", (int64(e.Watermark)-hour)/1000))
		case exchange.Idle:
			got = append(got, "idle")
		case exchange.EndOfInput:
			got = append(got, "end")
		}
	}
	if !slices.Equal(got, elements) {
		w.t.Errorf("sent %q, want %q", got, elements)
	}
}

func (w *world) endsWith(want string) {
	w.t.Helper()
	err := <-w.ended
	w.ended <- err
	if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
		w.t.Errorf("ended with %v, want %q", err, want)
	}
}

func TestWatermarkIsTheSlowestSplits(t *testing.T) {
	inWorld(t, windowed, 2, func(w *world) {
		w.reader.put(records(0, 70))
		w.wants("rows 1")
		w.reader.put(records(1, 10, 20))
		w.wants("rows 2", "watermark 20")
		w.reader.put(records(1, 90))
		w.wants("rows 1", "watermark 70")
	})
}

func TestIdleSplits(t *testing.T) {
	inWorld(t, windowed, 2, func(w *world) {
		w.reader.put(records(0, 70))
		w.wants("rows 1")
		<-time.After(29 * time.Second)
		w.wants()
		w.reader.put(records(0, 71))
		<-time.After(2 * time.Second)
		w.wants("rows 1", "watermark 71")
		if splits := w.task.Report().GetSplits(); splits[0].GetIdle() || !splits[1].GetIdle() {
			t.Errorf("splits are reported as %v", splits)
		}
		<-time.After(30 * time.Second)
		w.wants("idle")
		// It comes back without anything new in time: downstream must wait for it again.
		w.reader.put(records(0, 71))
		w.wants("rows 1", "watermark 71")
	})
}

// A source without splits must not hold the others back.
func TestNoSplits(t *testing.T) {
	inWorld(t, windowed, 0, func(w *world) {
		<-time.After(time.Second)
		w.wants("idle")
	})
	inWorld(t, "bounded\n"+windowed, 0, func(w *world) {
		w.wants("end")
		w.endsWith("")
	})
}

func TestAddedSplits(t *testing.T) {
	inWorld(t, windowed, 1, func(w *world) {
		w.reader.put(records(0, 10))
		w.wants("rows 1", "watermark 10")
		w.task.AddSplits([]*controlv1.Split{{Topic: "listings", Partition: 7, StopOffset: -1}})
		synctest.Wait()
		w.reader.put(records(0, 70))
		w.wants("rows 1")
		w.reader.put(records(1, 30))
		w.wants("rows 1", "watermark 30")
		if splits := w.task.Report().GetSplits(); len(splits) != 2 || splits[1].GetPartition() != 7 {
			t.Errorf("splits are reported as %v", splits)
		}
	})
}

func TestBoundedEnd(t *testing.T) {
	inWorld(t, "bounded\n"+windowed, 2, func(w *world) {
		first := records(0, 70)
		first.Done = true
		w.reader.put(first)
		w.reader.put(records(1, 20))
		w.wants("rows 1", "rows 1", "watermark 20")
		w.reader.put(kafka.Fetch{Split: 1, Next: 5, Done: true})
		synctest.Wait()
		w.wants("idle", "end")
		w.endsWith("")
		last := w.reader.commits[len(w.reader.commits)-1]
		if last[0].Offset != 1 || last[1].Offset != 5 {
			t.Errorf("last commit %v", last)
		}
	})
}

// Rows of a job without a window are published, and positions committed, at each interval.
func TestPassThroughPublishes(t *testing.T) {
	inWorld(t, "", 1, func(w *world) {
		w.reader.put(records(0, 10, 11))
		<-time.After(9 * time.Second)
		if len(w.finished) != 0 || len(w.task.Report().GetOpenFiles()) != 1 {
			t.Errorf("published %v before the interval, open %v", w.finished, w.task.Report().GetOpenFiles())
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if len(w.finished) != 1 || w.finished[0].Rows != 2 {
			t.Errorf("published %v", w.finished)
		}
		w.reader.mu.Lock()
		defer w.reader.mu.Unlock()
		if last := w.reader.commits[len(w.reader.commits)-1]; last[0].Offset != 2 {
			t.Errorf("committed %v", last)
		}
	})
}

func TestCancelLeavesNoRows(t *testing.T) {
	inWorld(t, "", 1, func(w *world) {
		w.reader.put(records(0, 10, 11))
		w.cancel(ErrCanceled)
		w.endsWith(ErrCanceled.Error())
		if files := w.files(); len(files) != 0 {
			t.Errorf("files %v are left", files)
		}
	})
}

func TestErrorsEndTheSubtask(t *testing.T) {
	t.Run("bad record", func(t *testing.T) {
		inWorld(t, windowed, 1, func(w *world) {
			w.reader.put(kafka.Fetch{Records: []*kgo.Record{{Value: []byte("[]"), Offset: 42}}})
			w.endsWith("record at topic listings, partition 0, offset 42: ")
			if w.reader.released != 1 {
				t.Errorf("%d fetches were released", w.reader.released)
			}
		})
	})
	t.Run("reader", func(t *testing.T) {
		inWorld(t, windowed, 1, func(w *world) {
			w.reader.fail(errors.New("offset out of range"))
			w.endsWith("offset out of range")
		})
	})
	t.Run("dead downstream", func(t *testing.T) {
		inWorld(t, windowed, 1, func(w *world) {
			w.gate.Close(errors.New("disk full"))
			w.reader.put(records(0, 10))
			w.endsWith("disk full")
			err := <-w.ended
			if !errors.Is(err, exchange.ErrPeerGone) {
				t.Errorf("error %v is not about a peer", err)
			}
			w.ended <- err
		})
	})
	t.Run("panic", func(t *testing.T) {
		inWorld(t, windowed, 1, func(w *world) {
			w.reader.put(kafka.Fetch{Split: 9}) // there is no such split
			w.endsWith("panic: ")
		})
	})
}

// A broker that does not take commits holds up neither records nor, for long, the end.
func TestSlowCommits(t *testing.T) {
	inWorld(t, windowed, 1, func(w *world) {
		w.reader.slow = make(chan struct{})
		for i := range 5 {
			<-time.After(10 * time.Second)
			w.reader.put(records(0, 10+i))
			w.wants("rows 1", fmt.Sprint("watermark ", 10+i))
		}
		begin := time.Now()
		w.cancel(ErrCanceled)
		w.endsWith(ErrCanceled.Error())
		if took := time.Since(begin); took > finalCommit {
			t.Errorf("the end took %s", took)
		}
	})
}

func TestUnreadablePlan(t *testing.T) {
	_, err := New(&controlv1.DeploySubtask{Plan: []byte("{")}, Host{Now: time.Now})
	if err == nil || !strings.HasPrefix(err.Error(), "read plan: ") {
		t.Errorf("error %v", err)
	}
}

func TestMetrics(t *testing.T) {
	inWorld(t, windowed, 1, func(w *world) {
		if got := w.task.Metrics().GetInputWatermark(); eventtime.Watermark(got) != eventtime.None {
			t.Errorf("input watermark %d before the first record", got)
		}
		w.reader.put(records(0, 10, 11))
		<-time.After(3 * time.Second)
		w.wants("rows 2", "watermark 11")
		m := w.task.Metrics()
		if m.GetRecordsIn() != 2 || m.GetRecordsOut() != 2 || m.GetBytesIn() == 0 || m.GetBytesOut() == 0 || m.GetIdleMs() < 2000 ||
			m.GetBusyMs() > 1000 || m.GetInputWatermark() != m.GetOutputWatermark() {
			t.Errorf("metrics %v", m)
		}
	})
}
