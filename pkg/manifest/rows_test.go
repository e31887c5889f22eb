package manifest

import (
	"encoding/csv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRowCounter(t *testing.T) {
	for _, c := range []struct {
		text, quote string
		want        int64
	}{
		{"", `"`, 0},
		{"a\n", `"`, 1},
		{"a\nb", `"`, 2},
		{"\n\n", `"`, 2},
		{"a,\"x\ny\"\nb\n", `"`, 2},
		{"a,\"x\ny\"\nb\n", "", 3},
		{"a,\"x\"\"\n\"\"y\"\n", `"`, 1},
		{"a,'x\n\"y'\n\"\n\"\n", "'", 3},
		{"a,\"x\n", `"`, 1}, // cut inside quotes
		{"\"\n\"", `"`, 1},
	} {
		counter := NewRowCounter(c.quote)
		_, _ = counter.Write([]byte(c.text))
		if got := counter.Rows(); got != c.want {
			t.Errorf("%q by quote %q has %d rows, want %d", c.text, c.quote, got, c.want)
		}
	}
}

// Rows that encoding/csv wrote are counted, however the file is cut into pieces.
func TestRowCounterPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.StringMatching("[a,\"\n' ]{0,5}"), 2, 3), 0, 20).Draw(t, "rows")
		var text strings.Builder
		if err := csv.NewWriter(&text).WriteAll(rows); err != nil {
			t.Fatal(err)
		}
		counter := NewRowCounter(`"`)
		for rest := text.String(); rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			_, _ = counter.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if got := counter.Rows(); got != int64(len(rows)) {
			t.Fatalf("%q has %d rows, want %d", text.String(), got, len(rows))
		}
	})
}
