package jobfsm

import (
	"maps"
	"slices"
	"time"

	"pencere/pkg/plan"
)

// SubtaskID names a subtask of the job.
type SubtaskID struct {
	VertexID string
	Index    int
}

// Event is something that happened to the job.
type Event interface{ event() }

// The events.
type (
	// SplitsFound ends the initialization.
	SplitsFound struct{}
	// SlotsGranted says that the attempt has its slots and is being deployed as these subtasks.
	SlotsGranted struct{ Subtasks []SubtaskID }
	// SubtaskChanged is what a taskmanager reports of an attempt; reports of older attempts are ignored.
	SubtaskChanged struct {
		Subtask SubtaskID
		Attempt int
		State   SubtaskState
		Failure *Failure // with SubtaskFailed
	}
	// SubtasksLost says that these subtasks' taskmanager went away.
	SubtasksLost struct {
		Subtasks []SubtaskID
		Failure  Failure
	}
	// JobFailed is a failure of the job that belongs to no subtask, such as a topic that does not exist.
	JobFailed struct{ Failure Failure }
	// CancelRequested is the user's wish.
	CancelRequested struct{}
	// Rescale ends an attempt, all of which is in a checkpoint that was committed a moment ago, so that the next one begins on other
	// slots. Note says why: it is no failure, and no restart strategy is asked.
	Rescale struct {
		Attempt int
		Note    string
	}
	// RestartDue ends the delay that StartTimer asked for.
	RestartDue struct{}
	// Reconciled answers AwaitSubtasks with the subtasks of the attempt that are still there, by their states. Failure says why the
	// attempt cannot go on with them: some are missing, or have failed meanwhile. Without any there is nothing to go on with.
	Reconciled struct {
		Subtasks map[SubtaskID]SubtaskState
		Failure  *Failure
	}
)

func (SplitsFound) event()     {}
func (SlotsGranted) event()    {}
func (SubtaskChanged) event()  {}
func (SubtasksLost) event()    {}
func (JobFailed) event()       {}
func (CancelRequested) event() {}
func (Rescale) event()         {}
func (RestartDue) event()      {}
func (Reconciled) event()      {}

// Failure is why a job fails or restarts.
type Failure struct {
	Message       string
	Task          string // the subtask as "name (1/2)", or ""
	TaskManagerID string
	// LostPeer says that the subtask failed only because another one went away.
	LostPeer bool
	// Rescale says that it is none: the job changes its slots.
	Rescale bool
	// Final failures are not restarted: trying again cannot help.
	Final bool
}

// Action is something to be done, in the order given.
type Action interface{ action() }

// The actions.
type (
	// SetStatus makes a status durable. Failure is set when it is the reason.
	SetStatus struct {
		Status  Status
		Failure *Failure
	}
	// FindSplits begins the initialization.
	FindSplits struct{}
	// RequestSlots begins an attempt: it is counted durably, the slots of the last one are given back, and SlotsGranted follows when
	// there are slots.
	RequestSlots struct{ Attempt int }
	// CancelSubtasks ends those of the attempt that have not ended.
	CancelSubtasks struct{ Subtasks []SubtaskID }
	// ReleaseSlots gives the attempt's slots, or its place in the queue for them, back.
	ReleaseSlots struct{}
	// StartTimer asks for RestartDue after a delay.
	StartTimer struct{ After time.Duration }
	// AwaitSubtasks waits for taskmanagers to bring the attempt's subtasks along; Reconciled answers it.
	AwaitSubtasks struct{}
)

func (SetStatus) action()      {}
func (FindSplits) action()     {}
func (RequestSlots) action()   {}
func (CancelSubtasks) action() {}
func (ReleaseSlots) action()   {}
func (StartTimer) action()     {}
func (AwaitSubtasks) action()  {}

// Job is the state machine of one job. The zero Job is not usable; see New.
type Job struct {
	status   Status
	attempt  int
	subtasks map[SubtaskID]SubtaskState // of the attempt, once slots are granted
	restarts *restarts
	failure  *Failure // why the job is FAILING or RESTARTING
	canceled bool     // the user's wish came while the job was RECONCILING
}

// New returns a job as it was when its jobmanager last knew it: a new one is Initializing with attempt 0. random
// gives numbers in [0, 1) for the jitter of restart delays.
func New(status Status, attempt int, strategy plan.RestartStrategy, random func() float64) *Job {
	return &Job{
		status: status, attempt: attempt,
		subtasks: make(map[SubtaskID]SubtaskState),
		restarts: newRestarts(strategy, random),
	}
}

// Status returns the job's status.
func (j *Job) Status() Status { return j.status }

// Attempt returns the number of the current execution, from 0.
func (j *Job) Attempt() int { return j.attempt }

// Subtask returns the state of a subtask of the current attempt; Scheduled before it has a slot.
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
		return j.begin(j.attempt)
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
		return append(j.set(Created, nil), j.begin(j.attempt)...)
	case SlotsGranted:
		return j.granted(e)
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
		j.restarts.due = j.status == Restarting
		return j.restartIfQuiet()
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
	j.attempt = attempt
	j.failure = nil
	clear(j.subtasks)
	return append([]Action{RequestSlots{Attempt: attempt}}, j.set(Running, nil)...)
}

func (j *Job) granted(e SlotsGranted) []Action {
	if j.status != Running || len(j.subtasks) > 0 {
		return []Action{ReleaseSlots{}}
	}
	for _, id := range e.Subtasks {
		j.subtasks[id] = SubtaskDeploying
	}
	return nil
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
	actions := j.set(Running, nil)
	switch {
	case j.canceled:
		return append(actions, j.cancel()...)
	case e.Failure != nil:
		return append(actions, j.fail(now, *e.Failure)...)
	default:
		return append(actions, j.settle()...)
	}
}

func (j *Job) subtaskChanged(now time.Time, e SubtaskChanged) []Action {
	before, known := j.subtasks[e.Subtask]
	if e.Attempt != j.attempt || !known || before.Terminal() {
		return nil
	}
	if before == SubtaskCanceling && !e.State.Terminal() {
		return nil // reported before it heard of the cancellation
	}
	j.subtasks[e.Subtask] = e.State
	if e.State == SubtaskFailed && e.Failure != nil {
		return j.fail(now, *e.Failure)
	}
	return j.settle()
}

func (j *Job) subtasksLost(now time.Time, e SubtasksLost) []Action {
	lost := false
	for _, id := range e.Subtasks {
		if s, known := j.subtasks[id]; known && !s.Terminal() {
			j.subtasks[id] = SubtaskFailed
			lost = true
		}
	}
	if !lost {
		return nil
	}
	return j.fail(now, e.Failure)
}

// fail starts the end of the attempt, or notes a better reason for one that is ending, and goes on.
func (j *Job) fail(now time.Time, f Failure) []Action {
	switch {
	case j.status.Terminal() || j.status == Cancelling:
		return j.settle()
	case j.status == Restarting || j.status == Failing:
		if j.failure != nil && j.failure.LostPeer && !f.LostPeer {
			j.failure = &f
			return append(j.set(j.status, &f), j.settle()...)
		}
		return j.settle()
	}
	if f.Rescale {
		return j.move(f)
	}
	j.failure = &f
	var actions []Action
	delay, again := j.restarts.next(now)
	if again && !f.Final {
		actions = append(j.set(Restarting, &f), StartTimer{After: delay})
	} else {
		actions = j.set(Failing, &f)
	}
	actions = append(actions, j.cancelSubtasks()...)
	return append(actions, j.settle()...)
}

// rescale ends the attempt; the next one begins when the last subtask has ended.
func (j *Job) rescale(e Rescale) []Action {
	if j.status != Running || e.Attempt != j.attempt || j.quiet() {
		return nil
	}
	return j.move(Failure{Message: e.Note, Rescale: true})
}

// move ends the attempt without asking the restart strategy.
func (j *Job) move(f Failure) []Action {
	j.restarts.due = true
	actions := append(j.set(Restarting, &f), j.cancelSubtasks()...)
	return append(actions, j.settle()...)
}

func (j *Job) cancel() []Action {
	if j.status.Terminal() || j.status == Cancelling || j.status == Failing {
		return nil
	}
	if j.status == Reconciling { // once it is known what there is to cancel
		j.canceled = true
		return nil
	}
	actions := j.set(Cancelling, nil)
	actions = append(actions, j.cancelSubtasks()...)
	return append(actions, j.settle()...)
}

func (j *Job) cancelSubtasks() []Action {
	var live []SubtaskID
	for id, s := range j.subtasks {
		if !s.Terminal() && s != SubtaskCanceling {
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

// settle moves on when all subtasks of the attempt have ended.
func (j *Job) settle() []Action {
	if !j.quiet() {
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
	case Restarting:
		return j.restartIfQuiet()
	default:
		return nil
	}
}

// restartIfQuiet begins the next attempt once the delay is over and the last one has ended, whichever comes last.
func (j *Job) restartIfQuiet() []Action {
	if j.status != Restarting {
		return nil
	}
	if !j.quiet() || !j.restarts.due {
		return nil
	}
	return j.again()
}

// again begins the next attempt. It is counted before the job is CREATED again: whoever takes over in between must not use the
// number of an attempt that has run.
func (j *Job) again() []Action {
	actions := j.begin(j.attempt + 1)
	return slices.Insert(actions, 1, Action(SetStatus{Status: Created}))
}

func (j *Job) quiet() bool {
	for _, s := range j.subtasks {
		if !s.Terminal() {
			return false
		}
	}
	return true
}
