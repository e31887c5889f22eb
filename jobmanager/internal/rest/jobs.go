package rest

import (
	"errors"
	"html"
	"net/http"
	"slices"
	"strings"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/manifest"
)

func (s *server) jobIDs(*http.Request) (any, error) {
	type entry struct {
		ID     string        `json:"id"`
		Status jobfsm.Status `json:"status"`
	}
	jobs := s.Cluster.Jobs()
	entries := make([]entry, len(jobs))
	for i, j := range jobs {
		entries[i] = entry{j.ID, j.Status}
	}
	return map[string]any{"jobs": entries}, nil
}

// jobSummary is what flink list reads.
type jobSummary struct {
	ID               string         `json:"jid"`
	Name             string         `json:"name"`
	StartTime        int64          `json:"start-time"`
	EndTime          int64          `json:"end-time"`
	Duration         int64          `json:"duration"`
	State            jobfsm.Status  `json:"state"`
	LastModification int64          `json:"last-modification"`
	Tasks            map[string]int `json:"tasks"`
	PendingOperators int            `json:"pending-operators"` // of Flink's adaptive plans; a plan here is whole
}

func (s *server) jobsOverview(*http.Request) (any, error) {
	now := s.now()
	jobs := s.Cluster.Jobs()
	summaries := make([]jobSummary, len(jobs))
	for i, j := range jobs {
		summaries[i] = summarize(j, now)
	}
	return map[string]any{"jobs": summaries}, nil
}

func summarize(j view.Job, now int64) jobSummary {
	life := lifeOf(j, now)
	summary := jobSummary{
		ID: j.ID, Name: j.Name, StartTime: life.StartTime, EndTime: life.EndTime, Duration: life.Duration,
		State: j.Status, LastModification: max(j.End, j.Since[j.Status]), Tasks: map[string]int{"total": 0},
	}
	for _, state := range jobfsm.SubtaskStates {
		summary.Tasks[strings.ToLower(string(state))] = 0
	}
	for _, v := range j.Vertices {
		summary.Tasks["total"] += len(v.Subtasks)
		for _, sub := range v.Subtasks {
			summary.Tasks[strings.ToLower(string(sub.State))]++
			summary.LastModification = max(summary.LastModification, sub.Since[sub.State])
		}
	}
	return summary
}

func lifeOf(j view.Job, now int64) span {
	if j.End > 0 {
		return span{j.Start, j.End, j.End - j.Start}
	}
	return span{j.Start, -1, now - j.Start}
}

// jobInfo is Flink's job details and, at its end, what Flink has no place for.
type jobInfo struct {
	ID          string        `json:"jid"`
	Name        string        `json:"name"`
	IsStoppable bool          `json:"isStoppable"` // of an interface that Flink dropped; always false there
	State       jobfsm.Status `json:"state"`
	JobType     string        `json:"job-type"`
	span
	MaxParallelism   int                         `json:"maxParallelism"`
	Now              int64                       `json:"now"`
	Timestamps       map[jobfsm.Status]int64     `json:"timestamps"`
	Vertices         []vertexSummary             `json:"vertices"`
	StatusCounts     map[jobfsm.SubtaskState]int `json:"status-counts"` // of vertices, not subtasks
	Plan             any                         `json:"plan"`
	PendingOperators int                         `json:"pending-operators"`

	Attempt  int    `json:"attempt"`
	Restarts int    `json:"restarts"`
	Notice   string `json:"notice"`
	// ManifestHead is what the directory of the job's files ends with if it is whole: 64 hexadecimal digits; "" without files.
	ManifestHead string `json:"manifest-head"`
	// DeadLetterHead is the same of its dead letters.
	DeadLetterHead string `json:"dead-letter-manifest-head"`
	// LedgerImbalance says what is wrong with the ledger, "" for nothing.
	LedgerImbalance string `json:"ledger-imbalance"`
}

func manifestHead(h manifest.Hash) string {
	if h == (manifest.Hash{}) {
		return ""
	}
	return h.String()
}

type vertexSummary struct {
	ID                 string              `json:"id"`
	SlotSharingGroupID string              `json:"slotSharingGroupId"`
	Name               string              `json:"name"`
	MaxParallelism     int                 `json:"maxParallelism"`
	Parallelism        int                 `json:"parallelism"`
	Status             jobfsm.SubtaskState `json:"status"`
	span
	Tasks   map[jobfsm.SubtaskState]int `json:"tasks"`
	Metrics ioMetrics                   `json:"metrics"`
}

const jobType = "STREAMING"

func (s *server) jobDetails(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	now := s.now()
	info := jobInfo{
		ID: j.ID, Name: j.Name, State: j.Status, JobType: jobType, span: lifeOf(j, now),
		MaxParallelism: orUnset(j.Plan.MaxParallelism), Now: now, Timestamps: make(map[jobfsm.Status]int64),
		Vertices: make([]vertexSummary, len(j.Vertices)), StatusCounts: countStates(nil), Plan: planOf(j),
		Attempt: j.Attempt, Restarts: j.Restarts, Notice: j.Notice, ManifestHead: manifestHead(j.ManifestHead), DeadLetterHead: manifestHead(j.DeadLetterHead),
		LedgerImbalance: j.Imbalance,
	}
	for _, status := range jobfsm.Statuses {
		info.Timestamps[status] = j.Since[status]
	}
	for i, v := range j.Vertices {
		info.Vertices[i] = summarizeVertex(j, v, now)
		info.StatusCounts[info.Vertices[i].Status]++
	}
	return info, nil
}

func summarizeVertex(j view.Job, v view.Vertex, now int64) vertexSummary {
	return vertexSummary{
		ID: v.ID, SlotSharingGroupID: j.ID, // a job's slots hold one subtask of each vertex: one group for each job
		Name: v.Name, MaxParallelism: v.MaxParallelism, Parallelism: v.Parallelism,
		Status: aggregateState(v.Subtasks), span: spanOf(now, v.Subtasks...),
		Tasks: countStates(v.Subtasks), Metrics: ioOf(v.Subtasks...),
	}
}

// orUnset is -1, Flink's "not set", for 0.
func orUnset(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

func (s *server) jobStatus(r *http.Request) (any, error) {
	id, err := hexID(r, "jobid")
	if err != nil {
		return nil, err
	}
	j, err := s.Cluster.Job(id)
	if errors.Is(err, jobmaster.ErrNoJob) {
		return nil, internal("Could not find Flink job (%s)", id)
	}
	if err != nil {
		return nil, err
	}
	return map[string]jobfsm.Status{"status": j.Status}, nil
}

type jobPlan struct {
	ID    string     `json:"jid"`
	Name  string     `json:"name"`
	Type  string     `json:"type"`
	Nodes []planNode `json:"nodes"`
}

type planNode struct {
	ID                  string      `json:"id"`
	Parallelism         int         `json:"parallelism"`
	Operator            string      `json:"operator"`
	OperatorStrategy    string      `json:"operator_strategy"`
	Description         string      `json:"description"`
	Inputs              []planInput `json:"inputs,omitempty"`
	OptimizerProperties struct{}    `json:"optimizer_properties"`
}

type planInput struct {
	Num          int    `json:"num"`
	ID           string `json:"id"`
	ShipStrategy string `json:"ship_strategy"`
	Exchange     string `json:"exchange"`
}

func (s *server) jobPlan(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"plan": planOf(j)}, nil
}

// planOf gives the vertices as a graph, sinks first. It is empty for a job that never had any.
func planOf(j view.Job) any {
	if len(j.Vertices) == 0 {
		return struct{}{}
	}
	plan := jobPlan{ID: j.ID, Name: j.Name, Type: jobType}
	for i, v := range slices.Backward(j.Vertices) {
		node := planNode{ID: v.ID, Parallelism: v.Parallelism, Description: describe(v.Name)}
		if v.Keyed {
			node.Inputs = []planInput{{ID: j.Vertices[i-1].ID, ShipStrategy: "HASH", Exchange: "pipelined_bounded"}}
		}
		plan.Nodes = append(plan.Nodes, node)
	}
	return plan
}

// describe draws a chain of operators as the dashboard shows it: one a line, each below the one that it reads.
func describe(chain string) string {
	var b strings.Builder
	for i, operator := range strings.Split(chain, " -> ") {
		if i > 0 {
			b.WriteString(strings.Repeat("   ", i-1) + "+- ")
		}
		b.WriteString(html.EscapeString(operator) + "<br/>")
	}
	return b.String()
}

func (s *server) jobAccumulators(r *http.Request) (any, error) {
	if _, err := s.job(r); err != nil {
		return nil, err
	}
	return map[string]any{
		"job-accumulators": []string{}, "user-task-accumulators": []string{},
		"serialized-user-task-accumulators": struct{}{},
	}, nil
}

func (s *server) now() int64 { return s.Now().UnixMilli() }
