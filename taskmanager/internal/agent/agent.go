// Package agent is the taskmanager's end of its stream to the leading jobmanager: it registers, reports, and passes
// orders on to the slots. It finds the leader among the jobmanagers it was given and finds it again when the stream breaks, or
// when another one leads. Subtasks run on meanwhile.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pencere/pkg/failpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpckeepalive "google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Slots carries out the jobmanager's orders. Its methods do not block.
type Slots interface {
	Deploy(d *controlv1.DeploySubtask)
	Cancel(m *controlv1.CancelSubtask)
	AddSplits(ref *controlv1.SubtaskRef, splits []*controlv1.Split)
	TriggerCheckpoint(t *controlv1.CheckpointTrigger)
	CommitCheckpoint(c *controlv1.CheckpointCommit)
	AbortCheckpoint(a *controlv1.CheckpointAbort)
	// CancelAll ends every subtask.
	CancelAll()
	// Held returns the subtasks that a jobmanager should know of, with all that was reported of them.
	Held() []*controlv1.HeldSubtask
	// Heartbeat returns how the taskmanager and its subtasks are now.
	Heartbeat() *controlv1.Heartbeat
}

// Config is what an Agent says and to whom.
type Config struct {
	JobManagers []string // host:port each, in any order; any may be down
	Register    *controlv1.Register
	// Lease is for how long subtasks run on while no jobmanager leads.
	Lease time.Duration
	// LeaveTimeout is for how long Run goes on at most after Leave.
	LeaveTimeout time.Duration
	Log          *slog.Logger
}

// Agent holds the stream. Send is safe for concurrent use.
type Agent struct {
	cfg   Config
	slots Slots
	dial  func(address string) (*grpc.ClientConn, error)
	wake  chan struct{} // holds a token when the queue may hold something
	leave chan struct{} // closed by Leave
	led   atomic.Bool   // some jobmanager has accepted the registration, and its stream is whole
	end   context.CancelCauseFunc

	mu      sync.Mutex
	queue   []*controlv1.ConnectRequest
	token   uint64 // the newest fencing token seen
	leaving bool
}

// New returns an agent that is not connected.
func New(cfg Config) *Agent {
	return &Agent{cfg: cfg, dial: dial, wake: make(chan struct{}, 1), leave: make(chan struct{})}
}

// dial sets a fixed flow control window: to find a better one gRPC would ping the jobmanager after nearly each of its messages.
func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(reconnect), grpc.WithKeepaliveParams(keepalive),
		grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window))
}

// Send queues a message to the jobmanager. What is queued while there is none is for the next one.
func (a *Agent) Send(m *controlv1.ConnectRequest) {
	a.mu.Lock()
	a.queue = append(a.queue, m)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *Agent) take() []*controlv1.ConnectRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	queue := a.queue
	a.queue = nil
	return queue
}

// Run keeps connected until ctx ends or the taskmanager has left, ends the subtasks, and returns why it did.
func (a *Agent) Run(ctx context.Context, slots Slots) error {
	a.slots = slots
	ctx, a.end = context.WithCancelCause(ctx)
	defer a.end(nil)
	go a.depart(ctx, a.end)
	var jobManagers []*jobManager
	defer func() {
		for _, j := range jobManagers {
			_ = j.conn.Close() // nothing to flush
		}
	}()
	for _, address := range a.cfg.JobManagers {
		conn, err := a.dial(address)
		if err != nil {
			return fmt.Errorf("jobmanager address %q: %w", address, err)
		}
		jobManagers = append(jobManagers, &jobManager{address: address, conn: conn})
	}
	var s *session
	for ctx.Err() == nil {
		if s == nil {
			s = a.find(ctx, ctx, jobManagers)
		} else {
			a.led.Store(true)
			s = a.work(ctx, s, jobManagers)
			a.led.Store(s != nil)
		}
	}
	a.slots.CancelAll()
	return context.Cause(ctx)
}

// jobManager is one of those that may lead.
type jobManager struct {
	address string
	conn    *grpc.ClientConn
	trouble string // what was logged last; the same is not said again at each attempt
}

// reconnect tries a jobmanager that is down often: a failed dial is cheap and its return is awaited.
var reconnect = grpc.ConnectParams{
	Backoff:           grpcbackoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: seekInterval},
	MinConnectTimeout: time.Second,
}

// keepalive finds out that a jobmanager's machine is gone for good: its connection does not end. One that is paused for less may
// go on where it was.
var keepalive = grpckeepalive.ClientParameters{Time: 20 * time.Second, Timeout: 40 * time.Second}

const (
	// registerTimeout bounds the wait for the answer to a registration, which no jobmanager has to think about.
	registerTimeout = 5 * time.Second
	// window is how much the jobmanager may send ahead of what is read, in bytes.
	window = 1 << 20
	// seekInterval is how often at least each jobmanager is asked whether it leads, while none does.
	seekInterval = 250 * time.Millisecond
	// beatInterval is how often a leader says something at least, unless it says that it is less often.
	beatInterval = 500 * time.Millisecond
)

func newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 50 * time.Millisecond
	b.MaxInterval = seekInterval
	return b
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// find asks jobmanagers, all at once, until one accepts the registration or seeking ends; it is nil then. When the lease ends
// before, subtasks do. ctx is the session's.
func (a *Agent) find(ctx, seeking context.Context, jobManagers []*jobManager) *session {
	lease := time.AfterFunc(a.cfg.Lease, func() {
		a.cfg.Log.Error("no jobmanager leads: all subtasks end", "lease", a.cfg.Lease)
		a.slots.CancelAll()
	})
	defer lease.Stop()
	seeking, stop := context.WithCancel(seeking)
	found := make(chan *session)
	var asking sync.WaitGroup
	for _, j := range jobManagers {
		asking.Go(func() {
			s := a.ask(ctx, seeking, j)
			if s == nil {
				return
			}
			select {
			case found <- s:
			case <-seeking.Done():
				s.cancel()
			}
		})
	}
	defer asking.Wait()
	defer stop()
	select {
	case s := <-found:
		return s
	case <-seeking.Done():
		return nil
	}
}

// ask tries to register at a jobmanager until it is accepted or seeking ends; it is nil then.
func (a *Agent) ask(ctx, seeking context.Context, j *jobManager) *session {
	wait := newBackOff()
	for seeking.Err() == nil {
		s, err := a.register(ctx, seeking, j)
		switch {
		case err == nil:
			j.trouble = ""
			return s
		case seeking.Err() != nil, status.Code(err) == codes.FailedPrecondition: // another one leads
		case err.Error() != j.trouble:
			j.trouble = err.Error()
			a.cfg.Log.Warn("jobmanager not reached, trying on", "jobmanager", j.address, "error", err)
		}
		sleep(seeking, wait.NextBackOff())
	}
	return nil
}

// session is a stream to a jobmanager that has accepted the registration.
type session struct {
	jobManager *jobManager
	stream     grpc.BidiStreamingClient[controlv1.ConnectRequest, controlv1.ConnectResponse]
	ctx        context.Context //nolint:containedctx // the stream's
	cancel     context.CancelFunc
	interval   time.Duration // how often the jobmanager wants a heartbeat
	said       chan struct{} // holds a token when the jobmanager has said something
	next       atomic.Int64  // within which the next message comes, a time.Duration
}

// register opens a stream and introduces the taskmanager.
func (a *Agent) register(ctx, seeking context.Context, j *jobManager) (_ *session, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	defer context.AfterFunc(seeking, cancel)()
	timeout := time.AfterFunc(registerTimeout, cancel)
	defer timeout.Stop()
	s := &session{jobManager: j, ctx: ctx, cancel: cancel, said: make(chan struct{}, 1)}
	if s.stream, err = controlv1.NewJobManagerServiceClient(j.conn).Connect(ctx); err != nil {
		return nil, err
	}
	me := proto.CloneOf(a.cfg.Register)
	me.Subtasks, me.Leaving = a.slots.Held(), a.isLeaving()
	// That the stream broke is told by Recv, and why.
	_ = s.stream.Send(a.fenced(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Register{Register: me}}))
	first, err := s.stream.Recv()
	if err != nil {
		return nil, err
	}
	answer := first.GetRegistered()
	if answer == nil {
		return nil, errors.New("the answer to the registration is something else")
	}
	if newest, ok := a.current(first); !ok {
		return nil, fmt.Errorf("its fencing token %d is older than %d: it leads no more, or has lost its data directory; "+
			"restart this taskmanager if so", first.GetFencingToken(), newest)
	}
	s.next.Store(int64(beatInterval))
	s.interval = time.Duration(answer.GetHeartbeatIntervalMs()) * time.Millisecond
	a.cfg.Log.Info("registered", "jobmanager", j.address, "fencing_token", first.GetFencingToken(), "subtasks", len(me.GetSubtasks()))
	return s, nil
}

// fenced adds the newest fencing token to a message.
func (a *Agent) fenced(m *controlv1.ConnectRequest) *controlv1.ConnectRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	m.FencingToken = a.token
	return m
}

// work carries out a jobmanager's orders until the stream breaks, and returns nil then, or another one leads, and returns the
// session with that.
func (a *Agent) work(ctx context.Context, s *session, jobManagers []*jobManager) *session {
	ended := make(chan error, 1)
	go func() {
		ended <- a.read(s)
		s.cancel()
	}()
	var writing sync.WaitGroup
	writing.Go(func() { a.write(s) })
	next, err := a.watch(ctx, s, ended, others(jobManagers, s.jobManager))
	s.cancel()
	if err == nil {
		err = <-ended // once the reader has ended nothing is deployed any more
	}
	writing.Wait()
	if ctx.Err() == nil {
		a.cfg.Log.Warn("jobmanager lost", "jobmanager", s.jobManager.address, "error", err)
	}
	return next
}

func others(jobManagers []*jobManager, but *jobManager) []*jobManager {
	return slices.DeleteFunc(slices.Clone(jobManagers), func(j *jobManager) bool { return j == but })
}

// watch looks for a newer leader whenever the present one is silent. It returns when it has found one, or with why the stream broke.
func (a *Agent) watch(ctx context.Context, s *session, ended <-chan error, others []*jobManager) (*session, error) {
	quiet := time.NewTimer(s.silence())
	defer quiet.Stop()
	for {
		select {
		case <-s.said:
			quiet.Reset(s.silence())
		case err := <-ended:
			return nil, err
		case <-quiet.C:
			next, err := a.seek(ctx, s, ended, others)
			if next != nil || err != nil {
				return next, err
			}
			quiet.Reset(s.silence())
		}
	}
}

// silence is for how long the leader may say nothing before others are asked.
func (s *session) silence() time.Duration { return time.Duration(s.next.Load()) * 5 / 2 }

// seek looks for a newer leader until the silent one says something. It returns as watch does, or nothing.
func (a *Agent) seek(ctx context.Context, s *session, ended <-chan error, others []*jobManager) (next *session, err error) {
	seeking, stop := context.WithCancel(ctx)
	found := make(chan *session, 1)
	go func() { found <- a.find(ctx, seeking, others) }()
	select {
	case next = <-found:
	case <-s.said:
		stop()
		next = <-found
	case err = <-ended:
		stop()
		next = <-found
	}
	stop()
	return next, err
}

// current reports whether a message is from the newest leader seen, and notes and returns the newest token.
func (a *Agent) current(m *controlv1.ConnectResponse) (newest uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = max(a.token, m.GetFencingToken())
	return a.token, m.GetFencingToken() == a.token
}

func (a *Agent) read(s *session) error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		if next := m.GetLeaderHeartbeat().GetNextMs(); next > 0 {
			s.next.Store(int64(time.Duration(next) * time.Millisecond))
		}
		select {
		case s.said <- struct{}{}:
		default:
		}
		if newest, ok := a.current(m); !ok {
			a.cfg.Log.Warn("message of an old leader dropped", "fencing_token", m.GetFencingToken(), "newest", newest)
			continue
		}
		a.obey(m)
	}
}

func (a *Agent) obey(m *controlv1.ConnectResponse) {
	switch m := m.GetMessage().(type) {
	case *controlv1.ConnectResponse_DeploySubtask:
		a.slots.Deploy(m.DeploySubtask)
	case *controlv1.ConnectResponse_CancelSubtask:
		a.slots.Cancel(m.CancelSubtask)
	case *controlv1.ConnectResponse_AddSplits:
		a.slots.AddSplits(m.AddSplits.GetSubtask(), m.AddSplits.GetSplits())
	case *controlv1.ConnectResponse_CheckpointTrigger:
		a.slots.TriggerCheckpoint(m.CheckpointTrigger)
	case *controlv1.ConnectResponse_CheckpointCommit:
		a.slots.CommitCheckpoint(m.CheckpointCommit)
	case *controlv1.ConnectResponse_CheckpointAbort:
		a.slots.AbortCheckpoint(m.CheckpointAbort)
	case *controlv1.ConnectResponse_Dismissed:
		a.cfg.Log.Info("left: all jobs are handed over")
		a.end(ErrLeft)
	}
}

// write sends what is queued, and a heartbeat at each interval, until the stream breaks. Why it broke is the reader's to say.
//
// It first says again what subtasks have come to: between the registration and now the stream to an old leader may have taken it.
func (a *Agent) write(s *session) {
	tick := time.NewTicker(max(s.interval, 10*time.Millisecond))
	defer tick.Stop()
	messages := reports(a.slots.Held())
	for {
		for _, m := range messages {
			if s.stream.Send(a.fenced(m)) != nil {
				return
			}
			if failpoint.Enabled && m.GetCheckpointAck() != nil {
				failpoint.Hit(failpoint.AfterAck)
			}
		}
		select {
		case <-a.wake:
			messages = a.take()
		case <-tick.C:
			messages = []*controlv1.ConnectRequest{{
				Message: &controlv1.ConnectRequest_Heartbeat{Heartbeat: a.slots.Heartbeat()}}}
		case <-s.ctx.Done():
			return
		}
	}
}

// reports are what subtasks have reported, as if they did now.
func reports(held []*controlv1.HeldSubtask) []*controlv1.ConnectRequest {
	var all []*controlv1.ConnectRequest
	for _, h := range held {
		if h.GetEnded() != nil {
			all = append(all, &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskEnded{SubtaskEnded: h.GetEnded()}})
		}
		all = append(all, &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskUpdate{SubtaskUpdate: h.GetUpdate()}})
	}
	return all
}
