package replica

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

func (f *fleet) recover(id string) (Recovered, error) {
	return Recover(f.Context(), Config{ID: id, Dir: filepath.Join(f.dir, id), Peers: f.peers, Log: slog.New(slog.DiscardHandler)})
}

func (f *fleet) refuses(id, why string) {
	f.Helper()
	_, err := f.recover(id)
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), why) {
		f.Errorf("%s may recover: %v, want: %s", id, err, why)
	}
}

// Two of three disks are lost. The third goes on alone with all that it holds, and the others join it again.
func TestRecover(t *testing.T) {
	f := newFleet(t, 3)
	f.start("jm1", "jm2", "jm3")
	f.voters()
	f.apply(submitJob("a"))
	for i := range 100 { // some of it is in a snapshot
		f.apply(beginAttempt("a", int32(i)))
	}
	f.apply(submitJob("b"))
	f.until("jm1 has both jobs", func() bool { return len(f.nodes["jm1"].Jobs()) == 2 })
	f.stop("jm1")
	if _, err := f.recover("jm3"); err == nil || !strings.Contains(err.Error(), "does a jobmanager use this directory") {
		t.Errorf("jm3 runs and may recover: %v", err)
	}
	f.refuses("jm1", "the disks of jm1, jm2, jm3 are most of those of jm1, jm2, jm3: started, they go on by themselves")
	f.stop("jm2", "jm3")
	f.wipe("jm2")
	f.wipe("jm3")
	f.start("jm2", "jm3") // they wait for a disk that is whole
	f.refuses("jm4", "holds no jobmanager's state")

	got, err := f.recover("jm1")
	if err != nil || got.Jobs != 2 || got.Index < 100 {
		t.Fatalf("recovered %+v, %v", got, err)
	}
	f.start("jm1")
	leader := f.voters()
	if job, err := leader.Job("a"); err != nil || job.GetAttempt() != 99 || len(leader.Jobs()) != 2 {
		t.Errorf("job a after the recovery: %v, %v; %d jobs", job, err, len(leader.Jobs()))
	}
	f.apply(submitJob("c"))
	f.stop("jm1") // the others have it all
	if jobs := f.leader().Jobs(); len(jobs) != 3 {
		t.Errorf("%d jobs are left", len(jobs))
	}
	f.refuses("jm1", "the disks of jm1, jm2, jm3 are most")
}

// One that has nothing, or less than another, does not go on.
func TestRecoverRefuses(t *testing.T) {
	f := newFleet(t, 5)
	f.start("jm1", "jm2", "jm3", "jm4", "jm5")
	f.voters()
	f.apply(submitJob("a"))
	behind := f.follower()
	f.stop(behind)
	f.apply(submitJob("b"))
	further := f.leader().id
	for id := range f.nodes {
		if id != further {
			f.stop(id)
			f.wipe(id)
		}
	}
	f.refuses(behind, "the disk of "+further+" holds more than that of "+behind)
	empty := ""
	for id := range f.peers {
		if id != further && id != behind {
			empty = id
		}
	}
	f.start(empty)
	f.stop(empty)
	f.refuses(empty, "was empty when its jobmanager started")
	f.stop(further)
	if got, err := f.recover(further); err != nil || got.Jobs != 2 {
		t.Errorf("recovered %+v, %v", got, err)
	}
}
