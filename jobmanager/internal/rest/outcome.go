package rest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/plan"
)

type executionConfig struct {
	ExecutionMode   string            `json:"execution-mode"`
	RestartStrategy string            `json:"restart-strategy"`
	JobParallelism  int               `json:"job-parallelism"`
	ObjectReuseMode bool              `json:"object-reuse-mode"`
	UserConfig      map[string]string `json:"user-config"`
}

func (s *server) jobConfig(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	parallelism := j.Parallelism
	if parallelism == 0 {
		parallelism = orUnset(j.Plan.Parallelism)
	}
	return map[string]any{"jid": j.ID, "name": j.Name, "execution-config": executionConfig{
		ExecutionMode: "PIPELINED", RestartStrategy: describeRestarts(j.Plan.Restart), JobParallelism: parallelism,
		UserConfig: map[string]string{},
	}}, nil
}

func describeRestarts(r plan.RestartStrategy) string {
	switch r.Type {
	case plan.RestartFixedDelay:
		return fmt.Sprintf("Restart with fixed delay (%d ms). #%d restart attempts.", r.Delay.Milliseconds(), r.Attempts)
	case plan.RestartFailureRate:
		return fmt.Sprintf("Failure rate restart with maximum of %d failures within interval %d ms and fixed delay %d ms.",
			r.MaxFailures, r.FailureInterval.Milliseconds(), r.Delay.Milliseconds())
	case plan.RestartExponential:
		return fmt.Sprintf("Restart with exponential delay (%d to %d ms, multiplier %v, jitter %v).",
			r.InitialBackoff.Milliseconds(), r.MaxBackoff.Milliseconds(), r.Multiplier, r.Jitter)
	default:
		return "Restart deactivated."
	}
}

// exceptionEntry is a failure in the history. Failures here have no Java class: a line of the message names them.
type exceptionEntry struct {
	ExceptionName        string            `json:"exceptionName"`
	Stacktrace           string            `json:"stacktrace"`
	Timestamp            int64             `json:"timestamp"`
	TaskName             string            `json:"taskName,omitempty"`
	Endpoint             string            `json:"endpoint,omitempty"`
	Location             string            `json:"location,omitempty"`
	TaskManagerID        string            `json:"taskManagerId,omitempty"`
	FailureLabels        map[string]string `json:"failureLabels"`
	ConcurrentExceptions []exceptionEntry  `json:"concurrentExceptions"`
}

// taskException is Flink 1.20's older form of a failure that belongs to a subtask.
type taskException struct {
	Exception     string `json:"exception"`
	Task          string `json:"task"`
	Location      string `json:"location"`
	Endpoint      string `json:"endpoint"`
	Timestamp     int64  `json:"timestamp"`
	TaskManagerID string `json:"taskManagerId"`
}

type exceptions struct {
	RootException    *string         `json:"root-exception"`
	Timestamp        *int64          `json:"timestamp"`
	AllExceptions    []taskException `json:"all-exceptions"`
	Truncated        bool            `json:"truncated"`
	ExceptionHistory struct {
		Entries   []exceptionEntry `json:"entries"`
		Truncated bool             `json:"truncated"`
	} `json:"exceptionHistory"`
}

const defaultMaxExceptions = 20

func (s *server) jobExceptions(r *http.Request) (any, error) {
	limit, err := maxExceptions(r)
	if err != nil {
		return nil, err
	}
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	shown := j.Failures[:min(limit, len(j.Failures))]
	answer := exceptions{AllExceptions: []taskException{}}
	answer.ExceptionHistory.Entries = make([]exceptionEntry, len(shown))
	answer.Truncated = len(shown) < len(j.Failures)
	answer.ExceptionHistory.Truncated = answer.Truncated
	if i := slices.IndexFunc(j.Failures, func(f view.Failure) bool { return !f.Rescale }); i >= 0 {
		newest := j.Failures[i]
		answer.RootException, answer.Timestamp = &newest.Message, &newest.Time
	}
	for i, f := range shown {
		answer.ExceptionHistory.Entries[i] = entryOf(f)
		if f.Task != "" && j.Status.Terminal() {
			answer.AllExceptions = append(answer.AllExceptions, taskException{
				f.Message, f.Task, orUnassigned(f.Endpoint), orUnassigned(f.Endpoint), f.Time, orUnassigned(f.TaskManagerID)})
		}
	}
	return answer, nil
}

func maxExceptions(r *http.Request) (int, error) {
	value := r.URL.Query().Get("maxExceptions")
	if value == "" {
		return defaultMaxExceptions, nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return 0, badParameter("query", "maxExceptions", value)
	}
	return max(int(n), 0), nil
}

func entryOf(f view.Failure) exceptionEntry {
	name, _, _ := strings.Cut(f.Message, "\n")
	return exceptionEntry{
		ExceptionName: name, Stacktrace: f.Message, Timestamp: f.Time, TaskName: f.Task, Endpoint: f.Endpoint,
		Location: f.Endpoint, TaskManagerID: f.TaskManagerID,
		FailureLabels: map[string]string{}, ConcurrentExceptions: []exceptionEntry{},
	}
}

type jobResult struct {
	ID                 string        `json:"id"`
	ApplicationStatus  string        `json:"application-status"`
	AccumulatorResults struct{}      `json:"accumulator-results"`
	NetRuntime         int64         `json:"net-runtime"`
	FailureCause       *failureCause `json:"failure-cause,omitempty"`
}

// failureCause has Flink's keys. The serialized throwable, a Java object, stays empty.
type failureCause struct {
	Class               string `json:"class"`
	StackTrace          string `json:"stack-trace"`
	SerializedThrowable string `json:"serialized-throwable"`
}

var applicationStatus = map[jobfsm.Status]string{
	jobfsm.Finished: "SUCCEEDED", jobfsm.Failed: "FAILED", jobfsm.Canceled: "CANCELED",
}

func (s *server) executionResult(r *http.Request) (any, error) {
	id, err := hexID(r, "jobid")
	if err != nil {
		return nil, err
	}
	j, err := s.Cluster.Job(id)
	if errors.Is(err, jobmaster.ErrNoJob) {
		return nil, notFound("Could not find Flink job (%s)", id)
	}
	if err != nil {
		return nil, err
	}
	if !j.Status.Terminal() {
		return map[string]any{"status": map[string]string{"id": "IN_PROGRESS"}}, nil
	}
	result := jobResult{ID: j.ID, ApplicationStatus: applicationStatus[j.Status], NetRuntime: lifeOf(j, s.now()).Duration}
	if j.Status == jobfsm.Failed && len(j.Failures) > 0 {
		result.FailureCause = &failureCause{Class: "pencere.JobException", StackTrace: j.Failures[0].Message}
	}
	return map[string]any{"status": map[string]string{"id": "COMPLETED"}, "job-execution-result": result}, nil
}
