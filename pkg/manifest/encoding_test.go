package manifest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// vectors is a chain of every shape that an entry of version 1 has. Its entries are in testdata/v1 and must stay as
// they are: there are directories with such.
func vectors(t testing.TB) []Entry {
	spec := Sum([]byte(`{"Name":"kdv-2min"}`))
	first := Checkpoint{ID: 1, Job: "a1b2", JobName: "kdv-2min", Spec: spec, Program: "v1.2.3", Offsets: []OffsetRange{
		{"sahibinden", 0, 0, 120}, {"sahibinden", 1, 7, 9_007_199_254_740_993},
	}}
	head, entries, err := Chain(Head{}, first, []File{
		{Name: "part-a1b2-0-0.csv", SHA256: Sum([]byte("7,Televizyon\n")), Rows: 1, Bytes: 13, Quote: `"`, Window: &Window{1741089240000, 1741089360000}},
		{Name: "part-a1b2-1-0.csv", SHA256: Sum(nil), Quote: "'", Window: &Window{-120000, 0}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Without offsets, window and quote; with text that JSON escapes.
	head, more, err := Chain(head, Checkpoint{ID: 4, Job: "a1b2", JobName: "İlan <\"&\\\u2028>", Spec: spec, Program: "dev"},
		[]File{{Name: "part-a1b2-0-1", Rows: 1 << 40, Bytes: 1<<63 - 1}})
	if err != nil {
		t.Fatal(err)
	}
	_, end, err := End(head, Checkpoint{ID: 4, Job: "a1b2", JobName: "kdv-2min", Spec: spec, Program: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return append(append(entries, more...), end)
}

func TestVectors(t *testing.T) {
	for _, entry := range vectors(t) {
		text, err := entry.Encode()
		if err != nil {
			t.Fatal(err)
		}
		fixed, err := os.ReadFile(filepath.Join("testdata", "v1", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(fixed), string(text)); diff != "" {
			t.Errorf("%s (-fixed +now):\n%s", entry.Name(), diff)
		}
		read, err := Decode(fixed)
		if err != nil {
			t.Errorf("%s: %v", entry.Name(), err)
		}
		if again, err := read.Encode(); err != nil || !bytes.Equal(again, fixed) {
			t.Errorf("%s is read and written as %s: %v", entry.Name(), again, err)
		}
	}
}

// Any one byte of an entry that is changed, removed or added makes it another or none, and is noticed.
func TestDecodeNoticesEdits(t *testing.T) {
	for _, entry := range vectors(t) {
		text, err := entry.Encode()
		if err != nil {
			t.Fatal(err)
		}
		for i := range text {
			for _, edited := range [][]byte{
				append(append(bytes.Clone(text[:i]), text[i]^0x01), text[i+1:]...),
				append(append(bytes.Clone(text[:i]), text[i]^0x20), text[i+1:]...),
				append(bytes.Clone(text[:i]), text[i+1:]...),
				append(append(bytes.Clone(text[:i]), ' '), text[i:]...),
				bytes.Clone(text[:i]),
			} {
				if _, err := Decode(edited); err == nil {
					t.Fatalf("decoded %s", edited)
				}
			}
		}
	}
}

// Each field is part of the hash.
func TestHashCoversFields(t *testing.T) {
	hashes := map[Hash]string{}
	see := func(what string, change func(*Entry)) {
		e := vectors(t)[1]
		change(&e)
		hash := e.ComputeHash()
		if other, seen := hashes[hash]; seen {
			t.Errorf("%s and %s have one hash", what, other)
		}
		hashes[hash] = what
	}
	see("nothing", func(*Entry) {})
	see("version", func(e *Entry) { e.Version++ })
	see("kind", func(e *Entry) { e.Kind = KindEnd })
	see("sequence", func(e *Entry) { e.Sequence++ })
	see("no previous", func(e *Entry) { e.Previous = nil })
	see("previous file", func(e *Entry) { e.Previous.File += "x" })
	see("previous hash", func(e *Entry) { e.Previous.Hash[31]++ })
	see("checkpoint", func(e *Entry) { e.Checkpoint.ID++ })
	see("job", func(e *Entry) { e.Checkpoint.Job += "x" })
	see("job name", func(e *Entry) { e.Checkpoint.JobName = "x" + e.Checkpoint.JobName })
	see("spec", func(e *Entry) { e.Checkpoint.Spec[0]++ })
	see("program", func(e *Entry) { e.Checkpoint.Program += "x" })
	see("no offsets", func(e *Entry) { e.Checkpoint.Offsets = nil })
	see("topic", func(e *Entry) { e.Checkpoint.Offsets[1].Topic += "x" })
	see("partition", func(e *Entry) { e.Checkpoint.Offsets[1].Partition++ })
	see("from", func(e *Entry) { e.Checkpoint.Offsets[1].From++ })
	see("to", func(e *Entry) { e.Checkpoint.Offsets[1].To++ })
	see("no file", func(e *Entry) { e.File = nil })
	see("file", func(e *Entry) { e.File.Name += "x" })
	see("sha256", func(e *Entry) { e.File.SHA256[0]++ })
	see("rows", func(e *Entry) { e.File.Rows++ })
	see("bytes", func(e *Entry) { e.File.Bytes++ })
	see("quote", func(e *Entry) { e.File.Quote = "" })
	see("no window", func(e *Entry) { e.File.Window = nil })
	see("window start", func(e *Entry) { e.File.Window.Start++ })
	see("window end", func(e *Entry) { e.File.Window.End++ })
}

func TestDecodeRefuses(t *testing.T) {
	text, err := vectors(t)[0].Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text   string
		edited bool
	}{
		"nothing":         {"", false},
		"null":            {"null", false},
		"half":            {string(text[:len(text)/2]), false},
		"twice":           {string(text) + string(text), true},
		"another field":   {string(bytes.Replace(text, []byte(`"kind"`), []byte(`"sort": 1, "kind"`), 1)), false},
		"field twice":     {string(bytes.Replace(text, []byte(`"kind"`), []byte(`"kind": "end", "kind"`), 1)), true},
		"a newer version": {string(bytes.Replace(text, []byte(`"version": 1`), []byte(`"version": 2`), 1)), false},
		"other rows":      {string(bytes.Replace(text, []byte(`"rows": 1`), []byte(`"rows": 2`), 1)), true},
		"upper case":      {string(bytes.Replace(text, []byte(`"rows"`), []byte(`"Rows"`), 1)), true},
	} {
		e, err := Decode([]byte(c.text))
		if err == nil || errors.Is(err, ErrEdited) != c.edited || c.edited != (e.Version == 1) {
			t.Errorf("%s: decoded as %+v, %v", name, e, err)
		}
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		job := rapid.StringMatching(`[^/\\\x00]{1,8}`).Draw(t, "job")
		checkpoint := Checkpoint{ID: rapid.Int64Min(0).Draw(t, "id"), Job: job, JobName: rapid.String().Draw(t, "name"), Program: rapid.String().Draw(t, "program")}
		_, entries, err := Chain(Head{}, checkpoint, []File{drawFile(t, "part-"+job)})
		if err != nil {
			t.Fatal(err)
		}
		text, err := entries[0].Encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		entries[0].Checkpoint.Offsets = []OffsetRange{} // read as such
		if diff := cmp.Diff(entries[0], read); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, entry := range vectors(f) {
		text, err := entry.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := Decode(text)
		if err != nil {
			return
		}
		if again, err := e.Encode(); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%s is read and written as %s: %v", text, again, err)
		}
		if err := e.Check(); err != nil || e.Hash != e.ComputeHash() {
			t.Fatalf("decoded %+v: %v", e, err)
		}
	})
}
