package operator_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pencere/pkg/connector/partfile"
	csvformat "pencere/pkg/format/csv"
	"pencere/pkg/ledger"
	"pencere/taskmanager/internal/operator"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// openDeadLetters returns dead letters that go to a directory.
func openDeadLetters(t interface{ Fatal(args ...any) }, dir string) *operator.DeadLetterFiles {
	encoder, err := csvformat.NewEncoder(operator.DeadLetterSchema(), csvformat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := partfile.New(partfile.Config{Dir: dir, Job: "j", Extension: ".csv"}, encoder)
	if err != nil {
		t.Fatal(err)
	}
	return operator.NewDeadLetterFiles(writer, memory.DefaultAllocator)
}

// published finishes the dead letters' files and returns their text.
func published(t interface{ Fatal(args ...any) }, dir string, letters *operator.DeadLetterFiles) string {
	state, err := letters.Prepare(context.Background())
	if err == nil {
		err = letters.Commit(state)
	}
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range state.Pending {
		part, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		text.Write(part)
	}
	return text.String()
}

// A bad record and a late row are handed over as they came, with the reason; a late row that where refuses is not, and each counts
// once.
func TestDeadLetters(t *testing.T) {
	dir := t.TempDir()
	spec := strings.Replace(chainSpec, "source:\n", "source:\n  on_error: dead_letter\n", 1) +
		"where: id < 5\nwindow: {tumble: 1m, group_by: [product], late: dead_letter}\ndead_letters: {csv: {path: elsewhere}}\n"
	out, counters := &collected{}, operator.NewCounters()
	chain, err := operator.NewSource(mustParse(t, spec), out, counters, checked(t))
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Release()
	letters := openDeadLetters(t, dir)
	chain.HandOver(letters)
	chain.AddSplit(splitOf(3))
	all := records(listing(1, "a", 0), "", `{"id":"x"}`, listing(2, "b", 125), listing(3, "late, \"so\"", 30), listing(7, "late", 30), "{\xff")
	for _, r := range all {
		r.Timestamp, r.Key = time.UnixMilli(1_741_089_349_250), []byte("k")
	}
	all[4].Key, all[6].Timestamp = nil, time.Time{}
	if err := chain.Records(context.Background(), 0, all); err != nil {
		t.Fatal(err)
	}
	got := published(t, dir, letters)
	if err := letters.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, "late: the window from 2025-03-04 11:00:00.000 to 2025-03-04 11:01:00.000 was closed by the watermark 2025-03-04 11:02:00.000") {
		t.Errorf("no reason for the late row:\n%s", got)
	}
	rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		row[4], _, _ = strings.Cut(row[4], " ")
	}
	if diff := cmp.Diff([][]string{
		{"listings", "3", "102", "2025-03-04 11:55:49.25Z", "json", "text", "k", `{"id":"x"}`},
		{"listings", "3", "106", "", "json", "base64", "aw==", "e/8="},
		{"listings", "3", "104", "2025-03-04 11:55:49.25Z", "late:", "text", "", listing(3, `late, "so"`, 30)},
	}, rows); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s\n%s", diff, got)
	}
	entry := chain.Ledger()[0]
	if diff := cmp.Diff(ledger.Entry{Split: 3, Read: 7, Filtered: 1, DeadLettered: 3, Skipped: 1}, entry); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if len(out.rows) != 2 || counters.Late.Load() != 0 || counters.BadDeadLetters.Load() != 2 || counters.LateDeadLetters.Load() != 1 {
		t.Errorf("rows %v, %d dropped as late, %d bad and %d late dead letters", out.rows, counters.Late.Load(),
			counters.BadDeadLetters.Load(), counters.LateDeadLetters.Load())
	}
}

// Whatever bytes a record has, its dead letter gives them back.
func TestDeadLettersLossless(t *testing.T) {
	root, cases := t.TempDir(), 0
	piece := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 5), rapid.Map(rapid.StringN(0, 5, -1), func(s string) []byte { return []byte(s) }),
		rapid.SampledFrom([][]byte{nil, {}, []byte(`"`), []byte("a,b"), []byte("\n\"\""), []byte("\x00"), []byte("é")}))
	rapid.Check(t, func(t *rapid.T) {
		cases++
		dir := filepath.Join(root, string(rune('a'+cases%26)), time.Duration(cases).String())
		letters := openDeadLetters(t, dir)
		var all []*kgo.Record
		for range rapid.IntRange(1, 5).Draw(t, "records") {
			r := &kgo.Record{Key: piece.Draw(t, "key"), Value: piece.Draw(t, "value")}
			all = append(all, r)
			if err := letters.Add(t.Context(), operator.DeadLetter{Topic: "t", Record: r, Reason: "because"}); err != nil {
				t.Fatal(err)
			}
		}
		text := published(t, dir, letters)
		if err := letters.Close(); err != nil {
			t.Fatal(err)
		}
		for i, cells := range split(t, text) {
			for j, want := range [][]byte{all[i].Key, all[i].Value} {
				if got := original(t, cells[5], cells[6+j]); !bytes.Equal(got, want) {
					t.Fatalf("%q is read back as %q", want, got)
				}
			}
		}
	})
}

// split cuts CSV into cells as they are written, quotes too, which encoding/csv does not tell from none.
func split(t *rapid.T, text string) (rows [][]string) {
	var row []string
	for cell, quoted := "", false; text != ""; text = text[1:] {
		switch c := text[0]; {
		case c == '"':
			quoted = !quoted
			cell += `"`
		case quoted || c != ',' && c != '\n':
			cell += string([]byte{c})
		default:
			row, cell = append(row, cell), ""
			if c == '\n' {
				rows, row = append(rows, row), nil
			}
		}
	}
	if row != nil {
		t.Fatalf("%q ends in a row", text)
	}
	return rows
}

func original(t *rapid.T, encoding, cell string) []byte {
	if cell == "" {
		return nil
	}
	if cell[0] == '"' {
		cell = strings.ReplaceAll(cell[1:len(cell)-1], `""`, `"`)
	}
	if encoding == "text" {
		return []byte(cell)
	}
	b, err := base64.StdEncoding.DecodeString(cell)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
