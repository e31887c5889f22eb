package jobfsm

import "maps"

// Attempts numbers the executions of a job's subtasks. The job has one count: whatever begins anew, all subtasks or some of them,
// takes the next number, so that what an execution leaves behind is told from what its successor does. It is a value: what was
// handed out never changes.
type Attempts struct {
	Whole  int // with which all subtasks began last
	Newest int
	// Restarted are the subtasks that have begun again since then, without the others.
	Restarted map[SubtaskID]int
}

// Begun returns the attempts of a job all of whose subtasks began with a number.
func Begun(attempt int) Attempts { return Attempts{Whole: attempt, Newest: attempt} }

// Of returns the attempt of a subtask.
func (a Attempts) Of(id SubtaskID) int {
	if n, ok := a.Restarted[id]; ok {
		return n
	}
	return a.Whole
}

// Restart returns the attempts once these subtasks have begun again.
func (a Attempts) Restart(ids []SubtaskID) Attempts {
	a.Newest++
	restarted := maps.Clone(a.Restarted)
	if restarted == nil {
		restarted = make(map[SubtaskID]int)
	}
	for _, id := range ids {
		restarted[id] = a.Newest
	}
	a.Restarted = restarted
	return a
}
