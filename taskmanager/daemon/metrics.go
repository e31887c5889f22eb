package daemon

import (
	"net/http"
	"net/http/pprof"
	"strconv"

	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// handler serves /metrics and /health, and under /debug/pprof/ the profiles of Go's runtime.
func (d *Daemon) handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), subtaskCollector{d})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return mux
}

// subtaskCollector shows the running subtasks' counters at the moment of a scrape.
type subtaskCollector struct{ daemon *Daemon }

var subtaskLabels = []string{"job_id", "vertex_id", "subtask_index"}

// subtaskMetrics are the metrics of a subtask. Counters begin anew with each attempt.
var subtaskMetrics = []subtaskMetric{
	counter("records_in_total", "Records read by a subtask.", (*controlv1.SubtaskMetrics).GetRecordsIn),
	counter("records_out_total", "Rows sent on by a subtask.", (*controlv1.SubtaskMetrics).GetRecordsOut),
	counter("bytes_in_total", "Bytes of the records read by a subtask.", (*controlv1.SubtaskMetrics).GetBytesIn),
	counter("rows_written_total", "Rows written to part files.", (*controlv1.SubtaskMetrics).GetRowsWritten),
	counter("late_records_total", "Rows that came after their window had closed.", (*controlv1.SubtaskMetrics).GetLateRecords),
	counter("filtered_records_total", "Rows that the where clause refused.", (*controlv1.SubtaskMetrics).GetFilteredRecords),
	counter("dropped_records_total", "Records that could not be decoded and were left out.", (*controlv1.SubtaskMetrics).GetDroppedRecords),
	counter("lost_records_total", "Records that were gone from Kafka before they were read (on_data_loss: earliest).", (*controlv1.SubtaskMetrics).GetLostRecords),
	counter("ignored_fields_total", "Fields that could not be decoded and became NULL.", (*controlv1.SubtaskMetrics).GetIgnoredFields),
	counter("backpressured_milliseconds_total", "Time held up by a downstream subtask.", (*controlv1.SubtaskMetrics).GetBackpressuredMs),
	counter("idle_milliseconds_total", "Time without input.", (*controlv1.SubtaskMetrics).GetIdleMs),
	gauge("open_groups", "Groups in windows that have not fired.", (*controlv1.SubtaskMetrics).GetOpenGroups),
	gauge("open_windows", "Windows that have not fired.", (*controlv1.SubtaskMetrics).GetOpenWindows),
}

// subtaskMetric is one metric and where its value comes from.
type subtaskMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*controlv1.SubtaskMetrics) float64
}

func counter(name, help string, value func(*controlv1.SubtaskMetrics) int64) subtaskMetric {
	return metric(prometheus.CounterValue, name, help, value)
}

func gauge(name, help string, value func(*controlv1.SubtaskMetrics) int64) subtaskMetric {
	return metric(prometheus.GaugeValue, name, help, value)
}

func metric(kind prometheus.ValueType, name, help string, value func(*controlv1.SubtaskMetrics) int64) subtaskMetric {
	return subtaskMetric{
		desc:  prometheus.NewDesc("pencere_subtask_"+name, help, subtaskLabels, nil),
		kind:  kind,
		value: func(m *controlv1.SubtaskMetrics) float64 { return float64(value(m)) },
	}
}

// Describe implements prometheus.Collector.
func (subtaskCollector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range subtaskMetrics {
		to <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c subtaskCollector) Collect(to chan<- prometheus.Metric) {
	for _, report := range c.daemon.table.Heartbeat().GetSubtasks() {
		ref := report.GetSubtask()
		labels := []string{ref.GetJobId(), ref.GetVertexId(), strconv.Itoa(int(ref.GetSubtaskIndex()))}
		for _, m := range subtaskMetrics {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(report.GetMetrics()), labels...)
		}
	}
}
