package rest

import (
	"net/http"
	"strconv"

	"pencere/jobmanager/internal/view"
)

// checkpoint finds the checkpoint that a path names among those that are shown.
func (s *server) checkpoint(r *http.Request) (*view.Checkpoint, error) {
	value := r.PathValue("checkpointid")
	id, err := strconv.ParseInt(value, 10, 64)
	if err != nil || id < 0 {
		return nil, badParameter("path", "checkpointid", value)
	}
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	c := j.Checkpoints
	shown := []*view.Checkpoint{c.LatestCompleted, c.LatestSavepoint, c.LatestFailed}
	for i := range c.UnderWay {
		shown = append(shown, &c.UnderWay[i])
	}
	for i := range c.History {
		shown = append(shown, &c.History[i])
	}
	for _, k := range shown {
		if k != nil && k.ID == uint64(id) {
			return k, nil
		}
	}
	return nil, notFound("Could not find checkpointing statistics for checkpoint %d.", id)
}

func (s *server) checkpointDetails(r *http.Request) (any, error) {
	c, err := s.checkpoint(r)
	if err != nil {
		return nil, err
	}
	info := briefly(c)
	for _, t := range c.Tasks {
		info.Tasks[t.VertexID] = progressOf(c, t)
	}
	return info, nil
}

// unmeasured is Flink's value of what nobody measured.
const unmeasured = -1

type (
	checkpointSteps[T any] struct {
		Sync  T `json:"sync"`
		Async T `json:"async"`
	}
	alignment[T any] struct {
		Buffered  T `json:"buffered"`
		Processed T `json:"processed"`
		Persisted T `json:"persisted"`
		Duration  T `json:"duration"`
	}
	taskSummary struct {
		CheckpointedSize quantiles                  `json:"checkpointed_size"`
		StateSize        quantiles                  `json:"state_size"`
		EndToEndDuration quantiles                  `json:"end_to_end_duration"`
		Steps            checkpointSteps[quantiles] `json:"checkpoint_duration"`
		Alignment        alignment[quantiles]       `json:"alignment"`
		StartDelay       quantiles                  `json:"start_delay"`
	}
	pendingSubtask struct {
		ClassName string `json:"className"`
		Index     int    `json:"index"`
		Status    string `json:"status"`
	}
	completedSubtask struct {
		pendingSubtask
		AckTimestamp     int64                  `json:"ack_timestamp"`
		EndToEndDuration int64                  `json:"end_to_end_duration"`
		CheckpointedSize int64                  `json:"checkpointed_size"`
		StateSize        int64                  `json:"state_size"`
		Steps            checkpointSteps[int64] `json:"checkpoint"`
		Alignment        alignment[int64]       `json:"alignment"`
		StartDelay       int64                  `json:"start_delay"`
		Unaligned        bool                   `json:"unaligned_checkpoint"`
		Aborted          bool                   `json:"aborted"`
	}
	taskCheckpoint struct {
		progress
		Summary  taskSummary `json:"summary"`
		Subtasks []any       `json:"subtasks"` // each a completedSubtask or a pendingSubtask
	}
)

// checkpointTask tells who of a vertex has acked a checkpoint. How long a subtask waited for barriers and took its snapshot
// is not measured: those numbers are -1, and their summaries empty.
func (s *server) checkpointTask(r *http.Request) (any, error) {
	vertexID, err := hexID(r, "vertexid")
	if err != nil {
		return nil, err
	}
	c, err := s.checkpoint(r)
	if err != nil {
		return nil, err
	}
	for _, t := range c.Tasks {
		if t.VertexID == vertexID {
			return taskCheckpoint{progress: progressOf(c, t), Summary: summarizeTask(c, t), Subtasks: subtasksOf(c, t)}, nil
		}
	}
	return nil, notFound("There is no checkpoint statistics for task %s.", vertexID)
}

func summarizeTask(c *view.Checkpoint, t view.CheckpointTask) taskSummary {
	var sizes, durations []int64
	for _, a := range t.Acks {
		sizes, durations = append(sizes, a.Bytes), append(durations, a.At-c.Triggered)
	}
	size, nothing, unknown := rangeOf(sizes), rangeOf(zeroes(len(t.Acks))), rangeOf(nil)
	return taskSummary{
		CheckpointedSize: size, StateSize: size, EndToEndDuration: rangeOf(durations),
		Steps:      checkpointSteps[quantiles]{Sync: unknown, Async: unknown},
		Alignment:  alignment[quantiles]{Processed: nothing, Persisted: nothing, Duration: unknown},
		StartDelay: unknown,
	}
}

func subtasksOf(c *view.Checkpoint, t view.CheckpointTask) []any {
	subtasks := make([]any, t.Subtasks)
	for i := range subtasks {
		subtasks[i] = pendingSubtask{ClassName: "pending", Index: i, Status: "pending_or_failed"}
	}
	for _, a := range t.Acks {
		subtasks[a.Index] = completedSubtask{
			pendingSubtask: pendingSubtask{ClassName: "completed", Index: a.Index, Status: "completed"},
			AckTimestamp:   a.At, EndToEndDuration: a.At - c.Triggered, CheckpointedSize: a.Bytes, StateSize: a.Bytes,
			Steps:     checkpointSteps[int64]{Sync: unmeasured, Async: unmeasured},
			Alignment: alignment[int64]{Duration: unmeasured}, StartDelay: unmeasured,
		}
	}
	return subtasks
}
