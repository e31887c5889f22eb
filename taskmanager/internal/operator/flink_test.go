package operator_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"pencere/pkg/flinkcases"
	"pencere/pkg/plan"
	"pencere/pkg/sqltype"
)

// TestFlinkCases runs every case of flinkcases that a job spec can say, from the spec's text to the files, and compares each byte
// with what Flink wrote. What differs is listed in flinkcases, and must differ as it says there.
func TestFlinkCases(t *testing.T) {
	cases, err := flinkcases.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			listed := flinkcases.Differences(c.Name)
			if len(listed) > 0 && listed[0].Unsaid {
				checkUnsaid(t, c, listed[0])
			} else {
				checkCase(t, c, listed)
			}
		})
	}
}

// checkUnsaid demands that no spec can say the case, and checks it without the columns that are the reason for that.
func checkUnsaid(t *testing.T, c flinkcases.Case, d flinkcases.Difference) {
	for _, query := range queries(c) {
		if spec, err := c.Spec(query); err == nil {
			if _, err := parse(t, spec); err == nil {
				t.Fatalf("can be said as a job spec, but is listed as what cannot: %s", d.Reason)
			}
		}
	}
	if len(d.Columns) > 0 {
		checkCase(t, c.Without(d.Columns), nil)
	}
}

func queries(c flinkcases.Case) []string {
	if c.Queries != nil {
		return c.Queries
	}
	return []string{c.Query}
}

func checkCase(t *testing.T, c flinkcases.Case, listed []flinkcases.Difference) {
	if c.Result == "each" {
		checkEach(t, c, singles(listed))
		return
	}
	want := result{csv: c.Expected, failed: c.Result == "error"}
	for _, d := range listed {
		want = changed(want, d)
	}
	if differing := singles(listed); len(differing) > 0 {
		want = result{csv: recordByRecord(t, c, differing)}
	}
	for _, how := range ways(c) {
		got := runQuery(t, c, c.Query, c.Records, how)
		if !c.Ordered {
			got.csv = bytes.Join(flinkcases.Sorted(flinkcases.Rows(got.csv)), nil)
		}
		if difference := got.compare(want); difference != "" {
			t.Errorf("%+v: %s", how, difference)
		}
	}
}

// ways returns how often and how differently a case is run. A keyed edge may reorder rows, but not change them.
func ways(c flinkcases.Case) []run {
	all := []run{{1, 1}, {1, math.MaxInt}}
	if c.Mode == "window" {
		all = append(all, run{2, 3}, run{5, 100})
	}
	return all
}

// singles returns the results of single records or queries that differ.
func singles(listed []flinkcases.Difference) map[int]flinkcases.Single {
	all := map[int]flinkcases.Single{}
	for _, d := range listed {
		maps.Copy(all, d.Single)
	}
	return all
}

// changed is Flink's result with the rows that a difference leaves out and adds.
func changed(flink result, d flinkcases.Difference) result {
	if len(d.Missing)+len(d.Added) == 0 {
		return flink
	}
	var rows [][]byte
	for _, row := range flinkcases.Rows(flink.csv) {
		if !slices.Contains(d.Missing, string(row)) {
			rows = append(rows, row)
		}
	}
	for _, row := range d.Added {
		rows = append(rows, []byte(row))
	}
	return result{csv: bytes.Join(flinkcases.Sorted(rows), nil)}
}

// checkEach runs each record, or each query, as a job of its own.
func checkEach(t *testing.T, c flinkcases.Case, differing map[int]flinkcases.Single) {
	for i, outcome := range c.Outcomes {
		query, records := c.Query, c.Records
		if c.Each {
			records = [][][]byte{c.Records[0][outcome.Record : outcome.Record+1]}
		} else {
			query = c.Queries[outcome.Query]
		}
		want := result{csv: []byte(outcome.CSV), failed: outcome.Error != "", typ: outcome.Type}
		if d, ok := differing[i]; ok {
			want = single(d.Ours)
		}
		if difference := runQuery(t, c, query, records, run{1, 1}).compare(want); difference != "" {
			t.Errorf("%s over %.200q: %s (Flink's error: %q)", query, records, difference, outcome.Error)
		}
	}
}

// recordByRecord runs each record as a job of its own, checks that just the listed ones give something else than Flink, and returns
// what all of them give.
func recordByRecord(t *testing.T, c flinkcases.Case, differing map[int]flinkcases.Single) []byte {
	var ours, flink []byte
	for i, record := range c.Records[0] {
		got := runQuery(t, c, c.Query, [][][]byte{{record}}, run{1, 1})
		if got.failed {
			t.Errorf("record %d %.200q: %v", i, record, got.err)
		}
		ours = append(ours, got.csv...)
		if d, ok := differing[i]; ok {
			if difference := got.compare(single(d.Ours)); difference != "" {
				t.Errorf("record %d %.200q, which is listed: %s", i, record, difference)
			}
			got = single(d.Flink)
		}
		flink = append(flink, got.csv...)
	}
	if difference := (result{csv: flink}).compare(result{csv: c.Expected}); difference != "" {
		t.Errorf("record by record: %s", difference)
	}
	return ours
}

// result is what a job comes to.
type result struct {
	csv    []byte
	failed bool
	err    error
	typ    string // of the column e; "" when it does not matter
}

func single(text string) result {
	if text == flinkcases.Fails {
		return result{failed: true}
	}
	return result{csv: []byte(text)}
}

func runQuery(t *testing.T, c flinkcases.Case, query string, records [][][]byte, how run) result {
	t.Helper()
	spec, err := c.Spec(query)
	if err != nil {
		t.Fatal(err)
	}
	program, err := parse(t, spec)
	if err != nil {
		return result{failed: true, err: err}
	}
	checkColumns(t, c, program)
	text, err := execute(t, program, records, how)
	return result{csv: text, failed: err != nil, err: err, typ: typeOfE(program)}
}

// checkColumns compares names and types of the result with those of Flink's.
func checkColumns(t *testing.T, c flinkcases.Case, program *plan.Program) {
	t.Helper()
	for i, column := range c.OutputColumns {
		if i == len(program.Sink) {
			t.Fatalf("%d columns, want %d", i, len(c.OutputColumns))
		}
		if got := program.Sink[i]; got.Name != column.Name || !sameType(got.Type, column.Type) {
			t.Errorf("column %s %s, want %s %s", got.Name, got.Type, column.Name, column.Type)
		}
	}
}

// sameType compares types but for NOT NULL, which the cases leave out, and the precision of TIME, which is 0 in Flink whatever was
// declared.
func sameType(got sqltype.Type, want string) bool {
	t, err := sqltype.Parse(want)
	if got.Kind == sqltype.Time {
		got.Precision = t.Precision
	}
	return err == nil && got.Nullable() == t.Nullable()
}

func typeOfE(program *plan.Program) string {
	if i := program.Sink.Index("e"); i >= 0 {
		return program.Sink[i].Type.Nullable().String()
	}
	return ""
}

// compare returns how r differs from the result that is wanted, "" if it does not.
func (r result) compare(want result) string {
	switch {
	case r.failed && want.failed:
		return ""
	case r.failed:
		return fmt.Sprintf("fails: %v", r.err)
	case want.failed:
		return fmt.Sprintf("gives %.200q, but must fail", r.csv)
	}
	if want.typ != "" && r.typ != "" {
		if t, err := sqltype.Parse(r.typ); err != nil || !sameType(t, want.typ) {
			return fmt.Sprintf("type %s, want %s", r.typ, want.typ)
		}
	}
	got, wanted := flinkcases.Rows(r.csv), flinkcases.Rows(want.csv)
	for i := range max(len(got), len(wanted)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("row %d is missing: %.300q", i+1, wanted[i])
		case i >= len(wanted):
			return fmt.Sprintf("row %d is one too many: %.300q", i+1, got[i])
		case !bytes.Equal(got[i], wanted[i]):
			return fmt.Sprintf("row %d is %.300q, want %.300q", i+1, got[i], wanted[i])
		}
	}
	return ""
}
