package coordinator

import (
	"fmt"

	"pencere/pkg/checkpoint"
)

// gone is the attempt of a subtask that is about to begin again.
const gone = -1

// waits reports whether some subtask is about to begin again.
func (a *attempt) waits() bool {
	for _, number := range a.subtasks {
		if number == gone {
			return true
		}
	}
	return false
}

// interrupted gives up what the subtasks would have had to answer. As in Flink that counts as no failure of a checkpoint. Sources that
// have stopped for a savepoint only go on if all begin again.
func (c *Coordinator) interrupted(e Interrupted) {
	a := c.attempt
	if a == nil {
		return
	}
	a.running = false
	under := c.pending
	c.abortAll(e.Reason)
	for _, p := range under {
		if p.kind.Stops() && !p.committing {
			c.do(FailJob{Reason: fmt.Sprintf("%s %d aborted: %s", p.kind, p.id, e.Reason)})
			c.close("the job is failing")
		}
	}
	var left []checkpoint.Blob
	for _, s := range e.Subtasks {
		if _, known := a.subtasks[s]; known {
			a.subtasks[s] = gone
			left = append(left, a.ended[s].State.Blobs()...)
			delete(a.ended, s)
		}
	}
	c.discard(left)
}

// restarted goes on with an attempt of some subtasks. What was its last checkpoint is not any more.
func (c *Coordinator) restarted(e Restarted) {
	a := c.attempt
	if a == nil {
		return
	}
	a.number, a.running, a.closed = e.Attempt, false, false
	for _, s := range e.Subtasks {
		if _, known := a.subtasks[s]; known {
			a.subtasks[s] = e.Attempt
		}
	}
}
