package daemon

import (
	"math"
	"strconv"
	"time"

	"pencere/pkg/eventtime"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/monitoring"

	"github.com/prometheus/client_golang/prometheus"
)

// reportCollector shows how the running subtasks are at the moment of a scrape.
type reportCollector struct {
	reports func() *controlv1.Heartbeat
	slots   int
	limit   int64 // of memory, in bytes
	now     func() time.Time
}

// slotUse is how the taskmanager's slots and memory are used.
type slotUse struct{ slots, subtasks, limit float64 }

// observed is what is told at some time.
type observed[T any] struct {
	what T
	now  time.Time
}

var taskManagerMetrics = monitoring.NewGroup[slotUse]("taskmanager_").
	Gauge("slots", "Slots of this taskmanager, free or in use.", func(u slotUse) float64 { return u.slots }).
	Gauge("subtasks", "Subtasks that run.", func(u slotUse) float64 { return u.subtasks }).
	Gauge("memory_limit_bytes", "Memory that the process may use.", func(u slotUse) float64 { return u.limit })

var subtaskLabels = []string{"job_id", "vertex_id", "subtask_index"}

// subtaskMetrics begin anew with each attempt.
var subtaskMetrics = monitoring.NewGroup[observed[*controlv1.SubtaskMetrics]]("subtask_", subtaskLabels...).
	Counter("records_in_total", "Records or rows that came in.", count((*controlv1.SubtaskMetrics).GetRecordsIn)).
	Counter("records_out_total", "Rows sent on or written.", count((*controlv1.SubtaskMetrics).GetRecordsOut)).
	Counter("bytes_in_total", "Bytes of the records read from Kafka.", count((*controlv1.SubtaskMetrics).GetBytesIn)).
	Counter("bytes_out_total", "Bytes sent on, published in part files or written to a topic.", count((*controlv1.SubtaskMetrics).GetBytesOut)).
	Counter("rows_written_total", "Rows written to the sink, published or not.", count((*controlv1.SubtaskMetrics).GetRowsWritten)).
	Counter("rows_published_total", "Rows of the part files that have their final names.", count((*controlv1.SubtaskMetrics).GetRowsPublished)).
	Counter("files_published_total", "Part files that have their final names.", count((*controlv1.SubtaskMetrics).GetFilesPublished)).
	Counter("filtered_records_total", "Rows that the where clause refused.", count((*controlv1.SubtaskMetrics).GetFilteredRecords)).
	Counter("late_records_total", "Rows dropped because their window had closed.", count((*controlv1.SubtaskMetrics).GetLateRecords)).
	Counter("late_after_idle_records_total", "Rows dropped as late only because their split had been idle.",
		count((*controlv1.SubtaskMetrics).GetLateAfterIdle)).
	Counter("empty_records_total", "Records without a value.", count((*controlv1.SubtaskMetrics).GetEmptyRecords)).
	Counter("dropped_records_total", "Records that could not be decoded and were left out.", count((*controlv1.SubtaskMetrics).GetDroppedRecords)).
	Counter("lost_records_total", "Records that were gone from Kafka before they were read, where the job goes on all the same.",
		count((*controlv1.SubtaskMetrics).GetLostRecords)).
	Counter("ignored_fields_total", "Fields that could not be decoded and became NULL.", count((*controlv1.SubtaskMetrics).GetIgnoredFields)).
	Counter("collapsed_records_total", "Rows folded into a group that another row had opened.", count((*controlv1.SubtaskMetrics).GetCollapsedRecords)).
	Counter("busy_seconds_total", "Time spent on records.", seconds((*controlv1.SubtaskMetrics).GetBusyMs)).
	Counter("idle_seconds_total", "Time without input.", seconds((*controlv1.SubtaskMetrics).GetIdleMs)).
	Counter("backpressured_seconds_total", "Time held up by a downstream subtask.", seconds((*controlv1.SubtaskMetrics).GetBackpressuredMs)).
	Gauge("open_groups", "Groups in windows that have not fired.", count((*controlv1.SubtaskMetrics).GetOpenGroups)).
	Gauge("open_windows", "Windows that have not fired.", count((*controlv1.SubtaskMetrics).GetOpenWindows)).
	Gauge("watermark_timestamp_seconds", "The watermark sent on, since 1970; none before the first row and after the last.",
		func(m observed[*controlv1.SubtaskMetrics]) float64 {
			return watermarkSeconds(m.what.GetOutputWatermark())
		}).
	Gauge("watermark_lag_seconds", "How far the watermark sent on is behind the clock. Event times without a zone count as UTC.",
		func(m observed[*controlv1.SubtaskMetrics]) float64 { return behind(m.now, m.what.GetOutputWatermark()) })

// deadLetterMetrics have the reason why records were handed over: undecodable or late.
var deadLetterMetrics = monitoring.NewGroup[int64]("subtask_", append(subtaskLabels, "reason")...).
	Counter("dead_lettered_records_total", "Records and rows handed to the dead letters.", func(n int64) float64 { return float64(n) })

var splitMetrics = monitoring.NewGroup[observed[*controlv1.SplitReport]]("split_", "job_id", "topic", "partition").
	Gauge("lag_records", "Offsets that are still to be read; none while the partition's end is unknown.",
		func(s observed[*controlv1.SplitReport]) float64 { return lag(s.what) }).
	Gauge("watermark_lag_seconds", "How far the partition's watermark is behind the clock. Event times without a zone count as UTC.",
		func(s observed[*controlv1.SplitReport]) float64 { return behind(s.now, s.what.GetWatermark()) }).
	Gauge("idle", "Whether the partition is left out of the watermark: 1, or 0.",
		func(s observed[*controlv1.SplitReport]) float64 { return monitoring.Bool(s.what.GetIdle()) })

func count(value func(*controlv1.SubtaskMetrics) int64) func(observed[*controlv1.SubtaskMetrics]) float64 {
	return func(m observed[*controlv1.SubtaskMetrics]) float64 { return float64(value(m.what)) }
}

func seconds(value func(*controlv1.SubtaskMetrics) int64) func(observed[*controlv1.SubtaskMetrics]) float64 {
	return func(m observed[*controlv1.SubtaskMetrics]) float64 { return float64(value(m.what)) / 1e3 }
}

// watermarkSeconds is not a number for the ends of event time.
func watermarkSeconds(ms int64) float64 {
	if w := eventtime.Watermark(ms); w == eventtime.None || w == eventtime.End {
		return math.NaN()
	}
	return float64(ms) / 1e3
}

// behind is not a number for them either.
func behind(now time.Time, watermarkMs int64) float64 {
	if math.IsNaN(watermarkSeconds(watermarkMs)) {
		return math.NaN()
	}
	return float64(now.UnixMilli()-watermarkMs) / 1e3
}

func lag(s *controlv1.SplitReport) float64 {
	if s.GetEndOffset() < 0 {
		return math.NaN()
	}
	return float64(max(0, s.GetEndOffset()-s.GetOffset()))
}

// Describe implements prometheus.Collector.
func (reportCollector) Describe(to chan<- *prometheus.Desc) {
	taskManagerMetrics.Describe(to)
	subtaskMetrics.Describe(to)
	deadLetterMetrics.Describe(to)
	splitMetrics.Describe(to)
}

// Collect implements prometheus.Collector.
func (c reportCollector) Collect(to chan<- prometheus.Metric) {
	now := c.now()
	reports := c.reports().GetSubtasks()
	taskManagerMetrics.Collect(to, slotUse{float64(c.slots), float64(len(reports)), float64(c.limit)})
	for _, report := range newestAttempts(reports) {
		ref, m := report.GetSubtask(), report.GetMetrics()
		job, vertex, index := ref.GetJobId(), ref.GetVertexId(), strconv.Itoa(int(ref.GetSubtaskIndex()))
		subtaskMetrics.Collect(to, observed[*controlv1.SubtaskMetrics]{m, now}, job, vertex, index)
		late, refused := m.GetLateDeadLetters(), m.GetRefusedDeadLetters()
		deadLetterMetrics.Collect(to, late, job, vertex, index, "late")
		deadLetterMetrics.Collect(to, refused, job, vertex, index, "refused")
		deadLetterMetrics.Collect(to, m.GetDeadLetteredRecords()-late-refused, job, vertex, index, "undecodable")
	}
	for key, split := range splitsOf(reports) {
		splitMetrics.Collect(to, observed[*controlv1.SplitReport]{split, now}, key.jobID, key.topic, strconv.Itoa(int(key.partition)))
	}
}

type subtaskKey struct {
	jobID, vertexID string
	index           int32
}

// newestAttempts leaves out the attempts of subtasks that end while the next one begins: a series has one value.
func newestAttempts(reports []*controlv1.SubtaskReport) map[subtaskKey]*controlv1.SubtaskReport {
	newest := make(map[subtaskKey]*controlv1.SubtaskReport, len(reports))
	for _, r := range reports {
		key := subtaskKey{r.GetSubtask().GetJobId(), r.GetSubtask().GetVertexId(), r.GetSubtask().GetSubtaskIndex()}
		if before := newest[key]; before == nil || before.GetSubtask().GetAttempt() < r.GetSubtask().GetAttempt() {
			newest[key] = r
		}
	}
	return newest
}

type splitKey struct {
	jobID, topic string
	partition    int32
}

// splitsOf returns the splits that the newest attempts read. One that went to another subtask is told of by the newer attempt.
func splitsOf(reports []*controlv1.SubtaskReport) map[splitKey]*controlv1.SplitReport {
	splits := make(map[splitKey]*controlv1.SplitReport)
	attempts := make(map[splitKey]int32)
	for _, r := range reports {
		for _, s := range r.GetSplits() {
			key := splitKey{r.GetSubtask().GetJobId(), s.GetTopic(), s.GetPartition()}
			if attempt := r.GetSubtask().GetAttempt(); splits[key] == nil || attempt > attempts[key] {
				splits[key], attempts[key] = s, attempt
			}
		}
	}
	return splits
}
