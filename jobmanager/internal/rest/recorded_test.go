package rest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/view"
)

// recording is an exchange with a Flink 1.20.5. Its stack traces are cut.
type recording struct {
	Name        string `json:"name"`
	Method      string `json:"method"`
	Path        string `json:"path"`
	Query       string `json:"query"`
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	CORS        bool   `json:"cors"`
	Response    any    `json:"response"`
}

func recordings(t *testing.T) []recording {
	t.Helper()
	file, err := os.Open("testdata/flink-1.20.5.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []recording
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r recording
		decodeExact(t, lines.Bytes(), &r)
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func decodeExact(t *testing.T, text []byte, v any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// different are the recordings whose answer is not ours, by a part of their names, and why.
var different = []struct{ name, reason string }{
	{"attempts_attempt.running.v", "an older attempt: only the current one is kept"},
	{"attempts_attempt_accumulators.running.v", "an older attempt: only the current one is kept"},
	{"accumulators.accumulators", "accumulators of users' code do not exist"},
	{"accumulators.includeSerializedValue", "accumulators of users' code do not exist"},
	{"_accumulators.finished.accumulators", "a vertex of a job with users' code"},
	{"checkpoints_config.failed-at-start", "a job without checkpoints: here every job publishes by them, exactly once"},
	{"checkpoints_config.hello", "a job without checkpoints: here every job publishes by them, exactly once"},
	{"checkpoints_config.no-checkpointing", "a job without checkpoints: here every job publishes by them, exactly once"},
	{"exceptions.maxExceptions.failed.one", "Flink puts the restart strategy's own exception above that of the task; here the task's is the entry"},
	{"exceptions.no-checkpointing", "Flink puts the restart strategy's own exception above that of the task; here the task's is the entry"},
	{"flamegraph.type-on_cpu.with-data", "flame graphs are switched off"},
	{"taskmanagers_metrics.get-agg.tm.agg", "Status.JVM.CPU.Load is not measured"},
}

func differs(name string) (reason string, ok bool) {
	for _, d := range different {
		if strings.Contains(name, d.name) {
			return d.reason, true
		}
	}
	return "", false
}

// situate brings the cluster into the situation of a recording.
func situate(c *fixedCluster, name string) {
	const attached = "8dac374c02c10e3322e11ca3c71ef58a"
	job := c.jobs[runningJob]
	switch {
	case strings.Contains(name, "checkpoints.in-progress"):
		job.Checkpoints.UnderWay = []view.Checkpoint{*newCheckpoint(98, view.CheckpointInProgress)}
		job.Checkpoints.History = job.Checkpoints.History[:9]
		c.jobs[runningJob] = job
	case strings.Contains(name, "checkpoints.after-taskmanager-loss"):
		job.Checkpoints.Restored = nil
		c.jobs[runningJob] = job
	case strings.Contains(name, "checkpointid.running.later"):
		job.Checkpoints.LatestCompleted = newCheckpoint(569, view.CheckpointCompleted)
		c.jobs[runningJob] = job
	case strings.Contains(name, "after-taskmanager-loss"):
		c.jobs[runningJob] = newJob(runningJob, jobfsm.Restarting)
	case strings.Contains(name, "cli.run_attached"): // polled before the job ended
		c.jobs[attached] = newJob(attached, jobfsm.Running)
	case strings.Contains(name, "jobs_overview.cli.list"): // before the first job was cancelled
		delete(c.jobs, canceledJob)
	}
}

// Values under these keys are names that a client knows: ours must be among the recorded ones.
var enumerated = []string{
	"state", "status", "job-type", "type", "ship_strategy", "exchange", "application-status", "backpressure-level",
	"backpressureLevel", "execution-mode", "mode", "className", "checkpoint_type", "savepointFormat",
}

// Keys that the recorded version does not have.
var further = []string{"pending-operators", "attempt", "restarts", "notice", "manifest-head", "dead-letter-manifest-head", "attempt-number", "ledger-imbalance"}

// Lists that hold something in Flink and nothing here, and places whose content is another here.
var otherwise = []string{
	"/metrics/garbageCollectors", "/accumulator-results", // no collectors by name, no accumulators
	"/classpath", // a test has no list of the modules that it was built of
}

// TestRecordings asks what a Flink was asked, of a cluster in the same situation, and compares status, headers, and the
// shape of the answer: the keys, the types, the names of states, the texts of errors.
func TestRecordings(t *testing.T) {
	for _, r := range recordings(t) {
		t.Run(r.Name, func(t *testing.T) {
			if reason, ok := differs(r.Name); ok {
				t.Logf("not compared: %s", reason)
				return
			}
			cluster := newCluster()
			situate(cluster, r.Name)
			uri := r.Path
			if r.Query != "" {
				uri += "?" + r.Query
			}
			answer := ask(t, newAPI(cluster), r.Method, uri, "", nil)
			if answer.Code != r.Status {
				t.Fatalf("status %d, recorded %d: %s", answer.Code, r.Status, answer.Body)
			}
			if got := answer.Header().Get("Content-Type"); got != r.ContentType {
				t.Errorf("content type %q, recorded %q", got, r.ContentType)
			}
			if got := answer.Header().Get("Access-Control-Allow-Origin") == "*"; got != r.CORS {
				t.Errorf("CORS header %v, recorded %v", got, r.CORS)
			}
			if r.Method == http.MethodHead {
				return
			}
			var body any
			decodeExact(t, answer.Body.Bytes(), &body)
			if r.Status >= 300 {
				compareErrors(t, body, r.Response)
				return
			}
			for _, difference := range compareShape("", body, []any{r.Response}) {
				t.Error(difference)
			}
		})
	}
}

var javaClass = regexp.MustCompile(`(?m)^(?:[a-z]\w*\.)+[A-Z][\w$]*: `)

func compareErrors(t *testing.T, ours, recorded any) {
	t.Helper()
	texts := func(body any) []string {
		var lines []string
		for _, e := range body.(map[string]any)["errors"].([]any) {
			text := javaClass.ReplaceAllString(e.(string), "")
			text = javaClass.ReplaceAllString(text, "") // a wrapped exception
			lines = append(lines, strings.TrimSuffix(text, "\nEnd of exception on server side>"))
		}
		return lines
	}
	if got, want := texts(ours), texts(recorded); !slices.Equal(got, want) {
		t.Errorf("errors %q, recorded %q", got, want)
	}
}

func compareShape(path string, ours any, recorded []any) []string {
	if slices.ContainsFunc(otherwise, func(suffix string) bool { return strings.HasSuffix(path, suffix) }) {
		return nil
	}
	kinds := make(map[string]bool)
	for _, r := range recorded {
		kinds[kindOf(r)] = true
	}
	if !kinds[kindOf(ours)] {
		return []string{fmt.Sprintf("%s: %s, recorded %v", path, kindOf(ours), kinds)}
	}
	switch ours := ours.(type) {
	case map[string]any:
		return compareObjects(path, ours, recorded)
	case []any:
		return compareLists(path, ours, recorded)
	case string:
		key := path[strings.LastIndexByte(path, '/')+1:]
		if slices.Contains(enumerated, key) && !slices.Contains(recorded, any(ours)) {
			return []string{fmt.Sprintf("%s: %q, recorded %v", path, ours, recorded)}
		}
	}
	return nil
}

func compareObjects(path string, ours map[string]any, recorded []any) []string {
	samples := make(map[string][]any)
	objects := 0
	for _, r := range recorded {
		if object, ok := r.(map[string]any); ok {
			objects++
			for key, value := range object {
				samples[key] = append(samples[key], value)
			}
		}
	}
	var differences []string
	for key, values := range samples {
		value, ok := ours[key]
		switch {
		case ok:
			differences = append(differences, compareShape(path+"/"+key, value, values)...)
		case len(values) == objects:
			differences = append(differences, path+"/"+key+": missing")
		}
	}
	for key := range ours {
		if samples[key] == nil && !slices.Contains(further, key) {
			differences = append(differences, path+"/"+key+": not recorded")
		}
	}
	return differences
}

func compareLists(path string, ours, recorded []any) []string {
	var elements []any
	for _, r := range recorded {
		if list, ok := r.([]any); ok {
			elements = append(elements, list...)
		}
	}
	if (len(ours) == 0) != (len(elements) == 0) {
		return []string{fmt.Sprintf("%s: %d elements, recorded %d", path, len(ours), len(elements))}
	}
	var differences []string
	for _, element := range ours {
		differences = append(differences, compareShape(path+"/[]", element, elements)...)
	}
	return differences
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if strings.ContainsAny(v.String(), ".E") {
			return "double"
		}
		return "integer"
	case []any:
		return "list"
	default:
		return "object"
	}
}
