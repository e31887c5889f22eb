// Package agent is the taskmanager's end of its stream to the leading jobmanager: it registers, reports, and passes
// orders on to the slots. It finds the leader among the jobmanagers it was given and finds it again when the stream breaks.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
)

// Slots carries out the jobmanager's orders. Its methods do not block.
type Slots interface {
	Deploy(d *controlv1.DeploySubtask)
	Cancel(ref *controlv1.SubtaskRef)
	AddSplits(ref *controlv1.SubtaskRef, splits []*controlv1.Split)
	TriggerCheckpoint(t *controlv1.CheckpointTrigger)
	CommitCheckpoint(c *controlv1.CheckpointCommit)
	AbortCheckpoint(a *controlv1.CheckpointAbort)
	// CancelAll ends every subtask: nobody hears of them any more.
	CancelAll()
	// Heartbeat returns how the taskmanager and its subtasks are now.
	Heartbeat() *controlv1.Heartbeat
}

// Config is what an Agent says and to whom.
type Config struct {
	JobManagers []string // host:port each, in any order; any may be down
	Register    *controlv1.Register
	Log         *slog.Logger
}

// Agent holds the stream. Send is safe for concurrent use.
type Agent struct {
	cfg   Config
	slots Slots
	dial  func(address string) (*grpc.ClientConn, error)
	wake  chan struct{} // holds a token when the queue may hold something

	mu    sync.Mutex
	queue []*controlv1.ConnectRequest
	token uint64 // the newest fencing token seen
}

// New returns an agent that is not connected.
func New(cfg Config) *Agent {
	return &Agent{cfg: cfg, dial: dial, wake: make(chan struct{}, 1)}
}

func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(reconnect), grpc.WithKeepaliveParams(keepalive))
}

// Send queues a message to the jobmanager. What is queued when the stream breaks is dropped: it is about subtasks
// that end with it.
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

// Run keeps connected until ctx ends, and returns why it did.
func (a *Agent) Run(ctx context.Context, slots Slots) error {
	a.slots = slots
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
	wait := newBackOff()
	for ctx.Err() == nil {
		for _, j := range jobManagers {
			if a.work(ctx, j) {
				wait.Reset()
			}
		}
		sleep(ctx, wait.NextBackOff())
	}
	return context.Cause(ctx)
}

// jobManager is one of those that may lead.
type jobManager struct {
	address string
	conn    *grpc.ClientConn
	trouble string // what was logged last; the same is not said again at each attempt
}

// work registers at a jobmanager and works for it until the stream breaks. It reports whether it came so far.
func (a *Agent) work(ctx context.Context, j *jobManager) (registered bool) {
	registered, err := a.connect(ctx, j.conn)
	switch {
	case registered:
		a.slots.CancelAll()
		j.trouble = ""
		if ctx.Err() == nil {
			a.cfg.Log.Warn("jobmanager lost", "jobmanager", j.address, "error", err)
		}
	case ctx.Err() != nil, status.Code(err) == codes.FailedPrecondition: // another one leads
	case err.Error() != j.trouble:
		j.trouble = err.Error()
		a.cfg.Log.Warn("jobmanager not reached, trying on", "jobmanager", j.address, "error", err)
	}
	return registered
}

// reconnect tries a jobmanager that is down often: a failed dial is cheap and its return is awaited.
var reconnect = grpc.ConnectParams{
	Backoff:           grpcbackoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
	MinConnectTimeout: time.Second,
}

// keepalive finds out that a jobmanager's machine is gone: its connection does not end, and it has nothing to say for hours.
var keepalive = grpckeepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}

// registerTimeout bounds the wait for the answer to a registration, which no jobmanager has to think about.
const registerTimeout = 5 * time.Second

func newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 50 * time.Millisecond
	b.MaxInterval = time.Second
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

// connect registers at one jobmanager and works until the stream breaks. registered says whether it came so far.
func (a *Agent) connect(ctx context.Context, conn *grpc.ClientConn) (registered bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, interval, err := a.register(ctx, cancel, conn)
	if err != nil {
		return false, err
	}
	a.take()
	ended := make(chan error, 1)
	go func() {
		ended <- a.read(stream)
		cancel()
	}()
	a.write(ctx, stream, interval)
	cancel()
	return true, <-ended // once the reader has ended nothing is deployed any more
}

// register opens the stream. interval is how often the jobmanager wants a heartbeat.
func (a *Agent) register(ctx context.Context, cancel context.CancelFunc, conn *grpc.ClientConn) (s stream, interval time.Duration, err error) {
	timeout := time.AfterFunc(registerTimeout, cancel)
	defer timeout.Stop()
	s, err = controlv1.NewJobManagerServiceClient(conn).Connect(ctx)
	if err != nil {
		return nil, 0, err
	}
	// That the stream broke is told by Recv, and why.
	_ = s.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Register{Register: a.cfg.Register}})
	first, err := s.Recv()
	if err != nil {
		return nil, 0, err
	}
	answer := first.GetRegistered()
	if answer == nil {
		return nil, 0, errors.New("the answer to the registration is something else")
	}
	if newest, ok := a.current(first); !ok {
		return nil, 0, fmt.Errorf("its fencing token %d is older than %d: it leads no more, or has lost its data directory; "+
			"restart this taskmanager if so", first.GetFencingToken(), newest)
	}
	a.cfg.Log.Info("registered", "jobmanager", conn.Target(), "fencing_token", first.GetFencingToken())
	return s, time.Duration(answer.GetHeartbeatIntervalMs()) * time.Millisecond, nil
}

type stream = grpc.BidiStreamingClient[controlv1.ConnectRequest, controlv1.ConnectResponse]

// current reports whether a message is from the newest leader seen, and notes and returns the newest token.
func (a *Agent) current(m *controlv1.ConnectResponse) (newest uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = max(a.token, m.GetFencingToken())
	return a.token, m.GetFencingToken() == a.token
}

func (a *Agent) read(s stream) error {
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if newest, ok := a.current(m); !ok {
			a.cfg.Log.Warn("message of an old leader dropped", "fencing_token", m.GetFencingToken(), "newest", newest)
			continue
		}
		switch m := m.GetMessage().(type) {
		case *controlv1.ConnectResponse_DeploySubtask:
			a.slots.Deploy(m.DeploySubtask)
		case *controlv1.ConnectResponse_CancelSubtask:
			a.slots.Cancel(m.CancelSubtask.GetSubtask())
		case *controlv1.ConnectResponse_AddSplits:
			a.slots.AddSplits(m.AddSplits.GetSubtask(), m.AddSplits.GetSplits())
		case *controlv1.ConnectResponse_CheckpointTrigger:
			a.slots.TriggerCheckpoint(m.CheckpointTrigger)
		case *controlv1.ConnectResponse_CheckpointCommit:
			a.slots.CommitCheckpoint(m.CheckpointCommit)
		case *controlv1.ConnectResponse_CheckpointAbort:
			a.slots.AbortCheckpoint(m.CheckpointAbort)
		}
	}
}

// write sends what is queued, and a heartbeat at each interval, until the stream breaks or ctx ends. Why it broke is the
// reader's to say.
func (a *Agent) write(ctx context.Context, s stream, interval time.Duration) {
	tick := time.NewTicker(max(interval, 10*time.Millisecond))
	defer tick.Stop()
	for {
		var messages []*controlv1.ConnectRequest
		select {
		case <-a.wake:
			messages = a.take()
		case <-tick.C:
			messages = []*controlv1.ConnectRequest{{
				Message: &controlv1.ConnectRequest_Heartbeat{Heartbeat: a.slots.Heartbeat()}}}
		case <-ctx.Done():
			return
		}
		for _, m := range messages {
			if s.Send(m) != nil {
				return
			}
			if failpoint.Enabled && m.GetCheckpointAck() != nil {
				failpoint.Hit(failpoint.AfterAck)
			}
		}
	}
}
