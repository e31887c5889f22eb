package daemon

import (
	"math"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/ledger"
	"pencere/pkg/monitoring"

	"github.com/prometheus/client_golang/prometheus"
)

// cluster is what the leader knows. What it returns belongs to the caller.
type cluster interface {
	Leads() bool
	Jobs() []view.Job
	TaskManagers() []view.TaskManager
}

// clusterCollector shows the jobs, the taskmanagers and Raft at the moment of a scrape. Only the leader tells of jobs and
// taskmanagers, so that each job has one series however many jobmanagers there are.
type clusterCollector struct {
	cluster cluster
	raft    func() replica.RaftStatus
	now     func() time.Time
}

// observedJob is a job at some time.
type observedJob struct {
	view.Job
	now time.Time
}

// slots are those of all taskmanagers.
type slots struct{ taskManagers, total, free int }

var (
	jobLabels = []string{"job_id", "job_name"}

	jobMetrics = monitoring.NewGroup[observedJob]("job_", jobLabels...).
			Counter("restarts_total", "Restarts of the job.", func(j observedJob) float64 { return float64(j.Restarts) }).
			Gauge("parallelism", "Subtasks of each vertex in the running attempt.", func(j observedJob) float64 { return float64(j.Parallelism) }).
			Counter("checkpoints_completed_total", "Checkpoints completed under this leader.",
			func(j observedJob) float64 { return float64(j.Checkpoints.Completed) }).
		Counter("checkpoints_failed_total", "Checkpoints failed under this leader.",
			func(j observedJob) float64 { return float64(j.Checkpoints.Failed) }).
		Gauge("last_checkpoint_id", "The last checkpoint that completed under this leader.", lastCheckpoint(func(j observedJob) float64 {
			return float64(j.Checkpoints.LatestCompleted.ID)
		})).
		Gauge("last_checkpoint_duration_seconds", "Its time from the trigger to the last acknowledgement.", lastCheckpoint(func(j observedJob) float64 {
			return newest(j.Checkpoints.Durations) / 1e3
		})).
		Gauge("last_checkpoint_size_bytes", "Its keyed state.", lastCheckpoint(func(j observedJob) float64 {
			return newest(j.Checkpoints.Sizes)
		})).
		Gauge("last_checkpoint_age_seconds", "Time since its end, while the job goes on.", lastCheckpoint(func(j observedJob) float64 {
			if j.Status.Terminal() {
				return math.NaN()
			}
			return float64(j.now.UnixMilli()-j.Checkpoints.LatestCompleted.Ended) / 1e3
		})).
		Gauge("ledger_balanced", "Whether all records of every checkpoint are accounted for: 1, or 0.",
			func(j observedJob) float64 { return monitoring.Bool(j.Imbalance == "") }).
		Gauge("lost_records", "Records that were gone from Kafka before the job read them, in the ledger of the newest checkpoint.",
			accounted(func(total ledger.Entry) int64 { return total.Lost })).
		Gauge("truncations", "How often a partition was found cut or made anew, in the ledger of the newest checkpoint.",
			accounted(func(total ledger.Entry) int64 { return total.Truncations }))

	statusMetrics = monitoring.NewGroup[bool]("job_", append(jobLabels, "status")...).
			Gauge("status", "1 for the status that the job has, 0 for all others.", monitoring.Bool)

	ledgerMetrics = monitoring.NewGroup[int64]("job_", append(jobLabels, "fate")...).
			Gauge("ledger_records", "Records in the ledger of the newest checkpoint: those read, and what became of them.",
			func(n int64) float64 { return float64(n) })

	slotMetrics = monitoring.NewGroup[slots]("cluster_").
			Gauge("taskmanagers", "Taskmanagers that are registered.", func(s slots) float64 { return float64(s.taskManagers) }).
			Gauge("slots", "Slots of all taskmanagers, free or in use.", func(s slots) float64 { return float64(s.total) }).
			Gauge("slots_free", "Slots that no job holds.", func(s slots) float64 { return float64(s.free) })

	raftMetrics = monitoring.NewGroup[replica.RaftStatus]("raft_").
			Gauge("is_leader", "Whether this jobmanager leads in Raft: 1, or 0.", func(s replica.RaftStatus) float64 { return monitoring.Bool(s.State == "leader") }).
			Gauge("term", "The term, which only grows.", func(s replica.RaftStatus) float64 { return float64(s.Term) }).
			Gauge("last_index", "The newest entry of this jobmanager's log.", func(s replica.RaftStatus) float64 { return float64(s.LastIndex) }).
			Gauge("applied_index", "The newest entry that this jobmanager has applied.", func(s replica.RaftStatus) float64 { return float64(s.Applied) })

	raftStateMetrics = monitoring.NewGroup[bool]("raft_", "state").
				Gauge("state", "1 for the state that this jobmanager has in Raft, 0 for all others.", monitoring.Bool)
)

// lastCheckpoint tells nothing before the first.
func lastCheckpoint(value func(observedJob) float64) func(observedJob) float64 {
	return func(j observedJob) float64 {
		if j.Checkpoints.LatestCompleted == nil {
			return math.NaN()
		}
		return value(j)
	}
}

// accounted tells nothing before the first ledger.
func accounted(value func(total ledger.Entry) int64) func(observedJob) float64 {
	return func(j observedJob) float64 {
		if j.LedgerCheckpoint == 0 {
			return math.NaN()
		}
		return float64(value(j.Ledger.Total()))
	}
}

func newest(values []int64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return float64(values[len(values)-1])
}

// fates name the counts of a ledger, in their order.
var fates = [...]string{"read", "emitted", "filtered", "late", "dead_lettered", "skipped", "collapsed", "open"}

// Describe implements prometheus.Collector.
func (clusterCollector) Describe(to chan<- *prometheus.Desc) {
	for _, group := range []interface{ Describe(chan<- *prometheus.Desc) }{
		jobMetrics, statusMetrics, ledgerMetrics, slotMetrics, raftMetrics, raftStateMetrics,
	} {
		group.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (c clusterCollector) Collect(to chan<- prometheus.Metric) {
	status := c.raft()
	raftMetrics.Collect(to, status)
	for _, state := range replica.States {
		raftStateMetrics.Collect(to, state == status.State, state)
	}
	if !c.cluster.Leads() {
		return
	}
	var all slots
	for _, tm := range c.cluster.TaskManagers() {
		all.taskManagers++
		all.total += tm.Slots
		all.free += tm.Free
	}
	slotMetrics.Collect(to, all)
	now := c.now()
	for _, job := range c.cluster.Jobs() {
		collectJob(to, observedJob{job, now})
	}
}

func collectJob(to chan<- prometheus.Metric, job observedJob) {
	jobMetrics.Collect(to, job, job.ID, job.Name)
	for _, status := range jobfsm.Statuses {
		statusMetrics.Collect(to, status == job.Status, job.ID, job.Name, string(status))
	}
	if job.LedgerCheckpoint == 0 {
		return
	}
	for i, n := range job.Ledger.Total().Counts() {
		ledgerMetrics.Collect(to, n, job.ID, job.Name, fates[i])
	}
}
