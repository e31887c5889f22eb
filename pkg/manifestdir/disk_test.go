package manifestdir

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"pencere/pkg/manifest"
)

// disk is a directory in memory that crashes: what was not synced may be lost. Changes of the directory reach it in
// their order, as in a journal; bytes of a file too.
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
	return &disk{live: map[string]*inode{}, journal: []map[string]*inode{{}}, failAt: -1}
}

// operate counts an operation, and runs it unless it is to fail.
func (d *disk) operate(op, path string, run func()) error {
	d.ops++
	at := d.ops - 1
	failing := d.failAt >= 0 && (at == d.failAt || at > d.failAt && errors.Is(d.fault, errCrash))
	if !failing || d.applied && at == d.failAt {
		run()
	}
	if failing {
		return &fs.PathError{Op: op, Path: path, Err: d.fault}
	}
	return nil
}

// crash turns the machine off and on.
func (d *disk) crash(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	d.live = maps.Clone(d.journal[random.IntN(len(d.journal))])
	d.journal = []map[string]*inode{maps.Clone(d.live)}
	for _, file := range d.live {
		file.content = file.content[:file.synced+random.IntN(len(file.content)-file.synced+1)]
		file.synced = len(file.content)
	}
}

// mustHoldOnly checks that each file is an entry of those given, or temporary, and returns how many entries there are.
func (d *disk) mustHoldOnly(t *testing.T, entries []manifest.Entry) (found int) {
	left := len(d.live)
	for path := range d.live {
		if strings.HasPrefix(filepath.Base(path), temporaryMark) {
			left--
		}
	}
	for _, entry := range entries {
		file := d.live[filepath.Join("out", manifest.Dir, entry.Name())]
		if file == nil {
			continue
		}
		found++
		if want, err := entry.Encode(); err != nil || !bytes.Equal(file.content, want) {
			t.Fatalf("%s is %q: %v", entry.Name(), file.content, err)
		}
	}
	if found != left {
		t.Fatalf("there are other files: %v", d.live)
	}
	return found
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

func (d *disk) Read(path string) (content []byte, err error) {
	if err := d.operate("open", path, func() {}); err != nil {
		return nil, err
	}
	if d.live[path] == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return d.live[path].content, nil
}

func (d *disk) Create(path string) (file, error) {
	created := &inode{}
	if err := d.operate("open", path, func() { d.live[path] = created; d.changed() }); err != nil {
		return nil, err
	}
	return &openFile{d, path, created}, nil
}

func (d *disk) Rename(from, to string) error {
	return d.operate("rename", from, func() {
		d.live[to] = d.live[from]
		delete(d.live, from)
		d.changed()
	})
}

func (d *disk) Remove(path string) error {
	if d.live[path] == nil {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	}
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
