package jobmaster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/slotpool"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

// windowless is a job each of whose subtasks is a region.
const windowless = `
name: listings
parallelism: %s
source:
  kafka: {brokers: "k:9092", topic: sahibinden}
  schema: {id: INT, product: STRING, t: TIMESTAMP(3)}
sink: {csv: {path: out}}
restart_strategy: {type: fixed-delay, attempts: 3, delay: 3s}
`

// runWindowless runs a job without a window at parallelism 2 up to its first checkpoint, one subtask on each of two taskmanagers.
func (w *world) runWindowless(parallelism string) (id string, tms [2]*taskManager) {
	w.t.Helper()
	a, b := w.register("a:1-x", 1), w.register("b:1-y", 1)
	id = w.submitText(fmt.Sprintf(windowless, parallelism))
	w.ackAll(a, b)
	return id, [2]*taskManager{a, b}
}

// pass lets time pass, and what is due then happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// attemptOf returns the attempts of the job's subtasks, by index.
func attemptOf(job view.Job) (attempts []int) {
	for _, s := range job.Vertices[0].Subtasks {
		attempts = append(attempts, s.Attempt)
	}
	return attempts
}

// A subtask that fails begins again alone, from the newest checkpoint. The other one goes on; what the checkpoint under way held of it
// is in the next one.
func TestOnlyTheRegionBeginsAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		id, tms := w.runWindowless("2")
		a, b := tms[0], tms[1]
		pass(interval)
		if orders := slices.Concat(a.takeOrders(), b.takeOrders()); !slices.Equal(orders, []string{"trigger 2 of 0", "trigger 2 of 1"}) {
			t.Fatalf("orders %q", orders)
		}
		first := w.job(id).Vertices[0].Subtasks[0]
		w.fail(a.id, &controlv1.SubtaskRef{JobId: id, VertexId: w.job(id).Vertices[0].ID}, &controlv1.Failure{Message: "disk full"})
		if job := w.wants(id, jobfsm.Restarting); first.TaskManagerID != a.id || job.Vertices[0].Subtasks[1].State != jobfsm.SubtaskRunning {
			t.Errorf("subtask 0 was on %s; now %v", first.TaskManagerID, job.Vertices[0].Subtasks)
		}
		if orders := b.takeOrders(); !slices.Equal(orders, []string{"abort 2 of 1"}) {
			t.Errorf("the other subtask hears %q", orders)
		}
		a.takeOrders()
		pass(3 * time.Second)
		job := w.wants(id, jobfsm.Running)
		if got := attemptOf(job); !slices.Equal(got, []int{1, 0}) || job.Restarts != 1 || len(job.Failures) != 1 || len(b.canceled) > 0 {
			t.Errorf("attempts %v, %d restarts, failures %v, canceled %v", got, job.Restarts, job.Failures, b.canceled)
		}
		again := w.start(a)
		if next := w.positions(1, again); len(again) != 1 || len(next) != 1 || next[0] != 150 || again[0].GetSubtask().GetAttempt() != 1 {
			t.Errorf("%v goes on at %v", again, next)
		}
		if late := b.take(); len(late) > 0 {
			t.Errorf("the other one is deployed again: %v", late)
		}
		pass(interval)
		if orders := slices.Concat(a.takeOrders(), b.takeOrders()); !slices.Equal(orders, []string{"trigger 3 of 0", "trigger 3 of 1"}) {
			t.Errorf("orders %q", orders)
		}
		w.ack(3, 170, again)
		w.dispatcher.CheckpointAck(&controlv1.CheckpointAck{
			Subtask: &controlv1.SubtaskRef{JobId: id, VertexId: job.Vertices[0].ID, SubtaskIndex: 1}, CheckpointId: 3,
			State: checkpoint.State{Subtask: checkpoint.Subtask{VertexID: job.Vertices[0].ID, Index: 1}}.Encode(),
		})
		if orders := slices.Concat(a.takeOrders(), b.takeOrders()); !slices.Equal(orders, []string{"commit 3 of 0", "commit 3 of 1"}) {
			t.Errorf("orders %q", orders)
		}
		if job := w.job(id); job.Checkpoints.Restored == nil {
			t.Error("no restored checkpoint is shown")
		}
	})
}

// With a window all subtasks are one region.
func TestAWindowIsOneRegion(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.register("a:1-x", 1), w.register("b:1-y", 1)
		id := w.submit("2", fixedDelay)
		w.ackAll(a, b)
		w.fail(a.id, &controlv1.SubtaskRef{JobId: id, VertexId: w.job(id).Vertices[0].ID}, &controlv1.Failure{Message: "disk full"})
		pass(interval)
		if again := slices.Concat(a.take(), b.take()); len(again) != 4 || !slices.Equal(attemptOf(w.wants(id, jobfsm.Running)), []int{1, 1}) {
			t.Errorf("%d subtasks begin again", len(again))
		}
	})
}

// The subtasks of a taskmanager that is gone begin again on another one that has a slot. Without one they wait, and the others go on.
func TestRegionOfALostTaskManager(t *testing.T) {
	inWorld(t, func(w *world) {
		id, tms := w.runWindowless("2")
		c := w.register("c:1-z", 1)
		tms[0].leave("its connection broke")
		pass(3 * time.Second)
		if again := w.start(c); len(again) != 1 || !slices.Equal(attemptOf(w.wants(id, jobfsm.Running)), []int{1, 0}) {
			t.Fatalf("%d subtasks begin again at %s", len(again), c.id)
		}
		c.leave("its connection broke")
		pass(3 * time.Second)
		job := w.wants(id, jobfsm.Running)
		if s := job.Vertices[0].Subtasks; s[0].State != jobfsm.SubtaskScheduled || s[0].TaskManagerID != "" || s[1].State != jobfsm.SubtaskRunning || !strings.Contains(job.Notice, "waiting for slots") {
			t.Fatalf("subtasks are %s and %s, notice %q", s[0].State, s[1].State, job.Notice)
		}
		d := w.register("d:1-z", 1)
		again := w.start(d)
		if next := w.positions(1, again); len(again) != 1 || next[0] != 150 {
			t.Errorf("%d subtasks go on at %v", len(again), next)
		}
		if job := w.wants(id, jobfsm.Running); !slices.Equal(attemptOf(job), []int{2, 0}) || job.Restarts != 2 || job.Notice != "" {
			t.Errorf("attempts %v, %d restarts, notice %q", attemptOf(job), job.Restarts, job.Notice)
		}
		if late := tms[1].take(); len(late) > 0 || len(tms[1].canceled) > 0 {
			t.Errorf("the other one was disturbed: %v", late)
		}
	})
}

// A job that follows the slots does not wait: it goes on, all of it, on those that are left.
func TestRegionWithoutASlotRescales(t *testing.T) {
	inWorld(t, func(w *world) {
		id, tms := w.runWindowless("auto")
		tms[0].leave("its connection broke")
		pass(3 * time.Second)
		again := tms[1].take()
		if next := w.positions(1, again); len(again) != 1 || len(next) != 2 {
			t.Errorf("%d subtasks go on at %v", len(again), next)
		}
		if job := w.wants(id, jobfsm.Running); job.Parallelism != 1 || job.Restarts != 1 {
			t.Errorf("parallelism %d, %d restarts: %v", job.Parallelism, job.Restarts, job.Failures)
		}
	})
}

// A bounded job in which a subtask has finished: another one that fails after the last checkpoint publishes it, and ends the job with
// one more.
func TestRegionFailsAtTheEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.register("a:1-x", 1), w.register("b:1-y", 1)
		id := w.submitText(strings.Replace(fmt.Sprintf(windowless, "2"), "topic: sahibinden", "topic: sahibinden, bounded: latest", 1))
		one, two := w.start(a), w.start(b)
		w.end(one)
		w.end(two)
		if orders := b.takeOrders(); !slices.Equal(orders, []string{"commit 1 of 1"}) {
			t.Fatalf("orders %q", orders)
		}
		w.fail(b.id, two[0].GetSubtask(), &controlv1.Failure{Message: "disk full"})
		pass(3 * time.Second)
		again := w.start(b)
		if next := w.positions(1, again); len(again) != 1 || len(next) > 0 {
			t.Fatalf("%v go on at %v", again, next)
		}
		w.end(again)
		if orders := slices.Concat(a.takeOrders(), b.takeOrders()); !slices.Equal(orders, []string{"commit 2 of 1"}) {
			t.Errorf("orders %q", orders)
		}
		w.report(b.id, again[0].GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FINISHED)
		synctest.Wait()
		if orders := a.takeOrders(); !slices.Equal(orders, []string{"commit 2 of 0"}) {
			t.Errorf("who closes the manifest hears %q", orders)
		}
		w.report(a.id, one[0].GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FINISHED)
		if job := w.wants(id, jobfsm.Finished); !slices.Equal(attemptOf(job), []int{0, 1}) {
			t.Errorf("attempts %v", attemptOf(job))
		}
	})
}

// Who was to close the manifest begins again: the word to close it was its earlier attempt's.
func TestTheCloserBeginsAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.register("a:1-x", 1), w.register("b:1-y", 1)
		id := w.submitText(strings.Replace(fmt.Sprintf(windowless, "2"), "topic: sahibinden", "topic: sahibinden, bounded: latest", 1))
		one, two := w.start(a), w.start(b)
		w.end(one)
		w.end(two)
		w.fail(a.id, one[0].GetSubtask(), &controlv1.Failure{Message: "disk full"})
		if orders := a.takeOrders(); !slices.Equal(orders, []string{"commit 1 of 0"}) {
			t.Errorf("the attempt that failed hears %q: it is to publish what it has", orders)
		}
		pass(3 * time.Second)
		again := w.start(a)
		w.report(b.id, two[0].GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FINISHED)
		if orders := a.takeOrders(); len(orders) > 0 {
			t.Errorf("its successor hears %q", orders)
		}
		w.end(again)
		if orders := a.takeOrders(); !slices.Equal(orders, []string{"commit 2 of 0"}) {
			t.Errorf("orders %q", orders)
		}
		w.report(a.id, again[0].GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FINISHED)
		w.wants(id, jobfsm.Finished)
	})
}

// Sources that have stopped for a savepoint go on only if all begin again.
func TestFailureBesideAStop(t *testing.T) {
	inWorld(t, func(w *world) {
		id, tms := w.runWindowless("2")
		if err := w.dispatcher.Savepoint(SavepointRequest{JobID: id, Trigger: "t", Kind: checkpoint.Stop, Dir: t.TempDir()}); err != nil {
			t.Fatal(err)
		}
		if orders := tms[0].takeOrders(); !slices.Equal(orders, []string{"trigger 2 of 0"}) {
			t.Fatalf("orders %q", orders)
		}
		w.fail(tms[0].id, &controlv1.SubtaskRef{JobId: id, VertexId: w.job(id).Vertices[0].ID}, &controlv1.Failure{Message: "disk full"})
		pass(3 * time.Second)
		if job := w.wants(id, jobfsm.Running); !slices.Equal(attemptOf(job), []int{1, 1}) || job.Restarts != 1 {
			t.Errorf("attempts %v, %d restarts", attemptOf(job), job.Restarts)
		}
	})
}

// held is what a taskmanager brings along of a subtask that runs.
func held(id string, job view.Job, index, attempt int32) *controlv1.HeldSubtask {
	return &controlv1.HeldSubtask{Parallelism: 2, Update: &controlv1.SubtaskUpdate{
		Subtask: &controlv1.SubtaskRef{JobId: id, VertexId: job.Vertices[0].ID, SubtaskIndex: index, Attempt: attempt}, State: controlv1.SubtaskState_SUBTASK_STATE_RUNNING,
	}}
}

// bring registers a taskmanager with what it holds.
func (w *world) bring(tm *taskManager, subtasks ...*controlv1.HeldSubtask) {
	at := slotpool.TaskManager{ID: tm.id, DataAddress: "data-" + tm.id, Slots: 1, Send: tm.send}
	tm.leave = w.pool.Register(at, w.dispatcher.Adopt(at, subtasks)...)
	synctest.Wait()
}

// A subtask that fails between the moment when it was brought to a new leader and that when the last one comes is known to have failed.
func TestFailureBesideTakeover(t *testing.T) {
	inWorld(t, func(w *world) {
		id, tms := w.runWindowless("2")
		before := w.wants(id, jobfsm.Running)
		w.stop()
		w.grace = 5 * time.Second
		w.lead()
		w.bring(tms[0], held(id, before, 0, 0))
		lost := held(id, before, 0, 0).GetUpdate().GetSubtask()
		w.fail(tms[0].id, lost, &controlv1.Failure{Message: "broken"})
		w.wants(id, jobfsm.Reconciling) // the other one is of another region
		w.bring(tms[1], held(id, before, 1, 0))
		job := w.job(id)
		if len(job.Failures) == 0 || !strings.Contains(job.Failures[len(job.Failures)-1].Message, "broken") {
			t.Errorf("failures %+v", job.Failures)
		}
		pass(3 * time.Second)
		if attempts := attemptOf(w.job(id)); !slices.Equal(attempts, []int{1, 0}) {
			t.Errorf("attempts %v, want the first subtask to have begun again", attempts)
		}
		if deployed := tms[0].take(); len(deployed) != 1 {
			t.Errorf("%d subtasks are deployed in the slot that the failed one had", len(deployed))
		}
	})
}

// Another jobmanager takes over subtasks of different attempts. What an earlier attempt left running is none of them, and a subtask that
// is missing begins again alone.
func TestTakeoverOfMixedAttempts(t *testing.T) {
	for _, missing := range []bool{false, true} {
		t.Run(fmt.Sprint("missing=", missing), func(t *testing.T) {
			inWorld(t, func(w *world) {
				id, tms := w.runWindowless("2")
				a, b := tms[0], tms[1]
				c := w.register("c:1-z", 1)
				a.leave("its connection broke")
				pass(3 * time.Second)
				w.start(c)
				before := w.wants(id, jobfsm.Running)
				w.stop()
				w.grace = 5 * time.Second
				w.lead()
				a.mute, b.orders, c.orders = true, nil, nil
				w.bring(a, held(id, before, 0, 0)) // it was cut off, and has not heard that its subtask is another's
				w.bring(b, held(id, before, 1, 0))
				if !missing {
					w.bring(c, held(id, before, 0, 1))
				}
				if len(a.canceled) != 1 || len(b.canceled) > 0 || len(c.canceled) > 0 {
					t.Errorf("%d, %d and %d subtasks are cancelled", len(a.canceled), len(b.canceled), len(c.canceled))
				}
				pass(9 * time.Second)
				job := w.wants(id, jobfsm.Running)
				want := []int{1, 0}
				if missing {
					want = []int{2, 0}
					if next := w.positions(1, w.start(a)); next[0] != 150 || len(next) != 1 {
						t.Errorf("goes on at %v", next)
					}
				}
				if !slices.Equal(attemptOf(job), want) || job.Restarts != want[0] {
					t.Errorf("attempts %v, want %v; %d restarts", attemptOf(job), want, job.Restarts)
				}
				if orders := b.takeOrders(); !slices.Contains(orders, "commit 1 of 1") {
					t.Errorf("the newest commit is not repeated to who was there: %q", orders)
				}
				if orders := c.takeOrders(); slices.Contains(orders, "commit 1 of 0") {
					t.Errorf("who went on from the checkpoint hears %q", orders)
				}
			})
		})
	}
}
