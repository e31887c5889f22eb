package manifest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// written is what a directory holds in which each file is as its entry says.
func written(entries ...Entry) (found Inventory) {
	for _, e := range entries {
		entry := FoundEntry{Name: e.Name(), Entry: e}
		if e.File != nil {
			entry.Part = FoundPart{SHA256: e.File.SHA256, Rows: e.File.Rows, Bytes: e.File.Bytes}
			found.Parts = append(found.Parts, e.File.Name)
		}
		found.Entries = append(found.Entries, entry)
	}
	return found
}

// chainOf makes a chain of one file, of 10 rows and 100 bytes, for each range, and its end.
func chainOf(ranges ...OffsetRange) []Entry {
	var head Head
	var entries []Entry
	add := func(e Entry) {
		e.Version = Version
		var err error
		if head, e, err = head.add(e); err == nil {
			entries = append(entries, e)
		}
	}
	for i, r := range ranges {
		add(Entry{Kind: KindFile, File: &File{Name: "part-j-0-" + string(rune('0'+i)), Rows: 10, Bytes: 100},
			Checkpoint: Checkpoint{ID: int64(i), Job: "j", JobName: "orders", Offsets: []OffsetRange{r}}})
	}
	add(Entry{Kind: KindEnd, Checkpoint: Checkpoint{ID: int64(len(ranges)), Job: "j", JobName: "orders", Offsets: []OffsetRange{}}})
	return entries
}

func TestAudit(t *testing.T) {
	entries := chainOf(OffsetRange{"in", 0, 0, 5}, OffsetRange{"in", 0, 5, 7}, OffsetRange{"in", 0, 7, 9})
	odd := chainOf(OffsetRange{"in", 0, 0, 5}, OffsetRange{"in", 0, 6, 8}, OffsetRange{"in", 0, 7, 9}, OffsetRange{"in", 1, 4, 5})
	for _, c := range []struct {
		name  string
		found Inventory
		want  string
	}{
		{"nothing", Inventory{}, `
nothing to prove: the directory has no part files and no entries`},
		{"all", written(entries...), `
job orders (j): 3 files, 30 rows, 300 bytes, 4 checkpoints (0 to 3), ended
  read in-0 [0, 9)
proved: 3 files, 30 rows, 300 bytes; nothing is missing, edited, extra or out of order`},
		{"without its end", written(entries[:3]...), `
job orders (j): 3 files, 30 rows, 300 bytes, 3 checkpoints (0 to 2), not ended
  read in-0 [0, 9)
_manifest/end-j.json: not ended: end of the chain: expected an entry, got none
intact so far: 3 files, 30 rows, 300 bytes; a job without an end goes on, or its newest files are missing`},
		{"a gap and an overlap", written(odd...), `
job orders (j): 4 files, 40 rows, 400 bytes, 5 checkpoints (0 to 4), ended
  read in-0 [0, 5)
  read in-0 [6, 9)
  read in-1 [4, 5)
part-j-0-1: gap: first offset of in-0: expected 5, got 6
part-j-0-2: overlap: first offset of in-0: expected 8, got 7
not proved: 2 problems`},
		{"holes", written(entries[0], entries[3]), `
job orders (j): 1 file, 10 rows, 100 bytes, 2 checkpoints (0 to 3), ended
  read in-0 [0, 5)
_manifest/part-j-0-2.json: chain broken: 2 of the entries 1 to 2, the last of them: expected ` + entries[2].Hash.String() + `, got none
not proved: 1 problem`},
		{"the newest checkpoint on its way", written(entries[0], entries[2]), `
job orders (j): 2 files, 20 rows, 200 bytes, 2 checkpoints (0 to 2), not ended
  read in-0 [0, 5)
  read in-0 [7, 9)
_manifest/end-j.json: not ended: end of the chain: expected an entry, got none
note: _manifest/part-j-0-1.json: entry 1 is not written yet
intact so far: 2 files, 20 rows, 200 bytes; a job without an end goes on, or its newest files are missing`},
	} {
		report := Audit(c.found)
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n")+"\n", report.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// A pending part of a job that goes on is published later; one of a job that ended is missing.
func TestAuditPending(t *testing.T) {
	entries := chainOf(OffsetRange{"in", 0, 0, 5})
	found := written(entries...)
	found.Entries[0].Part = FoundPart{Absent: true, Pending: true}
	if report := Audit(found); len(report.Problems) != 1 || report.Problems[0].Kind != Missing {
		t.Errorf("ended: %s", report)
	}
	found.Entries = found.Entries[:1]
	if report := Audit(found); !report.Intact() || len(report.Notes) != 1 {
		t.Errorf("not ended: %s", report)
	}
}

// The engine's own mistakes are found too: checkpoints that go back, entries of one checkpoint that differ.
func TestAuditWrongChains(t *testing.T) {
	entries := chainOf(OffsetRange{"in", 0, 0, 5}, OffsetRange{"in", 0, 5, 7}, OffsetRange{"in", 0, 7, 9})
	for name, change := range map[string]func(*Entry){
		"earlier":   func(e *Entry) { e.Checkpoint.ID = 0 },
		"different": func(e *Entry) { e.Checkpoint.ID = 1 },
	} {
		chained := []Entry{entries[0], entries[1], entries[2], entries[3]}
		change(&chained[2])
		chained[2].Hash = chained[2].ComputeHash()
		chained[3].Previous = new(chained[2].link())
		chained[3].Hash = chained[3].ComputeHash()
		report := Audit(written(chained...))
		if len(report.Problems) != 1 || report.Problems[0].Kind != ChainBroken || report.Problems[0].File != "_manifest/part-j-0-2.json" {
			t.Errorf("%s: %s", name, report)
		}
	}
}

// A program that reads the report finds lists where there are none of a thing, not null.
func TestReportJSON(t *testing.T) {
	text, err := json.Marshal(Audit(Inventory{}))
	if want := `{"jobs":[],"totals":{"files":0,"rows":0,"bytes":0},"problems":[],"notes":[]}`; err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
}
