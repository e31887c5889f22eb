// Package elastic decides how wide a job runs and when it changes that. It is pure: time comes in with each call.
//
// A job that is to run otherwise than it does first takes a checkpoint, and only when that is committed begins its next attempt
// from it. Slots that come one after the other are one change: nothing is done before they have been quiet for a while. From slots
// that are about to go a job moves at once, and its sources stop at the checkpoint: nothing is read twice.
package elastic

import "time"

// Bounds are how many slots a job takes: at least Lower, 0 standing for 1, and at most Upper, 0 for as many as there is work for.
type Bounds struct{ Lower, Upper int }

// Fixed returns the bounds of a job that takes just n slots; 0 is for one that follows the slots.
func Fixed(n int) Bounds { return Bounds{Lower: n, Upper: n} }

// Least returns how many slots the job needs at least.
func (b Bounds) Least() int { return max(b.Lower, 1) }

// Most returns how many slots the job takes at most. sources is the number of splits: more subtasks than that are only made where
// Lower asks for them. maxParallelism is the number of key groups.
func (b Bounds) Most(sources, maxParallelism int) int {
	most := min(max(sources, b.Least()), maxParallelism)
	if b.Upper > 0 {
		most = min(most, b.Upper)
	}
	return max(most, b.Least())
}

// Target returns how many of the slots that are there the job takes; 0 while there are too few.
func (b Bounds) Target(slots, sources, maxParallelism int) int {
	if slots < b.Least() {
		return 0
	}
	return min(slots, b.Most(sources, maxParallelism))
}

// Config says how patient a Rescaler is.
type Config struct {
	// Quiet is for how long the slots must have stayed as they are before a job changes for them.
	Quiet time.Duration
	// CoolDown is for how long at least an attempt runs before the job changes, and the pause after a checkpoint that failed.
	CoolDown time.Duration
}

// restless is how many times Quiet a job waits at most for slots that come and go.
const restless = 10

// Seen is how a job that runs and its slots are.
type Seen struct {
	Attempt     int
	Parallelism int
	// Slots are those that the job has and those that it could have.
	Slots int
	// Target is how many of them it would take; 0 if they are too few.
	Target int
	// Leaving says that some slots that the job runs in are about to go. They are not in Slots.
	Leaving bool
}

func (s Seen) wants() bool { return s.Leaving || s.Target > 0 && s.Target != s.Parallelism }

// Decision is what is to be done next.
type Decision int

// The decisions.
const (
	Stay Decision = iota
	// Look again at the time that comes with the decision.
	Look
	// Checkpoint takes a checkpoint; Committed or Failed answers it.
	Checkpoint
	// HandOver takes a checkpoint at which the sources stop; Committed or Failed answers it.
	HandOver
	// Rescale begins the next attempt.
	Rescale
)

// Rescaler decides for one job. It is made by New.
type Rescaler struct {
	config   Config
	seen     Seen
	began    time.Time // when the attempt was seen first
	changed  time.Time // when the slots did last
	wanted   time.Time // since when the job wants to change; zero for not at all
	retry    time.Time // not before, after a checkpoint that failed
	awaiting Decision  // Checkpoint or HandOver while one of the attempt is under way for this, else Stay
}

// New returns the rescaler of a job of which nothing has been seen.
func New(c Config) *Rescaler { return &Rescaler{config: c, seen: Seen{Attempt: -1}} }

// See takes how the job is now and decides Stay, Look, Checkpoint or HandOver. The time belongs to Look.
func (r *Rescaler) See(now time.Time, s Seen) (Decision, time.Time) {
	if s.Attempt != r.seen.Attempt {
		r.began, r.wanted, r.retry, r.awaiting = now, time.Time{}, time.Time{}, Stay
	}
	if s.Slots != r.seen.Slots || s.Target != r.seen.Target {
		r.changed = now
	}
	r.seen = s
	switch {
	case !s.wants():
		r.wanted = time.Time{}
		return Stay, time.Time{}
	case r.wanted.IsZero():
		r.wanted = now
	}
	if r.awaiting != Stay {
		return Stay, time.Time{}
	}
	if due := r.due(); now.Before(due) {
		return Look, due
	}
	r.awaiting = Checkpoint
	if s.Leaving {
		r.awaiting = HandOver
	}
	return r.awaiting, time.Time{}
}

// due returns when the job may change.
func (r *Rescaler) due() time.Time {
	if r.seen.Leaving {
		return r.retry
	}
	quiet := earlier(r.changed.Add(r.config.Quiet), r.wanted.Add(restless*r.config.Quiet))
	return later(later(quiet, r.began.Add(r.config.CoolDown)), r.retry)
}

// Committed says that the checkpoint of the attempt exists. The job is as in s by now: Rescale, or Stay if it need not change any
// more, or must hand over and its sources have not stopped: See says that next.
func (r *Rescaler) Committed(s Seen) Decision {
	if s.Attempt != r.seen.Attempt {
		return Stay
	}
	taken := r.awaiting
	r.awaiting = Stay
	if taken == HandOver || taken == Checkpoint && s.wants() && !s.Leaving {
		return Rescale
	}
	return Stay
}

// Failed says that there is no such checkpoint, or that the job cannot change now: it is tried again after a pause.
func (r *Rescaler) Failed(now time.Time) {
	r.awaiting = Stay
	r.retry = now.Add(r.config.CoolDown)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
