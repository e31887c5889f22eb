package tracing

import (
	"time"

	"pencere/jobmanager/internal/coordinator"
	"pencere/pkg/checkpoint"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
)

// checkpointTrace is a checkpoint that is under way.
type checkpointTrace struct {
	whole, commit *span // commit is nil before it
	acked         map[checkpoint.Subtask]bool
}

// Heard takes what happens to checkpoints, before the coordinator does.
func (j *Job) Heard(now time.Time, e coordinator.Event) {
	if j == nil {
		return
	}
	switch e := e.(type) {
	case coordinator.Acked:
		j.ack(now, e.ID, e.State.Subtask, "", attribute.Int64("state_bytes", e.State.Size()))
	case coordinator.Declined:
		j.ack(now, e.ID, e.Subtask, e.Reason)
	case coordinator.Committed:
		j.committed(now, e.ID, "")
	case coordinator.CommitFailed:
		j.committed(now, e.ID, e.Reason)
	}
}

// Coordinates takes what is about to be done about checkpoints. What it returns is to be called when that is done.
func (j *Job) Coordinates(now time.Time, a coordinator.Action) (done func(time.Time)) {
	done = func(time.Time) {}
	if j == nil {
		return done
	}
	switch a := a.(type) {
	case coordinator.Trigger:
		j.trigger(now, a.ID, a.Kind, a.Attempt)
	case coordinator.Commit:
		j.commit(now, a.Checkpoint)
	case coordinator.NotifyComplete:
		return j.notify(now, a.ID)
	case coordinator.Abort:
		j.abort(now, a.ID, a.Reason)
	}
	return done
}

func (j *Job) trigger(at time.Time, id checkpoint.ID, kind checkpoint.Kind, attempt int) *checkpointTrace {
	t := &checkpointTrace{
		whole: j.begin(at, nil, "checkpoint", attribute.Int64("checkpoint_id", int64(id)), attribute.String("checkpoint_kind", kind.String()), attribute.Int("attempt", attempt)),
		acked: make(map[checkpoint.Subtask]bool),
	}
	j.checkpoints[id] = t
	return t
}

// ack is the way of a checkpoint to and through one subtask.
func (j *Job) ack(now time.Time, id checkpoint.ID, s checkpoint.Subtask, failure string, attributes ...attribute.KeyValue) {
	t := j.checkpoints[id]
	if t == nil || t.commit != nil || t.acked[s] {
		return
	}
	t.acked[s] = true
	attributes = append(attributes, attribute.String("vertex_id", s.VertexID), attribute.Int("subtask_index", s.Index))
	j.begin(t.whole.start, t.whole, "ack", attributes...).end(now, failure)
}

// commit is the checkpoint's way into the log. One of final states alone was not triggered.
func (j *Job) commit(now time.Time, c checkpoint.Checkpoint) {
	t := j.checkpoints[c.ID]
	if t == nil {
		t = j.trigger(time.UnixMilli(c.TriggeredMs), c.ID, c.Kind, c.Attempt)
	}
	var size int64
	for _, s := range c.States {
		size += s.Size()
	}
	t.whole.SetAttributes(attribute.Int("subtasks", len(c.States)), attribute.Int64("state_bytes", size))
	t.commit = j.begin(now, t.whole, "commit")
}

func (j *Job) committed(now time.Time, id checkpoint.ID, failure string) {
	if t := j.checkpoints[id]; t != nil && t.commit != nil {
		t.commit.end(now, failure)
	}
	if failure == "" {
		j.latest = id
	}
}

func (j *Job) notify(now time.Time, id checkpoint.ID) (done func(time.Time)) {
	t := j.checkpoints[id]
	if t == nil {
		return func(time.Time) {} // the earlier leader's
	}
	delete(j.checkpoints, id)
	notify := j.begin(now, t.whole, "notify")
	return func(now time.Time) {
		notify.end(now, "")
		t.whole.SetStatus(codes.Ok, "")
		t.whole.end(now, "")
	}
}

func (j *Job) abort(now time.Time, id checkpoint.ID, reason string) {
	if t := j.checkpoints[id]; t != nil {
		delete(j.checkpoints, id)
		t.whole.end(now, reason)
	}
}
