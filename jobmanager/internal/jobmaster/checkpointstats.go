package jobmaster

import (
	"slices"

	"pencere/jobmanager/internal/coordinator"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/checkpoint"
)

const (
	// checkpointsShown is how many ended checkpoints are listed, Flink's web.checkpoints.history.
	checkpointsShown = 10
	// checkpointsMeasured is over how many completed checkpoints durations and sizes are summarized.
	checkpointsMeasured = 1000
)

// checkpointStats is what is shown of a job's checkpoints. Those before this jobmanager led are not counted, as in Flink.
type checkpointStats struct {
	config   coordinator.Config
	counts   view.Checkpoints       // the numbers of it alone
	underWay []coordinator.Progress // newest last
	history  []*view.Checkpoint     // newest last
	// The newest of their kinds; nil without one.
	latestCompleted, latestSavepoint, latestFailed *view.Checkpoint
	restoredFrom                                   *view.Restored
	durations, sizes                               []int64
}

// completed takes the last progress of a checkpoint that is committed now.
func (s *checkpointStats) completed(p coordinator.Progress, subsumed []checkpoint.ID, now int64) {
	c := shownCheckpoint(p)
	c.Status, c.Ended = view.CheckpointCompleted, now
	s.counts.Completed++
	var size, acked int64
	for _, a := range p.Acks {
		size += a.Bytes
		acked = max(acked, a.AtMs)
	}
	s.durations = newest(append(s.durations, acked-p.TriggeredMs), checkpointsMeasured)
	s.sizes = newest(append(s.sizes, size), checkpointsMeasured)
	s.discard(func(c *view.Checkpoint) bool { return slices.Contains(subsumed, checkpoint.ID(c.ID)) })
	s.latestCompleted = c
	if c.Kind.IsSavepoint() {
		s.latestSavepoint = c
	}
	s.history = newest(append(s.history, c), checkpointsShown)
}

func (s *checkpointStats) aborted(a coordinator.Abort, now int64) {
	c := &view.Checkpoint{ID: uint64(a.ID), Triggered: now}
	for _, p := range s.underWay {
		if p.ID == a.ID {
			c = shownCheckpoint(p)
		}
	}
	c.Status, c.Ended, c.Failure = view.CheckpointFailed, now, a.Reason
	s.counts.Failed++
	s.latestFailed = c
	s.history = newest(append(s.history, c), checkpointsShown)
}

func (s *checkpointStats) restored(c checkpoint.Checkpoint, now int64) {
	s.counts.Restores++
	s.restoredFrom = &view.Restored{ID: uint64(c.ID), Kind: c.Kind, At: now}
}

func (s *checkpointStats) jobEnded() {
	s.discard(func(c *view.Checkpoint) bool { return !c.Kind.IsSavepoint() })
}

// discard marks completed checkpoints that nobody can go on from any more.
func (s *checkpointStats) discard(which func(*view.Checkpoint) bool) {
	shown := s.history
	if s.latestCompleted != nil {
		shown = append(slices.Clone(shown), s.latestCompleted)
	}
	for _, c := range shown {
		if c.Status == view.CheckpointCompleted && which(c) {
			c.Discarded = true
		}
	}
}

// newest returns the last of a list, at most n.
func newest[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

func (s *checkpointStats) view() view.Checkpoints {
	shown := s.counts
	shown.Config = view.CheckpointConfig{
		Interval: s.config.Interval.Milliseconds(), Timeout: s.config.Timeout.Milliseconds(),
		MinPause: s.config.MinPause.Milliseconds(), TolerableFailures: s.config.TolerableFailures,
		MaxConcurrent: s.config.Concurrent(),
	}
	for _, p := range slices.Backward(s.underWay) {
		shown.UnderWay = append(shown.UnderWay, *shownCheckpoint(p))
	}
	for _, c := range slices.Backward(s.history) {
		shown.History = append(shown.History, *c)
	}
	shown.LatestCompleted, shown.LatestSavepoint = copied(s.latestCompleted), copied(s.latestSavepoint)
	shown.LatestFailed, shown.Restored = copied(s.latestFailed), copied(s.restoredFrom)
	shown.Durations, shown.Sizes = slices.Clone(s.durations), slices.Clone(s.sizes)
	return shown
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

// shownCheckpoint lists by vertex who has acked.
func shownCheckpoint(p coordinator.Progress) *view.Checkpoint {
	c := &view.Checkpoint{ID: uint64(p.ID), Kind: p.Kind, Status: view.CheckpointInProgress, Triggered: p.TriggeredMs}
	task := func(vertexID string) *view.CheckpointTask {
		for i := range c.Tasks {
			if c.Tasks[i].VertexID == vertexID {
				return &c.Tasks[i]
			}
		}
		c.Tasks = append(c.Tasks, view.CheckpointTask{VertexID: vertexID})
		return &c.Tasks[len(c.Tasks)-1]
	}
	for _, s := range p.Waiting {
		task(s.VertexID).Subtasks++
	}
	for _, a := range p.Acks {
		t := task(a.Subtask.VertexID)
		t.Subtasks++
		t.Acks = append(t.Acks, view.CheckpointAck{Index: a.Subtask.Index, At: a.AtMs, Bytes: a.Bytes})
	}
	return c
}
