package elastic_test

import (
	"testing"
	"time"

	"pencere/jobmanager/internal/elastic"

	"pgregory.net/rapid"
)

func TestTarget(t *testing.T) {
	for _, c := range []struct {
		bounds                  elastic.Bounds
		slots, sources, maximum int
		want                    int
	}{
		{elastic.Fixed(0), 0, 4, 128, 0},
		{elastic.Fixed(0), 16, 4, 128, 4},
		{elastic.Fixed(0), 2, 4, 128, 2},
		{elastic.Fixed(0), 16, 0, 128, 1},
		{elastic.Fixed(0), 300, 200, 128, 128},
		{elastic.Fixed(3), 2, 4, 128, 0},
		{elastic.Fixed(3), 9, 1, 128, 3}, // who asks for more than there are partitions has them
		{elastic.Bounds{Lower: 2, Upper: 3}, 1, 4, 128, 0},
		{elastic.Bounds{Lower: 2, Upper: 3}, 2, 4, 128, 2},
		{elastic.Bounds{Lower: 2, Upper: 3}, 9, 4, 128, 3},
		{elastic.Bounds{Upper: 8}, 9, 4, 128, 4},
	} {
		if got := c.bounds.Target(c.slots, c.sources, c.maximum); got != c.want {
			t.Errorf("%+v.Target(%d, %d, %d) = %d, want %d", c.bounds, c.slots, c.sources, c.maximum, got, c.want)
		}
	}
}

const (
	quiet    = time.Second
	coolDown = 5 * time.Second
)

// job is one of as many subtasks as there are slots, whose clock the test moves.
type job struct {
	t    *testing.T
	r    *elastic.Rescaler
	now  time.Time
	seen elastic.Seen
}

func newJob(t *testing.T, slots int) *job {
	j := &job{t: t, r: elastic.New(elastic.Config{Quiet: quiet, CoolDown: coolDown}), now: time.Unix(0, 0)}
	j.seen = elastic.Seen{Parallelism: slots, Slots: slots, Target: slots}
	j.wants(elastic.Stay, 0)
	return j
}

// wants sees the job after a while and fails unless that is decided; for Look, so long from then.
func (j *job) wants(want elastic.Decision, in time.Duration) {
	j.t.Helper()
	got, at := j.r.See(j.now, j.seen)
	if got != want || want == elastic.Look && at.Sub(j.now) != in {
		j.t.Fatalf("decision %d in %s, want %d in %s", got, at.Sub(j.now), want, in)
	}
}

func (j *job) slots(n int) { j.seen.Slots, j.seen.Target = n, n }

func (j *job) pass(d time.Duration) { j.now = j.now.Add(d) }

// A burst of joins is one rescale, when it is quiet, and the next one waits for the cool-down.
func TestBurst(t *testing.T) {
	j := newJob(t, 1)
	j.pass(time.Minute)
	for n := 2; n < 5; n++ {
		j.slots(n)
		j.wants(elastic.Look, quiet)
		j.pass(quiet - 1)
	}
	j.wants(elastic.Look, 1)
	j.pass(1)
	j.wants(elastic.Checkpoint, 0)
	j.slots(5)
	j.wants(elastic.Stay, 0) // its checkpoint is under way
	if j.r.Committed(j.seen) != elastic.Rescale {
		t.Fatal("no rescale")
	}
	j.seen.Attempt, j.seen.Parallelism = 1, 5
	j.wants(elastic.Stay, 0)
	j.slots(6)
	j.wants(elastic.Look, coolDown)
	j.pass(coolDown)
	j.wants(elastic.Checkpoint, 0)
}

// Slots that come and go for ever do not keep a job from following them.
func TestSlotsThatComeAndGo(t *testing.T) {
	j := newJob(t, 1)
	j.pass(time.Minute)
	const each = quiet * 9 / 10
	for waited := time.Duration(0); ; waited += each {
		j.slots(2 + int(waited/each)%2)
		switch got, _ := j.r.See(j.now, j.seen); {
		case waited >= 10*quiet && got == elastic.Checkpoint:
			return
		case waited >= 10*quiet || got != elastic.Look:
			t.Fatalf("after %s: decision %d", waited, got)
		}
		j.pass(each)
	}
}

func TestNoLongerWanted(t *testing.T) {
	j := newJob(t, 2)
	j.pass(time.Minute)
	j.slots(4)
	j.wants(elastic.Look, quiet)
	j.pass(quiet)
	j.wants(elastic.Checkpoint, 0)
	j.slots(2)
	if got := j.r.Committed(j.seen); got != elastic.Stay {
		t.Fatalf("decision %d, want to stay", got)
	}
}

func TestFailedCheckpointIsTriedAgain(t *testing.T) {
	j := newJob(t, 2)
	j.pass(time.Minute)
	j.slots(4)
	j.wants(elastic.Look, quiet)
	j.pass(quiet)
	j.wants(elastic.Checkpoint, 0)
	j.r.Failed(j.now)
	j.wants(elastic.Look, coolDown)
	j.pass(coolDown)
	j.wants(elastic.Checkpoint, 0)
}

// From slots that are about to go a job moves at once, wherever to, and never without its sources having stopped.
func TestLeaving(t *testing.T) {
	for _, left := range []int{0, 1, 2} {
		j := newJob(t, 2)
		j.slots(left)
		j.seen.Leaving = true
		j.wants(elastic.HandOver, 0)
		j.seen.Leaving = false // it died meanwhile
		j.slots(2)
		if got := j.r.Committed(j.seen); got != elastic.Rescale {
			t.Fatalf("decision %d: the sources have stopped", got)
		}
	}
}

func TestLeavingDuringACheckpoint(t *testing.T) {
	j := newJob(t, 2)
	j.pass(time.Minute)
	j.slots(3)
	j.wants(elastic.Look, quiet)
	j.pass(quiet)
	j.wants(elastic.Checkpoint, 0)
	j.slots(1)
	j.seen.Leaving = true
	j.wants(elastic.Stay, 0)
	if got := j.r.Committed(j.seen); got != elastic.Stay {
		t.Fatalf("decision %d after a checkpoint at which no source stopped", got)
	}
	j.wants(elastic.HandOver, 0)
	j.r.Failed(j.now)
	j.wants(elastic.Look, coolDown)
}

// Whatever is seen when: no attempt rescales without a checkpoint of its own that was committed, and none before its cool-down, but from
// slots that are about to go, and then not unless the sources have stopped.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := elastic.New(elastic.Config{Quiet: quiet, CoolDown: coolDown})
		now := time.Unix(0, 0)
		seen := elastic.Seen{Parallelism: 1, Slots: 1, Target: 1}
		began, awaiting := now, elastic.Stay
		r.See(now, seen)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			seen.Slots = rapid.IntRange(0, 3).Draw(t, "slots")
			seen.Target = seen.Slots
			seen.Leaving = rapid.IntRange(0, 3).Draw(t, "leaving") == 0
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				if r.Committed(seen) == elastic.Rescale {
					if awaiting == elastic.Stay || awaiting == elastic.Checkpoint && (seen.Leaving || seen.Target == seen.Parallelism) {
						t.Fatal("a rescale that nobody wants or without its checkpoint")
					}
					seen.Attempt, seen.Parallelism = seen.Attempt+1, max(seen.Target, 1)
					seen.Slots, seen.Target, seen.Leaving = seen.Parallelism, seen.Parallelism, false
					began = now
					r.See(now, seen)
				}
				awaiting = elastic.Stay
			case 1:
				r.Failed(now)
				awaiting = elastic.Stay
			default:
				decision, at := r.See(now, seen)
				if decision == elastic.Look && !at.After(now) {
					t.Fatal("a look at once")
				}
				if decision != elastic.Checkpoint && decision != elastic.HandOver {
					continue
				}
				if awaiting != elastic.Stay || decision == elastic.Checkpoint && now.Sub(began) < coolDown {
					t.Fatal("a checkpoint beside another one, or too soon")
				}
				awaiting = decision
			}
		}
	})
}
