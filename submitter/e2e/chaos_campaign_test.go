//go:build e2e && chaos

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Many runs, PENCERE_CHAOS_RUNS of them, each with blows of its own: `make chaos`. The seed is that of the first; run n has
// the nth number after it.
func TestChaosCampaign(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("PENCERE_CHAOS_RUNS"))
	if err != nil || runs < 1 {
		t.Fatalf("PENCERE_CHAOS_RUNS says how many runs, not %q", os.Getenv("PENCERE_CHAOS_RUNS"))
	}
	first := chaosSeed(t)
	var total figures
	passed := 0
	for n := range runs {
		seed := first + uint64(n)
		kills := 8 + rand.New(rand.NewPCG(seed, 1)).IntN(17)
		if t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			total.sum(trial{seed: seed, kills: kills, over: 30 * time.Second, perSecond: 2000}.run(t))
		}) {
			passed++
		}
		t.Logf("%d of %d runs passed; in all: %s", passed, n+1, total)
	}
}

// sum adds the figures of another run. Of the times that must be short it keeps the longest.
func (f *figures) sum(run figures) {
	f.blows = append(f.blows, run.blows...)
	f.took += run.took
	f.records += run.records
	f.replayed += run.replayed
	f.restarts += run.restarts
	f.backfills += run.backfills
	f.settled, f.longest = max(f.settled, run.settled), max(f.longest, run.longest)
}
