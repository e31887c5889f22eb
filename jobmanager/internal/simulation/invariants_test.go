package simulation_test

import (
	"fmt"
	"maps"
	"slices"

	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
)

// publish gives files their final names.
func (w *world) publish(t *task, files []checkpoint.PartFile, why string) {
	for _, f := range files {
		hidden, there := w.hidden[f.Hidden]
		_, finished := w.published[f.Name]
		switch {
		case there && finished:
			w.fail("%s of %v: %s and %s are both there", why, t.ref, f.Hidden, f.Name)
		case there:
			w.note("%v publishes %s", t.ref, f.Name)
			delete(w.hidden, f.Hidden)
			w.published[f.Name] = hidden.rows
			w.see(f.Name, hidden.rows)
		case !finished:
			w.fail("%s of %v: %s is missing", why, t.ref, f.Hidden)
		}
	}
}

func (w *world) see(file string, rows []row) {
	for _, r := range rows {
		if other, twice := w.seen[r]; twice {
			w.fail("row %v is in %s and in %s", r, other, file)
		}
		w.seen[r] = file
	}
}

func (w *world) removeStale(t *task) {
	maps.DeleteFunc(w.hidden, func(_ string, f hiddenFile) bool {
		return f.attempt < t.ref.attempt && f.index%t.deploy.GetParallelism() == t.ref.index
	})
}

// announced checks what a jobmanager says.
func (w *world) announced(j *jobManager, m *controlv1.ConnectResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch m := m.GetMessage().(type) {
	case *controlv1.ConnectResponse_CheckpointTrigger:
		id, by := m.CheckpointTrigger.GetCheckpointId(), fmt.Sprintf("term %d", j.term)
		if !w.windowless {
			by += fmt.Sprintf(", attempt %d", m.CheckpointTrigger.GetSubtask().GetAttempt())
		}
		if before, used := w.begun[id]; used && before != by {
			w.fail("checkpoint %d is begun in %s and in %s", id, before, by)
		}
		w.begun[id] = by
	case *controlv1.ConnectResponse_CheckpointCommit:
		if _, ok := w.committed[m.CheckpointCommit.GetCheckpointId()]; !ok {
			w.fail("checkpoint %d is announced, and is not in the log", m.CheckpointCommit.GetCheckpointId())
		}
	}
}

func (w *world) vertices() int {
	if w.windowless {
		return 1
	}
	return 2
}

// applied checks what the log has taken.
func (w *world) applied(c *storagev1.Command) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(c.GetBeginAttempt().GetSubtasks()) > 0 {
		w.regional++
	}
	complete := c.GetCompleteCheckpoint()
	if complete == nil {
		return
	}
	id := complete.GetCheckpointId()
	decoded, err := checkpoint.Decode(complete.GetCheckpoint())
	switch {
	case err != nil:
		w.fail("checkpoint %d: %v", id, err)
	case id <= w.newest:
		w.fail("checkpoint %d comes after %d", id, w.newest)
	case len(decoded.States) != w.vertices()*w.parallelism[complete.GetAttempt()]:
		w.fail("checkpoint %d holds %d states at parallelism %d", id, len(decoded.States), w.parallelism[complete.GetAttempt()])
	}
	w.newest = id
	w.harmed = slices.ContainsFunc(w.taskManagers, func(tm *taskManager) bool { // one that is dead, and nobody knows, hears of no commit
		return tm.dead && tm.link != nil && !tm.link.ended.Load()
	})
	w.committed[id] = decoded
	job, err := w.memory.Job(complete.GetJobId())
	if err != nil {
		w.fail("%v", err)
		return
	}
	kept := 0
	for _, k := range job.GetCheckpoints() {
		if w.committed[k.GetCheckpointId()].Kind == checkpoint.Periodic {
			kept++
		}
	}
	if kept > w.retained {
		w.fail("%d checkpoints are kept, not %d", kept, w.retained)
	}
}
