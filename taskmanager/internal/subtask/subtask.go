// Package subtask runs attempts of subtasks: one goroutine that reads its input, runs its operator chain and writes its
// output, until the input ends, something fails, or it is cancelled.
package subtask

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/failpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/ledger"
	"pencere/pkg/plan"
	"pencere/pkg/window"
	"pencere/taskmanager/internal/exchange"
	"pencere/taskmanager/internal/operator"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
)

// ErrCanceled is the cause with which a subtask's context is cancelled by the jobmanager.
var ErrCanceled = errors.New("subtask is cancelled")

// Host is the taskmanager that a subtask runs on.
type Host struct {
	TaskManagerID string
	Hub           *exchange.Hub
	// Dial returns the connection to a peer's exchange.
	Dial  func(address string) (grpc.ClientConnInterface, error)
	Alloc memory.Allocator
	// StateBudget bounds the state of one subtask, in bytes; 0 does not.
	StateBudget int64
	Now         func() time.Time
	// Bucket opens checkpoint storage, Send queues a message to the jobmanager.
	Bucket Bucket
	Send   func(*controlv1.ConnectRequest)
	// Running and Finished are told when the subtask begins to process, and of part files it has published.
	Running func()
	// Lost is told of records that are gone, where the job goes on without them.
	Lost     func(*kafka.DataLossError)
	Finished func([]partfile.File)
	Log      *slog.Logger // nil says nothing
}

// windowsShown is how many open windows a heartbeat names.
const windowsShown = 5

// Subtask is one attempt. Report and AddSplits are safe for concurrent use.
type Subtask struct {
	host     Host
	deploy   *controlv1.DeploySubtask
	program  *plan.Program
	self     exchange.Subtask
	source   bool
	restored checkpoint.State // what the attempt goes on from
	counters *operator.Counters
	started  time.Time
	shown    time.Time // when files and windows were set last

	late *participant // of a subtask that did not end well; see Settle

	openReader func(plan.Source, []checkpoint.Split) (reader, error)

	mu       sync.Mutex
	reader   reader // of a source, once open
	troubled interface {
		// Trouble says why the sink waits, and for how long; "" when it does not.
		Trouble() (string, time.Duration)
	} // of a last vertex whose sink can tell, once open
	files  []partfile.File    // of a last vertex: those that are not published, as of a moment ago
	added  []checkpoint.Split // not taken by the loop yet
	splits []splitView        // of a source, as of the last loop
	orders []order            // not carried out by the loop yet
	wake   func()             // makes the loop look at added and orders
	// windows are those of a keyed subtask that fire next, as of a moment ago.
	windows []window.OpenWindow
}

// New returns an attempt that does not run yet. It fails for a plan that this taskmanager cannot read.
func New(deploy *controlv1.DeploySubtask, host Host) (*Subtask, error) {
	logical, err := plan.Decode(deploy.GetPlan())
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	program, err := plan.Compile(logical)
	if err != nil {
		return nil, fmt.Errorf("compile plan: %w", err)
	}
	if deploy, err = withEndpoints(deploy); err != nil {
		return nil, err
	}
	ref := deploy.GetSubtask()
	if host.Log == nil {
		host.Log = slog.New(slog.DiscardHandler)
	}
	var restored checkpoint.State
	if len(deploy.GetRestored()) > 0 {
		if restored, err = checkpoint.DecodeState(deploy.GetRestored()); err != nil {
			return nil, fmt.Errorf("read state of checkpoint %d: %w", deploy.GetRestoredId(), err)
		}
	}
	s := &Subtask{
		restored: restored,
		host:     host, deploy: deploy, program: program, self: edgeEnd(ref),
		source: ref.GetVertexId() == program.Vertices[0].ID, counters: operator.NewCounters(), started: host.Now(),
	}
	s.openReader = s.open
	return s, nil
}

func edgeEnd(ref *controlv1.SubtaskRef) exchange.Subtask {
	return exchange.Subtask{
		JobID: ref.GetJobId(), VertexID: ref.GetVertexId(), Index: int(ref.GetSubtaskIndex()), Attempt: int(ref.GetAttempt()),
	}
}

// Run processes until the input has ended, and returns nil then. A panic of the engine is an error of this attempt: other
// subtasks of the taskmanager go on.
func (s *Subtask) Run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if s.source {
		return s.runSource(ctx)
	}
	return s.runWindow(ctx)
}

// last reports whether this subtask writes to the sink.
func (s *Subtask) last() bool { return len(s.deploy.GetDownstreams()) == 0 }

// shortID is as much of a job's id as part file names carry.
func shortID(jobID string) string { return jobID[:min(8, len(jobID))] }

// openEdges opens the edges to all downstream subtasks: by pointer on this taskmanager, by a stream elsewhere.
func (s *Subtask) openEdges(ctx context.Context) ([]exchange.Sender, error) {
	var senders []exchange.Sender
	for _, endpoint := range s.deploy.GetDownstreams() {
		sender, err := s.openEdge(ctx, endpoint)
		if err != nil {
			closeEdges(senders)
			return nil, err
		}
		senders = append(senders, &timedSender{Sender: sender, counters: s.counters})
	}
	return senders, nil
}

func (s *Subtask) openEdge(ctx context.Context, to *controlv1.Endpoint) (exchange.Sender, error) {
	if to.GetTaskManagerId() == s.host.TaskManagerID {
		gate, err := s.host.Hub.Gate(ctx, edgeEnd(to.GetSubtask()))
		if err != nil {
			return nil, err
		}
		return gate.Input(s.self.Index), nil
	}
	conn, err := s.host.Dial(to.GetDataAddress())
	if err != nil {
		return nil, fmt.Errorf("dial taskmanager %s at %s: %w", to.GetTaskManagerId(), to.GetDataAddress(), err)
	}
	return exchange.Dial(ctx, conn, s.self, edgeEnd(to.GetSubtask()), s.host.Alloc)
}

func closeEdges(senders []exchange.Sender) {
	for _, sender := range senders {
		sender.Close()
	}
}

// timedSender counts the time for which the downstream holds the subtask up.
type timedSender struct {
	exchange.Sender
	counters *operator.Counters
}

func (t *timedSender) Send(ctx context.Context, e exchange.Element) error {
	t.counters.Backpressured.Start()
	defer t.counters.Backpressured.Stop()
	return t.Sender.Send(ctx, e)
}

// runWindow runs the keyed vertex.
func (s *Subtask) runWindow(ctx context.Context) (err error) {
	gate := exchange.NewGate(len(s.deploy.GetUpstreams()))
	defer func() { gate.Close(closeCause(err)) }()
	sink, err := s.openSink(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	chain, err := operator.NewWindow(s.program, gate.Inputs(), sink, s.counters, s.host.Alloc, s.host.StateBudget)
	if err != nil {
		return err
	}
	if err := s.restoreKeyed(ctx, chain); err != nil {
		return err
	}
	w := &windowLoop{Subtask: s, gate: gate, chain: chain, sink: sink, part: s.newParticipant(sink, nil)}
	ctx, cancel := context.WithCancel(ctx)
	defer w.part.close()
	defer cancel()
	s.mu.Lock()
	s.wake = gate.Nudge
	s.mu.Unlock()
	s.host.Hub.Register(s.self, gate)
	defer s.host.Hub.Unregister(s.self)
	s.host.Running()
	return w.part.left(w.run(ctx))
}

// windowLoop is the loop of a window subtask.
type windowLoop struct {
	*Subtask
	gate  *exchange.Gate
	chain *operator.Window
	sink  *operator.Sink
	part  *participant
}

func (w *windowLoop) run(ctx context.Context) error {
	for {
		input, e, err := w.next(ctx)
		if err != nil {
			return err
		}
		ended, err := w.element(ctx, input, e)
		if err != nil {
			return err
		}
		if ended {
			return w.part.wait(ctx)
		}
		w.show()
	}
}

// next returns the next element of any input. The clock is read only when there is none to take.
func (w *windowLoop) next(ctx context.Context) (int, exchange.Element, error) {
	if input, e, ok, err := w.gate.Poll(); ok || err != nil {
		return input, e, err
	}
	w.showNow() // nothing may come for long
	w.counters.Idle.Start()
	defer w.counters.Idle.Stop()
	return w.gate.Next(ctx)
}

// element processes an element. ended says that only commits are to come.
func (w *windowLoop) element(ctx context.Context, input int, e exchange.Element) (ended bool, err error) {
	switch e.Kind {
	case exchange.Nudge:
		for _, o := range w.takeOrders() {
			if _, err := w.part.settle(o); err != nil {
				return false, err
			}
		}
		return false, nil
	case exchange.Barrier:
		state, snapshot, err := w.snapshot(ctx)
		if err != nil {
			return false, err
		}
		w.part.ack(ctx, e.Checkpoint, state, snapshot, cut{stops: e.Stops})
		return e.Stops, nil
	default:
		if ended, err = w.chain.Element(ctx, input, e); err != nil {
			return false, err
		}
	}
	if !ended {
		if w.chain.TakeFired() {
			w.part.request()
		}
		return false, nil
	}
	state, snapshot, err := w.snapshot(ctx)
	if err != nil {
		return false, err
	}
	w.part.end(ctx, state, snapshot, cut{})
	return true, nil
}

func (w *windowLoop) snapshot(ctx context.Context) (checkpoint.State, *window.Snapshot, error) {
	failpoint.Hit(failpoint.BeforeSnapshot)
	snapshot, counts := w.chain.Snapshot()
	state, err := w.part.state(ctx, func() ledger.Ledger { return counts })
	if err != nil {
		snapshot.Release()
		return state, nil, err
	}
	failpoint.Hit(failpoint.AfterSnapshot)
	return state, snapshot, nil
}

// show copies what heartbeats say, which are not more frequent.
func (w *windowLoop) show() {
	if w.showDue() {
		w.showNow()
	}
}

func (w *windowLoop) showNow() {
	files, windows := w.sink.OpenFiles(), w.chain.NextToFire(windowsShown)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files, w.windows = files, windows
}

// showFiles copies the sink's open files for heartbeats.
func (s *Subtask) showFiles(sink *operator.Sink) {
	if !s.showDue() {
		return
	}
	files := sink.OpenFiles()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = files
}

// showDue reports whether heartbeats have something new to say by now.
func (s *Subtask) showDue() bool {
	now := s.host.Now()
	if now.Sub(s.shown) < time.Second {
		return false
	}
	s.shown = now
	return true
}

var errEnded = errors.New("subtask has ended")

func closeCause(err error) error {
	if err == nil {
		return errEnded
	}
	return err
}
