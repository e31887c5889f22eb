package replica

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pencere/jobmanager/internal/jobfsm"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"
)

func submitJob(id string) *storagev1.Command {
	return &storagev1.Command{Command: &storagev1.Command_SubmitJob{SubmitJob: &storagev1.SubmitJob{
		JobId: id, Name: "name of " + id, Spec: "name: " + id, Plan: []byte("plan of " + id), SubmittedMs: 1_000,
	}}}
}

func setJobStatus(id string, s storagev1.JobStatus, ms int64, failure *storagev1.JobFailure) *storagev1.Command {
	return &storagev1.Command{Command: &storagev1.Command_SetJobStatus{SetJobStatus: &storagev1.SetJobStatus{
		JobId: id, Status: s, TimeMs: ms, Failure: failure,
	}}}
}

func beginAttempt(id string, attempt int32) *storagev1.Command {
	return &storagev1.Command{Command: &storagev1.Command_BeginAttempt{BeginAttempt: &storagev1.BeginAttempt{JobId: id, Attempt: attempt}}}
}

func addSplits(id string, splits ...*storagev1.Split) *storagev1.Command {
	return &storagev1.Command{Command: &storagev1.Command_AddSplits{AddSplits: &storagev1.AddSplits{JobId: id, Splits: splits}}}
}

func forgetJob(id string) *storagev1.Command {
	return &storagev1.Command{Command: &storagev1.Command_ForgetJob{ForgetJob: &storagev1.ForgetJob{JobId: id}}}
}

func drawCommand(t *rapid.T) *storagev1.Command {
	id := fmt.Sprint("job", rapid.IntRange(0, 3).Draw(t, "job"))
	number := rapid.Int64Range(0, 1_000_000)
	switch rapid.IntRange(0, 5).Draw(t, "command") {
	case 0:
		return submitJob(id)
	case 1:
		return beginAttempt(id, rapid.Int32Range(0, 9).Draw(t, "attempt"))
	case 2:
		return addSplits(id, &storagev1.Split{Topic: "t", Partition: 1, StartOffset: number.Draw(t, "start"), StopOffset: -1})
	case 3:
		return forgetJob(id)
	default:
		var failure *storagev1.JobFailure
		if rapid.Bool().Draw(t, "failed") {
			failure = &storagev1.JobFailure{TimeMs: number.Draw(t, "time"), Message: "why"}
		}
		status := storagev1.JobStatus(rapid.Int32Range(1, 11).Draw(t, "status"))
		return setJobStatus(id, status, number.Draw(t, "at"), failure)
	}
}

func entry(t interface{ Fatal(...any) }, index uint64, c *storagev1.Command) *raft.Log {
	data, err := proto.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return &raft.Log{Index: index, Data: data}
}

// memorySink keeps a snapshot in memory.
type memorySink struct{ bytes.Buffer }

func (*memorySink) ID() string    { return "memory" }
func (*memorySink) Cancel() error { return nil }
func (*memorySink) Close() error  { return nil }

func persist(t interface{ Fatal(...any) }, s raft.FSMSnapshot) []byte {
	var to memorySink
	if err := s.Persist(&to); err != nil {
		t.Fatal(err)
	}
	s.Release()
	return to.Bytes()
}

var sameJobs = cmp.Options{protocmp.Transform(), cmpopts.EquateEmpty()}

// A replica that starts from a snapshot taken anywhere in the log comes to the state of one that reads the whole log, and what
// was read from the table before stays as it was.
func TestSnapshotAndTheRestOfTheLogIsTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		commands := rapid.SliceOfN(rapid.Custom(drawCommand), 1, 60).Draw(t, "commands")
		cut := rapid.IntRange(0, len(commands)).Draw(t, "snapshot after")
		whole := newTable()
		var snapshot raft.FSMSnapshot
		for i, c := range commands {
			if i == cut {
				snapshot, _ = whole.Snapshot()
			}
			before := whole.all()
			copies := make([]*storagev1.Job, len(before))
			for k, job := range before {
				copies[k] = proto.CloneOf(job)
			}
			whole.Apply(entry(t, uint64(i), c))
			if diff := cmp.Diff(copies, before, sameJobs); diff != "" {
				t.Fatalf("command %d changed a job that was read before:\n%s", i, diff)
			}
		}
		if cut == len(commands) {
			snapshot, _ = whole.Snapshot()
		}
		restored := newTable()
		restored.Apply(entry(t, 0, submitJob("of before the snapshot")))
		if err := restored.Restore(io.NopCloser(bytes.NewReader(persist(t, snapshot)))); err != nil {
			t.Fatal(err)
		}
		for i, c := range commands[cut:] {
			restored.Apply(entry(t, uint64(cut+i), c))
		}
		if diff := cmp.Diff(whole.jobs, restored.jobs, sameJobs); diff != "" {
			t.Fatalf("restored state differs (-log +snapshot):\n%s", diff)
		}
	})
}

func apply(t *testing.T, table *table, commands ...*storagev1.Command) error {
	t.Helper()
	for i, c := range commands {
		if err, ok := table.Apply(entry(t, uint64(i+1), c)).(error); ok {
			return err
		}
	}
	return nil
}

func TestCommands(t *testing.T) {
	table := newTable()
	cause := &storagev1.JobFailure{TimeMs: 30, Message: "disk full", Task: "Sink (1/2)", TaskManagerId: "tm:1-abc"}
	err := apply(t, table,
		submitJob("a"), submitJob("b"),
		addSplits("a", &storagev1.Split{Topic: "t", StopOffset: -1}),
		setJobStatus("a", storagev1.JobStatus_JOB_STATUS_RUNNING, 10, nil),
		setJobStatus("a", storagev1.JobStatus_JOB_STATUS_RESTARTING, 30, cause),
		beginAttempt("a", 1),
		addSplits("a", &storagev1.Split{Topic: "t", Partition: 1, StopOffset: -1}),
		forgetJob("b"),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := &storagev1.Job{
		JobId: "a", Name: "name of a", Spec: "name: a", Plan: []byte("plan of a"),
		Status: storagev1.JobStatus_JOB_STATUS_RESTARTING, Attempt: 1,
		StatusTimesMs: map[int32]int64{
			int32(storagev1.JobStatus_JOB_STATUS_INITIALIZING): 1_000,
			int32(storagev1.JobStatus_JOB_STATUS_RUNNING):      10,
			int32(storagev1.JobStatus_JOB_STATUS_RESTARTING):   30,
		},
		Splits:   []*storagev1.Split{{Topic: "t", StopOffset: -1}, {Topic: "t", Partition: 1, StopOffset: -1}},
		Failures: []*storagev1.JobFailure{cause},
	}
	if diff := cmp.Diff([]*storagev1.Job{want}, table.all(), sameJobs); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedCommands(t *testing.T) {
	table := newTable()
	if err := apply(t, table, submitJob("a"), submitJob("a")); err == nil || err.Error() != "job a exists already" {
		t.Errorf("second submission: %v", err)
	}
	if err := apply(t, table, beginAttempt("x", 1)); !errors.Is(err, ErrNoJob) {
		t.Errorf("attempt of an unknown job: %v", err)
	}
	if err := apply(t, table, forgetJob("x")); err != nil {
		t.Errorf("forgetting an unknown job: %v", err)
	}
	if err := table.unreadable(); err != nil {
		t.Errorf("a refused command made the log unreadable: %v", err)
	}
}

func TestOldestFailuresAreForgotten(t *testing.T) {
	table := newTable()
	if err := apply(t, table, submitJob("a")); err != nil {
		t.Fatal(err)
	}
	for i := range FailuresKept + 5 {
		c := setJobStatus("a", storagev1.JobStatus_JOB_STATUS_RESTARTING, int64(i), &storagev1.JobFailure{Message: fmt.Sprint(i)})
		if err := apply(t, table, c); err != nil {
			t.Fatal(err)
		}
	}
	job, _ := table.job("a")
	if got := job.GetFailures(); len(got) != FailuresKept || got[0].GetMessage() != "5" || got[FailuresKept-1].GetMessage() != "20" {
		t.Errorf("%d failures are kept, from %v", len(got), got[0])
	}
}

// What a newer program wrote, or what a disk spoiled, must not be passed over: the table would not be what the log says.
func TestEntriesThatCannotBeRead(t *testing.T) {
	newer := []byte{0x82, 0x06, 0x00} // field 96, which no command has today
	for name, data := range map[string][]byte{"newer": newer, "spoiled": {0xff, 0xff}, "empty": nil} {
		table := newTable()
		if err, ok := table.Apply(&raft.Log{Index: 7, Data: data}).(error); !ok {
			t.Errorf("%s: applied without an error: %v", name, err)
		}
		if err := table.unreadable(); err == nil || !strings.HasPrefix(err.Error(), "read log entry 7: ") {
			t.Errorf("%s: the log counts as read: %v", name, err)
		}
	}
}

func TestSpoiledSnapshot(t *testing.T) {
	err := newTable().Restore(io.NopCloser(bytes.NewReader([]byte{0xff})))
	if err == nil || !strings.HasPrefix(err.Error(), "read snapshot: ") {
		t.Errorf("restored from it: %v", err)
	}
}

func TestStatusesArePaired(t *testing.T) {
	for _, s := range jobfsm.Statuses {
		if stored := StoredStatus(s); stored == storagev1.JobStatus_JOB_STATUS_UNSPECIFIED || Status(stored) != s {
			t.Errorf("%s is stored as %s and read as %s", s, stored, Status(stored))
		}
	}
	if len(jobfsm.Statuses) != len(storagev1.JobStatus_name)-1 {
		t.Errorf("%d statuses, %d stored ones", len(jobfsm.Statuses), len(storagev1.JobStatus_name)-1)
	}
}

// The newest part files are remembered, each once.
func TestFilesOfCheckpoints(t *testing.T) {
	table := newTable()
	index := uint64(0)
	apply := func(c *storagev1.Command) {
		index++
		if err := table.Apply(entry(t, index, c)); err != nil {
			t.Fatal(err)
		}
	}
	apply(submitJob("job"))
	file := func(n int) *storagev1.PartFile {
		return &storagev1.PartFile{Name: fmt.Sprint("part-", n), Rows: int64(n)}
	}
	for n := range FilesKept + 50 {
		apply(&storagev1.Command{Command: &storagev1.Command_CompleteCheckpoint{CompleteCheckpoint: &storagev1.CompleteCheckpoint{
			JobId: "job", CheckpointId: uint64(n + 1), Files: []*storagev1.PartFile{file(n), file(n + 1)}}}})
	}
	job, _ := table.job("job")
	var want []*storagev1.PartFile
	for n := range FilesKept {
		want = append(want, file(n+51))
	}
	if diff := cmp.Diff(want, job.GetFiles(), sameJobs); diff != "" {
		t.Error(diff)
	}
}
