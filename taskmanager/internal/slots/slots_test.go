package slots_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/exchange"
	"pencere/taskmanager/internal/slots"
	"pencere/taskmanager/internal/subtask"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
)

// world is a table of slots and what it tells the jobmanager.
type world struct {
	t     *testing.T
	table *slots.Table
	dir   string

	mu   sync.Mutex
	told chan struct{} // closed and replaced at each message
	sent []*controlv1.ConnectRequest
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, told: make(chan struct{}), dir: filepath.Join(t.TempDir(), "out")}
	w.table = slots.New(slots.Config{
		Host: subtask.Host{
			TaskManagerID: "here", Hub: exchange.NewHub(), Alloc: memory.DefaultAllocator, Now: time.Now,
			Dial: func(string) (grpc.ClientConnInterface, error) { return nil, errors.New("no peers") },
		},
		Send: w.send, Memory: func() (int64, int64, int64) { return 1, 2, 3 }, Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		w.table.CancelAll()
		w.table.Wait()
	})
	return w
}

func (w *world) send(m *controlv1.ConnectRequest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, m)
	close(w.told)
	w.told = make(chan struct{})
}

// wants waits until a subtask was reported in just these states since the last call for it.
func (w *world) wants(ref *controlv1.SubtaskRef, states ...string) (last *controlv1.SubtaskUpdate) {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		w.mu.Lock()
		told, got := w.told, []string(nil)
		for _, m := range w.sent {
			if u := m.GetSubtaskUpdate(); u.GetSubtask().String() == ref.String() {
				last = u
				got = append(got, strings.TrimPrefix(u.GetState().String(), "SUBTASK_STATE_"))
			}
		}
		w.mu.Unlock()
		if slices.Equal(got, states) {
			return last
		}
		select {
		case <-told:
		case <-deadline:
			w.t.Fatalf("reported %v, want %v", got, states)
		}
	}
}

// deployment is a job's vertex; the broker is away for ever.
func (w *world) deployment(vertex int, attempt int32) *controlv1.DeploySubtask {
	w.t.Helper()
	text := fmt.Sprintf(`
name: job
source: {kafka: {brokers: "127.0.0.1:1", topic: t}, schema: {id: INT, t: TIMESTAMP(3)}, watermark: {column: t}}
window: {tumble: 1m, group_by: [id]}
sink: {csv: {path: %q}}
`, w.dir)
	job, err := jobspec.Parse("job.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		w.t.Fatal(err)
	}
	program, err := plan.Compile(job)
	if err != nil {
		w.t.Fatal(err)
	}
	encoded, err := job.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	ref := func(vertex int) *controlv1.SubtaskRef {
		return &controlv1.SubtaskRef{JobId: "0123456789", VertexId: program.Vertices[vertex].ID, Attempt: attempt}
	}
	d := &controlv1.DeploySubtask{Subtask: ref(vertex), Plan: encoded, Parallelism: 1}
	if vertex == 0 {
		d.Downstreams = []*controlv1.Endpoint{{Subtask: ref(1), TaskManagerId: "here"}}
		d.Splits = []*controlv1.Split{{Topic: "t", StopOffset: -1}}
	} else {
		d.Upstreams = []*controlv1.Endpoint{{Subtask: ref(0), TaskManagerId: "here"}}
	}
	return d
}

func TestDeployAndCancel(t *testing.T) {
	w := newWorld(t)
	source, sink := w.deployment(0, 0), w.deployment(1, 0)
	w.table.Deploy(source) // before its downstream, for which it waits
	w.table.Deploy(sink)
	w.wants(source.GetSubtask(), "INITIALIZING", "RUNNING")
	w.wants(sink.GetSubtask(), "INITIALIZING", "RUNNING")
	beat := w.table.Heartbeat()
	if len(beat.GetSubtasks()) != 2 || beat.GetHeapUsedBytes() != 1 || beat.GetHeapLimitBytes() != 2 || beat.GetResidentBytes() != 3 {
		t.Errorf("heartbeat %v", beat)
	}
	w.table.AddSplits(source.GetSubtask(), []*controlv1.Split{{Topic: "t", Partition: 1, StopOffset: -1}})
	w.table.AddSplits(&controlv1.SubtaskRef{JobId: "unknown"}, []*controlv1.Split{{}})

	w.table.Cancel(&controlv1.CancelSubtask{Subtask: source.GetSubtask()})
	if last := w.wants(source.GetSubtask(), "INITIALIZING", "RUNNING", "CANCELED"); last.GetMetrics() == nil {
		t.Error("no last metrics")
	}
	// Its input broke off: that is its failure, of which another is the cause.
	last := w.wants(sink.GetSubtask(), "INITIALIZING", "RUNNING", "FAILED")
	if !last.GetFailure().GetLostPeer() || last.GetFailure().GetMessage() == "" {
		t.Errorf("failure %v", last.GetFailure())
	}
	w.table.Wait()
	if left := w.table.Heartbeat().GetSubtasks(); len(left) != 0 {
		t.Errorf("%d subtasks are left", len(left))
	}
}

// Who is told to cancel waits for the word of it, whether the subtask has ended, or never came.
func TestCancelOfUnknownSubtask(t *testing.T) {
	w := newWorld(t)
	unknown := &controlv1.SubtaskRef{JobId: "x", Attempt: 3}
	w.table.Cancel(&controlv1.CancelSubtask{Subtask: unknown})
	w.wants(unknown, "CANCELED")
}

func TestCancelAll(t *testing.T) {
	w := newWorld(t)
	all := []*controlv1.DeploySubtask{w.deployment(0, 0), w.deployment(1, 0), w.deployment(0, 1), w.deployment(1, 1)}
	for _, d := range all {
		w.table.Deploy(d)
	}
	w.table.CancelAll()
	w.table.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	ends := 0
	for _, m := range w.sent {
		switch m.GetSubtaskUpdate().GetState() {
		case controlv1.SubtaskState_SUBTASK_STATE_CANCELED:
			ends++
		case controlv1.SubtaskState_SUBTASK_STATE_FAILED:
			t.Errorf("failed: %s", m.GetSubtaskUpdate().GetFailure().GetMessage())
		default:
		}
	}
	if ends != len(all) {
		t.Errorf("%d subtasks were reported as canceled", ends)
	}
}

func TestUnreadablePlanFailsTheSubtask(t *testing.T) {
	w := newWorld(t)
	d := w.deployment(0, 0)
	d.Plan = []byte("{")
	w.table.Deploy(d)
	if last := w.wants(d.GetSubtask(), "INITIALIZING", "FAILED"); !strings.HasPrefix(last.GetFailure().GetMessage(), "read plan: ") {
		t.Errorf("failure %v", last.GetFailure())
	}
}

func TestUnusableSinkFailsTheSubtask(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(w.dir, nil, 0o600); err != nil { // a file where the directory should be
		t.Fatal(err)
	}
	d := w.deployment(1, 0)
	w.table.Deploy(d)
	last := w.wants(d.GetSubtask(), "INITIALIZING", "FAILED")
	if message := last.GetFailure().GetMessage(); !strings.HasPrefix(message, "open sink: ") || !strings.Contains(message, w.dir) {
		t.Errorf("failure %q", message)
	}
}
