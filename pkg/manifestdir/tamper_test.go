package manifestdir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"testing"
	"testing/fstest"

	"pencere/pkg/manifest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A directory as it was written is proved, with all its files counted.
func TestVerifyProves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		report := w.verify(t)
		if !report.Proved() || !report.Intact() {
			t.Fatal(report)
		}
		parts := int64(0)
		for name := range w.files {
			if matched, _ := path.Match("part-*", name); matched {
				parts++
			}
		}
		last := w.entries[len(w.entries)-1]
		job := report.Jobs[0]
		if report.Totals.Files != parts || !job.Ended || job.Head != last.Hash || job.LastCheckpoint != last.Checkpoint.ID || len(job.Offsets) != 2 {
			t.Fatal(report)
		}
		if len(report.Notes) != 3 { // README, sub, .part-…
			t.Fatal(report)
		}
	})
}

// tamperings change a directory, and return the only files that are to be accused.
var tamperings = map[string]func(t *rapid.T, w world) []string{
	"edit a byte of a part": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		content := bytes.Clone(w.files[e.File.Name].Data)
		content[rapid.IntRange(0, len(content)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		w.files[e.File.Name] = &fstest.MapFile{Data: content}
		return []string{e.File.Name}
	},
	"truncate a part": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		content := w.files[e.File.Name].Data
		w.files[e.File.Name] = &fstest.MapFile{Data: content[:rapid.IntRange(0, len(content)-1).Draw(t, "at")]}
		return []string{e.File.Name}
	},
	"append to a part": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		w.files[e.File.Name] = text(string(w.files[e.File.Name].Data) + "more\n")
		return []string{e.File.Name}
	},
	"a directory in place of a part": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		delete(w.files, e.File.Name)
		w.files[e.File.Name+"/x"] = text("x")
		return []string{e.File.Name}
	},
	"delete a part": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		delete(w.files, e.File.Name)
		return []string{e.File.Name}
	},
	"delete an entry": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		delete(w.files, entryPath(e))
		return []string{e.File.Name}
	},
	"delete a part and its entry": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		delete(w.files, e.File.Name)
		delete(w.files, entryPath(e))
		return []string{e.File.Name}
	},
	"delete the end": func(_ *rapid.T, w world) []string {
		delete(w.files, entryPath(w.entries[len(w.entries)-1]))
		return []string{"end-a"}
	},
	"drop the tail and the end": func(t *rapid.T, w world) []string {
		from := rapid.IntRange(1, len(w.entries)-1).Draw(t, "from")
		w.dropFrom(from)
		delete(w.files, "_manifest/end-a.json")
		return []string{"end-a"}
	},
	"drop the tail but the end": func(t *rapid.T, w world) []string {
		w.dropFrom(rapid.IntRange(0, len(w.entries)-2).Draw(t, "from"))
		return []string{w.entries[len(w.entries)-2].File.Name} // the last of those that are missing
	},
	"swap two entries": func(t *rapid.T, w world) []string {
		i, a := w.drawFileEntry(t)
		j, b := w.drawFileEntry(t)
		if i == j {
			return nil
		}
		w.files[entryPath(a)], w.files[entryPath(b)] = w.files[entryPath(b)], w.files[entryPath(a)]
		return sorted(a.File.Name, b.File.Name)
	},
	"swap two parts": func(t *rapid.T, w world) []string {
		i, a := w.drawFileEntry(t)
		j, b := w.drawFileEntry(t)
		if i == j {
			return nil
		}
		w.files[a.File.Name], w.files[b.File.Name] = w.files[b.File.Name], w.files[a.File.Name]
		return sorted(a.File.Name, b.File.Name)
	},
	"rename a part": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		w.files["part-a-7-7.csv"] = w.files[e.File.Name]
		delete(w.files, e.File.Name)
		return sorted(e.File.Name, "part-a-7-7.csv")
	},
	"rename a part and its entry": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		w.files["part-a-7-7.csv"], w.files["_manifest/part-a-7-7.csv.json"] = w.files[e.File.Name], w.files[entryPath(e)]
		delete(w.files, e.File.Name)
		delete(w.files, entryPath(e))
		return []string{"part-a-7-7.csv"}
	},
	"add a part": func(_ *rapid.T, w world) []string {
		w.files["part-a-0-1000.csv"] = text("1\n")
		return []string{"part-a-0-1000.csv"}
	},
	"add a file that is no entry": func(_ *rapid.T, w world) []string {
		w.files["_manifest/x.json"] = text("{}")
		return []string{"x"}
	},
	"edit a byte of an entry": func(t *rapid.T, w world) []string {
		e := w.entries[rapid.IntRange(0, len(w.entries)-1).Draw(t, "entry")]
		content := bytes.Clone(w.files[entryPath(e)].Data)
		content[rapid.IntRange(0, len(content)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		w.files[entryPath(e)] = &fstest.MapFile{Data: content}
		return []string{e.Name()[:len(e.Name())-len(".json")]}
	},
	"edit an entry and its hash": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		place := e
		edit := rapid.SampledFrom(slices.Sorted(maps.Keys(entryEdits))).Draw(t, "edit")
		if !entryEdits[edit](&e) {
			return nil
		}
		w.edit(t, place, e)
		return []string{place.File.Name}
	},
	"replay an old part and its entry": func(t *rapid.T, w world) []string {
		index, e := w.drawFileEntry(t)
		if index > 0 {
			e.Previous.Hash = manifest.Sum([]byte("as it was"))
		}
		*e.File = w.addPart(t, e.File.Name)
		w.files[e.File.Name].Data = append(w.files[e.File.Name].Data, "old\n"...)
		e.File.Rows, e.File.Bytes, e.File.SHA256 = e.File.Rows+1, e.File.Bytes+4, manifest.Sum(w.files[e.File.Name].Data)
		w.edit(t, e, e)
		return []string{e.File.Name}
	},
	"add an old part and its entry": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		*e.File = w.addPart(t, "part-a-7-7.csv")
		w.edit(t, e, e)
		return []string{e.File.Name}
	},
	"part of an entry put among those of another job": func(t *rapid.T, w world) []string {
		_, e := w.drawFileEntry(t)
		e.Checkpoint.Job, e.Sequence, e.Previous = "z", 0, nil
		*e.File = w.addPart(t, "part-z-0-0.csv")
		w.edit(t, e, e)
		return []string{"end-z"}
	},
}

func sorted(names ...string) []string {
	slices.Sort(names)
	return names
}

func (w world) dropFrom(index int) {
	for _, e := range w.entries[index : len(w.entries)-1] {
		delete(w.files, e.File.Name)
		delete(w.files, entryPath(e))
	}
}

// entryEdits change an entry; false if they cannot.
var entryEdits = map[string]func(e *manifest.Entry) bool{
	"rows":       func(e *manifest.Entry) bool { e.File.Rows++; return true },
	"bytes":      func(e *manifest.Entry) bool { e.File.Bytes++; return true },
	"sha256":     func(e *manifest.Entry) bool { e.File.SHA256[5]++; return true },
	"name":       func(e *manifest.Entry) bool { e.File.Name = "part-a-8-8.csv"; return true },
	"window":     func(e *manifest.Entry) bool { e.File.Window = &manifest.Window{Start: 1, End: 2}; return true },
	"quote":      func(e *manifest.Entry) bool { e.File.Quote = ""; return true },
	"program":    func(e *manifest.Entry) bool { e.Checkpoint.Program = "v9"; return true },
	"spec":       func(e *manifest.Entry) bool { e.Checkpoint.Spec[0]++; return true },
	"checkpoint": func(e *manifest.Entry) bool { e.Checkpoint.ID += 2; return true },
	"earlier":    func(e *manifest.Entry) bool { e.Checkpoint.ID--; return true },
	"far later":  func(e *manifest.Entry) bool { e.Checkpoint.ID += 1000; return true },
	"offsets":    func(e *manifest.Entry) bool { e.Checkpoint.Offsets[0].To += 5; return true },
	"no offsets": func(e *manifest.Entry) bool { e.Checkpoint.Offsets = nil; return true },
	"far away":   func(e *manifest.Entry) bool { e.Sequence += 1000; return e.Previous != nil },
	"next place": func(e *manifest.Entry) bool { e.Sequence++; return e.Previous != nil },
	"place before": func(e *manifest.Entry) bool {
		e.Sequence--
		return e.Sequence > 0
	},
	"first": func(e *manifest.Entry) bool {
		e.Sequence, e.Previous = 0, nil
		return true
	},
	"previous hash": func(e *manifest.Entry) bool {
		if e.Previous == nil {
			return false
		}
		e.Previous.Hash[0]++
		return true
	},
	"previous file": func(e *manifest.Entry) bool {
		if e.Previous == nil {
			return false
		}
		e.Previous.File = "part-a-9-9.csv"
		return true
	},
	"end": func(e *manifest.Entry) bool {
		e.Kind, e.File = manifest.KindEnd, nil
		return true
	},
}

// Whatever is done to a directory is found, and laid at the door of just the files that it was done to.
func TestVerifyNamesWhatWasTamperedWith(t *testing.T) {
	for name, tamper := range tamperings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				w := drawWorld(t)
				before := maps.Clone(w.files)
				want := tamper(t, w)
				if maps.EqualFunc(before, w.files, func(a, b *fstest.MapFile) bool { return bytes.Equal(a.Data, b.Data) }) {
					return // an edit that changes nothing
				}
				report := w.verify(t)
				if diff := cmp.Diff(want, accused(report)); diff != "" {
					t.Fatalf("accused (-want +got):\n%s\n%s", diff, report)
				}
				if again := w.verify(t); !cmp.Equal(report, again) {
					t.Fatalf("another report the second time:\n%s\n%s", report, again)
				}
				if _, err := json.Marshal(report); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// An entry that claims to be another job's is found, if not alone: it leaves a hole here and makes a job there.
func TestVerifyOtherJob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		_, e := w.drawFileEntry(t)
		e.Checkpoint.Job = "z"
		w.edit(t, e, e)
		if got := accused(w.verify(t)); !slices.Contains(got, e.File.Name) || !slices.Contains(got, "end-z") {
			t.Fatal(got)
		}
	})
}

// Two changes at once are both found.
func TestVerifyTwoChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		_, a := w.drawFileEntry(t)
		_, b := w.drawFileEntry(t)
		w.files[a.File.Name] = text("1\n")
		delete(w.files, entryPath(b))
		want := sorted(a.File.Name, b.File.Name)
		if got := accused(w.verify(t)); !cmp.Equal(got, slices.Compact(want)) {
			t.Fatal(fmt.Sprint(got, want))
		}
	})
}
