package localcluster_test

import (
	"fmt"
	"testing"
	"time"

	"pencere/submitter/internal/localcluster"
)

// Taskmanagers leave under load, some while there is room elsewhere and the last one while there is none: the job goes on at what is
// left, no record is read twice, no row is lost or doubled, and no restart is counted: the job's strategy allows none.
func TestLeaveReplaysNothing(t *testing.T) {
	for _, passThrough := range []bool{false, true} {
		for _, parallelism := range []int{0, 2} {
			t.Run(fmt.Sprintf("pass-through=%t,parallelism=%d", passThrough, parallelism), func(t *testing.T) {
				t.Parallel()
				l := &leaving{chaos: newElastic(t, 3)}
				l.spec = spec{passThrough: passThrough, parallelism: parallelism, window: 10 * time.Second}
				l.all = make(partitions, len(l.clock))
				l.spec.topic = l.topic(l.all)
				l.join(3)
				l.job = l.submit(l.spec)
				l.produceMore()
				l.run()
			})
		}
	}
}

// leaving is a job whose taskmanagers leave while its topic is written to.
type leaving struct {
	*chaos
	spec    spec
	job     job
	all     partitions
	members []localcluster.TaskManager
}

func (l *leaving) join(n int) {
	l.t.Helper()
	for range n {
		started, err := l.cluster.StartTaskManager()
		l.check(err)
		l.members = append(l.members, started)
	}
}

func (l *leaving) produceMore() {
	more := l.listings(50)
	l.produce(l.spec.topic, more)
	for p := range l.all {
		l.all[p] = append(l.all[p], more[p]...)
	}
}

// leave has the oldest taskmanager leave, and goes on writing until it has.
func (l *leaving) leave() {
	l.t.Helper()
	left := make(chan struct{})
	oldest := l.members[0]
	l.members = l.members[1:]
	go func() {
		oldest.Leave()
		close(left)
	}()
	for {
		l.produceMore()
		select {
		case <-left:
			return
		case <-l.ctx.Done():
			l.t.Fatal("it does not leave")
		default:
		}
	}
}

func (l *leaving) run() {
	l.t.Helper()
	width := func(slots int) int {
		if l.spec.parallelism > 0 {
			return l.spec.parallelism
		}
		return slots
	}
	l.job.awaitParallelism(width(3))
	l.leave()
	l.job.awaitParallelism(width(2))
	l.read(l.job, l.all) // at a join the sources do not stop
	l.join(1)
	l.job.awaitParallelism(width(3))
	for len(l.members) > 0 {
		l.leave()
	}
	least := "1 or more"
	if l.spec.parallelism > 0 {
		least = fmt.Sprint(l.spec.parallelism)
	}
	l.job.awaitNotice(fmt.Sprintf("waiting for slots: the job takes %s, 0 are free", least))
	l.produceMore()
	l.join(2)
	l.job.awaitParallelism(2)
	l.produceMore()
	l.read(l.job, l.all)
	last := records(at(1_000_000, 1_000_000)) // passes every window's end
	want, _ := l.spec.oracle(l.all)
	for p := range l.all {
		l.all[p] = append(l.all[p], last...)
	}
	if l.spec.passThrough {
		want, _ = l.spec.oracle(l.all)
	}
	l.produce(l.spec.topic, partitions{last, last, last})
	l.job.awaitRows(want)
	l.read(l.job, l.all)
	l.job.neverRestarted()
	l.job.cancel()
	l.job.wantRows(want)
	l.job.intact()
	written := 0
	for _, p := range l.all {
		written += len(p)
	}
	if read := l.job.recordsRead(); read != int64(written) {
		l.t.Errorf("%d records were read, %d were written", read, written)
	}
}
