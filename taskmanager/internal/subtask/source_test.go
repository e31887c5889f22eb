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

	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/eventtime"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/exchange"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob/memblob"
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

func (r *memoryReader) committed() []kafka.Position {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.commits) == 0 {
		return nil
	}
	return r.commits[len(r.commits)-1]
}

func (r *memoryReader) open(_ plan.Source, splits []checkpoint.Split) (reader, error) {
	r.Add(splits)
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

func (r *memoryReader) Add(splits []checkpoint.Split) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.splits = append(r.splits, kafkaSplits(splits)...)
}

func (r *memoryReader) Position(int) []byte { return nil }

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
	t      *testing.T
	dir    string
	reader *memoryReader
	task   *Subtask
	gate   *exchange.Gate // of the downstream; nil without a window
	alloc  *memory.CheckedAllocator
	bucket *blobstore.Bucket
	cancel context.CancelCauseFunc
	ended  chan error

	mu       sync.Mutex
	finished []partfile.File
	sent     []*controlv1.ConnectRequest // to the jobmanager
}

// inWorld runs a source of some splits. Cleanup ends it, and looks for what it left.
func inWorld(t *testing.T, text string, splits int, test func(w *world)) {
	goOn(t, text, splits, checkpoint.State{}, test)
}

// goOn is inWorld for a source that goes on from a checkpoint.
func goOn(t *testing.T, text string, splits int, from checkpoint.State, test func(w *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, dir: dir, reader: &memoryReader{wake: make(chan struct{}, 100)},
			alloc: memory.NewCheckedAllocator(memory.DefaultAllocator), bucket: blobstore.NewBucket("mem:", memblob.OpenBucket(nil)), ended: make(chan error, 1),
		}
		var ctx context.Context
		ctx, w.cancel = context.WithCancelCause(t.Context())
		w.deploy(text, splits, from)
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

func (w *world) deploy(text string, splits int, from checkpoint.State) {
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
		d.Splits = append(d.Splits, &controlv1.Split{Topic: "listings", Partition: int32(i), StopOffset: -1, Number: int32(i)})
	}
	if from.Subtask.VertexID != "" {
		d.Restored, d.RestoredId = from.Encode(), 1
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
		Bucket:   func(context.Context, string) (*blobstore.Bucket, error) { return w.bucket, nil },
		Finished: w.publish, Send: w.send,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.task.openReader = w.reader.open
}

func (w *world) publish(files []partfile.File) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = append(w.finished, files...)
}

func (w *world) send(m *controlv1.ConnectRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, m)
}

// said returns what the subtask told the jobmanager since the last call.
func (w *world) said() []*controlv1.ConnectRequest {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.sent
	w.sent = nil
	return sent
}

// acked returns the state that the subtask has put into a checkpoint, the only thing that it said.
func (w *world) acked(id checkpoint.ID) checkpoint.State {
	w.t.Helper()
	said := w.said()
	if len(said) != 1 || said[0].GetCheckpointAck() == nil || said[0].GetCheckpointAck().GetCheckpointId() != uint64(id) {
		w.t.Fatalf("said %v, want an ack of checkpoint %d", said, id)
	}
	return w.state(said[0].GetCheckpointAck().GetState())
}

// over returns the state with which the subtask says that its input has ended.
func (w *world) over(last checkpoint.ID) checkpoint.State {
	w.t.Helper()
	said := w.said()
	if len(said) != 1 || said[0].GetSubtaskEnded() == nil || said[0].GetSubtaskEnded().GetLastCheckpointId() != uint64(last) {
		w.t.Fatalf("said %v, want its end after checkpoint %d", said, last)
	}
	return w.state(said[0].GetSubtaskEnded().GetState())
}

func (w *world) state(encoded []byte) checkpoint.State {
	w.t.Helper()
	state, err := checkpoint.DecodeState(encoded)
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

// commit tells the subtask that a checkpoint is committed.
func (w *world) commit(id checkpoint.ID) {
	w.task.Commit(&controlv1.CheckpointCommit{CheckpointId: uint64(id)})
}

// rows returns how many rows are published.
func (w *world) rows() (rows int64) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.finished {
		rows += f.Rows
	}
	return rows
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
		case exchange.Barrier:
			got = append(got, fmt.Sprint("barrier ", e.Checkpoint))
		case exchange.EndOfInput:
			got = append(got, "end")
		case exchange.Nudge: // never on an edge
			w.t.Fatal("a nudge was sent")
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
		w.over(0)
		w.commit(1)
		w.endsWith("")
	})
}

func TestAddedSplits(t *testing.T) {
	inWorld(t, windowed, 1, func(w *world) {
		w.reader.put(records(0, 10))
		w.wants("rows 1", "watermark 10")
		w.task.AddSplits([]*controlv1.Split{{Topic: "listings", Partition: 7, StopOffset: -1, Number: 1}})
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
		state := w.over(0)
		if s := state.Splits; len(s) != 2 || !s[0].Done || !s[1].Done || s[0].Next != 1 || s[1].Next != 5 {
			t.Errorf("last state %+v", s)
		}
		if last := w.reader.committed(); last != nil {
			t.Errorf("committed %v before the last checkpoint", last)
		}
		w.commit(1)
		w.endsWith("")
		if last := w.reader.committed(); last[0].Offset != 1 || last[1].Offset != 5 {
			t.Errorf("last commit %v", last)
		}
	})
}

// Rows of a job without a window are published, and positions committed, when their checkpoint is committed and not before.
func TestPassThroughPublishes(t *testing.T) {
	inWorld(t, "", 1, func(w *world) {
		w.reader.put(records(0, 10, 11))
		w.task.Trigger(1, checkpoint.Periodic)
		state := w.acked(1)
		if p := state.Sink.Pending; len(p) != 1 || p[0].Rows != 2 || state.Splits[0].Next != 2 {
			t.Errorf("state %+v", state)
		}
		<-time.After(time.Minute)
		if rows := w.rows(); rows != 0 || w.reader.committed() != nil {
			t.Errorf("%d rows are published, %v committed before the checkpoint", rows, w.reader.committed())
		}
		w.commit(1)
		if rows := w.rows(); rows != 2 {
			t.Errorf("%d rows are published", rows)
		}
		if last := w.reader.committed(); len(last) != 1 || last[0].Offset != 2 {
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
			w.task.Trigger(checkpoint.ID(i+1), checkpoint.Periodic)
			w.wants(fmt.Sprint("barrier ", i+1))
			w.commit(checkpoint.ID(uint64(i + 1)))
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
