package tracing

import (
	"context"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/pkg/checkpoint"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Job makes the traces of one job. A nil Job makes none. It is not safe for concurrent use: it belongs to its master's loop.
type Job struct {
	tracer      trace.Tracer
	id, name    string
	latest      checkpoint.ID // the newest that is committed; 0 for none
	checkpoints map[checkpoint.ID]*checkpointTrace
	change      *change // nil while the job runs
}

// New returns the traces of a job, nil without a tracer. latest is its newest checkpoint, 0 for none.
func New(tracer trace.Tracer, id, name string, latest checkpoint.ID) *Job {
	if tracer == nil {
		return nil
	}
	return &Job{tracer: tracer, id: id, name: name, latest: latest, checkpoints: make(map[checkpoint.ID]*checkpointTrace)}
}

// Close ends what is under way when this jobmanager is done with the job.
func (j *Job) Close(now time.Time, reason string) {
	if j == nil {
		return
	}
	for id := range j.checkpoints {
		j.abort(now, id, reason)
	}
	j.changed(now, reason)
}

// change is what lies between a job that runs and one that runs again: the spans of it, each nil or ended when it is not under way.
type change struct {
	whole, cancel, delay, slots, deploy *span
	awaited                             map[jobfsm.SubtaskID]bool // to end by the cancellation
}

// Steps takes what happens to the job, before the state machine does.
func (j *Job) Steps(now time.Time, e jobfsm.Event) {
	if j == nil || j.change == nil {
		return
	}
	switch e := e.(type) {
	case jobfsm.RestartDue:
		j.change.delay.end(now, "")
	case jobfsm.SubtaskChanged:
		j.change.subtask(now, e.State, e.Subtask)
	case jobfsm.SubtasksLost:
		j.change.subtask(now, jobfsm.SubtaskFailed, e.Subtasks...)
	}
}

// Performs takes what is about to be done about the job.
func (j *Job) Performs(now time.Time, a jobfsm.Action) {
	if j == nil {
		return
	}
	switch a := a.(type) {
	case jobfsm.SetStatus:
		j.status(now, a)
	case jobfsm.StartTimer:
		if c := j.change; c != nil {
			c.delay.end(now, "") // of other subtasks
			c.delay = j.begin(now, c.whole, "delay")
		}
	case jobfsm.CancelSubtasks:
		if c := j.change; c != nil {
			c.cancel = j.begin(now, c.whole, "cancel", attribute.Int("subtasks", len(a.Subtasks)))
			c.awaited = make(map[jobfsm.SubtaskID]bool)
			for _, id := range a.Subtasks {
				c.awaited[id] = true
			}
		}
	case jobfsm.RequestSlots:
		j.attempt(now, a.Attempt)
	case jobfsm.RestartSubtasks:
		j.attempt(now, a.Attempt)
	}
}

// attempt is that one begins, of all subtasks or of some, and waits for its slots.
func (j *Job) attempt(now time.Time, number int) {
	c := j.changing(now, "start")
	for _, part := range []*span{c.cancel, c.delay, c.slots} {
		part.end(now, "")
	}
	c.whole.SetAttributes(attribute.Int("attempt", number))
	if j.latest > 0 {
		c.whole.SetAttributes(attribute.Int64("checkpoint_id", int64(j.latest)))
	}
	c.slots = j.begin(now, c.whole, "slots")
}

// Deploys takes the subtasks of an attempt that has its slots.
func (j *Job) Deploys(now time.Time, subtasks, parallelism int) {
	if j == nil || j.change == nil {
		return
	}
	c := j.change
	c.slots.end(now, "")
	c.whole.SetAttributes(attribute.Int("parallelism", parallelism))
	c.deploy = j.begin(now, c.whole, "deploy", attribute.Int("subtasks", subtasks))
}

// Runs says that all subtasks of the attempt have begun to process.
func (j *Job) Runs(now time.Time) {
	if j == nil || j.change == nil {
		return
	}
	j.change.deploy.end(now, "")
	j.change.whole.SetStatus(codes.Ok, "")
	j.changed(now, "")
}

func (j *Job) status(now time.Time, a jobfsm.SetStatus) {
	c := j.change
	switch s := a.Status; {
	case s == jobfsm.Reconciling:
		j.changing(now, "takeover")
	case s == jobfsm.Running && c != nil && c.slots == nil: // a takeover, which ends when its subtasks are known
		j.Runs(now)
	case s == jobfsm.Restarting || s == jobfsm.Failing:
		if c != nil && c.slots != nil { // what follows is the next attempt's
			j.changed(now, a.Failure.Message)
		}
		j.failed(now, a)
	case s == jobfsm.Cancelling || s.Terminal():
		j.changed(now, "the job is "+string(s))
	}
}

// failed is the beginning of a restart, or a better reason for one that has begun.
func (j *Job) failed(now time.Time, a jobfsm.SetStatus) {
	name := "restart"
	switch {
	case a.Failure.Rescale:
		name = "rescale"
	case a.Status == jobfsm.Failing:
		name = "failure"
	}
	c := j.changing(now, name)
	if a.Failure.Rescale {
		c.whole.SetAttributes(attribute.String("reason", a.Failure.Message))
		return
	}
	c.whole.AddEvent("exception", trace.WithTimestamp(now), trace.WithAttributes(
		attribute.String("exception.message", a.Failure.Message), attribute.String("task", a.Failure.Task),
		attribute.String("task_manager_id", a.Failure.TaskManagerID)))
}

// changing returns the change that is under way, a new one if none is.
func (j *Job) changing(now time.Time, name string) *change {
	if j.change == nil {
		j.change = &change{whole: j.begin(now, nil, name)}
	}
	return j.change
}

// changed ends the change that is under way.
func (j *Job) changed(now time.Time, failure string) {
	c := j.change
	if c == nil {
		return
	}
	for _, part := range []*span{c.cancel, c.delay, c.slots, c.deploy} {
		part.end(now, failure)
	}
	c.whole.end(now, failure)
	j.change = nil
}

// subtask notes that subtasks have changed: the last one to end is the end of the cancellation.
func (c *change) subtask(now time.Time, to jobfsm.SubtaskState, subtasks ...jobfsm.SubtaskID) {
	if !to.Terminal() || len(c.awaited) == 0 {
		return
	}
	for _, id := range subtasks {
		delete(c.awaited, id)
	}
	if len(c.awaited) == 0 {
		c.cancel.end(now, "")
	}
}

// span is one that may be nil or have ended: to end it then does nothing.
type span struct {
	trace.Span
	start time.Time
	ended bool
}

// begin starts a span of the job, below another one unless that is nil.
func (j *Job) begin(at time.Time, above *span, name string, attributes ...attribute.KeyValue) *span {
	ctx := context.Background()
	if above != nil {
		ctx = trace.ContextWithSpan(ctx, above)
	}
	attributes = append(attributes, attribute.String("job_id", j.id), attribute.String("job_name", j.name))
	_, s := j.tracer.Start(ctx, name, trace.WithTimestamp(at), trace.WithAttributes(attributes...))
	return &span{Span: s, start: at}
}

// end ends the span, as an error if there is a failure.
func (s *span) end(at time.Time, failure string) {
	if s == nil || s.ended {
		return
	}
	s.ended = true
	if failure != "" {
		s.SetStatus(codes.Error, failure)
	}
	s.End(trace.WithTimestamp(at))
}
