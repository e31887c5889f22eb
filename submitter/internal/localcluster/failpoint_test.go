//go:build failpoint

package localcluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pencere/pkg/failpoint"
	"pencere/submitter/internal/client"

	"github.com/google/go-cmp/cmp"
)

// A process dies at each point of the protocol, at its first, second and third checkpoint, and nothing is lost or doubled.
// A point that no process comes to fails the test.
func TestFailpoints(t *testing.T) {
	t.Parallel()
	points := failpoint.All()
	for n := 1; n <= 3; n++ {
		for _, point := range points.TaskManager {
			dies(t, nil, []string{at1(point, n)})
		}
		for _, point := range points.JobManager {
			dies(t, []string{at1(point, n)}, nil)
		}
	}
	for n := 1; n <= 3; n++ {
		for _, point := range points.Topic {
			diesWithTopic(t, n == 2, at1(point, n))
		}
	}
	// The second death is in the commit of what was restored.
	diesWithTopic(t, true, at1(failpoint.BeforeTransaction, 2), at1(failpoint.BeforeTransaction, 1))
	diesWithTopic(t, false, at1(failpoint.BeforeTransaction, 2), at1(failpoint.AfterTransaction, 1))
	for _, point := range points.AtRestore {
		// Files are pending then, and another taskmanager may have published them by now.
		dies(t, nil, []string{at1(failpoint.BeforeRename, 2), at1(point, 1)})
		dies(t, nil, []string{at1(failpoint.AfterManifestRename, 2), at1(point, 1)})
	}
	for _, point := range points.AtEnd {
		diesAtEnd(t, at1(point, 1))
	}
}

func at1(point failpoint.Point, n int) string { return fmt.Sprintf("%s:%d", point, n) }

// dies runs a job whose processes die at the points given and compares what it wrote.
func dies(t *testing.T, jobManager, taskManager []string) {
	t.Run(fmt.Sprint(jobManager, taskManager), func(t *testing.T) {
		t.Parallel()
		p := newProcesses(t, jobManager, taskManager)
		s := spec{parallelism: 2, restarts: 1000, window: 2 * time.Second, group: "lag"}
		f := newFeed(p.fixture, 3)
		s.topic = p.topic(f.all)
		j := p.submit(s)
		for p.left("jobmanager")+p.left("taskmanager") > 0 {
			f.add(s.topic, 900)
			j.poll("it is read, or a process is dead", func() bool { return f.isRead(j) })
		}
		f.add(s.topic, 900)
		want, _ := s.oracle(f.all)
		last := records(at(1_000_000, 1_000_000)) // passes every window's end
		p.produce(s.topic, partitions{last, last, last})
		j.awaitRows(want)
		j.poll("the ledger balances", func() bool {
			ledger, err := j.jobs.Ledger(j.ctx, j.id)
			return err == nil && ledger.Balanced && ledger.CheckpointID > 0
		})
		j.poll("the job runs", func() bool { return j.jobs.Cancel(j.ctx, j.id) == nil })
		j.poll("the job has ended", func() bool {
			now, err := j.jobs.Job(j.ctx, j.id)
			return err == nil && now.State == client.Canceled
		})
		j.wantRows(want)
		j.intact()
		j.poll("no state is left", func() bool { return len(p.blobs()) == 0 })
	})
}

// diesWithTopic runs a job that writes to a topic, from its source or its windows, and whose taskmanagers die at the points given.
func diesWithTopic(t *testing.T, passThrough bool, points ...string) {
	t.Run(fmt.Sprint("topic", points), func(t *testing.T) {
		t.Parallel()
		p := newProcesses(t, nil, points)
		f := newFeed(p.fixture, 3)
		s := spec{parallelism: 2, restarts: 1000, window: 2 * time.Second, passThrough: passThrough, topic: p.topic(f.all), sink: p.sinkTopics()}
		j := p.submit(s)
		for p.left("taskmanager") > 0 {
			f.add(s.topic, 900)
			j.poll("it is read, or a process is dead", func() bool { return f.isRead(j) })
		}
		f.add(s.topic, 900)
		last := records(at(1_000_000, 1_000_000)) // passes every window's end
		p.produce(s.topic, partitions{last, last, last})
		for i := range f.all {
			f.all[i] = append(f.all[i], last...)
		}
		want, _ := s.oracle(f.all)
		if !passThrough {
			want = slices.DeleteFunc(want, func(row string) bool { return strings.HasPrefix(row, "1000000,") }) // its window is open
		}
		j.poll("the rows are committed", func() bool { return len(p.topicRows(s.sink)) >= len(want) })
		j.poll("the job runs", func() bool { return j.jobs.Cancel(j.ctx, j.id) == nil })
		j.poll("the job has ended", func() bool {
			now, err := j.jobs.Job(j.ctx, j.id)
			return err == nil && now.State == client.Canceled
		})
		if diff := cmp.Diff(want, p.topicRows(s.sink)); diff != "" {
			t.Errorf("rows differ (-want +got):\n%s", diff)
		}
	})
}

// diesAtEnd runs a job that ends by itself.
func diesAtEnd(t *testing.T, point string) {
	t.Run(point, func(t *testing.T) {
		t.Parallel()
		p := newProcesses(t, nil, []string{point})
		f := newFeed(p.fixture, 3)
		s := spec{parallelism: 2, restarts: 1000, window: 2 * time.Second, bounded: true}
		s.topic = p.topic(f.all)
		f.add(s.topic, 5000)
		j := p.submit(s)
		j.end(client.Finished)
		if p.left("taskmanager") > 0 {
			t.Error("no process came to the point")
		}
		want, _ := s.oracle(f.all)
		j.wantRows(want)
		j.proved(f.all, len(want))
		j.nothingHidden()
		j.poll("no state is left", func() bool { return len(p.blobs()) == 0 })
	})
}

// feed writes listings so close in time that a window's groups do not fit into an ack.
type feed struct {
	*fixture
	all partitions
	id  int
}

func newFeed(f *fixture, partitionCount int) *feed {
	return &feed{fixture: f, all: make(partitions, partitionCount)}
}

// add appends n listings, some of them repeated and out of order.
func (f *feed) add(topic string, n int) {
	more := make(partitions, len(f.all))
	for range n {
		l := at(f.id, float64(f.id)/900-float64(f.id%7)/3)
		l.at = l.at.Truncate(time.Millisecond)
		p := f.id % len(f.all)
		more[p] = append(more[p], l.json())
		if f.id%11 == 0 {
			more[p] = append(more[p], l.json())
		}
		f.id++
	}
	f.produce(topic, more)
	for p := range f.all {
		f.all[p] = append(f.all[p], more[p]...)
	}
}

// isRead reports whether the job has read all there is.
func (f *feed) isRead(j job) bool {
	splits, err := j.jobs.Splits(j.ctx, j.id)
	if err != nil || len(splits) != len(f.all) {
		return false
	}
	for _, s := range splits {
		if s.Offset < int64(len(f.all[s.Partition])) {
			return false
		}
	}
	return true
}
