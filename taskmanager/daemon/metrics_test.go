package daemon

import (
	"math"
	"strings"
	"testing"
	"time"

	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/monitoring/monitoringtest"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// shown is what a taskmanager with 4 slots shows of reports, at 12 s after 1970.
func shown(reports ...*controlv1.SubtaskReport) reportCollector {
	return reportCollector{
		reports: func() *controlv1.Heartbeat { return &controlv1.Heartbeat{Subtasks: reports} },
		slots:   4, limit: 1 << 30, now: func() time.Time { return time.UnixMilli(12_000) },
	}
}

func report(index, attempt int32, m *controlv1.SubtaskMetrics, splits ...*controlv1.SplitReport) *controlv1.SubtaskReport {
	return &controlv1.SubtaskReport{
		Subtask: &controlv1.SubtaskRef{JobId: "j", VertexId: "v", SubtaskIndex: index, Attempt: attempt}, Metrics: m, Splits: splits,
	}
}

func TestMetricNames(t *testing.T) {
	monitoringtest.Check(t, shown(report(0, 1, &controlv1.SubtaskMetrics{}, &controlv1.SplitReport{Topic: "cars"})), "testdata/metrics.txt")
}

func TestSubtaskMetrics(t *testing.T) {
	none := &controlv1.SubtaskMetrics{OutputWatermark: math.MinInt64}
	c := shown(
		report(0, 2, &controlv1.SubtaskMetrics{
			RecordsIn: 7, BackpressuredMs: 1500, OutputWatermark: 9500, DeadLetteredRecords: 7, LateDeadLetters: 1, RefusedDeadLetters: 4, FilesPublished: 2, RowsPublished: 6,
		}),
		report(0, 1, &controlv1.SubtaskMetrics{RecordsIn: 99, OutputWatermark: math.MaxInt64}), // ends while its successor begins
		report(1, 2, none))
	const want = `
		# HELP pencere_subtask_backpressured_seconds_total Time held up by a downstream subtask.
		# TYPE pencere_subtask_backpressured_seconds_total counter
		pencere_subtask_backpressured_seconds_total{job_id="j",subtask_index="0",vertex_id="v"} 1.5
		pencere_subtask_backpressured_seconds_total{job_id="j",subtask_index="1",vertex_id="v"} 0
		# HELP pencere_subtask_dead_lettered_records_total Records and rows handed to the dead letters.
		# TYPE pencere_subtask_dead_lettered_records_total counter
		pencere_subtask_dead_lettered_records_total{job_id="j",reason="late",subtask_index="0",vertex_id="v"} 1
		pencere_subtask_dead_lettered_records_total{job_id="j",reason="late",subtask_index="1",vertex_id="v"} 0
		pencere_subtask_dead_lettered_records_total{job_id="j",reason="refused",subtask_index="0",vertex_id="v"} 4
		pencere_subtask_dead_lettered_records_total{job_id="j",reason="refused",subtask_index="1",vertex_id="v"} 0
		pencere_subtask_dead_lettered_records_total{job_id="j",reason="undecodable",subtask_index="0",vertex_id="v"} 2
		pencere_subtask_dead_lettered_records_total{job_id="j",reason="undecodable",subtask_index="1",vertex_id="v"} 0
		# HELP pencere_subtask_records_in_total Records or rows that came in.
		# TYPE pencere_subtask_records_in_total counter
		pencere_subtask_records_in_total{job_id="j",subtask_index="0",vertex_id="v"} 7
		pencere_subtask_records_in_total{job_id="j",subtask_index="1",vertex_id="v"} 0
		# HELP pencere_subtask_watermark_lag_seconds How far the watermark sent on is behind the clock. Event times without a zone count as UTC.
		# TYPE pencere_subtask_watermark_lag_seconds gauge
		pencere_subtask_watermark_lag_seconds{job_id="j",subtask_index="0",vertex_id="v"} 2.5
	`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "pencere_subtask_backpressured_seconds_total",
		"pencere_subtask_dead_lettered_records_total", "pencere_subtask_records_in_total", "pencere_subtask_watermark_lag_seconds"); err != nil {
		t.Error(err)
	}
}

func TestSplitMetrics(t *testing.T) {
	split := func(partition int32, offset, end, watermark int64) *controlv1.SplitReport {
		return &controlv1.SplitReport{Topic: "cars", Partition: partition, Offset: offset, EndOffset: end, Watermark: watermark}
	}
	c := shown(
		report(0, 1, nil, split(0, 4, 10, 2000), split(1, 4, -1, math.MinInt64)),
		report(1, 2, nil, split(0, 7, 10, 4000), split(2, 11, 10, 4000))) // took partition 0 over, and is ahead of what it knows of 2
	const want = `
		# HELP pencere_split_lag_records Offsets that are still to be read; none while the partition's end is unknown.
		# TYPE pencere_split_lag_records gauge
		pencere_split_lag_records{job_id="j",partition="0",topic="cars"} 3
		pencere_split_lag_records{job_id="j",partition="2",topic="cars"} 0
		# HELP pencere_split_watermark_lag_seconds How far the partition's watermark is behind the clock. Event times without a zone count as UTC.
		# TYPE pencere_split_watermark_lag_seconds gauge
		pencere_split_watermark_lag_seconds{job_id="j",partition="0",topic="cars"} 8
		pencere_split_watermark_lag_seconds{job_id="j",partition="2",topic="cars"} 8
	`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "pencere_split_lag_records", "pencere_split_watermark_lag_seconds"); err != nil {
		t.Error(err)
	}
}

func TestAJobThatIsGoneLeavesNoSeries(t *testing.T) {
	if n := testutil.CollectAndCount(shown()); n != 3 { // the taskmanager's own
		t.Errorf("%d series without a subtask, want 3", n)
	}
}
