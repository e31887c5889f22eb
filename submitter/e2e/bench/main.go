// Command bench measures whole jobs: it starts the real programs as processes, fills a topic, runs bounded jobs over it and
// reports the taskmanager's CPU time for a record beside that of a bare franz-go read of the same topic in the same run, so
// that figures of different machines and moments can be compared. It reads /proc and therefore needs Linux.
//
//	go run ./submitter/e2e/bench --runs 3 --jobs passthrough,reference
package main

import (
	"bytes"
	"context"
	"embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"pencere/submitter/internal/client"
)

//go:embed jobs/*.yaml
var specs embed.FS

// settings are the flags.
type settings struct {
	records int
	kafka   string
	runs    int
	jobs    string
	profile string
	json    bool
	latency time.Duration
	rate    int
	// rescales and groups are those of printPauses.
	rescales, groups int
	// taskManagers, fleetJobs and interval are those of printScale.
	taskManagers, fleetJobs int
	interval                time.Duration
}

func main() { os.Exit(exitCode()) } //nolint:forbidigo // this is main

func exitCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	handled, err := child(ctx, os.Args[1:], os.Stdin, os.Stdout)
	if !handled {
		err = run(ctx, os.Args[1:], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&s.records, "records", 3_000_000, "records in the topic")
	flags.StringVar(&s.kafka, "kafka", "", "host:port of a Kafka broker; none starts an embedded one in its own process")
	flags.IntVar(&s.runs, "runs", 3, "runs of each job")
	flags.StringVar(&s.jobs, "jobs", "passthrough,reference,aggregates,groups", "jobs to run; JOB@INTERVAL takes checkpoints that often, such as reference@10s,reference@1h")
	flags.DurationVar(&s.latency, "latency", 0, "measure for so long, in place of the jobs, how long after a window's end its rows are in a finished file")
	flags.IntVar(&s.rate, "rate", 50_000, "records a second for --latency")
	flags.IntVar(&s.rescales, "rescales", 0, "have taskmanagers join, leave and die so often, in place of the jobs, and measure for how long nothing is published")
	flags.IntVar(&s.groups, "groups", 1_000_000, "groups of the job for --rescales")
	flags.IntVar(&s.taskManagers, "taskmanagers", 0, "measure a jobmanager beside so many taskmanagers of 10 slots that run nothing, in place of the jobs")
	flags.IntVar(&s.fleetJobs, "fleet-jobs", 500, "jobs for --taskmanagers, which take all slots")
	flags.DurationVar(&s.interval, "interval", time.Hour, "between the checkpoints of each job for --taskmanagers")
	flags.StringVar(&s.profile, "profile", "", "directory for CPU and heap profiles of the taskmanager; none takes none")
	flags.BoolVar(&s.json, "json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.records < 1 || s.runs < 1 {
		return fmt.Errorf("--records %d and --runs %d must be 1 or more", s.records, s.runs)
	}
	dir, err := os.MkdirTemp("", "pencere-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in the temporary directory
	b := &bench{settings: s, dir: dir, topic: fmt.Sprintf("pencere-bench-%d", time.Now().UnixNano())}
	if s.latency > 0 {
		return b.printLatency(ctx, out)
	}
	if s.taskManagers > 0 {
		return b.printScale(ctx, out)
	}
	if s.rescales > 0 {
		return b.printPauses(ctx, out)
	}
	results, err := b.measure(ctx)
	if err != nil {
		return err
	}
	if s.json {
		return results.writeJSON(out)
	}
	return results.writeTable(out)
}

// bench is one use of the command.
type bench struct {
	settings
	dir    string
	topic  string
	counts distinct
}

func (b *bench) measure(ctx context.Context) (r report, err error) {
	for job := range strings.SplitSeq(b.jobs, ",") {
		if _, err := specOf(job); err != nil {
			return r, err
		}
	}
	if b.kafka == "" {
		address, stop, err := startBroker(ctx)
		if err != nil {
			return r, err
		}
		defer stop()
		b.kafka = address
		r.Broker = "embedded"
	} else {
		r.Broker = b.kafka
		defer func() { _ = remove(context.WithoutCancel(ctx), b.kafka, b.topic) }() // the broker's owner can, as well
	}
	if err := b.build(ctx); err != nil {
		return r, err
	}
	if b.counts, err = fill(ctx, b.kafka, b.topic, b.records); err != nil {
		return r, err
	}
	if r.Machine, err = thisMachine(runtime.NumCPU()); err != nil {
		return r, err
	}
	r.Records, r.RecordBytes = b.records, recordBytes
	// Run by run and not job by job: a noisy minute then touches each job once.
	for n := range b.runs {
		for job := range strings.SplitSeq(b.jobs, ",") {
			result, err := b.runJob(ctx, job, filepath.Join(b.dir, fmt.Sprintf("%s-%d", job, n)))
			if err != nil {
				return r, fmt.Errorf("run %d of %s: %w", n+1, job, err)
			}
			r.Runs = append(r.Runs, result)
		}
	}
	return r, nil
}

// specOf returns the spec of a job, or of JOB@INTERVAL.
func specOf(job string) ([]byte, error) {
	name, interval, given := strings.Cut(job, "@")
	text, err := specs.ReadFile("jobs/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no job %q: there are aggregates, groups, passthrough and reference", name)
	}
	if given {
		text = fmt.Appendf(text, "checkpoint: {interval: %s}\n", interval)
	}
	return text, nil
}

// build builds the programs as `make build` does.
func (b *bench) build(ctx context.Context) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.dir+"/",
		"pencere/jobmanager", "pencere/taskmanager")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, output)
	}
	return nil
}

// runJob runs a job once, on a cluster of its own that works in dir.
func (b *bench) runJob(ctx context.Context, job, dir string) (r result, err error) {
	r.Job = job
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return r, err
	}
	if r.Bare, err = measureBareRead(ctx, b.kafka, b.topic, b.records); err != nil {
		return r, err
	}
	c, err := startCluster(ctx, b.dir, dir, 1)
	if err != nil {
		return r, err
	}
	defer c.stop()
	r.AnsweredMs = milliseconds(c.answered)
	if r.IdleTaskManagerMiB, err = memoryOf(c.taskManager.pid(), residentNow); err != nil {
		return r, err
	}
	text, err := specOf(job)
	if err != nil {
		return r, err
	}
	out := filepath.Join(dir, "out")
	spec := client.Spec{Text: text, Name: job + ".yaml", Vars: map[string]string{"BROKERS": b.kafka, "TOPIC": b.topic, "OUT_DIR": out}}
	if err := b.measureJob(ctx, c, spec, &r); err != nil {
		return r, err
	}
	r.Rows, err = countRows(out)
	name, _, _ := strings.Cut(job, "@")
	if want := b.counts.expected(name, b.records); err == nil && r.Rows != want {
		err = fmt.Errorf("%s has %d rows, want %d", out, r.Rows, want)
	}
	return r, err
}

// measureJob runs a job to its end and notes what it took.
func (b *bench) measureJob(ctx context.Context, c *cluster, spec client.Spec, r *result) error {
	finishProfile := func() error { return nil }
	if b.profile != "" {
		finishProfile = startProfile(ctx, c.taskManager.address("metrics_addr"), filepath.Join(b.profile, r.Job))
	}
	before, err := cpuOf(c.taskManager.pid())
	if err != nil {
		return err
	}
	running, finished, err := c.runToEnd(ctx, spec)
	if err != nil {
		return err
	}
	after, err := cpuOf(c.taskManager.pid())
	if err != nil {
		return err
	}
	r.RunningMs = milliseconds(running)
	r.CPUMicros = float64((after - before).Microseconds()) / float64(b.records)
	r.RecordsPerSecond = float64(b.records) / finished.Seconds()
	if r.TaskManagerMiB, err = memoryOf(c.taskManager.pid(), residentPeak); err != nil {
		return err
	}
	if r.JobManagerMiB, err = memoryOf(c.jobManager.pid(), residentPeak); err != nil {
		return err
	}
	return finishProfile()
}

// countRows counts the lines of the part files in dir, all of which must be visible, beside their manifest. No text of the listings holds a line break.
func countRows(dir string) (rows int, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") {
			return 0, fmt.Errorf("%s is not finished", filepath.Join(dir, f.Name()))
		}
		if f.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return 0, err
		}
		rows += bytes.Count(text, []byte("\n"))
	}
	return rows, nil
}
