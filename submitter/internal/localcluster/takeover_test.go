package localcluster_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"pencere/submitter/internal/client"
	"pencere/submitter/internal/localcluster"
)

// jobMetric returns a metric of the job, or fails.
func (j job) jobMetric(name string) (int, error) {
	if _, err := j.jobs.Job(j.ctx, j.id); err != nil { // finds a jobmanager that answers
		return 0, err
	}
	request, err := http.NewRequestWithContext(j.ctx, http.MethodGet, j.jobs.Web()+"jobs/"+j.id+"/metrics?get="+name, http.NoBody)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	var metrics []struct{ Value string }
	if err := json.NewDecoder(answer.Body).Decode(&metrics); err != nil || len(metrics) != 1 {
		return 0, fmt.Errorf("metric %s: %v, %w", name, metrics, err)
	}
	return strconv.Atoi(metrics[0].Value)
}

// awaitCheckpoints waits until so many checkpoints were completed under the jobmanager that leads.
func (j job) awaitCheckpoints(n int) {
	j.t.Helper()
	j.poll(fmt.Sprintf("%d checkpoints", n), func() bool {
		completed, err := j.jobMetric("numberOfCompletedCheckpoints")
		return err == nil && completed >= n
	})
}

// neverRestarted fails if the job has begun again.
func (j job) neverRestarted() {
	j.t.Helper()
	restarts, err := j.jobMetric("numRestarts")
	j.check(err)
	if restarts != 0 {
		cause, err := j.jobs.RootCause(j.ctx, j.id)
		j.t.Errorf("the job has restarted %d times: %s (%v)", restarts, cause, err)
	}
}

// The only jobmanager dies and comes back: the job's tasks run on, its checkpoints go on, and its rows are right.
func TestJobManagerComesBack(t *testing.T) {
	for _, passThrough := range []bool{false, true} {
		t.Run(fmt.Sprintf("pass-through=%t", passThrough), func(t *testing.T) {
			c := newChaos(t, 1)
			s := spec{parallelism: 3, passThrough: passThrough, window: 10 * time.Second}
			all := make(partitions, len(c.clock))
			s.topic = c.topic(all)
			j := c.submit(s)
			j.running()
			for i := range 8 {
				more := c.listings(150)
				c.produce(s.topic, more)
				for p := range all {
					all[p] = append(all[p], more[p]...)
				}
				if i%2 == 0 {
					c.pause(time.Duration(c.random.IntN(100)) * time.Millisecond)
				} else {
					c.read(j, all)
				}
				c.check(c.cluster.RestartJobManager())
				if i%3 != 0 { // else the next one takes over before there was any
					j.awaitCheckpoints(1)
				}
			}
			c.finish(j, s, all)
		})
	}
}

// finish has the job publish all that there is, and proves it.
func (c *chaos) finish(j job, s spec, all partitions) {
	c.t.Helper()
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
	j.poll("the job is taken over", func() bool { _, err := j.jobMetric("numRestarts"); return err == nil })
	j.neverRestarted()
	j.cancel()
	j.wantRows(want)
	j.intact()
}

// Leaders die again and again under load: each time another one takes the job over, no task restarts, and the rows are right. The
// one that died comes back, with its disk or an empty one.
func TestLeaderDies(t *testing.T) {
	dir := t.TempDir()
	c := newChaosOf(t, localcluster.Config{DataDir: dir, JobManagers: 3, TaskManagers: 2, SlotsEach: 2}, 5)
	s := spec{parallelism: 3, window: 10 * time.Second}
	all := make(partitions, len(c.clock))
	s.topic = c.topic(all)
	j := c.submit(s)
	j.running()
	for i := range 8 {
		more := c.listings(150)
		c.produce(s.topic, more)
		for p := range all {
			all[p] = append(all[p], more[p]...)
		}
		c.pause(time.Duration(c.random.IntN(300)) * time.Millisecond)
		leader := -1
		c.poll("one leads", func() bool { leader = c.cluster.Leader(); return leader >= 0 })
		began := time.Now()
		c.cluster.StopJobManager(leader)
		c.poll("another one leads", func() bool { next := c.cluster.Leader(); return next >= 0 && next != leader })
		took := time.Since(began)
		j.awaitCheckpoints(1)
		t.Logf("jm%d: another one leads after %s, its first checkpoint is complete after %s", leader+1, took, time.Since(began))
		if i%3 == 0 { // its disk is new; whoever leads later has all from the others
			c.check(os.RemoveAll(filepath.Join(dir, fmt.Sprintf("jm%d", leader+1))))
		}
		c.check(c.cluster.StartJobManager(leader))
		c.check(c.cluster.AwaitJobManagers(c.ctx)) // without a disk it has no vote at first
	}
	c.finish(j, s, all)
}

// Two of five jobmanagers end at once, the leader among them: the others go on, and no task restarts.
func TestTwoOfFiveDie(t *testing.T) {
	c := newChaosOf(t, localcluster.Config{JobManagers: 5, TaskManagers: 2, SlotsEach: 2}, 6)
	s := spec{parallelism: 3, window: 10 * time.Second}
	all := make(partitions, len(c.clock))
	s.topic = c.topic(all)
	j := c.submit(s)
	j.running()
	for range 2 {
		more := c.listings(150)
		c.produce(s.topic, more)
		for p := range all {
			all[p] = append(all[p], more[p]...)
		}
		leader := -1
		c.poll("one leads", func() bool { leader = c.cluster.Leader(); return leader >= 0 })
		dead := []int{leader, (leader + 1) % 5}
		var ending sync.WaitGroup
		for _, i := range dead {
			ending.Go(func() { c.cluster.StopJobManager(i) })
		}
		ending.Wait()
		c.poll("another one leads", func() bool { next := c.cluster.Leader(); return next >= 0 && !slices.Contains(dead, next) })
		j.awaitCheckpoints(1)
		for _, i := range dead {
			c.check(c.cluster.StartJobManager(i))
		}
		c.check(c.cluster.AwaitJobManagers(c.ctx))
	}
	c.finish(j, s, all)
}

// The disks of two of three jobmanagers are lost. The third goes on alone, the job's tasks run on, and the others join it again.
func TestMostDisksAreLost(t *testing.T) {
	dir := t.TempDir()
	c := newChaosOf(t, localcluster.Config{DataDir: dir, JobManagers: 3, TaskManagers: 2, SlotsEach: 2}, 7)
	s := spec{parallelism: 3, window: 10 * time.Second}
	all := make(partitions, len(c.clock))
	s.topic = c.topic(all)
	j := c.submit(s)
	j.running()
	more := c.listings(150)
	c.produce(s.topic, more)
	copy(all, more)
	j.awaitCheckpoints(1)
	left := -1
	c.poll("one leads", func() bool { left = c.cluster.Leader(); return left >= 0 })
	for i := range 3 {
		c.cluster.StopJobManager((left + 1 + i) % 3) // what the last one has, it has had from the leader, which it was
	}
	c.loseDisks(dir, left)
	c.check(c.cluster.RecoverJobManager(c.ctx, left))
	for i := range 3 {
		c.check(c.cluster.StartJobManager((left + i) % 3))
	}
	c.check(c.cluster.AwaitJobManagers(c.ctx))
	j.awaitCheckpoints(1)
	c.finish(j, s, all)
}

// loseDisks takes the data of all jobmanagers but one away.
func (c *chaos) loseDisks(dir string, but int) {
	c.t.Helper()
	for i := range 3 {
		if i != but {
			c.check(os.RemoveAll(filepath.Join(dir, fmt.Sprintf("jm%d", i+1))))
		}
	}
}

// The only disk that is left has missed the newest checkpoints. Rows that these have published are there, and the job says so rather than
// write them again.
func TestOldDiskIsLeft(t *testing.T) {
	dir := t.TempDir()
	c := newChaosOf(t, localcluster.Config{DataDir: dir, JobManagers: 3, TaskManagers: 0, SlotsEach: 3}, 8)
	stop, err := c.cluster.AddTaskManager()
	c.check(err)
	s := spec{parallelism: 3, window: 10 * time.Second, restarts: 1_000_000}
	all := make(partitions, len(c.clock))
	s.topic = c.topic(all)
	j := c.submit(s)
	j.running()
	j.awaitCheckpoints(1)
	behind := (c.cluster.Leader() + 1) % 3
	c.cluster.StopJobManager(behind)
	more := c.listings(150)
	copy(all, more)
	want, _ := s.oracle(all)
	last := records(at(1_000_000, 1_000_000)) // passes every window's end
	c.produce(s.topic, more)
	c.produce(s.topic, partitions{last, last, last})
	j.awaitRows(want)
	c.cluster.StopJobManager((behind + 1) % 3)
	c.cluster.StopJobManager((behind + 2) % 3)
	stop() // it has heard of a newer leader than the one that is left
	c.loseDisks(dir, behind)
	c.check(c.cluster.RecoverJobManager(c.ctx, behind))
	for i := range 3 {
		c.check(c.cluster.StartJobManager((behind + i) % 3))
	}
	c.check(c.cluster.AwaitJobManagers(c.ctx))
	_, err = c.cluster.AddTaskManager()
	c.check(err)
	j.failure("was published with checkpoint", "would be written again")
	j.wantRows(want)

	// What is newer goes away, and is written again.
	j.moveAway()
	j.awaitRows(want)
	j.cancel()
	j.intact()
}

// moveAway takes all finished files and their entries away.
func (j job) moveAway() {
	j.t.Helper()
	for _, pattern := range []string{"part-*", "_manifest/*"} {
		files, err := filepath.Glob(filepath.Join(j.dir, pattern))
		j.check(err)
		for _, path := range files {
			j.check(os.Remove(path))
		}
	}
}

// Each of three jobmanagers takes a job and shows all of them, whoever leads.
func TestAnyJobManagerAnswers(t *testing.T) {
	f := newFixtureOf(t, localcluster.Config{JobManagers: 3, TaskManagers: 1, SlotsEach: 3})
	s := spec{topic: f.topic(partitions{records(at(1, 10))}), parallelism: 1}
	for i, address := range f.cluster.RestAddrs() {
		one, err := client.New(client.Config{Addresses: []string{address}, Timeout: time.Minute})
		f.check(err)
		t.Cleanup(one.Close)
		_, err = one.Submit(f.ctx, client.Spec{Name: "job.yaml", Text: []byte(s.yaml(f.broker.Addresses(), t.TempDir()))})
		f.check(err)
		jobs, err := one.Jobs(f.ctx)
		f.check(err)
		if len(jobs) != i+1 {
			t.Errorf("jobmanager %d shows %d jobs, want %d", i+1, len(jobs), i+1)
		}
	}
}
