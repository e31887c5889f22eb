package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"

	"pencere/jobmanager/internal/coordinator"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
)

// ErrNoSavepointDir is returned when neither the user nor the configuration says where a savepoint is to be.
var ErrNoSavepointDir = errors.New("No savepoint location given and no default location configured: " + //nolint:staticcheck // Flink's words
	"name a directory, or start the jobmanager with --savepoint-dir")

// SavepointRequest asks for a checkpoint now.
type SavepointRequest struct {
	JobID   string
	Trigger string // see OperationKey
	// Kind is Savepoint, Stop, or Drain; or Periodic for one that is kept as the job's own.
	Kind checkpoint.Kind
	// Dir is where the savepoint's folder is made, a directory or a URL; "" is Config.SavepointDir.
	Dir string
}

// wish is a SavepointRequest on its way through a master.
type wish struct {
	request string // by which the coordinator answers
	kind    checkpoint.Kind
	folder  blobstore.Location // of the savepoint
	answer  func(Operation)
}

func (w wish) fail(err error) { w.answer(Operation{Err: err}) }

// Events about savepoints.
type (
	// prepared says that the folder of a savepoint can be written.
	prepared struct{ wish }
	// exported says that a savepoint is in its folder, or why not.
	exported struct {
		wish
		attempt  int
		metadata checkpoint.Metadata
		err      error
	}
)

// savepoints are those of a job that are under way. They belong to the master's loop.
type savepoints struct {
	wishes map[string]wish // that the coordinator has, by request
	stop   *exported       // with which the job is ending; nil for none
}

// Savepoint begins a savepoint or checkpoint; Operation says how far it is. Errors: ErrNotLeading, ErrNoJob, ErrNoSavepointDir,
// *TerminalError, and what is wrong with Dir.
func (d *Dispatcher) Savepoint(r SavepointRequest) error {
	if !d.Leads() {
		return ErrNotLeading
	}
	m, err := d.master(r.JobID)
	if err != nil {
		return err
	}
	key := OperationKey{Kind: OperationSavepoint, JobID: r.JobID, Trigger: r.Trigger}
	if !r.Kind.IsSavepoint() {
		key.Kind = OperationCheckpoint
	}
	if !d.operations.begin(key) {
		return nil
	}
	w := wish{request: fmt.Sprintf("%d/%s", key.Kind, key.Trigger), kind: r.Kind, answer: func(o Operation) { d.operations.end(key, o) }}
	if w.kind.IsSavepoint() {
		w.folder, err = d.savepointFolder(r)
	}
	if err == nil {
		err = m.wish(w)
	}
	if err != nil {
		d.operations.forget(key)
	}
	return err
}

// savepointFolder draws the folder of a new savepoint, with a name such as Flink's.
func (d *Dispatcher) savepointFolder(r SavepointRequest) (blobstore.Location, error) {
	dir := r.Dir
	if dir == "" {
		dir = d.cfg.SavepointDir
	}
	if dir == "" {
		return blobstore.Location{}, ErrNoSavepointDir
	}
	parent, err := blobstore.Locate(dir)
	if err != nil {
		return blobstore.Location{}, err
	}
	return parent.Join(fmt.Sprintf("savepoint-%s-%s", r.JobID[:6], newJobID()[:12])), nil
}

// Operation says how far a savepoint, checkpoint or disposal is; ErrNoOperation for one that is not known.
func (d *Dispatcher) Operation(key OperationKey) (Operation, error) { return d.operations.get(key) }

// DisposeSavepoint begins to remove a savepoint; Operation says how far it is. Errors: ErrNotLeading, and what is wrong with the location.
func (d *Dispatcher) DisposeSavepoint(trigger, location string) error {
	folder, err := blobstore.Locate(location)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.term == nil || d.term.ctx.Err() != nil {
		return ErrNotLeading
	}
	key := OperationKey{Kind: OperationDisposal, Trigger: trigger}
	if !d.operations.begin(key) {
		return nil
	}
	ctx := d.term.ctx
	d.term.running.Go(func() { d.operations.end(key, Operation{Err: dispose(ctx, folder)}) })
	return nil
}

// dispose removes a savepoint and nothing else that lies in its folder.
func dispose(ctx context.Context, folder blobstore.Location) error {
	folder = folder.Trim(checkpoint.MetadataName)
	metadata, err := readSavepoint(ctx, folder)
	if err != nil {
		return fmt.Errorf("dispose of savepoint: %w", err)
	}
	keys := []string{checkpoint.MetadataName} // the first to go: what is left is no savepoint
	for _, b := range metadata.Checkpoint.Blobs() {
		keys = append(keys, b.Key)
	}
	return folder.Remove(ctx, keys)
}

// wish queues a wish for a job that has not ended.
func (m *master) wish(w wish) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.status.Terminal() {
		return &TerminalError{Status: m.state.status}
	}
	m.post(w) // before the job can end: settle will see it
	return nil
}

// savepoint takes an event about savepoints.
func (m *master) savepoint(ctx context.Context, e any) {
	switch e := e.(type) {
	case wish:
		if e.kind.IsSavepoint() {
			m.prepare(ctx, e)
		} else {
			m.request(ctx, e)
		}
	case prepared:
		m.request(ctx, e.wish)
	case exported:
		m.exported(ctx, e)
	}
}

// incomplete is the file that a savepoint's folder has until it is written.
const incomplete = "_incomplete"

// prepare makes the folder of a savepoint: where it cannot be written is told before the job stops for it.
func (m *master) prepare(ctx context.Context, w wish) {
	m.background.Go(func() {
		bucket, err := w.folder.Open(ctx, true)
		if err == nil {
			err = errors.Join(bucket.WriteAll(ctx, incomplete, nil), bucket.Close())
		}
		if err != nil {
			w.fail(fmt.Errorf("create savepoint directory at %s: %w", w.folder, err))
			return
		}
		m.post(prepared{w})
	})
}

func (m *master) request(ctx context.Context, w wish) {
	if m.savepoints.wishes == nil {
		m.savepoints.wishes = make(map[string]wish)
	}
	m.savepoints.wishes[w.request] = w
	m.coordinate(ctx, coordinator.Requested{Request: w.request, Kind: w.kind})
}

// takeWish returns the wish that a coordinator's answer is about.
func (m *master) takeWish(request string) (wish, bool) {
	w, ok := m.savepoints.wishes[request]
	delete(m.savepoints.wishes, request)
	return w, ok
}

// refused answers a wish whose checkpoint will not be.
func (m *master) refused(ctx context.Context, request, reason string) {
	if w, ok := m.takeWish(request); ok {
		m.giveUp(ctx, w, errors.New(reason))
	}
}

// giveUp answers a wish that failed and removes the folder that was made for it.
func (m *master) giveUp(ctx context.Context, w wish, err error) {
	if !w.kind.IsSavepoint() {
		w.fail(err)
		return
	}
	m.background.Go(func() {
		if left := w.folder.Remove(ctx, []string{incomplete}); left != nil && ctx.Err() == nil {
			m.cfg.Logger.Warn("folder of a savepoint that failed not removed", "job_id", m.id, "location", w.folder, "error", left)
		}
		w.fail(fmt.Errorf("%s: %w", w.kind, err))
	})
}

// complete goes on with a checkpoint that is committed. One with which the job stops is announced once the savepoint is written:
// until then the job can still go on from it.
func (m *master) complete(ctx context.Context, a coordinator.NotifyComplete) {
	w, asked := m.takeWish(a.Request)
	if asked && a.Kind == checkpoint.HandOver {
		w.answer(Operation{CheckpointID: a.ID}) // is heard of before a subtask that finishes with the checkpoint: the job is not at its end
		m.notifyComplete(ctx, a)
		return
	}
	if !asked || !a.Kind.Ends() {
		m.notifyComplete(ctx, a)
	}
	switch {
	case !asked:
	case !a.Kind.IsSavepoint():
		w.answer(Operation{CheckpointID: a.ID})
	default:
		m.export(ctx, w, a.Attempt)
	}
}

// export writes the newest checkpoint to the folder of a savepoint, in the background.
func (m *master) export(ctx context.Context, w wish, attempt int) {
	e := exported{wish: w, attempt: attempt, metadata: checkpoint.Metadata{JobID: m.id, Checkpoint: *m.latest}}
	m.mu.Lock()
	e.metadata.JobName, e.metadata.Plan = m.state.name, m.state.encodedPlan
	for i, s := range m.state.splits {
		e.metadata.Splits = append(e.metadata.Splits, checkpoint.Split{
			Number: int32(i), Topic: s.Topic, Partition: s.Partition, Next: s.Start, Stop: s.Stop, Newest: math.MinInt64,
		})
	}
	m.mu.Unlock()
	m.background.Go(func() {
		e.metadata, e.err = writeSavepoint(ctx, m.cfg.Storage, w.folder, e.metadata)
		m.post(e)
	})
}

// writeSavepoint copies the blobs of a checkpoint to a folder and, when all are there, its metadata, which it returns as it is there.
func writeSavepoint(ctx context.Context, storage Storage, folder blobstore.Location, m checkpoint.Metadata) (_ checkpoint.Metadata, err error) {
	from, err := storage.Bucket(ctx)
	if err != nil {
		return m, err
	}
	to, err := folder.Open(ctx, true)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	moved, err := m.Checkpoint.WithBlobs(func(b checkpoint.Blob) (checkpoint.Blob, error) {
		copied := b
		copied.Key = path.Base(b.Key)
		return copied, blobstore.Copy(ctx, from, b, to, copied.Key)
	})
	if err != nil {
		return m, fmt.Errorf("write savepoint %s: %w", folder, err)
	}
	m.Checkpoint = moved
	if err := to.WriteAll(ctx, checkpoint.MetadataName, m.Encode()); err != nil {
		return m, fmt.Errorf("write savepoint %s: %w", folder, err)
	}
	if err := to.Delete(ctx, incomplete); err != nil && !blobstore.IsMissing(err) {
		return m, fmt.Errorf("write savepoint %s: %w", folder, err)
	}
	return m, nil
}

// exported goes on when a savepoint is in its folder, or cannot be. A job whose sources have stopped for one that cannot be goes on
// by a restart, as in Flink.
func (m *master) exported(ctx context.Context, e exported) {
	id := e.metadata.Checkpoint.ID
	m.coordinate(ctx, coordinator.Released{ID: id})
	running := m.machine.Status() == jobfsm.Running && m.machine.Attempt() == e.attempt
	switch {
	case e.err != nil:
		e.fail(e.err)
		if e.kind.Ends() && running {
			m.step(ctx, jobfsm.JobFailed{Failure: jobfsm.Failure{Message: e.err.Error()}})
		}
	case !e.kind.Ends():
		m.cfg.Logger.Info("savepoint written", "job_id", m.id, "checkpoint_id", id, "location", e.folder)
		e.answer(Operation{CheckpointID: id, Location: e.folder.String()})
	case running:
		m.savepoints.stop = &e
		m.notifyComplete(ctx, coordinator.NotifyComplete{ID: id, Kind: e.kind, Attempt: e.attempt})
	default:
		e.notStopped(m.machine.Status())
	}
}

// notStopped says that a savepoint was made with which the job did not end.
func (e *exported) notStopped(status jobfsm.Status) {
	e.fail(fmt.Errorf("the savepoint was made at %s, but the job did not stop with it: it is %s", e.folder, status))
}

// stopped answers the wish of a stop when the job reaches a status that says whether it did. All part files of the savepoint are
// published then: a job that goes on from it need not look for them.
func (m *master) stopped(ctx context.Context, status jobfsm.Status) {
	e := m.savepoints.stop
	if e == nil || status == jobfsm.Running || status == jobfsm.Created {
		return
	}
	m.savepoints.stop = nil
	if status != jobfsm.Finished {
		e.notStopped(status)
		return
	}
	m.background.Go(func() {
		e.metadata.Checkpoint = e.metadata.Checkpoint.Published().PublishedDeadLetters()
		bucket, err := e.folder.Open(ctx, false)
		if err == nil {
			err = errors.Join(bucket.WriteAll(ctx, checkpoint.MetadataName, e.metadata.Encode()), bucket.Close())
		}
		if err != nil { // the savepoint is good as it was
			m.cfg.Logger.Warn("savepoint not told that its files are published", "job_id", m.id, "location", e.folder, "error", err)
		}
		m.cfg.Logger.Info("job stopped with a savepoint", "job_id", m.id, "location", e.folder)
		e.answer(Operation{CheckpointID: e.metadata.Checkpoint.ID, Location: e.folder.String()})
	})
}

// settle ends the savepoints that are under way when the job, or this leadership, has ended.
func (m *master) settle(ctx context.Context) {
	m.background.Wait()
	status := m.machine.Status()
	why := fmt.Errorf("the job has ended: it is %s", status)
	if ctx.Err() != nil {
		why = errors.New("this jobmanager no longer leads; ask again")
	}
	for _, e := range m.mailbox.drain() {
		switch e := e.(type) {
		case wish:
			e.fail(why)
		case prepared:
			m.giveUp(ctx, e.wish, why)
		case boundsWished:
			e.answer <- why
		case exported:
			if e.err == nil && e.kind.Ends() && ctx.Err() != nil {
				e.fail(why)
				continue
			}
			m.exported(ctx, e)
		}
	}
	if e := m.savepoints.stop; e != nil {
		e.fail(why)
	}
	for request := range m.savepoints.wishes {
		m.refused(ctx, request, why.Error())
	}
	m.background.Wait()
}
