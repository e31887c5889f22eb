package partfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNames(t *testing.T) {
	n := names{job: "a1", subtask: 2, attempt: 3, extension: ".csv"}
	if got := n.finished(4); got != "part-a1-2-4.csv" {
		t.Errorf("finished name %s", got)
	}
	if got := n.hidden(4); got != ".part-a1-2-4.inprogress.3" {
		t.Errorf("hidden name %s", got)
	}
	for name, want := range map[string]int64{
		"part-a1-2-4.csv": 4, ".part-a1-2-4.inprogress.3": 4, ".part-a1-2-17.inprogress.0": 17,
		"part-a1-2-x.csv": -1, "part-a1-2-4": -1, "part-a1-2-04.csv": -1, "part-a1-2--4.csv": -1, "part-a1-2-.csv": -1,
		"part-a1-1-4.csv": -1, "part-a1-22-4.csv": -1, "part-a1-2-1-4.csv": -1, "part-b1-2-4.csv": -1, "xpart-a1-2-4.csv": -1,
		".part-a1-1-4.inprogress.3": -1, ".part-a1-2-4.inprogress.": -1, ".part-a1-2-4.inprogress": -1,
		"part-a1-2-99999999999999999999.csv": -1, "": -1, ".": -1,
	} {
		got, ok := n.number(name)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("number(%q) = %d, want %d", name, got, want)
		}
	}
}

// Any name that is made is read again by its own subtask and by no other.
func TestNamesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		job := rapid.StringMatching(`[a-z0-9-]{1,4}`)
		number := rapid.Int64Range(0, 1<<62).Draw(t, "number")
		a := names{job.Draw(t, "job"), rapid.IntRange(0, 11).Draw(t, "subtask"), rapid.IntRange(0, 11).Draw(t, "attempt"), ".csv"}
		b := names{job.Draw(t, "other job"), rapid.IntRange(0, 11).Draw(t, "other subtask"), a.attempt, ".csv"}
		for _, name := range []string{a.finished(number), a.hidden(number)} {
			if got, ok := a.number(name); !ok || got != number {
				t.Fatalf("number(%q) = %d, %v", name, got, ok)
			}
			if _, ok := b.number(name); ok && (a.job != b.job || a.subtask != b.subtask) {
				t.Fatalf("%q is taken for one of job %q, subtask %d", name, b.job, b.subtask)
			}
		}
	})
}

// lifecycleModel is what the lifecycle must amount to: an ordered list of files.
type lifecycleModel struct {
	files    []File
	prepared map[string]bool // by final name
}

func (m *lifecycleModel) current() *File {
	if n := len(m.files); n > 0 && m.files[n-1].State == StateInProgress {
		return &m.files[n-1]
	}
	return nil
}

func (m *lifecycleModel) rename(final string) {
	for i := range m.files {
		if m.files[i].State == StatePending && finalName(m.files[i].Name) == final {
			m.files[i].Name, m.files[i].State = final, StateFinished
		}
	}
}

func finalName(hidden string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(hidden, "."), ".inprogress")
	return name + ".csv"
}

// Over any order of calls, files go through their states one by one, keep their rows, and never share a name.
func TestLifecycle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, 5).Draw(t, "next")
		l := &lifecycle{names: names{"j", 0, 1, ".csv"}, rollSize: 100, rollInterval: time.Minute, next: first}
		m := &lifecycleModel{prepared: map[string]bool{}}
		now := time.Unix(0, 0)
		var opened time.Time
		var handed [][]Pending
		number := first
		t.Repeat(map[string]func(*rapid.T){
			"grow": func(t *rapid.T) {
				if m.current() == nil {
					if got, want := l.nextHidden(), fmt.Sprintf(".part-j-0-%d.inprogress.1", number); got != want {
						t.Fatalf("next hidden name %s, want %s", got, want)
					}
					m.files = append(m.files, File{Name: l.nextHidden(), State: StateInProgress})
					l.opened(now)
					number, opened = number+1, now
				}
				rows, bytes := rapid.IntRange(1, 5).Draw(t, "rows"), rapid.IntRange(1, 60).Draw(t, "bytes")
				l.grew(rows, bytes, now)
				m.current().Rows += int64(rows)
				m.current().Bytes += int64(bytes)
				m.current().Modified = now
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
			},
			"close": func(*rapid.T) {
				if c := m.current(); c != nil {
					l.closed([32]byte{}, now)
					c.State, c.Modified = StatePending, now
				}
			},
			"prepare": func(*rapid.T) {
				if m.current() != nil {
					return // a writer closes it first
				}
				pending := l.prepare()
				handed = append(handed, pending)
				for _, p := range pending {
					m.prepared[p.Name] = true
				}
			},
			"publish": func(t *rapid.T) {
				if len(handed) == 0 {
					return
				}
				pending := rapid.SampledFrom(handed).Draw(t, "checkpoint")
				before := l.files()
				l.published(pending, now)
				for _, p := range pending {
					m.rename(p.Name)
				}
				for i, f := range l.files() { // the time of publication is not the model's
					if before[i].State != f.State {
						m.files[i].Modified = now
					}
				}
			},
			"abandon": func(*rapid.T) {
				hidden := l.abandon()
				m.files = slices.DeleteFunc(m.files, func(f File) bool {
					return f.State != StateFinished && !m.prepared[finalName(f.Name)] && slices.Contains(hidden, f.Name)
				})
			},
			"": func(t *rapid.T) {
				if diff := cmp.Diff(m.files, l.files(), cmp.Transformer("empty", func(f []File) []File { return slices.Concat([]File{}, f) })); diff != "" {
					t.Fatalf("files (-model +lifecycle):\n%s", diff)
				}
				c := m.current()
				if got, want := l.isFull(), c != nil && c.Bytes >= 100; got != want {
					t.Fatalf("isFull = %v with %+v", got, c)
				}
				if got, want := l.isAged(now), c != nil && now.Sub(opened) >= time.Minute; got != want {
					t.Fatalf("isAged = %v, opened %v ago", got, now.Sub(opened))
				}
				if c != nil && l.room() != max(1, 100-c.Bytes) {
					t.Fatalf("room = %d with %d bytes", l.room(), c.Bytes)
				}
			},
		})
	})
}

// A long history is cut at its old end.
func TestFinishedFilesAreBounded(t *testing.T) {
	l := &lifecycle{names: names{"j", 0, 1, ".csv"}, rollSize: 1}
	now := time.Unix(0, 0)
	for range rememberedFiles + 5 {
		l.opened(now)
		l.closed([32]byte{}, now)
		l.published(l.prepare(), now)
	}
	files := l.files()
	if len(files) != rememberedFiles || files[0].Name != "part-j-0-5.csv" {
		t.Errorf("%d files from %s", len(files), files[0].Name)
	}
}
