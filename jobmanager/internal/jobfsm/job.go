package jobfsm

import (
	"maps"
	"slices"
	"time"

	"pencere/pkg/plan"
)

// Job is the state machine of one job. The zero Job is not usable; see New.
type Job struct {
	status   Status
	attempts Attempts
	subtasks map[SubtaskID]SubtaskState // once slots are granted
	regions  [][]SubtaskID              // of them
	strategy *strategy
	restarts []*restart // that have not begun, the oldest first; one alone if it is of the whole job
	restart  int        // the number of the newest
	failure  *Failure   // why the job is FAILING
	canceled bool       // the user's wish came while the job was RECONCILING
}

// New returns a job as it was when its jobmanager last knew it: a new one is Initializing and Begun(0). random gives numbers in [0, 1)
// for the jitter of restart delays.
func New(status Status, attempts Attempts, strategy plan.RestartStrategy, random func() float64) *Job {
	return &Job{
		status: status, attempts: attempts,
		subtasks: make(map[SubtaskID]SubtaskState),
		strategy: newStrategy(strategy, random),
	}
}

// Status returns the job's status.
func (j *Job) Status() Status { return j.status }

// Attempts returns the numbers of the current executions.
func (j *Job) Attempts() Attempts { return j.attempts }

// Attempt returns the newest of them, from 0.
func (j *Job) Attempt() int { return j.attempts.Newest }

// Subtask returns the state of a subtask's current attempt; Scheduled before it has a slot.
func (j *Job) Subtask(id SubtaskID) SubtaskState {
	if s, ok := j.subtasks[id]; ok {
		return s
	}
	return SubtaskScheduled
}

// Recover returns what must be done when a jobmanager takes the job over. The subtasks that an earlier jobmanager deployed may
// run on: the job waits for them. Of an attempt that was ending nothing is waited for; the job begins its next one.
func (j *Job) Recover() []Action {
	switch {
	case j.status.Terminal():
		return nil
	case j.status == Initializing:
		return []Action{FindSplits{}}
	case j.status == Cancelling:
		return j.set(Canceled, nil)
	case j.status == Failing:
		return j.set(Failed, nil)
	case j.status == Created:
		return j.begin(j.attempts.Newest)
	case j.status == Running || j.status == Reconciling:
		return append(j.set(Reconciling, nil), AwaitSubtasks{})
	default:
		return j.again()
	}
}

// Step takes an event at a time and returns what must be done. An event that does not fit the status is ignored: it
// was overtaken by another one.
func (j *Job) Step(now time.Time, e Event) []Action {
	switch e := e.(type) {
	case SplitsFound:
		if j.status != Initializing {
			return nil
		}
		return append(j.set(Created, nil), j.begin(j.attempts.Newest)...)
	case SlotsGranted:
		return j.granted(e)
	case SubtasksDeployed:
		j.deployed(e)
		return nil
	case SubtaskChanged:
		return j.subtaskChanged(now, e)
	case SubtasksLost:
		return j.subtasksLost(now, e)
	case JobFailed:
		return j.fail(now, e.Failure)
	case CancelRequested:
		return j.cancel()
	case Reconciled:
		return j.reconciled(now, e)
	case Rescale:
		return j.rescale(e)
	case RestartDue:
		return j.restartDue(e)
	default:
		return nil
	}
}

func (j *Job) set(s Status, f *Failure) []Action {
	j.status = s
	return []Action{SetStatus{Status: s, Failure: f}}
}

// begin starts an attempt. As in Flink the job is RUNNING from here on, though its subtasks may wait for slots.
func (j *Job) begin(attempt int) []Action {
	j.attempts = Begun(attempt)
	j.restarts, j.regions = nil, nil
	clear(j.subtasks)
	return append([]Action{RequestSlots{Attempt: attempt}}, j.set(Running, nil)...)
}

func (j *Job) granted(e SlotsGranted) []Action {
	if j.status != Running || len(j.subtasks) > 0 {
		return []Action{ReleaseSlots{}}
	}
	j.regions = e.Regions
	for _, id := range slices.Concat(e.Regions...) {
		j.subtasks[id] = SubtaskDeploying
	}
	return nil
}

func (j *Job) deployed(e SubtasksDeployed) {
	for _, id := range e.Subtasks {
		if j.subtasks[id] == SubtaskScheduled {
			j.subtasks[id] = SubtaskDeploying
		}
	}
}

// reconciled goes on with the subtasks that are there.
func (j *Job) reconciled(now time.Time, e Reconciled) []Action {
	if j.status != Reconciling {
		return nil
	}
	if len(e.Subtasks) == 0 && !j.canceled {
		return append([]Action{ReleaseSlots{}}, j.again()...)
	}
	maps.Copy(j.subtasks, e.Subtasks)
	j.regions = e.Regions
	actions := j.set(Running, nil)
	switch {
	case j.canceled:
		return append(actions, j.cancel()...)
	case e.Failure != nil:
		return append(actions, j.fail(now, *e.Failure, j.ended()...)...)
	default:
		return append(actions, j.settle()...)
	}
}

// ended returns the subtasks that have ended otherwise than they should.
func (j *Job) ended() []SubtaskID {
	var ids []SubtaskID
	for id, s := range j.subtasks {
		if s == SubtaskFailed || s == SubtaskCanceled {
			ids = append(ids, id)
		}
	}
	return ids
}

func (j *Job) subtaskChanged(now time.Time, e SubtaskChanged) []Action {
	before, known := j.subtasks[e.Subtask]
	if e.Attempt != j.attempts.Of(e.Subtask) || !known || before.Terminal() {
		return nil
	}
	if before == SubtaskCanceling && !e.State.Terminal() {
		return nil // reported before it heard of the cancellation
	}
	j.subtasks[e.Subtask] = e.State
	if e.State == SubtaskFailed && e.Failure != nil {
		return j.fail(now, *e.Failure, e.Subtask)
	}
	return j.settle()
}

func (j *Job) subtasksLost(now time.Time, e SubtasksLost) []Action {
	var lost []SubtaskID
	for _, id := range e.Subtasks {
		if s, known := j.subtasks[id]; known && !s.Terminal() {
			j.subtasks[id] = SubtaskFailed
			lost = append(lost, id)
		}
	}
	if lost == nil {
		return nil
	}
	return j.fail(now, e.Failure, lost...)
}

func (j *Job) cancel() []Action {
	if j.status.Terminal() || j.status == Cancelling || j.status == Failing {
		return nil
	}
	if j.status == Reconciling { // once it is known what there is to cancel
		j.canceled = true
		return nil
	}
	j.restarts = nil
	actions := j.set(Cancelling, nil)
	actions = append(actions, j.cancelSubtasks(j.all())...)
	return append(actions, j.settle()...)
}

func (j *Job) all() []SubtaskID { return slices.Collect(maps.Keys(j.subtasks)) }

// cancelSubtasks ends those of the subtasks that run. What waits for a slot has ended by that.
func (j *Job) cancelSubtasks(ids []SubtaskID) []Action {
	var live []SubtaskID
	for _, id := range ids {
		switch s := j.subtasks[id]; {
		case s == SubtaskScheduled:
			j.subtasks[id] = SubtaskCanceled
		case !s.Terminal() && s != SubtaskCanceling:
			j.subtasks[id] = SubtaskCanceling
			live = append(live, id)
		}
	}
	if live == nil {
		return nil
	}
	sortSubtasks(live)
	return []Action{CancelSubtasks{Subtasks: live}}
}

// settle moves on when the subtasks that were to end have ended.
func (j *Job) settle() []Action {
	if j.status == Restarting {
		return j.beginRestarts()
	}
	if !j.quiet(j.all()) {
		return nil
	}
	switch j.status {
	case Running:
		if len(j.subtasks) == 0 {
			return nil
		}
		return append(j.set(Finished, nil), ReleaseSlots{})
	case Failing:
		return append([]Action{ReleaseSlots{}}, j.set(Failed, nil)...)
	case Cancelling:
		return append([]Action{ReleaseSlots{}}, j.set(Canceled, nil)...)
	default:
		return nil
	}
}

// quiet reports whether subtasks have ended.
func (j *Job) quiet(ids []SubtaskID) bool {
	return !slices.ContainsFunc(ids, func(id SubtaskID) bool { return !j.subtasks[id].Terminal() })
}
