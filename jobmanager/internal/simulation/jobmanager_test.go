package simulation_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"pencere/jobmanager/internal/gateway"
	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/slotpool"
	"pencere/pkg/connector/kafka"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/plan"

	"google.golang.org/grpc"
)

// jobManager is a jobmanager from its election to its end: all of it but REST and raft.
type jobManager struct {
	*replica.Memory
	w          *world
	term       uint64
	dispatcher *jobmaster.Dispatcher
	gateway    *gateway.Gateway
	cancel     context.CancelFunc
	over       atomic.Bool // it no longer leads: the log takes nothing of it
	loseAnswer atomic.Bool // it ends with its next checkpoint, which is in the log all the same
	running    sync.WaitGroup
	asked      map[jobmaster.OperationKey]bool
}

// lead starts a jobmanager on what the log holds.
func (w *world) lead() {
	w.term++
	j := &jobManager{Memory: w.memory, w: w, term: w.term, asked: map[jobmaster.OperationKey]bool{}}
	log := slog.New(takenOver{slog.DiscardHandler, w})
	pool := slotpool.New(time.Now)
	j.dispatcher = jobmaster.New(jobmaster.Config{
		Log: j, Slots: pool, Splits: w.enumerator, Storage: w.storage, Logger: log, Version: "simulation",
		Now: time.Now, Random: func() float64 { return 0.5 }, SavepointDir: w.savepoints, Grace: 3 * time.Second,
	})
	j.gateway = gateway.New(pool, j.dispatcher, log)
	var ctx context.Context
	ctx, j.cancel = context.WithCancel(context.Background())
	j.running.Go(func() {
		_ = j.dispatcher.Lead(ctx, func() { j.running.Go(func() { j.gateway.Lead(ctx, j.term) }) }) // why it ended is what the simulation did
		j.over.Store(true)
		j.cancel()
	})
	w.jobManager = j
	w.settle()
}

// takenOver counts how often a jobmanager goes on with the subtasks that an earlier one deployed.
type takenOver struct {
	slog.Handler
	w *world
}

func (takenOver) Enabled(context.Context, slog.Level) bool { return true }

func (h takenOver) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "job taken over" {
		h.w.adopted.Add(1)
	}
	return nil
}

func (h takenOver) WithAttrs([]slog.Attr) slog.Handler { return h }

// kill ends the jobmanager at once.
func (j *jobManager) kill() {
	j.over.Store(true)
	j.cancel()
	j.w.settle()
}

var errLeadershipLost = errors.New("leadership lost while the command was under way")

// Apply puts a command into the log of whoever leads.
func (j *jobManager) Apply(ctx context.Context, c *storagev1.Command) error {
	if j.over.Load() {
		return replica.ErrNotLeader
	}
	if err := j.Memory.Apply(ctx, c); err != nil {
		return err
	}
	j.w.applied(c)
	if c.GetCompleteCheckpoint() != nil && j.loseAnswer.Load() {
		j.over.Store(true)
		return errLeadershipLost
	}
	return nil
}

// link is the stream between a taskmanager and a jobmanager, whose messages wait in it until the simulation delivers them.
type link struct {
	grpc.ServerStream // nil: the gateway uses nothing else of it
	w                 *world
	jobManager        *jobManager
	ctx               context.Context //nolint:containedctx // of the stream, as grpc has it
	cut               context.CancelFunc
	delivered         chan *controlv1.ConnectRequest
	ended             atomic.Bool // at the jobmanager

	mu   sync.Mutex
	down []*controlv1.ConnectResponse // to the taskmanager
	up   []*controlv1.ConnectRequest  // to the jobmanager
}

func (w *world) connect(tm *taskManager) {
	l := &link{w: w, jobManager: w.jobManager, delivered: make(chan *controlv1.ConnectRequest, 1)}
	l.ctx, l.cut = context.WithCancel(context.Background())
	tm.link = l
	l.jobManager.running.Go(func() {
		_ = l.jobManager.gateway.Connect(l)
		l.cut()
		l.ended.Store(true)
	})
	tm.register()
}

func (l *link) Context() context.Context { return l.ctx }

func (l *link) Recv() (*controlv1.ConnectRequest, error) {
	select {
	case m := <-l.delivered:
		return m, nil
	case <-l.ctx.Done():
		return nil, io.ErrUnexpectedEOF
	}
}

func (l *link) Send(m *controlv1.ConnectResponse) error {
	if l.ctx.Err() != nil {
		return io.ErrUnexpectedEOF
	}
	l.w.announced(l.jobManager, m)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.down); n > 0 && m.GetLeaderHeartbeat() != nil && l.down[n-1].GetLeaderHeartbeat() != nil {
		return nil // they say the same; a slow stream would hold nothing else
	}
	l.down = append(l.down, m)
	return nil
}

// enumerator finds as many splits as the simulation's topic has.
type enumerator struct {
	splits []kafka.Split
}

func (w *world) enumerator(plan.KafkaSource) (jobmaster.Enumerator, error) {
	e := &enumerator{}
	for p := range w.splits {
		e.splits = append(e.splits, kafka.Split{Topic: "t", Partition: int32(p), Start: 0, Stop: w.rows})
	}
	return e, nil
}

func (e *enumerator) Restore([]kafka.Split)                           { e.splits = nil }
func (e *enumerator) Discover(context.Context) ([]kafka.Split, error) { return e.splits, nil }
func (*enumerator) Waiting() string                                   { return "" }
func (*enumerator) Close()                                            {}
