package jobmaster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/slotpool"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
)

// handOver has a job run on a taskmanager that leaves, up to the commit of the checkpoint with which it hands over.
func (w *world) handOver() (id string, left *taskManager) {
	w.t.Helper()
	left = w.register("a:1-x", 1)
	id = w.submit("auto", "restart_strategy: {type: none}\n")
	deployed := w.start(left)
	w.pool.Leave("a:1-x")
	if orders := left.takeOrders(); !slices.Equal(orders, []string{"trigger 1 of 0"}) {
		w.t.Fatalf("orders %q", orders)
	}
	w.ack(1, 150, deployed)
	return id, left
}

// A job leaves a taskmanager that is about to go by a checkpoint, waits for other slots, and goes on there. Nobody is dismissed before.
func TestHandOver(t *testing.T) {
	inWorld(t, func(w *world) {
		id, left := w.handOver()
		if orders := left.takeOrders(); !slices.Equal(orders, []string{"commit 1 of 0", "commit 1 of 0", "dismissed"}) {
			t.Errorf("orders %q", orders)
		}
		job := w.wants(id, jobfsm.Running)
		if job.Attempt != 1 || job.Restarts != 0 || job.Notice != "waiting for slots: the job takes 1 or more, 0 are free" ||
			!strings.HasPrefix(job.Failures[0].Message, "hand-over: ") {
			t.Errorf("attempt %d, %d restarts, notice %q, %v", job.Attempt, job.Restarts, job.Notice, job.Failures)
		}
		b := w.register("b:1-x", 1)
		if next := w.positions(1, w.start(b)); next[0] != 150 || next[1] != 150 {
			t.Errorf("goes on at %v", next)
		}
		if len(left.take()) > 0 {
			t.Error("something was deployed where nothing is to run any more")
		}
	})
}

// A leader goes on from a commit that was the last thing an earlier one did: that the subtasks have finished with the checkpoint is not
// the end of the job.
func TestHandOverBesideTakeover(t *testing.T) {
	inWorld(t, func(w *world) {
		w.log.applying = func(c *storagev1.Command) {
			if c.GetSetJobStatus().GetStatus() == storagev1.JobStatus_JOB_STATUS_RESTARTING {
				w.log.err = errDisk
			}
		}
		id, left := w.handOver()
		if orders := left.takeOrders(); !slices.Equal(orders, []string{"commit 1 of 0", "commit 1 of 0"}) {
			t.Errorf("orders %q", orders)
		}
		w.stop()
		w.log.applying, w.log.err = nil, nil
		w.grace = time.Minute
		w.lead()
		w.wants(id, jobfsm.Reconciling)
		var held []*controlv1.HeldSubtask
		for _, v := range w.job(id).Vertices {
			held = append(held, &controlv1.HeldSubtask{Parallelism: 1, Update: &controlv1.SubtaskUpdate{
				Subtask: &controlv1.SubtaskRef{JobId: id, VertexId: v.ID}, State: controlv1.SubtaskState_SUBTASK_STATE_FINISHED}})
		}
		w.dispatcher.Adopt(slotpool.TaskManager{ID: "a:1-x", Slots: 1, Send: left.send}, held)
		job := w.wants(id, jobfsm.Running)
		if job.Attempt != 1 || job.Restarts != 0 {
			t.Errorf("attempt %d, %d restarts, %v", job.Attempt, job.Restarts, job.Failures)
		}
	})
}
