package jobmaster

import (
	"testing"

	"pencere/jobmanager/internal/coordinator"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/checkpoint"

	"github.com/google/go-cmp/cmp"
)

// at is a checkpoint that both subtasks of a vertex have acked, the second last.
func at(id checkpoint.ID, kind checkpoint.Kind) coordinator.Progress {
	triggered := 1000 * int64(id)
	return coordinator.Progress{ID: id, Kind: kind, TriggeredMs: triggered, Subtasks: 2, Acks: []coordinator.Ack{
		{Subtask: checkpoint.Subtask{VertexID: "v", Index: 0}, AtMs: triggered + 5, Bytes: 10},
		{Subtask: checkpoint.Subtask{VertexID: "v", Index: 1}, AtMs: triggered + 7, Bytes: 20},
	}}
}

func TestCheckpointStats(t *testing.T) {
	var s checkpointStats
	for id := checkpoint.ID(1); id <= 12; id++ {
		kind := checkpoint.Periodic
		if id == 2 {
			kind = checkpoint.Savepoint
		}
		s.completed(at(id, kind), []checkpoint.ID{id - 1}, 1000*int64(id)+9)
	}
	thirteenth := at(13, checkpoint.Periodic)
	thirteenth.Waiting = []checkpoint.Subtask{{VertexID: "w"}}
	s.underWay = []coordinator.Progress{thirteenth, at(14, checkpoint.Periodic)}
	if got := s.view().UnderWay; len(got) != 2 || got[0].ID != 14 {
		t.Errorf("under way %+v", got)
	}
	if got := s.view().UnderWay[1]; got.Status != view.CheckpointInProgress || len(got.Tasks) != 2 || got.Tasks[0].Subtasks != 1 || len(got.Tasks[0].Acks) != 0 {
		t.Errorf("under way %+v", got)
	}
	s.aborted(coordinator.Abort{ID: 13, Reason: "expired"}, 13_500)
	s.underWay = nil

	shown := s.view()
	if shown.Completed != 12 || shown.Failed != 1 || len(shown.History) != checkpointsShown || shown.History[0].ID != 13 || shown.History[9].ID != 4 {
		t.Errorf("%d completed, %d failed, history %+v", shown.Completed, shown.Failed, shown.History)
	}
	if f := shown.LatestFailed; f.ID != 13 || f.Triggered != 13_000 || f.Ended != 13_500 || f.Failure != "expired" {
		t.Errorf("failed %+v", f)
	}
	if c := shown.LatestCompleted; c.ID != 12 || c.Discarded || shown.LatestSavepoint.ID != 2 || !shown.History[2].Discarded {
		t.Errorf("completed %+v, savepoint %+v, one before %+v", c, shown.LatestSavepoint, shown.History[2])
	}
	if diff := cmp.Diff([]view.CheckpointAck{{Index: 0, At: 12_005, Bytes: 10}, {Index: 1, At: 12_007, Bytes: 20}}, shown.LatestCompleted.Tasks[0].Acks); diff != "" {
		t.Errorf("acks (-want +got):\n%s", diff)
	}
	if len(shown.Durations) != 12 || shown.Durations[11] != 7 || shown.Sizes[11] != 30 {
		t.Errorf("durations %v, sizes %v", shown.Durations, shown.Sizes)
	}

	s.jobEnded()
	if after := s.view(); !after.LatestCompleted.Discarded || !after.History[1].Discarded || shown.LatestCompleted.Discarded {
		t.Errorf("after the job: %+v; what was shown before changed: %v", after.LatestCompleted, shown.LatestCompleted.Discarded)
	}
}
