package jobmaster

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/slotpool"
	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

// What came of an operation is known for five minutes after its end, however long it took.
func TestOperationsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOperations(time.Now)
		key := OperationKey{Kind: OperationSavepoint, JobID: "j", Trigger: "t"}
		if _, err := o.get(key); !errors.Is(err, ErrNoOperation) {
			t.Errorf("before it began: %v", err)
		}
		if !o.begin(key) || o.begin(key) {
			t.Error("an operation begins once")
		}
		<-time.After(time.Hour)
		if op, err := o.get(key); err != nil || op.Done {
			t.Errorf("under way: %+v, %v", op, err)
		}
		o.end(key, Operation{CheckpointID: 7})
		<-time.After(operationsKept - time.Millisecond)
		if op, err := o.get(key); err != nil || !op.Done || op.CheckpointID != 7 || o.begin(key) {
			t.Errorf("ended: %+v, %v", op, err)
		}
		<-time.After(time.Millisecond)
		if _, err := o.get(key); !errors.Is(err, ErrNoOperation) || !o.begin(key) {
			t.Errorf("long ended: %v", err)
		}
		o.forget(key)
		if _, err := o.get(key); !errors.Is(err, ErrNoOperation) {
			t.Errorf("forgotten: %v", err)
		}
	})
}

// savepoint asks for one and returns how to find out what came of it.
func (w *world) savepoint(id, dir string, kind checkpoint.Kind) func() Operation {
	w.t.Helper()
	if err := w.dispatcher.Savepoint(SavepointRequest{JobID: id, Trigger: "t", Kind: kind, Dir: dir}); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	return func() Operation {
		w.t.Helper()
		synctest.Wait()
		op, err := w.dispatcher.Operation(OperationKey{Kind: OperationSavepoint, JobID: id, Trigger: "t"})
		if err != nil {
			w.t.Fatal(err)
		}
		return op
	}
}

// A savepoint is answered when it is in its folder; one that fails leaves nothing there.
func TestSavepoint(t *testing.T) {
	for name, c := range map[string]struct {
		then func(w *world, id string, tm *taskManager, deployed []*controlv1.DeploySubtask)
		want string // of the error; "" for none
		left int    // files in the directory
	}{
		"written": {func(w *world, _ string, _ *taskManager, d []*controlv1.DeploySubtask) { w.ack(1, 150, d) }, "", 1},
		"declined": {func(w *world, _ string, _ *taskManager, d []*controlv1.DeploySubtask) {
			w.dispatcher.CheckpointDecline(&controlv1.CheckpointDecline{Subtask: d[0].GetSubtask(), CheckpointId: 1, Reason: "disk full"})
		}, "disk full", 0},
		"timed out": {func(*world, string, *taskManager, []*controlv1.DeploySubtask) { <-time.After(10 * time.Minute) }, "expired after 10m0s", 0},
		"cancelled": {func(w *world, id string, _ *taskManager, _ []*controlv1.DeploySubtask) {
			_ = w.dispatcher.Cancel(w.t.Context(), id)
		}, "the job is CANCELLING", 0},
		"lost":    {func(_ *world, _ string, tm *taskManager, _ []*controlv1.DeploySubtask) { tm.leave("gone") }, "the job is RESTARTING", 0},
		"deposed": {func(w *world, _ string, _ *taskManager, _ []*controlv1.DeploySubtask) { w.stop() }, "no longer leads", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inWorld(t, func(w *world) {
				tm := w.register("a:1-x", 1)
				id := w.submit("1", fixedDelay)
				deployed := w.start(tm)
				result := w.savepoint(id, dir, checkpoint.Savepoint)
				if op := result(); op.Done {
					t.Fatalf("answered at once: %+v", op)
				}
				c.then(w, id, tm, deployed)
				op := result()
				if !op.Done || (op.Err == nil) != (c.want == "") || op.Err != nil && !strings.Contains(op.Err.Error(), c.want) {
					t.Fatalf("%+v, want an error with %q", op, c.want)
				}
				written, err := filepath.Glob(filepath.Join(dir, "*", checkpoint.MetadataName))
				if err != nil || len(written) != c.left {
					t.Errorf("written: %q, %v", written, err)
				}
			})
		})
	}
}

// A savepoint that is asked for while the job waits for slots is taken when it has got them, and refused when they do not come.
func TestSavepointWaitsForSlots(t *testing.T) {
	for _, come := range []bool{true, false} {
		dir := t.TempDir()
		inWorld(t, func(w *world) {
			id := w.submit("1", fixedDelay)
			result := w.savepoint(id, dir, checkpoint.Savepoint)
			<-time.After(29 * time.Second)
			if op := result(); op.Done {
				t.Fatalf("answered after 29 s: %+v", op)
			}
			if come {
				w.ack(1, 150, w.start(w.register("a:1-x", 1)))
			}
			<-time.After(time.Second)
			op := result()
			if !op.Done || (op.Err == nil) != come || !come && !strings.Contains(op.Err.Error(), "did not begin to within 30s") {
				t.Errorf("slots come: %t; %+v", come, op)
			}
			left, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || come != (len(left) == 1) {
				t.Errorf("slots come: %t; in the directory: %q, %v", come, left, err)
			}
		})
	}
}

// A job stops with a savepoint that is written, and goes on by a restart when it cannot be taken: its sources have stopped.
func TestStopWithSavepoint(t *testing.T) {
	for _, acked := range []bool{true, false} {
		dir := t.TempDir()
		inWorld(t, func(w *world) {
			tm := w.register("a:1-x", 1)
			id := w.submit("1", fixedDelay)
			deployed := w.start(tm)
			result := w.savepoint(id, dir, checkpoint.Stop)
			if !acked {
				<-time.After(10 * time.Minute)
				w.wants(id, jobfsm.Restarting)
				if op := result(); !op.Done || op.Err == nil {
					t.Errorf("%+v", op)
				}
				return
			}
			w.ack(1, 150, deployed)
			for _, d := range deployed {
				w.report(tm.id, d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FINISHED)
			}
			w.wants(id, jobfsm.Finished)
			if op := result(); !op.Done || op.Err != nil || op.CheckpointID != 1 || op.Location == "" {
				t.Errorf("%+v", op)
			}
		})
	}
}

// A savepoint that is asked for while a new leader waits for the subtasks is taken when they have come, and refused when they have not.
func TestSavepointBesideTakeover(t *testing.T) {
	for _, comes := range []bool{true, false} {
		dir := t.TempDir()
		inWorld(t, func(w *world) {
			tm := w.register("a:1-x", 1)
			id := w.submit("1", fixedDelay)
			deployed := w.start(tm)
			w.stop()
			w.grace = time.Minute
			w.lead()
			w.wants(id, jobfsm.Reconciling)
			result := w.savepoint(id, dir, checkpoint.Savepoint)
			if op := result(); op.Done {
				t.Fatalf("answered at once: %+v", op)
			}
			if !comes {
				<-time.After(2 * w.grace)
				if op := result(); !op.Done || op.Err == nil {
					t.Errorf("%+v", op)
				}
				return
			}
			var held []*controlv1.HeldSubtask
			for _, d := range deployed {
				held = append(held, &controlv1.HeldSubtask{Parallelism: 1, Update: &controlv1.SubtaskUpdate{
					Subtask: d.GetSubtask(), State: controlv1.SubtaskState_SUBTASK_STATE_RUNNING}})
			}
			w.dispatcher.Adopt(slotpool.TaskManager{ID: tm.id, Slots: 1, Send: tm.send}, held)
			w.wants(id, jobfsm.Running)
			synctest.Wait()
			var trigger int
			if _, err := fmt.Sscanf(strings.Join(tm.takeOrders(), "\n"), "trigger %d of 0", &trigger); err != nil {
				t.Fatal(err)
			}
			w.ack(uint64(trigger), 150, deployed)
			if op := result(); !op.Done || op.Err != nil {
				t.Errorf("%+v", op)
			}
		})
	}
}
