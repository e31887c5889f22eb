package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/daemon"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func config(dir string) daemon.Config {
	return daemon.Config{
		ID: "jm1", DataDir: dir, RestAddr: "127.0.0.1:0", RPCAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0", Version: "test",
		ForgetAfter: time.Hour, Log: slog.New(slog.DiscardHandler),
	}
}

// running is a jobmanager in this process.
type running struct {
	t       *testing.T
	url     string
	metrics string
	stop    func()
}

func start(t *testing.T, dir string) *running {
	t.Helper()
	d, err := daemon.New(config(dir))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	r := &running{t: t, url: "http://" + d.RestAddr(), metrics: "http://" + d.MetricsAddr()}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel(errors.New("interrupt signal received")) // as signal.NotifyContext says it
		if err := errors.Join(<-ended, d.Close()); err != nil {
			t.Errorf("the end of a jobmanager that was asked to end: %v", err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// until polls until ok is true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
		runtime.Gosched()
	}
}

func (r *running) do(method, path, body string) (int, string) {
	r.t.Helper()
	return r.ask(method, r.url+path, body)
}

func (r *running) ask(method, url, body string) (int, string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/yaml")
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func (r *running) submit(spec string) (id string) {
	r.t.Helper()
	until(r.t, "submission", func() bool {
		code, text := r.do(http.MethodPost, "/jobs", spec)
		var answer struct{ JobID string }
		if code == http.StatusServiceUnavailable { // it does not lead yet
			return false
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil || code != http.StatusAccepted {
			r.t.Fatalf("answer %d: %s", code, text)
		}
		id = answer.JobID
		return true
	})
	return id
}

const spec = `
name: job
source: {kafka: {brokers: "127.0.0.1:1", topic: t}, schema: {id: INT}}
sink: {csv: {path: out}}
`

func TestJobsGoOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	id := first.submit(spec)
	first.stop()
	second := start(t, dir)
	until(t, "the job", func() bool {
		code, text := second.do(http.MethodGet, "/jobs/"+id, "")
		return code == http.StatusOK && strings.Contains(text, `"INITIALIZING"`)
	})
	until(t, "the cancellation", func() bool {
		code, _ := second.do(http.MethodPatch, "/jobs/"+id, "")
		return code == http.StatusAccepted
	})
	until(t, "its end", func() bool {
		_, text := second.do(http.MethodGet, "/jobs/"+id, "")
		return strings.Contains(text, `"state":"CANCELED"`)
	})
}

func TestMetricsAndHealth(t *testing.T) {
	r := start(t, t.TempDir())
	id := r.submit(spec)
	if code, _ := r.ask(http.MethodGet, r.metrics+"/health", ""); code != http.StatusOK {
		t.Errorf("health %d", code)
	}
	code, text := r.ask(http.MethodGet, r.metrics+"/metrics", "")
	for _, want := range []string{
		"process_resident_memory_bytes ", "pencere_raft_is_leader 1\n", `pencere_raft_state{state="leader"} 1`, "pencere_cluster_slots 0\n",
		`pencere_job_restarts_total{job_id="` + id + `",job_name="job"} 0`,
	} {
		if code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("answer %d without %s", code, want)
		}
	}
}

// The members over REST, in Flink's form of answers and errors.
func TestMembersOverREST(t *testing.T) {
	r := start(t, t.TempDir())
	until(t, "it leads", func() bool {
		_, text := r.do(http.MethodGet, "/v1/cluster/members", "")
		return strings.Contains(text, `{"members":[{"id":"jm1","address":"","voter":true,"leader":true,"reachable":true,"joining":false,"state":"LEADER","term":`)
	})
	for _, c := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{http.MethodPost, "/cluster/members", `{"id":"jm2","address":"host:6124"}`, http.StatusConflict, `{"errors":["jobmanager jm1 runs alone: start it with --peers jm1=HOST:PORT`},
		{http.MethodPost, "/cluster/members", `{"id":"jm2"}`, http.StatusBadRequest, `{"errors":["a member has an \"id\" and an \"address\"`},
		{http.MethodPost, "/cluster/members", `[]`, http.StatusBadRequest, "Request did not match expected format MemberRequestBody."},
		{http.MethodDelete, "/cluster/members/jm2", "", http.StatusNotFound, `{"errors":["jm2: no such member"]}`},
		{http.MethodDelete, "/cluster/members/jm1", "", http.StatusConflict, `{"errors":["jm1 is the only voter: without it nothing is left"]}`},
	} {
		if code, text := r.do(c.method, c.path, c.body); code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, code, text, c.code, c.says)
		}
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	cycle := func() {
		r := start(t, t.TempDir())
		r.submit(spec)
		r.stop()
	}
	cycle() // what starts once for a process is started now
	before := runtime.NumGoroutine()
	cycle()
	until(t, "goroutines that end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestNewRefuses(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	used := t.TempDir()
	start(t, used)
	for name, test := range map[string]struct {
		change func(*daemon.Config)
		want   string
	}{
		"REST port in use":    {func(c *daemon.Config) { c.RestAddr = busy.Addr().String() }, "listen for REST (--rest-addr): "},
		"RPC port in use":     {func(c *daemon.Config) { c.RPCAddr = busy.Addr().String() }, "listen for taskmanagers (--rpc-addr): "},
		"metrics port in use": {func(c *daemon.Config) { c.MetricsAddr = busy.Addr().String() }, "listen for metrics (--metrics-addr): "},
		"no directory":        {func(c *daemon.Config) { c.DataDir = file }, "create data directory: "},
		"directory in use":    {func(c *daemon.Config) { c.DataDir = used }, "does another jobmanager use this directory?"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t.TempDir())
			test.change(&cfg)
			d, err := daemon.New(cfg)
			if err == nil {
				t.Fatal("started", d.Close())
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

func execute(t *testing.T, arguments ...string) error {
	t.Helper()
	command := daemon.Command()
	command.SetArgs(arguments)
	command.SetOut(io.Discard)
	command.SetErr(io.Discard)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return command.ExecuteContext(ctx)
}

func TestCommand(t *testing.T) {
	for want, arguments := range map[string][]string{
		`log format "xml": want text or json`:                            {"--log-format", "xml"},
		`--peers must name this jobmanager too: there is no "jm9" in it`: {"--id", "jm9", "--peers", "jm1=a:6124"},
		"unknown flag: --datadir":                                        {"--datadir", "x"},
		`unknown command "extra" for "jobmanager"`:                       {"extra"},
	} {
		if err := execute(t, arguments...); err == nil || err.Error() != want {
			t.Errorf("%v: error %v, want %q", arguments, err, want)
		}
	}
	r := start(t, t.TempDir())
	if err := execute(t, "health", "--rest-addr", strings.TrimPrefix(r.url, "http://")); err != nil {
		t.Errorf("health of one that runs: %v", err)
	}
	r.stop()
	if err := execute(t, "health", "--rest-addr", strings.TrimPrefix(r.url, "http://")); err == nil {
		t.Error("one that has ended is well")
	}
}
