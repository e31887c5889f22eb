package rest

import (
	"math"
	"net/http"
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

type checkpointCounts struct {
	Restored   int64 `json:"restored"`
	Total      int64 `json:"total"`
	InProgress int64 `json:"in_progress"`
	Completed  int64 `json:"completed"`
	Failed     int64 `json:"failed"`
}

type checkpointSummary struct {
	CheckpointedSize  quantiles `json:"checkpointed_size"`
	StateSize         quantiles `json:"state_size"`
	EndToEndDuration  quantiles `json:"end_to_end_duration"`
	AlignmentBuffered quantiles `json:"alignment_buffered"` // no longer measured by Flink: always 0
	ProcessedData     quantiles `json:"processed_data"`
	PersistedData     quantiles `json:"persisted_data"`
}

type latestCheckpoints struct {
	Completed *struct{} `json:"completed"`
	Savepoint *struct{} `json:"savepoint"`
	Failed    *struct{} `json:"failed"`
	Restored  *struct{} `json:"restored"`
}

type checkpointStatistics struct {
	Counts  checkpointCounts  `json:"counts"`
	Summary checkpointSummary `json:"summary"`
	Latest  latestCheckpoints `json:"latest"`
	History []struct{}        `json:"history"`
}

// checkpoints answers as Flink does for a job without checkpointing.
func (s *server) checkpoints(r *http.Request) (any, error) {
	if _, err := s.job(r); err != nil {
		return nil, err
	}
	nan := double(math.NaN())
	none := quantiles{P50: nan, P90: nan, P95: nan, P99: nan, P999: nan}
	return checkpointStatistics{
		Summary: checkpointSummary{
			CheckpointedSize: none, StateSize: none, EndToEndDuration: none, ProcessedData: none, PersistedData: none,
		},
		History: []struct{}{},
	}, nil
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

// checkpointsConfig answers as Flink does for a job without checkpointing, whose interval is the largest number. What
// Flink would keep state in, it calls Unknown where there is no such thing.
func (s *server) checkpointsConfig(r *http.Request) (any, error) {
	if _, err := s.job(r); err != nil {
		return nil, err
	}
	config := checkpointConfig{
		Mode: "at_least_once", Interval: math.MaxInt64, Timeout: 600_000, MaxConcurrent: 1,
		StateBackend: "Unknown", CheckpointStorage: "Unknown", CheckpointsAfterTasksFinish: true,
		ChangelogMaterializationEvery: 600_000, ChangelogStorage: "Unknown",
	}
	config.Externalization.DeleteOnCancellation = true
	return config, nil
}
