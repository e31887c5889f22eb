package localcluster_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pencere/pkg/manifest"
	"pencere/pkg/manifestdir"
	"pencere/submitter/internal/client"

	"github.com/google/go-cmp/cmp"
)

// report verifies the directory of a job.
func (j job) report() manifest.Report {
	j.t.Helper()
	report, err := manifestdir.Verify(os.DirFS(j.dir))
	j.check(err)
	return report
}

// proved fails unless the manifest of a job that finished proves its directory, with so many rows, of all records of the topic.
func (j job) proved(topic partitions, rows int) {
	j.t.Helper()
	report := j.report()
	if !report.Proved() || len(report.Jobs) != 1 || len(report.Notes) > 0 {
		j.t.Fatalf("not proved, or not by this one job, or with notes:\n%s", report)
	}
	if got := int(report.Totals.Rows); got != rows {
		j.t.Errorf("%d rows are proved, want %d", got, rows)
	}
	now, err := j.jobs.Job(j.ctx, j.id)
	j.check(err)
	if head := report.Jobs[0].Head.String(); head != now.ManifestHead {
		j.t.Errorf("the directory ends with %s, the jobmanager knows %s", head, now.ManifestHead)
	}
	read := []string{}
	for p, records := range topic {
		if len(records) > 0 {
			read = append(read, fmt.Sprintf("%d: [0, %d)", p, len(records)))
		}
	}
	covered := []string{}
	for _, r := range report.Jobs[0].Offsets {
		covered = append(covered, fmt.Sprintf("%d: [%d, %d)", r.Partition, r.From, r.To))
	}
	if diff := cmp.Diff(read, covered); diff != "" {
		j.t.Errorf("offsets (-read +covered):\n%s", diff)
	}
}

// intact fails unless all that is wrong with a job's directory is that the job has not finished.
func (j job) intact() {
	j.t.Helper()
	if report := j.report(); !report.Intact() {
		j.t.Errorf("not intact:\n%s", report)
	}
}

// A bounded job whose processes die in the middle is proved when it has finished; whatever is done to a file then is named.
func TestManifestSurvivesDeath(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			c := newChaos(t, seed)
			topic := c.listings(150_000)
			s := spec{parallelism: 2, bounded: true, restarts: 1000, topic: c.topic(topic)}
			j := c.submit(s)
			j.poll("files are finished", func() bool {
				files, err := filepath.Glob(filepath.Join(j.dir, "part-*.csv"))
				j.check(err)
				return len(files) > 0
			})
			for range 2 {
				c.kill()
			}
			j.poll("the jobmanager leads", func() bool { _, err := j.jobs.Job(j.ctx, j.id); return err == nil })
			j.end(client.Finished)
			want, _ := s.oracle(topic)
			j.wantRows(want)
			j.proved(topic, len(want))
			j.tamper()
		})
	}
}

// tamper changes a row of a file, keeping its length, and looks for the file's name in the report.
func (j job) tamper() {
	j.t.Helper()
	files, err := filepath.Glob(filepath.Join(j.dir, "part-*.csv"))
	j.check(err)
	text, err := os.ReadFile(files[0])
	j.check(err)
	text[0] ^= 1
	j.check(os.WriteFile(files[0], text, 0o600))
	name := filepath.Base(files[0])
	if report := j.report(); len(report.Problems) != 1 || report.Problems[0].Kind != manifest.Edited || report.Problems[0].File != name {
		j.t.Errorf("%s was edited, and the report is\n%s", name, report)
	}
	j.check(os.Remove(files[0]))
	if report := j.report(); !strings.Contains(report.String(), name+": missing") {
		j.t.Errorf("%s was removed, and the report is\n%s", name, report)
	}
}
