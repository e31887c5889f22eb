package main

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

// fleet is many taskmanagers that speak the protocol and run nothing: a subtask runs as soon as it is deployed, is canceled as soon as it
// is to be, and has taken part in a checkpoint as soon as its slot's source is asked to.
type fleet struct {
	running  sync.WaitGroup
	deployed atomic.Int64 // subtasks, ever
	errors   chan error   // has room for one
}

// startFleet connects taskmanagers to a jobmanager until ctx ends.
func startFleet(ctx context.Context, address string, taskManagers, slots int) *fleet {
	f := &fleet{errors: make(chan error, 1)}
	for i := range taskManagers {
		m := &ghost{
			fleet: f, id: fmt.Sprintf("ghost-%04d:6121-000000", i), slots: int32(slots), subtasks: make(map[string]*controlv1.DeploySubtask),
			queue: make(chan *controlv1.ConnectRequest, 10_000),
		}
		f.running.Go(func() {
			err := m.run(ctx, address)
			for status.Code(err) == codes.FailedPrecondition && sleep(ctx, 100*time.Millisecond) == nil { // it does not lead yet
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

// failed returns what a taskmanager failed with, or nil.
func (f *fleet) failed() error {
	select {
	case err := <-f.errors:
		return err
	default:
		return nil
	}
}

// ghost is one of the taskmanagers.
type ghost struct {
	fleet *fleet
	id    string
	slots int32
	queue chan *controlv1.ConnectRequest

	mu       sync.Mutex
	subtasks map[string]*controlv1.DeploySubtask // those that run
}

func (m *ghost) run(ctx context.Context, address string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing to flush
	stream, err := controlv1.NewJobManagerServiceClient(conn).Connect(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Register{Register: &controlv1.Register{
		TaskManagerId: m.id, DataAddress: m.id[:len(m.id)-len("-000000")], Slots: m.slots, CpuCores: 8, PhysicalMemoryBytes: 64 << 30,
		MemoryLimitBytes: 48 << 30, Version: "ghost"}}}); err != nil {
		return err
	}
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
	}
}

func (m *ghost) obey(ctx context.Context, order *controlv1.ConnectResponse, fail context.CancelCauseFunc) {
	switch order := order.GetMessage().(type) {
	case *controlv1.ConnectResponse_DeploySubtask:
		d := order.DeploySubtask
		d.Upstreams, d.Downstreams, d.Plan = nil, nil, nil // many: the memory is needed
		m.mu.Lock()
		m.subtasks[nameOf(d.GetSubtask())] = d
		m.mu.Unlock()
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
	case *controlv1.ConnectResponse_CheckpointAbort:
		fail(fmt.Errorf("checkpoint %d was aborted: %s", order.CheckpointAbort.GetCheckpointId(), order.CheckpointAbort.GetReason()))
	}
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

// write sends what is queued, and a heartbeat each second.
func (m *ghost) write(ctx context.Context, stream controlv1.JobManagerService_ConnectClient) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var message *controlv1.ConnectRequest
		select {
		case message = <-m.queue:
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
