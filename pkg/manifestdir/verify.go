package manifestdir

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"pencere/pkg/manifest"
)

const (
	// pieceSize is how many bytes of a part file are in memory at a time, for each of GOMAXPROCS workers.
	pieceSize = 256 << 10
	// maxEntrySize is the size in bytes above which a file is no entry: about 50,000 partitions.
	maxEntrySize = 8 << 20
)

// Verify proves the directory of part files that fsys is, such as os.DirFS of it, of one or several jobs: nothing is
// missing, edited, extra, or out of order. What is wrong is in the report, which is the same for the same directory; the
// error is that the directory cannot be listed. It reads each part file once, GOMAXPROCS of them at a time, so fsys must
// be safe for concurrent use. Jobs may go on writing meanwhile.
func Verify(fsys fs.FS) (manifest.Report, error) {
	// The entries come after the parts, as an entry is there before its part: no part that was listed lacks its own.
	parts, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return manifest.Report{}, fmt.Errorf("verify part files: %w", err)
	}
	entries, err := fs.ReadDir(fsys, manifest.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return manifest.Report{}, fmt.Errorf("verify part files: %w", err)
	}
	var found manifest.Inventory
	for _, part := range parts {
		sortPart(part.Name(), &found)
	}
	for _, entry := range entries {
		sortEntry(entry.Name(), &found)
	}
	readAll(fsys, found.Entries)
	settleAbsent(fsys, found.Entries)
	return manifest.Audit(found), nil
}

func sortPart(name string, found *manifest.Inventory) {
	switch _, hidden := partOfHidden(name); {
	case name == manifest.Dir:
	case hidden:
		found.Notes = append(found.Notes, manifest.Note{File: name, Text: "is in progress or pending, no result yet"})
	case strings.HasPrefix(name, manifest.PartPrefix):
		found.Parts = append(found.Parts, name)
	default:
		found.Notes = append(found.Notes, manifest.Note{File: name, Text: "is no part file"})
	}
}

func sortEntry(name string, found *manifest.Inventory) {
	switch {
	case strings.HasPrefix(name, temporaryMark):
		found.Notes = append(found.Notes, manifest.Note{File: path.Join(manifest.Dir, name), Text: "is an entry that is not written wholly"})
	case path.Ext(name) == ".json":
		found.Entries = append(found.Entries, manifest.FoundEntry{Name: name})
	default:
		found.Notes = append(found.Notes, manifest.Note{File: path.Join(manifest.Dir, name), Text: "is no manifest entry"})
	}
}

// partOfHidden returns the final name, without extension, of a part file that is in progress or pending.
func partOfHidden(name string) (stem string, ok bool) {
	stem, _, inProgress := strings.Cut(name, ".inprogress.")
	stem, dotted := strings.CutPrefix(stem, ".")
	return stem, inProgress && dotted && strings.HasPrefix(stem, manifest.PartPrefix)
}

// readAll reads entries and their part files.
func readAll(fsys fs.FS, entries []manifest.FoundEntry) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(entries)) {
		workers.Go(func() {
			r := reader{fsys: fsys, piece: make([]byte, pieceSize)}
			for i := next.Add(1) - 1; i < int64(len(entries)); i = next.Add(1) - 1 {
				r.read(&entries[i])
			}
		})
	}
	workers.Wait()
}

// reader reads files for one goroutine.
type reader struct {
	fsys  fs.FS
	piece []byte
}

// read completes an entry of which the name is known.
func (r *reader) read(found *manifest.FoundEntry) {
	text, err := r.entryText(path.Join(manifest.Dir, found.Name))
	if err != nil {
		found.Err = err
		return
	}
	found.Entry, found.Err = manifest.Decode(text)
	if found.Err != nil || found.Entry.File == nil {
		return
	}
	found.Part = r.part(*found.Entry.File)
}

func (r *reader) entryText(name string) ([]byte, error) {
	opened, err := openRegular(r.fsys, name)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	text, err := io.ReadAll(io.LimitReader(opened, maxEntrySize+1))
	if err == nil && len(text) > maxEntrySize {
		err = fmt.Errorf("it has more than %d bytes", maxEntrySize)
	}
	return text, err
}

// part reads a part file and takes its measures.
func (r *reader) part(want manifest.File) manifest.FoundPart {
	opened, err := openRegular(r.fsys, want.Name)
	if err != nil {
		return manifest.FoundPart{Absent: errors.Is(err, fs.ErrNotExist), Err: err}
	}
	defer opened.Close()
	hash, rows := sha256.New(), manifest.NewRowCounter(want.Quote)
	size, err := io.CopyBuffer(io.MultiWriter(hash, rows), onlyReader{opened}, r.piece)
	return manifest.FoundPart{SHA256: manifest.Hash(hash.Sum(nil)), Rows: rows.Rows(), Bytes: size, Err: err}
}

// onlyReader hides that a file can write itself, in pieces of its own.
type onlyReader struct{ io.Reader }

// openRegular opens a file that has an end: reading a pipe would wait for ever.
func openRegular(fsys fs.FS, name string) (fs.File, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	return fsys.Open(name)
}

// settleAbsent looks again for part files that were not there: they may be pending, or may just have been published.
func settleAbsent(fsys fs.FS, entries []manifest.FoundEntry) {
	isAbsent := func(found manifest.FoundEntry) bool { return found.Part.Absent }
	if !slices.ContainsFunc(entries, isAbsent) {
		return
	}
	pending := pendingParts(fsys)
	r := reader{fsys: fsys, piece: make([]byte, pieceSize)}
	for i := range entries {
		found := &entries[i]
		if !isAbsent(*found) {
			continue
		}
		name := found.Entry.File.Name
		found.Part = r.part(*found.Entry.File)
		found.Part.Pending = found.Part.Absent && pending[strings.TrimSuffix(name, path.Ext(name))]
	}
}

// pendingParts returns the names, without extension, of the part files that are there under hidden names. None are if
// the directory, which was listed before, no longer can be.
func pendingParts(fsys fs.FS) map[string]bool {
	pending := map[string]bool{}
	listed, _ := fs.ReadDir(fsys, ".")
	for _, file := range listed {
		if stem, hidden := partOfHidden(file.Name()); hidden {
			pending[stem] = true
		}
	}
	return pending
}
