package jobmaster

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobfsm"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

// inElastic runs a job that follows the slots, as yet in one, at a taskmanager that is not asked for checkpoints by the clock.
func inElastic(t *testing.T, test func(w *world, id string, tm *taskManager, deployed []*controlv1.DeploySubtask)) {
	inWorld(t, func(w *world) {
		w.stop()
		w.rescale = elastic.Config{Quiet: time.Second, CoolDown: 5 * time.Second}
		w.lead()
		tm := w.register("a:1-x", 1)
		id := w.submit("auto", "checkpoint: {interval: 1h, tolerated_failures: 3}\n")
		test(w, id, tm, w.start(tm))
	})
}

// A burst of joins is one rescale. It begins with a checkpoint, and the job runs on until that is committed; then it goes on from it.
func TestRescaleGoesOnFromItsCheckpoint(t *testing.T) {
	inElastic(t, func(w *world, id string, tm *taskManager, deployed []*controlv1.DeploySubtask) {
		w.topic.grow(8)
		<-time.After(time.Minute) // found
		for _, more := range []string{"b:1-x", "c:1-x", "d:1-x"} {
			w.register(more, 1)
			<-time.After(900 * time.Millisecond)
		}
		if orders := tm.takeOrders(); len(orders) > 0 {
			t.Fatalf("orders %q while slots still come", orders)
		}
		<-time.After(time.Second)
		if orders := tm.takeOrders(); !slices.Equal(orders, []string{"trigger 1 of 0"}) {
			t.Fatalf("orders %q", orders)
		}
		<-time.After(5 * time.Minute) // the checkpoint is slow
		if job := w.wants(id, jobfsm.Running); job.Attempt != 0 || len(tm.canceled) > 0 {
			t.Fatalf("attempt %d before the checkpoint is committed, %d subtasks cancelled", job.Attempt, len(tm.canceled))
		}
		source := deployed[0]
		for _, more := range tm.added {
			source.Splits = append(source.GetSplits(), more.GetSplits()...)
		}
		w.ack(1, 150, deployed)
		job := w.wants(id, jobfsm.Running)
		if job.Attempt != 1 || job.Parallelism != 4 || job.Restarts != 0 {
			t.Errorf("attempt %d, parallelism %d, %d restarts", job.Attempt, job.Parallelism, job.Restarts)
		}
		if next := w.positions(1, w.start(tm)); next[0] != 150 || next[4] != 150 {
			t.Errorf("goes on at %v", next)
		}
		<-time.After(time.Minute)
		if job := w.job(id); job.Attempt != 1 || len(job.Failures) != 1 || !strings.HasPrefix(job.Failures[0].Message, "rescale: from parallelism 1 to 4") {
			t.Errorf("attempt %d after a burst of joins, %v", job.Attempt, job.Failures)
		}
	})
}

// A checkpoint that fails changes nothing but that another one is tried.
func TestRescaleTriesItsCheckpointAgain(t *testing.T) {
	inElastic(t, func(w *world, id string, tm *taskManager, deployed []*controlv1.DeploySubtask) {
		<-time.After(time.Minute)
		w.register("b:1-x", 1)
		<-time.After(2 * time.Second)
		w.dispatcher.CheckpointDecline(&controlv1.CheckpointDecline{Subtask: deployed[0].GetSubtask(), CheckpointId: 1, Reason: "disk full"})
		synctest.Wait()
		if job := w.wants(id, jobfsm.Running); job.Attempt != 0 {
			t.Fatalf("attempt %d", job.Attempt)
		}
		tm.takeOrders()
		<-time.After(6 * time.Second)
		if orders := tm.takeOrders(); !slices.Equal(orders, []string{"trigger 2 of 0"}) {
			t.Fatalf("orders %q", orders)
		}
		w.ack(2, 150, deployed)
		if job := w.wants(id, jobfsm.Running); job.Attempt != 1 || job.Parallelism != 2 || job.Restarts != 0 {
			t.Errorf("attempt %d, parallelism %d, %d restarts", job.Attempt, job.Parallelism, job.Restarts)
		}
		w.positions(2, w.start(tm))
	})
}
