package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pencere/jobmanager/internal/coordinator"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/replica"
	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
	"pencere/pkg/failpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/plan"
)

// firedPause keeps windows that fire in quick succession from asking for a checkpoint each.
const firedPause = 200 * time.Millisecond

// Storage holds the blobs of checkpoints.
type Storage interface {
	// URL is where taskmanagers keep large state.
	URL() string
	Delete(ctx context.Context, keys []string) error
	// Keys returns the keys that begin with a prefix, of blobs that have not changed after a time, if that is not zero.
	Keys(ctx context.Context, prefix string, after time.Time) ([]string, error)
	// Folders returns what is before the first slash of the keys.
	Folders(ctx context.Context) ([]string, error)
	// Bucket opens it; it must not be closed.
	Bucket(ctx context.Context) (*blobstore.Bucket, error)
}

func newCoordinator(job *storagev1.Job, p *plan.Program) (*coordinator.Coordinator, []checkpoint.Checkpoint, error) {
	var committed []checkpoint.Checkpoint
	for _, stored := range job.GetCheckpoints() {
		c, err := checkpoint.Decode(stored.GetCheckpoint())
		if err != nil {
			return nil, nil, fmt.Errorf("checkpoint %d: %w", stored.GetCheckpointId(), err)
		}
		committed = append(committed, c)
	}
	return coordinator.New(coordination(p), committed, checkpoint.ID(job.GetReservedCheckpointId())), committed, nil
}

func coordination(p *plan.Program) coordinator.Config {
	k := p.Job.Checkpoint
	return coordinator.Config{
		Interval: k.Interval, MinPause: k.MinPause, FiredPause: firedPause, Timeout: k.Timeout,
		TolerableFailures: k.ToleratedFailures, MaxConcurrent: k.MaxConcurrent, Retained: k.Retained, MaxParallelism: p.Job.MaxParallelism,
	}
}

// coordinate feeds an event to the coordinator and does what it decides. What is done may be an event again: what that leads to comes after
// all that was decided before, or a barrier could overtake that of an older checkpoint.
func (m *master) coordinate(ctx context.Context, e coordinator.Event) {
	now := m.cfg.Now()
	m.traces.Heard(now, e)
	m.decided = append(m.decided, m.checkpoints.Step(now, e)...)
	if m.coordinating {
		return
	}
	m.coordinating = true
	for len(m.decided) > 0 {
		a := m.decided[0]
		m.decided = m.decided[1:]
		done := m.traces.Coordinates(m.cfg.Now(), a)
		switch a := a.(type) {
		case coordinator.Reserve:
			m.reserve(ctx, a)
		case coordinator.Trigger:
			m.trigger(a)
		case coordinator.Commit:
			m.commit(ctx, a)
		case coordinator.NotifyComplete:
			m.complete(ctx, a)
		case coordinator.Abort:
			m.abort(a)
			m.refused(ctx, a.Request, a.Reason)
		case coordinator.Refuse:
			m.refused(ctx, a.Request, a.Reason)
		case coordinator.FailJob:
			m.step(ctx, jobfsm.JobFailed{Failure: jobfsm.Failure{Message: a.Reason}})
		case coordinator.Discard:
			m.discard(ctx, a.Blobs)
		case coordinator.WakeAt:
			m.wakeAt(a.Time)
		}
		done(m.cfg.Now())
	}
	m.coordinating = false
	m.showCheckpoints()
}

func (m *master) reserve(ctx context.Context, a coordinator.Reserve) {
	if m.apply(ctx, &storagev1.Command{Command: &storagev1.Command_ReserveCheckpoints{
		ReserveCheckpoints: &storagev1.ReserveCheckpoints{JobId: m.id, Through: uint64(a.Through)}}}) {
		m.coordinate(ctx, coordinator.Reserved(a))
	}
}

var purposes = map[checkpoint.Kind]controlv1.CheckpointKind{
	checkpoint.Periodic:  controlv1.CheckpointKind_CHECKPOINT_KIND_PERIODIC,
	checkpoint.Savepoint: controlv1.CheckpointKind_CHECKPOINT_KIND_SAVEPOINT,
	checkpoint.Stop:      controlv1.CheckpointKind_CHECKPOINT_KIND_STOP,
	checkpoint.Drain:     controlv1.CheckpointKind_CHECKPOINT_KIND_DRAIN,
	checkpoint.HandOver:  controlv1.CheckpointKind_CHECKPOINT_KIND_HAND_OVER,
}

func (m *master) trigger(a coordinator.Trigger) {
	m.stopping = m.stopping || a.Kind.Stops()
	for _, source := range a.Sources {
		m.tell(jobfsm.SubtaskID(source), func(ref *controlv1.SubtaskRef) *controlv1.ConnectResponse {
			return &controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_CheckpointTrigger{
				CheckpointTrigger: &controlv1.CheckpointTrigger{Subtask: ref, CheckpointId: uint64(a.ID), Kind: purposes[a.Kind]}}}
		})
	}
}

// commit makes a checkpoint exist. One whose ledger does not balance is kept all the same, and the job marked: the rows
// are what they are, and hiding them would not mend the engine.
func (m *master) commit(ctx context.Context, a coordinator.Commit) {
	c, progress := a.Checkpoint, m.checkpoints.Progress()[0]
	command := &storagev1.CompleteCheckpoint{
		JobId: m.id, CheckpointId: uint64(c.ID), Checkpoint: c.Encode(), Attempt: int32(c.Attempt),
	}
	for _, id := range a.Subsumed {
		command.Subsumed = append(command.Subsumed, uint64(id))
	}
	command.Files = storedFiles(c, m.cfg.Now().UnixMilli())
	audit, err := m.audit.extend(c, m.begun(), a.Last)
	if err == nil {
		err = audit.store(command)
	}
	if err != nil {
		m.coordinate(ctx, coordinator.CommitFailed{ID: c.ID, Reason: err.Error()})
		return
	}
	failpoint.Hit(failpoint.BeforeLogCommit)
	err = m.cfg.Log.Apply(ctx, &storagev1.Command{Command: &storagev1.Command_CompleteCheckpoint{CompleteCheckpoint: command}})
	switch {
	case err == nil:
		failpoint.Hit(failpoint.AfterLogCommit)
		m.latest, m.audit = &c, audit
		m.rescaling.ending = m.rescaling.ending || a.Last
		m.showManifest()
		m.account(c)
		m.mu.Lock()
		m.state.checkpoints.completed(progress, a.Subsumed, m.cfg.Now().UnixMilli())
		m.mu.Unlock()
		m.coordinate(ctx, coordinator.Committed{ID: c.ID})
	case errors.Is(err, replica.ErrOldAttempt):
		m.coordinate(ctx, coordinator.CommitFailed{ID: c.ID, Reason: err.Error()})
	default:
		m.resign(fmt.Errorf("keep checkpoint %d of job %s: %w", c.ID, m.id, err))
	}
}

// account shows the ledger of a checkpoint.
func (m *master) account(c checkpoint.Checkpoint) {
	counts := c.Ledger()
	imbalance := counts.Balance(m.splitName)
	if imbalance != nil {
		m.cfg.Logger.Error("ledger does not balance", "job_id", m.id, "checkpoint_id", c.ID, "error", imbalance)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.ledger, m.state.ledgerOf, m.state.ledgerNext = counts, c.ID, c.Positions()
	if imbalance != nil {
		m.state.imbalance = imbalance.Error()
	}
}

// splitName names a split by its number.
func (m *master) splitName(number int32) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if int(number) < len(m.state.splits) {
		return m.state.splits[number].ID()
	}
	return fmt.Sprintf("split %d", number)
}

func (m *master) abort(a coordinator.Abort) {
	m.cfg.Logger.Warn("checkpoint aborted", "job_id", m.id, "checkpoint_id", a.ID, "reason", a.Reason)
	m.mu.Lock()
	m.state.checkpoints.aborted(a, m.cfg.Now().UnixMilli())
	m.mu.Unlock()
	m.tellAll(func(ref *controlv1.SubtaskRef) *controlv1.ConnectResponse {
		return &controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_CheckpointAbort{
			CheckpointAbort: &controlv1.CheckpointAbort{Subtask: ref, CheckpointId: uint64(a.ID), Reason: a.Reason}}}
	})
}

// tell sends a message to a subtask of the attempt that runs.
func (m *master) tell(id jobfsm.SubtaskID, message func(*controlv1.SubtaskRef) *controlv1.ConnectResponse) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.state.subtask(id); s != nil {
		s.slot.TaskManager.Send(message(m.ref(id)))
	}
}

func (m *master) tellAll(message func(*controlv1.SubtaskRef) *controlv1.ConnectResponse) {
	for _, id := range subtaskIDs(m.program, m.parallelism()) {
		m.tell(id, message)
	}
}

func (m *master) parallelism() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.parallelism
}

// discard removes blobs in the background: that some stay for a while harms nobody.
func (m *master) discard(ctx context.Context, blobs []checkpoint.Blob) {
	keys := make([]string, len(blobs))
	for i, b := range blobs {
		keys[i] = b.Key
	}
	m.background.Go(func() {
		if err := m.cfg.Storage.Delete(ctx, keys); err != nil && ctx.Err() == nil {
			m.cfg.Logger.Warn("state of old checkpoints not removed", "job_id", m.id, "error", err)
		}
	})
}

func (m *master) wakeAt(at time.Time) {
	if m.wake != nil {
		m.wake.Stop()
	}
	m.wake = time.AfterFunc(at.Sub(m.cfg.Now()), func() { m.post(coordinator.Tick{}) })
}

// started tells the coordinator of an attempt that is about to be deployed.
func (m *master) started(ctx context.Context, parallelism int) {
	m.rescaling.ending, m.stopping = false, false
	attempts := m.machine.Attempts()
	e := coordinator.Started{Attempt: attempts.Whole}
	for _, id := range subtaskIDs(m.program, parallelism) {
		if id.VertexID == m.program.Vertices[0].ID {
			e.Sources = append(e.Sources, checkpoint.Subtask(id))
		} else {
			e.Others = append(e.Others, checkpoint.Subtask(id))
		}
	}
	m.coordinate(ctx, e)
	for _, r := range restarted(attempts) {
		m.coordinate(ctx, r)
	}
}

// follow tells the coordinator what a change of the job means for its checkpoints.
func (m *master) follow(ctx context.Context, e jobfsm.Event) {
	if _, changed := e.(jobfsm.SubtaskChanged); changed && m.machine.Status() == jobfsm.Running && !m.attemptRuns && m.allRun() {
		m.attemptRuns = true
		m.traces.Runs(m.cfg.Now())
		m.cfg.Logger.Info("all subtasks run", "job_id", m.id, "attempt", m.machine.Attempt(), "parallelism", m.parallelism())
		m.coordinate(ctx, coordinator.Running{Attempt: m.machine.Attempt()})
	}
	m.closeManifest()
}

// allRun reports whether every subtask of the attempt has begun to process.
func (m *master) allRun() bool {
	parallelism := m.parallelism()
	for _, v := range m.program.Vertices {
		for i := range parallelism {
			if s := m.machine.Subtask(jobfsm.SubtaskID{VertexID: v.ID, Index: i}); s != jobfsm.SubtaskRunning && s != jobfsm.SubtaskFinished {
				return false // mostly soon: it is asked at each change of each subtask
			}
		}
	}
	return parallelism > 0
}

// left tells the coordinator that the attempt is over, and the job perhaps too.
func (m *master) left(ctx context.Context, status jobfsm.Status) {
	m.stopped(ctx, status)
	switch {
	case status.Terminal():
		m.coordinate(ctx, coordinator.AttemptEnded{Reason: "the job has ended"})
		m.coordinate(ctx, coordinator.JobEnded{})
		m.mu.Lock()
		m.state.checkpoints.jobEnded()
		m.mu.Unlock()
	case m.machine.GoesOn():
		m.interrupted(ctx)
	case status == jobfsm.Restarting, status == jobfsm.Failing, status == jobfsm.Cancelling:
		m.publishUnclosed(slices.Collect(maps.Keys(m.closing)))
		m.coordinate(ctx, coordinator.AttemptEnded{Reason: "the job is " + string(status)})
	}
}

// restored returns the state that each subtask of a vertex goes on from; nil without a checkpoint.
func (m *master) restored(vertexID string, parallelism int) ([]checkpoint.State, error) {
	if m.latest == nil {
		return nil, nil
	}
	return checkpoint.Redistribute(*m.latest, vertexID, parallelism, m.program.Job.MaxParallelism)
}

func (m *master) showCheckpoints() {
	progress := m.checkpoints.Progress()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.checkpoints.underWay = progress
}

// checkpointAck takes a subtask's part in a checkpoint from a taskmanager.
func (m *master) checkpointAck(a *controlv1.CheckpointAck) {
	state, err := checkpoint.DecodeState(a.GetState())
	if err != nil {
		m.post(declined(a.GetSubtask(), a.GetCheckpointId(), err.Error()))
		return
	}
	m.post(coordinator.Acked{ID: checkpoint.ID(a.GetCheckpointId()), State: state})
}

func (m *master) checkpointDecline(d *controlv1.CheckpointDecline) {
	m.post(declined(d.GetSubtask(), d.GetCheckpointId(), d.GetReason()))
}

func declined(ref *controlv1.SubtaskRef, id uint64, reason string) coordinator.Declined {
	return coordinator.Declined{
		Attempt: int(ref.GetAttempt()), ID: checkpoint.ID(id), Subtask: checkpoint.Subtask(subtaskID(ref)), Reason: reason,
	}
}

func (m *master) subtaskEnded(e *controlv1.SubtaskEnded) {
	state, err := checkpoint.DecodeState(e.GetState())
	if err != nil {
		m.post(jobfsm.JobFailed{Failure: jobfsm.Failure{Message: fmt.Sprintf("last state of a subtask: %v", err)}})
		return
	}
	m.post(coordinator.Ended{
		Attempt: int(e.GetSubtask().GetAttempt()), State: state, Last: checkpoint.ID(e.GetLastCheckpointId()),
	})
}

func (m *master) checkpointRequest(r *controlv1.CheckpointRequest) {
	m.post(coordinator.Fired{
		Attempt: int(r.GetSubtask().GetAttempt()), Subtask: checkpoint.Subtask(subtaskID(r.GetSubtask())),
		Last: checkpoint.ID(r.GetLastCheckpointId()),
	})
}
