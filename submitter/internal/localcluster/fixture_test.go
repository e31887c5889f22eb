package localcluster_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pencere/submitter/internal/client"
	"pencere/submitter/internal/localcluster"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience bounds a test: how long it waits for what must come.
const patience = 2 * time.Minute

// fixture is a cluster and an embedded broker, whose network can be cut, for one test.
type fixture struct {
	t       *testing.T
	ctx     context.Context
	broker  *localcluster.Broker
	network *network
	admin   *kadm.Client
	cluster *localcluster.Cluster
	jobs    *client.Client
	topics  int
	reads   *readings
}

// newFixture starts taskmanagers of 2 slots.
func newFixture(t *testing.T, taskManagers int) *fixture {
	t.Helper()
	return newFixtureOf(t, localcluster.Config{TaskManagers: taskManagers, SlotsEach: 2})
}

// newFixtureOf starts what cfg says.
func newFixtureOf(t *testing.T, cfg localcluster.Config) *fixture {
	t.Helper()
	f := &fixture{t: t, network: &network{}, reads: &readings{records: make(map[string]int64)}}
	var cancel context.CancelFunc
	f.ctx, cancel = context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	var err error
	f.broker, err = localcluster.StartBroker(localcluster.BrokerConfig{Listen: f.network.listen})
	f.check(err)
	t.Cleanup(f.broker.Close)
	kafka, err := kgo.NewClient(kgo.SeedBrokers(f.broker.Addresses()...))
	f.check(err)
	t.Cleanup(kafka.Close)
	f.admin = kadm.NewClient(kafka)
	log := slog.New(auditor{slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}), t, f.reads, nil})
	cfg.Log = log
	f.cluster, err = localcluster.Start(f.ctx, cfg)
	f.check(err)
	t.Cleanup(func() {
		if err := f.cluster.Close(); err != nil {
			t.Errorf("close the cluster: %v", err)
		}
	})
	f.jobs = f.cluster.Client()
	return f
}

// auditor fails the test when the engine finds that it has lost or doubled a record, and sums up what subtasks have read.
type auditor struct {
	slog.Handler
	t     *testing.T
	reads *readings
	attrs []slog.Attr
}

func (a auditor) Enabled(context.Context, slog.Level) bool { return true }

func (a auditor) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "ledger does not balance" {
		a.t.Error(r.Message)
	}
	a.reads.add(a.attrs)
	if !a.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return a.Handler.Handle(ctx, r)
}

func (a auditor) WithAttrs(attrs []slog.Attr) slog.Handler {
	return auditor{a.Handler.WithAttrs(attrs), a.t, a.reads, slices.Concat(a.attrs, attrs)}
}

// readings are the records that attempts of subtasks that have ended had come to, by job and vertex.
type readings struct {
	mu      sync.Mutex
	records map[string]int64
}

// add takes what a taskmanager says of a subtask that has ended.
func (r *readings) add(attrs []slog.Attr) {
	said := make(map[string]slog.Value)
	for _, a := range attrs {
		said[a.Key] = a.Value
	}
	if records, ok := said["records_in"]; ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.records[said["job_id"].String()+said["vertex_id"].String()] += records.Int64()
	}
}

// job is one that was submitted.
type job struct {
	*fixture
	id, dir string
}

// recordsRead returns how many records the job's sources have read in all attempts that have ended.
func (j job) recordsRead() int64 {
	j.t.Helper()
	now, err := j.jobs.Job(j.ctx, j.id)
	j.check(err)
	j.reads.mu.Lock()
	defer j.reads.mu.Unlock()
	return j.reads.records[j.id+now.Vertices[0].ID]
}

func (f *fixture) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// topic makes a topic that holds the given records by partition, and returns its name.
func (f *fixture) topic(records partitions) string {
	f.t.Helper()
	f.topics++
	topic := fmt.Sprintf("topic-%d", f.topics)
	_, err := f.admin.CreateTopic(f.ctx, int32(len(records)), 1, nil, topic)
	f.check(err)
	f.produce(topic, records)
	return topic
}

// produce appends records by partition.
func (f *fixture) produce(topic string, records partitions) {
	f.t.Helper()
	// A client of its own sees partitions that were made a moment ago.
	kafka, err := kgo.NewClient(kgo.SeedBrokers(f.broker.Addresses()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	f.check(err)
	defer kafka.Close()
	failed := kgo.AbortingFirstErrPromise(kafka)
	for p, values := range records {
		for _, value := range values {
			r := &kgo.Record{Topic: topic, Partition: int32(p), Value: []byte(value)}
			if value == tombstone {
				r.Value = nil
			}
			kafka.Produce(f.ctx, r, failed.Promise())
		}
	}
	f.check(kafka.Flush(f.ctx))
	f.check(failed.Err())
}

// submit starts a job that writes to a directory of its own.
func (f *fixture) submit(s spec) job {
	f.t.Helper()
	return f.submitTo(f.t.TempDir(), s)
}

// submitTo starts a job that writes to a directory.
func (f *fixture) submitTo(dir string, s spec) job {
	f.t.Helper()
	submitted, err := f.jobs.Submit(f.ctx, client.Spec{Name: "job.yaml", Text: []byte(s.yaml(f.broker.Addresses(), dir))})
	f.check(err)
	return job{fixture: f, id: submitted.ID, dir: dir}
}

// poll calls done until it is true.
func (f *fixture) poll(what string, done func() bool) {
	f.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-f.ctx.Done():
			f.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// end waits until the job has ended and fails unless it did so with the status.
func (j job) end(status string) {
	j.t.Helper()
	var now client.Job
	j.poll("end of the job, as "+status, func() bool {
		var err error
		now, err = j.jobs.Job(j.ctx, j.id)
		j.check(err)
		return client.Terminal(now.State)
	})
	if now.State != status {
		cause, err := j.jobs.RootCause(j.ctx, j.id)
		j.t.Fatalf("the job is %s, want %s: %s (%v)", now.State, status, cause, err)
	}
}

// failure waits until the newest failure of the job says all of that.
func (j job) failure(parts ...string) {
	j.t.Helper()
	j.poll(fmt.Sprintf("a failure with %q", parts), func() bool {
		cause, err := j.jobs.RootCause(j.ctx, j.id)
		j.check(err)
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(cause, part) })
	})
}

// running waits until all subtasks of the job run.
func (j job) running() {
	j.t.Helper()
	j.poll("all subtasks run", func() bool {
		now, err := j.jobs.Job(j.ctx, j.id)
		j.check(err)
		return len(now.Vertices) > 0 && !slices.ContainsFunc(now.Vertices, func(v client.Vertex) bool { return v.Status != "RUNNING" })
	})
}

// read waits until so many records are read, by partition. What is produced to several partitions at once may be read in any
// order: where idle partitions make that matter, one is read before the other is produced.
func (j job) read(records ...int64) {
	j.t.Helper()
	j.poll(fmt.Sprintf("%v records are read", records), func() bool {
		splits, err := j.jobs.Splits(j.ctx, j.id)
		j.check(err)
		var offsets []int64
		for _, s := range splits {
			offsets = append(offsets, s.Offset)
		}
		return slices.Equal(offsets, records)
	})
}

// cancel ends the job.
func (j job) cancel() {
	j.t.Helper()
	j.check(j.jobs.Cancel(j.ctx, j.id))
	j.end(client.Canceled)
}

// rows returns the rows of the finished files, sorted.
func (j job) rows() []string {
	j.t.Helper()
	rows := []string{}
	files, err := filepath.Glob(filepath.Join(j.dir, "part-*.csv"))
	j.check(err)
	for _, path := range files {
		text, err := os.ReadFile(path)
		j.check(err)
		if len(text) == 0 || text[len(text)-1] != '\n' {
			j.t.Errorf("%s does not end with a whole row", path)
		}
		rows = append(rows, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	slices.Sort(rows)
	return rows
}

// wantRows fails unless the finished files hold just these rows.
func (j job) wantRows(want []string) {
	j.t.Helper()
	if diff := cmp.Diff(want, j.rows()); diff != "" {
		j.t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

// awaitRows waits until the finished files hold just these rows.
func (j job) awaitRows(want []string) {
	j.t.Helper()
	j.poll(fmt.Sprintf("%d rows", len(want)), func() bool { return len(j.rows()) >= len(want) })
	j.wantRows(want)
}

// nothingHidden fails if the job has left a file that is not finished.
func (j job) nothingHidden() {
	j.t.Helper()
	err := filepath.WalkDir(j.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(entry.Name(), ".part-") {
			j.t.Errorf("%s was left behind", path)
		}
		return err
	})
	j.check(err)
}
