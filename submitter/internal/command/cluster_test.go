package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"pencere/submitter/internal/command"
	"pencere/submitter/internal/localcluster"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience bounds a test.
const patience = time.Minute

// site is a cluster, a broker with one topic, and a directory for specs and files.
type site struct {
	t       *testing.T
	ctx     context.Context
	cluster *localcluster.Cluster
	broker  string
	dir     string
}

func newSite(t *testing.T, records ...string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	broker, err := localcluster.StartBroker(localcluster.BrokerConfig{Topics: map[string]int32{"listings": 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	s.broker = broker.Addresses()[0]
	s.cluster, err = localcluster.Start(s.ctx, localcluster.Config{TaskManagers: 1, SlotsEach: 2, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	kafka, err := kgo.NewClient(kgo.SeedBrokers(s.broker), kgo.DefaultProduceTopic("listings"))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	for _, r := range records {
		if err := kafka.ProduceSync(s.ctx, kgo.StringRecord(r)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// spec writes a job spec and returns its path. ending belongs to the Kafka source.
func (s *site) spec(ending string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "job.yaml")
	text := fmt.Sprintf(`name: prices
source:
  kafka: {brokers: "${BROKER}", topic: listings%s}
  schema: {id: INT, price: BIGINT}
select: [id, price * 2 AS twice]
sink: {csv: {path: %q}}
restart_strategy: {type: none}
`, ending, filepath.Join(s.dir, "out"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// run runs a command against the site's cluster.
func (s *site) run(name string, args ...string) *invocation {
	i := &invocation{env: map[string]string{"BROKER": s.broker, "PENCERE_JOBMANAGER": s.cluster.RestAddr()}}
	return i.run(s.ctx, append([]string{name}, args...)...)
}

// result runs a command with --json and decodes its result, whatever the exit code.
func (s *site) result(into any, name string, args ...string) int {
	s.t.Helper()
	i := s.run(name, append(args, "--json")...)
	var envelope struct {
		Command string
		OK      bool
		Result  json.RawMessage
	}
	if err := json.Unmarshal(i.out.Bytes(), &envelope); err != nil || envelope.Command != name || envelope.OK != (i.code == 0) {
		s.t.Fatalf("%v: not the envelope of this command: %v\n%s", args, err, i)
	}
	if err := json.Unmarshal(envelope.Result, into); err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, i)
	}
	return i.code
}

type runResult struct {
	JobID       string `json:"jobId"`
	Web         string
	Status      string
	RecordsRead int64
	RowsWritten int64
	RootCause   string
}

var (
	hexID    = regexp.MustCompile(`[0-9a-f]{32}`)
	duration = regexp.MustCompile(`in [0-9.]+m?s:`)
)

func TestRunToTheEnd(t *testing.T) {
	s := newSite(t, `{"id":1,"price":10}`, `{"id":2,"price":20}`)
	i := s.run("run", "--wait", s.spec(", bounded: latest"))
	got := hexID.ReplaceAllString(i.out.String(), "ID")
	got = strings.ReplaceAll(duration.ReplaceAllString(got, "in TIME:"), s.dir, "DIR")
	want := "Job prices submitted: ID\nhttp://" + s.cluster.RestAddr() + "/#/jobs/ID\n" +
		"FINISHED in TIME: 2 records read, 2 rows written to DIR/out\n"
	if diff := cmp.Diff(want, got); diff != "" || i.code != 0 {
		t.Errorf("exit %d, output (-want +got):\n%s\n%s", i.code, diff, &i.err)
	}
	var r runResult
	if code := s.result(&r, "run", "--wait", s.spec(", bounded: latest")); code != 0 || r.Status != "FINISHED" || r.RecordsRead != 2 || r.RowsWritten != 2 {
		t.Errorf("exit %d, %+v", code, r)
	}
}

func TestRunFromStandardInput(t *testing.T) {
	s := newSite(t)
	text, err := os.ReadFile(s.spec(", bounded: latest"))
	if err != nil {
		t.Fatal(err)
	}
	i := &invocation{in: string(text)}
	i.run(s.ctx, "run", "--wait", "-m", "127.0.0.1:1,"+s.cluster.RestAddr(), "--var", "BROKER="+s.broker, "-")
	if i.code != 0 || !strings.Contains(i.out.String(), "FINISHED") {
		t.Errorf("%v", i)
	}
}

// A job that fails makes the command fail, with the cause.
func TestRunFails(t *testing.T) {
	s := newSite(t, `{"id":"one"}`)
	i := s.run("run", "--wait", s.spec(", bounded: latest"))
	if i.code != 1 || !strings.Contains(i.err.String(), "job FAILED") || !strings.Contains(i.err.String(), "topic listings, partition 0, offset 0") {
		t.Errorf("%v", i)
	}
	var r runResult
	if code := s.result(&r, "run", "--wait", s.spec(", bounded: latest")); code != 1 || r.Status != "FAILED" || r.RootCause == "" {
		t.Errorf("exit %d, %+v", code, r)
	}
}

// Every record that a job read is accounted for, by name or id.
func TestLedger(t *testing.T) {
	s := newSite(t, `{"id":1,"price":10}`, `{"id":2,"price":20}`)
	var job runResult
	if code := s.result(&job, "run", "--wait", s.spec(", bounded: latest")); code != 0 {
		t.Fatalf("exit %d", code)
	}
	var ledger struct {
		Balanced bool
		Total    struct{ Read, Emitted int64 }
		Splits   []struct {
			Topic     string
			Partition int
			Read      int64
		}
	}
	if code := s.result(&ledger, "ledger", job.JobID); code != 0 || !ledger.Balanced || ledger.Total.Read != 2 || ledger.Total.Emitted != 2 {
		t.Errorf("exit %d, %+v", code, ledger)
	}
	if len(ledger.Splits) != 1 || ledger.Splits[0].Topic != "listings" || ledger.Splits[0].Read != 2 {
		t.Errorf("splits %+v", ledger.Splits)
	}
	i := s.run("ledger", job.JobID)
	for _, text := range []string{"listings-0     2        2 ", "Balanced at checkpoint "} {
		if !strings.Contains(i.out.String(), text) {
			t.Errorf("%q is missing:\n%v", text, i)
		}
	}
	if i := s.run("ledger", "nosuch"); i.code != 2 {
		t.Errorf("%v", i)
	}
}

type jobList struct {
	Jobs []struct{ JID, Name, State string }
}

// A job that was cancelled by somebody else makes run --wait fail; list and cancel find jobs by name and by beginning of id.
func TestListAndCancel(t *testing.T) {
	s := newSite(t)
	var first, second runResult
	if code := s.result(&first, "run", s.spec("")); code != 0 {
		t.Fatalf("exit %d", code)
	}
	waited := make(chan *invocation)
	go func() { waited <- s.run("run", "--wait", s.spec("")) }()
	var jobs jobList
	for len(jobs.Jobs) < 2 && s.ctx.Err() == nil {
		s.result(&jobs, "list")
	}
	for _, j := range jobs.Jobs {
		if j.JID != first.JobID {
			second.JobID = j.JID
		}
	}
	if i := s.run("cancel", "prices"); i.code != 2 || !strings.Contains(i.err.String(), first.JobID) || !strings.Contains(i.err.String(), second.JobID) {
		t.Errorf("two jobs have this name:\n%v", i)
	}
	if i := s.run("cancel", "nosuch"); i.code != 2 {
		t.Errorf("no job has this name:\n%v", i)
	}
	if i := s.run("cancel", second.JobID[:12]); i.code != 0 {
		t.Errorf("%v", i)
	}
	if i := <-waited; i.code != 1 || !strings.Contains(i.err.String(), "job CANCELED") {
		t.Errorf("%v", i)
	}
	if i := s.run("cancel", "prices"); i.code != 0 || !strings.Contains(i.out.String(), first.JobID) {
		t.Errorf("%v", i)
	}
	for jobs.Jobs = nil; s.ctx.Err() == nil; {
		s.result(&jobs, "list")
		if len(jobs.Jobs) == 0 {
			break
		}
	}
	s.result(&jobs, "list", "-a")
	if len(jobs.Jobs) != 2 {
		t.Errorf("all jobs: %+v", jobs)
	}
	if i := s.run("list", "-a"); i.code != 0 || strings.Count(i.out.String(), "CANCELED") != 2 {
		t.Errorf("%v", i)
	}
}

// Ctrl-C while a job is followed ends the following alone.
func TestInterrupted(t *testing.T) {
	s := newSite(t)
	ctx, interrupt := context.WithCancel(s.ctx)
	i := &invocation{env: map[string]string{"BROKER": s.broker}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.run(ctx, "run", "--wait", "-m", s.cluster.RestAddr(), s.spec(""))
	}()
	var jobs jobList
	for (len(jobs.Jobs) == 0 || jobs.Jobs[0].State != "RUNNING") && s.ctx.Err() == nil {
		s.result(&jobs, "list")
	}
	interrupt()
	<-done
	if i.code != 130 || !strings.Contains(i.err.String(), "The job runs on. To end it: submitter cancel "+jobs.Jobs[0].JID) {
		t.Errorf("%v", i)
	}
	s.result(&jobs, "list")
	if len(jobs.Jobs) != 1 {
		t.Errorf("jobs after the interruption: %+v", jobs)
	}
}

// watched collects output and tells when it holds a text.
type watched struct {
	bytes.Buffer
	text string
	seen chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	before := strings.Contains(w.String(), w.text)
	n, err := w.Buffer.Write(p)
	if !before && strings.Contains(w.String(), w.text) {
		close(w.seen)
	}
	return n, err
}

// The demo shows rows within seconds, stops cleanly, and leaves nothing behind but finished files.
func TestDemo(t *testing.T) {
	before := runtime.NumGoroutine()
	dir := filepath.Join(t.TempDir(), "new", "out")
	ctx, interrupt := context.WithTimeout(t.Context(), patience)
	defer interrupt()
	out := &watched{text: "finished: " + dir, seen: make(chan struct{})}
	var errs bytes.Buffer
	code := make(chan int, 1)
	began := time.Now()
	go func() {
		code <- command.Run(ctx, []string{"demo", "--port", "0", "--out", dir},
			command.Streams{Out: out, Err: &errs, LookupEnv: func(string) (string, bool) { return "", false }})
	}()
	select {
	case <-out.seen:
	case <-ctx.Done():
		t.Fatal("no file was finished")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the first file came after %s", took)
	}
	interrupt()
	if got := <-code; got != 0 {
		t.Errorf("exit %d: %s", got, &errs)
	}
	if !regexp.MustCompile(`(?m)^ {2}\d+,.*,"\d{4}-\d\d-\d\d \d\d:\d[02468]:00"$`).MatchString(out.String()) {
		t.Errorf("no row is shown:\n%s", out)
	}
	hidden, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(hidden) > 0 {
		t.Errorf("left behind: %v, %v", hidden, err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines are left, %d were there:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestDemoForAWhile(t *testing.T) {
	var envelope struct {
		Result struct {
			FirstFile   string
			RowsWritten int64
			Files       int
		}
	}
	// A second is enough, unless the machine is busy with much else.
	for duration := time.Second; envelope.Result.Files == 0 && duration < patience; duration *= 2 {
		i := new(invocation).run(t.Context(), "demo", "--port", "0", "--out", t.TempDir(), "--duration", duration.String(), "--speed", "1000", "--json")
		if err := json.Unmarshal(i.out.Bytes(), &envelope); err != nil || i.code != 0 {
			t.Fatalf("%v\n%v", err, i)
		}
	}
	if r := envelope.Result; r.Files == 0 || r.RowsWritten == 0 {
		t.Errorf("nothing was written: %+v", r)
	}
	if _, err := os.Stat(envelope.Result.FirstFile); err != nil {
		t.Error(err)
	}
}

func TestDemoPortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	i := new(invocation).run(t.Context(), "demo", "--port", port, "--out", t.TempDir())
	want := "submitter: port " + port + " is in use by another program: give another with --port, or --port 0 for any free one\n"
	if i.code != 3 || i.err.String() != want {
		t.Errorf("exit %d, %q, want %q", i.code, &i.err, want)
	}
}
