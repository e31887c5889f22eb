package rest

import (
	"net"
	"slices"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/view"
)

// span is when something ran. Its end is -1 while it runs; all is -1 before it does.
type span struct {
	StartTime int64 `json:"start-time"`
	EndTime   int64 `json:"end-time"`
	Duration  int64 `json:"duration"`
}

// spanOf reaches from the first start of the subtasks to their last end.
func spanOf(now int64, subtasks ...view.Subtask) span {
	var start, end int64
	ended := true
	for _, s := range subtasks {
		if s.Start > 0 && (start == 0 || s.Start < start) {
			start = s.Start
		}
		end = max(end, s.End)
		ended = ended && s.State.Terminal()
	}
	switch {
	case start == 0:
		return span{-1, -1, -1}
	case !ended:
		return span{start, -1, now - start}
	default:
		return span{start, end, end - start}
	}
}

// countStates counts the subtasks in each state; all states are there.
func countStates(subtasks []view.Subtask) map[jobfsm.SubtaskState]int {
	counts := make(map[jobfsm.SubtaskState]int)
	for _, state := range jobfsm.SubtaskStates {
		counts[state] = 0
	}
	for _, s := range subtasks {
		counts[s.State]++
	}
	return counts
}

// aggregateState is the one state of many subtasks: the worst one; FINISHED only when all are.
func aggregateState(subtasks []view.Subtask) jobfsm.SubtaskState {
	counts := countStates(subtasks)
	for _, state := range []jobfsm.SubtaskState{
		jobfsm.SubtaskFailed, jobfsm.SubtaskCanceling, jobfsm.SubtaskCanceled, jobfsm.SubtaskInitializing, jobfsm.SubtaskRunning,
	} {
		if counts[state] > 0 {
			return state
		}
	}
	switch finished := counts[jobfsm.SubtaskFinished]; {
	case finished == 0:
		return jobfsm.SubtaskCreated
	case finished < len(subtasks):
		return jobfsm.SubtaskRunning
	default:
		return jobfsm.SubtaskFinished
	}
}

// livedStates are those whose lengths are shown, in the order of an attempt's life.
var livedStates = []jobfsm.SubtaskState{
	jobfsm.SubtaskCreated, jobfsm.SubtaskScheduled, jobfsm.SubtaskDeploying, jobfsm.SubtaskInitializing, jobfsm.SubtaskRunning,
}

// statusDurations is how long an attempt was in each state, -1 where it never was.
func statusDurations(s view.Subtask, now int64) map[jobfsm.SubtaskState]int64 {
	durations := make(map[jobfsm.SubtaskState]int64)
	for i, state := range livedStates {
		since := s.Since[state]
		if since == 0 {
			durations[state] = -1
			continue
		}
		until := now
		for _, later := range jobfsm.SubtaskStates[i+1:] {
			if t := s.Since[later]; t > 0 {
				until = min(until, t)
			}
		}
		durations[state] = until - since
	}
	return durations
}

// ioMetrics are what went through an attempt. They are complete once the attempt has reported.
type ioMetrics struct {
	ReadBytes            int64  `json:"read-bytes"`
	ReadBytesComplete    bool   `json:"read-bytes-complete"`
	WriteBytes           int64  `json:"write-bytes"`
	WriteBytesComplete   bool   `json:"write-bytes-complete"`
	ReadRecords          int64  `json:"read-records"`
	ReadRecordsComplete  bool   `json:"read-records-complete"`
	WriteRecords         int64  `json:"write-records"`
	WriteRecordsComplete bool   `json:"write-records-complete"`
	BackpressuredMs      int64  `json:"accumulated-backpressured-time"`
	IdleMs               int64  `json:"accumulated-idle-time"`
	BusyMs               double `json:"accumulated-busy-time"`
}

// reported tells whether a heartbeat has brought metrics: time has passed in any that did.
func reported(m view.Metrics) bool { return m.BusyMs+m.IdleMs+m.BackpressuredMs > 0 }

// ioOf sums the metrics of attempts.
func ioOf(subtasks ...view.Subtask) ioMetrics {
	var sum ioMetrics
	complete := true
	for _, s := range subtasks {
		m := s.Metrics
		complete = complete && reported(m)
		sum.ReadBytes += m.BytesIn
		sum.WriteBytes += m.BytesOut
		sum.ReadRecords += m.RecordsIn
		sum.WriteRecords += m.RecordsOut
		sum.BackpressuredMs += m.BackpressuredMs
		sum.IdleMs += m.IdleMs
		sum.BusyMs += double(m.BusyMs)
	}
	sum.ReadBytesComplete, sum.WriteBytesComplete = complete, complete
	sum.ReadRecordsComplete, sum.WriteRecordsComplete = complete, complete
	return sum
}

// distribution summarizes a number over subtasks.
type distribution struct {
	Min    int64 `json:"min"`
	Max    int64 `json:"max"`
	Avg    int64 `json:"avg"`
	Sum    int64 `json:"sum"`
	Median int64 `json:"median"`
	P25    int64 `json:"p25"`
	P75    int64 `json:"p75"`
	P95    int64 `json:"p95"`
}

// distributionOf sorts values, of which there is at least one.
func distributionOf(values []int64) distribution {
	slices.Sort(values)
	var sum int64
	for _, v := range values {
		sum += v
	}
	return distribution{
		Min: values[0], Max: values[len(values)-1], Avg: sum / int64(len(values)), Sum: sum,
		Median: int64(percentile(values, 50)), P25: int64(percentile(values, 25)),
		P75: int64(percentile(values, 75)), P95: int64(percentile(values, 95)),
	}
}

// percentile estimates as the library that Flink uses does: at position p*(n+1)/100, from 1, between the two values
// beside it (https://commons.apache.org/proper/commons-math/, class Percentile, estimation type LEGACY).
func percentile(sorted []int64, p float64) float64 {
	position := p * float64(len(sorted)+1) / 100
	below := int(position)
	switch {
	case below < 1:
		return float64(sorted[0])
	case below >= len(sorted):
		return float64(sorted[len(sorted)-1])
	default:
		low, high := float64(sorted[below-1]), float64(sorted[below])
		return low + (position-float64(below))*(high-low)
	}
}

// aggregated summarizes the metrics and the states of subtasks.
type aggregated struct {
	Metrics        map[string]distribution              `json:"metrics"`
	StatusDuration map[jobfsm.SubtaskState]distribution `json:"status-duration"`
}

func aggregate(now int64, subtasks []view.Subtask) aggregated {
	metrics := make(map[string][]int64)
	durations := make(map[jobfsm.SubtaskState][]int64)
	for _, s := range subtasks {
		for name, value := range map[string]int64{
			"read-bytes": s.Metrics.BytesIn, "write-bytes": s.Metrics.BytesOut,
			"read-records": s.Metrics.RecordsIn, "write-records": s.Metrics.RecordsOut,
			"accumulated-backpressured-time": s.Metrics.BackpressuredMs,
			"accumulated-idle-time":          s.Metrics.IdleMs,
			"accumulated-busy-time":          s.Metrics.BusyMs,
		} {
			metrics[name] = append(metrics[name], value)
		}
		for state, d := range statusDurations(s, now) {
			durations[state] = append(durations[state], d)
		}
	}
	return aggregated{Metrics: distributions(metrics), StatusDuration: distributions(durations)}
}

func distributions[K comparable](values map[K][]int64) map[K]distribution {
	all := make(map[K]distribution, len(values))
	for k, v := range values {
		all[k] = distributionOf(v)
	}
	return all
}

// place is where an attempt runs.
type place struct {
	Host     string `json:"host"` // of Flink 1.20
	Endpoint string `json:"endpoint"`
}

// placeOf tells host and endpoint apart.
func placeOf(endpoint string) place {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		host = endpoint
	}
	return place{orUnassigned(host), orUnassigned(endpoint)}
}

func orUnassigned(name string) string {
	if name == "" {
		return "(unassigned)"
	}
	return name
}
