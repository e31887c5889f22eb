package jobfsm

import (
	"slices"
	"time"
)

// restart is what begins again when its delay is over and what is left of it has ended, whichever comes last: the regions of the
// subtasks that failed, while the others go on, or the whole job.
type restart struct {
	number   int         // which RestartDue is about it
	subtasks []SubtaskID // nil for all
	failure  Failure
	due      bool
}

// GoesOn reports whether some subtasks go on while others are about to begin again.
func (j *Job) GoesOn() bool { return j.status == Restarting && !j.restartsWhole() }

// Restarting returns the subtasks that are about to begin again while others go on.
func (j *Job) Restarting() []SubtaskID {
	var ids []SubtaskID
	for _, r := range j.restarts {
		ids = append(ids, r.subtasks...)
	}
	sortSubtasks(ids)
	return ids
}

func (j *Job) restartsWhole() bool { return len(j.restarts) == 1 && j.restarts[0].subtasks == nil }

// fail ends what must begin again, or the job, or notes a better reason for what is ending, and goes on. Without subtasks that failed
// it is the job that did.
func (j *Job) fail(now time.Time, f Failure, failed ...SubtaskID) []Action {
	if j.status.Terminal() || j.status == Cancelling {
		return j.settle()
	}
	if reason := j.reason(failed); reason != nil {
		return j.explain(reason, f)
	}
	if f.Rescale {
		return j.move(f)
	}
	delay, again := j.strategy.next(now)
	if !again || f.Final {
		j.restarts, j.failure = nil, &f
		actions := append(j.set(Failing, &f), j.cancelSubtasks(j.all())...)
		return append(actions, j.settle()...)
	}
	r := j.plan(f, failed)
	actions := append(j.set(Restarting, &f), StartTimer{After: delay, Restart: r.number})
	return append(append(actions, j.end(r)...), j.settle()...)
}

// reason returns why the subtasks that failed were ending anyway, nil if they were not. It is one failure, and counts once.
func (j *Job) reason(failed []SubtaskID) *Failure {
	switch {
	case j.status == Failing:
		return j.failure
	case j.status != Restarting:
		return nil
	case j.restartsWhole():
		return &j.restarts[0].failure
	}
	for _, r := range j.restarts {
		if len(failed) > 0 && contains(r.subtasks, failed) {
			return &r.failure
		}
	}
	return nil
}

// explain replaces a reason that was but the consequence of another failure.
func (j *Job) explain(reason *Failure, f Failure) []Action {
	if !reason.LostPeer || f.LostPeer {
		return j.settle()
	}
	*reason = f
	return append(j.set(j.status, &f), j.settle()...)
}

// plan notes what is to begin again: the regions of the subtasks that failed, if anything is left that can go on without them.
func (j *Job) plan(f Failure, failed []SubtaskID) *restart {
	j.restart++
	r := &restart{number: j.restart, failure: f}
	ending := j.Restarting()
	for _, region := range j.regions {
		if slices.ContainsFunc(region, func(id SubtaskID) bool { return slices.Contains(failed, id) && !slices.Contains(ending, id) }) {
			r.subtasks = append(r.subtasks, region...)
		}
	}
	if f.Whole || len(failed) == 0 || len(r.subtasks)+len(ending) == len(j.subtasks) {
		r.subtasks, j.restarts = nil, nil
	}
	j.restarts = append(j.restarts, r)
	return r
}

func contains(all, some []SubtaskID) bool {
	return !slices.ContainsFunc(some, func(id SubtaskID) bool { return !slices.Contains(all, id) })
}

// of returns the subtasks of a restart.
func (j *Job) of(r *restart) []SubtaskID {
	if r.subtasks == nil {
		return j.all()
	}
	return r.subtasks
}

func (j *Job) end(r *restart) []Action { return j.cancelSubtasks(j.of(r)) }

// rescale ends the attempt; the next one begins when the last subtask has ended.
func (j *Job) rescale(e Rescale) []Action {
	if j.status != Running && !j.GoesOn() || e.Attempt != j.attempts.Newest || j.quiet(j.all()) {
		return nil
	}
	return j.move(Failure{Message: e.Note, Rescale: true})
}

// move ends the attempt without asking the restart strategy.
func (j *Job) move(f Failure) []Action {
	r := &restart{failure: f, due: true}
	j.restarts = []*restart{r}
	actions := append(j.set(Restarting, &r.failure), j.end(r)...)
	return append(actions, j.settle()...)
}

func (j *Job) restartDue(e RestartDue) []Action {
	for _, r := range j.restarts {
		if r.number == e.Restart {
			r.due = true
		}
	}
	return j.settle()
}

// beginRestarts begins what can.
func (j *Job) beginRestarts() []Action {
	var actions []Action
	for _, r := range slices.Clone(j.restarts) {
		switch {
		case !r.due || !j.quiet(j.of(r)):
		case r.subtasks == nil:
			return j.again()
		default:
			actions = append(actions, j.restartSubtasks(r)...)
		}
	}
	return actions
}

// restartSubtasks begins an attempt of some subtasks. As in Flink the job is RUNNING from here on, though they may wait for slots.
func (j *Job) restartSubtasks(r *restart) []Action {
	j.restarts = slices.DeleteFunc(j.restarts, func(other *restart) bool { return other == r })
	j.attempts = j.attempts.Restart(r.subtasks)
	for _, id := range r.subtasks {
		j.subtasks[id] = SubtaskScheduled
	}
	actions := []Action{RestartSubtasks{Attempt: j.attempts.Newest, Subtasks: r.subtasks}}
	if len(j.restarts) == 0 {
		actions = append(actions, j.set(Running, nil)...)
	}
	return actions
}

// again begins the next attempt of the whole job. It is counted before the job is CREATED again: whoever takes over in between must not
// use the number of an attempt that has run.
func (j *Job) again() []Action {
	actions := j.begin(j.attempts.Newest + 1)
	return slices.Insert(actions, 1, Action(SetStatus{Status: Created}))
}
