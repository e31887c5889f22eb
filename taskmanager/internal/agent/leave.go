package agent

import (
	"context"
	"errors"
	"time"

	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

// ErrLeft is returned by Run after Leave, when no job needs the taskmanager any more or none is waited for any longer.
var ErrLeft = errors.New("the taskmanager has left")

// unled is for how long a taskmanager that is about to go looks for a jobmanager: without one nobody hands anything over.
const unled = 5 * time.Second

// Leave tells whoever leads that the taskmanager is about to go. Run returns when its jobs go on elsewhere, or after Config.LeaveTimeout.
// It may be called at any time, and again.
func (a *Agent) Leave() {
	a.mu.Lock()
	before := a.leaving
	a.leaving = true
	a.mu.Unlock()
	if before {
		return
	}
	a.cfg.Log.Info("leaving: jobs are to be handed over", "timeout", a.cfg.LeaveTimeout)
	a.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Leave{Leave: &controlv1.Leave{}}})
	close(a.leave)
}

func (a *Agent) isLeaving() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving
}

// depart bounds the wait for the dismissal.
func (a *Agent) depart(ctx context.Context, end context.CancelCauseFunc) {
	select {
	case <-a.leave:
	case <-ctx.Done():
		return
	}
	late := time.NewTimer(a.cfg.LeaveTimeout)
	defer late.Stop()
	tick := time.NewTicker(unled / 10)
	defer tick.Stop()
	for alone := 0; ; alone++ {
		switch {
		case a.led.Load():
			alone = 0
		case alone >= 10 || !a.busy():
			a.cfg.Log.Warn("left without a jobmanager that could hand over")
			end(ErrLeft)
			return
		}
		select {
		case <-tick.C:
		case <-late.C:
			a.cfg.Log.Warn("left before all jobs were handed over: they go on from their last checkpoints", "timeout", a.cfg.LeaveTimeout)
			end(ErrLeft)
			return
		case <-ctx.Done():
			return
		}
	}
}

// busy reports whether some subtask runs.
func (a *Agent) busy() bool {
	for _, h := range a.slots.Held() {
		if h.GetUpdate().GetState() < controlv1.SubtaskState_SUBTASK_STATE_FINISHED {
			return true
		}
	}
	return false
}
