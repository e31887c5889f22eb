package jobmaster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/slotpool"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/jobspec"
)

const fixedDelay = "restart_strategy: {type: fixed-delay, attempts: 2, delay: 10s}\n"

func TestDeployment(t *testing.T) {
	inWorld(t, func(w *world) {
		w.topic.grow(3)
		a, b := w.register("a:1-x", 1), w.register("b:1-y", 1)
		id := w.submit("2", "")
		job := w.wants(id, jobfsm.Running)
		deployed := slices.Concat(a.take(), b.take())
		if len(deployed) != 4 || job.Parallelism != 2 {
			t.Fatalf("%d subtasks at parallelism %d", len(deployed), job.Parallelism)
		}
		var partitions []int32
		for _, d := range deployed {
			ref := d.GetSubtask()
			source := ref.GetVertexId() == job.Vertices[0].ID
			if ref.GetJobId() != id || ref.GetAttempt() != 0 || d.GetParallelism() != 2 || d.GetSlot() != 0 || len(d.GetPlan()) == 0 {
				t.Errorf("deployed %v", d)
			}
			if source != (len(d.GetUpstreams()) == 0) || source != (len(d.GetDownstreams()) == 2) || !source && len(d.GetSplits()) > 0 {
				t.Errorf("subtask %v has %d upstreams, %d downstreams", ref, len(d.GetUpstreams()), len(d.GetDownstreams()))
			}
			for i, e := range slices.Concat(d.GetUpstreams(), d.GetDownstreams()) {
				tm := job.Vertices[0].Subtasks[i].TaskManagerID
				if e.GetSubtask().GetSubtaskIndex() != int32(i) || e.GetTaskManagerId() != tm || e.GetDataAddress() != "data-"+tm {
					t.Errorf("endpoint %d is %v, want that of %s", i, e, tm)
				}
			}
			for _, s := range d.GetSplits() {
				partitions = append(partitions, s.GetPartition())
				if s.GetTopic() != "sahibinden" || s.GetStartOffset() != 100 || s.GetStopOffset() != -1 {
					t.Errorf("split %v", s)
				}
			}
		}
		slices.Sort(partitions)
		if !slices.Equal(partitions, []int32{0, 1, 2}) {
			t.Errorf("partitions %v are read", partitions)
		}
	})
}

func TestBoundedJobFinishes(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 2)
		id := w.submit("1", "")
		deployed := w.start(tm)
		if job := w.wants(id, jobfsm.Running); states(job)[0] != jobfsm.SubtaskRunning {
			t.Errorf("subtasks are %v", states(job))
		}
		w.end(deployed)
		// What they wrote last is published with a checkpoint, as everything else is, and only then do they end.
		if orders := tm.takeOrders(); !slices.Equal(orders, []string{"commit 1 of 0", "commit 1 of 0"}) {
			t.Fatalf("orders %q at the end of the input", orders)
		}
		for _, d := range deployed {
			w.report(tm.id, d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FINISHED)
		}
		job := w.wants(id, jobfsm.Finished)
		if job.End == 0 || w.pool.TaskManagers()[0].Free != 2 {
			t.Errorf("ended at %d, %d slots are free", job.End, w.pool.TaskManagers()[0].Free)
		}
		var terminal *TerminalError
		if err := w.dispatcher.Cancel(t.Context(), id); !errors.As(err, &terminal) || terminal.Status != jobfsm.Finished {
			t.Errorf("cancel of a finished job: %v", err)
		}
	})
}

func TestFixedDelayRestarts(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", fixedDelay)
		for attempt := range 3 {
			deployed := w.start(tm)
			if len(deployed) != 2 || deployed[0].GetSubtask().GetAttempt() != int32(attempt) {
				t.Fatalf("attempt %d deploys %v", attempt, deployed)
			}
			w.fail(tm.id, deployed[1].GetSubtask(), &controlv1.Failure{Message: fmt.Sprint("reason ", attempt)})
			if attempt == 2 {
				break
			}
			w.wants(id, jobfsm.Restarting)
			<-time.After(10*time.Second - time.Millisecond)
			w.wants(id, jobfsm.Restarting)
			<-time.After(time.Millisecond)
			w.wants(id, jobfsm.Running)
		}
		job := w.wants(id, jobfsm.Failed)
		if len(job.Failures) != 3 || job.Failures[0].Message != "reason 2" || job.Failures[2].Message != "reason 0" {
			t.Fatalf("failures %v", job.Failures)
		}
		f := job.Failures[0]
		if f.TaskManagerID != "a:1-x" || f.Endpoint != "a:1" || !strings.HasSuffix(f.Task, " (1/1)") {
			t.Errorf("failure %+v does not say where", f)
		}
		if job.Restarts != 2 || job.Attempt != 2 {
			t.Errorf("%d restarts, attempt %d", job.Restarts, job.Attempt)
		}
	})
}

func TestNoRestartFailsTheJob(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", "restart_strategy: {type: none}\n")
		deployed := w.start(tm)
		w.fail(tm.id, deployed[0].GetSubtask(), &controlv1.Failure{Message: "bad record"})
		w.wants(id, jobfsm.Failed)
		if len(tm.canceled) != 1 {
			t.Errorf("%d subtasks were cancelled, want the other one", len(tm.canceled))
		}
	})
}

// A taskmanager that reads peers is told of them in place of endpoints.
func TestDeploymentOfPeers(t *testing.T) {
	inWorld(t, func(w *world) {
		old := w.register("a:1-x", 2)
		now := &taskManager{w: w, id: "b:1-y"}
		w.pool.Register(slotpool.TaskManager{ID: now.id, DataAddress: "data-b", Slots: 1, ReadsPeers: true, Send: now.send})
		job := w.job(w.submit("3", ""))
		for _, d := range now.take() {
			p := d.GetDownstreamPeers()
			if d.GetSubtask().GetVertexId() != job.Vertices[0].ID {
				p = d.GetUpstreamPeers()
			}
			if len(d.GetUpstreams())+len(d.GetDownstreams()) > 0 || len(p.GetPlaces()) != 3 || len(p.GetTaskManagerIds()) != 2 ||
				p.GetVertexId() == d.GetSubtask().GetVertexId() {
				t.Errorf("deployed %v", d)
			}
			for i, place := range p.GetPlaces() {
				want := job.Vertices[0].Subtasks[i]
				if p.GetTaskManagerIds()[place] != want.TaskManagerID || p.GetDataAddresses()[place] != want.Endpoint {
					t.Errorf("peer %d is at %s, want %s", i, p.GetTaskManagerIds()[place], want.TaskManagerID)
				}
			}
		}
		for _, d := range old.take() {
			if len(d.GetUpstreams())+len(d.GetDownstreams()) != 3 || d.GetUpstreamPeers() != nil || d.GetDownstreamPeers() != nil {
				t.Errorf("deployed %v", d)
			}
		}
	})
}

// A subtask that fails because its peer went is not the cause; the peer's own failure, which comes later, is.
func TestCauseComesAfterItsConsequence(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		tm.mute = true
		id := w.submit("1", fixedDelay)
		deployed := w.start(tm)
		w.fail(tm.id, deployed[0].GetSubtask(), &controlv1.Failure{Message: "peer is gone", LostPeer: true})
		w.fail(tm.id, deployed[1].GetSubtask(), &controlv1.Failure{Message: "disk full"})
		if job := w.wants(id, jobfsm.Restarting); job.Failures[0].Message != "disk full" {
			t.Errorf("failures %v", job.Failures)
		}
	})
}

func TestTaskManagerLost(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.register("a:1-x", 1)
		b := w.register("b:1-y", 1)
		id := w.submit("2", fixedDelay)
		w.start(a)
		w.start(b)
		a.leave("no heartbeat for 10s")
		job := w.wants(id, jobfsm.Restarting)
		if want := "taskmanager a:1-x is gone: no heartbeat for 10s"; job.Failures[0].Message != want {
			t.Errorf("failure %q, want %q", job.Failures[0].Message, want)
		}
		if len(b.canceled) != 2 {
			t.Errorf("%d subtasks elsewhere were cancelled, want 2", len(b.canceled))
		}
		<-time.After(10 * time.Second)
		job = w.wants(id, jobfsm.Running)
		if want := "waiting for slots: the job takes 2, 1 are free"; job.Notice != want {
			t.Errorf("notice %q, want %q", job.Notice, want)
		}
		c := w.register("c:1-z", 1)
		if deployed := c.take(); len(deployed) != 2 || deployed[0].GetSubtask().GetAttempt() != 1 {
			t.Errorf("the new taskmanager was given %v", deployed)
		}
		// What is left of the first attempt is not heard any more.
		w.fail("a:1-x", &controlv1.SubtaskRef{JobId: id, VertexId: job.Vertices[0].ID}, &controlv1.Failure{Message: "old"})
		if job := w.wants(id, jobfsm.Running); job.Notice != "" || len(job.Failures) != 1 {
			t.Errorf("notice %q, failures %v", job.Notice, job.Failures)
		}
	})
}

// One that comes back under its old id before its stream was known to be broken takes the new attempt.
func TestTaskManagerComesBackAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		old := w.register("a:1-x", 1)
		id := w.submit("1", fixedDelay)
		w.start(old)
		again := w.register("a:1-x", 1)
		w.wants(id, jobfsm.Restarting)
		<-time.After(10 * time.Second)
		w.wants(id, jobfsm.Running)
		old.leave("its connection broke")
		w.start(again)
		if job := w.wants(id, jobfsm.Running); states(job)[0] != jobfsm.SubtaskRunning {
			t.Errorf("subtasks are %v", states(job))
		}
	})
}

func TestCancelInEveryStatus(t *testing.T) {
	noMore := func(w *world, id string, deployed int, tm *taskManager) {
		w.t.Helper()
		job := w.wants(id, jobfsm.Canceled)
		<-time.After(time.Minute)
		if more := tm.take(); len(more) != deployed || w.pool.TaskManagers()[0].Free != 1 || job.Notice != "" {
			w.t.Errorf("%d subtasks were deployed, %d slots are free, notice %q", len(more), w.pool.TaskManagers()[0].Free, job.Notice)
		}
		if err := w.dispatcher.Cancel(w.t.Context(), id); err != nil {
			w.t.Errorf("cancelled again: %v", err)
		}
	}
	cancel := func(w *world, id string) {
		w.t.Helper()
		if err := w.dispatcher.Cancel(w.t.Context(), id); err != nil {
			w.t.Fatal(err)
		}
		synctest.Wait()
	}
	t.Run("initializing", func(t *testing.T) {
		inWorld(t, func(w *world) {
			tm := w.register("a:1-x", 1)
			w.topic.down = make(chan struct{})
			id := w.submit("1", "")
			if job := w.wants(id, jobfsm.Initializing); job.Notice != "broker k:9092: connection refused; retrying" {
				t.Errorf("notice %q", job.Notice)
			}
			cancel(w, id)
			noMore(w, id, 0, tm)
		})
	})
	t.Run("waiting for slots", func(t *testing.T) {
		inWorld(t, func(w *world) {
			id := w.submit("1", "")
			if job := w.wants(id, jobfsm.Running); job.Notice != "waiting for slots: the job takes 1, 0 are free" {
				t.Errorf("notice %q", job.Notice)
			}
			cancel(w, id)
			noMore(w, id, 0, w.register("a:1-x", 1))
		})
	})
	t.Run("running", func(t *testing.T) {
		inWorld(t, func(w *world) {
			tm := w.register("a:1-x", 1)
			tm.mute = true
			id := w.submit("1", "")
			deployed := w.start(tm)
			cancel(w, id)
			if job := w.wants(id, jobfsm.Cancelling); states(job)[0] != jobfsm.SubtaskCanceling {
				t.Errorf("subtasks are %v", states(job))
			}
			for _, d := range deployed {
				w.report(tm.id, d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_CANCELED)
			}
			noMore(w, id, 0, tm)
		})
	})
	t.Run("restarting", func(t *testing.T) {
		inWorld(t, func(w *world) {
			tm := w.register("a:1-x", 1)
			id := w.submit("1", fixedDelay)
			w.fail(tm.id, w.start(tm)[0].GetSubtask(), &controlv1.Failure{Message: "x"})
			w.wants(id, jobfsm.Restarting)
			cancel(w, id)
			noMore(w, id, 0, tm)
		})
	})
	t.Run("unknown", func(t *testing.T) {
		inWorld(t, func(w *world) {
			if err := w.dispatcher.Cancel(t.Context(), "x"); !errors.Is(err, ErrNoJob) {
				t.Errorf("cancel: %v", err)
			}
		})
	})
}

func TestSplitsAddedWhileRunning(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 2)
		id := w.submit("2", "")
		w.start(tm)
		w.topic.grow(4)
		<-time.After(30 * time.Second)
		synctest.Wait()
		var added []int32
		for _, m := range tm.added {
			for _, s := range m.GetSplits() {
				added = append(added, s.GetPartition())
			}
		}
		slices.Sort(added)
		if len(tm.added) != 2 || !slices.Equal(added, []int32{2, 3}) {
			t.Errorf("added %v", tm.added)
		}
		if kept, _ := w.log.Job(id); len(kept.GetSplits()) != 4 {
			t.Errorf("the log has %v", kept.GetSplits())
		}
	})
}

// Splits that are found while the job waits for slots are read from the first attempt on.
func TestSplitsAddedWhileWaiting(t *testing.T) {
	inWorld(t, func(w *world) {
		w.submit("1", "")
		w.topic.grow(4)
		<-time.After(30 * time.Second)
		synctest.Wait()
		deployed := w.register("a:1-x", 1).take()
		if len(deployed) != 2 || len(deployed[0].GetSplits()) != 4 {
			t.Errorf("deployed %v", deployed)
		}
	})
}

func TestTopicThatDoesNotExist(t *testing.T) {
	inWorld(t, func(w *world) {
		w.topic.err = errors.New(`topic "sahibinden" does not exist`)
		id := w.submit("1", fixedDelay)
		job := w.wants(id, jobfsm.Failed)
		if want := `find splits: topic "sahibinden" does not exist`; len(job.Failures) != 1 || job.Failures[0].Message != want {
			t.Errorf("failures %v", job.Failures)
		}
	})
}

func TestJobsWaitInLine(t *testing.T) {
	inWorld(t, func(w *world) {
		wide, narrow := w.submit("2", ""), w.submit("1", "")
		tm := w.register("a:1-x", 1)
		if job := w.wants(narrow, jobfsm.Running); job.Notice != "waiting for slots: other jobs are served first" {
			t.Errorf("notice %q", job.Notice)
		}
		if err := w.dispatcher.Cancel(t.Context(), wide); err != nil {
			t.Fatal(err)
		}
		if job := w.wants(narrow, jobfsm.Running); job.Notice != "" || len(tm.take()) != 2 {
			t.Errorf("notice %q after the first in line left", job.Notice)
		}
	})
}

// A new leader goes on with what the log has: the same splits, the next attempt.
func TestRecovery(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", "")
		waiting := w.submit("1", "")
		w.start(tm)
		w.stop()
		w.topic.grow(3)
		w.lead()
		w.wants(id, jobfsm.Running)
		tm = w.register("a:1-x", 2)
		attempts := make(map[string]int32)
		for _, d := range tm.take() {
			attempts[d.GetSubtask().GetJobId()] = d.GetSubtask().GetAttempt()
			if n := len(d.GetSplits()); n != 0 && n != 2 {
				t.Errorf("%d splits are read again, want the 2 that were found first", n)
			}
		}
		if len(attempts) != 2 || attempts[id] != 1 || attempts[waiting] != 1 {
			t.Errorf("attempts %v", attempts)
		}
		<-time.After(30 * time.Second)
		synctest.Wait()
		if len(tm.added) != 2 {
			t.Errorf("%d additions of the third split, want one for each job", len(tm.added))
		}
	})
}

// The leader dies between two entries of the log: the next one does not find the first splits once more.
func TestRecoveryBetweenSplitsAndStatus(t *testing.T) {
	inWorld(t, func(w *world) {
		died := false
		w.log.applying = func(c *storagev1.Command) {
			if c.GetSetJobStatus() != nil && !died {
				died = true
				w.resign()
			}
		}
		id := w.submit("1", "")
		w.stop()
		w.lead()
		w.wants(id, jobfsm.Running)
		if kept, _ := w.log.Job(id); len(kept.GetSplits()) != 2 {
			t.Errorf("the log has the splits %v", kept.GetSplits())
		}
	})
}

func TestTerminalJobsAreKeptForAnHour(t *testing.T) {
	inWorld(t, func(w *world) {
		id := w.submit("1", "")
		if err := w.dispatcher.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		w.wants(id, jobfsm.Canceled)
		w.stop()
		w.lead()
		w.wants(id, jobfsm.Canceled)
		<-time.After(58 * time.Minute)
		w.wants(id, jobfsm.Canceled)
		<-time.After(3 * time.Minute)
		synctest.Wait()
		if _, err := w.dispatcher.Job(id); !errors.Is(err, ErrNoJob) || len(w.log.Jobs()) != 0 {
			t.Errorf("after an hour: %v, %d in the log", err, len(w.log.Jobs()))
		}
	})
}

// A leader whose log takes nothing any more must not go on as if it did.
func TestLogFails(t *testing.T) {
	inWorld(t, func(w *world) {
		tm := w.register("a:1-x", 1)
		id := w.submit("1", fixedDelay)
		deployed := w.start(tm)
		w.log.err = errDisk
		w.fail(tm.id, deployed[0].GetSubtask(), &controlv1.Failure{Message: "x"})
		w.stop()
		if !errors.Is(w.reason, errDisk) || !strings.Contains(w.reason.Error(), id) {
			t.Errorf("the leadership ended with %v", w.reason)
		}
		if _, err := w.dispatcher.Submit(t.Context(), Spec{Text: fmt.Sprintf(header, "1")}); !errors.Is(err, ErrNotLeading) {
			t.Errorf("submission afterwards: %v", err)
		}
	})
}

func TestNotLeading(t *testing.T) {
	inWorld(t, func(w *world) {
		id := w.submit("1", "")
		w.log.err = fmt.Errorf("commit: %w", replica.ErrNotLeader)
		if _, err := w.dispatcher.Submit(t.Context(), Spec{Text: fmt.Sprintf(header, "1")}); !errors.Is(err, ErrNotLeading) {
			t.Errorf("submission that the log refuses: %v", err)
		}
		w.log.err = nil
		w.stop()
		if _, err := w.dispatcher.Submit(t.Context(), Spec{Text: fmt.Sprintf(header, "1")}); !errors.Is(err, ErrNotLeading) {
			t.Errorf("submission: %v", err)
		}
		if err := w.dispatcher.Cancel(t.Context(), id); !errors.Is(err, ErrNotLeading) {
			t.Errorf("cancel: %v", err)
		}
	})
}

func TestSubmitRefusesABadSpec(t *testing.T) {
	inWorld(t, func(w *world) {
		_, err := w.dispatcher.Submit(t.Context(), Spec{Text: "name: x\nsorce: {}\n", File: "job.yaml"})
		var errs jobspec.Errors
		if !errors.As(err, &errs) || len(w.log.Jobs()) != 0 {
			t.Errorf("submission: %v, %d jobs in the log", err, len(w.log.Jobs()))
		}
	})
}

// Submissions beside a leadership that begins and ends: each job is run by one master, or by none.
func TestSubmitBesideLead(t *testing.T) {
	inWorld(t, func(w *world) {
		for range 20 {
			submitted := make(chan string, 4)
			for range cap(submitted) {
				go func() {
					id, _ := w.dispatcher.Submit(t.Context(), Spec{Text: fmt.Sprintf(header, "1"), File: "job.yaml"})
					submitted <- id
				}()
			}
			w.stop()
			w.begin()
			for range cap(submitted) {
				if id := <-submitted; id != "" {
					w.wants(id, jobfsm.Running)
				}
			}
		}
		if w.topic.open != len(w.dispatcher.Jobs()) {
			t.Errorf("%d enumerators of %d jobs", w.topic.open, len(w.dispatcher.Jobs()))
		}
	})
}
