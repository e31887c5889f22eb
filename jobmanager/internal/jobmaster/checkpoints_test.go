package jobmaster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
)

// ack has subtasks take part in a checkpoint: sources have read each split up to an offset.
func (w *world) ack(id uint64, next int64, deployed []*controlv1.DeploySubtask) {
	synctest.Wait() // the trigger is out
	for _, d := range deployed {
		state := stateOf(d)
		for _, s := range d.GetSplits() {
			state.Splits = append(state.Splits, checkpoint.Split{Number: s.GetNumber(), Topic: s.GetTopic(), Partition: s.GetPartition(), Next: next, Stop: -1})
			state.Ledger.Of(s.GetNumber()).Read = 10
			state.Ledger.Of(s.GetNumber()).Filtered = 10
		}
		w.dispatcher.CheckpointAck(&controlv1.CheckpointAck{Subtask: d.GetSubtask(), CheckpointId: id, State: state.Encode()})
	}
	synctest.Wait()
}

// interval is the default one.
const interval = 10 * time.Second

// positions returns where deployed sources go on, by split.
func (w *world) positions(id uint64, deployed []*controlv1.DeploySubtask) map[int32]int64 {
	w.t.Helper()
	next := make(map[int32]int64)
	for _, d := range deployed {
		if d.GetRestoredId() != id {
			w.t.Errorf("subtask %v goes on from checkpoint %d, want %d", d.GetSubtask(), d.GetRestoredId(), id)
			continue
		}
		state, err := checkpoint.DecodeState(d.GetRestored())
		if err != nil {
			w.t.Fatal(err)
		}
		if want := stateOf(d).Subtask; state.Subtask != want {
			w.t.Errorf("%v was given the state of %v", want, state.Subtask)
		}
		for _, s := range state.Splits {
			if !slices.ContainsFunc(d.GetSplits(), func(own *controlv1.Split) bool { return own.GetNumber() == s.Number }) {
				w.t.Errorf("%v was given the position of split %d, which it does not read", state.Subtask, s.Number)
			}
			next[s.Number] = s.Next
		}
	}
	return next
}

// A checkpoint is triggered at the sources, is complete with the last ack, and is announced once the log has it.
func TestCheckpoint(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", "")
		deployed := w.start(tm)
		committed := ""
		w.log.applying = func(c *storagev1.Command) {
			if c.GetCompleteCheckpoint() != nil {
				committed = fmt.Sprint("before it: ", tm.orders)
			}
		}
		<-time.After(interval)
		if orders := tm.takeOrders(); !slices.Equal(orders, []string{"trigger 1 of 0"}) {
			t.Fatalf("orders %q", orders)
		}
		w.ack(1, 150, deployed[:1])
		if orders := tm.takeOrders(); len(orders) > 0 || committed != "" {
			t.Errorf("orders %q, committed %q with an ack missing", orders, committed)
		}
		w.ack(1, 150, deployed[1:])
		if orders := tm.takeOrders(); !slices.Equal(orders, []string{"commit 1 of 0", "commit 1 of 0"}) || committed != "before it: []" {
			t.Errorf("orders %q, committed %q", orders, committed)
		}
		if kept, _ := w.log.Job(id); len(kept.GetCheckpoints()) != 1 || w.job(id).Imbalance != "" {
			t.Errorf("the log has %d checkpoints, imbalance %q", len(kept.GetCheckpoints()), w.job(id).Imbalance)
		}
		<-time.After(interval)
		w.ack(2, 160, deployed)
		if kept, _ := w.log.Job(id); len(kept.GetCheckpoints()) != 1 || kept.GetCheckpoints()[0].GetCheckpointId() != 2 {
			t.Errorf("the log has %v", kept.GetCheckpoints())
		}
	})
}

// A job goes on from its newest checkpoint, each split at its owner, on the slots that there are.
func TestRestartFromACheckpoint(t *testing.T) {
	for _, parallelism := range []string{"2", "auto"} {
		t.Run(parallelism, func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b := w.register("a:1-x", 1), w.register("b:1-y", 1)
				id := w.submit(parallelism, fixedDelay)
				w.ackAll(a, b)
				<-time.After(interval) // the second one is under way when a taskmanager goes
				a.leave("its connection broke")
				if parallelism == "2" {
					a = w.register("c:1-z", 1)
				}
				<-time.After(interval)
				w.wants(id, jobfsm.Running)
				again := slices.Concat(a.take(), b.take())
				want := map[string]int{"2": 4, "auto": 2}[parallelism]
				if next := w.positions(1, again); len(again) != want || len(next) != 2 || next[0] != 150 || next[1] != 150 {
					t.Errorf("%d subtasks go on at %v", len(again), next)
				}
			})
		})
	}
}

// ackAll starts what was deployed and completes checkpoint 1, at which the sources have read up to offset 150.
func (w *world) ackAll(tms ...*taskManager) {
	w.t.Helper()
	var deployed []*controlv1.DeploySubtask
	for _, tm := range tms {
		deployed = append(deployed, w.start(tm)...)
	}
	<-time.After(interval)
	w.ack(1, 150, deployed)
	for _, tm := range tms {
		if orders := tm.takeOrders(); !slices.Contains(orders, "commit 1 of 0") && !slices.Contains(orders, "commit 1 of 1") {
			w.t.Fatalf("orders %q, want a commit", orders)
		}
	}
}

// A new leader goes on from the checkpoint in the log, with numbers that nobody has used.
func TestRecoveryFromACheckpoint(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", "")
		w.ackAll(tm)
		<-time.After(interval) // the second is under way
		w.stop()
		w.lead()
		tm = w.register("a:1-x", 1)
		deployed := w.start(tm)
		if next := w.positions(1, deployed); next[0] != 150 || next[1] != 150 {
			t.Errorf("goes on at %v", next)
		}
		<-time.After(interval)
		orders := tm.takeOrders()
		var number uint64
		if len(orders) != 1 {
			t.Fatalf("orders %q", orders)
		}
		if _, err := fmt.Sscanf(orders[0], "trigger %d of 0", &number); err != nil || number <= 2 {
			t.Fatalf("orders %q: checkpoint 2 was begun before", orders)
		}
		w.ack(number, 160, deployed)
		if kept, _ := w.log.Job(id); len(kept.GetCheckpoints()) != 1 || kept.GetCheckpoints()[0].GetCheckpointId() != number {
			t.Errorf("the log has %v", kept.GetCheckpoints())
		}
	})
}

// No barrier overtakes that of an older checkpoint: a commit that makes room for one comes while another is about to begin.
func TestTriggersComeInOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", "checkpoint: {interval: 1h, max_concurrent: 3}\n")
		for n := range 4 {
			if err := w.dispatcher.Savepoint(SavepointRequest{JobID: id, Trigger: fmt.Sprint(n), Kind: checkpoint.Periodic}); err != nil {
				t.Fatal(err)
			}
		}
		deployed := w.start(tm)
		w.ack(1, 150, deployed[:1])
		w.ack(1, 150, deployed[1:])
		var triggers []string
		for _, order := range tm.takeOrders() {
			if strings.HasPrefix(order, "trigger") {
				triggers = append(triggers, order)
			}
		}
		if want := []string{"trigger 1 of 0", "trigger 2 of 0", "trigger 3 of 0", "trigger 4 of 0"}; !slices.Equal(triggers, want) {
			t.Errorf("orders %q", triggers)
		}
	})
}

// A new leader lists the part files that checkpoints have published, also of a job that has ended.
func TestFilesOutliveTheLeader(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", "")
		deployed := w.start(tm)
		for number := range uint64(2) {
			<-time.After(interval)
			synctest.Wait()
			for _, d := range deployed {
				state := stateOf(d)
				if len(d.GetSplits()) == 0 { // the window's, which writes; the first file comes a second time
					for n := range number + 1 {
						state.Sink.Pending = append(state.Sink.Pending, checkpoint.PartFile{Name: fmt.Sprint("part-", n), Rows: 3, Bytes: 30, SHA256: [32]byte{1}})
					}
				}
				w.dispatcher.CheckpointAck(&controlv1.CheckpointAck{Subtask: d.GetSubtask(), CheckpointId: number + 1, State: state.Encode()})
			}
			synctest.Wait()
		}
		list := func() (files []view.File) {
			t.Helper()
			_, files, err := w.dispatcher.Files(id)
			if err != nil {
				t.Fatal(err)
			}
			return files
		}
		want := []view.File{
			{Name: "part-1", VertexID: deployed[1].GetSubtask().GetVertexId(), State: view.FileFinished, Rows: 3, Bytes: 30, Modified: time.Now().UnixMilli()},
			{Name: "part-0", VertexID: deployed[1].GetSubtask().GetVertexId(), State: view.FileFinished, Rows: 3, Bytes: 30, Modified: time.Now().Add(-interval).UnixMilli()},
		}
		w.stop()
		w.lead()
		if files := list(); !slices.Equal(files, want) {
			t.Errorf("the next leader lists %+v, want %+v", files, want)
		}
		if err := w.dispatcher.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		w.stop()
		w.lead()
		if files := list(); w.job(id).Status != jobfsm.Canceled || !slices.Equal(files, want) {
			t.Errorf("of a job that is %s it lists %+v", w.job(id).Status, files)
		}
	})
}

// A ledger that does not balance marks the job, which goes on.
func TestImbalance(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", "")
		deployed := w.start(tm)
		<-time.After(interval)
		synctest.Wait()
		for _, d := range deployed {
			state := stateOf(d)
			if len(d.GetSplits()) > 0 {
				state.Ledger.Of(1).Read = 5
			} else {
				state.Ledger.Of(1).Open = 4
			}
			w.dispatcher.CheckpointAck(&controlv1.CheckpointAck{Subtask: d.GetSubtask(), CheckpointId: 1, State: state.Encode()})
		}
		if job := w.wants(id, jobfsm.Running); !strings.Contains(job.Imbalance, "sahibinden-1") {
			t.Errorf("imbalance %q", job.Imbalance)
		}
	})
}
