package partfile

import (
	"fmt"
	"os"
	"path/filepath"

	"pencere/pkg/durable"
)

// filesystem is what part files need of one. Errors are those of package os.
type filesystem interface {
	// MakeDir makes dir and its parents where they are missing, durably.
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

// file is an open file that is appended to.
type file = durable.File

// osFilesystem is the machine's own.
type osFilesystem struct{ durable.Disk }

func (o osFilesystem) MakeDir(dir string) error {
	return o.MakeDirs(filepath.Clean(dir))
}

func (osFilesystem) Size(path string) (int64, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// explain adds to an error of the file system what was done and what to do about it; err names the path.
func explain(action, dir string, err error) error {
	return durable.Explain(action, dir, fmt.Sprintf("name a directory as the sink's path, %s is or leads through a file", dir), err)
}
