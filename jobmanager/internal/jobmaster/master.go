package jobmaster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pencere/jobmanager/internal/coordinator"
	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/slotpool"
	"pencere/jobmanager/internal/tracing"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/plan"
)

// master runs one job. Its loop takes events one at a time, so that the state machine sees them in one order; what is
// only shown is updated beside it.
type master struct {
	cfg     Config
	id      string
	program *plan.Program
	mailbox *mailbox
	resign  context.CancelCauseFunc // ends the leadership
	// origin is the savepoint that the job began from, 0 for none. Its commit was another job's.
	origin checkpoint.ID

	// used by the loop alone
	machine      *jobfsm.Job
	checkpoints  *coordinator.Coordinator
	decided      []coordinator.Action                             // what the coordinator wants, and is not done yet
	coordinating bool                                             // it is being done
	latest       *checkpoint.Checkpoint                           // the newest committed one; nil before the first
	audit        audit                                            // with latest
	closing      map[jobfsm.SubtaskID]*controlv1.CheckpointCommit // to be told to the subtasks that close a manifest, when their time comes
	attemptRuns  bool                                             // all subtasks of the attempt have begun to process
	stopping     bool                                             // the sources have been told to stop for a savepoint
	queued       map[int]queued                                   // subtasks that wait for slots to begin again in, by attempt
	wake         *time.Timer                                      // of the coordinator; nil before the first
	restarts     map[int]*time.Timer                              // of the delays before restarts, by their numbers
	savepoints   savepoints
	adoption     adoption
	traces       *tracing.Job // nil for none
	rescaling    rescaling
	discovering  context.CancelFunc // ends the discovery; nil before it began
	background   sync.WaitGroup

	slotsTold atomic.Bool // a slotsChanged is on its way

	mu    sync.Mutex
	state state // what is shown; guarded by mu
}

// claim is the request for slots of one attempt: a grant that comes late must not be taken for the next attempt's.
type claim struct {
	*master
	attempt int
}

var _ slotpool.Holder = claim{}

// Events beside those of jobfsm.
type (
	// slotsGranted is posted when an attempt has its slots.
	slotsGranted struct {
		attempt int
		slots   []slotpool.Slot
	}
	// slotsLost is posted when a taskmanager with slots of an attempt went away.
	slotsLost struct {
		attempt               int
		taskManagerID, reason string
	}
	// splitsFound is posted by the discovery. The loop closes done when it has taken them.
	splitsFound struct {
		splits []kafka.Split
		done   chan struct{}
	}
)

func newMaster(cfg Config, job *storagev1.Job, resign context.CancelCauseFunc) (*master, error) {
	program, err := decodePlan(job.GetPlan())
	if err != nil {
		return nil, fmt.Errorf("read plan of job %s: %w", job.GetJobId(), err)
	}
	m := &master{
		cfg: cfg, id: job.GetJobId(), program: program, mailbox: newMailbox(), resign: resign,
		origin: checkpoint.ID(job.GetRestoredCheckpointId()), queued: make(map[int]queued), restarts: make(map[int]*time.Timer),
	}
	m.rescaling.Rescaler = elastic.New(cfg.Rescale)
	m.machine = jobfsm.New(replica.Status(job.GetStatus()), replica.Attempts(job), program.Job.Restart, cfg.Random)
	m.state = newState(job, program)
	m.state.adopts = m.machine.Status() == jobfsm.Running || m.machine.Status() == jobfsm.Reconciling
	var committed []checkpoint.Checkpoint
	if m.checkpoints, committed, err = newCoordinator(job, program); err != nil {
		return nil, fmt.Errorf("read job %s: %w", m.id, err)
	}
	if m.audit, err = newAudit(job, program, cfg.Version); err != nil {
		return nil, fmt.Errorf("read manifest of job %s: %w", m.id, err)
	}
	m.state.manifestHead, m.state.deadHead = m.audit.hash(), m.audit.dead.hash()
	if n := len(committed); n > 0 {
		m.latest = &committed[n-1]
		m.account(*m.latest)
	}
	m.traces = tracing.New(cfg.Tracer, m.id, m.state.name, m.latestID())
	return m, nil
}

// latestID is that of the newest committed checkpoint, 0 before the first.
func (m *master) latestID() checkpoint.ID {
	if m.latest == nil {
		return 0
	}
	return m.latest.ID
}

func (m *master) terminal() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.status.Terminal()
}

// post queues an event: one of jobfsm's or of this file's.
func (m *master) post(e any) { m.mailbox.post(e) }

// run works until the job has ended or ctx, the leadership, does.
func (m *master) run(ctx context.Context) {
	defer m.stopTimers()
	m.perform(ctx, m.machine.Recover())
	if m.machine.Status() == jobfsm.Running {
		m.discover(ctx)
	}
	for !m.machine.Status().Terminal() {
		e, err := m.mailbox.next(ctx)
		if err != nil {
			break
		}
		m.handle(ctx, e)
	}
	if m.machine.Status().Terminal() {
		m.cfg.Slots.Release(m.id)
	} else {
		m.cfg.Slots.Withdraw(m.id) // its subtasks run on: whoever leads next knows when a taskmanager may go
	}
	if m.discovering != nil {
		m.discovering()
	}
	m.settle(ctx)
	m.traces.Close(m.cfg.Now(), "this jobmanager no longer leads")
	if m.machine.Status().Terminal() {
		m.removeAll(ctx)
		m.background.Wait()
	}
}

func (m *master) handle(ctx context.Context, e any) {
	switch e := e.(type) {
	case jobfsm.RestartDue:
		delete(m.restarts, e.Restart)
		m.step(ctx, e)
	case jobfsm.Event:
		m.step(ctx, m.judged(e))
		m.follow(ctx, e)
	case coordinator.Event:
		if ended, ok := e.(coordinator.Ended); ok && m.machine.Status() == jobfsm.Reconciling {
			m.adoption.ended = append(m.adoption.ended, ended)
			return
		}
		m.coordinate(ctx, e)
	case slotsGranted:
		m.granted(ctx, e)
	case slotsLost:
		if e.attempt >= m.machine.Attempts().Whole {
			m.lost(ctx, e)
		}
	case slotsLacking:
		m.lacks(ctx, e)
	case brought:
		m.brought(ctx, e)
	case updated:
		m.updated(ctx, e)
	case graceOver:
		m.reconcile(ctx)
	case splitsFound:
		m.addSplits(ctx, e.splits)
		close(e.done)
	case wish, prepared, exported:
		m.savepoint(ctx, e)
	case slotsChanged:
		m.slotsTold.Store(false)
	case boundsWished:
		m.setBounds(ctx, e)
	case rescaleReady:
		m.rescale(ctx, e)
	}
	if _, frequent := e.(coordinator.Event); !frequent {
		m.reconsider(ctx)
	}
}

func (m *master) step(ctx context.Context, e jobfsm.Event) {
	now := m.cfg.Now()
	m.traces.Steps(now, e)
	m.perform(ctx, m.machine.Step(now, e))
}

func (m *master) perform(ctx context.Context, actions []jobfsm.Action) {
	for _, a := range actions {
		m.traces.Performs(m.cfg.Now(), a)
		switch a := a.(type) {
		case jobfsm.SetStatus:
			m.setStatus(ctx, a)
		case jobfsm.FindSplits:
			m.discover(ctx)
		case jobfsm.RequestSlots:
			m.requestSlots(ctx, a.Attempt)
		case jobfsm.RestartSubtasks:
			m.restartSubtasks(ctx, a)
		case jobfsm.CancelSubtasks:
			m.cancelSubtasks(a.Subtasks)
		case jobfsm.ReleaseSlots:
			m.cfg.Slots.Release(m.id)
		case jobfsm.StartTimer:
			m.startTimer(a)
		case jobfsm.AwaitSubtasks:
			m.awaitSubtasks()
		}
	}
}

// apply commits a command and reports whether it is kept. Without the log nothing can go on here: the leadership ends,
// and whoever leads next starts from what the log has.
func (m *master) apply(ctx context.Context, c *storagev1.Command) bool {
	err := m.cfg.Log.Apply(ctx, c)
	if err != nil {
		m.resign(fmt.Errorf("keep the state of job %s: %w", m.id, err))
	}
	return err == nil
}

func (m *master) setStatus(ctx context.Context, a jobfsm.SetStatus) {
	now := m.cfg.Now().UnixMilli()
	change := &storagev1.SetJobStatus{JobId: m.id, Status: replica.StoredStatus(a.Status), TimeMs: now}
	if a.Failure != nil {
		change.Failure = &storagev1.JobFailure{
			TimeMs: now, Message: a.Failure.Message, Task: a.Failure.Task, TaskManagerId: a.Failure.TaskManagerID, Rescale: a.Failure.Rescale,
		}
	}
	if !m.apply(ctx, &storagev1.Command{Command: &storagev1.Command_SetJobStatus{SetJobStatus: change}}) {
		return
	}
	m.mu.Lock()
	m.state.setStatus(a, now)
	m.mu.Unlock()
	m.left(ctx, a.Status)
	switch {
	case a.Failure != nil && a.Failure.Rescale:
		m.cfg.Logger.Info("job rescales", "job_id", m.id, "status", a.Status, "reason", a.Failure.Message)
	case a.Failure != nil:
		m.cfg.Logger.Warn("job failed", "job_id", m.id, "status", a.Status, "task", a.Failure.Task, "reason", a.Failure.Message)
	default:
		m.cfg.Logger.Info("job status", "job_id", m.id, "status", a.Status)
	}
}

func (m *master) requestSlots(ctx context.Context, attempt int) {
	if !m.apply(ctx, &storagev1.Command{Command: &storagev1.Command_BeginAttempt{
		BeginAttempt: &storagev1.BeginAttempt{JobId: m.id, Attempt: int32(attempt)}}}) {
		return
	}
	switch {
	case m.latest != nil:
		m.cfg.Logger.Info("job goes on from a checkpoint", "job_id", m.id, "attempt", attempt, "checkpoint_id", m.latest.ID)
	case attempt > 0:
		m.cfg.Logger.Warn("job begins again: it has no checkpoint to go on from", "job_id", m.id, "attempt", attempt)
	}
	clear(m.queued)
	m.mu.Lock()
	m.state.beginAttempt(attempt)
	if m.latest != nil {
		m.state.checkpoints.restored(*m.latest, m.cfg.Now().UnixMilli())
	}
	m.mu.Unlock()
	m.removeOrphans(ctx, attempt)
	m.cfg.Slots.Request(m.id, claim{m, attempt})
}

func (m *master) startTimer(a jobfsm.StartTimer) {
	m.restarts[a.Restart] = time.AfterFunc(a.After, func() { m.post(jobfsm.RestartDue{Restart: a.Restart}) })
}

func (m *master) stopTimers() {
	timers := append(slices.Collect(maps.Values(m.restarts)), m.wake, m.adoption.grace, m.rescaling.timer)
	for _, timer := range timers {
		if timer != nil {
			timer.Stop()
		}
	}
}

// Parallelism implements slotpool.Holder.
func (m *master) Parallelism(free int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.waitFor(free)
	return m.state.bounds.Target(free, len(m.state.splits), m.program.Job.MaxParallelism)
}

// Granted implements slotpool.Holder.
func (c claim) Granted(slots []slotpool.Slot) { c.post(slotsGranted{c.attempt, slots}) }

// Lost implements slotpool.Holder.
func (c claim) Lost(taskManagerID, reason string) {
	c.post(slotsLost{c.attempt, taskManagerID, reason})
}

// granted goes on with who waited for the slots: the whole attempt, or subtasks that begin again.
func (m *master) granted(ctx context.Context, e slotsGranted) {
	if q, waits := m.queued[e.attempt]; waits {
		m.redeploy(ctx, q, e)
	} else if e.attempt == m.machine.Attempts().Whole {
		m.deploy(ctx, e.slots)
	}
}

// deploy sends every subtask of the attempt to its slot: one of each vertex to each, as slots are shared. A subtask
// finds its peers by the endpoints it is given; the order of arrival does not matter.
func (m *master) deploy(ctx context.Context, slots []slotpool.Slot) {
	m.step(ctx, jobfsm.SlotsGranted{Regions: regions(m.program, len(slots))})
	if m.machine.Status() != jobfsm.Running {
		return
	}
	m.mu.Lock()
	m.state.deploy(m.machine.Attempts(), slots, m.cfg.Now().UnixMilli())
	m.mu.Unlock()
	m.attemptRuns = false
	m.started(ctx, len(slots))
	m.send(ctx, subtaskIDs(m.program, len(slots)))
}

// send sends subtasks to their slots.
func (m *master) send(ctx context.Context, ids []jobfsm.SubtaskID) {
	m.mu.Lock()
	messages, err := m.deployments(ids)
	m.mu.Unlock()
	if err != nil {
		m.step(ctx, jobfsm.JobFailed{Failure: jobfsm.Failure{Message: fmt.Sprintf("restore: %v", err), Final: true}})
		return
	}
	m.traces.Deploys(m.cfg.Now(), len(messages), m.parallelism())
	for _, d := range messages {
		d.to.Send(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_DeploySubtask{DeploySubtask: d.message}})
	}
}

func (m *master) cancelSubtasks(ids []jobfsm.SubtaskID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.cfg.Now().UnixMilli()
	for _, id := range ids {
		s := m.state.subtask(id)
		if s == nil {
			continue
		}
		s.enter(jobfsm.SubtaskCanceling, now)
		s.slot.TaskManager.Send(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_CancelSubtask{
			CancelSubtask: &controlv1.CancelSubtask{Subtask: m.ref(id)}}})
	}
}

// ref names a subtask's current attempt.
func (m *master) ref(id jobfsm.SubtaskID) *controlv1.SubtaskRef {
	return &controlv1.SubtaskRef{
		JobId: m.id, VertexId: id.VertexID, SubtaskIndex: int32(id.Index), Attempt: int32(m.machine.Attempts().Of(id)),
	}
}

func (m *master) lost(ctx context.Context, e slotsLost) {
	delete(m.adoption.brought, e.taskManagerID)
	m.mu.Lock()
	ids := m.state.lose(e.taskManagerID, m.cfg.Now().UnixMilli())
	m.mu.Unlock()
	m.step(ctx, jobfsm.SubtasksLost{Subtasks: ids, Failure: jobfsm.Failure{
		Message:       fmt.Sprintf("taskmanager %s is gone: %s", e.taskManagerID, e.reason),
		TaskManagerID: e.taskManagerID,
	}})
}

// discover finds splits in the background: all of them if the job has none yet, then new ones at intervals.
func (m *master) discover(ctx context.Context) {
	enumerator, interval, err := m.enumerator()
	if err != nil {
		m.post(jobfsm.JobFailed{Failure: jobfsm.Failure{Message: fmt.Sprintf("open source: %v", err), Final: true}})
		return
	}
	m.mu.Lock()
	m.state.enumerator = enumerator
	known := m.state.splits
	m.mu.Unlock()
	initializing := m.machine.Status() == jobfsm.Initializing
	first := initializing && len(known) == 0
	if !first {
		enumerator.Restore(known)
	}
	if initializing && !first { // an earlier leader kept the splits, and got no further
		m.post(jobfsm.SplitsFound{})
	}
	ctx, m.discovering = context.WithCancel(ctx)
	d := discovery{enumerator: enumerator, interval: interval, first: first, found: m.foundSplits}
	m.background.Go(func() {
		defer enumerator.Close()
		if err := d.run(ctx); err != nil && ctx.Err() == nil {
			m.post(jobfsm.JobFailed{Failure: jobfsm.Failure{Message: err.Error(), Final: true}})
		}
	})
}

// foundSplits hands splits to the loop and waits until they are durable.
func (m *master) foundSplits(ctx context.Context, splits []kafka.Split) error {
	done := make(chan struct{})
	m.post(splitsFound{splits: splits, done: done})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// addSplits keeps splits and gives them to the subtasks that run, or begins the job with them.
func (m *master) addSplits(ctx context.Context, splits []kafka.Split) {
	if !m.apply(ctx, &storagev1.Command{Command: &storagev1.Command_AddSplits{
		AddSplits: &storagev1.AddSplits{JobId: m.id, Splits: storedSplits(splits)}}}) {
		return
	}
	m.mu.Lock()
	first := len(m.state.splits)
	m.state.splits = append(m.state.splits, splits...)
	for i := range m.state.parallelism {
		extra := m.state.owned(i, first)
		if len(extra) == 0 {
			continue
		}
		s := m.state.subtasks[0][i]
		s.slot.TaskManager.Send(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_AddSplits{
			AddSplits: &controlv1.AddSplits{Subtask: m.ref(s.id), Splits: extra}}})
		m.cfg.Logger.Info("splits added", "job_id", m.id, "subtask_index", i, "splits", len(extra))
	}
	m.mu.Unlock()
	if m.machine.Status() == jobfsm.Initializing {
		m.step(ctx, jobfsm.SplitsFound{})
	}
}
