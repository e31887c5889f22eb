package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ProblemKind says what is wrong with a directory.
type ProblemKind string

// The kinds of problems.
const (
	Missing     ProblemKind = "missing"      // a part file has an entry and is not there
	Edited      ProblemKind = "edited"       // a part file or an entry is not what it was when it was written
	Extra       ProblemKind = "extra"        // what looks like a finished part file has no entry
	ChainBroken ProblemKind = "chain broken" // an entry is missing, doubled, exchanged, or out of order
	Gap         ProblemKind = "gap"          // offsets between two checkpoints are not covered
	Overlap     ProblemKind = "overlap"      // offsets are covered by two checkpoints
	Unreadable  ProblemKind = "unreadable"   // a file cannot be read, or is no entry
	NotEnded    ProblemKind = "not ended"    // the job's chain has no end: it goes on, or its tail is missing
)

// Problem is one thing that is wrong.
type Problem struct {
	Kind ProblemKind `json:"kind"`
	// File is the file that it is about, relative to the directory: "part-a-0-7.csv", "_manifest/part-a-0-7.csv.json".
	File        string       `json:"file"`
	Job         string       `json:"job,omitempty"` // id; empty if not known
	Differences []Difference `json:"differences,omitempty"`
}

// Difference is how a thing is other than it must be.
type Difference struct {
	What     string `json:"what"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
}

// String returns the problem as a line for people.
func (p Problem) String() string {
	var line strings.Builder
	fmt.Fprintf(&line, "%s: %s", p.File, p.Kind)
	for i, d := range p.Differences {
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		fmt.Fprintf(&line, "%s%s: expected %s, got %s", separator, d.What, d.Expected, d.Got)
	}
	return line.String()
}

// Note is something that is no problem but good to know.
type Note struct {
	File string `json:"file"` // relative to the directory
	Text string `json:"text"`
}

// Totals sum up part files that are just what their entries say.
type Totals struct {
	Files int64 `json:"files"`
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
}

// JobReport tells of one job's files.
type JobReport struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Ended  bool   `json:"ended"`
	Totals Totals `json:"totals"`
	// Checkpoints are those with entries: how many, the first and the last one's id.
	Checkpoints     int64 `json:"checkpoints"`
	FirstCheckpoint int64 `json:"first_checkpoint"`
	LastCheckpoint  int64 `json:"last_checkpoint"`
	// Head is the hash of the last entry. It is Head.Last.Hash at the jobmanager if all entries are there.
	Head Hash `json:"head"`
	// Offsets are the source's offsets that the entries cover, in as few ranges as there can be.
	Offsets []OffsetRange `json:"offsets"`
}

// Report is what an audit found. Its slices have an order that depends on the directory alone.
type Report struct {
	Jobs     []JobReport `json:"jobs"`
	Totals   Totals      `json:"totals"`
	Problems []Problem   `json:"problems"`
	Notes    []Note      `json:"notes"`
}

// Proved reports whether the directory is what the jobs wrote, wholly: there is no problem.
func (r Report) Proved() bool { return len(r.Problems) == 0 }

// Intact reports whether nothing is wrong but that jobs have not ended, so that more is to come, or newer files may be
// missing.
func (r Report) Intact() bool {
	return !slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Kind != NotEnded })
}

// String returns the report for people: jobs, problems, notes and the verdict, a line each.
func (r Report) String() string {
	var text strings.Builder
	for _, job := range r.Jobs {
		text.WriteString(job.String())
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(&text, "%s\n", problem)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&text, "note: %s: %s\n", note.File, note.Text)
	}
	fmt.Fprintf(&text, "%s\n", r.verdict())
	return text.String()
}

func (r Report) verdict() string {
	switch {
	case r.Proved() && len(r.Jobs) == 0:
		return "nothing to prove: the directory has no part files and no entries"
	case r.Proved():
		return fmt.Sprintf("proved: %s; nothing is missing, edited, extra or out of order", r.Totals)
	case r.Intact():
		return fmt.Sprintf("intact so far: %s; a job without an end goes on, or its newest files are missing", r.Totals)
	default:
		return fmt.Sprintf("not proved: %s", count(int64(len(r.Problems)), "problem"))
	}
}

// String returns the job's lines of the report.
func (j JobReport) String() string {
	var text strings.Builder
	state := "not ended"
	if j.Ended {
		state = "ended"
	}
	fmt.Fprintf(&text, "job %s (%s): %s, %s (%d to %d), %s\n", j.Name, j.ID, j.Totals,
		count(j.Checkpoints, "checkpoint"), j.FirstCheckpoint, j.LastCheckpoint, state)
	for _, covered := range j.Offsets {
		fmt.Fprintf(&text, "  read %s\n", covered)
	}
	return text.String()
}

// String returns the totals for people: "3 files, 120 rows, 4096 bytes".
func (t Totals) String() string {
	return fmt.Sprintf("%s, %s, %s", count(t.Files, "file"), count(t.Rows, "row"), count(t.Bytes, "byte"))
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (t *Totals) add(f File) {
	t.Files++
	t.Rows += f.Rows
	t.Bytes += f.Bytes
}

// sort gives the report its order.
func (r *Report) sort() {
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), strings.Compare(string(a.Kind), string(b.Kind)))
	})
	slices.SortStableFunc(r.Notes, func(a, b Note) int { return strings.Compare(a.File, b.File) })
}
