package rest

import (
	"cmp"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/javafmt"
	"pencere/pkg/ledger"
)

// metric is a value under a name. Flink writes values as text; text is the number as Java writes it.
type metric struct {
	id    string
	value float64
	text  string
}

func whole(id string, n int64) metric { return metric{id, float64(n), strconv.FormatInt(n, 10)} }
func fraction(id string, f float64) metric {
	return metric{id, f, string(javafmt.AppendDouble(nil, f))}
}

// metricValue is a metric in a list of values, or without a value in a list of names.
type metricValue struct {
	ID    string  `json:"id"`
	Value *string `json:"value,omitempty"`
}

// answerMetrics lists the names of the metrics or, when the query names some, the values of those that there are.
func answerMetrics(r *http.Request, metrics []metric) (any, error) {
	wanted := list(r, "get")
	values := []metricValue{}
	for _, m := range metrics {
		switch {
		case len(wanted) == 0:
			values = append(values, metricValue{ID: m.id})
		case slices.Contains(wanted, m.id):
			values = append(values, metricValue{ID: m.id, Value: &m.text})
		}
	}
	return values, nil
}

// aggregatedMetric is a metric over many; those that were not asked for are missing.
type aggregatedMetric struct {
	ID   string  `json:"id"`
	Min  *double `json:"min,omitempty"`
	Max  *double `json:"max,omitempty"`
	Avg  *double `json:"avg,omitempty"`
	Sum  *double `json:"sum,omitempty"`
	Skew *double `json:"skew,omitempty"`
}

var aggregations = []string{"min", "max", "avg", "sum", "skew"}

// aggregationsOf reads which aggregations a query asks for: all when it names none.
func aggregationsOf(r *http.Request) ([]string, error) {
	var wanted []string
	for _, name := range list(r, "agg") {
		lower := strings.ToLower(name)
		if !slices.Contains(aggregations, lower) {
			return nil, badParameter("query", "agg", strings.Join(r.URL.Query()["agg"], ","))
		}
		wanted = append(wanted, lower)
	}
	if wanted == nil {
		return aggregations, nil
	}
	return wanted, nil
}

// answerAggregated lists the names of the metrics of any member or, when the query names some, what it asks for over
// the members that have them.
func answerAggregated(r *http.Request, members [][]metric) (any, error) {
	wanted, err := aggregationsOf(r)
	if err != nil {
		return nil, err
	}
	values := make(map[string][]float64)
	var ids []string
	for _, m := range slices.Concat(members...) {
		if _, seen := values[m.id]; !seen {
			ids = append(ids, m.id)
		}
		values[m.id] = append(values[m.id], m.value)
	}
	get := list(r, "get")
	if len(get) == 0 {
		names := make([]metricValue, len(ids))
		for i, id := range ids {
			names[i] = metricValue{ID: id}
		}
		return names, nil
	}
	answers := []aggregatedMetric{}
	for _, id := range ids {
		if slices.Contains(get, id) {
			answers = append(answers, aggregateMetric(id, values[id], wanted))
		}
	}
	return answers, nil
}

func aggregateMetric(id string, values []float64, wanted []string) aggregatedMetric {
	answer := aggregatedMetric{ID: id}
	var sum float64
	for _, v := range values {
		sum += v
	}
	mean := sum / float64(len(values))
	for _, name := range wanted {
		switch name {
		case "min":
			answer.Min = new(double(slices.Min(values)))
		case "max":
			answer.Max = new(double(slices.Max(values)))
		case "avg":
			answer.Avg = new(double(mean))
		case "sum":
			answer.Sum = new(double(sum))
		case "skew":
			answer.Skew = new(double(skew(values, mean)))
		}
	}
	return answer
}

// skew is how unequal values are: the mean distance from their mean, in percent of it, at most 100.
func skew(values []float64, mean float64) float64 {
	if mean == 0 {
		return 0
	}
	var distance float64
	for _, v := range values {
		distance += math.Abs(v - mean)
	}
	return min(100*distance/float64(len(values))/math.Abs(mean), 100)
}

// vertexForMetrics finds a vertex as the metrics' handlers do: one that does not exist just has none.
func (s *server) vertexForMetrics(r *http.Request) (view.Job, view.Vertex, bool, error) {
	j, v, err := s.vertex(r, noVertex)
	if p, ok := errors.AsType[*problem](err); ok && p.status == http.StatusNotFound {
		return view.Job{}, view.Vertex{}, false, nil
	}
	return j, v, err == nil, err
}

func (s *server) vertexMetrics(r *http.Request) (any, error) {
	j, v, _, err := s.vertexForMetrics(r)
	if err != nil {
		return nil, err
	}
	var metrics []metric
	for _, sub := range liveSubtasks(j, v) {
		for _, m := range metricsOf(v, sub) {
			m.id = strconv.Itoa(sub.Index) + "." + m.id
			metrics = append(metrics, m)
		}
	}
	return answerMetrics(r, metrics)
}

// liveSubtasks are the subtasks that have metrics: Flink forgets a job's when it has ended.
func liveSubtasks(j view.Job, v view.Vertex) []view.Subtask {
	if j.Status.Terminal() {
		return nil
	}
	return v.Subtasks
}

// coordinatorMetrics are of operators' coordinators on the jobmanager. Ours have none.
func (s *server) coordinatorMetrics(r *http.Request) (any, error) {
	if _, _, _, err := s.vertexForMetrics(r); err != nil {
		return nil, err
	}
	return answerMetrics(r, nil)
}

func (s *server) subtasksMetrics(r *http.Request) (any, error) {
	j, v, _, err := s.vertexForMetrics(r)
	if err != nil {
		return nil, err
	}
	var members [][]metric
	ranges := list(r, "subtasks")
	for _, sub := range liveSubtasks(j, v) {
		if len(ranges) == 0 || slices.ContainsFunc(ranges, func(text string) bool { return inRange(sub.Index, text) }) {
			members = append(members, metricsOf(v, sub))
		}
	}
	return answerAggregated(r, members)
}

// inRange reports whether n lies in a range such as "3" or "1-4". Flink skips what is no range.
func inRange(n int, text string) bool {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	low, err := strconv.Atoi(from)
	high, err2 := strconv.Atoi(to)
	return cmp.Or(err, err2) == nil && low <= n && n <= high
}

func (s *server) subtaskMetrics(r *http.Request) (any, error) {
	i, err := index(r, "subtaskindex")
	if err != nil {
		return nil, err
	}
	j, v, _, err := s.vertexForMetrics(r)
	if err != nil {
		return nil, err
	}
	for _, sub := range liveSubtasks(j, v) {
		if sub.Index == i {
			return answerMetrics(r, metricsOf(v, sub))
		}
	}
	return answerMetrics(r, nil)
}

func (s *server) jobMetrics(r *http.Request) (any, error) {
	id, err := hexID(r, "jobid")
	if err != nil {
		return nil, err
	}
	var metrics []metric
	if j, err := s.Cluster.Job(id); err == nil { // Flink answers an unknown job with no metrics
		metrics = jobMetricsOf(j, s.now())
	}
	return answerMetrics(r, metrics)
}

func (s *server) jobsMetrics(r *http.Request) (any, error) {
	var only []string
	for _, text := range list(r, "jobs") {
		id, ok := canonicalID(text)
		if !ok {
			return nil, badParameter("query", "jobs", strings.Join(r.URL.Query()["jobs"], ","))
		}
		only = append(only, id)
	}
	var members [][]metric
	for _, j := range s.Cluster.Jobs() {
		if only == nil || slices.Contains(only, j.ID) {
			members = append(members, jobMetricsOf(j, s.now()))
		}
	}
	return answerAggregated(r, members)
}

// jobMetricsOf has none for a job that has ended. A status's time is that since it was last entered.
func jobMetricsOf(j view.Job, now int64) []metric {
	if j.Status.Terminal() {
		return nil
	}
	metrics := []metric{whole("numRestarts", int64(j.Restarts)), whole("fullRestarts", int64(j.Restarts))}
	for _, status := range []jobfsm.Status{
		jobfsm.Initializing, jobfsm.Created, jobfsm.Running, jobfsm.Failing, jobfsm.Cancelling, jobfsm.Restarting,
	} {
		metrics = append(metrics, whole(strings.ToLower(string(status))+"Time", since(j, status, now)))
	}
	var down int64
	if broke := j.Since[jobfsm.Restarting]; broke > 0 && j.Status != jobfsm.Running {
		down = now - broke
	}
	metrics = append(metrics, whole("uptime", since(j, jobfsm.Running, now)), whole("downtime", down))
	return slices.Concat(metrics, checkpointMetricsOf(j.Checkpoints), ledgerMetricsOf(j.Ledger))
}

// checkpointMetricsOf has -1 for what is not there yet, as Flink.
func checkpointMetricsOf(c view.Checkpoints) []metric {
	counts := countCheckpoints(c)
	id, size, duration, restored := int64(-1), int64(-1), int64(-1), int64(-1)
	if latest := briefly(c.LatestCompleted); latest != nil {
		id, size, duration = int64(latest.ID), latest.StateSize, latest.EndToEndDuration
	}
	if c.Restored != nil {
		restored = c.Restored.At
	}
	return []metric{
		whole("totalNumberOfCheckpoints", int64(counts.Total)),
		whole("numberOfInProgressCheckpoints", int64(counts.InProgress)),
		whole("numberOfCompletedCheckpoints", int64(counts.Completed)),
		whole("numberOfFailedCheckpoints", int64(counts.Failed)),
		whole("lastCompletedCheckpointId", id),
		whole("lastCheckpointSize", size),
		whole("lastCheckpointFullSize", size),
		whole("lastCheckpointDuration", duration),
		whole("lastCheckpointRestoreTimestamp", restored),
	}
}

// ledgerMetricsOf is what Flink does not count: the records of all splits by what became of them, how many are missing, and what was gone
// before it could be read.
func ledgerMetricsOf(l ledger.Ledger) []metric {
	total := l.Total()
	return []metric{
		whole("ledgerRead", total.Read), whole("ledgerEmitted", total.Emitted), whole("ledgerFiltered", total.Filtered),
		whole("ledgerLate", total.Late), whole("ledgerDeadLettered", total.DeadLettered), whole("ledgerSkipped", total.Skipped),
		whole("ledgerCollapsed", total.Collapsed), whole("ledgerOpen", total.Open), whole("ledgerDifference", total.Difference()),
		whole("ledgerLost", total.Lost), whole("ledgerTruncations", total.Truncations),
	}
}

// since is how long the job has been in a status that it is in now, else 0.
func since(j view.Job, status jobfsm.Status, now int64) int64 {
	if j.Status != status {
		return 0
	}
	return now - j.Since[status]
}

func (s *server) taskManagerMetrics(r *http.Request) (any, error) {
	id := r.PathValue("taskmanagerid")
	for _, tm := range s.Cluster.TaskManagers() {
		if tm.ID == id {
			return answerMetrics(r, taskManagerMetricsOf(tm))
		}
	}
	return answerMetrics(r, nil)
}

func (s *server) taskManagersMetrics(r *http.Request) (any, error) {
	only := list(r, "taskmanagers")
	var members [][]metric
	for _, tm := range s.Cluster.TaskManagers() {
		if only == nil || slices.Contains(only, tm.ID) {
			members = append(members, taskManagerMetricsOf(tm))
		}
	}
	return answerAggregated(r, members)
}

// taskManagerMetricsOf gives a Go program's memory under the names of the JVM's that the dashboard's bars read.
func taskManagerMetricsOf(tm view.TaskManager) []metric {
	return []metric{
		whole("Status.JVM.Memory.Heap.Used", tm.HeapBytes),
		whole("Status.JVM.Memory.Heap.Max", tm.LimitBytes),
		whole("Status.JVM.Memory.NonHeap.Used", nonHeap(tm)),
		whole("Status.ProcessTree.Memory.RSS", tm.ResidentBytes),
		whole("taskSlotsTotal", int64(tm.Slots)),
		whole("taskSlotsAvailable", int64(tm.Free)),
	}
}
