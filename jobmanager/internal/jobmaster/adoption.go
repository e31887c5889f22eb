package jobmaster

import (
	"context"
	"fmt"
	"maps"
	"time"

	"pencere/jobmanager/internal/coordinator"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/slotpool"
	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

// adoption is how a new leader takes over the subtasks that an earlier one deployed. The log has the number of the attempt;
// where its subtasks run, and how they are, the taskmanagers say when they register.
type adoption struct {
	grace   *time.Timer // nil before it began
	brought map[string]brought
	ended   []coordinator.Ended // of subtasks that were brought as running, in the order in which they came
}

type (
	// brought is posted when a taskmanager has come with subtasks of the attempt.
	brought struct {
		taskManager slotpool.TaskManager
		subtasks    []*controlv1.HeldSubtask
		inSlots     map[jobfsm.SubtaskID]bool // those that had not ended when they came, whose slots are the job's
	}
	// updated is posted when a subtask says how it is while the job waits for all: it may have failed since it was brought.
	updated struct {
		taskManagerID string
		update        *controlv1.SubtaskUpdate
	}
	// graceOver is posted when no taskmanager is waited for any more.
	graceOver struct{}
)

// adopt takes the subtasks that a taskmanager brings along if the job waits for them, and returns the slots that they hold.
// Others are cancelled: their work was given away.
func (m *master) adopt(tm slotpool.TaskManager, subtasks []*controlv1.HeldSubtask) []slotpool.Held {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := brought{taskManager: tm, inSlots: make(map[jobfsm.SubtaskID]bool)}
	var held []slotpool.Held
	var strays []*controlv1.HeldSubtask
	for _, s := range subtasks {
		ref := s.GetUpdate().GetSubtask()
		if !m.state.adopts || int(ref.GetAttempt()) != m.state.attempts.Of(subtaskID(ref)) {
			strays = append(strays, s)
			continue
		}
		b.subtasks = append(b.subtasks, s)
		if !subtaskStates[s.GetUpdate().GetState()].Terminal() {
			b.inSlots[subtaskID(ref)] = true
			held = append(held, slotpool.Held{Slot: int(s.GetSlot()), JobID: m.id, Holder: claim{m, m.state.attempts.Newest}})
		}
	}
	cancelHeld(tm, strays, m.state.status == jobfsm.Finished)
	if b.subtasks != nil {
		m.post(b)
	}
	return held
}

// cancelHeld ends subtasks that a taskmanager brought along. What is left of them is discarded if the job has finished without them.
func cancelHeld(tm slotpool.TaskManager, subtasks []*controlv1.HeldSubtask, discard bool) {
	for _, s := range subtasks {
		if !subtaskStates[s.GetUpdate().GetState()].Terminal() {
			tm.Send(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_CancelSubtask{
				CancelSubtask: &controlv1.CancelSubtask{Subtask: s.GetUpdate().GetSubtask(), Discard: discard}}})
		}
	}
}

// awaitSubtasks waits for taskmanagers, which look for the new leader.
func (m *master) awaitSubtasks() {
	m.adoption.brought = make(map[string]brought)
	m.adoption.grace = time.AfterFunc(m.cfg.Grace, func() { m.post(graceOver{}) })
}

// brought notes what a taskmanager came with, and goes on when that is all.
func (m *master) brought(ctx context.Context, b brought) {
	if m.machine.Status() != jobfsm.Reconciling {
		cancelHeld(b.taskManager, b.subtasks, false)
		return
	}
	m.adoption.brought[b.taskManager.ID] = b
	m.reconcileSoon(ctx)
}

// updated notes how a subtask is that a taskmanager came with.
func (m *master) updated(ctx context.Context, u updated) {
	if m.machine.Status() != jobfsm.Reconciling {
		m.changed(u.taskManagerID, u.update)
		return
	}
	ref := u.update.GetSubtask()
	for _, s := range m.adoption.brought[u.taskManagerID].subtasks {
		if own := s.GetUpdate().GetSubtask(); subtaskID(own) == subtaskID(ref) && own.GetAttempt() == ref.GetAttempt() {
			s.Update = u.update
		}
	}
	m.reconcileSoon(ctx)
}

// reconcileSoon goes on when all subtasks are there, or nothing is to be waited for: one has failed, and with it the job.
func (m *master) reconcileSoon(ctx context.Context) {
	if there := m.there(); there.complete() || there.failure != nil && len(there.regions) == 1 {
		m.reconcile(ctx)
	}
}

// present is what the taskmanagers have brought of an attempt.
type present struct {
	slots    []slotpool.Slot // by subtask index; the zero Slot where none came
	subtasks map[jobfsm.SubtaskID]*controlv1.HeldSubtask
	states   map[jobfsm.SubtaskID]jobfsm.SubtaskState
	inSlots  map[jobfsm.SubtaskID]bool
	want     []jobfsm.SubtaskID
	regions  [][]jobfsm.SubtaskID
	failure  *jobfsm.Failure // of one that has failed meanwhile
}

func (p *present) complete() bool { return p.want != nil && len(p.subtasks) == len(p.want) }

// addMissing counts those that did not come among the failed ones, and returns their number.
func (p *present) addMissing() (missing int) {
	for _, id := range p.want {
		if p.subtasks[id] == nil {
			p.states[id] = jobfsm.SubtaskFailed
			missing++
		}
	}
	return missing
}

func (m *master) there() present {
	p := present{subtasks: make(map[jobfsm.SubtaskID]*controlv1.HeldSubtask), states: make(map[jobfsm.SubtaskID]jobfsm.SubtaskState), inSlots: make(map[jobfsm.SubtaskID]bool)}
	for _, b := range m.adoption.brought {
		for _, s := range b.subtasks {
			if p.slots == nil {
				p.want = subtaskIDs(m.program, int(s.GetParallelism()))
				p.regions = regions(m.program, int(s.GetParallelism()))
				p.slots = make([]slotpool.Slot, s.GetParallelism())
			}
			m.place(&p, b.taskManager, s)
		}
		maps.Copy(p.inSlots, b.inSlots)
	}
	return p
}

func (m *master) place(p *present, tm slotpool.TaskManager, s *controlv1.HeldSubtask) {
	id := subtaskID(s.GetUpdate().GetSubtask())
	state, known := subtaskStates[s.GetUpdate().GetState()]
	if !known || id.Index < 0 || id.Index >= len(p.slots) {
		return
	}
	p.subtasks[id], p.states[id] = s, state
	p.slots[id.Index] = slotpool.Slot{Index: int(s.GetSlot()), TaskManager: tm}
	if state != jobfsm.SubtaskFailed && state != jobfsm.SubtaskCanceled {
		return
	}
	failure := &jobfsm.Failure{
		Message:  "it ended while no jobmanager led: " + s.GetUpdate().GetFailure().GetMessage(),
		LostPeer: s.GetUpdate().GetFailure().GetLostPeer(), TaskManagerID: tm.ID,
	}
	if p.failure == nil || p.failure.LostPeer {
		p.failure = failure
	}
}

// reconcile goes on with the subtasks that are there: with all of them as if nothing had happened, else with the next attempt.
func (m *master) reconcile(ctx context.Context) {
	if m.machine.Status() != jobfsm.Reconciling {
		return
	}
	m.adoption.grace.Stop()
	there := m.there()
	if missing := there.addMissing(); there.failure == nil && missing > 0 {
		there.failure = &jobfsm.Failure{Message: fmt.Sprintf(
			"%d of %d subtasks did not come back within %s after another jobmanager took over", missing, len(there.want), m.cfg.Grace)}
	}
	if m.latest != nil && m.latest.Kind == checkpoint.HandOver && m.latest.Attempt == m.machine.Attempt() {
		// That they have finished is not the end of the job.
		there.failure = &jobfsm.Failure{Message: "hand-over: another jobmanager took over in the middle of it", Rescale: true}
	}
	m.mu.Lock()
	m.state.adopts = false
	if there.want != nil {
		m.state.adopt(m.machine.Attempts(), there, m.cfg.Now().UnixMilli())
	}
	m.mu.Unlock()
	m.adoption.brought = nil
	m.attemptRuns = false
	if there.want != nil {
		m.started(ctx, len(there.slots))
	}
	m.step(ctx, jobfsm.Reconciled{Regions: there.regions, Subtasks: there.states, Failure: there.failure})
	switch {
	case m.machine.Status().Terminal():
		return
	case there.want != nil && (m.machine.Status() == jobfsm.Running || m.machine.GoesOn()):
		m.cfg.Logger.Info("job taken over", "job_id", m.id, "attempt", m.machine.Attempt(), "subtasks", len(there.subtasks))
		m.resume(ctx, there)
	default:
		m.hearEnded(ctx)
	}
	m.discover(ctx)
}

// adopt makes the subtasks of an attempt from what taskmanagers brought. Those that are missing are failed. Who had ended before it came
// holds no slot.
func (s *state) adopt(attempts jobfsm.Attempts, p present, now int64) {
	for i := range p.slots {
		if p.slots[i].TaskManager.Send == nil {
			p.slots[i].TaskManager.Send = func(*controlv1.ConnectResponse) {} // there is nobody to tell
		}
	}
	s.deploy(attempts, p.slots, now)
	for _, vertex := range s.subtasks {
		for _, t := range vertex {
			brought := p.subtasks[t.id]
			t.slotGone = !p.inSlots[t.id]
			if brought == nil {
				t.enter(jobfsm.SubtaskFailed, now)
				continue
			}
			t.enter(p.states[t.id], brought.GetUpdate().GetTimeMs())
			if metrics := brought.GetUpdate().GetMetrics(); metrics != nil {
				t.report(metrics, brought.GetUpdate().GetTimeMs())
			}
		}
	}
}

// resume goes on with an attempt that runs: it repeats what the earlier leader may not have got across, all of which may be heard
// twice, and takes a checkpoint soon in place of the one that was under way.
func (m *master) resume(ctx context.Context, there present) {
	attempts := m.machine.Attempts()
	for _, id := range there.want {
		if ended := there.subtasks[id].GetEnded(); ended != nil {
			m.subtaskEnded(ended)
		}
	}
	m.hearEnded(ctx)
	m.repeatSplits()
	if m.latest != nil && m.latest.ID > m.origin && m.latest.Attempt >= attempts.Whole {
		if m.latest.Kind.Ends() {
			m.resumeStop(ctx, there)
			return
		}
		m.notifyComplete(ctx, coordinator.NotifyComplete{ID: m.latest.ID, Kind: m.latest.Kind, Attempt: m.latest.Attempt})
	}
	if m.allRun() {
		m.attemptRuns = true
		m.coordinate(ctx, coordinator.Running{Attempt: attempts.Newest})
	}
	first := there.want[0]
	m.coordinate(ctx, coordinator.Fired{Attempt: attempts.Of(first), Subtask: checkpoint.Subtask(first)})
}

// hearEnded tells the coordinator of the subtasks that ended before it knew of an attempt.
func (m *master) hearEnded(ctx context.Context) {
	for _, e := range m.adoption.ended {
		m.coordinate(ctx, e)
	}
	m.adoption.ended = nil
}

// resumeStop goes on with a job whose sources have stopped for a savepoint. When the earlier leader had written that, some subtask
// may have finished with it, and the others follow. Else the job goes on by a restart, as it does when a savepoint fails.
func (m *master) resumeStop(ctx context.Context, there present) {
	m.stopping = true
	for _, state := range there.states {
		if state == jobfsm.SubtaskFinished {
			m.notifyComplete(ctx, coordinator.NotifyComplete{ID: m.latest.ID, Kind: m.latest.Kind, Attempt: m.latest.Attempt})
			return
		}
	}
	m.step(ctx, jobfsm.JobFailed{Failure: jobfsm.Failure{
		Message: fmt.Sprintf("%s %d was not written when another jobmanager took over: ask again", m.latest.Kind, m.latest.ID)}})
}

// repeatSplits gives all splits to the source subtasks again.
func (m *master) repeatSplits() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.state.parallelism {
		if splits := m.state.owned(i, 0); len(splits) > 0 {
			s := m.state.subtasks[0][i]
			s.slot.TaskManager.Send(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_AddSplits{
				AddSplits: &controlv1.AddSplits{Subtask: m.ref(s.id), Splits: splits}}})
		}
	}
}
