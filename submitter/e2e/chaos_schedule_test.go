//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// blow is something that happens to a process: it is killed and started again after a while, or stopped for a while.
type blow struct {
	at     time.Duration // since the schedule began
	victim string
	kill   bool // SIGKILL; else SIGSTOP
	// An aimed one waits until a job opens or publishes a file, and then for as long as after says: so it falls into the midst
	// of a checkpoint, which others seldom do.
	aimed bool
	after time.Duration
	lasts time.Duration
}

func (b blow) String() string {
	how := "SIGSTOP"
	if b.kill {
		how = "SIGKILL"
	}
	if b.aimed {
		how += fmt.Sprintf(" in a checkpoint + %s", b.after)
	}
	return fmt.Sprintf("%6.2f s: %s %s for %s", b.at.Seconds(), how, b.victim, b.lasts)
}

// The names of the processes.
const (
	jobManager = "jobmanager"
	broker     = "broker"
)

func taskManagerName(i int) string { return fmt.Sprintf("taskmanager-%d", i) }

// newSchedule returns blows in the order of their times: as many kills as wanted, and a stop for every three of them. The
// same arguments give the same blows. Most kills are aimed. Every process is hit: the broker by one blow in twelve, as its start takes the longest,
// the jobmanager by three, and the taskmanagers by the others. One taskmanager is stopped for longer than its heartbeats may
// fail to come, so that it wakes up when its subtasks run elsewhere.
func newSchedule(random *rand.Rand, kills, taskManagers int, over time.Duration) []blow {
	blows := make([]blow, kills+(kills+2)/3)
	for i := range blows {
		b := blow{kill: i < kills, victim: taskManagerName(random.IntN(taskManagers))}
		switch i % 12 {
		case 0:
			b.victim = broker
		case 3, 6, 9:
			b.victim = jobManager
		}
		b.at = time.Duration(random.Int64N(int64(over)))
		b.lasts = time.Duration(random.IntN(1500)) * time.Millisecond
		if !b.kill {
			b.lasts *= 2
		}
		b.aimed = b.kill && b.victim != broker && random.IntN(3) > 0
		b.after = time.Duration(random.IntN(15)) * time.Millisecond
		blows[i] = b
	}
	zombie := &blows[len(blows)-1]
	zombie.kill, zombie.victim, zombie.lasts = false, taskManagerName(random.IntN(taskManagers)), silence
	zombie.at /= 2
	for i := range blows {
		blows[i].at, blows[i].lasts = blows[i].at.Round(10*time.Millisecond), blows[i].lasts.Round(10*time.Millisecond)
	}
	slices.SortFunc(blows, func(a, b blow) int { return cmp.Compare(a.at, b.at) })
	return blows
}

// silence is longer than a taskmanager may be silent until it counts as lost, which is after 10 s.
const silence = 12 * time.Second
