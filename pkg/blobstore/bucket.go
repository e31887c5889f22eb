package blobstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"

	"pencere/pkg/durable"
	"pencere/pkg/failpoint"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://container
	_ "gocloud.dev/blob/fileblob"  // file:///dir
	_ "gocloud.dev/blob/s3blob"    // s3://bucket
	"gocloud.dev/gcerrors"
)

// Bucket is open storage. What is written to it is durable once it is closed without an error, in a directory too. Its errors name
// the storage and what to do. It is safe for concurrent use.
type Bucket struct {
	*blob.Bucket
	name string // for people
	dir  string // of a directory; "" for an object store
	disk disk   // of a directory
}

// disk makes files and directories durable.
type disk interface {
	SyncFile(path string) error
	SyncDir(dir string) error
}

// NewBucket makes a Bucket of storage that is no directory. name is what errors call it.
func NewBucket(name string, bucket *blob.Bucket) *Bucket { return &Bucket{Bucket: bucket, name: name} }

// open opens a directory or an object store; create makes a directory that is not there.
func open(ctx context.Context, storage url.URL, create bool) (*Bucket, error) {
	name := nameOf(storage)
	if storage.Scheme != "file" {
		bucket, err := blob.OpenBucket(ctx, storage.String())
		if err != nil {
			return nil, explain("open storage", name, err)
		}
		return NewBucket(name, bucket), nil
	}
	dir := filepath.FromSlash(storage.Path)
	if create {
		if err := (durable.Disk{}).MakeDirs(dir); err != nil {
			return nil, explainDir("open storage", dir, err)
		}
	}
	// no_tmp_dir: a blob is written beside its place and renamed, which /tmp on another disk would not allow.
	storage.RawQuery = url.Values{"metadata": {"skip"}, "no_tmp_dir": {"1"}}.Encode()
	bucket, err := blob.OpenBucket(ctx, storage.String())
	if err != nil {
		return nil, explainDir("open storage", dir, err)
	}
	return &Bucket{Bucket: bucket, name: name, dir: dir, disk: durable.Disk{}}, nil
}

// nameOf returns a URL as errors show it: the query can hold what is nobody's business.
func nameOf(storage url.URL) string {
	if storage.Scheme == "file" {
		return storage.Path
	}
	storage.RawQuery, storage.User = "", nil
	return storage.String()
}

// Writer writes a blob. It is there when Close has returned nil, and not before.
type Writer struct {
	to     *Bucket
	key    string
	writer *blob.Writer
}

// NewWriter begins a blob, in place of one of that key. If ctx ends before Close, Close fails and no blob is there.
func (b *Bucket) NewWriter(ctx context.Context, key string) (*Writer, error) {
	w, err := b.Bucket.NewWriter(ctx, key, nil)
	if err != nil {
		return nil, b.explain("create "+key, err)
	}
	return &Writer{to: b, key: key, writer: w}, nil
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.writer.Write(p)
	if err != nil {
		err = w.to.explain("write "+w.key, err)
	}
	return n, err
}

// Close makes the blob durable.
func (w *Writer) Close() error {
	failpoint.Hit(failpoint.DuringBlobWrite)
	if err := w.writer.Close(); err != nil {
		return w.to.explain("write "+w.key, err)
	}
	failpoint.Hit(failpoint.BeforeBlobSync)
	if err := w.to.sync(w.key); err != nil {
		return w.to.explain("sync "+w.key, err)
	}
	failpoint.Hit(failpoint.AfterBlobSync)
	return nil
}

// WriteAll writes a blob of the bytes given.
func (b *Bucket) WriteAll(ctx context.Context, key string, data []byte) error {
	w, err := b.NewWriter(ctx, key)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return errors.Join(err, w.Close())
}

// sync makes a file and the directories that lead to it durable, which a directory's driver does not: it leaves that to
// the operating system, which may take half a minute. An object store's answer says that the object is safe.
func (b *Bucket) sync(key string) error {
	if b.dir == "" {
		return nil
	}
	if err := b.disk.SyncFile(filepath.Join(b.dir, filepath.FromSlash(key))); err != nil {
		return err
	}
	for dir := path.Dir(key); ; dir = path.Dir(dir) {
		if err := b.disk.SyncDir(filepath.Join(b.dir, filepath.FromSlash(dir))); err != nil || dir == "." {
			return err
		}
	}
}

func (b *Bucket) explain(action string, err error) error {
	if b.dir != "" {
		return explainDir(action, b.dir, err)
	}
	return explain(action, b.name, err)
}

func explainDir(action, dir string, err error) error {
	return durable.Explain(action+" in "+dir, dir, fmt.Sprintf("name a directory, %s is or leads through a file", dir), err)
}

// explain adds to an error of an object store what was done, where, and what to do about it.
func explain(action, name string, err error) error {
	remedy := "name a directory, file:/dir, s3://bucket or azblob://container"
	u, parseErr := url.Parse(name)
	switch {
	case parseErr != nil:
	case u.Scheme == "gs":
		remedy = "name Google's storage by its S3 interface, s3://" + u.Host + "?endpoint=https://storage.googleapis.com&region=auto, with an HMAC key"
	case u.Scheme == "s3":
		remedy = "check that the bucket is there, region and endpoint in the URL, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the machine's role"
	case u.Scheme == "azblob":
		remedy = "check that the container is there, and AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY or the machine's identity"
	}
	if gcerrors.Code(err) == gcerrors.Canceled || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s in %s: %w", action, name, err)
	}
	return fmt.Errorf("%s in %s: %w: %s", action, name, err, remedy)
}

// removeDirs removes the directories that lead to a key where nothing else is in them: an empty directory says that something is
// there. A writer beside this one may need a directory that was just emptied; it makes it again or fails, and then its checkpoint does.
func (b *Bucket) removeDirs(key string) {
	if b.dir == "" {
		return
	}
	for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
		if os.Remove(filepath.Join(b.dir, filepath.FromSlash(dir))) != nil {
			return
		}
	}
}
