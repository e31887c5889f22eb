package manifestdir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
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

// file is an open file that is written once.
type file interface {
	io.WriteCloser
	// Sync makes what was written durable.
	Sync() error
}

// osFilesystem is the machine's own.
type osFilesystem struct{}

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

func (osFilesystem) List(dir string) ([]string, error) {
	opened, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := opened.Readdirnames(-1)
	return names, errors.Join(err, opened.Close())
}

func (osFilesystem) Read(path string) ([]byte, error) { return os.ReadFile(path) }

func (osFilesystem) Create(path string) (file, error) {
	created, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return created, nil
}

func (osFilesystem) Rename(from, to string) error { return os.Rename(from, to) }

func (osFilesystem) Remove(path string) error { return os.Remove(path) }

func (osFilesystem) SyncDir(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}
