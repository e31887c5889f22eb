package slots_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// copying is a job of one vertex that copies three records to files.
func (w *world) copying() *controlv1.DeploySubtask {
	w.t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("t"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	for i := range 3 {
		if err := client.ProduceSync(w.t.Context(), kgo.StringRecord(fmt.Sprintf(`{"id": %d}`, i))).FirstErr(); err != nil {
			w.t.Fatal(err)
		}
	}
	text := fmt.Sprintf("name: job\nsource: {kafka: {brokers: %q, topic: t}, schema: {id: INT}}\nsink: {csv: {path: %q}}\n", cluster.ListenAddrs()[0], w.dir)
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
	return &controlv1.DeploySubtask{
		Subtask: &controlv1.SubtaskRef{JobId: "0123456789", VertexId: program.Vertices[0].ID}, Plan: encoded, Parallelism: 1,
		Splits: []*controlv1.Split{{Topic: "t", StopOffset: -1}},
	}
}

// acked waits for the ack of a checkpoint and returns its state.
func (w *world) acked(id uint64) checkpoint.State {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		w.mu.Lock()
		told := w.told
		for _, m := range w.sent {
			if a := m.GetCheckpointAck(); a != nil && a.GetCheckpointId() == id {
				w.mu.Unlock()
				state, err := checkpoint.DecodeState(a.GetState())
				if err != nil {
					w.t.Fatal(err)
				}
				return state
			}
		}
		w.mu.Unlock()
		select {
		case <-told:
		case <-deadline:
			w.t.Fatalf("checkpoint %d is not acked", id)
		}
	}
}

// prepared deploys a subtask and returns the checkpoint that holds all that it has read.
func (w *world) prepared(d *controlv1.DeploySubtask) (id uint64) {
	w.t.Helper()
	w.table.Deploy(d)
	w.wants(d.GetSubtask(), "INITIALIZING", "RUNNING")
	for id = 1; ; id++ {
		w.table.TriggerCheckpoint(&controlv1.CheckpointTrigger{Subtask: d.GetSubtask(), CheckpointId: id})
		if s := w.acked(id); s.Splits[0].Next == 3 {
			return id
		}
	}
}

// An attempt that wakes when its job has finished without it leaves nothing, not even what it had prepared for a checkpoint.
func TestDiscard(t *testing.T) {
	for _, discard := range []bool{true, false} {
		w := newWorld(t)
		d := w.copying()
		w.prepared(d)
		w.table.Cancel(&controlv1.CancelSubtask{Subtask: d.GetSubtask(), Discard: discard})
		w.wants(d.GetSubtask(), "INITIALIZING", "RUNNING", "CANCELED")
		w.table.Wait()
		left, err := filepath.Glob(filepath.Join(w.dir, ".part-*"))
		if err != nil {
			t.Fatal(err)
		}
		if discard == (len(left) > 0) {
			t.Errorf("with discard %v, %q are left", discard, left)
		}
	}
}

// The word of a commit finds a subtask that has ended before it came.
func TestCommitOfASubtaskThatHasEnded(t *testing.T) {
	w := newWorld(t)
	d := w.copying()
	id := w.prepared(d)
	w.table.Cancel(&controlv1.CancelSubtask{Subtask: d.GetSubtask()})
	w.wants(d.GetSubtask(), "INITIALIZING", "RUNNING", "CANCELED")
	w.table.Wait()
	files := func() []string {
		found, err := filepath.Glob(filepath.Join(w.dir, "part-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := files(); len(found) > 0 {
		t.Fatalf("%q are published before the commit", found)
	}
	w.table.CommitCheckpoint(&controlv1.CheckpointCommit{Subtask: d.GetSubtask(), CheckpointId: id})
	w.table.Wait()
	var text []byte
	for _, name := range files() {
		part, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, part...)
	}
	if string(text) != "0\n1\n2\n" {
		t.Errorf("published %q", text)
	}
}
