package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/slotpool"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/plan"

	"go.opentelemetry.io/otel/trace"
)

// memoryLog is the replicated log as far as jobs see it.
type memoryLog struct {
	*replica.Memory
	mu       sync.Mutex
	err      error // of every Apply
	applying func(*storagev1.Command)
}

func (l *memoryLog) Apply(ctx context.Context, c *storagev1.Command) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if l.applying != nil {
		l.applying(c)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	return l.Memory.Apply(ctx, c)
}

// topic is a Kafka topic as enumerators see it.
type topic struct {
	mu         sync.Mutex
	partitions int32
	down       chan struct{} // not nil while the broker is away; closed when it comes back
	err        error         // of Discover
	open       int           // enumerators
}

func (p *topic) grow(to int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.partitions = to
}

// enumerator finds the splits of a topic.
type enumerator struct {
	topic *topic
	known int32
	first bool

	mu      sync.Mutex
	waiting string
}

func (p *topic) enumerator(plan.KafkaSource) (Enumerator, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open++
	return &enumerator{topic: p, first: true}, nil
}

func (e *enumerator) Restore(splits []kafka.Split) { e.known, e.first = int32(len(splits)), false }

func (e *enumerator) Discover(ctx context.Context) ([]kafka.Split, error) {
	e.topic.mu.Lock()
	down := e.topic.down
	e.topic.mu.Unlock()
	if down != nil {
		e.wait("broker k:9092: connection refused; retrying")
		select {
		case <-down:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		e.wait("")
	}
	e.topic.mu.Lock()
	defer e.topic.mu.Unlock()
	if e.topic.err != nil {
		return nil, e.topic.err
	}
	var found []kafka.Split
	for ; e.known < e.topic.partitions; e.known++ {
		found = append(found, kafka.Split{Topic: "sahibinden", Partition: e.known, Start: 100, Stop: -1})
	}
	return found, nil
}

func (e *enumerator) wait(why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting = why
}

func (e *enumerator) Waiting() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.waiting
}

func (e *enumerator) Close() {
	e.topic.mu.Lock()
	defer e.topic.mu.Unlock()
	e.topic.open--
}

// taskManager is a taskmanager that does what it is told at once, and keeps what it was told.
type taskManager struct {
	w     *world
	id    string
	leave func(reason string)
	mute  bool // says nothing about cancellations

	mu       sync.Mutex
	deployed []*controlv1.DeploySubtask
	canceled []*controlv1.SubtaskRef
	added    []*controlv1.AddSplits
	orders   []string // about checkpoints: "trigger 1 of 0", the index of the subtask, in the order in which they came
}

func (tm *taskManager) send(m *controlv1.ConnectResponse) {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	switch m := m.GetMessage().(type) {
	case *controlv1.ConnectResponse_DeploySubtask:
		tm.deployed = append(tm.deployed, m.DeploySubtask)
	case *controlv1.ConnectResponse_CancelSubtask:
		tm.canceled = append(tm.canceled, m.CancelSubtask.GetSubtask())
		if !tm.mute {
			go tm.w.report(tm.id, m.CancelSubtask.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_CANCELED)
		}
	case *controlv1.ConnectResponse_AddSplits:
		tm.added = append(tm.added, m.AddSplits)
	case *controlv1.ConnectResponse_CheckpointTrigger:
		tm.order("trigger", m.CheckpointTrigger)
	case *controlv1.ConnectResponse_CheckpointCommit:
		tm.order("commit", m.CheckpointCommit)
	case *controlv1.ConnectResponse_CheckpointAbort:
		tm.order("abort", m.CheckpointAbort)
	case *controlv1.ConnectResponse_Dismissed:
		tm.orders = append(tm.orders, "dismissed")
	}
}

// order notes what a subtask is told about a checkpoint. mu is held.
func (tm *taskManager) order(what string, m interface {
	GetSubtask() *controlv1.SubtaskRef
	GetCheckpointId() uint64
}) {
	tm.orders = append(tm.orders, fmt.Sprintf("%s %d of %d", what, m.GetCheckpointId(), m.GetSubtask().GetSubtaskIndex()))
}

// takeOrders returns the orders about checkpoints since the last call.
func (tm *taskManager) takeOrders() []string {
	synctest.Wait()
	tm.mu.Lock()
	defer tm.mu.Unlock()
	orders := tm.orders
	tm.orders = nil
	return orders
}

// take returns what was deployed since the last call.
func (tm *taskManager) take() []*controlv1.DeploySubtask {
	tm.mu.Lock()
	defer tm.mu.Unlock()
	deployed := tm.deployed
	tm.deployed = nil
	return deployed
}

// world is a dispatcher and all around it, in a synctest bubble.
type world struct {
	t          *testing.T
	log        *memoryLog
	topic      *topic
	pool       *slotpool.Pool
	storage    *blobstore.Store
	dispatcher *Dispatcher
	grace      time.Duration  // of the next leaders
	rescale    elastic.Config // of the next leaders
	tracer     trace.Tracer   // of the next leaders; nil for none
	resign     context.CancelFunc
	led        chan error // what Lead returned
	reason     error      // the same, after stop
}

// inWorld runs a test with a dispatcher that leads. At its end the leadership ends, and everything must with it.
func inWorld(t *testing.T, test func(w *world)) {
	url, err := blobstore.URL(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, log: &memoryLog{Memory: replica.NewMemory()}, topic: &topic{partitions: 2}, storage: blobstore.New(url)}
		defer w.storage.Close()
		w.lead()
		defer func() {
			w.stop()
			if w.topic.open != 0 {
				t.Errorf("%d enumerators are open after the leadership", w.topic.open)
			}
		}()
		test(w)
	})
}

// lead starts a new jobmanager on the log.
func (w *world) lead() {
	w.pool = slotpool.New(time.Now)
	w.dispatcher = New(Config{
		Log: w.log, Slots: w.pool, Splits: w.topic.enumerator, Storage: w.storage, Logger: slog.New(slog.DiscardHandler),
		Now: time.Now, Random: func() float64 { return 0.5 }, ForgetAfter: time.Hour, Grace: w.grace, Rescale: w.rescale,
		Tracer: w.tracer,
	})
	w.begin()
}

// begin makes the jobmanager lead.
func (w *world) begin() {
	var ctx context.Context
	ctx, w.resign = context.WithCancel(context.Background())
	w.led = make(chan error, 1)
	go func() { w.led <- w.dispatcher.Lead(ctx, func() {}) }()
	synctest.Wait()
}

// stop ends the leadership. It may be called again.
func (w *world) stop() {
	w.resign()
	w.reason = <-w.led
	w.led <- w.reason
}

func (w *world) register(id string, slots int) *taskManager {
	tm := &taskManager{w: w, id: id}
	tm.leave = w.pool.Register(slotpool.TaskManager{ID: id, DataAddress: "data-" + id, Slots: slots, Send: tm.send})
	synctest.Wait()
	return tm
}

const header = `
name: listings
parallelism: %s
source:
  kafka: {brokers: "k:9092", topic: sahibinden, discovery_interval: 30s}
  schema: {id: INT, product: STRING, t: TIMESTAMP(3)}
  watermark: {column: t, delay: 5s}
window: {tumble: 2m, group_by: [id, product]}
sink: {csv: {path: out}}
`

func (w *world) submit(parallelism, more string) string {
	w.t.Helper()
	return w.submitText(fmt.Sprintf(header, parallelism) + more)
}

func (w *world) submitText(text string) string {
	w.t.Helper()
	id, err := w.dispatcher.Submit(w.t.Context(), Spec{Text: text, File: "job.yaml"})
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return id
}

func (w *world) job(id string) view.Job {
	w.t.Helper()
	synctest.Wait()
	job, err := w.dispatcher.Job(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

// wants fails the test unless the job has the status, here and in the log.
func (w *world) wants(id string, status jobfsm.Status) view.Job {
	w.t.Helper()
	job := w.job(id)
	if job.Status != status {
		w.t.Fatalf("job is %s, want %s; failures %v", job.Status, status, job.Failures)
	}
	if kept, err := w.log.Job(id); err != nil || replica.Status(kept.GetStatus()) != status {
		w.t.Fatalf("the log has %s, %v, want %s", kept.GetStatus(), err, status)
	}
	return job
}

func (w *world) report(tm string, ref *controlv1.SubtaskRef, s controlv1.SubtaskState) {
	w.dispatcher.SubtaskUpdate(tm, &controlv1.SubtaskUpdate{Subtask: ref, State: s, TimeMs: time.Now().UnixMilli()})
}

func (w *world) fail(tm string, ref *controlv1.SubtaskRef, why *controlv1.Failure) {
	w.dispatcher.SubtaskUpdate(tm, &controlv1.SubtaskUpdate{
		Subtask: ref, State: controlv1.SubtaskState_SUBTASK_STATE_FAILED, TimeMs: time.Now().UnixMilli(), Failure: why,
	})
	synctest.Wait()
}

// start has what a taskmanager was given run.
func (w *world) start(tm *taskManager) []*controlv1.DeploySubtask {
	deployed := tm.take()
	for _, d := range deployed {
		w.report(tm.id, d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_INITIALIZING)
		w.report(tm.id, d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_RUNNING)
	}
	synctest.Wait()
	return deployed
}

// end has subtasks reach the end of their input, as whom they were deployed.
func (w *world) end(deployed []*controlv1.DeploySubtask) {
	for _, d := range deployed {
		w.dispatcher.SubtaskEnded(&controlv1.SubtaskEnded{Subtask: d.GetSubtask(), State: stateOf(d).Encode()})
	}
	synctest.Wait()
}

// stateOf is the state of a subtask that has nothing but its name.
func stateOf(d *controlv1.DeploySubtask) checkpoint.State {
	return checkpoint.State{Subtask: checkpoint.Subtask(subtaskID(d.GetSubtask()))}
}

func states(job view.Job) []jobfsm.SubtaskState {
	var all []jobfsm.SubtaskState
	for _, v := range job.Vertices {
		for _, s := range v.Subtasks {
			all = append(all, s.State)
		}
	}
	return slices.Compact(all)
}

var errDisk = errors.New("no space left on device")
