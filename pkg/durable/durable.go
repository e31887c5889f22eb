// Package durable is the machine's file system for writers whose files must survive a crash: what they create, sync and
// rename, and errors that tell their user what to do.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// File is an open file that is appended to.
type File interface {
	io.WriteCloser
	// Sync makes what was written durable.
	Sync() error
}

// Disk is the machine's own file system. Its errors are those of package os. It is safe for concurrent use.
type Disk struct{}

// List returns the names in dir, in no order.
func (Disk) List(dir string) ([]string, error) {
	opened, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := opened.Readdirnames(-1)
	return names, errors.Join(err, opened.Close())
}

// Create makes a new file; it fails if there is one.
func (Disk) Create(path string) (File, error) {
	created, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return created, nil
}

// Rename gives a file another name; SyncDir makes that durable.
func (Disk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file; SyncDir makes that durable.
func (Disk) Remove(path string) error { return os.Remove(path) }

// SyncFile makes what was written to a file, by anybody, durable.
func (Disk) SyncFile(path string) error {
	opened, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}

// MakeDirs makes a directory and its parents where they are missing, durably.
func (d Disk) MakeDirs(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := d.MakeDirs(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}

// SyncDir makes what was created, renamed and removed in dir durable.
func (d Disk) SyncDir(dir string) error { return d.SyncFile(dir) }

// Explain adds to an error of the file system what was done and what to do about it. err names the path; notDirectory is
// the remedy where a file stands in a directory's place.
func Explain(action, dir, notDirectory string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: %w: free space on the file system of %s", action, err, dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s: %w: let the user that the taskmanager runs as write to %s", action, err, dir)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s: %w: %s", action, err, notDirectory)
	default:
		return fmt.Errorf("%s: %w", action, err)
	}
}
