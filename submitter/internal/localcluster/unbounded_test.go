package localcluster_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pencere/submitter/internal/client"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// sizes are the parallelisms and numbers of taskmanagers that each case is run with.
var sizes = []struct{ taskManagers, parallelism int }{{1, 1}, {1, 2}, {2, 2}, {2, 1}}

func eachSize(t *testing.T, test func(f *fixture, parallelism int)) {
	t.Helper()
	for _, size := range sizes {
		t.Run(fmt.Sprintf("taskmanagers=%d,parallelism=%d", size.taskManagers, size.parallelism), func(t *testing.T) {
			test(newFixture(t, size.taskManagers), size.parallelism)
		})
	}
}

// A partition without records holds windows back until it counts as idle, and only until then.
func TestIdlePartition(t *testing.T) {
	eachSize(t, func(f *fixture, parallelism int) {
		topic := partitions{records(at(1, 10), at(2, 20), at(3, 300)), nil, nil}
		s := spec{topic: f.topic(topic), parallelism: parallelism, idleAfter: 100 * time.Millisecond}
		j := f.submit(s)
		want, _ := s.oracle(partitions{records(at(1, 10), at(2, 20))})
		j.awaitRows(want) // the window of the third is open: nothing has passed its end

		// A partition that comes back takes part again, and its rows are in time for windows that are open.
		f.produce(s.topic, partitions{nil, records(at(5, 290)), nil})
		j.read(3, 1, 0)
		f.produce(s.topic, partitions{records(at(4, 500)), records(at(6, 500)), nil})
		want, _ = s.oracle(partitions{records(at(1, 10), at(2, 20), at(3, 300)), records(at(5, 290))})
		j.awaitRows(want)
		j.cancel()
		j.wantRows(want)
		j.nothingHidden()
	})
}

// Without idle_after a silent partition holds every window back, however much the others bring.
func TestSilentPartitionHolds(t *testing.T) {
	f := newFixture(t, 1)
	topic := partitions{records(at(1, 10), at(2, 1000)), nil}
	s := spec{topic: f.topic(topic), parallelism: 1}
	j := f.submit(s)
	j.running()
	j.read(2, 0)
	j.wantRows([]string{})
	f.produce(s.topic, partitions{nil, records(at(3, 1000))})
	want, _ := s.oracle(partitions{records(at(1, 10))})
	j.awaitRows(want)
	j.cancel()
}

// Partitions that are added to a topic while a job runs are read from their first record on.
func TestTopicGrows(t *testing.T) {
	eachSize(t, func(f *fixture, parallelism int) {
		s := spec{
			topic: f.topic(partitions{records(at(1, 10))}), parallelism: parallelism, idleAfter: 100 * time.Millisecond,
			discovery: 50 * time.Millisecond,
		}
		j := f.submit(s)
		j.running()
		_, err := f.admin.UpdatePartitions(f.ctx, 4, s.topic)
		f.check(err)
		more := partitions{nil, records(at(4, 30)), records(at(6, 40)), records(at(8, 50))}
		f.poll("the topic has 4 partitions", func() bool {
			offsets, err := f.admin.ListEndOffsets(f.ctx, s.topic)
			f.check(err)
			return len(offsets[s.topic]) == len(more)
		})
		f.produce(s.topic, more)
		j.read(1, 1, 1, 1)
		f.produce(s.topic, partitions{records(at(2, 20))})
		j.read(2, 1, 1, 1)
		f.produce(s.topic, partitions{records(at(3, 300)), records(at(5, 300)), records(at(7, 300)), records(at(9, 300))})
		want, _ := s.oracle(partitions{records(at(1, 10), at(2, 20), at(4, 30), at(6, 40), at(8, 50))})
		j.awaitRows(want)
		j.cancel()
	})
}

// A broker that cannot be reached for a while is waited for, visibly, and nothing is lost or doubled.
func TestBrokerAway(t *testing.T) {
	eachSize(t, func(f *fixture, parallelism int) {
		topic := spread(3, 300)
		s := spec{topic: f.topic(topic), parallelism: parallelism}
		j := f.submit(s)
		j.running()
		f.network.down()
		f.poll("a split says that it waits", func() bool {
			splits, err := f.jobs.Splits(f.ctx, j.id)
			f.check(err)
			for _, split := range splits {
				if split.State == "waiting" && split.Reason != "" {
					return true
				}
			}
			return false
		})
		f.network.up()
		last := records(at(1000, 1000))
		f.produce(s.topic, partitions{last, last, last})
		want, _ := s.oracle(topic)
		j.awaitRows(want)
		j.cancel()
	})
}

// A broker that is not there at the start is waited for too, and the job says so.
func TestBrokerAwayAtStart(t *testing.T) {
	f := newFixture(t, 1)
	topic := spread(2, 100)
	s := spec{topic: f.topic(topic), parallelism: 2, bounded: true}
	f.network.down()
	j := f.submit(s)
	j.poll("the job says what it waits for", func() bool {
		now, err := f.jobs.Job(f.ctx, j.id)
		f.check(err)
		return now.Notice != ""
	})
	f.network.up()
	j.end(client.Finished)
	want, _ := s.oracle(topic)
	j.wantRows(want)
}

// A topic that does not exist fails the job with the name that was probably meant.
func TestUnknownTopic(t *testing.T) {
	f := newFixture(t, 1)
	topic := f.topic(partitions{nil})
	j := f.submit(spec{topic: topic + "x", parallelism: 1})
	j.end(client.Failed)
	cause, err := f.jobs.RootCause(f.ctx, j.id)
	f.check(err)
	if !strings.Contains(cause, topic+"x") || !strings.Contains(cause, topic+" ") && !strings.Contains(cause, `"`+topic+`"`) && !strings.HasSuffix(cause, topic) {
		t.Errorf("the failure names neither the topic nor a near name: %s", cause)
	}
}

// The group's offsets follow what the job has read, for others to see its lag.
func TestGroupOffsets(t *testing.T) {
	f := newFixture(t, 2)
	topic := spread(3, 300)
	s := spec{topic: f.topic(topic), parallelism: 2, group: "watched"}
	j := f.submit(s)
	f.poll("the group has come to the end", func() bool {
		offsets, err := f.admin.FetchOffsets(f.ctx, s.group)
		if errors.Is(err, kerr.GroupIDNotFound) {
			return false
		}
		f.check(err)
		var committed int64
		offsets.Each(func(o kadm.OffsetResponse) { committed += max(0, o.At) })
		return committed == int64(len(topic[0])+len(topic[1])+len(topic[2]))
	})
	j.cancel()
}

// A job that finds no slots waits for them, says so, and begins when a taskmanager comes.
func TestWaitsForSlots(t *testing.T) {
	f := newFixture(t, 1)
	topic := spread(4, 200)
	s := spec{topic: f.topic(topic), parallelism: 4, bounded: true}
	j := f.submit(s)
	j.poll("the job says that it waits for slots", func() bool {
		now, err := f.jobs.Job(f.ctx, j.id)
		f.check(err)
		return strings.Contains(now.Notice, "slots")
	})
	_, err := f.cluster.AddTaskManager()
	f.check(err)
	j.end(client.Finished)
	want, _ := s.oracle(topic)
	j.wantRows(want)
}

// A lost taskmanager ends a job whose restart strategy is none, and nothing half becomes visible.
func TestTaskManagerLost(t *testing.T) {
	f := newFixture(t, 1)
	stop, err := f.cluster.AddTaskManager()
	f.check(err)
	topic := spread(4, 50)
	j := f.submit(spec{topic: f.topic(topic), parallelism: 4})
	j.running()
	stop()
	j.end(client.Failed)
	j.wantRows([]string{})
}

// A job that may restart goes on when a taskmanager is lost, on the slots that are left.
func TestRestart(t *testing.T) {
	f := newFixture(t, 1)
	stop, err := f.cluster.AddTaskManager()
	f.check(err)
	topic := spread(4, 100)
	s := spec{topic: f.topic(topic), restarts: 3}
	j := f.submit(s)
	j.running()
	stop()
	last := records(at(1000, 1000))
	f.produce(s.topic, partitions{last, last, last, last})
	want, _ := s.oracle(topic)
	j.awaitRows(want)
	now, err := f.jobs.Job(f.ctx, j.id)
	f.check(err)
	if now.Restarts == 0 {
		t.Error("the job counts no restart")
	}
	j.cancel()
}
