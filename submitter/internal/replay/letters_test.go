package replay

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pencere/pkg/jobspec"
	"pencere/pkg/manifest"
	"pencere/pkg/plan"

	"github.com/twmb/franz-go/pkg/kgo"
)

// lossless is the spec of a job that hands over what is bad or late; more is added to its window.
func lossless(t *testing.T, column, more string) plan.Job {
	t.Helper()
	text := fmt.Sprintf(`
name: prices
source:
  kafka: {brokers: "k:9092", topic: prices}
  on_error: dead_letter
  schema: {id: INT, price: BIGINT, at: %s}
  watermark: {column: at, delay: 1s}
where: id > 0
window: {tumble: 10s, group_by: [id], late: dead_letter%s}
select: [id, window_start]
sink: {csv: {path: out}}
dead_letters: {csv: {path: dead}}
`, column, more)
	job, err := jobspec.Parse("job.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// lettersOf evaluates the values of records of a partition and returns the dead letters that there must be.
func lettersOf(t *testing.T, job plan.Job, values ...string) letters {
	t.Helper()
	e, err := NewEvaluator(job)
	if err != nil {
		t.Fatal(err)
	}
	var all letters
	for offset, value := range values {
		r := &kgo.Record{Topic: "prices", Partition: 2, Offset: int64(offset), Key: []byte("k"), Value: []byte(value), Timestamp: time.UnixMilli(1_741_089_349_250)}
		if value == "" {
			r.Value = nil
		}
		if err := e.Add(r); err != nil {
			t.Fatal(err)
		}
		if e.letter != nil {
			all.want(r, *e.letter)
		}
	}
	return all
}

// A dead letter must be there once, as its record came, with a reason that is its own; nothing else may be.
func TestLetters(t *testing.T) {
	wanted := lettersOf(t, lossless(t, "TIMESTAMP(3)", ""),
		`{"id":1,"price":5,"at":"2025-03-04 12:00:25"}`, `{"id":"x","price":"y","at":"2025-03-04 12:00:26"}`, "", `{`, "{\"id\":\xff}",
		`{"id":2,"price":5,"at":"2025-03-04 12:00:13"}`, `{"id":0,"price":5,"at":"2025-03-04 12:00:01"}`, `{"id":3,"price":5,"at":"2025-03-04 12:00:20"}`)
	const (
		at    = `"2025-03-04 11:55:49.25Z"`
		late  = `"late: the window from 2025-03-04 12:00:10.000 to 2025-03-04 12:00:20.000 was closed by the watermark 2025-03-04 12:00:24.000 of its partition"`
		field = `"json field ""price"", byte 9: y is not BIGINT: {""id""…"`
	)
	rows := []string{
		`prices,2,1,` + at + `,` + field + `,text,k,"{""id"":""x"",""price"":""y"",""at"":""2025-03-04 12:00:26""}"`,
		`prices,2,3,` + at + `,"json record, byte 1: it ends: {",text,k,{`,
		`prices,2,4,` + at + `,"json field ""id"", byte 6: no UTF-8: {",base64,aw==,eyJpZCI6/30=`,
		`prices,2,5,` + at + `,` + late + `,text,k,"{""id"":2,""price"":5,""at"":""2025-03-04 12:00:13""}"`,
	}
	changed := func(row int, from, to string) []string {
		other := append([]string{}, rows...)
		if other[row] = strings.Replace(rows[row], from, to, 1); other[row] == rows[row] {
			t.Fatalf("%q is not in %q", from, rows[row])
		}
		return other
	}
	for _, c := range []struct {
		what           string
		rows           []string
		missing, extra int64
	}{
		{"all", rows, 0, 0},
		{"another order", []string{rows[3], rows[0], rows[2], rows[1]}, 0, 0},
		{"the other bad field", changed(0, `""price""`, `""id""`), 0, 0},
		{"one is missing", rows[1:], 1, 0},
		{"one is there twice", append([]string{rows[3]}, rows...), 0, 1},
		{"a field that is right", changed(0, `""price""`, `""at""`), 1, 1},
		{"a bad record said to be late", changed(0, field, late), 1, 1},
		{"a late row said to be bad", changed(3, late, field), 1, 1},
		{"another watermark", changed(3, "12:00:24.000", "12:00:25.000"), 1, 1},
		{"another value", changed(1, "k,{", "k,["), 1, 1},
		{"another key", changed(3, "text,k,", "text,,"), 1, 1},
		{"another encoding", changed(2, "base64", "text"), 1, 1},
		{"another time", changed(3, "11:55:49.25", "11:55:49.26"), 1, 1},
		{"another partition", changed(3, "prices,2", "prices,1"), 1, 1},
		{"a record that is well", changed(3, "prices,2,5", "prices,2,0"), 1, 1},
		{"one cell more", changed(1, "k,{", "k,{,"), 1, 1},
		{"no row at all", append([]string{"prices"}, rows...), 0, 1},
		{"nothing", nil, 4, 0},
	} {
		fsys := fstest.MapFS{"part": {Data: []byte(strings.Join(append(c.rows, ""), "\n"))}}
		var r Replayed
		if err := r.compareLetters(wanted, chain{files: []manifest.File{{Name: "part"}}}, fsys); err != nil {
			t.Fatal(err)
		}
		if r.MissingRows != c.missing || r.ExtraRows != c.extra || r.Rows != 4 || r.Found != int64(len(c.rows)) || r.Same() != (c.missing+c.extra == 0) {
			t.Errorf("%s: %+v", c.what, r)
		}
	}
}

// Reasons are on the clock by which windows are cut, and an allowed lateness is part of them.
func TestLateness(t *testing.T) {
	job := lossless(t, "TIMESTAMP_LTZ(3)", ", allowed_lateness: 5s")
	job.TimeZone = "Europe/Istanbul"
	rows := []string{
		`{"id":1,"at":"2025-03-04 12:00:25Z"}`, `{"id":2,"at":"2025-03-04 12:00:13Z"}`, `{"id":1,"at":"2025-03-04 12:00:25.998Z"}`, `{"id":3,"at":"2025-03-04 12:00:13Z"}`,
		`{"id":1,"at":"2025-03-04 12:00:25.999Z"}`, `{"id":4,"at":"2025-03-04 12:00:13Z"}`,
	}
	all := lettersOf(t, job, rows...)
	const want = "late: the window from 2025-03-04 15:00:10.000 to 2025-03-04 15:00:20.000, which takes rows for 5s after its end, was closed by the watermark 2025-03-04 15:00:24.999 of its partition"
	if len(all) != 1 || all[0].late != want || all[0].cells[2] != "5" {
		t.Errorf("letters %v", all)
	}
	var records [][]byte
	for _, row := range rows {
		records = append(records, []byte(row))
	}
	if got, err := replayRecords(job, [][][]byte{records}); err != nil || len(got) != 3 {
		t.Errorf("rows %q, %v", got, err) // of ids 2 and 3, within the allowed lateness, and of id 1
	}
}

// The dead letters of a job that has none are no empty proof.
func TestNoLetters(t *testing.T) {
	job := lossless(t, "TIMESTAMP(3)", "")
	job.DeadLetters = nil
	if _, err := Directory(t.Context(), job, DeadLetters, fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "cannot replay dead letters of a job that writes none to files") {
		t.Error(err)
	}
	if _, err := NewEvaluator(lossless(t, "TIMESTAMP(3)", ", allowed_lateness: 5s, aggregates: {n: COUNT(*)}")); err == nil || !strings.Contains(err.Error(), "allowed_lateness with aggregates") {
		t.Error(err)
	}
}
