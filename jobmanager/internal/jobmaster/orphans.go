package jobmaster

import (
	"context"
	"math"
	"regexp"
	"time"

	"pencere/jobmanager/internal/replica"
	"pencere/pkg/checkpoint"
)

// removeOrphans removes, in the background, what crashes have left of the job's checkpoints: the state of those that were never
// committed, and of superseded ones that nobody came to remove.
func (m *master) removeOrphans(ctx context.Context, attempt int) {
	inUse, newest := m.checkpoints.InUse()
	m.background.Go(func() {
		keys, err := m.cfg.Storage.Keys(ctx, checkpoint.JobPrefix(m.id), time.Time{})
		if orphans := checkpoint.Orphans(m.id, keys, inUse, attempt, newest); err == nil && len(orphans) > 0 {
			err = m.cfg.Storage.Delete(ctx, orphans)
			m.cfg.Logger.Info("state that no checkpoint holds removed", "job_id", m.id, "blobs", len(orphans))
		}
		if err != nil && ctx.Err() == nil {
			m.cfg.Logger.Warn("state that no checkpoint holds not removed", "job_id", m.id, "error", err)
		}
	})
}

// removeAll removes what is left of a job that has ended: nothing goes on from it.
func (m *master) removeAll(ctx context.Context) { m.removeOrphans(ctx, math.MaxInt) }

// jobID matches what newJobID makes.
var jobID = regexp.MustCompile(`\A[0-9a-f]{32}\z`)

// forgottenAfter is how old the state of a job that is not known must be to be removed: one that is being submitted copies its
// savepoint's state before it is known.
const forgottenAfter = time.Minute

// removeGone removes the state of jobs that have ended, and, from storage that is no other cluster's too, of jobs that are not known:
// these were about to begin from a savepoint when their jobmanager died.
func (d *Dispatcher) removeGone(ctx context.Context) {
	now := d.cfg.Now()
	ended := make(map[string]bool) // or not
	for _, job := range d.cfg.Log.Jobs() {
		ended[job.GetJobId()] = replica.Status(job.GetStatus()).Terminal()
	}
	folders, err := d.cfg.Storage.Folders(ctx)
	for _, folder := range folders {
		isEnded, isKnown := ended[folder]
		var keys []string
		switch {
		case err != nil:
		case isEnded:
			keys, err = d.cfg.Storage.Keys(ctx, checkpoint.JobPrefix(folder), time.Time{})
		case !isKnown && d.cfg.OwnStorage && jobID.MatchString(folder):
			keys, err = d.cfg.Storage.Keys(ctx, checkpoint.JobPrefix(folder), now.Add(-forgottenAfter))
		}
		if err == nil && len(keys) > 0 {
			err = d.cfg.Storage.Delete(ctx, keys)
			d.cfg.Logger.Info("state of a job that is gone removed", "job_id", folder, "blobs", len(keys))
		}
	}
	if err != nil && ctx.Err() == nil {
		d.cfg.Logger.Warn("state of jobs that are gone not removed", "error", err)
	}
}
