package localcluster_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pencere/pkg/jobspec"
	"pencere/pkg/manifestdir"
	"pencere/submitter/internal/replay"

	"github.com/google/go-cmp/cmp"
)

func deadLetterDir(dir string) string { return dir + "-dead" }

// deadLetters returns the finished dead letters as spec.judge writes them, sorted.
func (j job) deadLetters() []string {
	j.t.Helper()
	var letters []string
	files, err := filepath.Glob(filepath.Join(deadLetterDir(j.dir), "part-*.csv"))
	j.check(err)
	for _, path := range files {
		file, err := os.Open(path)
		j.check(err)
		rows, err := csv.NewReader(file).ReadAll()
		j.check(err)
		j.check(file.Close())
		for _, row := range rows {
			kind, _, _ := strings.Cut(row[4], " ")
			letters = append(letters, strings.Join([]string{row[1], row[2], strings.TrimSuffix(kind, ":"), row[7]}, ","))
		}
	}
	slices.Sort(letters)
	return letters
}

// wantDeadLetters fails unless the finished files hold just these dead letters.
func (j job) wantDeadLetters(want []string) {
	j.t.Helper()
	if diff := cmp.Diff(want, j.deadLetters()); diff != "" {
		j.t.Errorf("dead letters differ (-want +got):\n%s", diff)
	}
}

// deadLettersProved fails unless the manifest of the dead letters proves their directory, with so many rows.
func (j job) deadLettersProved(rows int) {
	j.t.Helper()
	report, err := manifestdir.Verify(os.DirFS(deadLetterDir(j.dir)))
	j.check(err)
	if !report.Proved() || int(report.Totals.Rows) != rows {
		j.t.Fatalf("%d dead letters are not proved:\n%s", rows, report)
	}
	now, err := j.jobs.Job(j.ctx, j.id)
	j.check(err)
	if head := report.Jobs[0].Head.String(); head != now.DeadLetterHead {
		j.t.Errorf("the dead letters end with %s, the jobmanager knows %s", head, now.DeadLetterHead)
	}
}

// replayed fails unless the records give just the rows, or the dead letters, of a directory when they are evaluated again.
func (j job) replayed(s spec, content replay.Content, rows int) {
	j.t.Helper()
	dir := j.dir
	if content == replay.DeadLetters {
		dir = deadLetterDir(dir)
	}
	parsed, err := jobspec.Parse("job.yaml", []byte(s.yaml(j.broker.Addresses(), j.dir)), func(string) (string, bool) { return "", false })
	j.check(err)
	results, err := replay.Directory(j.ctx, parsed, content, os.DirFS(dir))
	j.check(err)
	if len(results) != 1 || !results[0].Same() || int(results[0].Rows) != rows || int(results[0].Found) != rows {
		j.t.Errorf("want %d rows in %s replayed: %v", rows, dir, results)
	}
}

// Whatever dies in the middle of a job, each late row and each bad record is one dead letter, and each other row is written once.
func TestDeadLettersExactlyOnce(t *testing.T) {
	for _, passThrough := range []bool{false, true} {
		for _, parallelism := range []int{1, 2} {
			for seed := range uint64(2) {
				t.Run(fmt.Sprintf("pass-through=%t,parallelism=%d,seed=%d", passThrough, parallelism, seed), func(t *testing.T) {
					t.Parallel()
					c := newChaos(t, seed)
					c.bad = true
					c.run(spec{parallelism: parallelism, passThrough: passThrough, restarts: 1000, window: 10 * time.Second, deadLetters: true})
				})
			}
		}
	}
}

// So it is with jobs that end by themselves, and then both directories are proved.
func TestDeadLettersToTheEnd(t *testing.T) {
	for _, passThrough := range []bool{false, true} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("pass-through=%t,seed=%d", passThrough, seed), func(t *testing.T) {
				t.Parallel()
				c := newChaos(t, seed)
				c.bad = true
				all := c.listings(20_000)
				s := spec{
					parallelism: 2, passThrough: passThrough, restarts: 1000, window: 10 * time.Second, bounded: true, topic: c.topic(all), deadLetters: true,
				}
				j := c.submit(s)
				c.killToTheEnd(j, 150*time.Millisecond)
				want, late, dead := s.judge(all)
				j.wantRows(want)
				j.wantDeadLetters(dead)
				j.nothingHidden()
				job{fixture: j.fixture, dir: deadLetterDir(j.dir)}.nothingHidden()
				j.proved(all, len(want))
				j.deadLettersProved(len(dead))
				j.replayed(s, replay.Rows, len(want))
				j.replayed(s, replay.DeadLetters, len(dead))
				ledger, err := c.jobs.Ledger(c.ctx, j.id)
				c.check(err)
				if total := ledger.Total; total.DeadLettered != int64(len(dead)) || total.Late != 0 || len(dead) <= late {
					t.Errorf("ledger has %d dead letters and %d late rows; there are %d, %d of them late", total.DeadLettered, total.Late, len(dead), late)
				}
			})
		}
	}
}

// Rows within the allowed lateness are written after their window has fired: each group once, whatever dies, and what comes later is
// a dead letter.
func TestAllowedLatenessExactlyOnce(t *testing.T) {
	for _, parallelism := range []int{1, 2} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("parallelism=%d,seed=%d", parallelism, seed), func(t *testing.T) {
				t.Parallel()
				c := newChaos(t, seed)
				c.run(spec{parallelism: parallelism, restarts: 1000, window: 10 * time.Second, lateness: 50 * time.Second, deadLetters: true})
			})
		}
	}
}
