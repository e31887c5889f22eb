package jobmaster

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/view"
)

// Each setting of the spec's checkpoint does what it says.
func TestCheckpointSettings(t *testing.T) {
	const settings = "checkpoint: {interval: 20s, min_pause: 15s, timeout: 8s, tolerated_failures: 1, max_concurrent: 4, retained: 2}\n" + fixedDelay
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", settings)
		deployed := w.start(tm)
		shown := w.job(id).Checkpoints.Config
		if want := (view.CheckpointConfig{Interval: 20_000, MinPause: 15_000, Timeout: 8000, TolerableFailures: 1, MaxConcurrent: 1}); shown != want {
			t.Errorf("shown as %+v", shown)
		}
		wants := func(after time.Duration, orders ...string) {
			t.Helper()
			<-time.After(after - time.Millisecond)
			if early := tm.takeOrders(); len(early) > 0 {
				t.Fatalf("orders %q, too early", early)
			}
			<-time.After(time.Millisecond)
			if got := tm.takeOrders(); !slices.Equal(got, orders) {
				t.Fatalf("orders %q, want %q", got, orders)
			}
		}
		wants(20*time.Second, "trigger 1 of 0")
		<-time.After(6 * time.Second)
		w.ack(1, 150, deployed)
		tm.takeOrders()
		wants(15*time.Second, "trigger 2 of 0") // the interval was over a second before
		wants(8*time.Second, "abort 2 of 0", "abort 2 of 0")
		w.wants(id, jobfsm.Running) // one failure is tolerated
		wants(15*time.Second, "trigger 3 of 0")
		for n := range uint64(3) {
			w.ack(3+n, 160, deployed)
			tm.takeOrders()
			wants(20*time.Second, fmt.Sprintf("trigger %d of 0", 4+n))
		}
		kept, _ := w.log.Job(id)
		if c := kept.GetCheckpoints(); len(c) != 2 || c[0].GetCheckpointId() != 4 || c[1].GetCheckpointId() != 5 {
			t.Errorf("%d checkpoints are kept, want 4 and 5", len(c))
		}
		wants(8*time.Second, "abort 6 of 0", "abort 6 of 0")
		w.wants(id, jobfsm.Running)
		wants(15*time.Second, "trigger 7 of 0")
		<-time.After(8 * time.Second)
		w.wants(id, jobfsm.Restarting) // two in a row are too many
	})
}

// Two checkpoints are under way at once. They are committed one after the other, and the files of both are in the manifest once.
func TestConcurrentCheckpoints(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", "checkpoint: {interval: 1s, max_concurrent: 2}\n")
		deployed := w.start(tm)
		<-time.After(5 * time.Second)
		if orders := tm.takeOrders(); !slices.Equal(orders, []string{"trigger 1 of 0", "trigger 2 of 0"}) {
			t.Fatalf("orders %q", orders)
		}
		if shown := w.job(id).Checkpoints; len(shown.UnderWay) != 2 || shown.UnderWay[0].ID != 2 || shown.Config.MaxConcurrent != 2 {
			t.Errorf("under way are %+v, at most %d", shown.UnderWay, shown.Config.MaxConcurrent)
		}
		w.ack(2, 160, deployed[:1])
		w.ack(1, 150, deployed)
		if orders := tm.takeOrders(); !slices.Equal(orders, []string{"commit 1 of 0", "commit 1 of 0", "trigger 3 of 0"}) {
			t.Errorf("orders %q", orders)
		}
		w.ack(2, 160, deployed[1:])
		if orders := tm.takeOrders(); !slices.Equal(orders, []string{"commit 2 of 0", "commit 2 of 0"}) {
			t.Errorf("orders %q", orders)
		}
		if job := w.wants(id, jobfsm.Running); job.Checkpoints.Completed != 2 || job.Checkpoints.Failed != 0 {
			t.Errorf("%d completed, %d failed", job.Checkpoints.Completed, job.Checkpoints.Failed)
		}
	})
}
