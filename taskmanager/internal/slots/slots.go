// Package slots holds a taskmanager's slots and the subtasks that run in them.
package slots

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/taskmanager/internal/exchange"
	"pencere/taskmanager/internal/subtask"
)

// Config is what subtasks run with.
type Config struct {
	Host subtask.Host // Send, Log, Running and Finished are set for each subtask
	// Send queues a message to the jobmanager.
	Send func(*controlv1.ConnectRequest)
	// Memory returns the heap in use, its limit, and the resident size, in bytes.
	Memory func() (heap, limit, resident int64)
	Log    *slog.Logger
}

// Table holds the running subtasks. It is safe for concurrent use.
type Table struct {
	cfg     Config
	running sync.WaitGroup

	mu       sync.Mutex
	subtasks map[key]*entry
	late     map[key]*lateSubtask
	held     map[key]*controlv1.HeldSubtask // those of subtasks, and of past
	past     []key                          // subtasks that have ended, the oldest first
}

type key struct {
	jobID, vertexID string
	index, attempt  int32
}

func keyOf(ref *controlv1.SubtaskRef) key {
	return key{ref.GetJobId(), ref.GetVertexId(), ref.GetSubtaskIndex(), ref.GetAttempt()}
}

// supersedes reports whether an attempt is a later one of the same subtask. Others may end later, and still owe.
func supersedes(later, earlier key) bool {
	return earlier.attempt < later.attempt && earlier == key{later.jobID, later.vertexID, later.index, earlier.attempt}
}

type entry struct {
	task   *subtask.Subtask
	cancel context.CancelCauseFunc
}

// lateSubtask is one that has ended, and may still hear of the commit of a checkpoint that it was part of.
type lateSubtask struct {
	task *subtask.Subtask
	mu   sync.Mutex // held while it settles
}

// lateCommits is how long the word of a commit may be under way.
const lateCommits = time.Minute

// New returns a table without subtasks.
func New(cfg Config) *Table {
	return &Table{
		cfg: cfg, subtasks: make(map[key]*entry), late: make(map[key]*lateSubtask), held: make(map[key]*controlv1.HeldSubtask),
	}
}

// Deploy starts a subtask. What becomes of it is sent to the jobmanager.
func (t *Table) Deploy(d *controlv1.DeploySubtask) {
	t.mu.Lock()
	t.held[keyOf(d.GetSubtask())] = &controlv1.HeldSubtask{Slot: d.GetSlot(), Parallelism: d.GetParallelism()}
	t.mu.Unlock()
	t.update(d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_INITIALIZING, nil, nil)
	host := t.cfg.Host
	host.Send, host.Log = t.send, t.cfg.Log
	host.Running = func() { t.update(d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_RUNNING, nil, nil) }
	host.Finished = func(files []partfile.File) { t.finished(d.GetSubtask(), files) }
	task, err := subtask.New(d, host)
	if err != nil {
		t.update(d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FAILED, err, nil)
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	t.mu.Lock()
	maps.DeleteFunc(t.late, func(k key, _ *lateSubtask) bool {
		return supersedes(keyOf(d.GetSubtask()), k) // what it goes on from is published
	})
	t.subtasks[keyOf(d.GetSubtask())] = &entry{task: task, cancel: cancel}
	t.mu.Unlock()
	t.running.Go(func() { t.run(ctx, task) })
}

func (t *Table) run(ctx context.Context, task *subtask.Subtask) {
	ref := task.Ref()
	err := task.Run(ctx)
	t.mu.Lock()
	if e := t.subtasks[keyOf(ref)]; e != nil {
		e.cancel(nil)
		delete(t.subtasks, keyOf(ref))
	}
	var late *lateSubtask
	discarded := errors.Is(context.Cause(ctx), errDiscarded)
	if !discarded {
		late = t.keepLocked(task)
	}
	t.mu.Unlock()
	if late != nil {
		t.settle(late)
	}
	if discarded {
		t.discard(task)
	}
	metrics := task.Metrics()
	log := t.cfg.Log.With("job_id", ref.GetJobId(), "vertex_id", ref.GetVertexId(), "subtask_index", ref.GetSubtaskIndex(),
		"attempt", ref.GetAttempt(), "records_in", metrics.GetRecordsIn())
	switch {
	case err == nil:
		log.Info("subtask finished")
		t.update(ref, controlv1.SubtaskState_SUBTASK_STATE_FINISHED, nil, metrics)
	case errors.Is(context.Cause(ctx), subtask.ErrCanceled):
		log.Info("subtask cancelled")
		t.update(ref, controlv1.SubtaskState_SUBTASK_STATE_CANCELED, nil, metrics)
	default:
		level := slog.LevelError
		if errors.Is(err, exchange.ErrPeerGone) {
			level = slog.LevelWarn // another one has failed
		}
		log.Log(ctx, level, "subtask failed", "error", err)
		t.update(ref, controlv1.SubtaskState_SUBTASK_STATE_FAILED, err, metrics)
	}
}

// keepLocked keeps a subtask that has ended for the commits that may come, and returns it; nil if none may.
func (t *Table) keepLocked(task *subtask.Subtask) *lateSubtask {
	if !task.Owes() {
		return nil
	}
	late, k := &lateSubtask{task: task}, keyOf(task.Ref())
	t.late[k] = late
	time.AfterFunc(lateCommits, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.late[k] == late {
			delete(t.late, k)
		}
	})
	return late
}

// discard removes what a subtask has left that nobody waits for.
func (t *Table) discard(task *subtask.Subtask) {
	if err := task.Discard(); err != nil {
		t.cfg.Log.Error("unpublished files not removed", "job_id", task.Ref().GetJobId(), "vertex_id", task.Ref().GetVertexId(),
			"subtask_index", task.Ref().GetSubtaskIndex(), "attempt", task.Ref().GetAttempt(), "error", err)
	}
}

// settle publishes what a subtask that has ended heard of.
func (t *Table) settle(l *lateSubtask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.task.Settle(); err != nil {
		t.cfg.Log.Error("checkpoint not published", "job_id", l.task.Ref().GetJobId(), "vertex_id", l.task.Ref().GetVertexId(),
			"subtask_index", l.task.Ref().GetSubtaskIndex(), "attempt", l.task.Ref().GetAttempt(), "error", err)
	}
}

func (t *Table) update(ref *controlv1.SubtaskRef, state controlv1.SubtaskState, err error, m *controlv1.SubtaskMetrics) {
	u := &controlv1.SubtaskUpdate{Subtask: ref, State: state, TimeMs: t.cfg.Host.Now().UnixMilli(), Metrics: m}
	if err != nil {
		u.Failure = &controlv1.Failure{Message: err.Error(), LostPeer: errors.Is(err, exchange.ErrPeerGone)}
	}
	t.note(u)
	t.cfg.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskUpdate{SubtaskUpdate: u}})
}

func (t *Table) finished(ref *controlv1.SubtaskRef, files []partfile.File) {
	m := &controlv1.FilesFinished{Subtask: ref}
	for _, f := range files {
		m.Files = append(m.Files, subtask.WireFile(f))
		t.cfg.Log.Info("part file finished", "job_id", ref.GetJobId(), "file", f.Name, "rows", f.Rows)
	}
	t.cfg.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_FilesFinished{FilesFinished: m}})
}

// Cancel ends a subtask. One that has ended, or never was here, is reported as canceled, so that nobody waits for it.
func (t *Table) Cancel(m *controlv1.CancelSubtask) {
	t.mu.Lock()
	e := t.subtasks[keyOf(m.GetSubtask())]
	t.mu.Unlock()
	switch {
	case e == nil:
		t.update(m.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_CANCELED, nil, nil)
	case m.GetDiscard():
		e.cancel(errDiscarded)
	default:
		e.cancel(subtask.ErrCanceled)
	}
}

// errDiscarded is the cause with which a subtask ends whose job has finished without it.
var errDiscarded = fmt.Errorf("%w: its job has finished without it", subtask.ErrCanceled)

// AddSplits gives splits to a running source subtask.
func (t *Table) AddSplits(ref *controlv1.SubtaskRef, splits []*controlv1.Split) {
	if task := t.task(ref); task != nil {
		task.AddSplits(splits)
	}
}

// TriggerCheckpoint makes a source subtask send the barrier of a checkpoint.
func (t *Table) TriggerCheckpoint(m *controlv1.CheckpointTrigger) {
	if task := t.task(m.GetSubtask()); task != nil {
		task.Trigger(checkpoint.ID(m.GetCheckpointId()), purposes[m.GetKind()])
	}
}

var purposes = map[controlv1.CheckpointKind]checkpoint.Kind{
	controlv1.CheckpointKind_CHECKPOINT_KIND_PERIODIC:  checkpoint.Periodic,
	controlv1.CheckpointKind_CHECKPOINT_KIND_SAVEPOINT: checkpoint.Savepoint,
	controlv1.CheckpointKind_CHECKPOINT_KIND_STOP:      checkpoint.Stop,
	controlv1.CheckpointKind_CHECKPOINT_KIND_DRAIN:     checkpoint.Drain,
	controlv1.CheckpointKind_CHECKPOINT_KIND_HAND_OVER: checkpoint.HandOver,
}

// CommitCheckpoint makes a subtask publish its part of a checkpoint, also one that has ended before it could hear of it.
func (t *Table) CommitCheckpoint(m *controlv1.CheckpointCommit) {
	if task := t.task(m.GetSubtask()); task != nil {
		task.Commit(m)
		return
	}
	t.mu.Lock()
	late := t.late[keyOf(m.GetSubtask())]
	t.mu.Unlock()
	if late == nil {
		return
	}
	late.task.Commit(m)
	t.running.Go(func() { t.settle(late) })
}

// AbortCheckpoint makes a subtask forget its part of a checkpoint.
func (t *Table) AbortCheckpoint(m *controlv1.CheckpointAbort) {
	if task := t.task(m.GetSubtask()); task != nil {
		task.Abort(checkpoint.ID(m.GetCheckpointId()))
	}
}

// task returns a running subtask, or nil.
func (t *Table) task(ref *controlv1.SubtaskRef) *subtask.Subtask {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.subtasks[keyOf(ref)]; e != nil {
		return e.task
	}
	return nil
}

// CancelAll ends every subtask.
func (t *Table) CancelAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.subtasks {
		e.cancel(subtask.ErrCanceled)
	}
	clear(t.late)
}

// Wait returns when no subtask runs any more.
func (t *Table) Wait() { t.running.Wait() }

// Heartbeat returns how the taskmanager and its subtasks are.
func (t *Table) Heartbeat() *controlv1.Heartbeat {
	heap, limit, resident := t.cfg.Memory()
	beat := &controlv1.Heartbeat{
		TimeMs: t.cfg.Host.Now().UnixMilli(), HeapUsedBytes: heap, HeapLimitBytes: limit, ResidentBytes: resident,
	}
	for _, task := range t.tasks() {
		beat.Subtasks = append(beat.Subtasks, task.Report())
	}
	return beat
}

// tasks returns the running subtasks in a fixed order.
func (t *Table) tasks() []*subtask.Subtask {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*subtask.Subtask, 0, len(t.subtasks))
	for _, e := range t.subtasks {
		all = append(all, e.task)
	}
	slices.SortFunc(all, func(a, b *subtask.Subtask) int { return compareRefs(a.Ref(), b.Ref()) })
	return all
}

func compareRefs(x, y *controlv1.SubtaskRef) int {
	return cmp.Or(cmp.Compare(x.GetJobId(), y.GetJobId()), cmp.Compare(x.GetVertexId(), y.GetVertexId()),
		cmp.Compare(x.GetSubtaskIndex(), y.GetSubtaskIndex()), cmp.Compare(x.GetAttempt(), y.GetAttempt()))
}
