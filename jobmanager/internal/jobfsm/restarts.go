package jobfsm

import (
	"cmp"
	"slices"
	"time"

	"pencere/pkg/plan"
)

// restarts applies a restart strategy
// (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/ops/state/task_failure_recovery/).
type restarts struct {
	strategy plan.RestartStrategy
	random   func() float64

	failures []time.Time   // of failure-rate, within its interval
	attempts int           // restarts granted; since the last reset, for exponential-delay
	backoff  time.Duration // the next delay of exponential-delay
	last     time.Time     // of the last failure that was granted a restart
	due      bool          // the delay of the granted restart is over
}

func newRestarts(s plan.RestartStrategy, random func() float64) *restarts {
	return &restarts{strategy: s, random: random, backoff: s.InitialBackoff}
}

// next says whether a failure at now is followed by a restart, and after which delay.
func (r *restarts) next(now time.Time) (time.Duration, bool) {
	r.due = false
	switch r.strategy.Type {
	case plan.RestartFixedDelay:
		if r.attempts >= r.strategy.Attempts {
			return 0, false
		}
		r.attempts++
		return r.strategy.Delay, true
	case plan.RestartFailureRate:
		return r.strategy.Delay, r.rateAllows(now)
	case plan.RestartExponential:
		return r.nextExponential(now)
	default:
		return 0, false
	}
}

// rateAllows counts a failure and reports whether it is not one too many for the interval that ends now.
func (r *restarts) rateAllows(now time.Time) bool {
	r.failures = slices.DeleteFunc(r.failures, func(at time.Time) bool { return now.Sub(at) > r.strategy.FailureInterval })
	r.failures = append(r.failures, now)
	return len(r.failures) <= r.strategy.MaxFailures
}

// nextExponential grows the delay with each failure and forgets them all after a long enough time without any.
func (r *restarts) nextExponential(now time.Time) (time.Duration, bool) {
	if r.attempts > 0 && now.Sub(r.last) >= r.strategy.ResetAfter+r.backoff {
		r.attempts, r.backoff = 0, r.strategy.InitialBackoff
	}
	if r.strategy.MaxAttempts > 0 && r.attempts >= r.strategy.MaxAttempts {
		return 0, false
	}
	r.attempts++
	r.last = now
	delay := r.jittered(r.backoff)
	r.backoff = min(time.Duration(float64(r.backoff)*r.strategy.Multiplier), r.strategy.MaxBackoff)
	return delay, true
}

// jittered moves d by up to the strategy's share of it, in either direction, within the bounds of the backoff.
func (r *restarts) jittered(d time.Duration) time.Duration {
	shift := (2*r.random() - 1) * r.strategy.Jitter * float64(d)
	return min(max(d+time.Duration(shift), r.strategy.InitialBackoff), r.strategy.MaxBackoff)
}

func sortSubtasks(ids []SubtaskID) {
	slices.SortFunc(ids, func(a, b SubtaskID) int {
		return cmp.Or(cmp.Compare(a.VertexID, b.VertexID), cmp.Compare(a.Index, b.Index))
	})
}
