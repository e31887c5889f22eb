package flinkcases_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"pencere/pkg/flinkcases"
)

func all(t *testing.T) []flinkcases.Case {
	t.Helper()
	cases, err := flinkcases.All()
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// The cases are whole: a lost folder or a cut file would make other tests pass by testing less.
func TestAll(t *testing.T) {
	cases := all(t)
	if len(cases) < 346 {
		t.Errorf("%d cases, there were 346", len(cases))
	}
	for _, c := range cases {
		records := 0
		for _, partition := range c.Records {
			records += len(partition)
		}
		if records == 0 && c.Name != "win-empty-topic" {
			t.Errorf("%s: no records", c.Name)
		}
		wanted := len(c.Queries)
		if c.Each {
			wanted = records
		}
		if len(c.Outcomes) != wanted {
			t.Errorf("%s: %d outcomes, want %d", c.Name, len(c.Outcomes), wanted)
		}
	}
}

func TestTombstone(t *testing.T) {
	c, err := flinkcases.Load("json-malformed-ignored")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(c.Records[0], func(r []byte) bool { return r == nil }) ||
		!slices.ContainsFunc(c.Records[0], func(r []byte) bool { return r != nil && len(r) == 0 }) {
		t.Error("no record without a value, or no empty one")
	}
}

// What is listed as differing is a case, and its columns and records are the case's.
func TestDifferences(t *testing.T) {
	known := map[string]flinkcases.Case{}
	for _, c := range all(t) {
		known[c.Name] = c
	}
	for _, d := range flinkcases.AllDifferences() {
		c, found := known[d.Case]
		if !found {
			t.Errorf("%s: no such case", d.Case)
			continue
		}
		for _, column := range d.Columns {
			if !slices.ContainsFunc(c.OutputColumns, func(o flinkcases.Column) bool { return o.Name == column }) {
				t.Errorf("%s: no column %s", d.Case, column)
			}
		}
		for i, s := range d.Single {
			if i >= max(len(c.Records[0]), len(c.Outcomes)) || s.Flink == s.Ours {
				t.Errorf("%s: no difference at %d: %q", d.Case, i, s)
			}
		}
		for _, row := range d.Missing {
			if !bytes.Contains(c.Expected, []byte(row)) {
				t.Errorf("%s: Flink did not write %q", d.Case, row)
			}
		}
	}
}

// The list that users read is the one that the tests go by.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), flinkcases.Table()) {
		t.Errorf("DIFFERENCES.md does not hold this table:\n%s", flinkcases.Table())
	}
}

func TestWithout(t *testing.T) {
	c, err := flinkcases.Load("late-jump-tumble-tvf")
	if err != nil {
		t.Fatal(err)
	}
	got := c.Without([]string{"l"})
	if strings.Contains(got.Query, "LISTAGG") || len(got.OutputColumns) != len(c.OutputColumns)-1 {
		t.Errorf("query %s, columns %v", got.Query, got.OutputColumns)
	}
	for _, row := range flinkcases.Rows(got.Expected) {
		if bytes.Count(row, []byte(",")) != 3 {
			t.Errorf("row %q has not 4 cells", row)
		}
	}
}

func TestSpec(t *testing.T) {
	c, err := flinkcases.Load("group-aux")
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Spec("SELECT k, 'a, b' AS `x`, MAX(x) - MIN(x) + 1 AS d, TUMBLE_ROWTIME(ts, INTERVAL '90' SECOND) AS r FROM src " +
		"WHERE k IS DISTINCT FROM '$' GROUP BY TUMBLE(ts, INTERVAL '90' SECOND), k")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"where: \"k IS DISTINCT FROM '$$'\"\n",
		"  tumble: 90000ms\n  group_by:\n    - \"k\"\n  aggregates:\n    \"aggregate_1\": \"MAX(x)\"\n    \"aggregate_2\": \"MIN(x)\"\n",
		"  - {\"x\": \"'a, b'\"}\n  - {\"d\": \"aggregate_1 - aggregate_2 + 1\"}\n  - {\"r\": \"(window_end - INTERVAL '0.001' SECOND)\"}\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("spec lacks\n%s\nin\n%s", want, got)
		}
	}
}
