package checkpoint

import (
	"fmt"
	"slices"
)

// MetadataName is the file of a savepoint's folder that says what the others are.
const MetadataName = "_metadata"

// Metadata is what the metadata file of a savepoint holds: all that another job needs to go on from it. The keys of its blobs are
// relative to the savepoint's folder.
type Metadata struct {
	JobID   string // of the job that the savepoint was taken of
	JobName string
	Plan    []byte // that job's logical plan, as the plan package encodes it
	// Splits are all splits of the job, by number, and where each began: the job may not have begun to read the newest.
	Splits     []Split
	Checkpoint Checkpoint
}

// The sections of a Metadata, each once.
const (
	tagJob = iota + 1
	tagPlan
	tagJobSplits
	tagJobCheckpoint
)

// Encode returns the bytes of the metadata file.
func (m Metadata) Encode() []byte {
	dst := appendSection(preambleOf(formatSavepoint), tagJob, AppendText(AppendText(nil, m.JobID), m.JobName))
	dst = appendSection(dst, tagPlan, m.Plan)
	dst = appendSection(dst, tagJobSplits, appendSplits(nil, m.Splits))
	dst = appendSection(dst, tagJobCheckpoint, m.Checkpoint.Encode())
	return appendSection(dst, tagEnd, nil)
}

// DecodeMetadata is the inverse of Metadata.Encode, of any version. The result shares data's memory.
func DecodeMetadata(data []byte) (Metadata, error) {
	var m Metadata
	next := byte(tagJob)
	err := eachSection(formatSavepoint, data, func(tag byte, payload []byte) (err error) {
		if tag != next {
			return &CorruptError{What: formatSavepoint.String(), Reason: fmt.Sprintf("section %d is not expected", tag)}
		}
		next++
		d := NewDecoder("savepoint: head", payload)
		switch tag {
		case tagJob:
			m.JobID, m.JobName = d.Text(), d.Text()
			return d.Finish()
		case tagPlan:
			m.Plan = payload
		case tagJobSplits:
			m.Splits = readSplits(d)
			return d.Finish()
		case tagJobCheckpoint:
			m.Checkpoint, err = Decode(payload)
		}
		return err
	})
	if err == nil && next <= tagJobCheckpoint {
		err = &CorruptError{What: formatSavepoint.String(), Reason: fmt.Sprintf("section %d is missing", next)}
	}
	if err != nil {
		return Metadata{}, err
	}
	return m, nil
}

// WithBlobs returns a copy of the checkpoint that rests on the blobs that move gives for its own. It stops at the first error.
func (c Checkpoint) WithBlobs(move func(Blob) (Blob, error)) (Checkpoint, error) {
	states := make([]State, len(c.States))
	for i, s := range c.States {
		states[i] = s
		states[i].Keyed = make([]Keyed, len(s.Keyed))
		for j, k := range s.Keyed {
			if k.Handle.IsBlob() {
				moved, err := move(k.Handle.Blob)
				if err != nil {
					return Checkpoint{}, err
				}
				k.Handle = Handle{Blob: moved}
			}
			states[i].Keyed[j] = k
		}
	}
	c.States = states
	return c, nil
}

// Published returns a copy of the checkpoint without the part files and transactions of the sink to be published: it is certain that they were, or
// that another job does it.
func (c Checkpoint) Published() Checkpoint {
	return c.changed(func(s *State) { s.Sink.Pending, s.Sink.Transactions = nil, nil })
}

// PublishedDeadLetters is Published for dead letters.
func (c Checkpoint) PublishedDeadLetters() Checkpoint {
	return c.changed(func(s *State) { s.DeadLetters.Pending, s.DeadLetters.Transactions = nil, nil })
}

// changed returns a copy of the checkpoint with other states.
func (c Checkpoint) changed(change func(*State)) Checkpoint {
	c.States = slices.Clone(c.States)
	for i := range c.States {
		change(&c.States[i])
	}
	return c
}
