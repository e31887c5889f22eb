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

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

// TestScripts plays the stories in testdata. Verbs:
//
//	new [status=S] [attempt=N] strategy=T [attempts=N] [delay=D]   a job, and what Recover wants
//	splits-found, cancel, restart-due                               an event
//	granted subtasks=N                                              slots for vertices a and b
//	subtask id=a/0 state=RUNNING [attempt=N] [failure=text] [lost-peer]
//	lost subtasks=(a/0,b/0) reason=text
//	reconciled a/0=STATE b/0=STATE [failure=text [rescale]]          what is left of the attempt
//	fail message=text [final]
//	rescale [attempt=N]
//
// Each event comes at the time at=D since the start.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var job *jobfsm.Job
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var actions []jobfsm.Action
			if d.Cmd == "new" {
				job = newJob(t, d)
				actions = job.Recover()
			} else {
				actions = job.Step(at(t, d), event(t, d, job))
			}
			return show(job, actions)
		})
	})
}

func newJob(t *testing.T, d *datadriven.TestData) *jobfsm.Job {
	status, attempt := string(jobfsm.Initializing), 0
	strategy := plan.RestartStrategy{
		InitialBackoff: time.Second, MaxBackoff: time.Minute, Multiplier: 1.5, Jitter: 0.1, ResetAfter: time.Hour,
	}
	var kind, delay string
	d.MaybeScanArgs(t, "status", &status)
	d.MaybeScanArgs(t, "attempt", &attempt)
	d.ScanArgs(t, "strategy", &kind)
	strategy.Type = plan.RestartType(kind)
	d.MaybeScanArgs(t, "attempts", &strategy.Attempts)
	strategy.MaxAttempts = strategy.Attempts
	strategy.MaxFailures, strategy.FailureInterval = strategy.Attempts, time.Minute
	if d.MaybeScanArgs(t, "delay", &delay) {
		strategy.Delay = duration(t, delay)
	}
	return jobfsm.New(jobfsm.Status(status), attempt, strategy, func() float64 { return 0.5 })
}

func duration(t *testing.T, text string) time.Duration {
	v, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func at(t *testing.T, d *datadriven.TestData) time.Time {
	var text string
	if !d.MaybeScanArgs(t, "at", &text) {
		return time.Unix(0, 0)
	}
	return time.Unix(0, 0).Add(duration(t, text))
}

func event(t *testing.T, d *datadriven.TestData, job *jobfsm.Job) jobfsm.Event {
	switch d.Cmd {
	case "splits-found":
		return jobfsm.SplitsFound{}
	case "cancel":
		return jobfsm.CancelRequested{}
	case "rescale":
		attempt := job.Attempt()
		d.MaybeScanArgs(t, "attempt", &attempt)
		return jobfsm.Rescale{Attempt: attempt, Note: "rescale"}
	case "restart-due":
		return jobfsm.RestartDue{}
	case "granted":
		var n int
		d.ScanArgs(t, "subtasks", &n)
		return jobfsm.SlotsGranted{Subtasks: subtasks(n)}
	case "subtask":
		var id, state, failure string
		attempt := job.Attempt()
		d.ScanArgs(t, "id", &id)
		d.ScanArgs(t, "state", &state)
		d.MaybeScanArgs(t, "attempt", &attempt)
		e := jobfsm.SubtaskChanged{Subtask: parseID(t, id), Attempt: attempt, State: jobfsm.SubtaskState(state)}
		if d.MaybeScanArgs(t, "failure", &failure) {
			e.Failure = &jobfsm.Failure{Message: failure, LostPeer: d.HasArg("lost-peer")}
		}
		return e
	case "reconciled":
		return reconciled(t, d)
	case "lost":
		var reason string
		d.ScanArgs(t, "reason", &reason)
		e := jobfsm.SubtasksLost{Failure: jobfsm.Failure{Message: reason}}
		for _, arg := range d.CmdArgs {
			if arg.Key == "subtasks" {
				for _, id := range arg.Vals {
					e.Subtasks = append(e.Subtasks, parseID(t, id))
				}
			}
		}
		return e
	case "fail":
		var message string
		d.ScanArgs(t, "message", &message)
		return jobfsm.JobFailed{Failure: jobfsm.Failure{Message: message, Final: d.HasArg("final")}}
	default:
		d.Fatalf(t, "unknown verb %s", d.Cmd)
		return nil
	}
}

func reconciled(t *testing.T, d *datadriven.TestData) jobfsm.Reconciled {
	e := jobfsm.Reconciled{Subtasks: map[jobfsm.SubtaskID]jobfsm.SubtaskState{}}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "failure":
			e.Failure = &jobfsm.Failure{Message: arg.Vals[0], Rescale: d.HasArg("rescale")}
		case "rescale":
		default:
			e.Subtasks[parseID(t, arg.Key)] = jobfsm.SubtaskState(arg.Vals[0])
		}
	}
	return e
}

func subtasks(n int) (ids []jobfsm.SubtaskID) {
	for _, vertex := range []string{"a", "b"} {
		for i := range n {
			ids = append(ids, jobfsm.SubtaskID{VertexID: vertex, Index: i})
		}
	}
	return ids
}

func parseID(t *testing.T, text string) (id jobfsm.SubtaskID) {
	vertex, index, _ := strings.Cut(text, "/")
	id.VertexID = vertex
	if _, err := fmt.Sscan(index, &id.Index); err != nil {
		t.Fatalf("subtask %q: %v", text, err)
	}
	return id
}

func show(job *jobfsm.Job, actions []jobfsm.Action) string {
	var b strings.Builder
	for _, a := range actions {
		switch a := a.(type) {
		case jobfsm.SetStatus:
			fmt.Fprintf(&b, "set %s", a.Status)
			if a.Failure != nil {
				fmt.Fprintf(&b, " because %q", a.Failure.Message)
			}
		case jobfsm.RequestSlots:
			fmt.Fprintf(&b, "request slots for attempt %d", a.Attempt)
		case jobfsm.CancelSubtasks:
			fmt.Fprint(&b, "cancel")
			for _, id := range a.Subtasks {
				fmt.Fprintf(&b, " %s/%d", id.VertexID, id.Index)
			}
		case jobfsm.FindSplits:
			fmt.Fprint(&b, "find splits")
		case jobfsm.ReleaseSlots:
			fmt.Fprint(&b, "release slots")
		case jobfsm.StartTimer:
			fmt.Fprintf(&b, "start timer %s", a.After)
		case jobfsm.AwaitSubtasks:
			fmt.Fprint(&b, "await subtasks")
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "= %s attempt %d\n", job.Status(), job.Attempt())
	return b.String()
}

// world carries out the actions of a job as a cluster would, in any order that the rules allow.
type world struct {
	running map[jobfsm.SubtaskID]bool // of the attempt, by whether it was told to cancel
	waiting bool                      // for slots
	slots   bool
	timer   bool
	status  jobfsm.Status
}

func (w *world) do(t *rapid.T, actions []jobfsm.Action) {
	for _, a := range actions {
		if w.status.Terminal() {
			if _, release := a.(jobfsm.ReleaseSlots); !release {
				t.Fatalf("%T after the job ended", a)
			}
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
			w.waiting, w.slots = true, false
		case jobfsm.CancelSubtasks:
			for _, id := range a.Subtasks {
				if cancelled, ok := w.running[id]; ok && cancelled {
					t.Fatalf("subtask %v cancelled twice", id)
				} else if ok {
					w.running[id] = true
				}
			}
		case jobfsm.ReleaseSlots:
			if len(w.running) > 0 {
				t.Fatal("slots released while subtasks run")
			}
			w.waiting, w.slots = false, false
		case jobfsm.StartTimer:
			w.timer = true
		}
	}
}

// Whatever happens in whatever order: a job never runs two attempts at once, never ends before its subtasks have, does
// nothing after its end, and can always be brought to an end.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		strategy := plan.RestartStrategy{
			Type:     rapid.SampledFrom([]plan.RestartType{plan.RestartNone, plan.RestartFixedDelay, plan.RestartFailureRate, plan.RestartExponential}).Draw(t, "strategy"),
			Attempts: 3, MaxFailures: 2, FailureInterval: 20 * time.Second, Delay: time.Second, InitialBackoff: time.Second, MaxBackoff: time.Minute, Multiplier: 2, ResetAfter: time.Hour,
		}
		job := jobfsm.New(jobfsm.Initializing, 0, strategy, func() float64 { return 0.5 })
		w := &world{running: make(map[jobfsm.SubtaskID]bool), status: jobfsm.Initializing}
		w.do(t, job.Recover())
		now := time.Unix(0, 0)
		step := func(e jobfsm.Event) {
			now = now.Add(time.Second)
			w.do(t, job.Step(now, e))
		}
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			w.happen(t, job, step)
		}
		step(jobfsm.CancelRequested{})
		for _, id := range slices.Collect(maps.Keys(w.running)) {
			delete(w.running, id)
			step(jobfsm.SubtaskChanged{Subtask: id, Attempt: job.Attempt(), State: jobfsm.SubtaskCanceled})
		}
		if !job.Status().Terminal() {
			t.Fatalf("cancelled and all subtasks ended, yet the job is %s", job.Status())
		}
	})
}

func (w *world) happen(t *rapid.T, job *jobfsm.Job, step func(jobfsm.Event)) {
	ids := slices.SortedFunc(maps.Keys(w.running), func(a, b jobfsm.SubtaskID) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	switch rapid.IntRange(0, 8).Draw(t, "what") {
	case 0:
		step(jobfsm.SplitsFound{})
	case 1:
		if !w.waiting {
			return
		}
		w.waiting, w.slots = false, true
		granted := subtasks(2)
		for _, id := range granted {
			w.running[id] = false
		}
		step(jobfsm.SlotsGranted{Subtasks: granted})
	case 2, 3:
		if len(ids) == 0 {
			return
		}
		id := rapid.SampledFrom(ids).Draw(t, "subtask")
		state := rapid.SampledFrom([]jobfsm.SubtaskState{jobfsm.SubtaskRunning, jobfsm.SubtaskFinished, jobfsm.SubtaskFailed, jobfsm.SubtaskCanceled}).Draw(t, "state")
		if state == jobfsm.SubtaskCanceled && !w.running[id] {
			return
		}
		e := jobfsm.SubtaskChanged{Subtask: id, Attempt: job.Attempt(), State: state}
		if state == jobfsm.SubtaskFailed {
			e.Failure = &jobfsm.Failure{Message: "boom", LostPeer: rapid.Bool().Draw(t, "lost peer")}
		}
		if state.Terminal() {
			delete(w.running, id)
		}
		step(e)
	case 4:
		lost := ids[:rapid.IntRange(0, len(ids)).Draw(t, "lost")]
		for _, id := range lost {
			delete(w.running, id)
		}
		step(jobfsm.SubtasksLost{Subtasks: lost, Failure: jobfsm.Failure{Message: "gone"}})
	case 5:
		if w.timer {
			w.timer = false
			step(jobfsm.RestartDue{})
		}
	case 6:
		step(jobfsm.SubtaskChanged{Subtask: jobfsm.SubtaskID{VertexID: "a"}, Attempt: job.Attempt() - 1, State: jobfsm.SubtaskFailed, Failure: &jobfsm.Failure{}})
	case 8:
		step(jobfsm.Rescale{Attempt: job.Attempt() - rapid.IntRange(0, 1).Draw(t, "old"), Note: "rescale"})
	case 7:
		if rapid.IntRange(0, 9).Draw(t, "rarely") == 0 {
			step(jobfsm.CancelRequested{})
		}
	}
}
