package localcluster_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pencere/submitter/internal/client"
)

// resume starts a job from a savepoint; it writes to the directory of an earlier one.
func (j job) resume(s spec, savepoint string) job {
	j.t.Helper()
	submitted, err := j.jobs.Submit(j.ctx, client.Spec{
		Name: "job.yaml", Text: []byte(s.yaml(j.broker.Addresses(), j.dir)), Savepoint: savepoint,
	})
	j.check(err)
	return job{fixture: j.fixture, id: submitted.ID, dir: j.dir}
}

// wantRefused fails unless the job may not go on from a savepoint, for a reason that says these words.
func (j job) wantRefused(s spec, savepoint string, words ...string) {
	j.t.Helper()
	_, err := j.jobs.Submit(j.ctx, client.Spec{Name: "job.yaml", Text: []byte(s.yaml(j.broker.Addresses(), j.dir)), Savepoint: savepoint})
	var refused *client.APIError
	if !errors.As(err, &refused) || refused.Status != 400 {
		j.t.Fatalf("the job was not refused for %q: %v", words, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			j.t.Errorf("%q is not in the reason: %v", w, err)
		}
	}
}

// consumed waits until so many records were read.
func (j job) consumed(records int64) {
	j.t.Helper()
	j.poll("records are read", func() bool {
		splits, err := j.jobs.Splits(j.ctx, j.id)
		j.check(err)
		var read int64
		for _, s := range splits {
			read += s.Offset
		}
		return len(splits) > 0 && read >= records
	})
}

// cutAt returns the first n records of each partition and the others.
func cutAt(topic partitions, n int) (before, after partitions) {
	for _, p := range topic {
		before, after = append(before, p[:n]), append(after, p[n:])
	}
	return before, after
}

// A job that is stopped in the middle of a stream and goes on at another parallelism writes each row once, whatever was in its windows.
func TestStopAndGoOn(t *testing.T) {
	for _, parallelism := range []struct{ before, after int }{{1, 2}, {2, 1}, {3, 4}} {
		t.Run("", func(t *testing.T) {
			f := newFixture(t, 2)
			topic := spread(3, 600)
			first, second := cutAt(topic, len(topic[0])/2)
			s := spec{topic: f.topic(first), parallelism: parallelism.before}
			j := f.submit(s)
			j.running()
			j.consumed(int64(len(first[0]) + len(first[1]) + len(first[2])))
			savepoints := t.TempDir()
			location, err := f.jobs.Stop(f.ctx, j.id, savepoints, false)
			f.check(err)
			j.end(client.Finished)
			j.nothingHidden()
			if name := filepath.Base(location); !strings.HasPrefix(name, "savepoint-"+j.id[:6]+"-") {
				t.Errorf("the savepoint is at %s", location)
			}
			last := records(at(1_000_000, 1_000_000))
			f.produce(s.topic, second)
			f.produce(s.topic, partitions{last, last, last})
			s.parallelism = parallelism.after
			again := j.resume(s, location)
			want, _ := s.oracle(topic)
			again.awaitRows(want)
			again.cancel()
			again.wantRows(want)
		})
	}
}

// A savepoint of a job that goes on is whole in itself: it serves when the job, its state and its files are gone.
func TestSavepointIsSelfContained(t *testing.T) {
	f := newFixture(t, 1)
	topic := spread(2, 400)
	first, second := cutAt(topic, 200)
	s := spec{topic: f.topic(first), parallelism: 1}
	j := f.submit(s)
	j.running()
	j.consumed(400)
	location, err := f.jobs.Savepoint(f.ctx, j.id, t.TempDir())
	f.check(err)
	moved := filepath.Join(t.TempDir(), "moved")
	f.check(os.Rename(strings.TrimPrefix(location, "file:"), moved))
	j.poll("the files of the savepoint are published", func() bool {
		files, err := filepath.Glob(filepath.Join(j.dir, ".part-*"))
		f.check(err)
		return !slices.ContainsFunc(files, func(name string) bool { return !strings.Contains(name, "inprogress") })
	})
	published := j.rows()
	j.cancel()
	j.wantRows(published)
	last := records(at(1_000_000, 1_000_000))
	f.produce(s.topic, second)
	f.produce(s.topic, partitions{last, last})
	s.parallelism = 2
	again := j.resume(s, moved)
	want, _ := s.oracle(topic)
	again.awaitRows(want)
	again.cancel()
}

// A drained job has fired all its windows, and no other goes on with them.
func TestDrain(t *testing.T) {
	f := newFixture(t, 1)
	topic := partitions{records(at(1, 10), at(2, 200)), records(at(3, 20))}
	s := spec{topic: f.topic(topic), parallelism: 2}
	j := f.submit(s)
	j.running()
	j.consumed(3)
	location, err := f.jobs.Stop(f.ctx, j.id, t.TempDir(), true)
	f.check(err)
	j.end(client.Finished)
	want, _ := s.oracle(topic)
	j.wantRows(want)
	j.wantRefused(s, location, "--drain")
}

// What does not fit a savepoint is refused before anything runs, with the place and the remedy.
func TestRefusedChanges(t *testing.T) {
	f := newFixture(t, 1)
	s := spec{topic: f.topic(spread(2, 50)), parallelism: 1}
	j := f.submit(s)
	j.running()
	j.consumed(50)
	location, err := f.jobs.Stop(f.ctx, j.id, t.TempDir(), false)
	f.check(err)
	changed := s
	changed.window = 60_000_000_000
	j.wantRefused(changed, location, "window size", "120000 ms", "60000 ms", "GroupWindowAggregate")
	changed = s
	changed.passThrough = true
	j.wantRefused(changed, location, "GroupWindowAggregate", "--allow-non-restored-state")
	changed = s
	changed.bounded = true
	j.wantRefused(changed, location, "bounded")
	changed = s
	changed.topic = f.topic(partitions{nil})
	j.wantRefused(changed, location, "topic "+s.topic)
	j.wantRefused(s, t.TempDir(), "_metadata")
	j.wantRefused(s, filepath.Join(t.TempDir(), "gone"), "gone")

	// Without its windows it goes on where it is allowed, from the start, for then the source is another vertex too.
	changed = s
	changed.passThrough = true
	submitted, err := f.jobs.Submit(f.ctx, client.Spec{
		Name: "job.yaml", Text: []byte(changed.yaml(f.broker.Addresses(), t.TempDir())), Savepoint: location, AllowNonRestoredState: true,
	})
	f.check(err)
	job{fixture: f, id: submitted.ID}.cancel()
}

// What cannot be is said at once, and the job goes on.
func TestSavepointRefused(t *testing.T) {
	f := newFixture(t, 1)
	s := spec{topic: f.topic(spread(2, 50)), parallelism: 1}
	j := f.submit(s)
	j.running()
	var refused *client.APIError
	if _, err := f.jobs.Savepoint(f.ctx, j.id, ""); !errors.As(err, &refused) || !strings.Contains(err.Error(), "No savepoint location given") {
		t.Errorf("without a directory: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	f.check(os.WriteFile(file, nil, 0o644))
	if _, err := f.jobs.Stop(f.ctx, j.id, file, false); !errors.As(err, &refused) || !strings.Contains(err.Error(), "create savepoint directory at file:"+file) {
		t.Errorf("where no directory can be: %v", err)
	}
	j.running()
	j.cancel()
	if _, err := f.jobs.Savepoint(f.ctx, j.id, t.TempDir()); !errors.As(err, &refused) || refused.Status != 409 {
		t.Errorf("of a job that has ended: %v", err)
	}
}
