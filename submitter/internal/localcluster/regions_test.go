package localcluster_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"pencere/submitter/internal/localcluster"
)

// attempt is one of a subtask.
type attempt struct {
	Attempt int    `json:"attempt"`
	Status  string `json:"status"`
}

// attempts returns those of the first vertex' subtasks.
func (j job) attempts() (all []attempt) {
	j.t.Helper()
	now, err := j.jobs.Job(j.ctx, j.id)
	j.check(err)
	request, err := http.NewRequestWithContext(j.ctx, http.MethodGet, j.jobs.Web()+"jobs/"+j.id+"/vertices/"+now.Vertices[0].ID, http.NoBody)
	j.check(err)
	answer, err := http.DefaultClient.Do(request)
	j.check(err)
	defer func() { _ = answer.Body.Close() }() // it was only read
	var vertex struct{ Subtasks []attempt }
	j.check(json.NewDecoder(answer.Body).Decode(&vertex))
	return vertex.Subtasks
}

func counts(all []attempt) (counts []int) {
	for _, a := range all {
		counts = append(counts, a.Attempt)
	}
	return counts
}

// A taskmanager that has one of three subtasks of a job without a window dies. The two others go on meanwhile, with their attempts; the
// third goes on from the newest checkpoint as soon as there is a slot; and each row is there once.
func TestOnlyTheLostRegionRestarts(t *testing.T) {
	f := newFixtureOf(t, localcluster.Config{SlotsEach: 1})
	var stops []func()
	start := func() {
		t.Helper()
		stop, err := f.cluster.AddTaskManager()
		f.check(err)
		stops = append(stops, stop)
	}
	for range 3 {
		start()
	}
	all := partitions{records(at(1, 1)), records(at(2, 2)), records(at(3, 3))}
	s := spec{parallelism: 3, passThrough: true, restarts: 1000, topic: f.topic(all)}
	j := f.submit(s)
	rows, _ := s.oracle(all)
	j.awaitRows(rows)
	want := []int{0, 0, 0}
	for i := range 4 {
		stops[0]()
		stops = stops[1:]
		more := partitions{records(at(10, float64(10*i))), records(at(11, float64(10*i))), records(at(12, float64(10*i)))}
		f.produce(s.topic, more)
		for p := range all {
			all[p] = append(all[p], more[p]...)
		}
		lost := -1
		j.poll("one waits for a slot, and the others have read all there is", func() bool {
			lost = slices.IndexFunc(j.attempts(), func(a attempt) bool { return a.Status == "SCHEDULED" })
			return lost >= 0 && j.haveRead(all, lost)
		})
		start()
		rows, _ := s.oracle(all)
		j.awaitRows(rows)
		want[lost] = i + 1
		if got := counts(j.attempts()); !slices.Equal(got, want) {
			t.Errorf("attempts are %v, want %v: subtask %d was lost", got, want, lost)
		}
		if restarts, err := j.jobMetric("numRestarts"); err != nil || restarts != i+1 {
			t.Errorf("%d restarts, want %d (%v)", restarts, i+1, err)
		}
	}
	j.cancel()
	rows, _ = s.oracle(all)
	j.wantRows(rows)
	j.intact()
	j.nothingHidden()
}

// haveRead reports whether the subtasks but one have read all there is. Each reads the partition of its number.
func (j job) haveRead(all partitions, but int) bool {
	j.t.Helper()
	splits, err := j.jobs.Splits(j.ctx, j.id)
	j.check(err)
	read := 0
	for _, split := range splits {
		if int(split.Partition) != but && split.Offset == int64(len(all[split.Partition])) {
			read++
		}
	}
	return read == len(all)-1
}
