package coordinator_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/internal/coordinator"
	"pencere/pkg/checkpoint"

	"github.com/cockroachdb/datadriven"
)

// TestScripts plays the stories in testdata. Verbs:
//
//	new [interval=D] [min-pause=D] [fired-pause=D] [timeout=D] [tolerable=N] [retained=N] [concurrent=N] [committed=(ID,…)] [reserved=ID]
//	started attempt=N sources=(s/0,…) [others=(w/0,…)]     running     tick
//	reserved through=ID                                     committed id=ID         commit-failed id=ID reason=text
//	fired subtask=w/0 last=ID                               request name=text kind=savepoint
//	ack id=ID subtask=w/0 [blob=key]                        ended subtask=w/0 last=ID [blob=key]
//	decline id=ID subtask=w/0 reason=text                   attempt-ended reason=text       job-ended       released id=ID
//	interrupted subtasks=(w/0,…) reason=text                restarted attempt=N subtasks=(w/0,…)
//
// Each event comes at the time at=D since the start, or when the one before it came. Committed checkpoints of new rest on a blob old-ID.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s script
		datadriven.RunTest(t, path, s.play)
	})
}

type script struct {
	c       *coordinator.Coordinator
	at      time.Duration
	attempt int
}

var start = time.Unix(0, 0)

func (s *script) play(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "new" {
		*s = script{c: newCoordinator(t, d)}
		return ""
	}
	if d.HasArg("at") {
		s.at = duration(t, d, "at")
	}
	var b strings.Builder
	for _, a := range s.c.Step(start.Add(s.at), s.event(t, d)) {
		b.WriteString(show(a) + "\n")
	}
	for _, p := range s.c.Progress() {
		fmt.Fprintf(&b, "= %s %d, %d of %d subtasks to ack\n", p.Kind, p.ID, len(p.Waiting), p.Subtasks)
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

func newCoordinator(t *testing.T, d *datadriven.TestData) *coordinator.Coordinator {
	config := coordinator.Config{Interval: 10 * time.Second, Timeout: time.Minute, Retained: 1, MaxParallelism: 128}
	for name, field := range map[string]*time.Duration{"interval": &config.Interval, "min-pause": &config.MinPause, "fired-pause": &config.FiredPause, "timeout": &config.Timeout} {
		if d.HasArg(name) {
			*field = duration(t, d, name)
		}
	}
	d.MaybeScanArgs(t, "tolerable", &config.TolerableFailures)
	d.MaybeScanArgs(t, "retained", &config.Retained)
	d.MaybeScanArgs(t, "concurrent", &config.MaxConcurrent)
	var committed []checkpoint.Checkpoint
	for _, id := range values(d, "committed") {
		n, err := strconv.Atoi(id)
		if err != nil {
			t.Fatal(err)
		}
		committed = append(committed, checkpoint.Checkpoint{
			ID: checkpoint.ID(n), States: []checkpoint.State{state(checkpoint.Subtask{VertexID: "w"}, "old-"+id)},
		})
	}
	var reserved uint64
	d.MaybeScanArgs(t, "reserved", &reserved)
	return coordinator.New(config, committed, checkpoint.ID(reserved))
}

func duration(t *testing.T, d *datadriven.TestData, name string) time.Duration {
	v, err := time.ParseDuration(text(t, d, name))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func values(d *datadriven.TestData, name string) []string {
	for _, arg := range d.CmdArgs {
		if arg.Key == name {
			return arg.Vals
		}
	}
	return nil
}

func text(t *testing.T, d *datadriven.TestData, name string) (v string) {
	d.ScanArgs(t, name, &v)
	return v
}

func number(t *testing.T, d *datadriven.TestData, name string) checkpoint.ID {
	var n uint64
	d.ScanArgs(t, name, &n)
	return checkpoint.ID(n)
}

func subtask(t *testing.T, name string) checkpoint.Subtask {
	vertex, index, _ := strings.Cut(name, "/")
	i, err := strconv.Atoi(index)
	if err != nil {
		t.Fatal(err)
	}
	return checkpoint.Subtask{VertexID: vertex, Index: i}
}

func subtasks(t *testing.T, names []string) (all []checkpoint.Subtask) {
	for _, name := range names {
		all = append(all, subtask(t, name))
	}
	return all
}

// state is a state that rests on a blob, or on none if its key is "".
func state(s checkpoint.Subtask, blob string) checkpoint.State {
	made := checkpoint.State{Subtask: s}
	if blob != "" {
		made.Keyed = []checkpoint.Keyed{{Handle: checkpoint.Handle{Blob: checkpoint.Blob{Key: blob, Size: 1}}}}
	}
	return made
}

func (s *script) event(t *testing.T, d *datadriven.TestData) coordinator.Event {
	reported := func() checkpoint.State {
		var blob string
		d.MaybeScanArgs(t, "blob", &blob)
		return state(subtask(t, text(t, d, "subtask")), blob)
	}
	attempt := s.attempt
	d.MaybeScanArgs(t, "attempt", &attempt)
	switch d.Cmd {
	case "started":
		s.attempt = attempt
		return coordinator.Started{Attempt: attempt, Sources: subtasks(t, values(d, "sources")), Others: subtasks(t, values(d, "others"))}
	case "running":
		return coordinator.Running{Attempt: attempt}
	case "tick":
		return coordinator.Tick{}
	case "reserved":
		return coordinator.Reserved{Through: number(t, d, "through")}
	case "fired":
		return coordinator.Fired{Attempt: attempt, Subtask: subtask(t, text(t, d, "subtask")), Last: number(t, d, "last")}
	case "request":
		return coordinator.Requested{Request: text(t, d, "name"), Kind: kinds[text(t, d, "kind")]}
	case "ack":
		return coordinator.Acked{ID: number(t, d, "id"), State: reported()}
	case "ended":
		return coordinator.Ended{Attempt: attempt, State: reported(), Last: number(t, d, "last")}
	case "decline":
		return coordinator.Declined{Attempt: attempt, ID: number(t, d, "id"), Subtask: subtask(t, text(t, d, "subtask")), Reason: text(t, d, "reason")}
	case "committed":
		return coordinator.Committed{ID: number(t, d, "id")}
	case "commit-failed":
		return coordinator.CommitFailed{ID: number(t, d, "id"), Reason: text(t, d, "reason")}
	case "attempt-ended":
		return coordinator.AttemptEnded{Reason: text(t, d, "reason")}
	case "interrupted":
		return coordinator.Interrupted{Subtasks: subtasks(t, values(d, "subtasks")), Reason: text(t, d, "reason")}
	case "restarted":
		s.attempt = attempt
		return coordinator.Restarted{Attempt: attempt, Subtasks: subtasks(t, values(d, "subtasks"))}
	case "released":
		return coordinator.Released{ID: number(t, d, "id")}
	case "job-ended":
		return coordinator.JobEnded{}
	default:
		d.Fatalf(t, "unknown verb %s", d.Cmd)
		return nil
	}
}

var kinds = map[string]checkpoint.Kind{
	"checkpoint": checkpoint.Periodic, "savepoint": checkpoint.Savepoint, "stop": checkpoint.Stop, "drain": checkpoint.Drain,
	"hand-over": checkpoint.HandOver,
}

func show(a coordinator.Action) string {
	switch a := a.(type) {
	case coordinator.Reserve:
		return fmt.Sprintf("reserve through %d", a.Through)
	case coordinator.Trigger:
		return fmt.Sprintf("trigger %s %d at %s", a.Kind, a.ID, names(a.Sources))
	case coordinator.Commit:
		return fmt.Sprintf("commit %s %d of %s, subsumes %v", a.Checkpoint.Kind, a.Checkpoint.ID, contents(a.Checkpoint), a.Subsumed)
	case coordinator.NotifyComplete:
		return fmt.Sprintf("notify attempt %d: %s %d is complete%s", a.Attempt, a.Kind, a.ID, answers(a.Request))
	case coordinator.Abort:
		return fmt.Sprintf("abort %d of attempt %d%s: %s", a.ID, a.Attempt, answers(a.Request), a.Reason)
	case coordinator.Refuse:
		return fmt.Sprintf("refuse%s: %s", answers(a.Request), a.Reason)
	case coordinator.Discard:
		var keys []string
		for _, b := range a.Blobs {
			keys = append(keys, b.Key)
		}
		return "discard " + strings.Join(keys, " ")
	case coordinator.FailJob:
		return "fail job: " + a.Reason
	case coordinator.WakeAt:
		return fmt.Sprintf("wake at %s", a.Time.Sub(start))
	default:
		return fmt.Sprintf("%T", a)
	}
}

func names(subtasks []checkpoint.Subtask) string {
	var all []string
	for _, s := range subtasks {
		all = append(all, fmt.Sprintf("%s/%d", s.VertexID, s.Index))
	}
	return strings.Join(all, " ")
}

func contents(c checkpoint.Checkpoint) string {
	var all []string
	for _, s := range c.States {
		text := fmt.Sprintf("%s/%d", s.Subtask.VertexID, s.Subtask.Index)
		for _, b := range s.Blobs() {
			text += ":" + b.Key
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func answers(request string) string {
	if request == "" {
		return ""
	}
	return " for " + request
}
