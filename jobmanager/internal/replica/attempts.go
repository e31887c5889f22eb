package replica

import (
	"slices"

	"pencere/jobmanager/internal/jobfsm"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"

	"google.golang.org/protobuf/proto"
)

func countAttempt(j *storagev1.Job, c *storagev1.BeginAttempt) {
	before := j.GetAttempt()
	j.Attempt = c.GetAttempt()
	if len(c.GetSubtasks()) == 0 {
		j.Restarted, j.WholeAttempt = nil, 0
		return
	}
	if len(j.GetRestarted()) == 0 {
		j.WholeAttempt = before
	}
	for _, id := range c.GetSubtasks() {
		j.Restarted = slices.DeleteFunc(j.Restarted, func(r *storagev1.RestartedSubtask) bool { return proto.Equal(r.GetSubtask(), id) })
		j.Restarted = append(j.Restarted, &storagev1.RestartedSubtask{Subtask: id, Attempt: c.GetAttempt()})
	}
}

// Attempts returns the numbers of the executions of a job's subtasks.
func Attempts(j *storagev1.Job) jobfsm.Attempts {
	if len(j.GetRestarted()) == 0 {
		return jobfsm.Begun(int(j.GetAttempt()))
	}
	attempts := jobfsm.Attempts{
		Whole: int(j.GetWholeAttempt()), Newest: int(j.GetAttempt()), Restarted: make(map[jobfsm.SubtaskID]int),
	}
	for _, r := range j.GetRestarted() {
		id := jobfsm.SubtaskID{VertexID: r.GetSubtask().GetVertexId(), Index: int(r.GetSubtask().GetIndex())}
		attempts.Restarted[id] = int(r.GetAttempt())
	}
	return attempts
}
