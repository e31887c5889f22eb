package rest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/jobspec"
)

// TestNotServed lists what Flink has and this API does not: it answers as Flink does where the feature is off.
func TestNotServed(t *testing.T) {
	const job = "/jobs/" + runningJob
	paths := []struct{ method, path, reason string }{
		{"GET", "/jars", "jars do not run here"},
		{"POST", "/jars/upload", "jars do not run here"},
		{"POST", "/jars/x.jar/run", "jars do not run here"},
		{"POST", "/jars/x.jar/plan", "jars do not run here"},
		{"DELETE", "/jars/x.jar", "jars do not run here"},
		{"GET", "/jobmanager/log", "logs go to stderr"},
		{"GET", "/jobmanager/logs", "logs go to stderr"},
		{"GET", "/jobmanager/stdout", "logs go to stderr"},
		{"GET", "/jobmanager/thread-dump", "there are no threads to list"},
		{"GET", "/jobmanager/profiler", "off by default in Flink too"},
		{"GET", "/taskmanagers/" + taskManagerID + "/log", "logs go to stderr"},
		{"GET", "/taskmanagers/" + taskManagerID + "/logs", "logs go to stderr"},
		{"GET", "/taskmanagers/" + taskManagerID + "/stdout", "logs go to stderr"},
		{"GET", "/taskmanagers/" + taskManagerID + "/thread-dump", "there are no threads to list"},
		{"GET", "/taskmanagers/" + taskManagerID + "/profiler", "off by default in Flink too"},
		{"GET", job + "/jobmanager/log-url", "logs go to stderr"},
		{"GET", job + "/taskmanagers/" + taskManagerID + "/log-url", "logs go to stderr"},
		{"PATCH", job + "/rescaling", "Flink's answers that it is disabled"},
		{"PATCH", job + "/clientHeartbeat", "no client is waited for"},
		{"DELETE", "/cluster", "a cluster is stopped where it was started"},
	}
	api := newAPI(newCluster())
	for _, p := range paths {
		answer := ask(t, api, p.method, p.path, "{}", nil)
		want := "Not found: " + p.path
		if p.method == http.MethodGet {
			want = "Unable to load requested file " + p.path + "."
		}
		checkError(t, p.method+" "+p.path, answer.Code, answer.Body.Bytes(), 404, want)
	}
}

func checkError(t *testing.T, what string, code int, body []byte, wantCode int, wantTexts ...string) {
	t.Helper()
	var got struct {
		Errors []string `json:"errors"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Errorf("%s: %v in %s", what, err, body)
		return
	}
	if code != wantCode || !cmp.Equal(got.Errors, wantTexts) {
		t.Errorf("%s: %d %q, want %d %q", what, code, got.Errors, wantCode, wantTexts)
	}
}

func TestPaths(t *testing.T) {
	api := newAPI(newCluster())
	for _, uri := range []string{
		"/overview", "/overview/", "/v1/overview", "/v1/overview/", "/overview?nosuch=1", "/health", "/v1/health",
		"/jobs/" + strings.ToUpper(runningJob), "/jobs/" + runningJob + "/vertices/" + strings.ToUpper(sourceVertex),
	} {
		if answer := get(t, api, uri); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s", uri, answer.Code, answer.Body)
		}
	}
	for uri, file := range map[string]string{"//overview": "//overview", "/./overview": "/./overview", "/jobs//": "/jobs//index.html", "/v1": "/v1"} {
		answer := get(t, api, uri)
		checkError(t, uri, answer.Code, answer.Body.Bytes(), 404, "Unable to load requested file "+file+".")
	}
	answer := ask(t, api, "POST", "/overview?x=1", "", nil)
	checkError(t, "POST", answer.Code, answer.Body.Bytes(), 404, "Not found: /overview?x=1")
	if answer := get(t, api, "/"); answer.Code != http.StatusOK || !strings.HasPrefix(answer.Header().Get("Content-Type"), "text/html") {
		t.Errorf("UI: %d %v", answer.Code, answer.Header())
	}
}

// The clients' view of answers: a number or boolean that is missing or null is an error, as in Flink's own clients
// since 1.19.
type (
	clientOverview struct {
		TaskManagers  int `json:"taskmanagers"`
		SlotsTotal    int `json:"slots-total"`
		SlotsFree     int `json:"slots-available"`
		JobsRunning   int `json:"jobs-running"`
		JobsFinished  int `json:"jobs-finished"`
		JobsCancelled int `json:"jobs-cancelled"`
		JobsFailed    int `json:"jobs-failed"`
	}
	clientTasks struct {
		Total   int `json:"total"`
		Running int `json:"running"`
		Failed  int `json:"failed"`
	}
	clientJobs struct {
		Jobs []struct {
			ID               string      `json:"jid"`
			State            string      `json:"state"`
			Start            int64       `json:"start-time"`
			End              int64       `json:"end-time"`
			Duration         int64       `json:"duration"`
			LastModification int64       `json:"last-modification"`
			Tasks            clientTasks `json:"tasks"`
			PendingOperators int         `json:"pending-operators"`
		} `json:"jobs"`
	}
	clientIO struct {
		ReadBytes     int64   `json:"read-bytes"`
		ReadComplete  bool    `json:"read-bytes-complete"`
		WriteRecords  int64   `json:"write-records"`
		Busy          float64 `json:"accumulated-busy-time"`
		Idle          int64   `json:"accumulated-idle-time"`
		Backpressured int64   `json:"accumulated-backpressured-time"`
	}
	clientJob struct {
		IsStoppable      bool  `json:"isStoppable"`
		Start            int64 `json:"start-time"`
		End              int64 `json:"end-time"`
		Duration         int64 `json:"duration"`
		MaxParallelism   int64 `json:"maxParallelism"`
		Now              int64 `json:"now"`
		PendingOperators int   `json:"pending-operators"`
		Vertices         []struct {
			MaxParallelism int      `json:"maxParallelism"`
			Parallelism    int      `json:"parallelism"`
			Start          int64    `json:"start-time"`
			Metrics        clientIO `json:"metrics"`
		} `json:"vertices"`
	}
	clientTaskManager struct {
		DataPort      int   `json:"dataPort"`
		JMXPort       int   `json:"jmxPort"`
		LastHeartbeat int64 `json:"timeSinceLastHeartbeat"`
		Slots         int   `json:"slotsNumber"`
		Free          int   `json:"freeSlots"`
		Hardware      struct {
			Cores    int   `json:"cpuCores"`
			Physical int64 `json:"physicalMemory"`
			Free     int64 `json:"freeMemory"`
			Managed  int64 `json:"managedMemory"`
		} `json:"hardware"`
		Metrics struct {
			HeapUsed int64 `json:"heapUsed"`
			HeapMax  int64 `json:"heapMax"`
		} `json:"metrics"`
	}
)

func TestStrictClients(t *testing.T) {
	cluster := newCluster()
	unscheduled := newJob(unknownJob, jobfsm.Initializing)
	unscheduled.Vertices = []view.Vertex{{ID: sourceVertex, Name: "Source: src[1]"}}
	cluster.jobs[unknownJob] = unscheduled
	api := newAPI(cluster)
	for uri, client := range map[string]any{
		"/v1/overview":                      clientOverview{},
		"/v1/jobs/overview":                 clientJobs{},
		"/v1/jobs/" + runningJob:            clientJob{},
		"/v1/jobs/" + failedAtStartJob:      clientJob{},
		"/v1/jobs/" + unknownJob:            clientJob{},
		"/v1/taskmanagers/" + taskManagerID: clientTaskManager{},
	} {
		var body any
		decodeExact(t, get(t, api, uri).Body.Bytes(), &body)
		for _, problem := range strict(uri, reflect.TypeOf(client), body) {
			t.Error(problem)
		}
	}
}

// kindsOfClients are what the primitives are read from.
var kindsOfClients = map[reflect.Kind]string{
	reflect.Int: "integer", reflect.Int64: "integer", reflect.Float64: "double", reflect.Bool: "boolean", reflect.String: "string",
}

// strict finds the primitives of a client's type that an answer does not have.
func strict(path string, client reflect.Type, value any) []string {
	var problems []string
	switch client.Kind() {
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			return []string{path + ": no object"}
		}
		for field := range client.Fields() {
			key := field.Tag.Get("json")
			problems = append(problems, strict(path+"/"+key, field.Type, object[key])...)
		}
	case reflect.Slice:
		elements, ok := value.([]any)
		if !ok {
			return []string{path + ": no list"}
		}
		for _, element := range elements {
			problems = append(problems, strict(path+"/[]", client.Elem(), element)...)
		}
	default:
		if got := kindOf(value); got != kindsOfClients[client.Kind()] {
			problems = append(problems, fmt.Sprintf("%s: %s, want %s", path, got, client.Kind()))
		}
	}
	return problems
}

func TestSubmit(t *testing.T) {
	yaml := map[string]string{"Content-Type": "application/yaml; charset=utf-8"}
	var got jobmaster.Spec
	cluster := newCluster()
	cluster.submitted = func(spec jobmaster.Spec) (string, error) {
		got = spec
		return runningJob, nil
	}
	answer := ask(t, newAPI(cluster), "POST", "/v1/jobs?name=kdv.yaml&var.TOPIC=a%26b&var.EMPTY=", "name: kdv\n", yaml)
	if want := `{"jobUrl":"/jobs/` + runningJob + `","jobid":"` + runningJob + `"}` + "\n"; answer.Code != 202 || answer.Body.String() != want {
		t.Errorf("%d %s, want 202 %s", answer.Code, answer.Body, want)
	}
	want := jobmaster.Spec{Text: "name: kdv\n", File: "kdv.yaml", Vars: map[string]string{"TOPIC": "a&b", "EMPTY": ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSubmitRefused(t *testing.T) {
	yaml := map[string]string{"Content-Type": "application/yaml"}
	wrong := jobspec.Errors{
		{File: "j.yaml", Line: 3, Column: 5, Path: "source.kafka.topci", Message: "unknown field", Suggestion: "topic"},
		{File: "j.yaml", Line: 9, Column: 1, Path: "sink", Message: "missing"},
	}
	for name, test := range map[string]struct {
		query, body string
		headers     map[string]string
		err         error
		code        int
		texts       []string
	}{
		"all errors of the spec": {
			headers: yaml, err: fmt.Errorf("parse: %w", wrong), code: 400,
			texts: []string{`j.yaml:3:5: source.kafka.topci: unknown field (did you mean "topic"?)`, "j.yaml:9:1: sink: missing"},
		},
		"no leader":    {headers: yaml, err: jobmaster.ErrNotLeading, code: 503, texts: []string{jobmaster.ErrNotLeading.Error()}},
		"the log":      {headers: yaml, err: errors.New("disk full"), code: 500, texts: []string{"Internal server error.", "<Exception on server side:\ndisk full\nEnd of exception on server side>"}},
		"too large":    {headers: yaml, query: "?name=big.yaml", body: strings.Repeat("#", 1<<20+1), code: 413, texts: []string{"big.yaml: a job spec may have 1048576 bytes"}},
		"broken query": {headers: yaml, query: "?var.A=%zz", code: 400, texts: []string{`query string: invalid URL escape "%zz"`}},
		"a form": {
			headers: map[string]string{"Content-Type": "text/plain"}, code: 415,
			texts: []string{`Content-Type "text/plain" is not that of a job spec: send application/yaml`},
		},
		"flink run": {
			headers: map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, code: 415,
			texts: []string{"A Java job graph cannot run here. Post a job spec (Content-Type: application/yaml), or use: submitter run job.yaml"},
		},
	} {
		cluster := newCluster()
		cluster.submitted = func(jobmaster.Spec) (string, error) { return "", test.err }
		answer := ask(t, newAPI(cluster), "POST", "/jobs"+test.query, test.body, test.headers)
		checkError(t, name, answer.Code, answer.Body.Bytes(), test.code, test.texts...)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	for path, text := range map[string]string{
		secret:                           "secret\n",
		filepath.Join(dir, "part-0.csv"): "1,\"two\nlines\"\n2,b\n3,c\n",
		filepath.Join(dir, "other.csv"):  "not the job's\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(secret, filepath.Join(dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	cluster := newCluster()
	cluster.dir = dir
	finished := func(name string) view.File {
		return view.File{Name: name, VertexID: windowVertex, State: view.FileFinished}
	}
	first := finished("part-0.csv")
	first.Subtask, first.Rows, first.Bytes, first.Modified = 1, 3, 21, ended
	cluster.files = []view.File{
		first, finished("link.csv"), finished("../secret"), finished("gone.csv"),
		{Name: "part-1.csv", VertexID: windowVertex, State: view.FileInProgress},
	}
	api := newAPI(cluster)
	base := "/jobs/" + runningJob + "/files"

	var listed struct {
		Path  string           `json:"path"`
		Files []map[string]any `json:"files"`
	}
	if err := json.Unmarshal(get(t, api, base).Body.Bytes(), &listed); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"name": "part-0.csv", "vertex-id": windowVertex, "subtask": 1.0, "state": "finished", "rows": 3.0, "bytes": 21.0,
		"last-modification": float64(ended),
	}
	if listed.Path != dir || len(listed.Files) != 5 || !cmp.Equal(listed.Files[0], want) {
		t.Errorf("listed %v", listed)
	}
	for query, text := range map[string]string{
		"": "1,\"two\nlines\"\n2,b\n3,c\n", "?rows=1": "1,\"two\nlines\"\n", "?rows=2": "1,\"two\nlines\"\n2,b\n", "?rows=99999999": "1,\"two\nlines\"\n2,b\n3,c\n",
	} {
		answer := get(t, api, base+"/part-0.csv"+query)
		if answer.Code != 200 || answer.Body.String() != text || !strings.HasPrefix(answer.Header().Get("Content-Type"), "text/plain") {
			t.Errorf("rows%s: %d %q, want %q", query, answer.Code, answer.Body, text)
		}
	}
	elsewhere := "not readable on the jobmanager's machine (it is on that of its taskmanager)"
	for name, text := range map[string]string{
		"other.csv":       "part file other.csv: the job has no such file",
		"%2e%2e%2fsecret": "part file ../secret: " + elsewhere,
		"link.csv":        "part file link.csv: " + elsewhere,
		"gone.csv":        "part file gone.csv: " + elsewhere,
		"part-1.csv":      "part file part-1.csv: it is in-progress; it can be read when it is finished",
		"%2fetc%2fpasswd": "part file /etc/passwd: the job has no such file",
	} {
		answer := get(t, api, base+"/"+name)
		checkError(t, name, answer.Code, answer.Body.Bytes(), 404, text)
	}
	answer := get(t, api, base+"/part-0.csv?rows=0")
	checkError(t, "rows=0", answer.Code, answer.Body.Bytes(), 400,
		`Bad request, could not parse parameters: Cannot resolve query parameter (rows) from value "0".`)
}

// TestPreviewIsBounded reads a file that is larger than a preview may be: it ends with a whole row.
func TestPreviewIsBounded(t *testing.T) {
	cluster := newCluster()
	cluster.dir = t.TempDir()
	cluster.files = []view.File{{Name: "big.csv", State: view.FileFinished}}
	row := strings.Repeat("x", 999) + "\n"
	if err := os.WriteFile(filepath.Join(cluster.dir, "big.csv"), []byte(strings.Repeat(row, 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	text := get(t, newAPI(cluster), "/jobs/"+runningJob+"/files/big.csv?rows=1000").Body.String()
	if want := strings.Repeat(row, 262); text != want {
		t.Errorf("%d bytes, want %d", len(text), len(want))
	}
}

func TestSplitsAndSpec(t *testing.T) {
	api := newAPI(newCluster())
	want := `{"splits":[` +
		`{"topic":"kdv","partition":0,"subtask":0,"current-offset":40,"end-offset":50,"lag":10,"watermark":1741087600000,"idle":false,"state":"reading","reason":""},` +
		`{"topic":"kdv","partition":1,"subtask":1,"current-offset":40,"end-offset":-1,"lag":-1,"watermark":1741087600000,"idle":false,"state":"reading","reason":""}]}` + "\n"
	if got := get(t, api, "/jobs/"+runningJob+"/splits").Body.String(); got != want {
		t.Errorf("splits %s", got)
	}
	spec := get(t, api, "/jobs/"+runningJob+"/spec")
	if spec.Body.String() != "name: kdv-2min\n" || spec.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("spec %v %s", spec.Header(), spec.Body)
	}
}

func TestValues(t *testing.T) {
	api := newAPI(newCluster())
	vertex := "/jobs/" + runningJob + "/vertices/" + sourceVertex
	for uri, want := range map[string]string{
		vertex + "/metrics?get=1.numRecordsIn,0.busyTimeMsPerSecond,0.nosuch":  `[{"id":"0.busyTimeMsPerSecond","value":"2.0"},{"id":"1.numRecordsIn","value":"2000"}]`,
		vertex + "/subtasks/metrics?get=numRecordsIn":                          `[{"id":"numRecordsIn","min":1000.0,"max":2000.0,"avg":1500.0,"sum":3000.0,"skew":33.333333333333336}]`,
		vertex + "/subtasks/metrics?get=numRecordsIn&agg=MAX&subtasks=0-0":     `[{"id":"numRecordsIn","max":1000.0}]`,
		vertex + "/subtasks/1/metrics?get=pendingRecords":                      `[{"id":"pendingRecords","value":"0"}]`,
		vertex + "/subtasks/0/metrics?get=pendingRecords":                      `[{"id":"pendingRecords","value":"10"}]`,
		"/jobs/" + runningJob + "/metrics?get=numRestarts,uptime":              fmt.Sprintf(`[{"id":"numRestarts","value":"1"},{"id":"uptime","value":"%d"}]`, asked-submitted-20),
		"/taskmanagers/metrics?get=taskSlotsTotal&agg=sum&taskmanagers=nosuch": `[]`,
		"/jobs/" + runningJob + "/vertices/" + windowVertex + "/watermarks":    `[{"id":"0.currentInputWatermark","value":"1741087600000"},{"id":"1.currentInputWatermark","value":"1741087600000"}]`,
		"/jobs/" + runningJob + "/vertices/" + writerVertex + "/backpressure":  fmt.Sprintf(`{"status":"ok","backpressureLevel":"ok","backpressure-level":"ok","end-timestamp":%d,"subtasks":[{"subtask":0,"attempt-number":1,"backpressureLevel":"ok","backpressure-level":"ok","ratio":5.0E-4,"idleRatio":0.9975,"busyRatio":0.002}]}`, asked-500),
		"/health": `{}`,
	} {
		if got := strings.TrimSpace(get(t, api, uri).Body.String()); got != want {
			t.Errorf("%s\n got %s\nwant %s", uri, got, want)
		}
	}
}

func TestJobDetails(t *testing.T) {
	cluster := newCluster()
	job := cluster.jobs[runningJob]
	job.Notice = "waits for 2 slots"
	cluster.jobs[runningJob] = job
	var details map[string]any
	if err := json.Unmarshal(get(t, newAPI(cluster), "/jobs/"+runningJob).Body.Bytes(), &details); err != nil {
		t.Fatal(err)
	}
	if details["notice"] != "waits for 2 slots" || details["attempt"] != 1.0 || details["restarts"] != 1.0 || details["duration"] != float64(asked-submitted) {
		t.Errorf("details %v", details)
	}
	nodes := details["plan"].(map[string]any)["nodes"].([]any)
	if got := nodes[1].(map[string]any)["description"]; got != "GroupWindowAggregate[4]<br/>+- Calc[5]<br/>" {
		t.Errorf("description %q", got)
	}
	source := details["vertices"].([]any)[0].(map[string]any)["metrics"].(map[string]any)
	if source["read-records"] != 3000.0 || source["accumulated-busy-time"] != 800.0 || !source["read-records-complete"].(bool) {
		t.Errorf("source metrics %v", source)
	}
}

// FuzzURI asks for anything. A 5xx is only Flink's answer for a name that nobody has, and every answer is whole.
func FuzzURI(f *testing.F) {
	for _, seed := range []string{
		"/jobs/" + runningJob + "/exceptions?maxExceptions=-1", "/v1/jobs/x", "/taskmanagers/%2e%2e/metrics?get=a,b&agg=x",
		"/jobs/" + runningJob + "/vertices/" + sourceVertex + "/subtasks/metrics?get=numRecordsIn&subtasks=0-99999999999,a-b,-",
		"/jobs/" + runningJob + "/files/..%2f..%2fetc%2fpasswd?rows=9223372036854775808", "//", "/v1//", "/jobs/%00/status",
		"/jobs/" + runningJob + "/vertices/" + sourceVertex + "/subtasks/4294967296/attempts/-0",
	} {
		f.Add("GET", seed)
	}
	f.Add("PATCH", "/jobs/"+runningJob+"?mode=%ff")
	f.Add("POST", "/jobs?var.=;")
	api := newAPI(newCluster())
	f.Fuzz(func(t *testing.T, method, uri string) {
		r, err := http.NewRequest(method, "http://jobmanager"+uri, strings.NewReader("{}"))
		if err != nil || !strings.HasPrefix(uri, "/") {
			return // no HTTP client can send this
		}
		r.RequestURI = uri
		answer := serve(api, r)
		if answer.Code >= 500 && !strings.Contains(answer.Body.String(), "Could not find Flink job") &&
			!strings.Contains(answer.Body.String(), "No TaskExecutor registered") {
			t.Errorf("%s %q: %d %s", method, uri, answer.Code, answer.Body)
		}
		if strings.HasPrefix(answer.Header().Get("Content-Type"), "application/json") && !json.Valid(answer.Body.Bytes()) {
			t.Errorf("%s %q: %s", method, uri, answer.Body)
		}
	})
}

// TestNoNumberIsLost writes the numbers that JSON has no form for.
func TestNoNumberIsLost(t *testing.T) {
	cluster := newCluster()
	job := cluster.jobs[runningJob]
	job.Vertices[2].Subtasks[0].Metrics.BusyPerSecond = math.NaN()
	job.Vertices[2].Subtasks[0].Metrics.RecordsInPerSecond = math.Inf(1)
	uri := "/jobs/" + runningJob + "/vertices/" + writerVertex + "/subtasks/metrics?agg=max&get=busyTimeMsPerSecond,numRecordsInPerSecond"
	want := `[{"id":"numRecordsInPerSecond","max":"Infinity"},{"id":"busyTimeMsPerSecond","max":"NaN"}]`
	if got := strings.TrimSpace(get(t, newAPI(cluster), uri).Body.String()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
