package agent

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

var dismissal = &controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_Dismissed{Dismissed: &controlv1.Dismissed{}}}

// runs makes the slots hold a subtask that runs.
func (w *world) runs() {
	w.slots.held = []*controlv1.HeldSubtask{{Update: &controlv1.SubtaskUpdate{
		Subtask: &controlv1.SubtaskRef{JobId: "j"}, State: controlv1.SubtaskState_SUBTASK_STATE_RUNNING}}}
}

// wantLeft fails unless Run has returned, and the log says so.
func (w *world) wantLeft(t *testing.T, log string) {
	t.Helper()
	synctest.Wait()
	select {
	case <-w.ended:
		if !errors.Is(w.err, ErrLeft) || !strings.Contains(w.log.String(), log) {
			t.Errorf("left with %v; log: %s", w.err, w.log.String())
		}
	default:
		t.Error("it has not left")
	}
}

func (w *world) wantHere(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case <-w.ended:
		t.Fatalf("it has left: %s", w.log.String())
	default:
	}
}

// A taskmanager stays until it is dismissed, and tells each new leader that it leaves.
func TestLeave(t *testing.T) {
	a, b := &jobmanager{leads: true, token: 1}, &jobmanager{token: 2}
	inWorld(t, []*jobmanager{a, b}, func(t *testing.T, w *world) {
		w.runs()
		a.take()
		w.agent.Leave()
		w.agent.Leave()
		<-time.After(time.Second)
		if messages, _ := a.take(); len(messages) != 1 || messages[0].GetLeave() == nil {
			t.Errorf("the leader was told %v", messages)
		}
		a.leads, b.leads = false, true
		a.end(io.EOF)
		<-time.After(time.Second)
		if messages, _ := b.take(); len(messages) == 0 || !messages[0].GetRegister().GetLeaving() {
			t.Errorf("the new leader was told %v", messages)
		}
		b.deploy("late")
		w.slots.want(t, "deploy late")
		w.wantHere(t)
		b.say(dismissal)
		w.wantLeft(t, "all jobs are handed over")
		w.slots.want(t, "cancel all")
	})
}

// Whoever is never dismissed leaves all the same.
func TestLeaveTimeout(t *testing.T) {
	a := &jobmanager{leads: true, token: 1}
	inWorld(t, []*jobmanager{a}, func(t *testing.T, w *world) {
		w.runs()
		w.agent.Leave()
		<-time.After(19 * time.Second)
		w.wantHere(t)
		<-time.After(2 * time.Second)
		w.wantLeft(t, "left before all jobs were handed over")
	})
}

// Without a leader there is nobody to wait for: a subtask that runs is left to one that may come soon, and without any nothing is.
func TestLeaveWithoutLeader(t *testing.T) {
	for _, runs := range []bool{false, true} {
		inWorld(t, []*jobmanager{nil}, func(t *testing.T, w *world) {
			if runs {
				w.runs()
			}
			w.agent.Leave()
			if runs {
				<-time.After(unled - time.Second)
				w.wantHere(t)
				<-time.After(2 * time.Second)
			}
			w.wantLeft(t, "without a jobmanager")
		})
	}
}
