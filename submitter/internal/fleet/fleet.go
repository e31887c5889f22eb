// Package fleet is many taskmanagers that speak the protocol and run nothing, to see how a jobmanager does beside more of them than fit on
// a machine.
package fleet

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Fleet is connected taskmanagers. A subtask runs as soon as it is deployed, is canceled as soon as it is to be, and has taken part in a
// checkpoint as soon as its slot's source is asked to. Its methods are safe for concurrent use.
type Fleet struct {
	running     sync.WaitGroup
	deployed    atomic.Int64 // subtasks, ever
	checkpoints atomic.Int64 // commits heard of
	aborts      atomic.Int64
	errors      chan error // has room for one

	mu     sync.Mutex
	ghosts []*ghost // those that have not been stopped
}

// Start connects taskmanagers to a jobmanager, host:port, until ctx ends. Wait must follow.
func Start(ctx context.Context, address string, taskManagers, slots int) *Fleet {
	f := &Fleet{errors: make(chan error, 1)}
	for i := range taskManagers {
		m := &ghost{
			fleet: f, id: fmt.Sprintf("ghost-%04d:6121-000000", i), slots: int32(slots), subtasks: make(map[string]*controlv1.DeploySubtask),
			queue: make(chan *controlv1.ConnectRequest, 10_000), pace: make(chan time.Duration, 1),
		}
		ctx, stop := context.WithCancel(ctx)
		m.stop = stop
		f.ghosts = append(f.ghosts, m)
		f.running.Go(func() {
			defer stop()
			err := m.run(ctx, address)
			for status.Code(err) == codes.FailedPrecondition && wait(ctx) { // it does not lead yet
				err = m.run(ctx, address)
			}
			if err != nil && ctx.Err() == nil {
				select {
				case f.errors <- fmt.Errorf("taskmanager %s: %w", m.id, err):
				default:
				}
			}
		})
	}
	return f
}

// Wait returns when all taskmanagers have ended.
func (f *Fleet) Wait() { f.running.Wait() }

// Stop ends the first n taskmanagers, as their death would.
func (f *Fleet) Stop(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.ghosts[:n] {
		m.stop()
	}
	f.ghosts = f.ghosts[n:]
}

// Deployed returns how many subtasks have been deployed, ever.
func (f *Fleet) Deployed() int64 { return f.deployed.Load() }

// Commits returns how many commits of checkpoints subtasks have heard of, ever.
func (f *Fleet) Commits() int64 { return f.checkpoints.Load() }

// Aborts returns how many times subtasks have heard that a checkpoint will not be, ever.
func (f *Fleet) Aborts() int64 { return f.aborts.Load() }

// Running returns how many subtasks run.
func (f *Fleet) Running() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.ghosts {
		m.mu.Lock()
		n += len(m.subtasks)
		m.mu.Unlock()
	}
	return n
}

// Err returns what a taskmanager failed with, the first one, once; nil for none.
func (f *Fleet) Err() error {
	select {
	case err := <-f.errors:
		return err
	default:
		return nil
	}
}

// wait returns after a moment, and reports whether ctx has not ended.
func wait(ctx context.Context) bool {
	moment := time.NewTimer(100 * time.Millisecond)
	defer moment.Stop()
	select {
	case <-moment.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ghost is one of the taskmanagers.
type ghost struct {
	fleet *Fleet
	stop  context.CancelFunc
	id    string
	slots int32
	queue chan *controlv1.ConnectRequest
	pace  chan time.Duration // how often the jobmanager wants a heartbeat

	mu       sync.Mutex
	subtasks map[string]*controlv1.DeploySubtask // those that run
}

func (m *ghost) run(ctx context.Context, address string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(1<<20), grpc.WithStaticConnWindowSize(1<<20)) // as taskmanagers do
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing to flush
	stream, err := controlv1.NewJobManagerServiceClient(conn).Connect(ctx)
	if err != nil {
		return err
	}
	// That the stream broke is told by Recv, and why.
	_ = stream.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Register{Register: &controlv1.Register{
		TaskManagerId: m.id, DataAddress: m.id[:len(m.id)-len("-000000")], Slots: m.slots, CpuCores: 8, PhysicalMemoryBytes: 64 << 30,
		MemoryLimitBytes: 48 << 30, Version: "ghost", ReadsPeers: true}}})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var writing sync.WaitGroup
	writing.Go(func() { cancel(m.write(ctx, stream)) })
	defer writing.Wait()
	for {
		order, err := stream.Recv()
		if err != nil {
			cancel(err)
			return err
		}
		m.obey(ctx, order, cancel)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func (m *ghost) obey(ctx context.Context, order *controlv1.ConnectResponse, fail context.CancelCauseFunc) {
	switch order := order.GetMessage().(type) {
	case *controlv1.ConnectResponse_Registered:
		m.pace <- time.Duration(order.Registered.GetHeartbeatIntervalMs()) * time.Millisecond
	case *controlv1.ConnectResponse_DeploySubtask:
		d := order.DeploySubtask
		d.UpstreamPeers, d.DownstreamPeers, d.Plan = nil, nil, nil // many: the memory is needed
		if err := m.take(d); err != nil {
			fail(err)
			return
		}
		m.report(ctx, d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_INITIALIZING)
		m.report(ctx, d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_RUNNING)
		m.fleet.deployed.Add(1)
	case *controlv1.ConnectResponse_CancelSubtask:
		m.mu.Lock()
		delete(m.subtasks, nameOf(order.CancelSubtask.GetSubtask()))
		m.mu.Unlock()
		m.report(ctx, order.CancelSubtask.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_CANCELED)
	case *controlv1.ConnectResponse_CheckpointTrigger:
		m.acknowledge(ctx, order.CheckpointTrigger)
	case *controlv1.ConnectResponse_CheckpointCommit:
		m.fleet.checkpoints.Add(1)
	case *controlv1.ConnectResponse_CheckpointAbort:
		m.fleet.aborts.Add(1)
	}
}

// take notes a subtask that is to run. A slot holds one subtask of each vertex of one job.
func (m *ghost) take(d *controlv1.DeploySubtask) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.GetSlot() < 0 || d.GetSlot() >= m.slots {
		return fmt.Errorf("subtask %v was deployed in slot %d of %d", d.GetSubtask(), d.GetSlot(), m.slots)
	}
	for _, other := range m.subtasks {
		if other.GetSlot() == d.GetSlot() && (other.GetSubtask().GetJobId() != d.GetSubtask().GetJobId() ||
			other.GetSubtask().GetVertexId() == d.GetSubtask().GetVertexId()) {
			return fmt.Errorf("subtask %v was deployed in slot %d, which %v is in", d.GetSubtask(), d.GetSlot(), other.GetSubtask())
		}
	}
	m.subtasks[nameOf(d.GetSubtask())] = d
	return nil
}

func nameOf(ref *controlv1.SubtaskRef) string {
	return fmt.Sprint(ref.GetJobId(), ref.GetVertexId(), ref.GetSubtaskIndex())
}

func (m *ghost) say(ctx context.Context, message *controlv1.ConnectRequest) {
	select {
	case m.queue <- message:
	case <-ctx.Done():
	}
}

func (m *ghost) report(ctx context.Context, ref *controlv1.SubtaskRef, state controlv1.SubtaskState) {
	m.say(ctx, &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskUpdate{SubtaskUpdate: &controlv1.SubtaskUpdate{
		Subtask: ref, State: state, TimeMs: time.Now().UnixMilli()}}})
}

// acknowledge takes part in a checkpoint with all subtasks of the source's slot, which is where those of its index are.
func (m *ghost) acknowledge(ctx context.Context, t *controlv1.CheckpointTrigger) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.subtasks {
		ref := d.GetSubtask()
		if ref.GetJobId() != t.GetSubtask().GetJobId() || ref.GetSubtaskIndex() != t.GetSubtask().GetSubtaskIndex() {
			continue
		}
		state := checkpoint.State{Subtask: checkpoint.Subtask{VertexID: ref.GetVertexId(), Index: int(ref.GetSubtaskIndex())}}
		for _, s := range d.GetSplits() {
			state.Splits = append(state.Splits, checkpoint.Split{Number: s.GetNumber(), Topic: s.GetTopic(), Partition: s.GetPartition(),
				Next: s.GetStartOffset(), Stop: s.GetStopOffset(), Newest: math.MinInt64})
		}
		m.say(ctx, &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointAck{CheckpointAck: &controlv1.CheckpointAck{
			Subtask: ref, CheckpointId: t.GetCheckpointId(), State: state.Encode()}}})
	}
}

// write sends what is queued, and heartbeats at their pace.
func (m *ghost) write(ctx context.Context, stream controlv1.JobManagerService_ConnectClient) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		var message *controlv1.ConnectRequest
		select {
		case message = <-m.queue:
		case pace := <-m.pace:
			tick.Reset(pace)
			continue
		case <-tick.C:
			message = m.heartbeat()
		case <-ctx.Done():
			return stream.CloseSend()
		}
		if err := stream.Send(message); err != nil {
			return err
		}
	}
}

// heartbeat is as large as one of a taskmanager whose subtasks are at work.
func (m *ghost) heartbeat() *controlv1.ConnectRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UnixMilli()
	beat := &controlv1.Heartbeat{TimeMs: now, HeapUsedBytes: 5 << 30, HeapLimitBytes: 48 << 30, ResidentBytes: 6 << 30}
	for _, d := range m.subtasks {
		report := &controlv1.SubtaskReport{Subtask: d.GetSubtask(), Metrics: &controlv1.SubtaskMetrics{
			RecordsIn: now, RecordsOut: now, BytesIn: now, BytesOut: now, InputWatermark: now, OutputWatermark: now, BusyMs: now, IdleMs: now,
			BackpressuredMs: now, LateRecords: 1, FilteredRecords: 2, CollapsedRecords: 3, OpenGroups: 1000, OpenWindows: 2, RowsWritten: now,
			FilesPublished: 10, RowsPublished: now,
		}}
		for _, s := range d.GetSplits() {
			report.Splits = append(report.Splits, &controlv1.SplitReport{Topic: s.GetTopic(), Partition: s.GetPartition(), Offset: now, EndOffset: now,
				State: controlv1.SplitState_SPLIT_STATE_READING, Watermark: now})
		}
		beat.Subtasks = append(beat.Subtasks, report)
	}
	return &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Heartbeat{Heartbeat: beat}}
}
