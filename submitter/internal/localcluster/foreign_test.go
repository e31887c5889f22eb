package localcluster_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pencere/submitter/internal/client"
)

// Files of others, half-written ones too, are neither read nor changed. One that has the name which a file of the job is to get
// stops the job until somebody moves it; what a dead attempt has left is removed.
func TestForeignFiles(t *testing.T) {
	f := newFixture(t, 1)
	dir := t.TempDir()
	foreign := map[string]string{
		"notes.txt":                               "not a row\n",
		"other.csv":                               "1,2,3\n",
		".part-00000000000a-0-0.inprogress.0":     "1,Kitap,\"half a r",
		".part-00000000000a-0-7.inprogress.12.gz": "\x1f\x8b",
	}
	f.write(dir, foreign)

	first, second := records(at(1, 10), at(2, 20), at(3, 130)), records(at(4, 140), at(5, 400))
	s := spec{topic: f.topic(partitions{first}), parallelism: 1, restarts: 1_000_000}
	j := f.submitTo(dir, s)
	want, _ := s.oracle(partitions{first[:2]})
	j.awaitRows(want)

	own, next := j.nextName()
	half, taken := "."+own+"90.inprogress.0", own+strconv.Itoa(next)+".csv"
	f.write(dir, map[string]string{half: "9,Kitap,\"half a r", taken: "9,9,9\n"})
	f.produce(s.topic, partitions{second})
	j.failure(taken, "move it away")
	if text, err := os.ReadFile(filepath.Join(dir, taken)); err != nil || string(text) != "9,9,9\n" {
		t.Errorf("%s holds %q, %v", taken, text, err)
	}
	f.check(os.Remove(filepath.Join(dir, taken)))
	want, _ = s.oracle(partitions{append(first, second[0])})
	j.awaitRows(want)
	j.cancel()

	there := map[string]string{}
	for name := range foreign {
		text, err := os.ReadFile(filepath.Join(dir, name))
		f.check(err)
		there[name] = string(text)
		f.check(os.Remove(filepath.Join(dir, name)))
	}
	if diff := cmp.Diff(foreign, there); diff != "" {
		t.Errorf("files of others (-before +after):\n%s", diff)
	}
	j.nothingHidden()
	j.intact()
}

// write makes files in a directory.
func (f *fixture) write(dir string, files map[string]string) {
	f.t.Helper()
	for name, text := range files {
		f.check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}

// nextName returns how the names of the files of the job's only subtask begin, and the number that the next one gets.
func (j job) nextName() (beginning string, number int) {
	j.t.Helper()
	files, err := filepath.Glob(filepath.Join(j.dir, "part-*-0-*.csv"))
	j.check(err)
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".csv")
		cut := strings.LastIndexByte(name, '-') + 1
		n, err := strconv.Atoi(name[cut:])
		j.check(err)
		beginning, number = name[:cut], max(number, n+1)
	}
	return beginning, number
}

// A taskmanager that had been believed dead and wakes may leave a file after the subtask's next attempt has cleaned up. When the job
// ends, nothing of it stays.
func TestNothingOfTheDeadOutlivesTheJob(t *testing.T) {
	f := newFixture(t, 1)
	topic := partitions{records(at(1, 10), at(2, 200))}
	s := spec{topic: f.topic(topic), parallelism: 1}
	j := f.submit(s)
	want, _ := s.oracle(partitions{topic[0][:1]})
	j.awaitRows(want)
	own, next := j.nextName()
	f.write(j.dir, map[string]string{"." + own + strconv.Itoa(next+90) + ".inprogress.0": "9,Kitap,\"half a r"})
	_, err := f.jobs.Stop(f.ctx, j.id, t.TempDir(), true)
	f.check(err)
	j.end(client.Finished)
	want, _ = s.oracle(topic)
	j.wantRows(want)
	j.nothingHidden()
	j.intact()
}
