package daemon

import (
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/ledger"
	"pencere/pkg/monitoring/monitoringtest"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// known is what a jobmanager knows.
type known struct {
	leads        bool
	jobs         []view.Job
	taskManagers []view.TaskManager
}

func (k *known) Leads() bool                      { return k.leads }
func (k *known) Jobs() []view.Job                 { return k.jobs }
func (k *known) TaskManagers() []view.TaskManager { return k.taskManagers }

// shown is what a jobmanager shows at 60 s after 1970.
func shown(k *known) clusterCollector {
	state := "follower"
	if k.leads {
		state = "leader"
	}
	return clusterCollector{
		cluster: k, now: func() time.Time { return time.UnixMilli(60_000) },
		raft: func() replica.RaftStatus {
			return replica.RaftStatus{State: state, Term: 3, LastIndex: 42, Applied: 41}
		},
	}
}

func aJob() view.Job {
	return view.Job{
		ID: "j", Name: "cars", Status: jobfsm.Running, Restarts: 2, Parallelism: 4,
		Checkpoints: view.Checkpoints{
			Completed: 5, Failed: 1, LatestCompleted: &view.Checkpoint{ID: 17, Triggered: 49_000, Ended: 50_000},
			Durations: []int64{9, 250}, Sizes: []int64{1, 4096},
		},
		LedgerCheckpoint: 17,
		Ledger: ledger.Ledger{
			{Split: 0, Read: 10, Emitted: 4, Filtered: 1, Late: 1, DeadLettered: 1, Skipped: 1, Collapsed: 1, Open: 1},
			{Split: 1, Read: 2, Emitted: 2, Lost: 7, Truncations: 1},
		},
	}
}

func TestMetricNames(t *testing.T) {
	monitoringtest.Check(t, shown(&known{leads: true, jobs: []view.Job{aJob()}}), "testdata/metrics.txt")
}

func compare(t *testing.T, k *known, want string, names ...string) {
	t.Helper()
	if err := testutil.CollectAndCompare(shown(k), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestCheckpointMetrics(t *testing.T) {
	began := view.Job{ID: "k", Name: "boats", Status: jobfsm.Running}
	ended := aJob()
	ended.ID, ended.Status = "l", jobfsm.Finished
	compare(t, &known{leads: true, jobs: []view.Job{aJob(), began, ended}}, `
		# HELP pencere_job_last_checkpoint_age_seconds Time since its end, while the job goes on.
		# TYPE pencere_job_last_checkpoint_age_seconds gauge
		pencere_job_last_checkpoint_age_seconds{job_id="j",job_name="cars"} 10
		# HELP pencere_job_last_checkpoint_duration_seconds Its time from the trigger to the last acknowledgement.
		# TYPE pencere_job_last_checkpoint_duration_seconds gauge
		pencere_job_last_checkpoint_duration_seconds{job_id="j",job_name="cars"} 0.25
		pencere_job_last_checkpoint_duration_seconds{job_id="l",job_name="cars"} 0.25
		# HELP pencere_job_last_checkpoint_id The last checkpoint that completed under this leader.
		# TYPE pencere_job_last_checkpoint_id gauge
		pencere_job_last_checkpoint_id{job_id="j",job_name="cars"} 17
		pencere_job_last_checkpoint_id{job_id="l",job_name="cars"} 17
		# HELP pencere_job_last_checkpoint_size_bytes Its keyed state.
		# TYPE pencere_job_last_checkpoint_size_bytes gauge
		pencere_job_last_checkpoint_size_bytes{job_id="j",job_name="cars"} 4096
		pencere_job_last_checkpoint_size_bytes{job_id="l",job_name="cars"} 4096
	`, "pencere_job_last_checkpoint_age_seconds", "pencere_job_last_checkpoint_duration_seconds", "pencere_job_last_checkpoint_id",
		"pencere_job_last_checkpoint_size_bytes")
}

func TestLedgerMetrics(t *testing.T) {
	job := aJob()
	job.Imbalance = "one is missing"
	compare(t, &known{leads: true, jobs: []view.Job{job}}, `
		# HELP pencere_job_ledger_balanced Whether all records of every checkpoint are accounted for: 1, or 0.
		# TYPE pencere_job_ledger_balanced gauge
		pencere_job_ledger_balanced{job_id="j",job_name="cars"} 0
		# HELP pencere_job_ledger_records Records in the ledger of the newest checkpoint: those read, and what became of them.
		# TYPE pencere_job_ledger_records gauge
		pencere_job_ledger_records{fate="collapsed",job_id="j",job_name="cars"} 1
		pencere_job_ledger_records{fate="dead_lettered",job_id="j",job_name="cars"} 1
		pencere_job_ledger_records{fate="emitted",job_id="j",job_name="cars"} 6
		pencere_job_ledger_records{fate="filtered",job_id="j",job_name="cars"} 1
		pencere_job_ledger_records{fate="late",job_id="j",job_name="cars"} 1
		pencere_job_ledger_records{fate="open",job_id="j",job_name="cars"} 1
		pencere_job_ledger_records{fate="read",job_id="j",job_name="cars"} 12
		pencere_job_ledger_records{fate="skipped",job_id="j",job_name="cars"} 1
		# HELP pencere_job_lost_records Records that were gone from Kafka before the job read them, in the ledger of the newest checkpoint.
		# TYPE pencere_job_lost_records gauge
		pencere_job_lost_records{job_id="j",job_name="cars"} 7
		# HELP pencere_job_truncations How often a partition was found cut or made anew, in the ledger of the newest checkpoint.
		# TYPE pencere_job_truncations gauge
		pencere_job_truncations{job_id="j",job_name="cars"} 1
	`, "pencere_job_ledger_balanced", "pencere_job_ledger_records", "pencere_job_lost_records", "pencere_job_truncations")
}

func TestSlotMetrics(t *testing.T) {
	compare(t, &known{leads: true, taskManagers: []view.TaskManager{{Slots: 4, Free: 1}, {Slots: 2, Free: 2}}}, `
		# HELP pencere_cluster_slots Slots of all taskmanagers, free or in use.
		# TYPE pencere_cluster_slots gauge
		pencere_cluster_slots 6
		# HELP pencere_cluster_slots_free Slots that no job holds.
		# TYPE pencere_cluster_slots_free gauge
		pencere_cluster_slots_free 3
		# HELP pencere_cluster_taskmanagers Taskmanagers that are registered.
		# TYPE pencere_cluster_taskmanagers gauge
		pencere_cluster_taskmanagers 2
	`, "pencere_cluster_slots", "pencere_cluster_slots_free", "pencere_cluster_taskmanagers")
}

// A job has one series of each status, one of which is 1.
func TestStatusMetrics(t *testing.T) {
	if n := testutil.CollectAndCount(shown(&known{leads: true, jobs: []view.Job{aJob()}}), "pencere_job_status"); n != len(jobfsm.Statuses) {
		t.Errorf("%d statuses, want %d", n, len(jobfsm.Statuses))
	}
	compare(t, &known{}, `
		# HELP pencere_raft_state 1 for the state that this jobmanager has in Raft, 0 for all others.
		# TYPE pencere_raft_state gauge
		pencere_raft_state{state="candidate"} 0
		pencere_raft_state{state="follower"} 1
		pencere_raft_state{state="leader"} 0
		pencere_raft_state{state="shutdown"} 0
	`, "pencere_raft_state")
}

// What a jobmanager knew when it led is not told beside what the leader tells.
func TestNoSeriesOfWhatIsGone(t *testing.T) {
	k := &known{leads: true, jobs: []view.Job{aJob()}}
	const raft = 8
	if n := testutil.CollectAndCount(shown(k)); n <= raft+3 {
		t.Errorf("%d series of a leader with a job", n)
	}
	k.leads = false
	if n := testutil.CollectAndCount(shown(k)); n != raft {
		t.Errorf("%d series of a follower, want Raft's %d", n, raft)
	}
	k.leads, k.jobs = true, nil
	if n := testutil.CollectAndCount(shown(k)); n != raft+3 {
		t.Errorf("%d series of a leader without jobs, want %d", n, raft+3)
	}
}
