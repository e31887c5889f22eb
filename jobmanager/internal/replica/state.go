// Package replica keeps the jobmanager's durable state, the table of jobs, as a replicated state machine
// (hashicorp/raft over raft-boltdb). One node is durable; three survive the loss of one.
package replica

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"pencere/jobmanager/internal/jobfsm"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"
)

// FailuresKept is how many failures of a job are remembered, as many as Flink's web.exception-history-size.
const FailuresKept = 16

// FilesKept is how many part files of a job are remembered, the newest: each command copies them.
const FilesKept = 200

// table is the state that the log builds: the jobs by id. It is raft's FSM: Apply is called with committed commands, in
// the same order on every node, and depends on nothing but them.
type table struct {
	mu     sync.RWMutex
	jobs   map[string]*storagev1.Job
	leader *storagev1.AnnounceLeader // the last that said so; nil before the first
	err    error                     // names the first entry that this program cannot read; what follows it cannot be trusted
}

var _ raft.FSM = (*table)(nil)

func newTable() *table { return &table{jobs: make(map[string]*storagev1.Job)} }

// Apply implements raft.FSM. Its response is an error or nil.
func (t *table) Apply(entry *raft.Log) any {
	t.mu.Lock()
	defer t.mu.Unlock()
	var c storagev1.Command
	err := proto.Unmarshal(entry.Data, &c)
	if err == nil && c.GetCommand() == nil {
		err = errUnknownCommand
	}
	if err != nil {
		t.err = cmp.Or(t.err, fmt.Errorf("read log entry %d: %w", entry.Index, err))
		return t.err
	}
	return t.apply(&c)
}

// errUnknownCommand is about an entry that holds none of the commands known here.
var errUnknownCommand = errors.New("unknown command: a newer jobmanager wrote it, run that one")

// unreadable returns why the table does not hold what the log says, or nil.
func (t *table) unreadable() error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.err
}

func (t *table) apply(c *storagev1.Command) error {
	switch c := c.GetCommand().(type) {
	case *storagev1.Command_SubmitJob:
		return t.submit(c.SubmitJob)
	case *storagev1.Command_SetJobStatus:
		return t.withJob(c.SetJobStatus.GetJobId(), func(j *storagev1.Job) { setStatus(j, c.SetJobStatus) })
	case *storagev1.Command_BeginAttempt:
		return t.withJob(c.BeginAttempt.GetJobId(), func(j *storagev1.Job) { countAttempt(j, c.BeginAttempt) })
	case *storagev1.Command_AddSplits:
		return t.withJob(c.AddSplits.GetJobId(), func(j *storagev1.Job) {
			j.Splits = append(j.Splits, c.AddSplits.GetSplits()...)
		})
	case *storagev1.Command_ReserveCheckpoints:
		return t.withJob(c.ReserveCheckpoints.GetJobId(), func(j *storagev1.Job) {
			j.ReservedCheckpointId = max(j.ReservedCheckpointId, c.ReserveCheckpoints.GetThrough())
		})
	case *storagev1.Command_CompleteCheckpoint:
		return t.complete(c.CompleteCheckpoint)
	case *storagev1.Command_AnnounceLeader:
		t.leader = c.AnnounceLeader
		return nil
	case *storagev1.Command_SetParallelism:
		return t.withJob(c.SetParallelism.GetJobId(), func(j *storagev1.Job) { j.Parallelism = c.SetParallelism.GetParallelism() })
	case *storagev1.Command_ForgetJob:
		delete(t.jobs, c.ForgetJob.GetJobId())
		return nil
	default:
		return errUnknownCommand
	}
}

func (t *table) submit(c *storagev1.SubmitJob) error {
	if _, ok := t.jobs[c.GetJobId()]; ok {
		return fmt.Errorf("job %s exists already", c.GetJobId())
	}
	job := &storagev1.Job{
		JobId: c.GetJobId(), Name: c.GetName(), Spec: c.GetSpec(), Plan: c.GetPlan(),
		Status:        storagev1.JobStatus_JOB_STATUS_INITIALIZING,
		StatusTimesMs: map[int32]int64{int32(storagev1.JobStatus_JOB_STATUS_INITIALIZING): c.GetSubmittedMs()},
		Splits:        c.GetSplits(),
	}
	if c.GetRestored() != nil {
		job.Checkpoints = []*storagev1.CompletedCheckpoint{c.GetRestored()}
		job.RestoredCheckpointId = c.GetRestored().GetCheckpointId()
	}
	t.jobs[c.GetJobId()] = job
	return nil
}

// withJob changes a copy of the job: values that were read stay as they were.
func (t *table) withJob(id string, change func(*storagev1.Job)) error {
	job, ok := t.jobs[id]
	if !ok {
		return fmt.Errorf("job %s: %w", id, ErrNoJob)
	}
	job = proto.CloneOf(job)
	change(job)
	t.jobs[id] = job
	return nil
}

// ErrOldAttempt is returned for a checkpoint of an attempt that another one has followed.
var ErrOldAttempt = errors.New("a later attempt has begun")

func (t *table) complete(c *storagev1.CompleteCheckpoint) error {
	job, ok := t.jobs[c.GetJobId()]
	if !ok {
		return fmt.Errorf("job %s: %w", c.GetJobId(), ErrNoJob)
	}
	if job.GetAttempt() != c.GetAttempt() {
		return fmt.Errorf("checkpoint %d of attempt %d: %w", c.GetCheckpointId(), c.GetAttempt(), ErrOldAttempt)
	}
	return t.withJob(c.GetJobId(), func(j *storagev1.Job) {
		j.Checkpoints = slices.DeleteFunc(j.Checkpoints, func(old *storagev1.CompletedCheckpoint) bool {
			return slices.Contains(c.GetSubsumed(), old.GetCheckpointId())
		})
		j.Checkpoints = append(j.Checkpoints, &storagev1.CompletedCheckpoint{
			CheckpointId: c.GetCheckpointId(), Checkpoint: c.GetCheckpoint(), ManifestEntries: c.GetManifestEntries(),
			DeadLetterEntries: c.GetDeadLetterEntries(),
		})
		j.ManifestHead, j.DeadLetterHead = c.GetManifestHead(), c.GetDeadLetterHead()
		addFiles(j, c.GetFiles())
	})
}

func addFiles(j *storagev1.Job, files []*storagev1.PartFile) {
	for _, f := range files {
		if !slices.ContainsFunc(j.GetFiles(), func(known *storagev1.PartFile) bool { return known.GetName() == f.GetName() }) {
			j.Files = append(j.Files, f)
		}
	}
	if extra := len(j.Files) - FilesKept; extra > 0 {
		j.Files = slices.Delete(j.Files, 0, extra)
	}
}

func setStatus(j *storagev1.Job, c *storagev1.SetJobStatus) {
	j.Status = c.GetStatus()
	if j.StatusTimesMs == nil {
		j.StatusTimesMs = make(map[int32]int64)
	}
	j.StatusTimesMs[int32(c.GetStatus())] = c.GetTimeMs()
	if c.GetFailure() == nil {
		return
	}
	if c.GetFailure().GetRescale() {
		j.Rescales++
	}
	j.Failures = append(j.Failures, c.GetFailure())
	if extra := len(j.Failures) - FailuresKept; extra > 0 {
		j.Failures = slices.Delete(j.Failures, 0, extra)
	}
}

func (t *table) job(id string) (*storagev1.Job, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	job, ok := t.jobs[id]
	return job, ok
}

func (t *table) all() []*storagev1.Job {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Values(t.jobs))
}

func (t *table) announced() *storagev1.AnnounceLeader {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.leader
}

// Snapshot implements raft.FSM. Jobs are never changed in place, so a shallow copy is a snapshot.
func (t *table) Snapshot() (raft.FSMSnapshot, error) {
	return &snapshot{state: &storagev1.Snapshot{Jobs: t.all(), Leader: t.announced()}}, nil
}

// Restore implements raft.FSM.
func (t *table) Restore(from io.ReadCloser) error {
	defer func() { _ = from.Close() }() // it was only read
	data, err := io.ReadAll(from)
	if err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	var state storagev1.Snapshot
	if err := proto.Unmarshal(data, &state); err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.jobs)
	t.leader = state.GetLeader()
	for _, job := range state.GetJobs() {
		t.jobs[job.GetJobId()] = job
	}
	return nil
}

type snapshot struct{ state *storagev1.Snapshot }

// Persist implements raft.FSMSnapshot.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	data, err := proto.Marshal(s.state)
	if err == nil {
		_, err = sink.Write(data)
	}
	if err != nil {
		return fmt.Errorf("write snapshot: %w", errors.Join(err, sink.Cancel()))
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (*snapshot) Release() {}

// statusNames pairs the stored statuses with the state machine's.
var statusNames = map[storagev1.JobStatus]jobfsm.Status{
	storagev1.JobStatus_JOB_STATUS_INITIALIZING: jobfsm.Initializing,
	storagev1.JobStatus_JOB_STATUS_CREATED:      jobfsm.Created,
	storagev1.JobStatus_JOB_STATUS_RUNNING:      jobfsm.Running,
	storagev1.JobStatus_JOB_STATUS_FAILING:      jobfsm.Failing,
	storagev1.JobStatus_JOB_STATUS_FAILED:       jobfsm.Failed,
	storagev1.JobStatus_JOB_STATUS_CANCELLING:   jobfsm.Cancelling,
	storagev1.JobStatus_JOB_STATUS_CANCELED:     jobfsm.Canceled,
	storagev1.JobStatus_JOB_STATUS_FINISHED:     jobfsm.Finished,
	storagev1.JobStatus_JOB_STATUS_RESTARTING:   jobfsm.Restarting,
	storagev1.JobStatus_JOB_STATUS_SUSPENDED:    jobfsm.Suspended,
	storagev1.JobStatus_JOB_STATUS_RECONCILING:  jobfsm.Reconciling,
}

// Status returns the state machine's name of a stored status.
func Status(s storagev1.JobStatus) jobfsm.Status { return statusNames[s] }

// StoredStatus is the inverse of Status.
func StoredStatus(s jobfsm.Status) storagev1.JobStatus {
	for stored, name := range statusNames {
		if name == s {
			return stored
		}
	}
	return storagev1.JobStatus_JOB_STATUS_UNSPECIFIED
}
