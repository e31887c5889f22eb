package rest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pencere/jobmanager/internal/view"
	"pencere/pkg/ledger"

	"github.com/google/go-cmp/cmp"
)

func decode(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// The percentiles are those that Flink computes: of 13 samples, p90 lies at position 12.6 and p95 beyond the last.
func TestCheckpointStatistics(t *testing.T) {
	cluster := newCluster()
	job := cluster.jobs[runningJob]
	job.Checkpoints.Durations = []int64{13, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	job.Checkpoints.UnderWay = []view.Checkpoint{*newCheckpoint(98, view.CheckpointInProgress)}
	cluster.jobs[runningJob] = job
	got := decode(t, get(t, newAPI(cluster), "/jobs/"+runningJob+"/checkpoints").Body.Bytes()).(map[string]any)
	want := decode(t, []byte(`{"restored":1,"total":103,"in_progress":1,"completed":97,"failed":5}`))
	if diff := cmp.Diff(want, got["counts"]); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	want = decode(t, []byte(`{"min":1,"max":13,"avg":7,"p50":7.0,"p90":12.6,"p95":13.0,"p99":13.0,"p999":13.0}`))
	if diff := cmp.Diff(want, got["summary"].(map[string]any)["end_to_end_duration"]); diff != "" {
		t.Errorf("durations (-want +got):\n%s", diff)
	}
	failed := got["latest"].(map[string]any)["failed"].(map[string]any)
	if failed["failure_message"] != "declined by subtask x/0: disk full" || failed["end_to_end_duration"] != 3.0 || failed["latest_ack_timestamp"] != -1.0 {
		t.Errorf("failed %v", failed)
	}
	history := got["history"].([]any)
	newest, completed := history[0].(map[string]any), history[1].(map[string]any)
	if newest["className"] != "in_progress" || newest["num_acknowledged_subtasks"] != 4.0 || newest["end_to_end_duration"] != 20.0 {
		t.Errorf("under way %v", newest)
	}
	if completed["id"] != 97.0 || completed["state_size"] != 121_422.0 || completed["end_to_end_duration"] != 23.0 || fmt.Sprint(completed["discarded"]) != "false" {
		t.Errorf("completed %v", completed)
	}
}

// A subtask that has not acked is pending, beside those that have.
func TestCheckpointTask(t *testing.T) {
	cluster := newCluster()
	job := cluster.jobs[runningJob]
	job.Checkpoints.UnderWay = []view.Checkpoint{*newCheckpoint(98, view.CheckpointInProgress)}
	cluster.jobs[runningJob] = job
	api := newAPI(cluster)
	base := "/jobs/" + runningJob + "/checkpoints/details/"
	got := decode(t, get(t, api, base+"98/subtasks/"+windowVertex).Body.Bytes()).(map[string]any)
	if got["num_acknowledged_subtasks"] != 1.0 || got["status"] != "IN_PROGRESS" {
		t.Errorf("task %v", got)
	}
	subtasks := got["subtasks"].([]any)
	want := decode(t, []byte(`{"className":"pending","index":1,"status":"pending_or_failed"}`))
	if diff := cmp.Diff(want, subtasks[1]); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	if first := subtasks[0].(map[string]any); first["className"] != "completed" || first["state_size"] != 60_000.0 || first["end_to_end_duration"] != 20.0 {
		t.Errorf("acked %v", first)
	}
	for uri, text := range map[string]string{
		"4":                         "Could not find checkpointing statistics for checkpoint 4.",
		"98/subtasks/" + unknownJob: "There is no checkpoint statistics for task " + unknownJob + ".",
	} {
		answer := get(t, api, base+uri)
		checkError(t, uri, answer.Code, answer.Body.Bytes(), 404, text)
	}
}

func TestCheckpointMetrics(t *testing.T) {
	cluster := newCluster()
	job := cluster.jobs[runningJob]
	job.Ledger = ledger.Ledger{{Read: 5, Emitted: 3, Late: 1}}
	cluster.jobs[runningJob] = job
	uri := "/jobs/" + runningJob + "/metrics?get="
	for names, want := range map[string]string{
		"lastCheckpointDuration,lastCompletedCheckpointId,numberOfCompletedCheckpoints,numberOfFailedCheckpoints,lastCheckpointSize": `[{"id":"numberOfCompletedCheckpoints","value":"97"},{"id":"numberOfFailedCheckpoints","value":"5"},` +
			`{"id":"lastCompletedCheckpointId","value":"97"},{"id":"lastCheckpointSize","value":"121422"},{"id":"lastCheckpointDuration","value":"23"}]`,
		"lastCheckpointRestoreTimestamp":            fmt.Sprintf(`[{"id":"lastCheckpointRestoreTimestamp","value":"%d"}]`, running),
		"ledgerRead,ledgerEmitted,ledgerDifference": `[{"id":"ledgerRead","value":"5"},{"id":"ledgerEmitted","value":"3"},{"id":"ledgerDifference","value":"1"}]`,
	} {
		if got := strings.TrimSpace(get(t, newAPI(cluster), uri+names).Body.String()); got != want {
			t.Errorf("%s\n got %s\nwant %s", names, got, want)
		}
	}
}

func TestLedger(t *testing.T) {
	cluster := newCluster()
	job := cluster.jobs[runningJob]
	job.LedgerCheckpoint = 97
	job.SplitNames = []view.SplitName{{Topic: "kdv", Partition: 4}, {Topic: "kdv", Partition: 1}}
	job.LedgerRanges = []view.Range{{From: 7, To: 18}, {From: 0, To: 7}}
	job.Ledger = ledger.Ledger{
		{Split: 0, Read: 10, Emitted: 1, Filtered: 2, Late: 3, DeadLettered: 1, Skipped: 1, Collapsed: 1, Open: 1},
		{Split: 1, Read: 2, Open: 2, Lost: 5, Truncations: 1},
	}
	cluster.jobs[runningJob] = job
	uri := "/jobs/" + runningJob + "/ledger"
	want := `{"balanced":true,"imbalance":"","checkpoint-id":97,` +
		`"total":{"read":12,"emitted":1,"filtered":2,"late":3,"dead-lettered":1,"skipped":1,"collapsed":1,"open":3,"lost":5,"truncations":1},"splits":[` +
		`{"topic":"kdv","partition":4,"read":10,"emitted":1,"filtered":2,"late":3,"dead-lettered":1,"skipped":1,"collapsed":1,"open":1,"lost":0,"truncations":0,"start-offset":7,"next-offset":18},` +
		`{"topic":"kdv","partition":1,"read":2,"emitted":0,"filtered":0,"late":0,"dead-lettered":0,"skipped":0,"collapsed":0,"open":2,"lost":5,"truncations":1,"start-offset":0,"next-offset":7}]}` + "\n"
	if got := get(t, newAPI(cluster), uri).Body.String(); got != want {
		t.Errorf("got %s", got)
	}
	job.Imbalance = "ledger of split kdv-1 does not balance"
	cluster.jobs[runningJob] = job
	if got := get(t, newAPI(cluster), uri).Body.String(); !strings.HasPrefix(got, `{"balanced":false,"imbalance":"ledger of split kdv-1 does not balance"`) {
		t.Errorf("got %s", got)
	}
	if got := get(t, newAPI(cluster), "/jobs/"+runningJob).Body.String(); !strings.Contains(got, `"ledger-imbalance":"ledger of split kdv-1`) {
		t.Errorf("job %s", got)
	}
	if got := get(t, newAPI(cluster), "/jobs/"+canceledJob+"/ledger").Body.String(); !strings.Contains(got, `"checkpoint-id":0,`) || !strings.Contains(got, `"splits":[]`) {
		t.Errorf("without a checkpoint: %s", got)
	}
}
