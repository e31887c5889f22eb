package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Head is the end of a job's chain: what the next entries go on from. It is part of the job's replicated state; the
// zero Head is that of a job without entries. JSON writes and reads it without loss.
type Head struct {
	Entries    int64 // in the chain so far
	Last       Link  // the last of them
	Checkpoint int64 // its checkpoint
	// Offsets are the next to read of each partition, by topic and partition.
	Offsets []Offset
}

// Offset is a position in a Kafka partition.
type Offset struct {
	Topic     string
	Partition int32
	Next      int64 // the offset to read next
}

// Chain makes the entries of a committed checkpoint, one a file, ordered by the files' names: who makes them again gets
// the same ones. It returns the head after them; without files that is head itself, and what the checkpoint read goes
// to the next one that has files.
//
// The checkpoint's Offsets are what the job read since its beginning, in any order, also empty ranges; the entries get
// what of it the chain has not covered. It is an error if the checkpoint is not newer than the head's, reads less
// than the head covers, or has a field that Entry.Check refuses.
func Chain(head Head, checkpoint Checkpoint, files []File) (Head, []Entry, error) {
	if len(files) == 0 {
		return head, nil, nil
	}
	if head.Entries > 0 && checkpoint.ID <= head.Checkpoint {
		return Head{}, nil, fmt.Errorf("chain checkpoint %d: the chain is at checkpoint %d", checkpoint.ID, head.Checkpoint)
	}
	next, entry, err := head.begin(checkpoint)
	if err != nil {
		return Head{}, nil, fmt.Errorf("chain checkpoint %d: %w", checkpoint.ID, err)
	}
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	entries := make([]Entry, len(files))
	for i := range files {
		entry.Kind, entry.File = KindFile, &files[i]
		if i > 0 && files[i-1].Name == files[i].Name {
			return Head{}, nil, fmt.Errorf("chain checkpoint %d: part file %q comes twice", checkpoint.ID, files[i].Name)
		}
		if next, entries[i], err = next.add(entry); err != nil {
			return Head{}, nil, fmt.Errorf("chain checkpoint %d: %w", checkpoint.ID, err)
		}
	}
	return next, entries, nil
}

// End makes the entry that closes the chain of a job that finished. The checkpoint is the job's last one, also when its
// files are in the chain already, and as for Chain. It is to be written when all other entries are.
func End(head Head, checkpoint Checkpoint) (Head, Entry, error) {
	if checkpoint.ID < head.Checkpoint {
		return Head{}, Entry{}, fmt.Errorf("end chain at checkpoint %d: the chain is at checkpoint %d", checkpoint.ID, head.Checkpoint)
	}
	next, entry, err := head.begin(checkpoint)
	if err != nil {
		return Head{}, Entry{}, fmt.Errorf("end chain at checkpoint %d: %w", checkpoint.ID, err)
	}
	entry.Kind = KindEnd
	if next, entry, err = next.add(entry); err != nil {
		return Head{}, Entry{}, fmt.Errorf("end chain at checkpoint %d: %w", checkpoint.ID, err)
	}
	return next, entry, nil
}

// begin returns the head with the checkpoint's offsets covered, and an entry with what they have in common.
func (h Head) begin(checkpoint Checkpoint) (Head, Entry, error) {
	offsets, ranges, err := h.cover(checkpoint.Offsets)
	if err != nil {
		return Head{}, Entry{}, err
	}
	checkpoint.Offsets, h.Offsets, h.Checkpoint = ranges, offsets, checkpoint.ID
	return h, Entry{Version: Version, Checkpoint: checkpoint}, nil
}

// cover returns the positions after read, and what read has beyond those of h.
func (h Head) cover(read []OffsetRange) ([]Offset, []OffsetRange, error) {
	positions := slices.Clone(h.Offsets)
	var beyond []OffsetRange
	for _, r := range slices.SortedFunc(slices.Values(read), comparePartitions) {
		place, known := slices.BinarySearchFunc(positions, r, func(o Offset, r OffsetRange) int {
			return comparePartitions(OffsetRange{Topic: o.Topic, Partition: o.Partition}, r)
		})
		if known {
			// A range that begins later than the chain ends leaves a gap, which is for the audit to show.
			r.From = max(r.From, positions[place].Next)
		} else {
			positions = slices.Insert(positions, place, Offset{Topic: r.Topic, Partition: r.Partition})
		}
		if r.To < r.From {
			return nil, nil, fmt.Errorf("partition %s is read to offset %d only, %d is in the chain", r.partition(), r.To, r.From)
		}
		positions[place].Next = r.To
		if r.From < r.To {
			beyond = append(beyond, r)
		}
	}
	return positions, beyond, nil
}

// add makes entry, whose own fields are set, the last of the chain.
func (h Head) add(entry Entry) (Head, Entry, error) {
	entry.Sequence = h.Entries
	if h.Entries > 0 {
		last := h.Last
		entry.Previous = &last
	}
	if err := entry.Check(); err != nil {
		return Head{}, Entry{}, err
	}
	entry.Hash = entry.ComputeHash()
	h.Entries, h.Last = h.Entries+1, entry.link()
	return h, entry, nil
}

func comparePartitions(a, b OffsetRange) int {
	return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

func (r OffsetRange) partition() string { return fmt.Sprintf("%s-%d", r.Topic, r.Partition) }

// String returns the range for people: "orders-3 [0, 120)".
func (r OffsetRange) String() string { return fmt.Sprintf("%s [%d, %d)", r.partition(), r.From, r.To) }
