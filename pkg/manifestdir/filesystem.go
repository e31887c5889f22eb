package manifestdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"pencere/pkg/durable"
)

// filesystem is what a manifest's writer needs of one. Errors are those of package os.
type filesystem interface {
	// MakeDir makes dir where it is missing, durably; its parent must exist.
	MakeDir(dir string) error
	List(dir string) ([]string, error)
	// Read returns the bytes of a file; the error is fs.ErrNotExist if there is none.
	Read(path string) ([]byte, error)
	// Create makes a new file; it fails if there is one.
	Create(path string) (file, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes what was created, renamed and removed in dir durable.
	SyncDir(dir string) error
}

// file is an open file that is appended to.
type file = durable.File

// osFilesystem is the machine's own.
type osFilesystem struct{ durable.Disk }

func (o osFilesystem) MakeDir(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		return o.SyncDir(filepath.Dir(dir))
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	}
	return err
}

func (osFilesystem) Read(path string) ([]byte, error) { return os.ReadFile(path) }
