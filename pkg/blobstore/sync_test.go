package blobstore

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// slowDisk notes what is made durable, and fails when it is told to.
type slowDisk struct {
	synced []string
	err    error
}

func (d *slowDisk) SyncFile(path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	d.synced = append(d.synced, path)
	return d.err
}

func (d *slowDisk) SyncDir(dir string) error { return d.SyncFile(dir + "/") }

// A blob in a directory is durable when its writer is closed: its bytes, its name, and the names of the directories made for it.
func TestBlobIsSynced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for it")
	bucket, err := open(t.Context(), url.URL{Scheme: "file", Path: dir}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	disk := &slowDisk{}
	bucket.disk = disk
	if err := bucket.WriteAll(t.Context(), "job/chk-1/w-0-0", []byte("x")); err != nil {
		t.Fatal(err)
	}
	want := []string{dir + "/job/chk-1/w-0-0", dir + "/job/chk-1/", dir + "/job/", dir + "/"}
	if diff := cmp.Diff(want, disk.synced); diff != "" {
		t.Errorf("synced (-want +got):\n%s", diff)
	}
	disk.err = &os.PathError{Op: "sync", Path: dir, Err: syscall.ENOSPC}
	err = bucket.WriteAll(t.Context(), "job/chk-2/w-0-0", []byte("x"))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space on the file system of "+dir) {
		t.Errorf("a full disk: %v", err)
	}
}
