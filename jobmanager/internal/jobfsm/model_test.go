package jobfsm_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/pkg/plan"

	"pgregory.net/rapid"
)

// world carries out the actions of a job as a cluster would, in any order that the rules allow.
type world struct {
	job     *jobfsm.Job
	now     time.Time
	apart   bool                      // the subtasks of an index are a region
	running map[jobfsm.SubtaskID]bool // by whether it was told to cancel
	began   map[int]bool              // attempts
	waiting bool                      // for slots of the whole job
	queued  [][]jobfsm.SubtaskID      // restarts that wait for slots
	timers  []int
	status  jobfsm.Status
	// failed are the regions of which something failed since the job last ran as a whole; nil when something else may end subtasks.
	failed map[int]bool
}

func (w *world) step(t *rapid.T, e jobfsm.Event) {
	w.now = w.now.Add(time.Second)
	w.do(t, w.job.Step(w.now, e))
}

func (w *world) do(t *rapid.T, actions []jobfsm.Action) {
	for _, a := range actions {
		if _, release := a.(jobfsm.ReleaseSlots); w.status.Terminal() && !release {
			t.Fatalf("%T after the job ended", a)
		}
		switch a := a.(type) {
		case jobfsm.SetStatus:
			w.status = a.Status
			if a.Status.Terminal() && len(w.running) > 0 {
				t.Fatalf("%s while %d subtasks run", a.Status, len(w.running))
			}
		case jobfsm.RequestSlots:
			if w.waiting || len(w.running) > 0 {
				t.Fatal("slots requested while the last attempt waits for some or runs")
			}
			w.begin(t, a.Attempt)
			w.waiting, w.queued, w.failed = true, nil, map[int]bool{}
		case jobfsm.RestartSubtasks:
			w.restart(t, a)
		case jobfsm.CancelSubtasks:
			w.cancel(t, a.Subtasks)
		case jobfsm.ReleaseSlots:
			if len(w.running) > 0 {
				t.Fatal("slots released while subtasks run")
			}
			w.waiting, w.queued = false, nil
		case jobfsm.StartTimer:
			w.timers = append(w.timers, a.Restart)
		}
	}
}

func (w *world) begin(t *rapid.T, attempt int) {
	if w.began[attempt] {
		t.Fatalf("attempt %d begins twice", attempt)
	}
	w.began[attempt] = true
}

func (w *world) restart(t *rapid.T, a jobfsm.RestartSubtasks) {
	w.begin(t, a.Attempt)
	for _, id := range a.Subtasks {
		if _, runs := w.running[id]; runs {
			t.Fatalf("%v begins again while it runs", id)
		}
		if w.failed != nil && !w.failed[id.Index] {
			t.Fatalf("%v begins again, and nothing of its region has failed", id)
		}
		if got := w.job.Attempts().Of(id); got != a.Attempt {
			t.Fatalf("%v has attempt %d, want %d", id, got, a.Attempt)
		}
	}
	w.queued = append(w.queued, a.Subtasks)
}

func (w *world) cancel(t *rapid.T, ids []jobfsm.SubtaskID) {
	for _, id := range ids {
		cancelled, ok := w.running[id]
		switch {
		case !ok:
			t.Fatalf("subtask %v is cancelled and does not run", id)
		case cancelled:
			t.Fatalf("subtask %v cancelled twice", id)
		case w.status == jobfsm.Restarting && w.job.GoesOn() && !w.failed[id.Index]:
			t.Fatalf("subtask %v is cancelled, and nothing of its region has failed", id)
		}
		w.running[id] = true
	}
}

// lost notes that something of a subtask's region failed.
func (w *world) lost(id jobfsm.SubtaskID) {
	delete(w.running, id)
	if w.failed != nil {
		w.failed[id.Index] = true
	}
}

// Whatever happens in whatever order: no subtask runs twice at once, nothing but the region of what failed begins again unless all does,
// no number is used twice, the job never ends before its subtasks have, does nothing after its end, and can always be brought to an end.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		strategy := plan.RestartStrategy{
			Type:     rapid.SampledFrom([]plan.RestartType{plan.RestartNone, plan.RestartFixedDelay, plan.RestartFailureRate, plan.RestartExponential}).Draw(t, "strategy"),
			Attempts: 6, MaxFailures: 4, FailureInterval: 20 * time.Second, Delay: time.Second, InitialBackoff: time.Second, MaxBackoff: time.Minute, Multiplier: 2, ResetAfter: time.Hour,
		}
		w := &world{
			job: jobfsm.New(jobfsm.Initializing, jobfsm.Begun(0), strategy, func() float64 { return 0.5 }), now: time.Unix(0, 0),
			apart: rapid.Bool().Draw(t, "regions"), running: make(map[jobfsm.SubtaskID]bool), began: make(map[int]bool), status: jobfsm.Initializing,
		}
		w.do(t, w.job.Recover())
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			w.happen(t)
		}
		w.step(t, jobfsm.CancelRequested{})
		for _, id := range slices.Collect(maps.Keys(w.running)) {
			delete(w.running, id)
			w.step(t, jobfsm.SubtaskChanged{Subtask: id, Attempt: w.job.Attempts().Of(id), State: jobfsm.SubtaskCanceled})
		}
		if !w.job.Status().Terminal() {
			t.Fatalf("cancelled and all subtasks ended, yet the job is %s", w.job.Status())
		}
	})
}

func (w *world) happen(t *rapid.T) {
	ids := slices.SortedFunc(maps.Keys(w.running), func(a, b jobfsm.SubtaskID) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		w.step(t, jobfsm.SplitsFound{})
	case 1:
		w.grant(t)
	case 2, 3:
		if len(ids) > 0 {
			w.report(t, rapid.SampledFrom(ids).Draw(t, "subtask"))
		}
	case 4:
		lost := rapid.Permutation(ids).Draw(t, "order")[:rapid.IntRange(0, len(ids)).Draw(t, "lost")]
		for _, id := range lost {
			w.lost(id)
		}
		w.step(t, jobfsm.SubtasksLost{Subtasks: lost, Failure: jobfsm.Failure{Message: "gone"}})
	case 5, 6:
		if n := len(w.timers); n > 0 {
			i := rapid.IntRange(0, n-1).Draw(t, "timer")
			due := w.timers[i]
			w.timers = slices.Delete(w.timers, i, i+1)
			w.step(t, jobfsm.RestartDue{Restart: due})
		}
	case 7:
		w.step(t, jobfsm.SubtaskChanged{Subtask: jobfsm.SubtaskID{VertexID: "a"}, Attempt: -1, State: jobfsm.SubtaskFailed, Failure: &jobfsm.Failure{}})
	case 8:
		w.step(t, jobfsm.Rescale{Attempt: w.job.Attempt() - rapid.IntRange(0, 1).Draw(t, "old"), Note: "rescale"})
	case 9:
		if rapid.IntRange(0, 9).Draw(t, "rarely") == 0 {
			w.step(t, jobfsm.CancelRequested{})
		}
	}
}

// grant gives slots to who waits for some.
func (w *world) grant(t *rapid.T) {
	switch {
	case w.waiting:
		w.waiting = false
		if !w.apart {
			w.failed = nil
		}
		for _, id := range subtasks(3) {
			w.running[id] = false
		}
		w.step(t, jobfsm.SlotsGranted{Regions: regions(3, w.apart)})
	case len(w.queued) > 0:
		ids := w.queued[0]
		w.queued = w.queued[1:]
		if s := w.job.Subtask(ids[0]); s != jobfsm.SubtaskScheduled {
			return // it was cancelled meanwhile
		}
		for _, id := range ids {
			w.running[id] = false
			delete(w.failed, id.Index)
		}
		w.step(t, jobfsm.SubtasksDeployed{Subtasks: ids})
	}
}

// report has a subtask say how it is.
func (w *world) report(t *rapid.T, id jobfsm.SubtaskID) {
	state := rapid.SampledFrom([]jobfsm.SubtaskState{jobfsm.SubtaskRunning, jobfsm.SubtaskFinished, jobfsm.SubtaskFailed, jobfsm.SubtaskCanceled}).Draw(t, "state")
	if state == jobfsm.SubtaskCanceled && !w.running[id] {
		return
	}
	e := jobfsm.SubtaskChanged{Subtask: id, Attempt: w.job.Attempts().Of(id), State: state}
	switch {
	case state == jobfsm.SubtaskFailed:
		e.Failure = &jobfsm.Failure{
			Message: "boom", LostPeer: rapid.Bool().Draw(t, "lost peer"), Whole: rapid.IntRange(0, 9).Draw(t, "whole") == 0,
		}
		w.lost(id)
	case state.Terminal():
		delete(w.running, id)
	}
	w.step(t, e)
}
