package rest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/pkg/checkpoint"

	"github.com/google/go-cmp/cmp"
)

// The operations that the fixed cluster knows, by their last digit: one under way, one done, one failed.
const (
	underWay = "0123456789abcdef0123456789abcde0"
	done     = "0123456789abcdef0123456789abcde1"
	broken   = "0123456789abcdef0123456789abcde2"
)

func (c *fixedCluster) Savepoint(r jobmaster.SavepointRequest) error {
	j, err := c.Job(r.JobID)
	switch {
	case err != nil:
		return err
	case j.Status.Terminal():
		return &jobmaster.TerminalError{Status: j.Status}
	case r.Kind.IsSavepoint() && r.Dir == "":
		return jobmaster.ErrNoSavepointDir
	}
	c.asked = append(c.asked, r)
	return nil
}

func (c *fixedCluster) DisposeSavepoint(_, location string) error {
	c.disposed = location
	return nil
}

func (c *fixedCluster) Operation(key jobmaster.OperationKey) (jobmaster.Operation, error) {
	switch key.Trigger {
	case underWay:
		return jobmaster.Operation{}, nil
	case done:
		return jobmaster.Operation{Done: true, CheckpointID: 37, Location: "file:/savep/savepoint-caf2e2-0e87f5c34380"}, nil
	case broken:
		return jobmaster.Operation{Done: true, Err: errors.New("create savepoint directory at file:/proc/nowhere: permission denied")}, nil
	default:
		return jobmaster.Operation{}, jobmaster.ErrNoOperation
	}
}

// Flink's CLI spells the directory in two ways, and cancel -s is a stop here.
func TestTriggers(t *testing.T) {
	for _, c := range []struct {
		path, body string
		want       jobmaster.SavepointRequest
	}{
		{"savepoints", `{"target-directory":"/d","cancel-job":false,"formatType":"CANONICAL","triggerId":"` + done + `"}`, jobmaster.SavepointRequest{Kind: checkpoint.Savepoint, Dir: "/d"}},
		{"savepoints", `{"target-directory":"/d","cancel-job":true,"triggerId":"` + done + `"}`, jobmaster.SavepointRequest{Kind: checkpoint.Stop, Dir: "/d"}},
		{"stop", `{"targetDirectory":"s3://b/d","drain":false,"formatType":"CANONICAL","triggerId":"` + strings.ToUpper(done) + `"}`, jobmaster.SavepointRequest{Kind: checkpoint.Stop, Dir: "s3://b/d"}},
		{"stop", `{"targetDirectory":"/d","drain":true,"triggerId":"` + done + `"} garbage`, jobmaster.SavepointRequest{Kind: checkpoint.Drain, Dir: "/d"}},
		{"checkpoints", `{"checkpointType":"FULL","triggerId":"` + done + `"}`, jobmaster.SavepointRequest{Kind: checkpoint.Periodic}},
	} {
		cluster := newCluster()
		w := ask(t, newAPI(cluster), http.MethodPost, "/v1/jobs/"+runningJob+"/"+c.path, c.body, nil)
		c.want.JobID, c.want.Trigger = runningJob, done
		if w.Code != http.StatusAccepted || strings.TrimSpace(w.Body.String()) != `{"request-id":"`+done+`"}` {
			t.Errorf("%s %s: %d %s", c.path, c.body, w.Code, w.Body)
		}
		if diff := cmp.Diff([]jobmaster.SavepointRequest{c.want}, cluster.asked); diff != "" {
			t.Errorf("%s %s: %s", c.path, c.body, diff)
		}
	}
}

// An empty body is one, and the id is drawn then.
func TestTriggerDrawsID(t *testing.T) {
	api := newAPI(newCluster())
	var ids [2]struct {
		ID string `json:"request-id"`
	}
	for i := range ids {
		w := ask(t, api, http.MethodPost, "/jobs/"+runningJob+"/checkpoints", "", nil)
		if err := json.Unmarshal(w.Body.Bytes(), &ids[i]); err != nil || w.Code != http.StatusAccepted || len(ids[i].ID) != 32 {
			t.Fatalf("%d %s %v", w.Code, w.Body, err)
		}
	}
	if ids[0] == ids[1] {
		t.Error("the same id was drawn twice")
	}
}

// Whatever fails is an object with the only key errors: any other form makes Flink's CLI wait for a minute.
func TestSavepointAnswers(t *testing.T) {
	cluster := newCluster()
	api := newAPI(cluster)
	job, ended := "/jobs/"+runningJob, "/jobs/"+finishedJob
	for _, c := range []struct {
		method, uri, body string
		status            int
		answer            string
	}{
		{"GET", job + "/savepoints/" + underWay, "", 200, `{"status":{"id":"IN_PROGRESS"},"operation":null}`},
		{"GET", job + "/savepoints/" + done, "", 200, `{"status":{"id":"COMPLETED"},"operation":{"location":"file:/savep/savepoint-caf2e2-0e87f5c34380"}}`},
		{"GET", job + "/checkpoints/" + done, "", 200, `{"status":{"id":"COMPLETED"},"operation":{"checkpointId":37}}`},
		{"GET", "/savepoint-disposal/" + done, "", 200, `{"status":{"id":"COMPLETED"},"operation":{}}`},
		{"GET", job + "/savepoints/" + broken, "", 500, `{"errors":["create savepoint directory at file:/proc/nowhere: permission denied"]}`},
		{"GET", job + "/savepoints/" + unknownJob, "", 404, `{"errors":["There is no savepoint operation with triggerId=` + unknownJob + ` for job ` + runningJob + `."]}`},
		{"GET", job + "/checkpoints/" + unknownJob, "", 404, `{"errors":["There is no checkpoint operation with triggerId=` + unknownJob + ` for job ` + runningJob + `."]}`},
		{"GET", "/savepoint-disposal/" + unknownJob, "", 404, `{"errors":["There is no savepoint disposal operation with triggerId=` + unknownJob + `."]}`},
		{"GET", job + "/savepoints/x", "", 400, `{"errors":["Bad request, could not parse parameters: Cannot resolve path parameter (triggerid) from value \"x\"."]}`},
		{"POST", "/jobs/" + unknownJob + "/savepoints", `{"target-directory":"/d"}`, 404, `{"errors":["Could not find Flink job (` + unknownJob + `)"]}`},
		{"POST", ended + "/stop", `{"targetDirectory":"/d"}`, 409, `{"errors":["job ` + finishedJob + `: the job has already reached another terminal state (FINISHED)"]}`},
		{"POST", job + "/savepoints", "", 400, `{"errors":["No savepoint location given and no default location configured: name a directory, or start the jobmanager with --savepoint-dir"]}`},
		{"POST", job + "/savepoints", `{"target-dir`, 400, `{"errors":["Request did not match expected format SavepointTriggerRequestBody. unexpected EOF"]}`},
		{"POST", job + "/savepoints", `{"triggerId":"7"}`, 400, `{"errors":["triggerId \"7\": want 32 hexadecimal digits"]}`},
		{"POST", job + "/checkpoints", `{"checkpointType":"HALF"}`, 400, `{"errors":["checkpointType \"HALF\": want CONFIGURED, FULL or INCREMENTAL"]}`},
		{"POST", "/savepoint-disposal", `{}`, 400, `{"errors":["Field savepoint-path must not be omitted or be null."]}`},
		{"POST", job + "/stop", strings.Repeat(" ", 70_000), 413, `{"errors":["a request may have 65536 bytes"]}`},
		{"POST", "/jobs?allow-non-restored-state=maybe", "", 400, ``},
	} {
		w := ask(t, api, c.method, c.uri, c.body, map[string]string{"Content-Type": "application/yaml"})
		if w.Code != c.status || c.answer != "" && strings.TrimSpace(w.Body.String()) != c.answer {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.uri, w.Code, w.Body, c.status, c.answer)
		}
	}
	foreign := map[string]string{"Sec-Fetch-Site": "cross-site"}
	if w := ask(t, api, http.MethodPost, job+"/checkpoints", "", foreign); w.Code != http.StatusForbidden || len(cluster.asked) > 0 {
		t.Errorf("from another site: %d %s", w.Code, w.Body)
	}
	if w := ask(t, api, http.MethodPost, "/savepoint-disposal", `{"savepoint-path":"file:/s"}`, nil); w.Code != http.StatusOK || cluster.disposed != "file:/s" {
		t.Errorf("disposal: %d %s, of %q", w.Code, w.Body, cluster.disposed)
	}
}

// A job that cannot go on from its savepoint is refused with all reasons.
func TestSubmitFromSavepoint(t *testing.T) {
	cluster := newCluster()
	var got jobmaster.Spec
	cluster.submitted = func(spec jobmaster.Spec) (string, error) {
		got = spec
		return "", &jobmaster.RestoreError{Savepoint: "/s", Reasons: []string{"one", "two"}}
	}
	w := ask(t, newAPI(cluster), http.MethodPost, "/jobs?savepoint-path=%2Fs&allow-non-restored-state=true", "name: x",
		map[string]string{"Content-Type": "application/yaml"})
	if w.Code != http.StatusBadRequest || strings.TrimSpace(w.Body.String()) != `{"errors":["savepoint /s: one","savepoint /s: two"]}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got.Savepoint != "/s" || !got.AllowNonRestoredState {
		t.Errorf("submitted %+v", got)
	}
}
