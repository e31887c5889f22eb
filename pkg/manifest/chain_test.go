package manifest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawFile(t *rapid.T, name string) File {
	file := File{
		Name: name, SHA256: Sum([]byte(name)), Rows: rapid.Int64Range(0, 1<<40).Draw(t, "rows"),
		Bytes: rapid.Int64Range(0, 1<<40).Draw(t, "bytes"), Quote: rapid.SampledFrom([]string{"", `"`, "'"}).Draw(t, "quote"),
	}
	if rapid.Bool().Draw(t, "windowed") {
		start := rapid.Int64Range(-1<<40, 1<<40).Draw(t, "start")
		file.Window = &Window{start, start + rapid.Int64Range(1, 1<<20).Draw(t, "size")}
	}
	return file
}

// A chain made over any checkpoints covers each offset once, is one sequence, does not depend on the order in which
// files and partitions are given, and goes on from a head that was stored.
func TestChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		positions := []OffsetRange{{"a", 0, 5, 5}, {"a", 1, 0, 0}, {"b", 0, 100, 100}}
		var head Head
		var all []Entry
		for id := range int64(rapid.IntRange(1, 6).Draw(t, "checkpoints")) {
			for i := range positions {
				positions[i].To += rapid.Int64Range(0, 3).Draw(t, "read")
			}
			var files []File
			for n := range rapid.IntRange(0, 3).Draw(t, "files") {
				files = append(files, drawFile(t, fmt.Sprintf("part-j-%d-%d.csv", n, id)))
			}
			checkpoint := Checkpoint{ID: id, Job: "j", JobName: "job", Program: "v1", Offsets: positions}
			next, entries, err := Chain(head, checkpoint, files)
			if err != nil {
				t.Fatal(err)
			}
			checkpoint.Offsets = shuffled(t, positions)
			again, entriesAgain, err := Chain(stored(t, head), checkpoint, shuffled(t, files))
			if diff := cmp.Diff(next, again) + cmp.Diff(entries, entriesAgain); diff != "" || err != nil {
				t.Fatalf("chained again: %v %s", err, diff)
			}
			head, all = next, append(all, entries...)
		}
		_, end, err := End(head, Checkpoint{ID: 99, Job: "j", Offsets: positions})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, end)
		checkChain(t, all, positions)
	})
}

func stored(t *rapid.T, head Head) (read Head) {
	text, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func shuffled[T any](t *rapid.T, values []T) []T {
	values = slices.Clone(values)
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 0))
	random.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
	return values
}

func checkChain(t *rapid.T, all []Entry, positions []OffsetRange) {
	covered := map[string]int64{}
	checkpoint := int64(-1)
	for i, e := range all {
		if err := e.Check(); err != nil || e.Sequence != int64(i) || e.Hash != e.ComputeHash() {
			t.Fatalf("entry %d is %+v: %v", i, e, err)
		}
		if i > 0 && *e.Previous != all[i-1].link() {
			t.Fatalf("entry %d is after %+v", i, e.Previous)
		}
		if e.Checkpoint.ID == checkpoint {
			continue
		}
		checkpoint = e.Checkpoint.ID
		for _, r := range e.Checkpoint.Offsets {
			if at, known := covered[r.partition()]; known && at != r.From {
				t.Fatalf("entry %d covers %s after %d", i, r, at)
			}
			covered[r.partition()] = r.To
		}
	}
	for _, r := range positions {
		if at, known := covered[r.partition()]; r.From < r.To && at != r.To || known && r.From == r.To {
			t.Fatalf("%s is covered to %d", r, at)
		}
	}
}

func TestChainRefuses(t *testing.T) {
	file := File{Name: "part-j-0-0.csv"}
	base := Checkpoint{ID: 5, Job: "j", Offsets: []OffsetRange{{"a", 0, 0, 10}}}
	head, _, err := Chain(Head{}, base, []File{file})
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		checkpoint Checkpoint
		files      []File
	}{
		"chain checkpoint 5: the chain is at checkpoint 5": {base, []File{file}},
		"partition a-0 is read to offset 9 only, 10 is in the chain": {
			Checkpoint{ID: 6, Job: "j", Offsets: []OffsetRange{{"a", 0, 0, 9}}}, []File{file}},
		`part file "part-j-0-0.csv" comes twice`:           {Checkpoint{ID: 6, Job: "j"}, []File{file, file}},
		`"x.csv" is no name of a part file`:                {Checkpoint{ID: 6, Job: "j"}, []File{{Name: "x.csv"}}},
		`"part-/../x" is no name of a part file`:           {Checkpoint{ID: 6, Job: "j"}, []File{{Name: "part-/../x"}}},
		`job id "a/b" cannot be part of a file's name`:     {Checkpoint{ID: 6, Job: "a/b"}, []File{file}},
		`quote "ab" is not one ASCII character`:            {Checkpoint{ID: 6, Job: "j"}, []File{{Name: file.Name, Quote: "ab"}}},
		`quote "ü" is not one ASCII character`:             {Checkpoint{ID: 6, Job: "j"}, []File{{Name: file.Name, Quote: "ü"}}},
		"window from 7 to 7 is empty":                      {Checkpoint{ID: 6, Job: "j"}, []File{{Name: file.Name, Window: &Window{7, 7}}}},
		`file "part-j-0-0.csv" has -1 rows and 0 bytes`:    {Checkpoint{ID: 6, Job: "j"}, []File{{Name: file.Name, Rows: -1}}},
		"offsets b-0 [5, 7) are not after b-0 [0, 5)":      {Checkpoint{ID: 6, Job: "j", Offsets: []OffsetRange{{"b", 0, 0, 5}, {"b", 0, 0, 7}}}, []File{file}},
		"offsets b--1 [0, 5) are none":                     {Checkpoint{ID: 6, Job: "j", Offsets: []OffsetRange{{"b", -1, 0, 5}}}, []File{file}},
		`job name "\xff" or program version "" is not UTF`: {Checkpoint{ID: 6, Job: "j", JobName: "\xff"}, []File{file}},
	} {
		if _, _, err := Chain(head, c.checkpoint, c.files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, _, err := End(head, Checkpoint{ID: 4, Job: "j"}); err == nil {
		t.Error("the end came before the last checkpoint")
	}
	if after, entries, err := Chain(head, base, nil); err != nil || entries != nil || !cmp.Equal(after, head) {
		t.Errorf("a checkpoint without files is %+v, %v, %v", after, entries, err)
	}
}
