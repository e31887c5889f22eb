package jobmaster

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/manifest"
	"pencere/pkg/plan"

	"github.com/google/go-cmp/cmp"
)

// kept is a job as the log has it.
type kept struct {
	*testing.T
	job     *storagev1.Job
	program *plan.Program
}

func newKept(t *testing.T) *kept {
	return &kept{t, &storagev1.Job{JobId: "j", Name: "listings", Plan: []byte("plan")}, &plan.Program{Job: plan.Job{Sink: plan.Sink{CSV: &plan.CSVSink{Path: "out"}}}}}
}

// audit reads the manifest as a jobmanager does that takes the job over.
func (k *kept) audit(version string) audit {
	k.Helper()
	a, err := newAudit(k.job, k.program, version)
	if err != nil {
		k.Fatal(err)
	}
	return a
}

// take commits a checkpoint that has read so far and has these files pending, and returns the entries of its manifest.
func (k *kept) take(version string, id checkpoint.ID, next int64, last bool, numbers ...int) []manifest.Entry {
	k.Helper()
	c := checkpoint.Checkpoint{ID: id, MaxParallelism: 1, States: []checkpoint.State{{Splits: []checkpoint.Split{{Topic: "in", Next: next}}}}}
	for _, n := range numbers {
		c.States[0].Sink.Pending = append(c.States[0].Sink.Pending, checkpoint.PartFile{
			Name: fmt.Sprintf("part-j-0-%d.csv", n), Rows: 1, Bytes: 1, SHA256: sha256.Sum256([]byte{byte(n)}), WindowStart: 10, WindowEnd: 20,
		})
	}
	a, err := k.audit(version).extend(c, []kafka.Split{{Topic: "in", Start: 5}}, last)
	command := &storagev1.CompleteCheckpoint{}
	if err == nil {
		err = a.store(command)
	}
	if err != nil {
		k.Fatal(err)
	}
	k.job.ManifestHead = command.GetManifestHead()
	k.job.Checkpoints = []*storagev1.CompletedCheckpoint{{ManifestEntries: command.GetManifestEntries()}}
	again := k.audit(version)
	if diff := cmp.Diff(a.files, again.files); diff != "" || a.hash() != again.hash() || (a.end == nil) == last {
		k.Fatalf("another jobmanager reads another manifest: %s, then %s\n%s", a.hash(), again.hash(), diff)
	}
	entries := again.files
	if again.end != nil {
		entries = append(entries, *again.end)
	}
	return entries
}

// The chain goes on under each jobmanager that takes the job over; a file that comes again keeps its entry, and so does the
// end if nothing was added.
func TestManifestOverRestarts(t *testing.T) {
	k := newKept(t)
	first := k.take("v1", 1, 9, false, 0)
	if len(k.take("v1", 2, 11, false)) != 0 {
		t.Error("a checkpoint without files has entries")
	}
	second := k.take("v2", 3, 15, false, 1, 2)
	third := k.take("v3", 4, 20, false, 2, 3) // file 2 was not published in time
	if diff := cmp.Diff(second[1], third[0]); diff != "" {
		t.Errorf("a file that comes again has another entry:\n%s", diff)
	}
	ended := k.take("v3", 5, 22, true, 4)
	again := k.take("v4", 6, 22, true)
	if diff := cmp.Diff(ended[1], again[0]); diff != "" {
		t.Errorf("the end of a job that ended before is another:\n%s", diff)
	}
	var found manifest.Inventory
	for _, e := range []manifest.Entry{first[0], second[0], second[1], third[1], ended[0], again[0]} {
		entry := manifest.FoundEntry{Name: e.Name(), Entry: e}
		if e.File != nil {
			entry.Part = manifest.FoundPart{SHA256: e.File.SHA256, Rows: 1, Bytes: 1}
			found.Parts = append(found.Parts, e.File.Name)
		}
		found.Entries = append(found.Entries, entry)
	}
	report := manifest.Audit(found)
	want := []manifest.OffsetRange{{Topic: "in", From: 5, To: 22}}
	if diff := cmp.Diff(want, report.Jobs[0].Offsets); !report.Proved() || diff != "" {
		t.Errorf("the chain is not whole:\n%s%s", report, diff)
	}
	if w := *first[0].File.Window; w != (manifest.Window{Start: 10, End: 20}) || first[0].File.Quote != `"` {
		t.Errorf("entry of the first file: %+v, window %+v", *first[0].File, w)
	}
}

// A job that fails after its last checkpoint and reads on has another end, after what it wrote since.
func TestManifestAfterLastCheckpoint(t *testing.T) {
	k := newKept(t)
	k.take("v1", 1, 9, true, 0)
	if entries := k.take("v1", 2, 12, true, 1); entries[0].Sequence != 1 || entries[1].Sequence != 2 {
		t.Errorf("entries %d and %d, want 1 and 2", entries[0].Sequence, entries[1].Sequence)
	}
}

// Files of state that has no digests get no entries; what cannot be chained is an error.
func TestManifestRefuses(t *testing.T) {
	k := newKept(t)
	a := k.audit("v1")
	old := checkpoint.Checkpoint{ID: 1, States: []checkpoint.State{{Sink: checkpoint.Sink{Pending: []checkpoint.PartFile{{Name: "part-j-0-0.csv"}}}}}}
	if got, err := a.extend(old, nil, false); err != nil || len(got.files) != 0 {
		t.Errorf("%d entries, %v", len(got.files), err)
	}
	k.take("v1", 7, 9, false, 0)
	back := checkpoint.Checkpoint{ID: 8, States: []checkpoint.State{{
		Splits: []checkpoint.Split{{Topic: "in", Next: 6}},
		Sink:   checkpoint.Sink{Pending: []checkpoint.PartFile{{Name: "part-j-0-1.csv", SHA256: [32]byte{1}}}},
	}}}
	if _, err := k.audit("v1").extend(back, []kafka.Split{{Topic: "in", Start: 5}}, false); err == nil {
		t.Error("a checkpoint that reads less than the one before is chained")
	}
	k.job.ManifestHead = []byte("{")
	if _, err := newAudit(k.job, k.program, "v1"); err == nil {
		t.Error("half a head is read")
	}
}
