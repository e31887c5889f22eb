//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	chaosPartitions   = 5
	chaosTaskManagers = 3
	chaosSlots        = 6 // with a taskmanager away there are fewer than the jobs would like: their parallelism changes
)

// trial is a run of the cluster under blows.
type trial struct {
	seed      uint64
	kills     int
	over      time.Duration // the blows come within it, and as long the input flows
	perSecond int           // listings
}

// Whatever is killed or stopped, and whenever: finished files hold each row once.
func TestChaosShort(t *testing.T) {
	trial{seed: chaosSeed(t), kills: 12, over: 30 * time.Second, perSecond: 2000}.run(t)
}

// chaosSeed is PENCERE_CHAOS_SEED, or random.
func chaosSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("PENCERE_CHAOS_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("PENCERE_CHAOS_SEED: %v", err)
	}
	return seed
}

func (c trial) run(t *testing.T) figures {
	t.Helper()
	random := rand.New(rand.NewPCG(c.seed, 0))
	blows := newSchedule(random, c.kills, chaosTaskManagers, c.over)
	t.Logf("seed %d: PENCERE_CHAOS_SEED=%[1]d deals the same blows:\n%s", c.seed, describe(blows))
	a := newArena(t, chaosTaskManagers, chaosSlots)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), c.over+2*patience)
	defer cancel()
	backlog, live := newFeed(t, a.broker, "backlog", random), newFeed(t, a.broker, "live", random)
	backlog.write(ctx, 20_000)
	if err := backlog.finish(ctx); err != nil {
		t.Fatal(err)
	}
	jobs := a.submitLive(ctx, live.topic)
	watched, unwatch := context.WithCancel(ctx)
	flowing, dry := context.WithCancel(ctx)
	filling, filled := context.WithCancel(ctx)
	var backfills []*chaosJob
	var watching, others sync.WaitGroup
	watching.Go(func() { a.watch(watched, jobs) })
	others.Go(func() { live.stream(flowing, c.perSecond) })
	others.Go(func() {
		var err error
		if backfills, err = a.backfill(filling, backlog); err != nil {
			t.Error(err)
		}
	})
	a.suffer(ctx, blows)
	dry()
	filled()
	others.Wait()
	if err := live.finish(ctx); err != nil {
		t.Fatal(err)
	}
	unwatch()
	watching.Wait()
	suffered := time.Since(began)
	topic, err := readTopic(ctx, a.broker, live.topic)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(topic); n != live.records {
		t.Fatalf("the topic holds %d records, %d were written: the broker or the test lost its way", n, live.records)
	}
	a.prove(ctx, jobs, backfills, topic)
	f := figures{blows: blows, replayed: a.replayed.Load(), took: time.Since(began), settled: time.Since(began) - suffered, records: live.records, backfills: len(backfills)}
	f.add(append(jobs, backfills...))
	t.Logf("seed %d: %s", c.seed, f)
	return f
}

// prove compares every row of the jobs, all at once: those that still run mostly wait.
func (a *arena) prove(ctx context.Context, jobs, backfills []*chaosJob, topic [][][]byte) {
	var proofs sync.WaitGroup
	for _, j := range jobs {
		proofs.Go(func() {
			if err := a.settle(ctx, j, topic); err != nil {
				a.t.Errorf("%s (%s): %v", j.name, j.id, err)
			}
		})
	}
	proofs.Go(func() {
		for _, j := range backfills {
			if err := a.verify(ctx, j, true); err != nil {
				a.t.Error(err)
			}
		}
	})
	proofs.Wait()
}

// submitLive runs the jobs without an end. Two of them take the slots that there are.
func (a *arena) submitLive(ctx context.Context, topic string) []*chaosJob {
	a.t.Helper()
	var jobs []*chaosJob
	for _, want := range []struct {
		jobKind
		parallelism string
	}{{passedJob, "3"}, {listingsJob, "auto"}, {totalsJob, "auto"}} {
		j, err := a.submit(ctx, want.jobKind, "live-"+want.name, topic, want.parallelism, false)
		if err != nil {
			a.t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func count(topic [][][]byte) int {
	n := 0
	for _, partition := range topic {
		n += len(partition)
	}
	return n
}

func describe(blows []blow) string {
	var lines []string
	for _, b := range blows {
		lines = append(lines, b.String())
	}
	return strings.Join(lines, "\n")
}

// figures is what a run has to tell.
type figures struct {
	blows         []blow
	took, settled time.Duration // settled: from the end of the blows and the input until all rows were there
	records       int           // of the live topic
	replayed      int64         // rows that were proved by submitter verify --replay
	restarts      int           // of jobs
	backfills     int           // bounded jobs that ended meanwhile
	longest       time.Duration // between two completed checkpoints of a live job
}

func (f *figures) add(jobs []*chaosJob) {
	for _, j := range jobs {
		f.restarts += j.seen.restarts
		f.longest = max(f.longest, j.seen.longest)
	}
}

func (f figures) kills() (kills int) {
	for _, b := range f.blows {
		if b.kill {
			kills++
		}
	}
	return kills
}

func (f figures) String() string {
	return fmt.Sprintf("%d kills and %d stops; %d restarts of jobs; %d bounded jobs ended meanwhile; %d records in %.1f s; %d rows replayed; "+
		"all rows there %.1f s after the last blow; longest time without a checkpoint %.1f s",
		f.kills(), len(f.blows)-f.kills(), f.restarts, f.backfills, f.records, f.took.Seconds(), f.replayed, f.settled.Seconds(), f.longest.Seconds())
}
