package simulation_test

import (
	"slices"

	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

func (w *world) breakSomething() {
	tm := w.taskManagers[w.rng.IntN(len(w.taskManagers))]
	n := w.rng.IntN(12)
	w.harmed = w.harmed || n < 7
	switch {
	case n < 2 && !tm.dead && tm.link != nil: // the taskmanager finds out later
		w.note("the stream of %s breaks", tm.id)
		tm.link.cut()
	case n < 3 && !tm.dead && tm.link != nil: // the taskmanager finds out first
		w.note("%s drops its stream", tm.id)
		tm.lose()
	case n < 5 && !tm.dead:
		w.killTaskManager(tm)
		w.startTaskManager()
	case n < 6:
		w.note("the jobmanager dies")
		w.jobManager.kill()
		w.jobManager.running.Wait()
		w.lead()
		w.follow()
	case n < 7:
		w.note("the jobmanager is to lose the answer to its next checkpoint")
		w.jobManager.loseAnswer.Store(true)
	case n < 9:
		w.failTask("broken")
	default:
		w.losePeer()
	}
	w.revive()
}

// revive starts a jobmanager when the last one has given up its leadership.
func (w *world) revive() {
	w.settle()
	if w.jobManager.over.Load() {
		w.note("another jobmanager leads")
		w.harmed = true
		w.jobManager.kill()
		w.jobManager.running.Wait()
		w.lead()
		w.follow()
	}
}

// follow lets taskmanagers find the new leader soon, if not all of them.
func (w *world) follow() {
	for _, i := range w.rng.Perm(len(w.taskManagers)) {
		tm := w.taskManagers[i]
		if tm.dead || w.rng.IntN(10) == 0 {
			continue
		}
		if tm.link != nil {
			tm.lose()
		}
		w.connect(tm)
		w.note("%s follows the new leader", tm.id)
	}
}

func (w *world) killTaskManager(tm *taskManager) {
	w.note("%s dies", tm.id)
	tm.dead = true
	for _, t := range tm.sorted() {
		w.gone[t.ref] = true
	}
	if tm.link != nil && w.rng.IntN(3) > 0 { // else nobody tells the jobmanager but the clock
		tm.link.cut()
	}
}

func (w *world) failTask(why string) {
	if all := w.tasks(); len(all) > 0 {
		t := all[w.rng.IntN(len(all))]
		w.note("%v fails", t.ref)
		w.end(t)
		t.tm.update(t.deploy.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FAILED, &controlv1.Failure{Message: why})
	}
}

// losePeer lets a subtask find that another one is gone.
func (w *world) losePeer() {
	for _, t := range w.tasks() {
		for _, peer := range slices.Concat(t.deploy.GetUpstreams(), t.deploy.GetDownstreams()) {
			if w.gone[refOf(peer.GetSubtask())] {
				w.note("%v misses %v", t.ref, refOf(peer.GetSubtask()))
				w.end(t)
				t.tm.update(t.deploy.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FAILED, &controlv1.Failure{Message: "peer is gone", LostPeer: true})
				return
			}
		}
	}
}

// end is that a subtask ends before its time.
func (w *world) end(t *task) {
	delete(t.tm.tasks, t.ref)
	t.tm.late[t.ref] = t
	w.gone[t.ref] = true
}

func (w *world) finish(t *task) {
	delete(t.tm.tasks, t.ref)
	w.finished[t.ref] = true
}
