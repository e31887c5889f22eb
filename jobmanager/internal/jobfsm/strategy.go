package jobfsm

import (
	"cmp"
	"slices"
	"time"

	"pencere/pkg/plan"
)

// strategy applies a restart strategy
// (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/ops/state/task_failure_recovery/).
type strategy struct {
	plan.RestartStrategy
	random func() float64

	failures []time.Time   // of failure-rate, within its interval
	attempts int           // restarts granted; since the last reset, for exponential-delay
	backoff  time.Duration // the next delay of exponential-delay
	last     time.Time     // of the last failure that was granted a restart
}

func newStrategy(s plan.RestartStrategy, random func() float64) *strategy {
	return &strategy{RestartStrategy: s, random: random, backoff: s.InitialBackoff}
}

// next says whether a failure at now is followed by a restart, and after which delay.
func (r *strategy) next(now time.Time) (time.Duration, bool) {
	switch r.Type {
	case plan.RestartFixedDelay:
		if r.attempts >= r.Attempts {
			return 0, false
		}
		r.attempts++
		return r.Delay, true
	case plan.RestartFailureRate:
		return r.Delay, r.rateAllows(now)
	case plan.RestartExponential:
		return r.nextExponential(now)
	default:
		return 0, false
	}
}

// rateAllows counts a failure and reports whether it is not one too many for the interval that ends now.
func (r *strategy) rateAllows(now time.Time) bool {
	r.failures = slices.DeleteFunc(r.failures, func(at time.Time) bool { return now.Sub(at) > r.FailureInterval })
	r.failures = append(r.failures, now)
	return len(r.failures) <= r.MaxFailures
}

// nextExponential grows the delay with each failure and forgets them all after a long enough time without any.
func (r *strategy) nextExponential(now time.Time) (time.Duration, bool) {
	if r.attempts > 0 && now.Sub(r.last) >= r.ResetAfter+r.backoff {
		r.attempts, r.backoff = 0, r.InitialBackoff
	}
	if r.MaxAttempts > 0 && r.attempts >= r.MaxAttempts {
		return 0, false
	}
	r.attempts++
	r.last = now
	delay := r.jittered(r.backoff)
	r.backoff = min(time.Duration(float64(r.backoff)*r.Multiplier), r.MaxBackoff)
	return delay, true
}

// jittered moves d by up to the strategy's share of it, in either direction, within the bounds of the backoff.
func (r *strategy) jittered(d time.Duration) time.Duration {
	shift := (2*r.random() - 1) * r.Jitter * float64(d)
	return min(max(d+time.Duration(shift), r.InitialBackoff), r.MaxBackoff)
}

func sortSubtasks(ids []SubtaskID) {
	slices.SortFunc(ids, func(a, b SubtaskID) int {
		return cmp.Or(cmp.Compare(a.VertexID, b.VertexID), cmp.Compare(a.Index, b.Index))
	})
}
