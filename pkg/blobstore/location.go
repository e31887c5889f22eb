package blobstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"pencere/pkg/checkpoint"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Location is a folder as users name it: a directory, file:/dir, or a URL such as s3://bucket/folder?region=eu-west-1. It is
// made by Locate.
type Location struct{ url url.URL }

// Locate reads a location. A relative directory is one below that of this process.
func Locate(text string) (Location, error) {
	if text == "" {
		return Location{}, errors.New("location: it is empty")
	}
	if strings.HasPrefix(text, "file:") || strings.Contains(text, "://") {
		u, err := url.Parse(text)
		switch {
		case err != nil:
			return Location{}, fmt.Errorf("location %q: %w", text, errors.Unwrap(err))
		case u.Scheme == "file" && (u.Host != "" || !path.IsAbs(u.Path)):
			return Location{}, fmt.Errorf("location %q: want an absolute path, as file:///dir", text)
		case u.Scheme != "file" && u.Host == "":
			return Location{}, fmt.Errorf("location %q: it names no bucket", text)
		}
		return Location{url: *u}, nil
	}
	dir, err := filepath.Abs(text)
	if err != nil {
		return Location{}, fmt.Errorf("location %q: %w", text, err)
	}
	return Location{url: url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(dir)}}, nil
}

// Join returns the folder of a name in this one.
func (l Location) Join(name string) Location {
	l.url.Path = path.Join("/", l.url.Path, name)
	return l
}

// Trim returns the folder without a last part of its path, if it has that.
func (l Location) Trim(name string) Location {
	if dir, last := path.Split(strings.TrimSuffix(l.url.Path, "/")); last == name {
		l.url.Path = path.Clean(dir)
	}
	return l
}

// String returns the location so that Locate reads it again, a directory as file:/dir.
func (l Location) String() string {
	if l.url.Scheme == "file" {
		return (&url.URL{Scheme: "file", OmitHost: true, Path: l.url.Path}).String()
	}
	return l.url.String()
}

// Open opens the folder; create makes a directory that is not there. The bucket must be closed.
func (l Location) Open(ctx context.Context, create bool) (*Bucket, error) {
	if l.url.Scheme == "file" {
		return open(ctx, l.url, create)
	}
	store, prefix := l.url, strings.Trim(l.url.Path, "/")
	store.Path = ""
	bucket, err := open(ctx, store, create)
	if err != nil || prefix == "" {
		return bucket, err
	}
	bucket.Bucket = blob.PrefixedBucket(bucket.Bucket, prefix+"/")
	return bucket, nil
}

// ErrDiffers says that a blob is not the one that a checkpoint was made with.
var ErrDiffers = errors.New("it is not what was written")

// Copy copies the blob of a checkpoint to another bucket, under another key. Nothing is there under that key after an error, which is
// ErrDiffers if size or checksum do.
func Copy(ctx context.Context, from *Bucket, source checkpoint.Blob, to *Bucket, key string) error {
	writing, abort := context.WithCancel(ctx)
	defer abort()
	writer, err := to.NewWriter(writing, key)
	if err != nil {
		return err
	}
	if err := receive(ctx, from, source, writer); err != nil {
		abort()
		_ = writer.Close() // it has nothing to say but that it was aborted
		return fmt.Errorf("copy %s: %w", source.Key, err)
	}
	return writer.Close()
}

// Read returns the bytes of a blob of a checkpoint. The error is ErrDiffers if size or checksum do.
func Read(ctx context.Context, from *Bucket, source checkpoint.Blob) ([]byte, error) {
	var data bytes.Buffer
	if err := receive(ctx, from, source, &data); err != nil {
		return nil, fmt.Errorf("read %s: %w", source.Key, err)
	}
	return data.Bytes(), nil
}

// receive writes a blob of a checkpoint to w, and says at the end if it was not what the checkpoint was made with.
func receive(ctx context.Context, from *Bucket, source checkpoint.Blob, w io.Writer) (err error) {
	reader, err := from.NewReader(ctx, source.Key, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	received := checkpoint.NewBlobWriter(source.Key, w)
	if _, err := io.Copy(received, reader); err != nil {
		return err
	}
	if got := received.Blob(); got != source {
		return fmt.Errorf("%d bytes of checksum %08x, want %d of %08x: %w", got.Size, got.CRC32C, source.Size, source.CRC32C, ErrDiffers)
	}
	return nil
}

// IsMissing reports whether an error says that a blob is not there.
func IsMissing(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }

// Bucket returns the storage itself, open until Close.
func (s *Store) Bucket(ctx context.Context) (*Bucket, error) { return s.buckets.Open(ctx, s.url) }

// Remove deletes blobs of the folder, in order, and the folder if it is a directory in which nothing else is. That a blob is not there
// is no error.
func (l Location) Remove(ctx context.Context, keys []string) (err error) {
	bucket, err := l.Open(ctx, false)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := bucket.Delete(ctx, key); err != nil && !IsMissing(err) {
			return errors.Join(fmt.Errorf("delete %s: %w", l.Join(key), err), bucket.Close())
		}
	}
	if l.url.Scheme == "file" {
		_ = os.Remove(l.url.Path) // it stays if it is not empty
	}
	return bucket.Close()
}
