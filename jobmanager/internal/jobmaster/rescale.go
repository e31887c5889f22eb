package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/pkg/checkpoint"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/plan"
)

// Events about the parallelism of a job.
type (
	// slotsChanged is posted when there may be more or fewer slots for the job.
	slotsChanged struct{}
	// rescaleDue is posted at the time that the rescaler asked for.
	rescaleDue struct{}
	// rescaleReady is posted when the checkpoint that the rescaler asked for exists, or will not.
	rescaleReady struct {
		attempt int
		kind    checkpoint.Kind // Periodic or HandOver
		err     error
	}
	// boundsWished is posted for a user.
	boundsWished struct {
		bounds elastic.Bounds
		answer chan error // has room for one
	}
)

// rescaling is how a job changes its parallelism. It belongs to the master's loop.
type rescaling struct {
	*elastic.Rescaler
	timer  *time.Timer // nil before the first
	ending bool        // the last checkpoint of the attempt is committed
}

// rescaleRequest names the checkpoint before a rescale; those of users have a slash.
const rescaleRequest = "rescale"

// Rescale replaces the bounds of a job's parallelism. It returns when they are durable; the job follows. Errors: ErrNotLeading,
// ErrNoJob, *TerminalError, *BoundsError.
func (d *Dispatcher) Rescale(ctx context.Context, id string, b elastic.Bounds) error {
	if !d.Leads() {
		return ErrNotLeading
	}
	m, err := d.master(id)
	if err != nil {
		return err
	}
	return m.wishBounds(ctx, b)
}

// BoundsError is returned for a parallelism that a job cannot have.
type BoundsError struct{ reason string }

func (e *BoundsError) Error() string { return e.reason }

func checkBounds(b elastic.Bounds, p *plan.Program) error {
	most := p.Job.MaxParallelism
	switch {
	case b.Lower < 0 || b.Upper < 0:
		return &BoundsError{fmt.Sprintf("a parallelism must be at least 1, got %d to %d", b.Lower, b.Upper)}
	case b.Upper > 0 && b.Lower > b.Upper:
		return &BoundsError{fmt.Sprintf("the lower bound %d is greater than the upper bound %d", b.Lower, b.Upper)}
	case max(b.Lower, b.Upper) > most:
		return &BoundsError{fmt.Sprintf("parallelism %d is more than the job's max_parallelism, which is %d", max(b.Lower, b.Upper), most)}
	default:
		return nil
	}
}

func (m *master) wishBounds(ctx context.Context, b elastic.Bounds) error {
	if err := checkBounds(b, m.program); err != nil {
		return err
	}
	w := boundsWished{bounds: b, answer: make(chan error, 1)}
	m.mu.Lock()
	status := m.state.status
	if !status.Terminal() {
		m.post(w) // before the job can end: settle will see it
	}
	m.mu.Unlock()
	if status.Terminal() {
		return &TerminalError{Status: status}
	}
	select {
	case err := <-w.answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// setBounds keeps a user's wish.
func (m *master) setBounds(ctx context.Context, w boundsWished) {
	if !m.apply(ctx, &storagev1.Command{Command: &storagev1.Command_SetParallelism{SetParallelism: &storagev1.SetParallelism{
		JobId: m.id, Parallelism: &storagev1.Parallelism{Lower: int32(w.bounds.Lower), Upper: int32(w.bounds.Upper)}}}}) {
		w.answer <- ErrNotLeading
		return
	}
	m.mu.Lock()
	m.state.bounds = w.bounds
	m.mu.Unlock()
	m.cfg.Logger.Info("bounds of the job's parallelism set", "job_id", m.id, "lower", w.bounds.Least(), "upper", w.bounds.Upper)
	m.cfg.Slots.Reconsider()
	w.answer <- nil
}

// storedBounds returns the bounds that the log has for a job, else those of its plan.
func storedBounds(job *storagev1.Job, p *plan.Program) elastic.Bounds {
	if stored := job.GetParallelism(); stored != nil {
		return elastic.Bounds{Lower: int(stored.GetLower()), Upper: int(stored.GetUpper())}
	}
	return elastic.Fixed(p.Job.Parallelism)
}

// slotsChanged may be called at any time; a master hears of many changes at once.
func (m *master) slotsChanged() {
	if m.slotsTold.CompareAndSwap(false, true) {
		m.post(slotsChanged{})
	}
}

// slotsChanged tells all jobs.
func (d *Dispatcher) slotsChanged() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.masters {
		m.slotsChanged()
	}
}

// seen is how the job runs and what slots there are for it.
func (m *master) seen() elastic.Seen {
	slots, leaving := m.cfg.Slots.Reach(m.id) // before m.mu: the pool asks masters while it is locked
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.state
	return elastic.Seen{
		Attempt: m.machine.Attempt(), Parallelism: s.parallelism, Slots: slots,
		Target:  s.bounds.Target(slots, len(s.splits), s.program.Job.MaxParallelism),
		Leaving: leaving,
	}
}

// reconsider has the rescaler look at the job, if it runs.
func (m *master) reconsider(ctx context.Context) {
	if m.machine.Status() != jobfsm.Running || !m.attemptRuns || m.rescaling.ending {
		return
	}
	seen := m.seen()
	if seen.Parallelism == 0 {
		return
	}
	m.showLack(seen)
	switch decision, at := m.rescaling.See(m.cfg.Now(), seen); decision {
	case elastic.Stay, elastic.Rescale: // See never says the latter: Committed does
	case elastic.Look:
		m.rescaling.stop()
		m.rescaling.timer = time.AfterFunc(at.Sub(m.cfg.Now()), func() { m.post(rescaleDue{}) })
	case elastic.Checkpoint:
		m.cfg.Logger.Info("checkpoint for a rescale", "job_id", m.id, "parallelism", seen.Parallelism, "slots", seen.Slots)
		m.checkpointFor(ctx, seen, checkpoint.Periodic)
	case elastic.HandOver:
		m.cfg.Logger.Info("checkpoint to hand over, as a taskmanager is leaving", "job_id", m.id, "parallelism", seen.Parallelism, "slots", seen.Slots)
		m.checkpointFor(ctx, seen, checkpoint.HandOver)
	}
}

// checkpointFor asks for the checkpoint that the next attempt is to go on from.
func (m *master) checkpointFor(ctx context.Context, seen elastic.Seen, kind checkpoint.Kind) {
	m.request(ctx, wish{request: rescaleRequest, kind: kind, answer: func(o Operation) {
		m.post(rescaleReady{attempt: seen.Attempt, kind: kind, err: o.Err})
	}})
}

// rescale begins the next attempt from the checkpoint that was taken for it, if that is still wanted. A user's savepoint that is under
// way comes first, unless the sources have stopped: it may be the one that the job stops with.
func (m *master) rescale(ctx context.Context, e rescaleReady) {
	if e.attempt != m.machine.Attempt() || m.machine.Status() != jobfsm.Running {
		return
	}
	if len(m.savepoints.wishes) > 0 && e.kind != checkpoint.HandOver || m.rescaling.ending {
		e.err = errors.New("a savepoint or the end of the job is under way")
	}
	if e.err != nil {
		m.cfg.Logger.Warn("no rescale yet", "job_id", m.id, "reason", e.err)
		m.rescaling.Failed(m.cfg.Now())
		return
	}
	seen := m.seen()
	if m.rescaling.Committed(seen) == elastic.Rescale {
		m.step(ctx, jobfsm.Rescale{Attempt: e.attempt, Note: rescaleNote(e.kind, seen)})
	}
}

func rescaleNote(kind checkpoint.Kind, s elastic.Seen) string {
	if kind == checkpoint.HandOver {
		return fmt.Sprintf("hand-over: a taskmanager is leaving; nothing is read twice, as the sources stopped at the checkpoint; slots for the job: %d", s.Slots)
	}
	return fmt.Sprintf("rescale: from parallelism %d to %d, from a checkpoint taken for it; slots for the job: %d", s.Parallelism, s.Target, s.Slots)
}

// showLack says of a job that runs that it is to have more slots than there are.
func (m *master) showLack(seen elastic.Seen) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.notice = ""
	if least := m.state.bounds.Least(); seen.Slots < least && least > seen.Parallelism {
		m.state.notice = fmt.Sprintf("waiting for slots to change its parallelism from %d: it is to take %d, %d are there for it",
			seen.Parallelism, least, seen.Slots)
	}
}

func (r *rescaling) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}
