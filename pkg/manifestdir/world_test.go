package manifestdir

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing/fstest"

	"pencere/pkg/manifest"

	"pgregory.net/rapid"
)

// world is a directory that jobs wrote, in memory.
type world struct {
	files   fstest.MapFS
	entries []manifest.Entry // of the job "a", the last one its end
}

// drawWorld makes a directory of the finished job "a", of further jobs, and of files that are neither parts nor entries.
func drawWorld(t *rapid.T) world {
	w := world{files: fstest.MapFS{"README": text("not ours"), ".part-a-0-99.inprogress.2": text("half a ro"), "sub/part-x": text("x")}}
	w.entries = w.addJob(t, "a", 1)
	for _, job := range []string{"b", "c"}[:rapid.IntRange(0, 2).Draw(t, "more jobs")] {
		w.addJob(t, job, 0)
	}
	return w
}

func text(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }

// addJob adds the files of a job that finished.
func (w world) addJob(t *rapid.T, job string, leastFiles int) []manifest.Entry {
	positions := []manifest.OffsetRange{{Topic: "in", Partition: 0, From: 3, To: 3}, {Topic: "in", Partition: 1}}
	var head manifest.Head
	var all []manifest.Entry
	id := int64(0)
	for range rapid.IntRange(1, 5).Draw(t, "checkpoints") {
		id += rapid.Int64Range(1, 3).Draw(t, "checkpoints without files")
		for i := range positions {
			positions[i].To += rapid.Int64Range(1, 100).Draw(t, "read")
		}
		var files []manifest.File
		for n := range max(leastFiles, rapid.IntRange(0, 3).Draw(t, "files")) {
			files = append(files, w.addPart(t, fmt.Sprintf("part-%s-%d-%d.csv", job, n, id)))
		}
		next, entries, err := manifest.Chain(head, manifest.Checkpoint{ID: id, Job: job, JobName: "job " + job, Offsets: positions}, files)
		if err != nil {
			t.Fatal(err)
		}
		head, all = next, append(all, entries...)
	}
	_, end, err := manifest.End(head, manifest.Checkpoint{ID: id, Job: job, JobName: "job " + job, Offsets: positions})
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, end)
	for _, entry := range all {
		w.put(t, entry)
	}
	return all
}

func (w world) addPart(t *rapid.T, name string) manifest.File {
	var content bytes.Buffer
	rows := rapid.IntRange(1, 6).Draw(t, "rows")
	for row := range rows {
		fmt.Fprintf(&content, "%s,%d,%s\n", name, row, rapid.SampledFrom([]string{"plain", "\"two\nlines\"", `"a ""quote"""`}).Draw(t, "text"))
	}
	w.files[name] = &fstest.MapFile{Data: content.Bytes()}
	return manifest.File{Name: name, SHA256: manifest.Sum(content.Bytes()), Rows: int64(rows), Bytes: int64(content.Len()), Quote: `"`}
}

func entryPath(e manifest.Entry) string { return path.Join(manifest.Dir, e.Name()) }

func (w world) put(t *rapid.T, e manifest.Entry) {
	encoded, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.files[entryPath(e)] = &fstest.MapFile{Data: encoded}
}

// edit puts an entry in place of another with a hash of its own that is right again.
func (w world) edit(t *rapid.T, place, e manifest.Entry) {
	e.Hash = e.ComputeHash()
	encoded, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.files[entryPath(place)] = &fstest.MapFile{Data: encoded}
}

// drawFileEntry draws one of the entries that have a part file.
func (w world) drawFileEntry(t *rapid.T) (index int, e manifest.Entry) {
	index = rapid.IntRange(0, len(w.entries)-2).Draw(t, "entry")
	e = w.entries[index]
	file := *e.File
	e.File = &file
	e.Checkpoint.Offsets = slices.Clone(e.Checkpoint.Offsets)
	if e.Previous != nil {
		previous := *e.Previous
		e.Previous = &previous
	}
	return index, e
}

func (w world) verify(t rapid.TB) manifest.Report {
	report, err := Verify(w.files)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// accused returns the part files, or ends of chains, that the problems of a report are about.
func accused(r manifest.Report) []string {
	names := map[string]bool{}
	for _, problem := range r.Problems {
		names[strings.TrimSuffix(path.Base(problem.File), ".json")] = true
	}
	return slices.Sorted(maps.Keys(names))
}
