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

	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// Slots carries out the jobmanager's orders. Its methods do not block.
type Slots interface {
	Deploy(d *controlv1.DeploySubtask)
	Cancel(ref *controlv1.SubtaskRef)
	AddSplits(ref *controlv1.SubtaskRef, splits []*controlv1.Split)
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
	wake  chan struct{} // holds a token when the queue may hold something

	mu    sync.Mutex
	queue []*controlv1.ConnectRequest
	token uint64 // the newest fencing token seen
}

// New returns an agent that is not connected.
func New(cfg Config) *Agent { return &Agent{cfg: cfg, wake: make(chan struct{}, 1)} }

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

// Run keeps connected until ctx ends.
func (a *Agent) Run(ctx context.Context, slots Slots) error {
	a.slots = slots
	conns := make([]*grpc.ClientConn, len(a.cfg.JobManagers))
	for i, address := range a.cfg.JobManagers {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithConnectParams(reconnect))
		if err != nil {
			return fmt.Errorf("jobmanager address %q: %w", address, err)
		}
		defer func() { _ = conn.Close() }() // nothing to flush
		conns[i] = conn
	}
	wait := newBackOff()
	for i := 0; ctx.Err() == nil; i++ {
		address := a.cfg.JobManagers[i%len(conns)]
		registered, err := a.connect(ctx, conns[i%len(conns)])
		if ctx.Err() != nil {
			break
		}
		if registered {
			a.cfg.Log.Warn("jobmanager lost", "jobmanager", address, "error", err)
			a.slots.CancelAll()
			wait.Reset()
		} else {
			a.cfg.Log.Debug("jobmanager not reached", "jobmanager", address, "error", err)
		}
		if i%len(conns) == len(conns)-1 {
			sleep(ctx, wait.NextBackOff())
		}
	}
	a.slots.CancelAll()
	return context.Cause(ctx)
}

// reconnect tries a jobmanager that is down often: a failed dial is cheap and its return is awaited.
var reconnect = grpc.ConnectParams{
	Backoff:           grpcbackoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
	MinConnectTimeout: time.Second,
}

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
	stream, err := controlv1.NewJobManagerServiceClient(conn).Connect(ctx)
	if err != nil {
		return false, err
	}
	if err := stream.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Register{Register: a.cfg.Register}}); err != nil {
		return false, err
	}
	first, err := stream.Recv()
	if err != nil {
		return false, err
	}
	answer := first.GetRegistered()
	if answer == nil || !a.current(first) {
		return false, errors.New("the jobmanager did not answer the registration")
	}
	a.cfg.Log.Info("registered", "jobmanager", conn.Target(), "fencing_token", first.GetFencingToken())
	a.take()
	ended := make(chan error, 2)
	go func() { ended <- a.read(stream) }()
	go func() { ended <- a.write(ctx, stream, time.Duration(answer.GetHeartbeatIntervalMs())*time.Millisecond) }()
	return true, <-ended
}

// current reports whether a message is from the newest leader seen, and notes its token.
func (a *Agent) current(m *controlv1.ConnectResponse) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.GetFencingToken() < a.token {
		return false
	}
	a.token = m.GetFencingToken()
	return true
}

func (a *Agent) read(stream grpc.BidiStreamingClient[controlv1.ConnectRequest, controlv1.ConnectResponse]) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if !a.current(m) {
			a.cfg.Log.Warn("message of an old leader dropped", "fencing_token", m.GetFencingToken())
			continue
		}
		switch m := m.GetMessage().(type) {
		case *controlv1.ConnectResponse_DeploySubtask:
			a.slots.Deploy(m.DeploySubtask)
		case *controlv1.ConnectResponse_CancelSubtask:
			a.slots.Cancel(m.CancelSubtask.GetSubtask())
		case *controlv1.ConnectResponse_AddSplits:
			a.slots.AddSplits(m.AddSplits.GetSubtask(), m.AddSplits.GetSplits())
		}
	}
}

// write sends what is queued, and a heartbeat at each interval.
func (a *Agent) write(ctx context.Context, stream grpc.BidiStreamingClient[controlv1.ConnectRequest, controlv1.ConnectResponse], interval time.Duration) error {
	tick := time.NewTicker(max(interval, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-a.wake:
			for _, m := range a.take() {
				if err := stream.Send(m); err != nil {
					return err
				}
			}
		case <-tick.C:
			beat := &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Heartbeat{Heartbeat: a.slots.Heartbeat()}}
			if err := stream.Send(beat); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
