package localcluster_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// jobMetric returns a metric of the job, or fails.
func (j job) jobMetric(name string) (int, error) {
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
