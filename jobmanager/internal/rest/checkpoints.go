package rest

import (
	"math"
	"net/http"
	"slices"

	"pencere/jobmanager/internal/view"
	"pencere/pkg/checkpoint"
)

// quantiles summarize a number over checkpoints. Without any, Flink's percentiles are not numbers.
type quantiles struct {
	Min  int64  `json:"min"`
	Max  int64  `json:"max"`
	Avg  int64  `json:"avg"`
	P50  double `json:"p50"`
	P90  double `json:"p90"`
	P95  double `json:"p95"`
	P99  double `json:"p99"`
	P999 double `json:"p999"`
}

func quantilesOf(samples []int64) quantiles {
	q := rangeOf(samples)
	if len(samples) == 0 {
		return q
	}
	sorted := slices.Sorted(slices.Values(samples))
	at := func(p float64) double { return double(percentile(sorted, p)) }
	q.P50, q.P90, q.P95, q.P99, q.P999 = at(50), at(90), at(95), at(99), at(99.9)
	return q
}

// rangeOf leaves the percentiles out, as Flink does over the subtasks of a checkpoint.
func rangeOf(samples []int64) quantiles {
	nan := double(math.NaN())
	q := quantiles{P50: nan, P90: nan, P95: nan, P99: nan, P999: nan}
	if len(samples) == 0 {
		return q
	}
	q.Min, q.Max = slices.Min(samples), slices.Max(samples)
	for _, s := range samples {
		q.Avg += s
	}
	q.Avg /= int64(len(samples))
	return q
}

// zeroes are n measurements of what Flink measures and is always 0 here: nothing is kept back while barriers are aligned.
func zeroes(n int) []int64 { return make([]int64, n) }

type checkpointCounts struct {
	Restored   int `json:"restored"`
	Total      int `json:"total"`
	InProgress int `json:"in_progress"`
	Completed  int `json:"completed"`
	Failed     int `json:"failed"`
}

func countCheckpoints(c view.Checkpoints) checkpointCounts {
	counts := checkpointCounts{Restored: c.Restores, Total: c.Completed + c.Failed, Completed: c.Completed, Failed: c.Failed}
	counts.InProgress = len(c.UnderWay)
	counts.Total += counts.InProgress
	return counts
}

// checkpointSummary is over the last checkpoints that completed.
type checkpointSummary struct {
	CheckpointedSize  quantiles `json:"checkpointed_size"`
	StateSize         quantiles `json:"state_size"`
	EndToEndDuration  quantiles `json:"end_to_end_duration"`
	AlignmentBuffered quantiles `json:"alignment_buffered"` // no longer measured by Flink: always 0
	ProcessedData     quantiles `json:"processed_data"`
	PersistedData     quantiles `json:"persisted_data"`
}

type restoredCheckpoint struct {
	ID           uint64  `json:"id"`
	Timestamp    int64   `json:"restore_timestamp"`
	IsSavepoint  bool    `json:"is_savepoint"`
	ExternalPath *string `json:"external_path"`
}

type latestCheckpoints struct {
	Completed *checkpointInfo     `json:"completed"`
	Savepoint *checkpointInfo     `json:"savepoint"`
	Failed    *checkpointInfo     `json:"failed"`
	Restored  *restoredCheckpoint `json:"restored"`
}

type checkpointStatistics struct {
	Counts  checkpointCounts  `json:"counts"`
	Summary checkpointSummary `json:"summary"`
	Latest  latestCheckpoints `json:"latest"`
	History []checkpointInfo  `json:"history"`
}

func (s *server) checkpoints(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	c := j.Checkpoints
	size, nothing := quantilesOf(c.Sizes), quantilesOf(zeroes(len(c.Sizes)))
	answer := checkpointStatistics{
		Counts: countCheckpoints(c),
		Summary: checkpointSummary{
			CheckpointedSize: size, StateSize: size, EndToEndDuration: quantilesOf(c.Durations), ProcessedData: nothing, PersistedData: nothing,
		},
		Latest: latestCheckpoints{
			Completed: briefly(c.LatestCompleted), Savepoint: briefly(c.LatestSavepoint), Failed: briefly(c.LatestFailed),
		},
		History: []checkpointInfo{},
	}
	if from := c.Restored; from != nil {
		answer.Latest.Restored = &restoredCheckpoint{
			ID: from.ID, Timestamp: from.At, IsSavepoint: from.Kind.IsSavepoint(), ExternalPath: new(notAddressable),
		}
	}
	for i := range c.UnderWay {
		answer.History = append(answer.History, *briefly(&c.UnderWay[i]))
	}
	for _, ended := range c.History {
		answer.History = append(answer.History, *briefly(&ended))
	}
	return answer, nil
}

// progress is how far a checkpoint has come, over all vertices or in one.
type progress struct {
	ID                uint64                `json:"id"`
	Status            view.CheckpointStatus `json:"status"`
	LatestAck         int64                 `json:"latest_ack_timestamp"`
	CheckpointedSize  int64                 `json:"checkpointed_size"`
	StateSize         int64                 `json:"state_size"`
	EndToEndDuration  int64                 `json:"end_to_end_duration"` // up to the latest ack
	AlignmentBuffered int64                 `json:"alignment_buffered"`
	ProcessedData     int64                 `json:"processed_data"`
	PersistedData     int64                 `json:"persisted_data"`
	Subtasks          int                   `json:"num_subtasks"`
	Acknowledged      int                   `json:"num_acknowledged_subtasks"`
}

func progressOf(c *view.Checkpoint, tasks ...view.CheckpointTask) progress {
	p := progress{ID: c.ID, Status: c.Status, LatestAck: -1, EndToEndDuration: -1}
	for _, t := range tasks {
		p.Subtasks += t.Subtasks
		p.Acknowledged += len(t.Acks)
		for _, a := range t.Acks {
			p.StateSize += a.Bytes
			p.LatestAck = max(p.LatestAck, a.At)
		}
	}
	p.CheckpointedSize = p.StateSize // nothing is incremental
	if p.Acknowledged > 0 {
		p.EndToEndDuration = p.LatestAck - c.Triggered
	}
	return p
}

// checkpointInfo is a checkpoint. Fields that only some statuses have are missing in the others.
type checkpointInfo struct {
	ClassName string `json:"className"`
	progress
	IsSavepoint     bool                `json:"is_savepoint"`
	SavepointFormat *string             `json:"savepointFormat"`
	Triggered       int64               `json:"trigger_timestamp"`
	Type            string              `json:"checkpoint_type"`
	Tasks           map[string]progress `json:"tasks"`
	*completion
	*checkpointFailure
}

type completion struct {
	ExternalPath string `json:"external_path"`
	Discarded    bool   `json:"discarded"`
}

type checkpointFailure struct {
	Timestamp int64  `json:"failure_timestamp"`
	Message   string `json:"failure_message"`
}

// notAddressable is what Flink calls the path of a checkpoint whose metadata is in no file. Those of a job are in the
// replicated log.
const notAddressable = "<checkpoint-not-externally-addressable>"

// briefly is a checkpoint without its tasks, as lists show it; nil for nil.
func briefly(c *view.Checkpoint) *checkpointInfo {
	if c == nil {
		return nil
	}
	info := &checkpointInfo{
		ClassName: "in_progress", progress: progressOf(c, c.Tasks...), IsSavepoint: c.Kind.IsSavepoint(), Triggered: c.Triggered,
		Type: "CHECKPOINT", Tasks: map[string]progress{},
	}
	switch {
	case c.Kind.Ends():
		info.Type = "SYNC_SAVEPOINT"
	case c.Kind == checkpoint.Savepoint:
		info.Type = "SAVEPOINT"
	}
	if info.IsSavepoint {
		info.SavepointFormat = new("CANONICAL")
	}
	switch c.Status {
	case view.CheckpointInProgress: // as it is made
	case view.CheckpointCompleted:
		info.ClassName, info.completion = "completed", &completion{ExternalPath: notAddressable, Discarded: c.Discarded}
	case view.CheckpointFailed:
		info.ClassName, info.checkpointFailure = "failed", &checkpointFailure{Timestamp: c.Ended, Message: c.Failure}
		info.EndToEndDuration = c.Ended - c.Triggered
	}
	return info
}

type checkpointConfig struct {
	Mode            string `json:"mode"`
	Interval        int64  `json:"interval"`
	Timeout         int64  `json:"timeout"`
	MinPause        int64  `json:"min_pause"`
	MaxConcurrent   int64  `json:"max_concurrent"`
	Externalization struct {
		Enabled              bool `json:"enabled"`
		DeleteOnCancellation bool `json:"delete_on_cancellation"`
	} `json:"externalization"`
	StateBackend                  string `json:"state_backend"`
	CheckpointStorage             string `json:"checkpoint_storage"`
	UnalignedCheckpoints          bool   `json:"unaligned_checkpoints"`
	TolerableFailedCheckpoints    int    `json:"tolerable_failed_checkpoints"`
	AlignedCheckpointTimeout      int64  `json:"aligned_checkpoint_timeout"`
	CheckpointsAfterTasksFinish   bool   `json:"checkpoints_after_tasks_finish"`
	StateChangelogEnabled         bool   `json:"state_changelog_enabled"`
	ChangelogMaterializationEvery int64  `json:"changelog_periodic_materialization_interval"`
	ChangelogStorage              string `json:"changelog_storage"`
}

// checkpointsConfig calls the interval of a job without periodic checkpoints the largest number, as Flink does. State and
// storage have Flink's names for the like: tables in memory, and files.
func (s *server) checkpointsConfig(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	c := j.Checkpoints.Config
	config := checkpointConfig{
		Mode: "exactly_once", Interval: c.Interval, Timeout: c.Timeout, MinPause: c.MinPause, MaxConcurrent: int64(c.MaxConcurrent),
		StateBackend: "HashMapStateBackend", CheckpointStorage: "FileSystemCheckpointStorage",
		TolerableFailedCheckpoints: c.TolerableFailures, CheckpointsAfterTasksFinish: true,
		ChangelogMaterializationEvery: 600_000, ChangelogStorage: "memory",
	}
	if c.Interval == 0 {
		config.Interval = math.MaxInt64
	}
	config.Externalization.DeleteOnCancellation = true
	return config, nil
}
