package simulation_test

import (
	"testing"
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
	w.checkStrays()
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

// checkStrays fails if a subtask of the job, which has ended, runs on when all taskmanagers have come back.
func (w *world) checkStrays() {
	for range 3 { // one finds its stream broken, connects, and hears
		for _, tm := range w.taskManagers {
			w.healTaskManager(tm)
		}
		w.settle()
		for w.deliverMessage() {
			continue
		}
	}
	for _, t := range w.tasks() {
		w.fail("subtask %v runs on", t.ref)
	}
}

// whole reports whether the job runs with all its subtasks, none of which has stopped or failed.
func (w *world) whole() bool {
	job, err := w.jobManager.dispatcher.Job(w.job)
	if err != nil || job.Status != jobfsm.Running {
		return false
	}
	running := 0
	current := make(map[ref]bool)
	for _, v := range job.Vertices {
		for _, sub := range v.Subtasks {
			current[ref{v.ID, int32(sub.Index), int32(sub.Attempt)}] = true
		}
	}
	for _, t := range w.tasks() {
		if current[t.ref] && !t.stopped && t.tm.link != nil {
			running++
		}
	}
	return running > 0 && running == len(current)
}

// Whatever happened before: a leader to whom all taskmanagers come in time goes on with the attempt that runs, and the job ends as if nothing had been.
func TestTakeOver(t *testing.T) {
	const seeds = 60
	reached := 0
	for n := range seeds {
		inWorld(t, *seed+uint64(n), func(w *world) {
			w.trouble = 5
			for range 200 + w.rng.IntN(1500) {
				w.step()
			}
			w.faults, w.stalled = false, nil
			w.jobManager.loseAnswer.Store(false)
			for range 200 {
				if w.whole() || w.ended() {
					break
				}
				for _, tm := range w.taskManagers {
					w.healTaskManager(tm)
				}
				for w.deliverMessage() {
					continue
				}
				w.pass(200 * time.Millisecond)
			}
			if w.whole() {
				reached++
				w.takeOver()
			}
			w.heal()
		})
	}
	if reached < seeds/3 {
		t.Errorf("the job ran in %d of %d worlds", reached, seeds)
	}
}

// takeOver replaces the jobmanager of a job that runs.
func (w *world) takeOver() {
	before, _ := w.jobManager.dispatcher.Job(w.job)
	adopted := w.adopted.Load()
	w.note("the jobmanager dies at attempt %d", before.Attempt)
	w.jobManager.kill()
	w.jobManager.running.Wait()
	w.lead()
	for _, tm := range w.taskManagers {
		if tm.link != nil {
			tm.lose()
		}
		if !tm.dead {
			w.connect(tm)
		}
	}
	for w.deliverMessage() {
		continue
	}
	after, err := w.jobManager.dispatcher.Job(w.job)
	if err != nil || after.Restarts != before.Restarts || w.adopted.Load() != adopted+1 || after.Status != jobfsm.Running && after.Status != jobfsm.Finished {
		w.fail("attempt %d was to go on, and %d is %s: %v, failures %v", before.Attempt, after.Attempt, after.Status, err, after.Failures)
	}
}
