package localcluster_test

import (
	"fmt"
	"testing"
	"time"

	"pencere/submitter/internal/localcluster"
)

// newElastic is a chaos of one slot a taskmanager, with a short patience, and without taskmanagers yet.
func newElastic(t *testing.T, seed uint64) *chaos {
	t.Helper()
	return newChaosOf(t, localcluster.Config{SlotsEach: 1, RescaleQuiet: 200 * time.Millisecond, RescaleCoolDown: 500 * time.Millisecond}, seed)
}

// awaitParallelism waits until the job runs so wide.
func (j job) awaitParallelism(n int) {
	j.t.Helper()
	j.poll(fmt.Sprintf("parallelism %d", n), func() bool {
		now, err := j.jobs.Job(j.ctx, j.id)
		if err != nil || len(now.Vertices) == 0 {
			return false
		}
		for _, v := range now.Vertices {
			if v.Parallelism != n || v.Status != "RUNNING" {
				return false
			}
		}
		return true
	})
}

// A job that follows the slots goes wider when a taskmanager joins, narrower when one dies, waits when none is left, and goes on when one
// comes, and all the time writes each row once.
func TestFollowsSlots(t *testing.T) {
	for _, passThrough := range []bool{false, true} {
		t.Run(fmt.Sprintf("pass-through=%t", passThrough), func(t *testing.T) {
			t.Parallel()
			c := newElastic(t, 1)
			s := spec{passThrough: passThrough, restarts: 1000, window: 10 * time.Second}
			all := make(partitions, len(c.clock))
			s.topic = c.topic(all)
			j := c.submit(s)
			produce := func(read bool) {
				more := c.listings(150)
				c.produce(s.topic, more)
				for p := range all {
					all[p] = append(all[p], more[p]...)
				}
				if read {
					c.read(j, all)
				}
			}
			c.addTaskManager()
			j.awaitParallelism(1)
			produce(true)
			produce(false)
			c.addTaskManager() // two joins, one rescale
			c.addTaskManager()
			j.awaitParallelism(3)
			j.neverRestarted()
			produce(true)
			c.addTaskManager() // there are three partitions
			produce(false)
			c.stopTaskManager()
			c.stopTaskManager()
			j.awaitParallelism(2)
			produce(false)
			c.stopTaskManager()
			c.stopTaskManager()
			j.awaitNotice("waiting for slots: the job takes 1 or more, 0 are free")
			produce(false)
			c.addTaskManager()
			j.awaitParallelism(1)
			produce(true)
			c.addTaskManager()
			j.awaitParallelism(2)
			last := records(at(1_000_000, 1_000_000)) // passes every window's end
			want, _ := s.oracle(all)
			if s.passThrough {
				for p := range all {
					all[p] = append(all[p], last...)
				}
				want, _ = s.oracle(all)
			}
			c.produce(s.topic, partitions{last, last, last})
			j.awaitRows(want)
			j.cancel()
			j.wantRows(want)
			j.intact()
		})
	}
}

func (c *chaos) stopTaskManager() {
	c.taskManagers[0]()
	c.taskManagers = c.taskManagers[1:]
}

func (j job) awaitNotice(want string) {
	j.t.Helper()
	j.poll(want, func() bool {
		now, err := j.jobs.Job(j.ctx, j.id)
		return err == nil && now.Notice == want
	})
}
