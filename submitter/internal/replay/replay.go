// Package replay proves part files without trust in the engine: it reads the records again that a manifest covers, computes by maps and
// loops what must have become of them, and compares that, row by row and byte by byte, with what the files hold.
//
// It shares with the engine the plan, the grammar of expressions and the digits of Java's floating-point numbers (package javafmt, which is
// compared with a JDK). Decoding, expressions, windows, groups, lateness, aggregates and CSV are its own: plain Go values, one row at a time,
// encoding/json and math/big. What it cannot compute is an *UnsupportedError that names it, never a silent pass.
package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/manifest"
	"pencere/pkg/plan"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Difference is a row that is there too seldom or too often.
type Difference struct {
	Row   string `json:"row"` // without its line feed
	Count int64  `json:"count"`
	// Window is the start of the row's window, of a missing row where the job has windows.
	Window string `json:"window,omitempty"`
	// File is one that holds the row, of one that is too many.
	File string `json:"file,omitempty"`
}

// Replayed is what a replay of one job found.
type Replayed struct {
	Jobs    []string `json:"jobs"` // ids; several where each goes on from the one before
	Name    string   `json:"name"`
	Records int64    `json:"records"` // that were read again
	Rows    int64    `json:"rows"`    // that must be there
	Found   int64    `json:"found"`   // that are there
	// Open are the groups of windows that have not fired.
	Open int64 `json:"open"`
	// Missing and Extra are the first rows of each kind, MissingRows and ExtraRows how many there are in all.
	Missing     []Difference `json:"missing"`
	MissingRows int64        `json:"missing_rows"`
	Extra       []Difference `json:"extra"`
	ExtraRows   int64        `json:"extra_rows"`
	// Failure is why the job cannot have passed a record that its manifest covers; then nothing is compared.
	Failure string   `json:"failure,omitempty"`
	Notes   []string `json:"notes"`
}

// Same reports whether the files hold just the rows that they must.
func (r Replayed) Same() bool { return r.MissingRows == 0 && r.ExtraRows == 0 && r.Failure == "" }

// shown is how many different rows of a kind a result names.
const shownRows = 10

// Content is what a job has written to a directory.
type Content uint8

// The contents.
const (
	Rows        Content = iota // of the result
	DeadLetters                // records that the job could not use
)

// Directory replays the jobs of a directory, which manifestdir.Verify has found intact. Errors: *UnsupportedError, and what Kafka or the
// directory says.
func Directory(ctx context.Context, job plan.Job, content Content, fsys fs.FS) ([]Replayed, error) {
	if content == DeadLetters && (job.DeadLetters == nil || job.DeadLetters.CSV == nil) {
		return nil, unsupported("dead letters of a job that writes none to files")
	}
	if job.Source.Kafka == nil {
		return nil, unsupported("source.http: a server keeps no past, so what it answered cannot be asked for again")
	}
	config, err := kafka.NewConfig(*job.Source.Kafka)
	if err != nil {
		return nil, err
	}
	chains, err := readChains(fsys)
	if err != nil {
		return nil, err
	}
	topic := NewTopic(config)
	var results []Replayed
	for _, c := range chains {
		result, err := replayChain(ctx, job, content, c, topic, fsys)
		if err != nil {
			return nil, fmt.Errorf("job %s (%s): %w", c.name, strings.Join(c.jobs, ", "), err)
		}
		results = append(results, result)
	}
	return results, nil
}

func replayChain(ctx context.Context, job plan.Job, content Content, c chain, topic Topic, fsys fs.FS) (Replayed, error) { //nolint:revive // each of a type of its own
	result := Replayed{Jobs: c.jobs, Name: c.name, Missing: []Difference{}, Extra: []Difference{}, Notes: []string{}}
	if c.name != job.Name {
		return result, unsupported("another job: the spec is that of %s", job.Name)
	}
	e, err := NewEvaluator(job)
	if err != nil {
		return result, err
	}
	if text, err := job.Encode(); err == nil && manifest.Sum(text) != c.spec {
		result.note("the spec, with its variables, is not to the letter the one that the job was submitted with")
	}
	if job.DeadLetters != nil && content == Rows {
		result.note("dead letters are not compared here, only that their records are not in the result: see --dead-letters")
	}
	if err := checkStart(ctx, job, c, topic); err != nil {
		return result, err
	}
	var letters letters
	err = topic.Read(ctx, c.ranges, func(r *kgo.Record) error {
		result.Records++
		err := e.Add(r)
		if e.letter != nil && content == DeadLetters {
			letters.want(r, *e.letter)
		}
		return err
	})
	switch {
	case err != nil:
	case content == DeadLetters:
		err = result.compareLetters(letters, c, fsys)
	default:
		err = result.compare(e, job, c, fsys)
	}
	return result.judged(err)
}

// judged takes from an error what is a result: that the job fails.
func (r Replayed) judged(err error) (Replayed, error) {
	beyond, unsupported := errors.AsType[*UnsupportedError](err)
	failure, fails := errors.AsType[*FailureError](err)
	switch {
	case unsupported && fails:
		return r, fmt.Errorf("%s-%d offset %d: %w", failure.Topic, failure.Partition, failure.Offset, beyond)
	case fails:
		r.Failure = failure.Error()
		return r, nil
	}
	return r, err
}

func (r *Replayed) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// checkStart refuses a job with windows that began in the midst of a topic that it was to read from the start: it went on from a savepoint,
// whose open windows are not known.
func checkStart(ctx context.Context, job plan.Job, c chain, topic Topic) error {
	starts, err := topic.Starts(ctx, c.ranges)
	if err != nil {
		return err
	}
	for _, r := range c.ranges {
		switch start := starts[r.Topic][r.Partition]; {
		case start > r.From:
			return &UnreadError{fmt.Errorf("%s-%d begins at offset %d now: the records from %d on are gone", r.Topic, r.Partition, start, r.From)}
		case start < r.From && job.Window != nil && job.Source.Kafka.Start == plan.StartEarliest:
			return unsupported("%s-%d from offset %d, while the topic begins at %d: the job went on from a savepoint, whose open windows are not known",
				r.Topic, r.Partition, r.From, start)
		}
	}
	return nil
}

// compare compares the rows that must be there with those of the files.
func (r *Replayed) compare(e *Evaluator, job plan.Job, c chain, fsys fs.FS) error {
	until, drained := fired(e, job, c)
	rows, open, err := e.Rows(until)
	if err != nil {
		return err
	}
	r.Rows, r.Open = int64(len(rows)), int64(open)
	if w, ok := e.Watermark(len(c.ranges)); ok && job.Window != nil && !drained {
		if due, _, err := e.Rows(e.firedBy(w)); err == nil && len(due) > len(rows) {
			r.note("%d rows are due by event time, but their windows are later than the last one in the files", len(due)-len(rows))
		}
	}
	if job.Source.Watermark != nil && job.Source.Watermark.IdleAfter > 0 && job.Window != nil {
		r.note("partitions fall idle in this job: a row of one that came back behind the others may be missing, which the records do not tell")
	}
	balance := map[string]int64{} // how often a row is missing
	windows := map[string]int64{}
	for _, row := range rows {
		balance[row.Text]++
		if row.Window != nil {
			windows[row.Text] = *row.Window
		}
	}
	holders := map[string]string{}
	for _, file := range c.files {
		text, err := fs.ReadFile(fsys, file.Name)
		if err != nil {
			return err
		}
		quote := byte(0)
		if file.Quote != "" {
			quote = file.Quote[0]
		}
		for _, row := range cutRows(string(text), quote) {
			r.Found++
			balance[row]--
			if balance[row] < 0 {
				holders[row] = file.Name
			}
		}
	}
	r.differ(balance, windows, holders)
	return nil
}

// differ keeps the rows whose balance is not even.
func (r *Replayed) differ(balance, windows map[string]int64, holders map[string]string) {
	for _, row := range slices.Sorted(maps.Keys(balance)) {
		n := balance[row]
		d := Difference{Row: strings.TrimSuffix(row, "\n"), Count: max(n, -n)}
		switch {
		case n > 0:
			if start, ok := windows[row]; ok {
				d.Window = time.UnixMilli(start).UTC().Format(time.DateTime)
			}
			r.MissingRows += n
			r.Missing = append(r.Missing, d)
		case n < 0:
			d.File = holders[row]
			r.ExtraRows -= n
			r.Extra = append(r.Extra, d)
		}
	}
	slices.SortStableFunc(r.Missing, func(a, b Difference) int { return cmp.Compare(a.Window, b.Window) })
	r.Missing = r.Missing[:min(shownRows, len(r.Missing))]
	r.Extra = r.Extra[:min(shownRows, len(r.Extra))]
}

// fired returns the end of the last windows whose rows must be there, in ms on the wall clock. Of a job that goes on, those are the windows up to
// the last that the files have rows of, as windows fire in their order and all subtasks' at the same checkpoint. One that has ended has fired
// all its windows, but for an unbounded one that was stopped without --drain: that has no rows which event time had not passed.
func fired(e *Evaluator, job plan.Job, c chain) (until int64, all bool) {
	if job.Window == nil {
		return math.MaxInt64, true
	}
	last, there := c.fired()
	if !c.ended {
		return last, false
	}
	if w, ok := e.Watermark(len(c.ranges)); !job.Source.Kafka.Bounded && ok && (!there || last <= e.firedBy(w)) {
		return e.firedBy(w), false
	}
	return math.MaxInt64, true
}

// firedBy returns the end of the last window that a watermark closes, in ms on the wall clock.
func (e *Evaluator) firedBy(watermark int64) int64 {
	size, offset := e.program.Job.Window.Size.Milliseconds(), e.program.Job.Window.Offset.Milliseconds()
	wall := e.wall(watermark)
	start := wall - floorMod(wall-offset, size) + size
	for e.closes(start) > watermark {
		start -= size
	}
	return start + size
}

// String returns the result for people.
func (r Replayed) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "replay of job %s (%s): %d records, %d rows wanted, %d found, %d in open windows\n",
		r.Name, strings.Join(r.Jobs, ", "), r.Records, r.Rows, r.Found, r.Open)
	for _, d := range r.Missing {
		window := ""
		if d.Window != "" {
			window = " of window " + d.Window
		}
		fmt.Fprintf(&text, "missing%s: %d x %s\n", window, d.Count, d.Row)
	}
	for _, d := range r.Extra {
		fmt.Fprintf(&text, "too many in %s: %d x %s\n", d.File, d.Count, d.Row)
	}
	if r.Failure != "" {
		fmt.Fprintf(&text, "impossible: %s\n", r.Failure)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&text, "note: %s\n", note)
	}
	if r.Same() {
		text.WriteString("replayed: what is there is just what the records give\n")
	} else {
		fmt.Fprintf(&text, "differs: %d rows are missing, %d are too many\n", r.MissingRows, r.ExtraRows)
	}
	return text.String()
}
