package rest

import "pencere/jobmanager/internal/view"

// side says which vertices have a metric.
type side uint8

const (
	everywhere side = iota
	sources
	keyed // vertices whose input comes from another one
)

func (s side) has(v view.Vertex) bool {
	return s == everywhere || (s == keyed) == v.Keyed
}

// counters and rates are the metrics of an attempt, under Flink's names where Flink has them
// (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/ops/metrics/#system-metrics).
var counters = []struct {
	name string
	on   side
	read func(*view.Subtask) int64
}{
	{"numRecordsIn", everywhere, func(s *view.Subtask) int64 { return s.Metrics.RecordsIn }},
	{"numRecordsOut", everywhere, func(s *view.Subtask) int64 { return s.Metrics.RecordsOut }},
	{"numBytesIn", everywhere, func(s *view.Subtask) int64 { return s.Metrics.BytesIn }},
	{"numBytesOut", everywhere, func(s *view.Subtask) int64 { return s.Metrics.BytesOut }},
	{"accumulateBusyTimeMs", everywhere, func(s *view.Subtask) int64 { return s.Metrics.BusyMs }},
	{"accumulateIdleTimeMs", everywhere, func(s *view.Subtask) int64 { return s.Metrics.IdleMs }},
	{"accumulateBackPressuredTimeMs", everywhere, func(s *view.Subtask) int64 { return s.Metrics.BackpressuredMs }},
	{"currentInputWatermark", keyed, func(s *view.Subtask) int64 { return int64(s.Metrics.InputWatermark) }},
	{"currentOutputWatermark", everywhere, func(s *view.Subtask) int64 { return int64(s.Metrics.OutputWatermark) }},
	{"numLateRecordsDropped", everywhere, func(s *view.Subtask) int64 { return s.Metrics.LateRecords }},
	{"numRecordsInErrors", sources, func(s *view.Subtask) int64 { return s.Metrics.DroppedRecords }},
	{"pendingRecords", sources, pendingRecords},
	{"numRecordsSend", everywhere, func(s *view.Subtask) int64 { return s.Metrics.RowsWritten }},

	// What Flink does not count.
	{"numLateRecordsAfterIdle", everywhere, func(s *view.Subtask) int64 { return s.Metrics.LateAfterIdle }},
	{"numRecordsFiltered", everywhere, func(s *view.Subtask) int64 { return s.Metrics.FilteredRecords }},
	{"numRecordsDeadLettered", sources, func(s *view.Subtask) int64 { return s.Metrics.DeadLetteredRecords }},
	{"numLateRecordsDeadLettered", sources, func(s *view.Subtask) int64 { return s.Metrics.LateDeadLetters }},
	{"numRecordsEmpty", sources, func(s *view.Subtask) int64 { return s.Metrics.EmptyRecords }},
	{"numFieldsIgnored", sources, func(s *view.Subtask) int64 { return s.Metrics.IgnoredFields }},
	{"numRecordsLost", sources, func(s *view.Subtask) int64 { return s.Metrics.LostRecords }},
	{"numRecordsCollapsed", everywhere, func(s *view.Subtask) int64 { return s.Metrics.CollapsedRecords }},
	{"openGroups", everywhere, func(s *view.Subtask) int64 { return s.Metrics.OpenGroups }},
	{"openWindows", everywhere, func(s *view.Subtask) int64 { return s.Metrics.OpenWindows }},
}

var rates = []struct {
	name string
	read func(*view.Metrics) float64
}{
	{"numRecordsInPerSecond", func(m *view.Metrics) float64 { return m.RecordsInPerSecond }},
	{"numRecordsOutPerSecond", func(m *view.Metrics) float64 { return m.RecordsOutPerSecond }},
	{"busyTimeMsPerSecond", func(m *view.Metrics) float64 { return m.BusyPerSecond }},
	{"idleTimeMsPerSecond", func(m *view.Metrics) float64 { return m.IdlePerSecond }},
	{"backPressuredTimeMsPerSecond", func(m *view.Metrics) float64 { return m.BackpressuredPerSec }},
}

// metricsOf lists the metrics of an attempt; one that has not reported has none.
func metricsOf(v view.Vertex, s view.Subtask) []metric {
	if !reported(s.Metrics) {
		return nil
	}
	var metrics []metric
	for _, c := range counters {
		if c.on.has(v) {
			metrics = append(metrics, whole(c.name, c.read(&s)))
		}
	}
	for _, r := range rates {
		metrics = append(metrics, fraction(r.name, r.read(&s.Metrics)))
	}
	return metrics
}

// pendingRecords is the lag of the splits whose end is known.
func pendingRecords(s *view.Subtask) int64 {
	var sum int64
	for _, split := range s.Splits {
		sum += max(lag(split), 0)
	}
	return sum
}

// lag is how many records of a split are still to be read, -1 when its end is unknown.
func lag(s view.Split) int64 {
	if s.EndOffset < 0 {
		return -1
	}
	return max(s.EndOffset-s.Offset, 0)
}
