// Package manifestdir writes the manifest of a directory of part files, and verifies such a directory. What entries are,
// and what they prove, is package manifest's.
package manifestdir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"pencere/pkg/durable"
	"pencere/pkg/failpoint"
	"pencere/pkg/manifest"
)

// ErrDifferent says that there is another entry under the name of one that is to be written, to be asked for with
// errors.Is.
var ErrDifferent = errors.New("there is another entry of this name")

// Write writes entries, as manifest.Chain made them, into the manifest of dir, durably: each is there wholly or not at
// all. It must come before the part files get their final names, so that no finished file is ever without an entry.
// It may be repeated, also by another program: an entry that is there already stays as it is. A different one
// under the same name is never overwritten; the error is ErrDifferent. At the first error it stops; what was written is
// correct, and another call goes on. dir must exist. Errors name the path and the remedy.
func Write(dir string, entries ...manifest.Entry) error { return write(osFilesystem{}, dir, entries) }

func write(files filesystem, dir string, entries []manifest.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	dir = filepath.Join(dir, manifest.Dir)
	if err := files.MakeDir(dir); err != nil {
		return explain("make manifest", dir, err)
	}
	for _, entry := range entries {
		if err := writeEntry(files, dir, entry); err != nil {
			return err
		}
	}
	// Also when all were there: a crash may have come between an earlier call's rename and its sync.
	if err := files.SyncDir(dir); err != nil {
		return explain("sync manifest", dir, err)
	}
	return nil
}

func writeEntry(files filesystem, dir string, entry manifest.Entry) error {
	text, err := entry.Encode()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, entry.Name())
	if _, err := manifest.Decode(text); err != nil {
		return fmt.Errorf("write manifest entry %s: %w", path, err)
	}
	there, err := files.Read(path)
	switch {
	case err == nil && bytes.Equal(there, text):
		return nil
	case err == nil:
		return fmt.Errorf("write manifest entry %s: %w: move it and its part file away, nothing is overwritten", path, ErrDifferent)
	case !errors.Is(err, fs.ErrNotExist):
		return explain("read manifest entry", dir, err)
	}
	// A name of its own: a subtask that is believed dead may be writing the same entry.
	temporary := filepath.Join(dir, fmt.Sprintf("%s%016x", temporaryPrefix(entry.Checkpoint.Job), rand.Uint64()))
	if err := fill(files, temporary, text); err != nil {
		return explain("write manifest entry", dir, errors.Join(err, removeIfThere(files, temporary)))
	}
	failpoint.Hit(failpoint.BeforeManifestRename)
	if err := files.Rename(temporary, path); err != nil {
		return explain("write manifest entry", dir, errors.Join(err, removeIfThere(files, temporary)))
	}
	failpoint.Hit(failpoint.AfterManifestRename)
	return nil
}

// Has reports whether an entry is in the manifest of dir. That another one is there under its name is no error here.
func Has(dir string, entry manifest.Entry) (bool, error) {
	path := filepath.Join(dir, manifest.Dir, entry.Name())
	there, err := osFilesystem{}.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, explain("read manifest entry", filepath.Dir(path), err)
	}
	text, err := entry.Encode()
	return bytes.Equal(there, text), err
}

// Of returns the entry of a part file in the manifest of dir; ok is false if there is none.
func Of(dir, part string) (entry manifest.Entry, ok bool, err error) {
	path := filepath.Join(dir, manifest.Dir, manifest.Entry{File: &manifest.File{Name: part}}.Name())
	text, err := osFilesystem{}.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest.Entry{}, false, nil
	}
	if err != nil {
		return manifest.Entry{}, false, explain("read manifest entry", filepath.Dir(path), err)
	}
	if entry, err = manifest.Decode(text); err != nil {
		return manifest.Entry{}, false, fmt.Errorf("read manifest entry %s: %w", path, err)
	}
	return entry, true, nil
}

// temporaryMark is how the names of entries begin while they are written.
const temporaryMark = ".entry-"

func temporaryPrefix(job string) string { return temporaryMark + job + "-" }

// fill makes a new file that has text, durably.
func fill(files filesystem, path string, text []byte) error {
	created, err := files.Create(path)
	if err != nil {
		return err
	}
	if _, err := created.Write(text); err != nil {
		return errors.Join(err, created.Close())
	}
	if err := created.Sync(); err != nil {
		return errors.Join(err, created.Close())
	}
	return created.Close()
}

func removeIfThere(files filesystem, path string) error {
	if err := files.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveTemporary removes what writers of a job that died left in the manifest of dir, and returns the files' names. It
// is to be called before new writers start, where stale part files are removed too: it makes a Write that runs fail.
func RemoveTemporary(dir, job string) ([]string, error) {
	return removeTemporary(osFilesystem{}, dir, job)
}

func removeTemporary(files filesystem, dir, job string) ([]string, error) {
	dir = filepath.Join(dir, manifest.Dir)
	listed, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("remove temporary manifest entries", dir, err)
	}
	var removed []string
	for _, name := range listed {
		suffix, ok := strings.CutPrefix(name, temporaryPrefix(job))
		if !ok || len(suffix) != 16 {
			continue
		}
		if err := removeIfThere(files, filepath.Join(dir, name)); err != nil {
			return removed, explain("remove temporary manifest entry", dir, err)
		}
		removed = append(removed, name)
	}
	return removed, nil // not synced: one that a crash brings back is removed the next time
}

// explain adds to an error of the file system what was done and what to do about it; err names the path.
func explain(action, dir string, err error) error {
	return durable.Explain(action, dir, fmt.Sprintf("move the file %s away, it is where the manifest belongs", dir), err)
}
