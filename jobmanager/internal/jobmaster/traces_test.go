package jobmaster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/slotpool"
	controlv1 "pencere/pkg/gen/pencere/control/v1"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// traced has the world's next leader make spans, and returns them.
func (w *world) traced() *tracetest.SpanRecorder {
	w.stop()
	spans := tracetest.NewSpanRecorder()
	w.tracer = sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)).Tracer("test")
	w.lead()
	return spans
}

// told prints the traces that have ended: each span with how long it took, what it is about and how it ended, below the one that it is
// a part of.
func told(spans []sdk.ReadOnlySpan) string {
	spans = slices.Clone(spans)
	slices.SortStableFunc(spans, func(a, b sdk.ReadOnlySpan) int {
		return cmp.Or(a.StartTime().Compare(b.StartTime()), a.EndTime().Compare(b.EndTime()))
	})
	var text strings.Builder
	var tell func(above trace.SpanID, indent string)
	tell = func(above trace.SpanID, indent string) {
		for _, s := range spans {
			if s.Parent().SpanID() != above {
				continue
			}
			fmt.Fprintf(&text, "%s%s %s", indent, s.Name(), s.EndTime().Sub(s.StartTime()))
			for _, a := range s.Attributes() {
				if a.Key != "job_id" && a.Key != "job_name" {
					fmt.Fprintf(&text, " %s=%s", a.Key, a.Value.String())
				}
			}
			for _, e := range s.Events() {
				fmt.Fprintf(&text, " (%s: %s)", e.Name, e.Attributes[0].Value.String())
			}
			if why := s.Status().Description; why != "" {
				fmt.Fprintf(&text, " failed: %s", why)
			}
			text.WriteString("\n")
			tell(s.SpanContext().SpanID(), indent+"  ")
		}
	}
	tell(trace.SpanID{}, "")
	return text.String()
}

func (w *world) wantsTraces(spans *tracetest.SpanRecorder, want string) {
	w.t.Helper()
	got := told(spans.Ended())
	for i, v := range w.dispatcher.Jobs()[0].Vertices {
		got = strings.ReplaceAll(got, v.ID, []string{"source", "window"}[i])
	}
	if got != strings.TrimPrefix(want, "\n") {
		w.t.Errorf("traces:\n%s\nwant:\n%s", got, want)
	}
	spans.Reset()
}

// The traces tell how long each part of a checkpoint and of a restart took, and why one failed.
func TestTraces(t *testing.T) {
	inWorld(t, func(w *world) {
		spans := w.traced()
		id := w.submit("1", fixedDelay)
		<-time.After(3 * time.Second)
		tm := w.register("a:1-x", 1)
		<-time.After(time.Second)
		deployed := w.start(tm)
		w.wantsTraces(spans, `
start 4s attempt=0 parallelism=1
  slots 3s
  deploy 1s subtasks=2
`)
		<-time.After(interval)
		w.ack(1, 150, deployed[:1])
		<-time.After(2 * time.Second)
		w.ack(1, 150, deployed[1:])
		w.wantsTraces(spans, `
checkpoint 2s checkpoint_id=1 checkpoint_kind=checkpoint attempt=0 subtasks=2 state_bytes=0
  ack 0s state_bytes=0 vertex_id=source subtask_index=0
  ack 2s state_bytes=0 vertex_id=window subtask_index=0
  commit 0s
  notify 0s
`)
		<-time.After(interval)
		tm.mute = true
		w.dispatcher.CheckpointDecline(&controlv1.CheckpointDecline{Subtask: deployed[0].GetSubtask(), CheckpointId: 2, Reason: "disk full"})
		w.wants(id, jobfsm.Restarting)
		w.wantsTraces(spans, `
checkpoint 2s checkpoint_id=2 checkpoint_kind=checkpoint attempt=0 failed: declined by subtask source/0: disk full
  ack 2s vertex_id=source subtask_index=0 failed: disk full
`)
		for i, d := range deployed {
			<-time.After(time.Duration(i+1) * time.Second)
			w.report("a:1-x", d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_CANCELED)
		}
		<-time.After(interval)
		w.start(tm)
		w.wantsTraces(spans, `
restart 13s attempt=1 checkpoint_id=1 parallelism=1 (exception: checkpoint 2 declined by subtask source/0: disk full)
  cancel 3s subtasks=2
  delay 10s
  slots 0s
  deploy 3s subtasks=2
`)
		tm.leave("its connection broke")
		<-time.After(interval)
		tm = w.register("b:1-y", 1)
		w.fail("b:1-y", tm.take()[0].GetSubtask(), &controlv1.Failure{Message: "no such directory"})
		w.wants(id, jobfsm.Failed)
		w.wantsTraces(spans, `
restart 10s attempt=2 checkpoint_id=1 parallelism=1 (exception: taskmanager a:1-x is gone: its connection broke) failed: no such directory
  delay 10s
  slots 0s
  deploy 0s subtasks=2 failed: no such directory
failure 0s (exception: no such directory) failed: the job is FAILED
  cancel 0s subtasks=1
`)
	})
}

// What is under way when a leadership ends has failed, and who takes the job over tells so.
func TestTracesOfATakeover(t *testing.T) {
	inWorld(t, func(w *world) {
		w.grace = time.Minute
		spans := w.traced()
		tm := w.register("a:1-x", 1)
		id := w.submit("1", fixedDelay)
		w.start(tm)
		<-time.After(interval + time.Second)
		spans.Reset()
		w.stop()
		w.wantsTraces(spans, `
checkpoint 1s checkpoint_id=1 checkpoint_kind=checkpoint attempt=0 failed: this jobmanager no longer leads
`)
		w.lead()
		<-time.After(time.Second)
		var held []*controlv1.HeldSubtask
		for _, v := range w.job(id).Vertices {
			held = append(held, &controlv1.HeldSubtask{Parallelism: 1, Update: &controlv1.SubtaskUpdate{
				Subtask: &controlv1.SubtaskRef{JobId: id, VertexId: v.ID}, State: controlv1.SubtaskState_SUBTASK_STATE_RUNNING}})
		}
		w.dispatcher.Adopt(slotpool.TaskManager{ID: "a:1-x", Slots: 1, Send: tm.send}, held)
		w.wants(id, jobfsm.Running)
		w.wantsTraces(spans, `
takeover 1s
`)
		w.stop()
		spans.Reset()
		w.lead()
		<-time.After(time.Minute)
		w.start(w.register("b:1-y", 1))
		w.wantsTraces(spans, `
takeover 1m0s attempt=1 parallelism=1
  slots 0s
  deploy 0s subtasks=2
`)
	})
}

// A job that follows the slots is no job that fails.
func TestTracesOfARescale(t *testing.T) {
	inWorld(t, func(w *world) {
		w.rescale = elastic.Config{Quiet: time.Second}
		spans := w.traced()
		a := w.register("a:1-x", 1)
		w.submit("auto", fixedDelay)
		deployed := w.start(a)
		spans.Reset()
		b := w.register("b:1-y", 1)
		<-time.After(2 * time.Second)
		w.ack(1, 150, deployed)
		w.start(a)
		<-time.After(time.Second)
		w.start(b)
		w.wantsTraces(spans, `
checkpoint 1s checkpoint_id=1 checkpoint_kind=checkpoint attempt=0 subtasks=2 state_bytes=0
  ack 1s state_bytes=0 vertex_id=source subtask_index=0
  ack 1s state_bytes=0 vertex_id=window subtask_index=0
  commit 0s
  notify 0s
rescale 1s reason=rescale: from parallelism 1 to 2, from a checkpoint taken for it; slots for the job: 2 attempt=1 checkpoint_id=1 parallelism=2
  cancel 0s subtasks=2
  slots 0s
  deploy 1s subtasks=4
`)
	})
}
