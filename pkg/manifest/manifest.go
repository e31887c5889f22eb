// Package manifest holds the proof of a directory of part files: what each file must be, and that there are no others.
//
// Each part file has an Entry: a digest of its bytes, and which records of the source it rests on. The entries of a job
// form a chain, each holding the hash of the one before it, over all subtasks; Chain makes them when a checkpoint is
// committed. A job that finished closes its chain with an entry of KindEnd, so that a missing tail is found too. Audit
// judges what was found in a directory.
//
// A chain shows that a directory was changed, not by whom: who writes the whole chain anew is found only by comparing
// JobReport.Head with the Head that the jobmanager keeps.
//
// The package is pure; package manifestdir writes entries and verifies directories.
package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Dir is the directory of the entries, inside that of the part files. Readers of data skip names that begin with "_".
const Dir = "_manifest"

// PartPrefix is how the names of finished part files begin.
const PartPrefix = "part-"

// Version is the version of the entries that this program writes.
const Version = 1

// Kind says what an entry is for.
type Kind string

// The kinds of entries.
const (
	KindFile Kind = "file" // tells of one part file
	KindEnd  Kind = "end"  // closes the chain of a job that finished; tells of no file
)

// Hash is a SHA-256. Its text is 64 lower-case hexadecimal digits.
type Hash [sha256.Size]byte

// Sum returns the hash of data. The hash of a spec is that of plan.Job.Encode.
func Sum(data []byte) Hash { return sha256.Sum256(data) }

// String returns the hash as text.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("hash of %d digits instead of %d", len(text), hex.EncodedLen(len(h)))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Entry is one link of a job's chain.
type Entry struct {
	Version    int        `json:"version"`
	Kind       Kind       `json:"kind"`
	Sequence   int64      `json:"sequence"`           // place in the chain, from 0
	Previous   *Link      `json:"previous,omitempty"` // nil in the first entry
	Checkpoint Checkpoint `json:"checkpoint"`
	File       *File      `json:"file,omitempty"` // nil in one of KindEnd
	Hash       Hash       `json:"hash"`           // of all the above, see ComputeHash
}

// Link names an entry.
type Link struct {
	File string `json:"file"` // the part file of the entry
	Hash Hash   `json:"hash"` // the entry's own
}

// Checkpoint is what the entries of one checkpoint have in common.
type Checkpoint struct {
	ID      int64  `json:"id"`
	Job     string `json:"job"` // the job's id, part of names of files
	JobName string `json:"job_name"`
	Spec    Hash   `json:"spec"`    // of the plan's encoding
	Program string `json:"program"` // version of the program
	// Offsets are what the job read since the checkpoint before it that has entries, by topic and partition.
	Offsets []OffsetRange `json:"offsets"`
}

// OffsetRange is a range of the offsets of a Kafka partition: From is the first one, To the one after the last.
type OffsetRange struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
}

// File is what a finished part file must be.
type File struct {
	Name   string `json:"name"` // without directory
	SHA256 Hash   `json:"sha256"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	// Quote is the ASCII character between two of which a line feed is text; any other line feed ends a row. Empty
	// when a file's bytes do not tell its rows (text is not quoted, or a NULL literal holds a quote): then nobody
	// counts them again.
	Quote  string  `json:"quote,omitempty"`
	Window *Window `json:"window,omitempty"` // nil without windows
}

// Window is the range of the windows whose rows a file has, in ms since 1970 on the wall clock by which they are cut.
type Window struct {
	Start int64 `json:"start"` // of the first window
	End   int64 `json:"end"`   // of the last, exclusive
}

// Name returns the name of the entry's own file, in Dir.
func (e Entry) Name() string {
	if e.Kind == KindEnd {
		return endName(e.Checkpoint.Job)
	}
	return entryName(e.part())
}

func (e Entry) part() string {
	if e.File == nil {
		return ""
	}
	return e.File.Name
}

const entrySuffix = ".json"

func entryName(part string) string { return part + entrySuffix }

func endName(job string) string { return "end-" + job + entrySuffix }

// link names e for the entry after it.
func (e Entry) link() Link { return Link{File: e.part(), Hash: e.Hash} }

// Check tells what is wrong with the entry's fields, Hash apart. It returns nil if nothing is.
func (e Entry) Check() error {
	switch {
	case e.Version != Version:
		return fmt.Errorf("manifest entry of version %d: this program knows version %d: use a newer one", e.Version, Version)
	case e.Sequence < 0:
		return fmt.Errorf("sequence %d is negative", e.Sequence)
	case (e.Sequence == 0) != (e.Previous == nil):
		return errors.New("just the entry of sequence 0 has none before it")
	case e.Kind != KindFile && e.Kind != KindEnd:
		return fmt.Errorf("kind %q is neither %q nor %q", e.Kind, KindFile, KindEnd)
	case (e.Kind == KindFile) != (e.File != nil):
		return fmt.Errorf("just an entry of kind %q has a file", KindFile)
	}
	if e.Previous != nil {
		if err := checkPartName(e.Previous.File); err != nil {
			return fmt.Errorf("previous: %w", err)
		}
	}
	if e.File != nil {
		if err := e.File.check(); err != nil {
			return err
		}
	}
	return e.Checkpoint.check()
}

func (f File) check() error {
	switch {
	case f.Rows < 0 || f.Bytes < 0:
		return fmt.Errorf("file %q has %d rows and %d bytes", f.Name, f.Rows, f.Bytes)
	case len(f.Quote) > 1 || f.Quote >= "\x80" || f.Quote == "\n":
		return fmt.Errorf("quote %q is not one ASCII character", f.Quote)
	case f.Window != nil && f.Window.Start >= f.Window.End:
		return fmt.Errorf("window from %d to %d is empty", f.Window.Start, f.Window.End)
	}
	return checkPartName(f.Name)
}

func checkPartName(name string) error {
	if !strings.HasPrefix(name, PartPrefix) || !isPlain(name) {
		return fmt.Errorf("%q is no name of a part file", name)
	}
	return nil
}

// isPlain reports whether text can be a part of a file's name on any system that a directory is carried to.
func isPlain(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsAny(text, "/\\\x00")
}

func (c Checkpoint) check() error {
	switch {
	case c.ID < 0:
		return fmt.Errorf("checkpoint %d is negative", c.ID)
	case c.Job == "" || !isPlain(c.Job):
		return fmt.Errorf("job id %q cannot be part of a file's name", c.Job)
	case !utf8.ValidString(c.JobName) || !utf8.ValidString(c.Program):
		return fmt.Errorf("job name %q or program version %q is not UTF-8", c.JobName, c.Program)
	}
	for i, r := range c.Offsets {
		if r.Partition < 0 || r.From < 0 || r.From >= r.To || !utf8.ValidString(r.Topic) {
			return fmt.Errorf("offsets %s are none", r)
		}
		if i > 0 && comparePartitions(c.Offsets[i-1], r) >= 0 {
			return fmt.Errorf("offsets %s are not after %s", r, c.Offsets[i-1])
		}
	}
	return nil
}
