package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// jobmanager speaks the jobmanager's side of the protocol as a test tells it to.
type jobmanager struct {
	controlv1.UnimplementedJobManagerServiceServer

	leads bool
	mute  bool // takes registrations and says nothing
	token uint64

	mu       sync.Mutex
	attempts []time.Time
	received []*controlv1.ConnectRequest
	stream   grpc.BidiStreamingServer[controlv1.ConnectRequest, controlv1.ConnectResponse]
	end      context.CancelCauseFunc
}

func (j *jobmanager) Connect(stream grpc.BidiStreamingServer[controlv1.ConnectRequest, controlv1.ConnectResponse]) error {
	ctx, end := context.WithCancelCause(stream.Context())
	j.mu.Lock()
	j.attempts = append(j.attempts, time.Now())
	j.stream, j.end = stream, end
	leads := j.leads
	j.mu.Unlock()
	if !leads {
		return status.Error(codes.FailedPrecondition, "does not lead")
	}
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				end(err)
				return
			}
			j.mu.Lock()
			j.received = append(j.received, m)
			j.mu.Unlock()
		}
	}()
	if !j.mute {
		j.say(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_Registered{
			Registered: &controlv1.Registered{HeartbeatIntervalMs: 1000}}})
	}
	<-ctx.Done()
	return status.Error(codes.Unavailable, context.Cause(ctx).Error())
}

func (j *jobmanager) say(m *controlv1.ConnectResponse) {
	m.FencingToken = j.token
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.stream.Send(m)
}

func (j *jobmanager) deploy(jobID string) {
	j.say(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_DeploySubtask{
		DeploySubtask: &controlv1.DeploySubtask{Subtask: &controlv1.SubtaskRef{JobId: jobID}}}})
}

// take returns what was received since the last call, without heartbeats, which it counts.
func (j *jobmanager) take() (messages []*controlv1.ConnectRequest, beats int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range j.received {
		if m.GetHeartbeat() != nil {
			beats++
			continue
		}
		messages = append(messages, m)
	}
	j.received = nil
	return messages, beats
}

// slots notes the orders.
type slots struct {
	held []*controlv1.HeldSubtask

	mu     sync.Mutex
	orders []string
}

func (s *slots) note(order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = append(s.orders, order)
}

func (s *slots) Deploy(d *controlv1.DeploySubtask) { s.note("deploy " + d.GetSubtask().GetJobId()) }
func (s *slots) Cancel(m *controlv1.CancelSubtask) { s.note("cancel " + m.GetSubtask().GetJobId()) }
func (s *slots) Held() []*controlv1.HeldSubtask    { return s.held }
func (s *slots) CancelAll()                        { s.note("cancel all") }
func (s *slots) Heartbeat() *controlv1.Heartbeat   { return &controlv1.Heartbeat{} }
func (s *slots) AddSplits(ref *controlv1.SubtaskRef, splits []*controlv1.Split) {
	s.note(fmt.Sprintf("add %d to %s", len(splits), ref.GetJobId()))
}

func (s *slots) TriggerCheckpoint(m *controlv1.CheckpointTrigger) {
	s.note(fmt.Sprintf("trigger %d of %s", m.GetCheckpointId(), m.GetSubtask().GetJobId()))
}

func (s *slots) CommitCheckpoint(m *controlv1.CheckpointCommit) {
	s.note(fmt.Sprintf("commit %d of %s", m.GetCheckpointId(), m.GetSubtask().GetJobId()))
}

func (s *slots) AbortCheckpoint(m *controlv1.CheckpointAbort) {
	s.note(fmt.Sprintf("abort %d of %s", m.GetCheckpointId(), m.GetSubtask().GetJobId()))
}

func (s *slots) want(t *testing.T, orders ...string) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.orders, orders) {
		t.Errorf("orders %q, want %q", s.orders, orders)
	}
	s.orders = nil
}

// world is an agent and jobmanagers behind an in-memory network, in a synctest bubble.
type world struct {
	agent *Agent
	slots *slots
	log   bytes.Buffer
	stop  context.CancelFunc
	ended chan struct{} // closed when Run has returned err
	err   error
}

func inWorld(t *testing.T, jobmanagers []*jobmanager, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{slots: &slots{}, ended: make(chan struct{})}
		networks := make(map[string]*bufconn.Listener)
		cfg := Config{Register: &controlv1.Register{TaskManagerId: "tm", Slots: 1}, Lease: time.Minute, LeaveTimeout: 20 * time.Second, Log: slog.New(slog.NewTextHandler(&w.log, nil))}
		for i, j := range jobmanagers {
			address := fmt.Sprint("jm", i, ":6123")
			cfg.JobManagers = append(cfg.JobManagers, address)
			if j == nil { // is down
				continue
			}
			server := grpc.NewServer()
			controlv1.RegisterJobManagerServiceServer(server, j)
			network := bufconn.Listen(1 << 16)
			networks[address] = network
			go func() { _ = server.Serve(network) }()
			defer server.Stop() //nolint:gocritic // one a jobmanager, till the end of the world
		}
		w.agent = New(cfg)
		w.agent.dial = func(address string) (*grpc.ClientConn, error) {
			return grpc.NewClient("passthrough:"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithConnectParams(reconnect), grpc.WithKeepaliveParams(keepalive),
				grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
					if network := networks[address]; network != nil {
						return network.DialContext(ctx)
					}
					return nil, io.ErrClosedPipe
				}))
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.stop = cancel
		go func() {
			defer close(w.ended)
			w.err = w.agent.Run(ctx, w.slots)
		}()
		defer func() {
			cancel()
			<-w.ended
			synctest.Wait()
		}()
		synctest.Wait()
		test(t, w)
	})
}

func canceled(jobID string) *controlv1.ConnectRequest {
	return &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskUpdate{
		SubtaskUpdate: &controlv1.SubtaskUpdate{Subtask: &controlv1.SubtaskRef{JobId: jobID}}}}
}

func TestOrdersAndReports(t *testing.T) {
	j := &jobmanager{leads: true, token: 3}
	inWorld(t, []*jobmanager{j}, func(t *testing.T, w *world) {
		if messages, _ := j.take(); len(messages) != 1 || messages[0].GetRegister().GetTaskManagerId() != "tm" {
			t.Fatalf("said first: %v", messages)
		}
		j.deploy("a")
		j.say(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_CancelSubtask{
			CancelSubtask: &controlv1.CancelSubtask{Subtask: &controlv1.SubtaskRef{JobId: "a"}}}})
		j.say(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_AddSplits{AddSplits: &controlv1.AddSplits{
			Subtask: &controlv1.SubtaskRef{JobId: "b"}, Splits: []*controlv1.Split{{}, {}}}}})
		ref := &controlv1.SubtaskRef{JobId: "c"}
		j.say(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_CheckpointTrigger{
			CheckpointTrigger: &controlv1.CheckpointTrigger{Subtask: ref, CheckpointId: 1}}})
		j.say(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_CheckpointCommit{
			CheckpointCommit: &controlv1.CheckpointCommit{Subtask: ref, CheckpointId: 1}}})
		j.say(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_CheckpointAbort{
			CheckpointAbort: &controlv1.CheckpointAbort{Subtask: ref, CheckpointId: 2}}})
		w.slots.want(t, "deploy a", "cancel a", "add 2 to b", "trigger 1 of c", "commit 1 of c", "abort 2 of c")
		for i := range 100 {
			w.agent.Send(canceled(fmt.Sprint(i)))
		}
		<-time.After(3500 * time.Millisecond)
		messages, beats := j.take()
		if len(messages) != 100 || messages[99].GetSubtaskUpdate().GetSubtask().GetJobId() != "99" || beats != 3 {
			t.Errorf("%d messages, %d heartbeats in 3.5 s", len(messages), beats)
		}
	})
}

// Messages of a leader that is not the newest any more are not obeyed.
func TestOldLeaderIsNotObeyed(t *testing.T) {
	j := &jobmanager{leads: true, token: 3}
	inWorld(t, []*jobmanager{j}, func(t *testing.T, w *world) {
		j.token = 2
		j.deploy("old")
		j.token = 3
		j.deploy("new")
		w.slots.want(t, "deploy new")
		j.token = 2
		j.end(io.EOF)
		<-time.After(5 * time.Second)
		w.slots.want(t) // what runs goes on
		if log := w.log.String(); strings.Count(log, "its fencing token 2 is older than 3") != 1 {
			t.Errorf("the log does not say once why it does not register: %s", log)
		}
	})
}

func TestLeaderSwitch(t *testing.T) {
	a, b := &jobmanager{leads: true, token: 1}, &jobmanager{token: 2}
	inWorld(t, []*jobmanager{nil, a, b}, func(t *testing.T, w *world) {
		<-time.After(time.Second)
		a.deploy("a")
		w.slots.want(t, "deploy a")
		a.leads, b.leads = false, true
		a.end(io.EOF)
		synctest.Wait()
		w.agent.Send(canceled("a"))
		<-time.After(time.Second)
		messages, _ := b.take()
		if len(messages) != 2 || messages[0].GetRegister() == nil || messages[1].GetSubtaskUpdate() == nil {
			t.Errorf("the new leader was told %v", messages)
		}
		if messages[0].GetFencingToken() != 1 || messages[1].GetFencingToken() != 2 {
			t.Errorf("with the fencing tokens %d and %d", messages[0].GetFencingToken(), messages[1].GetFencingToken())
		}
		b.deploy("b")
		w.slots.want(t, "deploy b")
		if log := w.log.String(); strings.Count(log, "jm0:6123") != 1 || strings.Contains(log, "does not lead") {
			t.Errorf("log: %s", log)
		}
	})
}

// A leader that is silent, though its connection stands, is left once another one leads, and not before.
func TestSilentLeader(t *testing.T) {
	a, b := &jobmanager{leads: true, token: 1}, &jobmanager{token: 2}
	inWorld(t, []*jobmanager{a, b}, func(t *testing.T, w *world) {
		<-time.After(10 * time.Second)
		a.deploy("a")
		<-time.After(10 * time.Second)
		a.deploy("b")
		w.slots.want(t, "deploy a", "deploy b")
		b.mu.Lock()
		b.leads = true
		b.mu.Unlock()
		<-time.After(beatInterval*5/2 + 2*seekInterval)
		a.deploy("c")
		b.deploy("d")
		w.slots.want(t, "deploy d")
	})
}

// A leader that says when it will say something is given that time, and not longer.
func TestLeaderSaysWhen(t *testing.T) {
	a, b := &jobmanager{leads: true, token: 1}, &jobmanager{token: 2}
	inWorld(t, []*jobmanager{a, b}, func(t *testing.T, w *world) {
		beat := func() {
			a.say(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_LeaderHeartbeat{
				LeaderHeartbeat: &controlv1.LeaderHeartbeat{NextMs: 1000}}})
			synctest.Wait()
		}
		beat()
		b.mu.Lock()
		b.leads, b.attempts = true, nil
		b.mu.Unlock()
		for range 10 {
			<-time.After(2400 * time.Millisecond)
			beat()
		}
		b.mu.Lock()
		if len(b.attempts) != 0 {
			t.Errorf("another one was asked %d times", len(b.attempts))
		}
		b.mu.Unlock()
		<-time.After(2500*time.Millisecond + 2*seekInterval)
		b.deploy("b")
		w.slots.want(t, "deploy b")
	})
}

// Subtasks run on without a leader until the lease ends.
func TestLease(t *testing.T) {
	j := &jobmanager{leads: true}
	inWorld(t, []*jobmanager{j}, func(t *testing.T, w *world) {
		j.leads = false
		j.end(io.EOF)
		<-time.After(59 * time.Second)
		w.slots.want(t)
		<-time.After(2 * time.Second)
		w.slots.want(t, "cancel all")
	})
}

// Whoever takes over hears what became of the subtasks, also of what was said to nobody.
func TestHeldSubtasks(t *testing.T) {
	a, b := &jobmanager{leads: true, token: 1}, &jobmanager{token: 2}
	inWorld(t, []*jobmanager{a, b}, func(t *testing.T, w *world) {
		ref := &controlv1.SubtaskRef{JobId: "j"}
		w.slots.held = []*controlv1.HeldSubtask{{
			Update: &controlv1.SubtaskUpdate{Subtask: ref, State: controlv1.SubtaskState_SUBTASK_STATE_RUNNING},
			Ended:  &controlv1.SubtaskEnded{Subtask: ref},
		}}
		a.leads, b.leads = false, true
		a.end(io.EOF)
		<-time.After(time.Second)
		messages, _ := b.take()
		if len(messages) != 3 || len(messages[0].GetRegister().GetSubtasks()) != 1 || messages[1].GetSubtaskEnded() == nil ||
			messages[2].GetSubtaskUpdate().GetState() != controlv1.SubtaskState_SUBTASK_STATE_RUNNING {
			t.Errorf("the new leader was told %v", messages)
		}
	})
}

// Nobody leads for a while: attempts go on, further and further apart up to a quarter of a second, and end at once with the agent.
func TestBackoff(t *testing.T) {
	j := &jobmanager{}
	inWorld(t, []*jobmanager{j}, func(t *testing.T, w *world) {
		<-time.After(time.Minute)
		j.mu.Lock()
		attempts := j.attempts
		j.mu.Unlock()
		if n := len(attempts); n < 120 || n > 600 {
			t.Errorf("%d attempts in a minute", n)
		}
		if first := attempts[1].Sub(attempts[0]); first > 200*time.Millisecond {
			t.Errorf("the second attempt came after %s", first)
		}
		w.slots.want(t, "cancel all") // the lease is over
		begin := time.Now()
		w.stop()
		<-w.ended
		if took := time.Since(begin); w.err == nil || took != 0 {
			t.Errorf("ended after %s with %v", took, w.err)
		}
	})
}

func TestJobmanagerThatDoesNotAnswer(t *testing.T) {
	mute, good := &jobmanager{leads: true, mute: true}, &jobmanager{leads: true}
	inWorld(t, []*jobmanager{mute, good}, func(t *testing.T, w *world) {
		<-time.After(registerTimeout + time.Second)
		good.deploy("a")
		w.slots.want(t, "deploy a")
	})
}

// The end of the agent ends the subtasks.
func TestEnd(t *testing.T) {
	j := &jobmanager{leads: true}
	inWorld(t, []*jobmanager{j}, func(t *testing.T, w *world) {
		w.stop()
		<-w.ended
		if !errors.Is(w.err, context.Canceled) {
			t.Errorf("ended with %v", w.err)
		}
		w.slots.want(t, "cancel all")
	})
}
