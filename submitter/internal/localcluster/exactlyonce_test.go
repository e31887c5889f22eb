package localcluster_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pencere/submitter/internal/client"
	"pencere/submitter/internal/localcluster"
	"pencere/submitter/internal/replay"
)

// Whatever dies in the middle of a job, its finished files hold each row once. Each run is told by its seed.
func TestExactlyOnce(t *testing.T) {
	for _, passThrough := range []bool{false, true} {
		for _, parallelism := range []int{1, 2} {
			for seed := range uint64(3) {
				t.Run(fmt.Sprintf("pass-through=%t,parallelism=%d,seed=%d", passThrough, parallelism, seed), func(t *testing.T) {
					t.Parallel()
					c := newChaos(t, seed)
					c.run(spec{parallelism: parallelism, passThrough: passThrough, restarts: 1000, window: 10 * time.Second})
				})
			}
		}
	}
}

// So do those of a job of which several checkpoints are under way at once.
func TestExactlyOnceWithConcurrentCheckpoints(t *testing.T) {
	for _, passThrough := range []bool{false, true} {
		t.Run(fmt.Sprintf("pass-through=%t", passThrough), func(t *testing.T) {
			t.Parallel()
			c := newChaos(t, 7)
			c.run(spec{
				parallelism: 2, passThrough: passThrough, restarts: 1000, window: 10 * time.Second, interval: 10 * time.Millisecond, concurrent: 4,
			})
		})
	}
}

// chaos is a job whose processes die while its topic is written to.
type chaos struct {
	*fixture
	random       *rand.Rand
	taskManagers []func() // each stops one
	clock        []float64
	id           int
	bad          bool // some records are none
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := newChaosOf(t, localcluster.Config{SlotsEach: 2}, seed)
	for range 2 {
		c.addTaskManager()
	}
	return c
}

// newChaosOf starts what cfg says.
func newChaosOf(t *testing.T, cfg localcluster.Config, seed uint64) *chaos {
	t.Helper()
	return &chaos{fixture: newFixtureOf(t, cfg), random: rand.New(rand.NewPCG(seed, 5)), clock: make([]float64, 3)}
}

func (c *chaos) addTaskManager() {
	c.t.Helper()
	stop, err := c.cluster.AddTaskManager()
	c.check(err)
	c.taskManagers = append(c.taskManagers, stop)
}

// run writes, kills, and writes on, and compares the rows with the oracle's.
func (c *chaos) run(s spec) {
	c.t.Helper()
	all := make(partitions, len(c.clock))
	s.topic = c.topic(all)
	j := c.submit(s)
	for range 4 {
		more := c.listings(150)
		c.produce(s.topic, more)
		for p := range all {
			all[p] = append(all[p], more[p]...)
		}
		if c.random.IntN(2) == 0 {
			c.read(j, all)
		}
		c.pause(time.Duration(c.random.IntN(250)) * time.Millisecond)
		c.kill()
	}
	last := records(at(1_000_000, 1_000_000)) // passes every window's end
	want, late, dead := s.judge(all)
	if s.passThrough {
		for p := range all {
			all[p] = append(all[p], last...)
		}
		want, _, dead = s.judge(all)
	}
	c.t.Logf("%d rows, %d late", len(want), late)
	c.produce(s.topic, partitions{last, last, last})
	j.awaitRows(want)
	if s.deadLetters {
		j.poll(fmt.Sprintf("%d dead letters", len(dead)), func() bool { return len(j.deadLetters()) >= len(dead) })
	}
	j.cancel()
	j.wantRows(want)
	if s.deadLetters {
		j.wantDeadLetters(dead)
		j.replayed(s, replay.Rows, len(want))
		j.replayed(s, replay.DeadLetters, len(dead))
	}
	j.intact()
}

// listings makes records that go on in time, some of them out of order, too late, or repeated.
func (c *chaos) listings(n int) partitions {
	more := make(partitions, len(c.clock))
	for range n {
		p := c.random.IntN(len(c.clock))
		c.clock[p] += 3 * c.random.Float64()
		seconds := c.clock[p] - 4*c.random.Float64()
		if c.random.IntN(10) == 0 {
			seconds -= 60
		}
		l := at(c.id, seconds)
		l.at = l.at.Truncate(time.Millisecond)
		more[p] = append(more[p], l.json())
		if c.random.IntN(10) == 0 {
			more[p] = append(more[p], l.json())
		}
		if c.bad && c.random.IntN(10) == 0 {
			more[p] = append(more[p], fmt.Sprintf("{\"id\":\"no, \\\"%d\\\"\nnumber\"}", c.id))
		}
		c.id++
	}
	return more
}

// read waits until the job has read all there is.
func (c *chaos) read(j job, all partitions) {
	c.t.Helper()
	j.poll("all is read", func() bool {
		splits, err := c.jobs.Splits(c.ctx, j.id)
		if err != nil || len(splits) != len(all) { // the jobmanager that was started a moment ago does not lead yet
			return false
		}
		for _, s := range splits {
			if s.Offset < int64(len(all[s.Partition])) {
				return false
			}
		}
		return true
	})
}

// Jobs that end by themselves: what they wrote last is published once, too.
func TestExactlyOnceToTheEnd(t *testing.T) {
	for _, passThrough := range []bool{false, true} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("pass-through=%t,seed=%d", passThrough, seed), func(t *testing.T) {
				t.Parallel()
				c := newChaos(t, seed)
				all := c.listings(20_000)
				s := spec{parallelism: 2, passThrough: passThrough, restarts: 1000, window: 10 * time.Second, bounded: true, topic: c.topic(all)}
				j := c.submit(s)
				c.killToTheEnd(j, 150*time.Millisecond)
				want, _ := s.oracle(all)
				j.wantRows(want)
				j.nothingHidden()
			})
		}
	}
}

// killToTheEnd kills something four times, each within a pause from the last, and lets the job end.
func (c *chaos) killToTheEnd(j job, pause time.Duration) {
	c.t.Helper()
	for range 4 {
		c.pause(time.Duration(c.random.Int64N(int64(pause))))
		c.kill()
	}
	j.poll("the jobmanager leads", func() bool {
		_, err := c.jobs.Job(c.ctx, j.id)
		return err == nil
	})
	j.end(client.Finished)
}

// pause lets the job run for a while, so that it is somewhere between two checkpoints.
func (c *chaos) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
	}
}

// kill ends one of the processes, or all, and starts another in its place.
func (c *chaos) kill() {
	c.t.Helper()
	what := c.random.IntN(4)
	c.t.Logf("kill %s", []string{"a taskmanager", "the jobmanager", "a taskmanager and the jobmanager", "all taskmanagers"}[what])
	if what != 1 {
		c.taskManagers[0]()
		c.taskManagers = c.taskManagers[1:]
	}
	if what == 3 {
		c.taskManagers[0]()
		c.taskManagers = nil
	}
	if what == 1 || what == 2 {
		c.check(c.cluster.RestartJobManager())
	}
	for len(c.taskManagers) < 2 {
		c.addTaskManager()
	}
}
