package jobmaster

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"pencere/jobmanager/internal/coordinator"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/scheduler"
	"pencere/jobmanager/internal/slotpool"
	"pencere/pkg/checkpoint"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/plan"
)

// regions are those of a job at a parallelism.
func regions(p *plan.Program, parallelism int) [][]jobfsm.SubtaskID {
	return scheduler.Regions(p.Vertices, p.Edges(), parallelism)
}

// queued are subtasks that begin again as soon as they have slots.
type queued struct {
	subtasks []jobfsm.SubtaskID
	indices  []int // whose slots are gone, and were asked for anew
}

// regionClaim is the request for the slots of some subtasks, while the others keep theirs.
type regionClaim struct {
	claim
	slots int
}

// slotsLacking is posted when there are no slots for subtasks that are to begin again, and the job could run on those that are there.
type slotsLacking struct{ attempt int }

// Parallelism implements slotpool.Holder.
func (c regionClaim) Parallelism(free int) int {
	if free >= c.slots {
		return c.slots
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.state
	s.notice = fmt.Sprintf("waiting for slots: %d for subtasks that begin again, %d are free; no checkpoint publishes what the others write before", c.slots, free)
	if s.bounds.Target(s.parallelism-c.slots+free, len(s.splits), c.program.Job.MaxParallelism) > 0 {
		c.post(slotsLacking{c.attempt})
	}
	return 0
}

// judged says of a failure whether the other subtasks can go on: not if some have stopped for a savepoint.
func (m *master) judged(e jobfsm.Event) jobfsm.Event {
	switch e := e.(type) {
	case jobfsm.SubtaskChanged:
		if e.Failure != nil {
			e.Failure.Whole = m.stopping
		}
	case jobfsm.SubtasksLost:
		e.Failure.Whole = m.stopping
		return e
	}
	return e
}

// interrupted tells the coordinator that some subtasks are about to begin again.
func (m *master) interrupted(ctx context.Context) {
	ids := m.machine.Restarting()
	m.attemptRuns = false
	m.publishUnclosed(ids)
	m.coordinate(ctx, coordinator.Interrupted{Subtasks: checkpointSubtasks(ids), Reason: "some subtasks failed and begin again"})
}

func checkpointSubtasks(ids []jobfsm.SubtaskID) []checkpoint.Subtask {
	all := make([]checkpoint.Subtask, len(ids))
	for i, id := range ids {
		all[i] = checkpoint.Subtask(id)
	}
	return all
}

// restarted says which subtasks have begun again since all began, in the order in which they did.
func restarted(attempts jobfsm.Attempts) []coordinator.Restarted {
	by := make(map[int][]jobfsm.SubtaskID)
	for id, attempt := range attempts.Restarted {
		by[attempt] = append(by[attempt], id)
	}
	var all []coordinator.Restarted
	for _, attempt := range slices.Sorted(maps.Keys(by)) {
		all = append(all, coordinator.Restarted{Attempt: attempt, Subtasks: checkpointSubtasks(by[attempt])})
	}
	return all
}

// restartSubtasks begins an attempt of some subtasks, in the slots that they had, and others where those are gone.
func (m *master) restartSubtasks(ctx context.Context, a jobfsm.RestartSubtasks) {
	command := &storagev1.BeginAttempt{JobId: m.id, Attempt: int32(a.Attempt)}
	for _, id := range a.Subtasks {
		command.Subtasks = append(command.Subtasks, &storagev1.Subtask{VertexId: id.VertexID, Index: int32(id.Index)})
	}
	if !m.apply(ctx, &storagev1.Command{Command: &storagev1.Command_BeginAttempt{BeginAttempt: command}}) {
		return
	}
	m.rescaling.ending = false
	m.mu.Lock()
	now := m.cfg.Now().UnixMilli()
	m.state.restart(m.machine.Attempts(), a.Subtasks, now)
	from := checkpoint.ID(0)
	if m.latest != nil {
		from = m.latest.ID
		m.state.checkpoints.restored(*m.latest, now)
	}
	m.mu.Unlock()
	m.cfg.Logger.Info("subtasks begin again", "job_id", m.id, "attempt", a.Attempt, "subtasks", len(a.Subtasks), "checkpoint_id", from)
	m.coordinate(ctx, coordinator.Restarted{Attempt: a.Attempt, Subtasks: checkpointSubtasks(a.Subtasks)})
	m.queue(a.Attempt, a.Subtasks)
}

// queue asks for the slots of subtasks that are to begin again, as far as theirs are gone.
func (m *master) queue(attempt int, ids []jobfsm.SubtaskID) {
	m.mu.Lock()
	indices := m.state.without(ids)
	m.mu.Unlock()
	m.queued[attempt] = queued{ids, indices}
	if indices == nil {
		m.post(slotsGranted{attempt: attempt})
		return
	}
	m.cfg.Slots.Extend(m.id, regionClaim{claim{m, attempt}, len(indices)})
}

// redeploy sends subtasks to their slots, old and new ones. If another slot was lost while they waited, they wait on.
func (m *master) redeploy(ctx context.Context, q queued, e slotsGranted) {
	delete(m.queued, e.attempt)
	m.mu.Lock()
	for i, index := range q.indices {
		m.state.move(q.subtasks, index, e.slots[i])
	}
	lack := m.state.without(q.subtasks)
	m.mu.Unlock()
	first := q.subtasks[0]
	switch {
	case m.machine.Subtask(first) != jobfsm.SubtaskScheduled || m.machine.Attempts().Of(first) != e.attempt:
		return // the job is ending
	case lack != nil:
		m.queue(e.attempt, q.subtasks)
		return
	}
	m.step(ctx, jobfsm.SubtasksDeployed{Subtasks: q.subtasks})
	m.mu.Lock()
	m.state.notice = ""
	for _, id := range q.subtasks {
		m.state.subtask(id).enter(jobfsm.SubtaskDeploying, m.cfg.Now().UnixMilli())
	}
	m.mu.Unlock()
	m.send(ctx, q.subtasks)
}

// lacks begins the whole job again on the slots that are there.
func (m *master) lacks(ctx context.Context, e slotsLacking) {
	if _, waits := m.queued[e.attempt]; !waits {
		return
	}
	m.step(ctx, jobfsm.Rescale{Attempt: m.machine.Attempt(), Note: fmt.Sprintf(
		"rescale: slots are gone, and there are no others for the job's parallelism of %d", m.parallelism())})
}

// restart makes new attempts of subtasks, which wait for their slots.
func (s *state) restart(attempts jobfsm.Attempts, ids []jobfsm.SubtaskID, now int64) {
	s.attempts = attempts
	for _, vertex := range s.subtasks {
		for i, t := range vertex {
			if slices.Contains(ids, t.id) {
				vertex[i] = newSubtask(t.id, attempts.Of(t.id), t.slot, now)
				vertex[i].slotGone = t.slotGone
				delete(s.open, t.id)
			}
		}
	}
}

// without returns the indices of those of the subtasks whose slots are gone; nil for none.
func (s *state) without(ids []jobfsm.SubtaskID) []int {
	var indices []int
	for _, id := range ids {
		if t := s.subtask(id); t != nil && t.slotGone && !slices.Contains(indices, id.Index) {
			indices = append(indices, id.Index)
		}
	}
	slices.SortFunc(indices, cmp.Compare)
	return indices
}

// move gives those of the subtasks that have an index a slot.
func (s *state) move(ids []jobfsm.SubtaskID, index int, to slotpool.Slot) {
	for _, id := range ids {
		if t := s.subtask(id); t != nil && id.Index == index {
			t.slot, t.slotGone = to, false
		}
	}
}
