package plan

import "time"

// Bounds and defaults of a Job, Flink's where Flink has them. Compile demands values within the bounds; giving the
// defaults is the front end's part.
const (
	// MaxMaxParallelism is the most key groups there may be (Flink's KeyGroupRangeAssignment.UPPER_BOUND_MAX_PARALLELISM).
	MaxMaxParallelism     = 1 << 15
	DefaultMaxParallelism = 128

	DefaultTimeZone           = "UTC"
	DefaultDiscoveryInterval  = 30 * time.Second
	DefaultCheckpointInterval = 10 * time.Second
	DefaultCheckpointTimeout  = 10 * time.Minute
	DefaultRetained           = 1
	DefaultRollSize           = 128 << 20 // bytes; sink.rolling-policy.file-size
	DefaultRollInterval       = 30 * time.Minute
)

// DefaultRestart returns the restart strategy of a job that names none, as Flink 1.19 and later have it: exponential
// delay with checkpoints, none without.
func DefaultRestart(checkpoint Checkpoint) RestartStrategy {
	if checkpoint.Interval == 0 {
		return RestartStrategy{Type: RestartNone}
	}
	return RestartStrategy{
		Type:           RestartExponential,
		InitialBackoff: time.Second,
		MaxBackoff:     time.Minute,
		ResetAfter:     time.Hour,
		Multiplier:     1.5,
		Jitter:         0.1,
	}
}
