package replica

import (
	"testing"

	"pencere/jobmanager/internal/jobfsm"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"

	"github.com/google/go-cmp/cmp"
)

// What begins again alone has an attempt of its own until all begin again. A job of a log that knows of no such thing has one for all.
func TestAttempts(t *testing.T) {
	m := NewMemory()
	apply := func(c *storagev1.Command) {
		t.Helper()
		if err := m.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	restart := func(attempt int32, indices ...int32) {
		t.Helper()
		c := beginAttempt("job", attempt)
		for _, i := range indices {
			c.GetBeginAttempt().Subtasks = append(c.GetBeginAttempt().GetSubtasks(), &storagev1.Subtask{VertexId: "v", Index: i})
		}
		apply(c)
	}
	want := func(want jobfsm.Attempts) {
		t.Helper()
		job, err := m.Job("job")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, Attempts(job)); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	}
	id := func(i int) jobfsm.SubtaskID { return jobfsm.SubtaskID{VertexID: "v", Index: i} }
	apply(submitJob("job"))
	restart(4)
	want(jobfsm.Begun(4))
	restart(5, 1)
	want(jobfsm.Attempts{Whole: 4, Newest: 5, Restarted: map[jobfsm.SubtaskID]int{id(1): 5}})
	restart(6, 0, 1)
	restart(7, 1)
	want(jobfsm.Attempts{Whole: 4, Newest: 7, Restarted: map[jobfsm.SubtaskID]int{id(0): 6, id(1): 7}})
	restart(8)
	want(jobfsm.Begun(8))
}
