// Package ledger accounts for every record that a job reads: what became of it, by the split that it came from.
//
// Each subtask counts what it does with records, as part of its checkpointed state. Summed over the subtasks of a
// checkpoint, whose barriers cut all of them at the same records, the counts of each split must balance:
//
//	read = emitted + filtered + late + dead-lettered + skipped + collapsed + open
//
// What was gone before it could be read is counted beside that.
//
// The package is pure; nothing in it is safe for concurrent use.
package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Entry counts the records of one split, in records or the rows that they became. No count is negative.
type Entry struct {
	Split int32 // the split's number in its job, which it keeps for ever

	Read         int64 // records taken from the split
	Emitted      int64 // rows written to the sink; of a group, its first row
	Filtered     int64 // rows that a condition refused
	Late         int64 // rows dropped for being late, by their split's watermark or, after their split was idle, by the operator's
	DeadLettered int64 // records or rows handed to the dead letters, for whatever reason; they count nowhere else
	Skipped      int64 // records that never were a row: without a value (a tombstone), or not decodable and dropped as the job wishes
	Collapsed    int64 // rows folded into a group that another row had opened
	Open         int64 // groups that wait in an open window, each for its first row: that row's split is the group's

	// Lost counts offsets whose records were gone before they were read, where the job goes on all the same. They are not in Read.
	Lost int64
	// Truncations counts how often the split was found cut or made anew. How many records are gone by that nobody knows.
	Truncations int64
}

// Add adds the counts of another entry. Which split that is of makes no difference.
func (e *Entry) Add(other Entry) {
	e.Read += other.Read
	e.Emitted += other.Emitted
	e.Filtered += other.Filtered
	e.Late += other.Late
	e.DeadLettered += other.DeadLettered
	e.Skipped += other.Skipped
	e.Collapsed += other.Collapsed
	e.Open += other.Open
	e.Lost += other.Lost
	e.Truncations += other.Truncations
}

// Difference returns how many records were read beyond those accounted for: positive when records are missing, negative when
// more came out than went in.
func (e Entry) Difference() int64 {
	return e.Read - e.Emitted - e.Filtered - e.Late - e.DeadLettered - e.Skipped - e.Collapsed - e.Open
}

// Counts returns the counts that balance in the order of their fields, Read first.
func (e Entry) Counts() [8]int64 {
	return [...]int64{e.Read, e.Emitted, e.Filtered, e.Late, e.DeadLettered, e.Skipped, e.Collapsed, e.Open}
}

// EntryOf is the inverse of Counts, of a split that has lost nothing.
func EntryOf(split int32, counts [8]int64) Entry {
	return Entry{
		Split: split, Read: counts[0], Emitted: counts[1], Filtered: counts[2], Late: counts[3],
		DeadLettered: counts[4], Skipped: counts[5], Collapsed: counts[6], Open: counts[7],
	}
}

// Ledger holds at most one entry of each split, by split. The nil Ledger is empty and ready.
type Ledger []Entry

// Of returns the entry of a split, which it makes if there is none. It is valid until the next call for a new split.
func (l *Ledger) Of(split int32) *Entry {
	i, found := slices.BinarySearchFunc(*l, split, func(e Entry, split int32) int { return cmp.Compare(e.Split, split) })
	if !found {
		*l = slices.Insert(*l, i, Entry{Split: split})
	}
	return &(*l)[i]
}

// Merge adds all entries of another ledger.
func (l *Ledger) Merge(other Ledger) {
	for _, e := range other {
		l.Of(e.Split).Add(e)
	}
}

// Total returns the sum over all splits; its Split means nothing.
func (l Ledger) Total() Entry {
	var total Entry
	for _, e := range l {
		total.Add(e)
	}
	return total
}

// Balance checks the entries, which must be those of a whole job at one checkpoint. It returns an *ImbalanceError for each
// split that does not balance, joined, or nil. name names a split for people; it may be nil.
func (l Ledger) Balance(name func(split int32) string) error {
	var problems []error
	for _, e := range l {
		if e.Difference() == 0 && !e.negative() {
			continue
		}
		problem := &ImbalanceError{Entry: e, Name: fmt.Sprintf("number %d", e.Split)}
		if name != nil {
			problem.Name = name(e.Split)
		}
		problems = append(problems, problem)
	}
	return errors.Join(problems...)
}

func (e Entry) negative() bool {
	counts := e.Counts()
	return min(slices.Min(counts[:]), e.Lost, e.Truncations) < 0
}

// ImbalanceError says that the records of a split do not add up, which only an error of the engine can cause.
type ImbalanceError struct {
	Name  string // of the split
	Entry Entry
}

func (e *ImbalanceError) Error() string {
	var fates []string
	counts := e.Entry.Counts()
	for i, fate := range [...]string{"emitted", "filtered", "late", "dead-lettered", "skipped", "collapsed", "open"} {
		if n := counts[i+1]; n != 0 {
			fates = append(fates, fmt.Sprintf("%d %s", n, fate))
		}
	}
	if fates == nil {
		fates = []string{"none accounted for"}
	}
	return fmt.Sprintf("ledger of split %s does not balance: %d read, %s: %s", e.Name, e.Entry.Read, strings.Join(fates, ", "), e.verdict())
}

func (e *ImbalanceError) verdict() string {
	switch d := e.Entry.Difference(); {
	case d > 0:
		return fmt.Sprintf("%d missing", d)
	case d < 0:
		return fmt.Sprintf("%d too many", -d)
	default:
		return "a count is negative"
	}
}
