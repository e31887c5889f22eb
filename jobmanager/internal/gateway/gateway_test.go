package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pencere/jobmanager/internal/gateway"
	"pencere/jobmanager/internal/slotpool"
	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// reports notes what the gateway hands on.
type reports struct {
	mu      sync.Mutex
	updates []string // taskmanager and job
	beats   int
	files   int
	parts   []string // of checkpoints, and whose
}

func (r *reports) Adopt(slotpool.TaskManager, []*controlv1.HeldSubtask) []slotpool.Held { return nil }

func (r *reports) SubtaskUpdate(taskManagerID string, u *controlv1.SubtaskUpdate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.updates = append(r.updates, taskManagerID+" "+u.GetSubtask().GetJobId())
}

func (r *reports) SubtaskReport(*controlv1.SubtaskReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.beats++
}

func (r *reports) FilesFinished(*controlv1.FilesFinished) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files++
}

func (r *reports) CheckpointAck(a *controlv1.CheckpointAck) { r.part("ack", a.GetSubtask()) }

func (r *reports) CheckpointDecline(d *controlv1.CheckpointDecline) {
	r.part("decline", d.GetSubtask())
}

func (r *reports) SubtaskEnded(e *controlv1.SubtaskEnded) { r.part("end", e.GetSubtask()) }

func (r *reports) CheckpointRequest(c *controlv1.CheckpointRequest) {
	r.part("request", c.GetSubtask())
}

func (r *reports) part(what string, of *controlv1.SubtaskRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = append(r.parts, what+" "+of.GetJobId())
}

// world is a gateway behind an in-memory network, in a synctest bubble.
type world struct {
	t       *testing.T
	pool    *slotpool.Pool
	gateway *gateway.Gateway
	reports *reports
	client  controlv1.JobManagerServiceClient
}

func inWorld(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, pool: slotpool.New(time.Now), reports: &reports{}}
		w.gateway = gateway.New(w.pool, w.reports, slog.New(slog.DiscardHandler))
		server := grpc.NewServer(gateway.ServerOptions()...)
		controlv1.RegisterJobManagerServiceServer(server, w.gateway)
		network := bufconn.Listen(1 << 16)
		served := make(chan error, 1)
		go func() { served <- server.Serve(network) }()
		conn, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return network.DialContext(ctx) }))
		if err != nil {
			t.Fatal(err)
		}
		w.client = controlv1.NewJobManagerServiceClient(conn)
		defer func() {
			_ = conn.Close()
			server.Stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		}()
		test(w)
	})
}

// lead starts a leadership; lose ends it and returns when the gateway has.
func (w *world) lead(token uint64) (lose func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.gateway.Lead(ctx, token)
	}()
	synctest.Wait()
	return func() {
		cancel()
		<-ended
	}
}

type client struct {
	controlv1.JobManagerService_ConnectClient
	t *testing.T
}

func (w *world) connect() *client {
	w.t.Helper()
	stream, err := w.client.Connect(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return &client{stream, w.t}
}

func (c *client) send(m *controlv1.ConnectRequest) {
	c.t.Helper()
	if err := c.Send(m); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
}

func (w *world) register(id string, slots int32) *client {
	w.t.Helper()
	c := w.connect()
	c.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Register{Register: &controlv1.Register{
		TaskManagerId: id, DataAddress: "host:6121", Slots: slots, CpuCores: 2, PhysicalMemoryBytes: 5, MemoryLimitBytes: 4,
	}}})
	return c
}

// ends reads until the stream breaks.
func (c *client) ends(code codes.Code, text string) {
	c.t.Helper()
	for {
		_, err := c.Recv()
		if err == nil {
			continue
		}
		if status.Code(err) != code || !strings.Contains(err.Error(), text) {
			c.t.Errorf("the stream ended with %v, want %v: %s", err, code, text)
		}
		return
	}
}

var heartbeat = &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Heartbeat{Heartbeat: &controlv1.Heartbeat{
	HeapUsedBytes: 3, ResidentBytes: 7, Subtasks: []*controlv1.SubtaskReport{{}, {}},
}}}

func TestRegistrationAndReports(t *testing.T) {
	inWorld(t, func(w *world) {
		defer w.lead(7)()
		c := w.register("tm", 3)
		answer, err := c.Recv()
		if err != nil || answer.GetFencingToken() != 7 || answer.GetRegistered().GetHeartbeatIntervalMs() != 1000 {
			t.Fatalf("answer %v, %v", answer, err)
		}
		<-time.After(2 * time.Second)
		c.send(heartbeat)
		ref := &controlv1.SubtaskRef{JobId: "job"}
		c.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskUpdate{SubtaskUpdate: &controlv1.SubtaskUpdate{Subtask: ref}}})
		c.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_FilesFinished{FilesFinished: &controlv1.FilesFinished{Subtask: ref}}})
		c.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointRequest{CheckpointRequest: &controlv1.CheckpointRequest{Subtask: ref}}})
		c.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointAck{CheckpointAck: &controlv1.CheckpointAck{Subtask: ref}}})
		c.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointDecline{CheckpointDecline: &controlv1.CheckpointDecline{Subtask: ref}}})
		c.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskEnded{SubtaskEnded: &controlv1.SubtaskEnded{Subtask: ref}}})
		if want := []string{"request job", "ack job", "decline job", "end job"}; !slices.Equal(w.reports.parts, want) {
			t.Errorf("handed on %v, want %v", w.reports.parts, want)
		}
		if w.reports.beats != 2 || w.reports.files != 1 || len(w.reports.updates) != 1 || w.reports.updates[0] != "tm job" {
			t.Errorf("handed on: %+v", w.reports)
		}
		tm := w.pool.TaskManagers()[0]
		if tm.Slots != 3 || tm.DataAddress != "host:6121" || tm.CPUCores != 2 || tm.PhysicalBytes != 5 || tm.LimitBytes != 4 ||
			tm.HeapBytes != 3 || tm.ResidentBytes != 7 || tm.LastHeartbeat != time.Now().UnixMilli() {
			t.Errorf("taskmanager %+v", tm)
		}
	})
}

// holder takes one slot and sends over it.
type holder struct {
	granted []slotpool.Slot
	lost    []string
}

func (h *holder) Parallelism(free int) int      { return min(free, 1) }
func (h *holder) Granted(slots []slotpool.Slot) { h.granted = slots }
func (h *holder) Lost(taskManagerID, reason string) {
	h.lost = append(h.lost, taskManagerID+": "+reason)
}

func TestOrdersComeInOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		defer w.lead(7)()
		c := w.register("tm", 1)
		h := &holder{}
		w.pool.Request("job", h)
		for i := range 1000 {
			h.granted[0].TaskManager.Send(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_DeploySubtask{
				DeploySubtask: &controlv1.DeploySubtask{Slot: int32(i)}}})
		}
		if m, err := c.Recv(); err != nil || m.GetRegistered() == nil {
			t.Fatal(m, err)
		}
		for i := range 1000 {
			m, err := c.Recv()
			if err != nil || m.GetDeploySubtask().GetSlot() != int32(i) || m.GetFencingToken() != 7 {
				t.Fatalf("message %d is %v, %v", i, m, err)
			}
		}
	})
}

func TestBrokenStreamTakesTheSlots(t *testing.T) {
	inWorld(t, func(w *world) {
		defer w.lead(7)()
		h := &holder{}
		w.pool.Request("job", h)
		c := w.register("tm", 1)
		if err := c.CloseSend(); err != nil {
			t.Fatal(err)
		}
		c.ends(codes.Unavailable, "its connection ended")
		if len(w.pool.TaskManagers()) != 0 || len(h.lost) != 1 || h.lost[0] != "tm: its connection ended" {
			t.Errorf("%d taskmanagers, lost %v", len(w.pool.TaskManagers()), h.lost)
		}
		h.granted[0].TaskManager.Send(&controlv1.ConnectResponse{}) // does nothing
	})
}

// A taskmanager that is about to go is dismissed when no job has a slot there, and at once if it says so when it registers.
func TestLeave(t *testing.T) {
	inWorld(t, func(w *world) {
		defer w.lead(7)()
		h := &holder{}
		w.pool.Request("job", h)
		c := w.register("tm", 1)
		c.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Leave{Leave: &controlv1.Leave{}}})
		<-time.After(time.Second)
		w.pool.Release("job")
		w.pool.Request("next", h)
		beats := 0
		for m, err := c.Recv(); m.GetDismissed() == nil; m, err = c.Recv() {
			if err != nil {
				t.Fatal(err)
			}
			if m.GetLeaderHeartbeat() != nil {
				beats++
			}
		}
		if beats == 0 || len(h.granted) != 1 {
			t.Errorf("dismissed after %d beats, %d slots granted", beats, len(h.granted))
		}
		d := w.connect()
		d.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Register{Register: &controlv1.Register{
			TaskManagerId: "other", Slots: 1, Leaving: true}}})
		for m, err := d.Recv(); m.GetDismissed() == nil; m, err = d.Recv() {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestSilentTaskManagerIsLost(t *testing.T) {
	inWorld(t, func(w *world) {
		defer w.lead(7)()
		c := w.register("tm", 1)
		for range 3 {
			<-time.After(9 * time.Second)
			c.send(heartbeat)
		}
		if len(w.pool.TaskManagers()) != 1 {
			t.Fatal("lost though it spoke every 9 s")
		}
		begin := time.Now()
		c.ends(codes.Unavailable, "no heartbeat for 10s")
		if silent := time.Since(begin); silent < 10*time.Second || silent > 12*time.Second {
			t.Errorf("lost after %s of silence", silent)
		}
		if len(w.pool.TaskManagers()) != 0 {
			t.Error("still registered")
		}
	})
}

// Where there are many, taskmanagers hear from the leader half as often, and that it will be so.
func TestBeats(t *testing.T) {
	for sessions, want := range map[int]int64{500: 20, 501: 10} {
		inWorld(t, func(w *world) {
			defer w.lead(7)()
			beats := make([]atomic.Int64, sessions)
			for n := range beats {
				c := w.register(fmt.Sprint("tm", n), 1)
				go func() {
					for m, err := c.Recv(); err == nil; m, err = c.Recv() {
						if m.GetLeaderHeartbeat().GetNextMs() == 10_000/want {
							beats[n].Add(1)
						}
					}
				}()
			}
			<-time.After(9900 * time.Millisecond) // after that they are silent
			synctest.Wait()
			for n := range beats {
				if got := beats[n].Load(); got < want-1 || got > want {
					t.Fatalf("taskmanager %d of %d: %d beats", n, sessions, got)
				}
			}
		})
	}
}

func TestConnectWithoutRegistration(t *testing.T) {
	inWorld(t, func(w *world) {
		defer w.lead(7)()
		silent := w.connect()
		<-time.After(12 * time.Second)
		silent.ends(codes.Unknown, "no heartbeat for 10s")
		hasty := w.connect()
		hasty.send(heartbeat)
		hasty.ends(codes.InvalidArgument, "must first register")
		w.register("tm", 0).ends(codes.InvalidArgument, "must first register")
		w.register("", 1).ends(codes.InvalidArgument, "must first register")
	})
}

func TestLeaderships(t *testing.T) {
	inWorld(t, func(w *world) {
		w.connect().ends(codes.FailedPrecondition, "does not lead")
		lose := w.lead(1)
		c := w.register("tm", 1)
		unregistered := w.connect()
		lose()
		if len(w.pool.TaskManagers()) != 0 {
			t.Error("a taskmanager is registered after the leadership")
		}
		c.ends(codes.Unavailable, "does not lead")
		unregistered.ends(codes.Unknown, "does not lead")
		w.connect().ends(codes.FailedPrecondition, "does not lead")
		defer w.lead(2)()
		again := w.register("tm", 1)
		if m, err := again.Recv(); err != nil || m.GetFencingToken() != 2 {
			t.Errorf("answer of the next leadership: %v, %v", m, err)
		}
	})
}
