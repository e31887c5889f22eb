// Package gateway is the jobmanager's end of the stream that each taskmanager holds. It passes messages on between the
// wire and the slot pool and job masters; it decides nothing.
package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"pencere/jobmanager/internal/slotpool"
	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Heartbeats: a taskmanager that is silent for heartbeatTimeout is lost, though its stream may still seem whole.
const (
	heartbeatInterval = time.Second
	heartbeatTimeout  = 10 * time.Second
)

// Jobs receives what taskmanagers report of subtasks. Reports for unknown jobs or old attempts are its to ignore.
type Jobs interface {
	SubtaskUpdate(taskManagerID string, u *controlv1.SubtaskUpdate)
	SubtaskReport(r *controlv1.SubtaskReport)
	FilesFinished(f *controlv1.FilesFinished)
}

// Gateway serves taskmanagers while this jobmanager leads.
type Gateway struct {
	controlv1.UnimplementedJobManagerServiceServer

	pool *slotpool.Pool
	jobs Jobs
	log  *slog.Logger

	mu      sync.Mutex
	leading context.Context // ends with the leadership; nil before
	token   uint64
}

// New returns a gateway that turns taskmanagers away until Lead.
func New(pool *slotpool.Pool, jobs Jobs, log *slog.Logger) *Gateway {
	return &Gateway{pool: pool, jobs: jobs, log: log}
}

// Lead accepts taskmanagers until ctx, the leadership, ends. token is the fencing token of this leadership.
func (g *Gateway) Lead(ctx context.Context, token uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leading, g.token = ctx, token
}

func (g *Gateway) leadership() (context.Context, uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leading, g.token
}

// Connect implements the control service.
func (g *Gateway) Connect(stream grpc.BidiStreamingServer[controlv1.ConnectRequest, controlv1.ConnectResponse]) error {
	leading, token := g.leadership()
	if leading == nil || leading.Err() != nil {
		return status.Error(codes.FailedPrecondition, "this jobmanager does not lead")
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	register := first.GetRegister()
	if register == nil || register.GetTaskManagerId() == "" || register.GetSlots() < 1 {
		return status.Error(codes.InvalidArgument, "a taskmanager must first register with an id and slots")
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(leading, cancel)()
	s := &session{id: register.GetTaskManagerId(), stream: stream, token: token, wake: make(chan struct{}, 1)}
	s.heard.Store(time.Now().UnixNano())
	return g.serve(ctx, s, register)
}

// serve registers the taskmanager and keeps it until its stream breaks.
func (g *Gateway) serve(ctx context.Context, s *session, r *controlv1.Register) error {
	s.send(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_Registered{
		Registered: &controlv1.Registered{HeartbeatIntervalMs: heartbeatInterval.Milliseconds()}}})
	g.log.Info("taskmanager registered", "task_manager_id", s.id, "slots", r.GetSlots(), "data_address", r.GetDataAddress())
	g.pool.Register(slotpool.TaskManager{
		ID: s.id, DataAddress: r.GetDataAddress(), Slots: int(r.GetSlots()), CPUCores: int(r.GetCpuCores()),
		PhysicalBytes: r.GetPhysicalMemoryBytes(), LimitBytes: r.GetMemoryLimitBytes(), Send: s.send,
	})
	ended := make(chan error, 3)
	go func() { ended <- s.write(ctx) }()
	go func() { ended <- g.read(s) }()
	go func() { ended <- s.watch(ctx) }()
	err := <-ended
	reason := "its connection ended"
	if err != nil && !errors.Is(err, io.EOF) {
		reason = "its connection broke: " + err.Error()
	}
	g.log.Warn("taskmanager lost", "task_manager_id", s.id, "reason", reason)
	g.pool.Unregister(s.id, reason)
	return status.Error(codes.Unavailable, reason)
}

// read hands on what the taskmanager says until the stream breaks.
func (g *Gateway) read(s *session) error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		s.heard.Store(time.Now().UnixNano())
		switch m := m.GetMessage().(type) {
		case *controlv1.ConnectRequest_Heartbeat:
			g.pool.Heartbeat(s.id, m.Heartbeat.GetHeapUsedBytes(), m.Heartbeat.GetResidentBytes())
			for _, r := range m.Heartbeat.GetSubtasks() {
				g.jobs.SubtaskReport(r)
			}
		case *controlv1.ConnectRequest_SubtaskUpdate:
			g.jobs.SubtaskUpdate(s.id, m.SubtaskUpdate)
		case *controlv1.ConnectRequest_FilesFinished:
			g.jobs.FilesFinished(m.FilesFinished)
		}
	}
}

// session is one taskmanager's stream. Messages to it wait in a queue without bound, so that nobody who sends holds
// anything up; there are few of them.
type session struct {
	id     string
	stream grpc.BidiStreamingServer[controlv1.ConnectRequest, controlv1.ConnectResponse]
	token  uint64
	wake   chan struct{}
	heard  atomic.Int64 // unix ns of the last message

	mu    sync.Mutex
	queue []*controlv1.ConnectResponse
}

func (s *session) send(m *controlv1.ConnectResponse) {
	m.FencingToken = s.token
	s.mu.Lock()
	s.queue = append(s.queue, m)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *session) take() []*controlv1.ConnectResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue = nil
	return queue
}

func (s *session) write(ctx context.Context) error {
	for {
		for _, m := range s.take() {
			if err := s.stream.Send(m); err != nil {
				return err
			}
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watch ends when the taskmanager has been silent for too long.
func (s *session) watch(ctx context.Context) error {
	tick := time.NewTicker(heartbeatInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			if now.Sub(time.Unix(0, s.heard.Load())) > heartbeatTimeout {
				return errSilent
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var errSilent = errors.New("no heartbeat for " + heartbeatTimeout.String())
