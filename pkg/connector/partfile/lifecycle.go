package partfile

import (
	"crypto/sha256"
	"slices"
	"time"
)

// State is where a part file is in its life.
type State string

// A part file is in progress while rows are added, pending from the barrier of a checkpoint (complete and on disk, but
// hidden) until that is committed, and then finished: visible, and never touched again.
const (
	StateInProgress State = "in-progress"
	StatePending    State = "pending"
	StateFinished   State = "finished"
)

// File describes a part file to people and to metrics.
type File struct {
	Name     string // as it is in the directory now
	State    State
	Rows     int64
	Bytes    int64
	Modified time.Time // of the last row added, or of the last change of state
}

// Pending is a part file that is complete and on disk under its hidden name. It is part of a checkpoint's state:
// whoever restores the checkpoint can publish it with Commit.
type Pending struct {
	Hidden string // name while pending, without directory
	Name   string // name when finished
	Rows   int64
	Bytes  int64
	SHA256 [sha256.Size]byte
	// WindowStart and WindowEnd are the first start and the last end of the rows' windows, in ms; both 0 without windows.
	WindowStart, WindowEnd int64
}

// rememberedFiles bounds the finished files that Files tells of, the newest.
const rememberedFiles = 1000

// lifecycle is what a writer knows of its files: which names, which states, when to roll. It does no I/O; the writer
// tells it what has been done.
type lifecycle struct {
	names        names
	rollSize     int64
	rollInterval time.Duration
	next         int64 // number of the next file

	windowStart, windowEnd int64 // of the rows that come

	current  *part // in progress, or nil
	pending  []pendingPart
	finished []File
}

type part struct {
	Pending
	opened, modified time.Time
}

type pendingPart struct {
	part
	prepared bool // handed out by prepare: a checkpoint may hold it
}

// seen makes the numbers go on after those of the names that a directory holds.
func (l *lifecycle) seen(directory []string) {
	for _, name := range directory {
		if number, ok := l.names.number(name); ok {
			l.next = max(l.next, number+1)
		}
	}
}

// nextHidden is the name under which the next file is to be created.
func (l *lifecycle) nextHidden() string { return l.names.hidden(l.next) }

// opened makes the file that was created under nextHidden the current one.
func (l *lifecycle) opened(now time.Time) {
	l.current = &part{
		Pending: Pending{Hidden: l.nextHidden(), Name: l.names.finished(l.next)},
		opened:  now, modified: now,
	}
	l.next++
}

// room is how many bytes the current file takes until it is full; at least 1.
func (l *lifecycle) room() int64 { return max(1, l.rollSize-l.current.Bytes) }

func (l *lifecycle) grew(rows, bytes int, now time.Time) {
	if l.current.Rows == 0 {
		l.current.WindowStart, l.current.WindowEnd = l.windowStart, l.windowEnd
	} else if rows > 0 {
		l.current.WindowStart = min(l.current.WindowStart, l.windowStart)
		l.current.WindowEnd = max(l.current.WindowEnd, l.windowEnd)
	}
	l.current.Rows += int64(rows)
	l.current.Bytes += int64(bytes)
	l.current.modified = now
}

func (l *lifecycle) isFull() bool { return l.current != nil && l.current.Bytes >= l.rollSize }

func (l *lifecycle) isAged(now time.Time) bool {
	return l.current != nil && l.rollInterval > 0 && now.Sub(l.current.opened) >= l.rollInterval
}

// closed makes the current file, which is complete and on disk, a pending one.
func (l *lifecycle) closed(sum [sha256.Size]byte, now time.Time) {
	l.current.SHA256, l.current.modified = sum, now
	l.pending = append(l.pending, pendingPart{part: *l.current})
	l.current = nil
}

// prepare returns all pending files, also those of an earlier call: its checkpoint may have failed.
func (l *lifecycle) prepare() []Pending {
	all := make([]Pending, len(l.pending))
	for i := range l.pending {
		l.pending[i].prepared = true
		all[i] = l.pending[i].Pending
	}
	return all
}

// published makes the pending files among files finished ones. Files of another writer are none of its own.
func (l *lifecycle) published(files []Pending, now time.Time) {
	l.pending = slices.DeleteFunc(l.pending, func(p pendingPart) bool {
		if !slices.Contains(files, p.Pending) {
			return false
		}
		l.finished = append(l.finished, File{Name: p.Name, State: StateFinished, Rows: p.Rows, Bytes: p.Bytes, Modified: now})
		return true
	})
	if excess := len(l.finished) - rememberedFiles; excess > 0 {
		l.finished = slices.Delete(l.finished, 0, excess)
	}
}

// unpublished returns the files that are none of those remembered as finished.
func (l *lifecycle) unpublished(files []Pending) []Pending {
	return slices.DeleteFunc(slices.Clone(files), func(p Pending) bool {
		return slices.ContainsFunc(l.finished, func(f File) bool { return f.Name == p.Name })
	})
}

// abandon forgets the files that no checkpoint can hold, and returns their hidden names.
func (l *lifecycle) abandon() []string {
	var hidden []string
	if l.current != nil {
		hidden = append(hidden, l.current.Hidden)
		l.current = nil
	}
	l.pending = slices.DeleteFunc(l.pending, func(p pendingPart) bool {
		if !p.prepared {
			hidden = append(hidden, p.Hidden)
		}
		return !p.prepared
	})
	return hidden
}

// files returns all files, oldest first.
func (l *lifecycle) files() []File {
	all := slices.Clone(l.finished)
	for _, p := range l.pending {
		all = append(all, p.file(StatePending))
	}
	if l.current != nil {
		all = append(all, l.current.file(StateInProgress))
	}
	return all
}

func (p *part) file(state State) File {
	return File{Name: p.Hidden, State: state, Rows: p.Rows, Bytes: p.Bytes, Modified: p.modified}
}
