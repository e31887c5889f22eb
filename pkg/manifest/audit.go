package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Inventory is what there is in a directory. Its slices may have any order.
type Inventory struct {
	Entries []FoundEntry
	Parts   []string // names of all that looks like a finished part file
	Notes   []Note   // files that are neither parts nor entries
}

// FoundEntry is a file of Dir that is or should be an entry, and what was found of its part file.
type FoundEntry struct {
	Name  string // of the entry's file, without directory
	Entry Entry  // what Decode returned
	Err   error  // why it could not be read or decoded
	Part  FoundPart
}

// FoundPart is what was found of a part file.
type FoundPart struct {
	Pending bool // it is there, but under its hidden name only
	Absent  bool // it is there under no name
	Err     error
	SHA256  Hash
	Rows    int64 // by File.Quote
	Bytes   int64
}

// Audit judges a directory by its entries. It names as few files as explain what is wrong: an entry that was changed is
// one problem, its neighbours are none.
//
// The newest checkpoint of a job that has not ended may be on its way to being published: what is missing of it is a
// note only.
func Audit(found Inventory) Report {
	a := audit{unsound: map[string]bool{}, jobs: map[string]*chain{}}
	a.report = Report{Jobs: []JobReport{}, Problems: []Problem{}, Notes: append([]Note{}, found.Notes...)} // no null in JSON
	a.sortOut(found.Entries)
	a.findExtras(found)
	for _, id := range slices.Sorted(maps.Keys(a.jobs)) {
		a.judgeJob(a.jobs[id])
	}
	a.report.sort()
	return a.report
}

type audit struct {
	report  Report
	unsound map[string]bool // names of entries that are not what was written
	jobs    map[string]*chain
}

// chain is what is left of a job's chain.
type chain struct {
	job     string
	entries []FoundEntry   // sound ones; by sequence, once they are judged
	claimed map[int64]bool // sequences that unsound entries claim
	suspect map[int64]bool // sequences of entries that do not fit into the chain
	report  JobReport
}

// sortOut gives sound entries to their jobs, and reports the others.
func (a *audit) sortOut(entries []FoundEntry) {
	for _, found := range slices.SortedFunc(slices.Values(entries), byName) {
		problem, unsound := soundness(found)
		if found.Entry.Version == 0 { // nothing is known of it, not even its job
			a.unsound[found.Name] = true
			a.report.Problems = append(a.report.Problems, problem)
			continue
		}
		job := a.job(found.Entry.Checkpoint.Job)
		if unsound {
			a.unsound[found.Name], job.claimed[found.Entry.Sequence] = true, true
			a.report.Problems = append(a.report.Problems, problem)
			continue
		}
		job.entries = append(job.entries, found)
	}
	for id, job := range a.jobs {
		if len(job.entries) == 0 {
			delete(a.jobs, id)
		}
	}
}

func byName(a, b FoundEntry) int { return strings.Compare(a.Name, b.Name) }

func (a *audit) job(id string) *chain {
	if a.jobs[id] == nil {
		a.jobs[id] = &chain{job: id, claimed: map[int64]bool{}, suspect: map[int64]bool{}}
	}
	return a.jobs[id]
}

// soundness judges an entry by itself.
func soundness(found FoundEntry) (problem Problem, unsound bool) {
	problem = Problem{Kind: Edited, File: path.Join(Dir, found.Name), Job: found.Entry.Checkpoint.Job}
	switch {
	case errors.Is(found.Err, ErrEdited):
		problem.Differences = []Difference{{"entry", "as it was written", found.Err.Error()}}
	case found.Err != nil:
		problem.Kind = Unreadable
		problem.Differences = []Difference{{"entry", "a manifest entry", found.Err.Error()}}
	case found.Entry.Name() != found.Name:
		problem.Differences = []Difference{{"name of the entry", found.Entry.Name(), found.Name}}
	default:
		return Problem{}, false
	}
	return problem, true
}

// findExtras reports part files without an entry of their name.
func (a *audit) findExtras(found Inventory) {
	entries := map[string]bool{}
	for _, entry := range found.Entries {
		entries[entry.Name] = true
	}
	for _, part := range found.Parts {
		if !entries[entryName(part)] {
			a.problem(Extra, part, "", Difference{"entry", path.Join(Dir, entryName(part)), "none"})
		}
	}
}

func (a *audit) problem(kind ProblemKind, file, job string, differences ...Difference) {
	a.report.Problems = append(a.report.Problems, Problem{kind, file, job, differences})
}

func (a *audit) note(file, text string) { a.report.Notes = append(a.report.Notes, Note{file, text}) }

func (a *audit) judgeJob(c *chain) {
	slices.SortFunc(c.entries, func(a, b FoundEntry) int {
		return cmp.Or(cmp.Compare(a.Entry.Sequence, b.Entry.Sequence), byName(a, b))
	})
	last := c.entries[len(c.entries)-1].Entry
	ended := slices.ContainsFunc(c.entries, func(f FoundEntry) bool { return f.Entry.Kind == KindEnd })
	c.report = JobReport{ID: c.job, Name: last.Checkpoint.JobName, Ended: ended, Head: last.Hash}
	for _, found := range c.entries {
		if found.Entry.File != nil {
			a.judgePart(c, found)
		}
	}
	a.dropDoubles(c)
	a.judgeLinks(c)
	a.judgeOrder(c)
	a.judgeOffsets(c)
	if !c.report.Ended && !a.unsound[endName(c.job)] {
		a.problem(NotEnded, path.Join(Dir, endName(c.job)), c.job, Difference{"end of the chain", "an entry", "none"})
	}
	a.report.Jobs = append(a.report.Jobs, c.report)
}

// judgePart compares a part file with its entry.
func (a *audit) judgePart(c *chain, found FoundEntry) {
	want, got := *found.Entry.File, found.Part
	switch {
	case got.Pending && !c.report.Ended:
		a.note(want.Name, "is not published yet")
		return
	case got.Pending || got.Absent:
		a.problem(Missing, want.Name, c.job, Difference{"file", count(want.Bytes, "byte"), "none"})
		return
	case got.Err != nil:
		a.problem(Unreadable, want.Name, c.job, Difference{"file", "one that can be read", got.Err.Error()})
		return
	}
	if differences := compareParts(want, got); len(differences) > 0 {
		a.problem(Edited, want.Name, c.job, differences...)
		return
	}
	c.report.Totals.add(want)
	a.report.Totals.add(want)
}

func compareParts(want File, got FoundPart) []Difference {
	var differences []Difference
	if got.Bytes != want.Bytes {
		differences = append(differences, intsDiffer("bytes", want.Bytes, got.Bytes))
	}
	if want.Quote != "" && got.Rows != want.Rows {
		differences = append(differences, intsDiffer("rows", want.Rows, got.Rows))
	}
	if got.SHA256 != want.SHA256 {
		differences = append(differences, Difference{"SHA-256", want.SHA256.String(), got.SHA256.String()})
	}
	return differences
}

func intsDiffer(what string, want, got int64) Difference {
	return Difference{what, strconv.FormatInt(want, 10), strconv.FormatInt(got, 10)}
}

// dropDoubles leaves one entry of each sequence: that which its neighbours fit best.
func (a *audit) dropDoubles(c *chain) {
	var kept []FoundEntry
	for rest := c.entries; len(rest) > 0; {
		sequence := rest[0].Entry.Sequence
		end := slices.IndexFunc(rest, func(f FoundEntry) bool { return f.Entry.Sequence != sequence })
		if end < 0 {
			end = len(rest)
		}
		same := rest[:end]
		rest = rest[end:]
		right := bestFit(kept, same, rest)
		for i, found := range same {
			if i != right {
				a.problem(ChainBroken, path.Join(Dir, found.Name), c.job, Difference{
					fmt.Sprintf("entry %d", sequence), path.Join(Dir, same[right].Name) + " alone", "this one too"})
			}
		}
		kept = append(kept, same[right])
	}
	c.entries = kept
}

// bestFit returns the index of the entry in same that has most links with the last one before and the first one after.
func bestFit(before, same, after []FoundEntry) int {
	best, most := 0, -1
	for i, found := range same {
		links := 0
		if n := len(before); n > 0 && isLinked(before[n-1].Entry, found.Entry) {
			links++
		}
		if len(after) > 0 && isLinked(found.Entry, after[0].Entry) {
			links++
		}
		if links > most {
			best, most = i, links
		}
	}
	return best
}

// judgeOrder looks for entries that are missing or out of order.
func (a *audit) judgeOrder(c *chain) {
	newest := c.entries[len(c.entries)-1].Entry.Checkpoint.ID
	next, checkpoint, ended := int64(0), int64(0), false
	for _, found := range c.entries {
		e := found.Entry
		switch {
		case ended:
			a.outOfOrder(c, found, Difference{"place", "before " + endName(c.job), "after it"})
			continue
		case e.Sequence > next:
			a.hole(c, e, next, !c.report.Ended && e.Checkpoint.ID == newest)
		}
		next, ended = e.Sequence+1, e.Kind == KindEnd
		if c.suspect[e.Sequence] {
			continue
		}
		if e.Checkpoint.ID < checkpoint {
			a.outOfOrder(c, found, Difference{"checkpoint", fmt.Sprintf("%d or later", checkpoint), strconv.FormatInt(e.Checkpoint.ID, 10)})
		}
		checkpoint = max(checkpoint, e.Checkpoint.ID)
	}
}

func (a *audit) outOfOrder(c *chain, found FoundEntry, how Difference) {
	c.suspect[found.Entry.Sequence] = true
	a.problem(ChainBroken, path.Join(Dir, found.Name), c.job, how)
}

// hole reports the entries from sequence from on that are missing before e, those apart that are there but unsound.
func (a *audit) hole(c *chain, e Entry, from int64, underWay bool) {
	last := entryName(e.Previous.File)
	missing := e.Sequence - from
	for sequence := range c.claimed {
		if from <= sequence && sequence < e.Sequence {
			missing--
		}
	}
	if a.unsound[last] && !c.claimed[e.Sequence-1] {
		missing--
	}
	text := fmt.Sprintf("entry %d", e.Sequence-1)
	if from < e.Sequence-1 {
		text = fmt.Sprintf("%d of the entries %d to %d, the last of them", missing, from, e.Sequence-1)
	}
	switch {
	case missing <= 0:
	case underWay:
		a.note(path.Join(Dir, last), text+" is not written yet")
	default:
		a.problem(ChainBroken, path.Join(Dir, last), c.job, Difference{text, e.Previous.Hash.String(), "none"})
	}
}

// judgeLinks looks for entries that are not those that their neighbours were written beside. Of one broken link, the
// entry before it was changed: the link holds what its hash was. Of several in a row, those between them were.
func (a *audit) judgeLinks(c *chain) {
	for first := 1; first < len(c.entries); first++ {
		if !c.isBroken(first) {
			continue
		}
		last := first
		for c.isBroken(last + 1) {
			last++
		}
		changed, end := first, last
		if first == last {
			changed = first - 1
		}
		for ; changed < end; changed++ {
			link := c.entries[changed+1].Entry.Previous
			a.outOfOrder(c, c.entries[changed], Difference{
				"entry that " + c.entries[changed+1].Name + " was chained to",
				fmt.Sprintf("%s of %s", link.Hash, link.File),
				fmt.Sprintf("%s of %s", c.entries[changed].Entry.Hash, c.entries[changed].Entry.part())})
		}
		first = last
	}
}

// isBroken reports whether the entry at index i is next to the one before it but does not name it.
func (c *chain) isBroken(i int) bool {
	if i < 1 || i >= len(c.entries) {
		return false
	}
	before, e := c.entries[i-1].Entry, c.entries[i].Entry
	return e.Sequence == before.Sequence+1 && !isLinked(before, e)
}

// isLinked reports whether after, which is not the first entry, was chained to before.
func isLinked(before, after Entry) bool {
	return after.Sequence == before.Sequence+1 && *after.Previous == before.link()
}
