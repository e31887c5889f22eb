package localcluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pencere/submitter/internal/client"
	"pencere/submitter/internal/fleet"
	"pencere/submitter/internal/localcluster"
)

// Many taskmanagers and jobs: every job has its slots and nobody else's, takes checkpoints, begins again without the taskmanagers that
// died, and gives its slots back.
func TestFleet(t *testing.T) {
	const taskManagers, slots, jobs, parallelism, dead = 100, 10, 40, 20, 10
	f := newFixtureOf(t, localcluster.Config{SlotsEach: 1})
	ctx, cancel := context.WithCancel(f.ctx)
	ghosts := fleet.Start(ctx, f.cluster.RPCAddrs()[0], taskManagers, slots)
	defer ghosts.Wait()
	defer cancel()
	free := func(taskManagers, free int) {
		t.Helper()
		f.poll(fmt.Sprintf("%d taskmanagers, %d slots are free", taskManagers, free), func() bool {
			f.check(ghosts.Err())
			overview, err := f.jobs.Overview(f.ctx)
			return err == nil && overview.TaskManagers == taskManagers && overview.SlotsAvailable == free
		})
	}
	runs := func() {
		t.Helper()
		f.poll("all subtasks run", func() bool {
			f.check(ghosts.Err())
			return ghosts.Running() == 2*jobs*parallelism
		})
	}
	free(taskManagers, taskManagers*slots)
	var ids []string
	for n := range jobs {
		submitted, err := f.jobs.Submit(f.ctx, client.Spec{Name: "job.yaml", Text: fmt.Appendf(nil, `
name: job-%d
parallelism: %d
source:
  kafka: {brokers: "%s", topic: %s, start: earliest}
  schema: {id: INT, t: TIMESTAMP(3)}
  watermark: {column: t}
window: {tumble: 2m, group_by: [id]}
sink: {csv: {path: %q}}
checkpoint: {interval: 300ms}
restart_strategy: {type: fixed-delay, attempts: 1000, delay: 0s}
`, n, parallelism, strings.Join(f.broker.Addresses(), ","), f.emptyTopic(), t.TempDir())})
		f.check(err)
		ids = append(ids, submitted.ID)
	}
	runs()
	free(taskManagers, taskManagers*slots-jobs*parallelism)
	f.poll("a checkpoint of each job", func() bool { return ghosts.Commits() >= 2*jobs*parallelism })
	ghosts.Stop(dead)
	free(taskManagers-dead, (taskManagers-dead)*slots-jobs*parallelism)
	runs()
	for _, id := range ids {
		f.check(f.jobs.Cancel(f.ctx, id))
	}
	free(taskManagers-dead, (taskManagers-dead)*slots)
	if n := ghosts.Running(); n != 0 {
		t.Errorf("%d subtasks still run", n)
	}
}

// emptyTopic makes a topic of two partitions.
func (f *fixture) emptyTopic() string {
	f.t.Helper()
	return f.topic(partitions{nil, nil})
}
