package simulation_test

import (
	"time"

	"pencere/jobmanager/internal/jobfsm"
)

// heal lets nothing fail any more: the job must end.
func (w *world) heal() {
	w.note("nothing fails any more")
	w.faults, w.stalled = false, nil
	w.jobManager.loseAnswer.Store(false)
	w.revive()
	for range 4000 {
		for _, tm := range w.taskManagers {
			w.healTaskManager(tm)
		}
		w.settle()
		for w.deliverMessage() {
			continue
		}
		for w.deliverElement() {
			continue
		}
		for range 3 {
			w.readRow()
		}
		w.losePeer()
		if w.ended() {
			w.checkEnd()
			return
		}
		w.pass(200 * time.Millisecond)
		w.settle()
	}
	job, err := w.jobManager.dispatcher.Job(w.job)
	w.fail("the job does not end: %s, %v, failures %v", job.Status, err, job.Failures)
}

func (w *world) healTaskManager(tm *taskManager) {
	switch {
	case tm.dead && tm.link != nil:
		tm.link.cut()
	case tm.dead:
	case tm.link == nil:
		w.connect(tm)
	case tm.link.ctx.Err() != nil || tm.link.ended.Load():
		tm.lose()
	}
}

func (w *world) ended() bool {
	job, err := w.jobManager.dispatcher.Job(w.job)
	return err == nil && job.Status.Terminal() && len(w.messages()) == 0
}

// checkEnd checks what is left when the job has ended.
func (w *world) checkEnd() {
	job, _ := w.jobManager.dispatcher.Job(w.job)
	w.note("the job is %s", job.Status)
	if job.Status == jobfsm.Failed {
		w.fail("the job has failed: %v", job.Failures)
	}
	if job.Imbalance != "" {
		w.fail("the ledger does not balance: %s", job.Imbalance)
	}
	for key := range w.jobManager.asked {
		if o, err := w.jobManager.dispatcher.Operation(key); err == nil && !o.Done {
			w.fail("operation %v is not answered", key)
		}
	}
	last := w.committed[w.newest]
	published := job.Status == jobfsm.Finished || !w.harmed && !last.Kind.Stops()
	read := 0
	for _, s := range last.States {
		for _, split := range s.Splits {
			for offset := range split.Next {
				read++
				if w.seen[row{split.Number, offset}] == "" && published {
					w.fail("row %d of split %d is read by checkpoint %d, and not published", offset, split.Number, last.ID)
					return
				}
			}
		}
	}
	if read < len(w.seen) {
		w.fail("%d rows are published, %d were read by checkpoint %d", len(w.seen), read, last.ID)
	}
}
