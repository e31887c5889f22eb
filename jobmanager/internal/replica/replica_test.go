package replica

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	storagev1 "pencere/pkg/gen/pencere/storage/v1"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/v1 anew; only for a log that no released version wrote")

// open starts a replica alone in dir and waits until it leads.
func open(t *testing.T, dir string) *Replica {
	t.Helper()
	r, err := Open(Config{ID: "jm1", Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	select {
	case leads := <-r.Leadership():
		if !leads {
			t.Fatal("a replica alone lost its leadership")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a replica alone does not lead after 10 s")
	}
	if err := r.Ready(); err != nil {
		t.Fatal(err)
	}
	return r
}

func mustApply(t *testing.T, r *Replica, commands ...*storagev1.Command) {
	t.Helper()
	for _, c := range commands {
		if err := r.Apply(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func closed(t *testing.T, r *Replica) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStateSurvivesRestarts(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	mustApply(t, first, submitJob("a"), submitJob("b"), setJobStatus("a", storagev1.JobStatus_JOB_STATUS_RUNNING, 5, nil))
	term := first.Term()
	closed(t, first)

	second := open(t, dir)
	if job, err := second.Job("a"); err != nil || job.GetStatus() != storagev1.JobStatus_JOB_STATUS_RUNNING {
		t.Errorf("job after the restart: %v, %v", job, err)
	}
	if second.Term() <= term {
		t.Errorf("term %d after %d: a fencing token must grow", second.Term(), term)
	}
	mustApply(t, second, forgetJob("b"))
	if err := second.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	mustApply(t, second, beginAttempt("a", 3))
	closed(t, second)

	third := open(t, dir)
	if job, err := third.Job("a"); err != nil || job.GetAttempt() != 3 || len(third.Jobs()) != 1 {
		t.Errorf("job after a snapshot and a restart: %v, %v of %d", job, err, len(third.Jobs()))
	}
}

func TestApplyErrors(t *testing.T) {
	r := open(t, t.TempDir())
	if err := r.Apply(t.Context(), beginAttempt("x", 1)); !errors.Is(err, ErrNoJob) {
		t.Errorf("a command's own error: %v", err)
	}
	if _, err := r.Job("x"); !errors.Is(err, ErrNoJob) {
		t.Errorf("unknown job: %v", err)
	}
	reason := errors.New("the leadership is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if err := r.Apply(ctx, submitJob("a")); !errors.Is(err, reason) || len(r.Jobs()) != 0 {
		t.Errorf("with an ended context: %v, %d jobs", err, len(r.Jobs()))
	}
	closed(t, r)
	if err := r.Apply(t.Context(), submitJob("a")); !errors.Is(err, ErrNotLeader) {
		t.Errorf("after Close: %v", err)
	}
}

// A log with a command of a newer version is not led: what follows from it is not known here.
func TestNewerLogIsNotReady(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	if err := r.Apply(t.Context(), &storagev1.Command{}); !errors.Is(err, errUnknownCommand) {
		t.Fatalf("a command without content: %v", err)
	}
	closed(t, r)
	again, err := Open(Config{ID: "jm1", Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	<-again.Leadership()
	if err := again.Ready(); !errors.Is(err, errUnknownCommand) {
		t.Errorf("ready with a log that it cannot read: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	used := t.TempDir()
	open(t, used)
	others := t.TempDir()
	closed(t, open(t, others))
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"directory in use":      {Config{ID: "jm1", Dir: used}, "does another jobmanager use this directory?"},
		"another's directory":   {Config{ID: "jm2", Dir: others}, "belongs to jobmanager jm1, not to jm2: give its --id or another --data-dir"},
		"a file in its place":   {Config{ID: "jm1", Dir: file}, "create data directory: "},
		"unknown raft address":  {Config{ID: "jm1", Dir: t.TempDir(), Peers: map[string]string{"jm1": "nowhere"}}, `resolve own raft address "nowhere"`},
		"unusable raft address": {Config{ID: "jm1", Dir: t.TempDir(), Addr: "256.0.0.1:1", Peers: map[string]string{"jm1": "127.0.0.1:1"}}, "listen for raft on 256.0.0.1:1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.cfg.Log = slog.New(slog.DiscardHandler)
			r, err := Open(test.cfg)
			if err == nil {
				t.Fatal("opened", r.Close())
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

// fixture is what testdata/v1 holds: every command there is, half of them behind a snapshot.
func fixture(t *testing.T, r *Replica) {
	t.Helper()
	mustApply(t, r,
		submitJob("a"), submitJob("b"), submitJob("c"),
		addSplits("a", &storagev1.Split{Topic: "t", StartOffset: 7, StopOffset: 9}),
		setJobStatus("a", storagev1.JobStatus_JOB_STATUS_RUNNING, 2_000, nil),
		setJobStatus("b", storagev1.JobStatus_JOB_STATUS_CANCELED, 2_500, nil))
	if err := r.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	mustApply(t, r,
		forgetJob("b"),
		setJobStatus("a", storagev1.JobStatus_JOB_STATUS_RESTARTING, 3_000,
			&storagev1.JobFailure{TimeMs: 3_000, Message: "disk full", Task: "Sink (1/1)", TaskManagerId: "tm:1-abc"}),
		beginAttempt("a", 1),
		addSplits("a", &storagev1.Split{Topic: "t", Partition: 1, StopOffset: -1}))
}

// testdata/v1 is a data directory as the first version left it. Every later version must read it.
func TestReadsTheFirstVersionsLog(t *testing.T) {
	stored := filepath.Join("testdata", "v1")
	if *rewrite {
		if err := os.RemoveAll(stored); err != nil {
			t.Fatal(err)
		}
		r := open(t, stored)
		fixture(t, r)
		closed(t, r)
	}
	dir := t.TempDir() // opening writes
	if err := os.CopyFS(dir, os.DirFS(stored)); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir)
	want := newTable()
	for _, c := range []*storagev1.Command{
		submitJob("a"), submitJob("c"),
		addSplits("a", &storagev1.Split{Topic: "t", StartOffset: 7, StopOffset: 9}, &storagev1.Split{Topic: "t", Partition: 1, StopOffset: -1}),
		setJobStatus("a", storagev1.JobStatus_JOB_STATUS_RUNNING, 2_000, nil),
		setJobStatus("a", storagev1.JobStatus_JOB_STATUS_RESTARTING, 3_000,
			&storagev1.JobFailure{TimeMs: 3_000, Message: "disk full", Task: "Sink (1/1)", TaskManagerId: "tm:1-abc"}),
		beginAttempt("a", 1),
	} {
		if err := apply(t, want, c); err != nil {
			t.Fatal(err)
		}
	}
	got := make(map[string]*storagev1.Job)
	for _, job := range r.Jobs() {
		got[job.GetJobId()] = proto.CloneOf(job)
	}
	if diff := cmp.Diff(want.jobs, got, sameJobs); diff != "" {
		t.Errorf("state of the first version's directory (-want +got):\n%s", diff)
	}
}
