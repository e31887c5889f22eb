package partfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// filesystem is what part files need of one. Errors are those of package os.
type filesystem interface {
	// MakeDir makes dir and its parents where they are missing, durably. It fails if dir takes no files.
	MakeDir(dir string) error
	// List returns the names in dir.
	List(dir string) ([]string, error)
	// Create makes a new file; it fails if there is one.
	Create(path string) (file, error)
	// Size returns the bytes of a file; the error is fs.ErrNotExist if there is none.
	Size(path string) (int64, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes what was created, renamed and removed in dir durable.
	SyncDir(dir string) error
}

// file is an open file that rows are appended to.
type file interface {
	io.WriteCloser
	// Sync makes what was written durable.
	Sync() error
}

// osFilesystem is the machine's own.
type osFilesystem struct{}

func (o osFilesystem) MakeDir(dir string) error {
	if err := o.makeDir(filepath.Clean(dir)); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".part-probe-*") // better to hear of it now than at the first window
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func (o osFilesystem) makeDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := o.makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return o.SyncDir(parent)
}

func (osFilesystem) List(dir string) ([]string, error) {
	opened, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := opened.Readdirnames(-1)
	return names, errors.Join(err, opened.Close())
}

func (osFilesystem) Create(path string) (file, error) {
	created, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return created, nil
}

func (osFilesystem) Size(path string) (int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
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

// explain adds to an error of the file system what was done and what to do about it; err names the path.
func explain(action, dir string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: %w: free space on the file system of %s", action, err, dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s: %w: let the user that the taskmanager runs as write to %s", action, err, dir)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s: %w: name a directory as the sink's path, %s is or leads through a file", action, err, dir)
	default:
		return fmt.Errorf("%s: %w", action, err)
	}
}
