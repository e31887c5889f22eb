//go:build e2e

// Package e2e runs the built programs against a real Kafka, whose address is in PENCERE_KAFKA.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pencere/compose/jobs"
	"pencere/submitter/internal/client"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience bounds what a test waits for.
const patience = 2 * time.Minute

// programs builds the programs once and returns their directory.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pencere-e2e-")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir, "pencere/jobmanager", "pencere/taskmanager", "pencere/submitter")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	m.Run()
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir) // a temporary directory
	}
}

func kafkaBroker(t testing.TB) string {
	t.Helper()
	broker := os.Getenv("PENCERE_KAFKA")
	if broker == "" {
		t.Fatal("PENCERE_KAFKA is not set: these tests need host:port of a Kafka broker; .ci/e2e starts one")
	}
	return broker
}

// input is a topic and the rows that the reference job must make of it.
type input struct {
	broker, topic string
	rows          []string // sorted
}

// newInput makes a topic with listings of 20 minutes, some of them repeated, somewhat out of order, none late.
func newInput(t *testing.T, partitions int) input {
	t.Helper()
	const listings = 12_000
	in := input{broker: kafkaBroker(t), topic: fmt.Sprintf("sahibinden-%d", time.Now().UnixNano())}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(in.broker), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := kadm.NewClient(kafka).CreateTopic(ctx, int32(partitions), 1, nil, in.topic); err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2025, 3, 4, 12, 0, 0, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, uint64(partitions)))
	written := map[string]bool{}
	var records []*kgo.Record
	for i := range listings {
		at := noon.Add(time.Duration(i)*100*time.Millisecond + time.Duration(random.IntN(4000))*time.Millisecond)
		price, kdv := 100+i%977, []float64{0.01, 0.1, 0.18, 0.2}[i%4]
		value := fmt.Sprintf(`{"id":%d,"product":"Kitap","description":"ikinci el %d","price":%d,"kdv":%v,"timestamp_column":%q}`,
			i, i%7, price, kdv, at.Format("2006-01-02 15:04:05.000"))
		for range 1 + i%10/9 {
			records = append(records, &kgo.Record{Topic: in.topic, Partition: int32(random.IntN(partitions)), Value: []byte(value)})
		}
		written[fmt.Sprintf(`%d,Kitap,"ikinci el %d",%d,%s,%s,%q`, i, i%7, price, double(kdv), double(float64(price)*(1+kdv)),
			at.Truncate(2*time.Minute).Format("2006-01-02 15:04:05"))] = true
	}
	if err := kafka.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for row := range written {
		in.rows = append(in.rows, row)
	}
	slices.Sort(in.rows)
	return in
}

// double writes a number between 0.001 and 10,000,000 as Java does.
func double(v float64) string {
	digits := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(digits, ".") {
		digits += ".0"
	}
	return digits
}

// referenceJob is the reference job on an input, ending where the input does.
func referenceJob(t *testing.T, in input, parallelism int) string {
	t.Helper()
	spec := jobs.KDV2Min()
	for _, change := range [][2]string{
		{"topic: sahibinden", "topic: " + in.topic},
		{"start: earliest", "start: earliest, bounded: latest"},
		{"parallelism: auto", "parallelism: " + strconv.Itoa(parallelism)},
	} {
		if strings.Count(spec, change[0]) != 1 {
			t.Fatalf("the reference job does not hold %q once", change[0])
		}
		spec = strings.Replace(spec, change[0], change[1], 1)
	}
	path := filepath.Join(t.TempDir(), "kdv-2min.yaml")
	if err := os.WriteFile(path, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rowsIn returns the rows of the finished files of a directory, sorted. Nothing else but the manifest is there.
func rowsIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, path := range files {
		if filepath.Base(path) == "_manifest" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			rows = append(rows, string(bytes.TrimSuffix(line, []byte("\n"))))
		}
	}
	slices.Sort(rows)
	return rows
}

func TestReferenceJob(t *testing.T) {
	for _, taskManagers := range []int{1, 2} {
		c := startCluster(t, taskManagers, 2)
		for _, partitions := range []int{1, 4} {
			in := newInput(t, partitions)
			for _, parallelism := range []int{1, 2} {
				t.Run(fmt.Sprintf("taskmanagers=%d,partitions=%d,parallelism=%d", taskManagers, partitions, parallelism), func(t *testing.T) {
					out := t.TempDir()
					result := c.submitter("run", "-m", c.rest, "--wait", "--var", "KAFKA_BROKERS="+in.broker, "--var", "OUT_DIR="+out,
						referenceJob(t, in, parallelism))
					if diff := cmp.Diff(in.rows, rowsIn(t, out)); diff != "" {
						t.Errorf("rows differ (-want +got):\n%s", diff)
					}
					if written := result["rowsWritten"]; written != float64(len(in.rows)) {
						t.Errorf("the submitter counts %v rows, %d are written", written, len(in.rows))
					}
					c.submitter("verify", "-m", c.rest, out)
				})
			}
		}
	}
}

// The programs are there quickly: as a user sees it, and not at their best only.
func TestStartUp(t *testing.T) {
	const tries = 3
	answers, runs := time.Hour, time.Hour
	in := newInput(t, 4)
	for range tries {
		c := startCluster(t, 0, 0)
		if _, err := c.jobs.Overview(t.Context()); err != nil {
			t.Fatal(err)
		}
		answers = min(answers, time.Since(c.began))
	}
	c := startCluster(t, 2, 1)
	for range tries {
		runs = min(runs, c.timeToRun(in))
	}
	t.Logf("jobmanager: process start to REST answering: %s; job: submitted to RUNNING: %s (best of %d)", answers, runs, tries)
	if answers > 300*time.Millisecond {
		t.Errorf("REST answers %s after the process was started, want 300 ms", answers)
	}
	if runs > 500*time.Millisecond {
		t.Errorf("all subtasks run %s after the job was submitted, want 500 ms", runs)
	}
}

// timeToRun submits the reference job, unbounded, and returns how long it took until every subtask ran.
func (c *cluster) timeToRun(in input) time.Duration {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	began := time.Now()
	submitted, err := c.jobs.Submit(ctx, client.Spec{
		Name: "kdv-2min.yaml", Text: []byte(strings.Replace(jobs.KDV2Min(), "topic: sahibinden", "topic: "+in.topic, 1)),
		Vars: map[string]string{"KAFKA_BROKERS": in.broker, "OUT_DIR": c.t.TempDir()},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	runs := func(v client.Vertex) bool { return v.Status == "RUNNING" }
	c.awaitJob(ctx, submitted.ID, func(j client.Job) bool {
		return len(j.Vertices) > 0 && !slices.ContainsFunc(j.Vertices, func(v client.Vertex) bool { return !runs(v) })
	})
	took := time.Since(began)
	if err := c.jobs.Cancel(ctx, submitted.ID); err != nil {
		c.t.Fatal(err)
	}
	c.awaitJob(ctx, submitted.ID, func(j client.Job) bool { return j.State == client.Canceled })
	return took
}

// awaitJob looks at a job until it is as wanted.
func (c *cluster) awaitJob(ctx context.Context, id string, wanted func(client.Job) bool) {
	c.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		job, err := c.jobs.Job(ctx, id)
		if err != nil {
			c.t.Fatal(err)
		}
		if wanted(job) {
			return
		}
		if client.Terminal(job.State) {
			c.t.Fatalf("the job is %s", job.State)
		}
		<-tick.C
	}
}
