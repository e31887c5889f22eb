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
)

// TestScripts plays the stories in testdata. Verbs:
//
//	new [status=S] [attempt=N] strategy=T [attempts=N] [delay=D]   a job, and what Recover wants
//	splits-found, cancel                                            an event
//	restart-due [of=N]                                              of the newest restart, or the Nth
//	granted subtasks=N [regions]                                    slots for vertices a and b, a region for each index
//	deployed subtasks=(a/0,b/0)                                     what restarts has its slots
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
	return jobfsm.New(jobfsm.Status(status), jobfsm.Begun(attempt), strategy, func() float64 { return 0.5 })
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
		var e jobfsm.RestartDue
		e.Restart = job.NewestRestart()
		d.MaybeScanArgs(t, "of", &e.Restart)
		return e
	case "granted":
		var n int
		d.ScanArgs(t, "subtasks", &n)
		return jobfsm.SlotsGranted{Regions: regions(n, d.HasArg("regions"))}
	case "deployed":
		return jobfsm.SubtasksDeployed{Subtasks: listed(t, d)}
	case "subtask":
		var id, state, failure string
		d.ScanArgs(t, "id", &id)
		d.ScanArgs(t, "state", &state)
		attempt := job.Attempts().Of(parseID(t, id))
		d.MaybeScanArgs(t, "attempt", &attempt)
		e := jobfsm.SubtaskChanged{Subtask: parseID(t, id), Attempt: attempt, State: jobfsm.SubtaskState(state)}
		if d.MaybeScanArgs(t, "failure", &failure) {
			e.Failure = &jobfsm.Failure{Message: failure, LostPeer: d.HasArg("lost-peer"), Whole: d.HasArg("whole")}
		}
		return e
	case "reconciled":
		return reconciled(t, d)
	case "lost":
		var reason string
		d.ScanArgs(t, "reason", &reason)
		return jobfsm.SubtasksLost{Subtasks: listed(t, d), Failure: jobfsm.Failure{Message: reason}}
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
		case "regions":
			e.Regions = regions(len(d.CmdArgs)/2, true)
		default:
			e.Subtasks[parseID(t, arg.Key)] = jobfsm.SubtaskState(arg.Vals[0])
		}
	}
	if e.Regions == nil {
		e.Regions = [][]jobfsm.SubtaskID{slices.Collect(maps.Keys(e.Subtasks))}
	}
	return e
}

// listed returns the subtasks that a verb names.
func listed(t *testing.T, d *datadriven.TestData) (ids []jobfsm.SubtaskID) {
	for _, arg := range d.CmdArgs {
		if arg.Key == "subtasks" {
			for _, id := range arg.Vals {
				ids = append(ids, parseID(t, id))
			}
		}
	}
	return ids
}

// regions are those of n subtasks of each vertex: one, or one for each index.
func regions(n int, apart bool) [][]jobfsm.SubtaskID {
	if !apart {
		return [][]jobfsm.SubtaskID{subtasks(n)}
	}
	var all [][]jobfsm.SubtaskID
	for i := range n {
		all = append(all, []jobfsm.SubtaskID{{VertexID: "a", Index: i}, {VertexID: "b", Index: i}})
	}
	return all
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
		case jobfsm.RestartSubtasks:
			fmt.Fprintf(&b, "restart%s as attempt %d", showIDs(a.Subtasks), a.Attempt)
		case jobfsm.CancelSubtasks:
			fmt.Fprint(&b, "cancel", showIDs(a.Subtasks))
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

func showIDs(ids []jobfsm.SubtaskID) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, " %s/%d", id.VertexID, id.Index)
	}
	return b.String()
}
