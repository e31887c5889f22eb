package rest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/view"
)

// attemptInfo is an attempt of a subtask.
type attemptInfo struct {
	Subtask int                 `json:"subtask"`
	Status  jobfsm.SubtaskState `json:"status"`
	Attempt int                 `json:"attempt"`
	place
	span
	Metrics        ioMetrics                     `json:"metrics"`
	TaskManagerID  string                        `json:"taskmanager-id"`
	StatusDuration map[jobfsm.SubtaskState]int64 `json:"status-duration"`
	// Start is StartTime again, under the name that the dashboard reads.
	Start int64 `json:"start_time"`
}

func attemptOf(s view.Subtask, now int64) attemptInfo {
	ran := spanOf(now, s)
	return attemptInfo{
		Subtask: s.Index, Status: s.State, Attempt: s.Attempt, place: placeOf(s.Endpoint), span: ran,
		Metrics: ioOf(s), TaskManagerID: orUnassigned(s.TaskManagerID), StatusDuration: statusDurations(s, now), Start: ran.StartTime,
	}
}

type vertexInfo struct {
	ID             string        `json:"id"`
	Name           string        `json:"name"`
	Parallelism    int           `json:"parallelism"`
	MaxParallelism int           `json:"maxParallelism"`
	Now            int64         `json:"now"`
	Subtasks       []attemptInfo `json:"subtasks"`
	Aggregated     aggregated    `json:"aggregated"`
}

func (s *server) vertexDetails(r *http.Request) (any, error) {
	_, v, err := s.vertex(r, noJobVertex)
	if err != nil {
		return nil, err
	}
	now := s.now()
	info := vertexInfo{
		ID: v.ID, Name: v.Name, Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism, Now: now,
		Subtasks: make([]attemptInfo, len(v.Subtasks)), Aggregated: aggregate(now, v.Subtasks),
	}
	for i, sub := range v.Subtasks {
		info.Subtasks[i] = attemptOf(sub, now)
	}
	return info, nil
}

func (s *server) subtaskDetails(r *http.Request) (any, error) {
	_, sub, err := s.subtask(r)
	if err != nil {
		return nil, err
	}
	return attemptOf(sub, s.now()), nil
}

func (s *server) attemptDetails(r *http.Request) (any, error) {
	_, sub, err := s.attempt(r)
	if err != nil {
		return nil, err
	}
	return attemptOf(sub, s.now()), nil
}

type subtaskTimes struct {
	Subtask int `json:"subtask"`
	place
	Duration   int64                         `json:"duration"`
	Timestamps map[jobfsm.SubtaskState]int64 `json:"timestamps"`
}

func (s *server) subtaskTimes(r *http.Request) (any, error) {
	_, v, err := s.vertex(r, noVertex)
	if err != nil {
		return nil, err
	}
	now := s.now()
	times := make([]subtaskTimes, len(v.Subtasks))
	for i, sub := range v.Subtasks {
		times[i] = timesOf(sub, now)
	}
	return map[string]any{"id": v.ID, "name": v.Name, "now": now, "subtasks": times}, nil
}

// timesOf counts an attempt's duration from when it was scheduled, so with the wait for a slot.
func timesOf(s view.Subtask, now int64) subtaskTimes {
	times := subtaskTimes{
		Subtask: s.Index, place: placeOf(s.Endpoint), Duration: -1, Timestamps: make(map[jobfsm.SubtaskState]int64),
	}
	for _, state := range jobfsm.SubtaskStates {
		times.Timestamps[state] = s.Since[state]
	}
	end := now
	if s.State.Terminal() {
		end = s.End
	}
	if from := s.Since[jobfsm.SubtaskScheduled]; from > 0 {
		times.Duration = end - from
	} else if s.Start > 0 {
		times.Duration = end - s.Start
	}
	return times
}

type vertexTaskManager struct {
	place
	Status jobfsm.SubtaskState `json:"status"`
	span
	Metrics       ioMetrics                   `json:"metrics"`
	StatusCounts  map[jobfsm.SubtaskState]int `json:"status-counts"`
	TaskManagerID string                      `json:"taskmanager-id"`
	Aggregated    aggregated                  `json:"aggregated"`
}

func (s *server) vertexTaskManagers(r *http.Request) (any, error) {
	_, v, err := s.vertex(r, noJobVertex)
	if err != nil {
		return nil, err
	}
	now := s.now()
	byTaskManager := make(map[string][]view.Subtask)
	var ids []string // in the order of their first subtasks
	for _, sub := range v.Subtasks {
		if byTaskManager[sub.TaskManagerID] == nil {
			ids = append(ids, sub.TaskManagerID)
		}
		byTaskManager[sub.TaskManagerID] = append(byTaskManager[sub.TaskManagerID], sub)
	}
	taskManagers := make([]vertexTaskManager, len(ids))
	for i, id := range ids {
		subtasks := byTaskManager[id]
		endpoint := orUnassigned(subtasks[0].Endpoint)
		taskManagers[i] = vertexTaskManager{
			place: place{endpoint, endpoint}, Status: aggregateState(subtasks), span: spanOf(now, subtasks...),
			Metrics: ioOf(subtasks...), StatusCounts: countStates(subtasks), TaskManagerID: orUnassigned(id),
			Aggregated: aggregate(now, subtasks),
		}
	}
	return map[string]any{"id": v.ID, "name": v.Name, "now": now, "taskmanagers": taskManagers}, nil
}

// watermarks lists the watermarks that come in. Into a source comes none.
func (s *server) watermarks(r *http.Request) (any, error) {
	_, v, err := s.vertex(r, noVertex)
	if err != nil {
		return nil, err
	}
	marks := []metricValue{}
	if !v.Keyed {
		return marks, nil
	}
	for _, sub := range v.Subtasks {
		text := strconv.FormatInt(int64(sub.Metrics.InputWatermark), 10)
		marks = append(marks, metricValue{ID: fmt.Sprintf("%d.currentInputWatermark", sub.Index), Value: &text})
	}
	return marks, nil
}

// level says how far a subtask is held back by those that it writes to; Flink's bounds are shares of its time.
func level(backpressured float64) string {
	switch {
	case backpressured <= 0.10:
		return "ok"
	case backpressured <= 0.5:
		return "low"
	default:
		return "high"
	}
}

// pressureLevel stands under two keys: of Flink's API and of its dashboard.
type pressureLevel struct {
	Level  string `json:"backpressureLevel"`
	Dashed string `json:"backpressure-level"`
}

type subtaskPressure struct {
	Subtask       int `json:"subtask"`
	AttemptNumber int `json:"attempt-number"`
	pressureLevel
	Ratio     double `json:"ratio"`
	IdleRatio double `json:"idleRatio"`
	BusyRatio double `json:"busyRatio"`
}

type vertexPressure struct {
	Status string `json:"status"`
	pressureLevel
	EndTimestamp int64             `json:"end-timestamp"`
	Subtasks     []subtaskPressure `json:"subtasks"`
}

// backpressure says "deprecated" of what does not run or is not known, and of nothing else: it was Flink's word for a
// sample that is being renewed.
func (s *server) backpressure(r *http.Request) (any, error) {
	_, v, known, err := s.vertexForMetrics(r)
	if err != nil {
		return nil, err
	}
	var subtasks []subtaskPressure
	var worst float64
	for _, sub := range v.Subtasks {
		if sub.State != jobfsm.SubtaskRunning || !reported(sub.Metrics) {
			continue
		}
		ratio := sub.Metrics.BackpressuredPerSec / 1000
		worst = max(worst, ratio)
		subtasks = append(subtasks, subtaskPressure{
			Subtask: sub.Index, AttemptNumber: sub.Attempt, pressureLevel: pressureLevel{level(ratio), level(ratio)},
			Ratio: double(ratio), IdleRatio: double(sub.Metrics.IdlePerSecond / 1000), BusyRatio: double(sub.Metrics.BusyPerSecond / 1000),
		})
	}
	if !known || len(subtasks) == 0 {
		return map[string]string{"status": "deprecated"}, nil
	}
	return vertexPressure{
		Status: "ok", pressureLevel: pressureLevel{level(worst), level(worst)},
		EndTimestamp: s.lastHeartbeat(v.Subtasks), Subtasks: subtasks,
	}, nil
}

// lastHeartbeat is when metrics of the subtasks last came.
func (s *server) lastHeartbeat(subtasks []view.Subtask) int64 {
	heartbeats := make(map[string]int64)
	for _, tm := range s.Cluster.TaskManagers() {
		heartbeats[tm.ID] = tm.LastHeartbeat
	}
	var last int64
	for _, sub := range subtasks {
		last = max(last, heartbeats[sub.TaskManagerID])
	}
	return last
}

// flameGraph answers as Flink does with flame graphs switched off.
func (s *server) flameGraph(r *http.Request) (any, error) {
	switch kind := r.URL.Query().Get("type"); strings.ToUpper(kind) {
	case "", "FULL", "ON_CPU", "OFF_CPU":
	default:
		return nil, badParameter("query", "type", kind)
	}
	if _, _, err := s.vertex(r, noVertex); err != nil {
		return nil, err
	}
	return map[string]int64{"endTimestamp": -2}, nil
}

// accumulators of users' code do not exist: a job has no code of its own.
type accumulators struct {
	Accumulators []struct{} `json:"user-accumulators"`
}

var noAccumulators = accumulators{Accumulators: []struct{}{}}

func (s *server) vertexAccumulators(r *http.Request) (any, error) {
	_, v, err := s.vertex(r, noVertex)
	if err != nil {
		return nil, err
	}
	return struct {
		ID string `json:"id"`
		accumulators
	}{v.ID, noAccumulators}, nil
}

type subtaskAccumulators struct {
	Subtask int `json:"subtask"`
	Attempt int `json:"attempt"`
	place
	accumulators
}

func (s *server) subtasksAccumulators(r *http.Request) (any, error) {
	_, v, err := s.vertex(r, noVertex)
	if err != nil {
		return nil, err
	}
	subtasks := make([]subtaskAccumulators, len(v.Subtasks))
	for i, sub := range v.Subtasks {
		subtasks[i] = subtaskAccumulators{sub.Index, sub.Attempt, placeOf(sub.Endpoint), noAccumulators}
	}
	return map[string]any{"id": v.ID, "parallelism": v.Parallelism, "subtasks": subtasks}, nil
}

func (s *server) attemptAccumulators(r *http.Request) (any, error) {
	v, sub, err := s.attempt(r)
	if err != nil {
		return nil, err
	}
	return struct {
		Subtask int    `json:"subtask"`
		Attempt int    `json:"attempt"`
		ID      string `json:"id"`
		accumulators
	}{sub.Index, sub.Attempt, fmt.Sprintf("%s_%d_%d", v.ID, sub.Index, sub.Attempt), noAccumulators}, nil
}
