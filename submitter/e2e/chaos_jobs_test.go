//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pencere/pkg/manifest"
	"pencere/pkg/manifestdir"
	"pencere/submitter/internal/client"
)

// jobKind is a job that runs during the blows, and what it must make of a topic.
type jobKind struct {
	name   string
	spec   string // bounded
	expect func(topic [][][]byte, bounded bool) expectation
}

// specHead is what all jobs share. A split is never idle: a row that comes after idleness is dropped by when it comes, and
// what is to be expected would not follow from the data.
const specHead = `
name: ${NAME}
parallelism: ${PARALLELISM}
source:
  kafka: {brokers: "${BROKER}", topic: "${TOPIC}", group: "${NAME}", start: earliest, bounded: latest}
  format: json
  schema:
    id: INT
    product: STRING
    description: STRING
    price: %[1]s
    kdv: %[2]s
    timestamp_column: TIMESTAMP(3)
  watermark: {column: timestamp_column, delay: 5s}
compute:
  price_with_kdv: price * (1 + kdv)
sink:
  csv: {path: "${OUT}"}
checkpoint: {interval: 200ms}
restart_strategy: {type: fixed-delay, attempts: 1000000, delay: 100ms}
`

var (
	listingsJob = jobKind{"listings", fmt.Sprintf(specHead, "BIGINT", "DOUBLE") + `
window:
  tumble: 20s
  group_by: [id, product, description, price, kdv, price_with_kdv]
select: [id, product, description, price, kdv, price_with_kdv, window_start]
`, expectListings}
	totalsJob = jobKind{"totals", fmt.Sprintf(specHead, "DECIMAL(20, 2)", "DECIMAL(4, 2)") + `
window:
  tumble: 20s
  group_by: [product]
  aggregates:
    listings: COUNT(*)
    total: SUM(price)
    total_with_kdv: SUM(price_with_kdv)
    cheapest: MIN(price)
    dearest: MAX(price)
select: [window_start, product, listings, total, total_with_kdv, cheapest, dearest]
`, expectTotals}
	passedJob = jobKind{"passed", fmt.Sprintf(specHead, "BIGINT", "DOUBLE") + `
where: price < 1000
select: [id, product, description, price, price_with_kdv]
`, expectPassed}
)

// chaosJob is a submitted job.
type chaosJob struct {
	jobKind
	name, id, out string
	variables     map[string]string // of the spec, which lies beside the output
	seen          sights
}

// sights is what was seen of a job while it ran.
type sights struct {
	restarts  int
	last      uint64 // checkpoint
	completed int64  // ms since 1970, when last was
	longest   time.Duration
}

// submit runs a job. When it is not certain that one was taken the list of jobs tells.
func (a *arena) submit(ctx context.Context, kind jobKind, name, topic, parallelism string, bounded bool) (*chaosJob, error) {
	j := &chaosJob{jobKind: kind, name: name, out: filepath.Join(a.out(), name)}
	text := kind.spec
	if !bounded {
		text = strings.Replace(text, ", bounded: latest", "", 1)
	}
	j.variables = map[string]string{"NAME": name, "PARALLELISM": parallelism, "BROKER": a.broker, "TOPIC": topic, "OUT": j.out}
	spec := client.Spec{Name: name + ".yaml", Text: []byte(text), Vars: j.variables}
	if err := os.WriteFile(j.file(), spec.Text, 0o600); err != nil {
		return nil, err
	}
	for {
		submitted, err := a.jobs.Submit(ctx, spec)
		if _, unclear := errors.AsType[*client.AmbiguousError](err); !unclear {
			j.id = submitted.ID
			return j, err
		}
		jobs, err := a.jobs.Jobs(ctx)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(jobs, func(s client.JobSummary) bool { return s.Name == name }); i >= 0 {
			j.id = jobs[i].ID
			return j, nil
		}
	}
}

// file is the job spec's.
func (j *chaosJob) file() string { return j.out + ".yaml" }

// verify runs submitter verify --replay over what a job has written: the manifest and the records of the topic must both prove it. A job
// that was cancelled is intact, and has no end.
func (a *arena) verify(ctx context.Context, j *chaosJob, ended bool) error {
	args := []string{"verify", "--json", "--replay", j.file(), j.out}
	for name, value := range j.variables {
		args = append(args, "--var", name+"="+value)
	}
	text, err := exec.CommandContext(ctx, program(a.t, "submitter"), args...).Output()
	var answer struct {
		Result struct {
			Proved   bool               `json:"proved"`
			Problems []manifest.Problem `json:"problems"`
			Replayed []struct {
				Missing int64  `json:"missing_rows"`
				Extra   int64  `json:"extra_rows"`
				Failure string `json:"failure"`
				Rows    int64  `json:"rows"`
			} `json:"replayed"`
		} `json:"result"`
	}
	if failed := json.Unmarshal(text, &answer); failed != nil {
		return errors.Join(err, failed)
	}
	r := answer.Result
	intact := !slices.ContainsFunc(r.Problems, func(p manifest.Problem) bool { return ended || p.Kind != manifest.NotEnded })
	if !intact || r.Proved != ended || len(r.Replayed) != 1 || r.Replayed[0].Missing+r.Replayed[0].Extra > 0 || r.Replayed[0].Failure != "" {
		return fmt.Errorf("%s: submitter %s:\n%s", j.name, strings.Join(args, " "), text)
	}
	a.replayed.Add(r.Replayed[0].Rows)
	return nil
}

// look notes how a job is doing, and returns its status; "" when the jobmanager does not tell.
func (a *arena) look(ctx context.Context, j *chaosJob) string {
	var job client.Job
	if a.get(ctx, "/jobs/"+j.id, &job) != nil {
		return ""
	}
	j.seen.restarts = max(j.seen.restarts, job.Restarts)
	var checkpoints struct {
		Latest struct {
			Completed *struct {
				ID  uint64 `json:"id"`
				Ack int64  `json:"latest_ack_timestamp"`
			} `json:"completed"`
		} `json:"latest"`
	}
	if a.get(ctx, "/jobs/"+j.id+"/checkpoints", &checkpoints) != nil || checkpoints.Latest.Completed == nil {
		return job.State
	}
	if c := checkpoints.Latest.Completed; c.ID > j.seen.last {
		if j.seen.last > 0 {
			j.seen.longest = max(j.seen.longest, time.Duration(c.Ack-j.seen.completed)*time.Millisecond)
		}
		j.seen.last, j.seen.completed = c.ID, c.Ack
	}
	return job.State
}

// watch looks at jobs until ctx ends.
func (a *arena) watch(ctx context.Context, jobs []*chaosJob) {
	_ = poll(ctx, 250*time.Millisecond, func() (bool, error) { // only ctx ends it
		for _, j := range jobs {
			if status := a.look(ctx, j); client.Terminal(status) {
				return true, a.failure(j, status)
			}
		}
		return false, nil
	})
}

// failure tells of a job that ended otherwise than it should have.
func (a *arena) failure(j *chaosJob, status string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cause, err := a.jobs.RootCause(ctx, j.id)
	failed := fmt.Errorf("job %s (%s) is %s: %s", j.name, j.id, status, cmp.Or(cause, fmt.Sprint(err)))
	a.t.Error(failed)
	return failed
}

// backfill runs bounded jobs over a topic one after the other until ctx ends, and checks what each has written.
func (a *arena) backfill(ctx context.Context, f *feed) (finished []*chaosJob, err error) {
	topic, err := readTopic(context.WithoutCancel(ctx), a.broker, f.topic)
	if err != nil {
		return nil, err
	}
	kinds := []jobKind{listingsJob, passedJob, totalsJob}
	for n := 0; ctx.Err() == nil; n++ {
		kind := kinds[n%len(kinds)]
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		j, err := a.runBounded(within, kind, fmt.Sprintf("backfill-%d-%s", n, kind.name), f.topic)
		cancel()
		if err != nil {
			return finished, err
		}
		if err := j.compare(kind.expect(topic, true)); err != nil {
			return finished, err
		}
		finished = append(finished, j)
	}
	return finished, nil
}

func (a *arena) runBounded(ctx context.Context, kind jobKind, name, topic string) (*chaosJob, error) {
	j, err := a.submit(ctx, kind, name, topic, "2", true)
	if err != nil {
		return nil, fmt.Errorf("submit %s: %w", name, err)
	}
	err = poll(ctx, 100*time.Millisecond, func() (bool, error) {
		switch status := a.look(ctx, j); {
		case status == client.Finished:
			return true, nil
		case client.Terminal(status):
			return true, a.failure(j, status)
		}
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("run %s (%s): %w", name, j.id, err)
	}
	return j, nil
}

// settle waits until a job has written what it must and its ledger says the same, and then ends it.
func (a *arena) settle(ctx context.Context, j *chaosJob, topic [][][]byte) error {
	want := j.expect(topic, false)
	err := poll(ctx, 100*time.Millisecond, func() (bool, error) {
		rows, err := j.rows()
		if status := a.look(ctx, j); client.Terminal(status) {
			return true, a.failure(j, status)
		}
		return len(rows) >= want.counted(), err
	})
	if err != nil {
		return errors.Join(fmt.Errorf("wait for the rows: %w", err), j.compare(want))
	}
	if err := a.awaitLedger(ctx, j, want); err != nil {
		return errors.Join(err, j.compare(want))
	}
	if err := a.jobs.Cancel(ctx, j.id); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	if err := poll(ctx, 50*time.Millisecond, func() (bool, error) { return a.look(ctx, j) == client.Canceled, nil }); err != nil {
		return fmt.Errorf("wait until it is canceled: %w", err)
	}
	return errors.Join(j.compare(want), a.verify(ctx, j, false))
}

// ledgerEntry is an account of a partition's records.
type ledgerEntry struct {
	Topic        string `json:"topic"`
	Partition    int    `json:"partition"`
	Read         int64  `json:"read"`
	Emitted      int64  `json:"emitted"`
	Filtered     int64  `json:"filtered"`
	Late         int64  `json:"late"`
	DeadLettered int64  `json:"dead-lettered"`
	Skipped      int64  `json:"skipped"`
	Collapsed    int64  `json:"collapsed"`
	Open         int64  `json:"open"`
}

// awaitLedger waits until the ledger says what is expected.
func (a *arena) awaitLedger(ctx context.Context, j *chaosJob, want expectation) error {
	var differs error
	err := poll(ctx, 100*time.Millisecond, func() (bool, error) {
		var answer struct {
			Balanced  bool          `json:"balanced"`
			Imbalance string        `json:"imbalance"`
			Splits    []ledgerEntry `json:"splits"`
		}
		if differs = a.get(ctx, "/jobs/"+j.id+"/ledger", &answer); differs != nil {
			return false, nil //nolint:nilerr // it is asked again, and the last answer is told
		}
		if !answer.Balanced {
			return true, fmt.Errorf("the engine says: %s", answer.Imbalance)
		}
		differs = want.account(answer.Splits)
		return differs == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the ledger: %w: %w", err, differs)
	}
	return nil
}

// account compares a ledger with what is expected.
func (e expectation) account(ledger []ledgerEntry) error {
	if len(ledger) != len(e.read) {
		return fmt.Errorf("the ledger has %d splits of %d", len(ledger), len(e.read))
	}
	var emitted, open int64
	for _, l := range ledger {
		p := l.Partition
		if l.Read != e.read[p] || l.Late != e.late[p] || l.Skipped != e.skipped[p] || l.Filtered != e.filtered[p] {
			return fmt.Errorf("ledger of partition %d is %+v, want %d read, %d late, %d skipped, %d filtered",
				p, l, e.read[p], e.late[p], e.skipped[p], e.filtered[p])
		}
		if l.Read != l.Emitted+l.Filtered+l.Late+l.DeadLettered+l.Skipped+l.Collapsed+l.Open {
			return fmt.Errorf("ledger of partition %d does not balance: %+v", p, l)
		}
		emitted += l.Emitted
		open += l.Open
	}
	if emitted != int64(e.counted()) || open != e.open {
		return fmt.Errorf("the ledger has %d rows emitted and %d open, want %d and %d", emitted, open, e.counted(), e.open)
	}
	return nil
}

// rows returns the rows of the finished files.
func (j *chaosJob) rows() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(j.out, "[^._]*"))
	if err != nil {
		return nil, err
	}
	var rows []string
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(text) {
			rows = append(rows, string(bytes.TrimSuffix(line, []byte("\n"))))
		}
	}
	return rows, nil
}

// compare checks the output of a job that has ended: the rows with how often each is there, that its manifest
// proves them, and that no file is unfinished.
func (j *chaosJob) compare(want expectation) error {
	rows, err := j.rows()
	if err != nil {
		return err
	}
	differs := make(map[string]int) // how often a row is there too often
	for row, times := range want.rows {
		differs[row] = -times
	}
	for _, row := range rows {
		differs[row]++
	}
	var missing, extra []string
	for row, times := range differs {
		switch {
		case times < 0:
			missing = append(missing, fmt.Sprintf("%d x %s", -times, row))
		case times > 0 && want.rows[row] > 0:
			extra = append(extra, fmt.Sprintf("%d x %s (doubled)", times, row))
		case times > 0:
			extra = append(extra, fmt.Sprintf("%d x %s", times, row))
		}
	}
	var errs []error
	for what, list := range map[string][]string{"missing": missing, "too many": extra} {
		if len(list) > 0 {
			slices.Sort(list)
			errs = append(errs, fmt.Errorf("%s (%s): %d different rows %s of %d, such as\n\t%s", j.name, j.out, len(list), what,
				want.counted(), strings.Join(list[:min(10, len(list))], "\n\t")))
		}
	}
	proof, err := manifestdir.Verify(os.DirFS(j.out))
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	if !proof.Intact() {
		errs = append(errs, fmt.Errorf("%s: the manifest does not prove the directory:\n%s", j.name, proof))
	}
	hidden, err := filepath.Glob(filepath.Join(j.out, ".*"))
	if len(hidden) > 0 {
		errs = append(errs, fmt.Errorf("%s: the job has ended and left unfinished files: %v", j.name, hidden))
	}
	return errors.Join(append(errs, err)...)
}
