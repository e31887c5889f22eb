package partfile

import (
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// disk is a file system in memory that crashes: what was not synced may be lost, wholly or in part. Directory changes
// reach it in their order, as in a journal; bytes of a file too.
type disk struct {
	live    map[string]*inode   // by path
	journal []map[string]*inode // the directory after each change since its last sync; the first is durable
	ops     int                 // operations so far
	failAt  int                 // the operation that fails, and all after it when crashing; -1 for none
	applied bool                // whether the failing operation takes effect all the same
	fault   error
}

type inode struct {
	content []byte
	synced  int
}

var errCrash = errors.New("the machine is off")

func newDisk() *disk {
	d := &disk{live: map[string]*inode{}, failAt: -1}
	d.journal = []map[string]*inode{{}}
	return d
}

// operate counts an operation, and runs it unless it is to fail.
func (d *disk) operate(op, path string, run func()) error {
	d.ops++
	failing := d.failAt >= 0 && (d.ops-1 == d.failAt || d.ops-1 > d.failAt && errors.Is(d.fault, errCrash))
	if !failing || d.applied && d.ops-1 == d.failAt {
		run()
	}
	if failing {
		return &fs.PathError{Op: op, Path: path, Err: d.fault}
	}
	return nil
}

// crash turns the machine off and on.
func (d *disk) crash(random *rand.Rand) {
	d.live = maps.Clone(d.journal[random.IntN(len(d.journal))])
	d.journal = []map[string]*inode{maps.Clone(d.live)}
	for _, file := range d.live {
		file.content = file.content[:file.synced+random.IntN(len(file.content)-file.synced+1)]
		file.synced = len(file.content)
	}
	d.failAt = -1
}

func (d *disk) changed() { d.journal = append(d.journal, maps.Clone(d.live)) }

func (d *disk) MakeDir(dir string) error { return d.operate("mkdir", dir, func() {}) }

func (d *disk) List(dir string) (names []string, err error) {
	err = d.operate("readdir", dir, func() {
		for path := range d.live {
			names = append(names, filepath.Base(path))
		}
	})
	return names, err
}

func (d *disk) Create(path string) (file, error) {
	if d.live[path] != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrExist}
	}
	created := &inode{}
	err := d.operate("open", path, func() {
		d.live[path] = created
		d.changed()
	})
	if err != nil {
		return nil, err
	}
	return &openFile{d, path, created}, nil
}

func (d *disk) Size(path string) (size int64, err error) {
	err = d.operate("lstat", path, func() {})
	if err != nil {
		return 0, err
	}
	found := d.live[path]
	if found == nil {
		return 0, &fs.PathError{Op: "lstat", Path: path, Err: fs.ErrNotExist}
	}
	return int64(len(found.content)), nil
}

func (d *disk) Rename(from, to string) error {
	return d.operate("rename", from, func() {
		d.live[to] = d.live[from]
		delete(d.live, from)
		d.changed()
	})
}

func (d *disk) Remove(path string) error {
	return d.operate("remove", path, func() {
		delete(d.live, path)
		d.changed()
	})
}

func (d *disk) SyncDir(dir string) error {
	return d.operate("sync", dir, func() { d.journal = []map[string]*inode{maps.Clone(d.live)} })
}

type openFile struct {
	disk  *disk
	path  string
	inode *inode
}

func (f *openFile) Write(p []byte) (n int, err error) {
	err = f.disk.operate("write", f.path, func() { f.inode.content, n = append(f.inode.content, p...), len(p) })
	return n, err
}

func (f *openFile) Sync() error {
	return f.disk.operate("sync", f.path, func() { f.inode.synced = len(f.inode.content) })
}

func (f *openFile) Close() error { return f.disk.operate("close", f.path, func() {}) }

// finished returns the lines of all finished files, those of one subtask in their order.
func (d *disk) finished() []string {
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(d.live)) {
		if !strings.HasPrefix(filepath.Base(path), ".") {
			lines = append(lines, strings.Split(strings.TrimSuffix(string(d.live[path].content), "\n"), "\n")...)
		}
	}
	return lines
}

// hidden returns the names that begin with a dot.
func (d *disk) hidden() []string {
	var names []string
	for path := range d.live {
		if name := filepath.Base(path); strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	return names
}
