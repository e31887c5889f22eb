package partfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"pencere/pkg/failpoint"
)

// Errors of Commit, to be asked for with errors.Is.
var (
	// ErrMissing says that a pending file is there under neither of its names.
	ErrMissing = errors.New("part file is missing")
	// ErrForeign says that a file is not the one that the checkpoint holds.
	ErrForeign = errors.New("file is not the one that the checkpoint holds")
)

// Commit publishes pending files in dir by renaming them, durably. It needs no writer: whoever restores a checkpoint
// calls it with the checkpoint's pending files, on any machine that sees dir, before new writers start. It may be
// called again: a file that has its final name is left alone. It overwrites nothing. At the first error it stops; what
// was renamed is still finished, and another call goes on. Errors are ErrMissing, ErrForeign, or the file system's.
func Commit(dir string, pending []Pending) error { return commit(osFilesystem{}, dir, pending) }

func commit(files filesystem, dir string, pending []Pending) error {
	if len(pending) == 0 {
		return nil
	}
	for _, p := range pending {
		if err := publish(files, dir, p); err != nil {
			return err
		}
	}
	// Also when nothing was renamed: a crash may have come between an earlier call's rename and its sync.
	if err := files.SyncDir(dir); err != nil {
		return explain("commit part files", dir, err)
	}
	failpoint.Hit(failpoint.AfterPublish)
	return nil
}

func publish(files filesystem, dir string, p Pending) error {
	if filepath.Base(p.Hidden) != p.Hidden || filepath.Base(p.Name) != p.Name {
		return fmt.Errorf("commit part file %q as %q: a name must not lead to another directory", p.Hidden, p.Name)
	}
	hidden, final := filepath.Join(dir, p.Hidden), filepath.Join(dir, p.Name)
	isPending, err := holds(files, hidden, p.Bytes)
	if err != nil {
		return explain("commit part file", dir, err)
	}
	isFinished, err := holds(files, final, p.Bytes)
	switch {
	case err != nil:
		return explain("commit part file", dir, err)
	case isPending && isFinished:
		return fmt.Errorf("commit part file %s: %s exists: %w: move it away, nothing is overwritten", hidden, final, ErrForeign)
	case isFinished:
		return nil
	case !isPending:
		return fmt.Errorf("commit part file %s: neither it nor %s exists: %w: put it back, or restore from another checkpoint",
			final, hidden, ErrMissing)
	}
	failpoint.Hit(failpoint.BeforeRename)
	if err := files.Rename(hidden, final); err != nil {
		// Another program may have done the same: what restores a checkpoint, and who hears late that it is committed.
		if isFinished, _ := holds(files, final, p.Bytes); isFinished && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return explain("commit part file", dir, err)
	}
	failpoint.Hit(failpoint.AfterRename)
	return nil
}

// Exists reports whether a pending file is in dir, under its hidden name or its final one, whatever is in it.
func Exists(dir string, p Pending) (bool, error) {
	for _, name := range []string{p.Hidden, p.Name} {
		_, err := osFilesystem{}.Size(filepath.Join(dir, name))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, explain("look for part file", dir, err)
		}
	}
	return false, nil
}

// holds reports whether there is a file at path; it must have the size given.
func holds(files filesystem, path string, size int64) (bool, error) {
	found, err := files.Size(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case found != size:
		return false, fmt.Errorf("%s has %d bytes, not %d: %w: move it away, nothing is overwritten", path, found, size, ErrForeign)
	}
	return true, nil
}

// Newest returns the names of the last finished files in dir of each subtask that a job has had. A directory that is not there has none.
func Newest(dir, job, extension string) (map[int]string, error) {
	listed, err := osFilesystem{}.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("list part files", dir, err)
	}
	numbers, names := make(map[int]int64), make(map[int]string)
	for _, name := range listed {
		subtask, number, ok := parseFinished(name, job, extension)
		if _, known := names[subtask]; ok && (!known || number > numbers[subtask]) {
			numbers[subtask], names[subtask] = number, name
		}
	}
	return names, nil
}

// RemoveStale removes the hidden files of a job in dir that stale says are no running attempt's, durably, and returns
// their names. Only those that no completed checkpoint holds may go: whoever restores calls Commit first.
func RemoveStale(dir, job string, stale func(subtask, attempt int) bool) ([]string, error) {
	return removeStale(osFilesystem{}, dir, job, stale)
}

func removeStale(files filesystem, dir, job string, stale func(subtask, attempt int) bool) ([]string, error) {
	listed, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("remove stale part files", dir, err)
	}
	var removed []string
	for _, name := range listed {
		subtask, _, attempt, ok := parseHidden(name, job)
		if !ok || !stale(subtask, attempt) {
			continue
		}
		if err := files.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, explain("remove stale part file", dir, err)
		}
		removed = append(removed, name)
	}
	if len(removed) == 0 {
		return nil, nil
	}
	if err := files.SyncDir(dir); err != nil {
		return removed, explain("remove stale part files", dir, err)
	}
	return removed, nil
}
