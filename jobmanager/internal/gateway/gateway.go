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
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Heartbeats: a taskmanager that is silent for heartbeatTimeout is lost, though its stream may still seem whole.
const (
	heartbeatInterval = time.Second
	heartbeatTimeout  = 10 * time.Second
	// beatInterval is how often a taskmanager hears at least that this jobmanager leads, where there are at most manySessions;
	// where there are more, half of them hear it at a time.
	beatInterval = 500 * time.Millisecond
	manySessions = 500
	// window is how much a taskmanager may send ahead of what is read, in bytes.
	window = 1 << 20
)

// ServerOptions are for the server that the gateway is registered at.
//
// The flow control window is fixed: to find a better one gRPC answers nearly each message with a ping, which costs more than all
// else that heartbeats do. A taskmanager looks with one whether a jobmanager that says nothing is still there.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window),
	}
}

// Jobs receives what taskmanagers report of subtasks. Reports for unknown jobs or old attempts are its to ignore.
type Jobs interface {
	// Adopt takes the subtasks that a taskmanager brings along, and returns the slots that they hold. Those that nobody wants are
	// cancelled.
	Adopt(tm slotpool.TaskManager, subtasks []*controlv1.HeldSubtask) []slotpool.Held
	SubtaskUpdate(taskManagerID string, u *controlv1.SubtaskUpdate)
	SubtaskReport(r *controlv1.SubtaskReport)
	FilesFinished(f *controlv1.FilesFinished)
	CheckpointAck(a *controlv1.CheckpointAck)
	CheckpointDecline(d *controlv1.CheckpointDecline)
	SubtaskEnded(e *controlv1.SubtaskEnded)
	CheckpointRequest(r *controlv1.CheckpointRequest)
}

// Gateway serves taskmanagers while this jobmanager leads.
type Gateway struct {
	controlv1.UnimplementedJobManagerServiceServer

	pool *slotpool.Pool
	jobs Jobs
	log  *slog.Logger

	mu   sync.Mutex
	term *term // nil: not leading
}

// term is one leadership.
type term struct {
	ctx   context.Context // ends with the leadership
	token uint64
	open  sync.WaitGroup // sessions

	mu       sync.Mutex
	sessions map[*session]struct{}
	began    int // sessions, ever
}

// New returns a gateway that turns taskmanagers away until Lead.
func New(pool *slotpool.Pool, jobs Jobs, log *slog.Logger) *Gateway {
	return &Gateway{pool: pool, jobs: jobs, log: log}
}

// Lead accepts taskmanagers until ctx, the leadership, ends, and returns when all of them have left the pool. token is the
// fencing token of this leadership.
func (g *Gateway) Lead(ctx context.Context, token uint64) {
	t := &term{ctx: ctx, token: token, sessions: make(map[*session]struct{})}
	g.mu.Lock()
	g.term = t
	g.mu.Unlock()
	t.keep()
	g.mu.Lock()
	g.term = nil // no session begins from here on
	g.mu.Unlock()
	t.open.Wait()
}

// enter begins a session of the present leadership; it is nil if there is none.
func (g *Gateway) enter(stream connection) (*term, *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.term == nil {
		return nil, nil
	}
	g.term.open.Add(1)
	s := newSession(stream, g.term.token)
	g.term.mu.Lock()
	defer g.term.mu.Unlock()
	s.number = g.term.began
	g.term.began++
	g.term.sessions[s] = struct{}{}
	return g.term, s
}

func (t *term) leave(s *session) {
	t.mu.Lock()
	delete(t.sessions, s)
	t.mu.Unlock()
	t.open.Done()
}

// keep looks after the sessions until the leadership ends. One clock for all of them wakes the process twice a second, and not that
// often for each.
func (t *term) keep() {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for odd := 0; ; odd ^= 1 {
		select {
		case <-tick.C:
			t.beat(odd)
		case <-t.ctx.Done():
			return
		}
	}
}

// beat says to the sessions that the jobmanager leads: to half of them when there are many, in turns.
func (t *term) beat(odd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	many := len(t.sessions) > manySessions
	next := beatInterval
	if many {
		next *= 2
	}
	beat := &controlv1.ConnectResponse{
		FencingToken: t.token,
		Message:      &controlv1.ConnectResponse_LeaderHeartbeat{LeaderHeartbeat: &controlv1.LeaderHeartbeat{NextMs: next.Milliseconds()}},
	}
	for s := range t.sessions {
		s.look()
		if (!many || s.number%2 == odd) && s.quiet() {
			s.push(beat)
		}
	}
}

// Connect implements the control service.
func (g *Gateway) Connect(stream connection) error {
	term, s := g.enter(stream)
	if term == nil {
		return status.Error(codes.FailedPrecondition, errNotLeading.Error())
	}
	defer term.leave(s)
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(term.ctx, func() { cancel(errNotLeading) })()
	go func() { s.end(g.read(s)) }()
	go func() { s.end(s.write(ctx)) }()
	select {
	case r := <-s.registered:
		return g.serve(s, r)
	case err := <-s.ended:
		return err
	}
}

// serve registers the taskmanager and keeps it until its stream breaks.
func (g *Gateway) serve(s *session, r *controlv1.Register) error {
	id := r.GetTaskManagerId()
	s.send(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_Registered{
		Registered: &controlv1.Registered{HeartbeatIntervalMs: heartbeatInterval.Milliseconds()}}})
	g.log.Info("taskmanager registered", "task_manager_id", id, "slots", r.GetSlots(), "data_address", r.GetDataAddress(),
		"subtasks", len(r.GetSubtasks()))
	tm := slotpool.TaskManager{
		ID: id, DataAddress: r.GetDataAddress(), Slots: int(r.GetSlots()), CPUCores: int(r.GetCpuCores()),
		PhysicalBytes: r.GetPhysicalMemoryBytes(), LimitBytes: r.GetMemoryLimitBytes(), Leaving: r.GetLeaving(), ReadsPeers: r.GetReadsPeers(),
		Send: s.send,
	}
	unregister := g.pool.Register(tm, g.jobs.Adopt(tm, r.GetSubtasks())...)
	close(s.serving)
	reason := "its connection ended"
	err := <-s.ended
	if !errors.Is(err, io.EOF) {
		reason = "its connection broke: " + err.Error()
	}
	switch {
	case s.dismissed.Load():
		g.log.Info("taskmanager has left", "task_manager_id", id)
	case errors.Is(err, errNotLeading):
		g.log.Info("taskmanager sent to another leader", "task_manager_id", id)
	default:
		g.log.Warn("taskmanager lost", "task_manager_id", id, "reason", reason)
	}
	unregister(reason)
	return status.Error(codes.Unavailable, reason)
}

// read takes the registration, and then hands on what the taskmanager says until the stream breaks.
func (g *Gateway) read(s *session) error {
	first, err := s.receive()
	if err != nil {
		return err
	}
	register := first.GetRegister()
	if register.GetTaskManagerId() == "" || register.GetSlots() < 1 {
		return status.Error(codes.InvalidArgument, "a taskmanager must first register with an id and slots")
	}
	s.registered <- register
	select {
	case <-s.serving: // what it reports is of subtasks that are adopted by then
	case <-s.stream.Context().Done():
		return context.Cause(s.stream.Context())
	}
	for {
		m, err := s.receive()
		if err != nil {
			return err
		}
		g.handle(register.GetTaskManagerId(), m)
	}
}

func (g *Gateway) handle(taskManagerID string, m *controlv1.ConnectRequest) {
	switch m := m.GetMessage().(type) {
	case *controlv1.ConnectRequest_Heartbeat:
		g.pool.Heartbeat(taskManagerID, m.Heartbeat.GetHeapUsedBytes(), m.Heartbeat.GetResidentBytes())
		for _, r := range m.Heartbeat.GetSubtasks() {
			g.jobs.SubtaskReport(r)
		}
	case *controlv1.ConnectRequest_SubtaskUpdate:
		g.jobs.SubtaskUpdate(taskManagerID, m.SubtaskUpdate)
	case *controlv1.ConnectRequest_FilesFinished:
		g.jobs.FilesFinished(m.FilesFinished)
	case *controlv1.ConnectRequest_CheckpointAck:
		g.jobs.CheckpointAck(m.CheckpointAck)
	case *controlv1.ConnectRequest_CheckpointDecline:
		g.jobs.CheckpointDecline(m.CheckpointDecline)
	case *controlv1.ConnectRequest_SubtaskEnded:
		g.jobs.SubtaskEnded(m.SubtaskEnded)
	case *controlv1.ConnectRequest_CheckpointRequest:
		g.jobs.CheckpointRequest(m.CheckpointRequest)
	case *controlv1.ConnectRequest_Leave:
		g.log.Info("taskmanager is leaving", "task_manager_id", taskManagerID)
		g.pool.Leave(taskManagerID)
	}
}

// session is one taskmanager's stream. Messages to it wait in a queue without bound, so that nobody who sends holds
// anything up; there are few of them.
type session struct {
	stream     connection
	token      uint64
	registered chan *controlv1.Register // holds the first message
	serving    chan struct{}            // closed when that is dealt with
	ended      chan error               // holds why it ends, which who comes first tells
	wake       chan struct{}            // holds a token when the queue may hold something
	number     int                      // of those before it in the leadership
	heard      atomic.Bool              // since the last look
	silent     int                      // looks without a word, which only look counts
	dismissed  atomic.Bool              // it may go

	mu    sync.Mutex
	queue []*controlv1.ConnectResponse
}

// connection is the wire to a taskmanager.
type connection = grpc.BidiStreamingServer[controlv1.ConnectRequest, controlv1.ConnectResponse]

func newSession(stream connection, token uint64) *session {
	return &session{
		stream: stream, token: token,
		registered: make(chan *controlv1.Register, 1), serving: make(chan struct{}), ended: make(chan error, 1), wake: make(chan struct{}, 1),
	}
}

func (s *session) receive() (*controlv1.ConnectRequest, error) {
	m, err := s.stream.Recv()
	if err != nil {
		return nil, err
	}
	s.heard.Store(true)
	if m.GetFencingToken() > s.token {
		return nil, status.Errorf(codes.Aborted, "another jobmanager leads: its fencing token is %d, mine is %d", m.GetFencingToken(), s.token)
	}
	return m, nil
}

func (s *session) send(m *controlv1.ConnectResponse) {
	m.FencingToken = s.token
	if m.GetDismissed() != nil {
		s.dismissed.Store(true)
	}
	s.push(m)
}

// push queues a message that has its fencing token.
func (s *session) push(m *controlv1.ConnectResponse) {
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

// write sends what is queued.
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

// quiet reports whether nothing waits that says by itself that the jobmanager leads.
func (s *session) quiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) == 0
}

// look ends the session when the taskmanager has been silent for too long. That is counted in looks, one at each beatInterval: when
// this process was paused, the taskmanager was not silent.
func (s *session) look() {
	s.silent++
	if s.heard.Swap(false) {
		s.silent = 0
	}
	if s.silent > int(heartbeatTimeout/beatInterval) {
		s.end(errSilent)
	}
}

// end has the session end, if it does not yet.
func (s *session) end(err error) {
	select {
	case s.ended <- err:
	default:
	}
}

var (
	errNotLeading = errors.New("this jobmanager does not lead")
	errSilent     = errors.New("no heartbeat for " + heartbeatTimeout.String())
)
