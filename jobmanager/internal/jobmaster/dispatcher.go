// Package jobmaster runs jobs on the leading jobmanager: a Dispatcher takes them in and recovers them, and a master for
// each feeds what happens to the job's state machine and does what that decides.
package jobmaster

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/slotpool"
	"pencere/jobmanager/internal/view"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"

	"go.opentelemetry.io/otel/trace"
)

// ErrNotLeading is returned while this jobmanager does not lead.
var ErrNotLeading = errors.New("this jobmanager does not lead; try another, or again in a moment")

// ErrNoJob is returned for an id that no job has.
var ErrNoJob = replica.ErrNoJob

// TerminalError is returned when a job cannot be cancelled because it has ended.
type TerminalError struct{ Status jobfsm.Status }

func (e *TerminalError) Error() string {
	return fmt.Sprintf("the job has already reached another terminal state (%s)", e.Status)
}

// Log is the replicated log that jobs are kept in.
type Log interface {
	Apply(ctx context.Context, c *storagev1.Command) error
	Job(id string) (*storagev1.Job, error)
	Jobs() []*storagev1.Job
}

// Config is what a Dispatcher works with.
type Config struct {
	Log     Log
	Slots   *slotpool.Pool
	Splits  NewEnumerator
	Storage Storage
	// OwnStorage says that Storage is no other cluster's, so that whatever no job of this one holds may go.
	OwnStorage bool
	Logger     *slog.Logger
	Version    string // of the program, for manifests
	Now        func() time.Time
	Random     func() float64 // in [0, 1)
	// ForgetAfter is how long a job that ended stays known (Flink's jobstore.expiration-time); 0 keeps it for ever.
	ForgetAfter time.Duration
	// SavepointDir is where savepoints go of which the user does not say where, a directory or a URL; "" demands that it is said.
	SavepointDir string
	// Grace is for how long a new leader waits for taskmanagers to come with the subtasks that they run.
	Grace time.Duration
	// Rescale says when jobs follow the slots.
	Rescale elastic.Config
	Tracer  trace.Tracer // of checkpoints and restarts; nil for none
}

// Spec is a job as it is submitted.
type Spec struct {
	Text string // YAML
	File string // what errors call it
	// Vars are the values of the variables that the text names.
	Vars map[string]string
	// Savepoint is the folder of a savepoint that the job goes on from; "" for a job that begins.
	Savepoint string
	// AllowNonRestoredState lets the job go on though it has no vertex for some of the savepoint's state, as Flink's option of this name.
	AllowNonRestoredState bool
}

// Dispatcher holds the jobs. It is safe for concurrent use.
type Dispatcher struct {
	cfg        Config
	operations *operations

	mu      sync.Mutex
	term    *term // nil: not leading
	masters map[string]*master
}

// term is one leadership.
type term struct {
	ctx     context.Context // ends with the leadership
	resign  context.CancelCauseFunc
	running sync.WaitGroup // the masters
}

// New returns a dispatcher that refuses work until Lead.
func New(cfg Config) *Dispatcher {
	return &Dispatcher{cfg: cfg, operations: newOperations(cfg.Now), masters: make(map[string]*master)}
}

// Lead recovers the jobs that have not ended and takes new ones until ctx, the leadership, ends, or the log does not keep
// what a job came to. It returns why, when all masters have stopped. begun is called when taskmanagers may come.
func (d *Dispatcher) Lead(ctx context.Context, begun func()) error {
	t := &term{}
	t.ctx, t.resign = context.WithCancelCause(ctx)
	defer t.resign(nil)
	d.begin(t)
	d.cfg.Slots.OnChange(d.slotsChanged)
	t.running.Go(func() { d.removeGone(t.ctx) })
	begun()
	d.forget(t.ctx)
	d.mu.Lock()
	d.term = nil // no master starts from here on
	d.mu.Unlock()
	t.running.Wait()
	return context.Cause(t.ctx)
}

func (d *Dispatcher) begin(t *term) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.term = t
	clear(d.masters)
	for _, job := range d.cfg.Log.Jobs() {
		if err := d.startLocked(job); err != nil {
			d.cfg.Logger.Error("job not recovered", "job_id", job.GetJobId(), "error", err)
		}
	}
}

// forget removes jobs that ended long ago, until ctx ends.
func (d *Dispatcher) forget(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.forgetOld(ctx)
		}
	}
}

func (d *Dispatcher) forgetOld(ctx context.Context) {
	if d.cfg.ForgetAfter == 0 {
		return
	}
	before := d.cfg.Now().Add(-d.cfg.ForgetAfter).UnixMilli()
	for _, job := range d.Jobs() {
		if !job.Status.Terminal() || job.End > before {
			continue
		}
		forget := &storagev1.Command{Command: &storagev1.Command_ForgetJob{ForgetJob: &storagev1.ForgetJob{JobId: job.ID}}}
		if err := d.cfg.Log.Apply(ctx, forget); err != nil {
			d.cfg.Logger.Warn("old job not forgotten", "job_id", job.ID, "error", err)
			continue
		}
		d.mu.Lock()
		delete(d.masters, job.ID)
		d.mu.Unlock()
	}
}

// startLocked starts a master for a job that has none: Submit and a leadership that begins may both see a new job.
func (d *Dispatcher) startLocked(job *storagev1.Job) error {
	if d.masters[job.GetJobId()] != nil {
		return nil
	}
	m, err := newMaster(d.cfg, job, d.term.resign)
	if err != nil {
		return err
	}
	d.masters[m.id] = m
	if ctx := d.term.ctx; !m.terminal() {
		d.term.running.Go(func() { m.run(ctx) })
	}
	return nil
}

// Leads reports whether this jobmanager leads now.
func (d *Dispatcher) Leads() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.term != nil && d.term.ctx.Err() == nil
}

// Submit checks a job, makes it durable and starts it. Errors: jobspec.Errors for what is wrong with the spec, *RestoreError when
// it cannot go on from its savepoint, ErrNotLeading, those of the log.
func (d *Dispatcher) Submit(ctx context.Context, spec Spec) (string, error) {
	logical, err := jobspec.Parse(spec.File, []byte(spec.Text), func(name string) (string, bool) {
		value, ok := spec.Vars[name]
		return value, ok
	})
	if err != nil {
		return "", err
	}
	if !d.Leads() {
		return "", ErrNotLeading
	}
	id := newJobID()
	submit := &storagev1.SubmitJob{JobId: id, Name: logical.Name, Spec: spec.Text, SubmittedMs: d.cfg.Now().UnixMilli()}
	if spec.Savepoint != "" {
		if err := d.restore(ctx, spec, &logical, submit); err != nil {
			return "", err
		}
	}
	if submit.Plan, err = logical.Encode(); err != nil {
		return "", err
	}
	if err := d.cfg.Log.Apply(ctx, &storagev1.Command{Command: &storagev1.Command_SubmitJob{SubmitJob: submit}}); err != nil {
		d.unrestore(ctx, submit)
		if errors.Is(err, replica.ErrNotLeader) {
			return "", ErrNotLeading
		}
		return "", fmt.Errorf("keep the job: %w", err)
	}
	job, err := d.cfg.Log.Job(id)
	if err != nil {
		return "", err
	}
	d.cfg.Logger.Info("job submitted", "job_id", id, "job", logical.Name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.term == nil {
		return id, nil // it is in the log: whoever leads next starts it
	}
	return id, d.startLocked(job)
}

// newJobID returns 32 hexadecimal digits that nobody else has drawn.
func newJobID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(id[:])
}

func (d *Dispatcher) master(id string) (*master, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.masters[id]
	if !ok {
		return nil, fmt.Errorf("job %s: %w", id, ErrNoJob)
	}
	return m, nil
}

// Cancel asks a job to end. One that was cancelled before is left as it is. Errors: ErrNotLeading, ErrNoJob, and *TerminalError
// for a job that ended otherwise.
func (d *Dispatcher) Cancel(_ context.Context, id string) error {
	if !d.Leads() {
		return ErrNotLeading
	}
	m, err := d.master(id)
	if err != nil {
		return err
	}
	status := m.view().Status
	if status.Terminal() && status != jobfsm.Canceled {
		return &TerminalError{Status: status}
	}
	m.post(jobfsm.CancelRequested{})
	return nil
}

// Jobs returns all jobs, the newest first.
func (d *Dispatcher) Jobs() []view.Job {
	d.mu.Lock()
	masters := make([]*master, 0, len(d.masters))
	for _, m := range d.masters {
		masters = append(masters, m)
	}
	d.mu.Unlock()
	jobs := make([]view.Job, len(masters))
	for i, m := range masters {
		jobs[i] = m.view()
	}
	slices.SortFunc(jobs, func(a, b view.Job) int {
		return cmp.Or(cmp.Compare(b.Start, a.Start), cmp.Compare(a.ID, b.ID))
	})
	return jobs
}

// Job returns a job.
func (d *Dispatcher) Job(id string) (view.Job, error) {
	m, err := d.master(id)
	if err != nil {
		return view.Job{}, err
	}
	return m.view(), nil
}

// Files returns the directory a job writes to and its part files.
func (d *Dispatcher) Files(id string) (string, []view.File, error) {
	m, err := d.master(id)
	if err != nil {
		return "", nil, err
	}
	dir, files := m.files()
	return dir, files, nil
}

// TaskManagers returns the registered taskmanagers.
func (d *Dispatcher) TaskManagers() []view.TaskManager { return d.cfg.Slots.TaskManagers() }

// Adopt takes the subtasks that a taskmanager brings along, and returns the slots that they hold. Those that no job waits for are
// cancelled.
func (d *Dispatcher) Adopt(tm slotpool.TaskManager, subtasks []*controlv1.HeldSubtask) []slotpool.Held {
	byJob := make(map[string][]*controlv1.HeldSubtask)
	for _, s := range subtasks {
		id := s.GetUpdate().GetSubtask().GetJobId()
		byJob[id] = append(byJob[id], s)
	}
	var held []slotpool.Held
	for id, brought := range byJob {
		m, err := d.master(id)
		if err != nil {
			cancelHeld(tm, brought, false)
			continue
		}
		held = append(held, m.adopt(tm, brought)...)
	}
	return held
}

// SubtaskUpdate takes a report that an attempt changed state.
func (d *Dispatcher) SubtaskUpdate(taskManagerID string, u *controlv1.SubtaskUpdate) {
	if m, err := d.master(u.GetSubtask().GetJobId()); err == nil {
		m.subtaskUpdate(taskManagerID, u)
	}
}

// SubtaskReport takes the part of a heartbeat that is about one subtask.
func (d *Dispatcher) SubtaskReport(r *controlv1.SubtaskReport) {
	if m, err := d.master(r.GetSubtask().GetJobId()); err == nil {
		m.subtaskReport(r)
	}
}

// FilesFinished takes word of published part files.
func (d *Dispatcher) FilesFinished(f *controlv1.FilesFinished) {
	if m, err := d.master(f.GetSubtask().GetJobId()); err == nil {
		m.filesFinished(f)
	}
}

// CheckpointAck takes a subtask's part in a checkpoint.
func (d *Dispatcher) CheckpointAck(a *controlv1.CheckpointAck) {
	if m, err := d.master(a.GetSubtask().GetJobId()); err == nil {
		m.checkpointAck(a)
	}
}

// CheckpointDecline takes word that a subtask cannot take part in a checkpoint.
func (d *Dispatcher) CheckpointDecline(c *controlv1.CheckpointDecline) {
	if m, err := d.master(c.GetSubtask().GetJobId()); err == nil {
		m.checkpointDecline(c)
	}
}

// SubtaskEnded takes the last state of a subtask whose input has ended.
func (d *Dispatcher) SubtaskEnded(e *controlv1.SubtaskEnded) {
	if m, err := d.master(e.GetSubtask().GetJobId()); err == nil {
		m.subtaskEnded(e)
	}
}

// CheckpointRequest takes word that a window has fired.
func (d *Dispatcher) CheckpointRequest(r *controlv1.CheckpointRequest) {
	if m, err := d.master(r.GetSubtask().GetJobId()); err == nil {
		m.checkpointRequest(r)
	}
}

// decodePlan reads a stored plan and compiles it: one that a newer program wrote may not fit this one.
func decodePlan(data []byte) (*plan.Program, error) {
	logical, err := plan.Decode(data)
	if err != nil {
		return nil, err
	}
	return plan.Compile(logical)
}
