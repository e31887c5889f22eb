// Package blobstore opens the blob storage that large state of checkpoints is kept in: a directory by default, an object
// store by its URL (https://gocloud.dev/howto/blob/).
package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// URL returns the storage that a setting means: a URL as it is, anything else as a directory, which is made when needed.
func URL(setting string) (string, error) {
	if strings.Contains(setting, "://") {
		return setting, nil
	}
	dir, err := filepath.Abs(setting)
	if err != nil {
		return "", fmt.Errorf("checkpoint directory %q: %w", setting, err)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}
	return u.String(), nil
}

// Buckets opens each storage once. The zero Buckets is ready; it is safe for concurrent use.
type Buckets struct {
	mu   sync.Mutex
	open map[string]*Bucket
}

// Open returns the storage of a URL. It stays open until Close.
func (b *Buckets) Open(ctx context.Context, storage string) (*Bucket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bucket, ok := b.open[storage]; ok {
		return bucket, nil
	}
	u, err := url.Parse(storage)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	bucket, err := open(ctx, *u, true)
	if err != nil {
		return nil, err
	}
	if b.open == nil {
		b.open = make(map[string]*Bucket)
	}
	b.open[storage] = bucket
	return bucket, nil
}

// Close closes all storage that was opened.
func (b *Buckets) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for url, bucket := range b.open {
		errs = append(errs, bucket.Close())
		delete(b.open, url)
	}
	return errors.Join(errs...)
}

// Store is one storage. It is safe for concurrent use.
type Store struct {
	url     string
	buckets Buckets
}

// New returns the storage of a URL, which is opened when needed.
func New(storage string) *Store { return &Store{url: storage} }

// URL returns the storage's URL.
func (s *Store) URL() string { return s.url }

// Delete removes blobs. That one is not there is no error.
func (s *Store) Delete(ctx context.Context, keys []string) error {
	bucket, err := s.buckets.Open(ctx, s.url)
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range keys {
		if err := bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			errs = append(errs, bucket.explain("delete "+key, err))
			continue
		}
		bucket.removeDirs(key)
	}
	return errors.Join(errs...)
}

// Keys returns the keys that begin with a prefix. Those of blobs that changed after the time given are left out; the zero time leaves
// none out.
func (s *Store) Keys(ctx context.Context, prefix string, after time.Time) ([]string, error) {
	var keys []string
	err := s.list(ctx, &blob.ListOptions{Prefix: prefix}, func(o *blob.ListObject) {
		if after.IsZero() || !o.ModTime.After(after) {
			keys = append(keys, o.Key)
		}
	})
	return keys, err
}

// Folders returns what is before the first slash of the keys.
func (s *Store) Folders(ctx context.Context) ([]string, error) {
	var folders []string
	err := s.list(ctx, &blob.ListOptions{Delimiter: "/"}, func(o *blob.ListObject) {
		if o.IsDir {
			folders = append(folders, strings.TrimSuffix(o.Key, "/"))
		}
	})
	return folders, err
}

func (s *Store) list(ctx context.Context, options *blob.ListOptions, each func(*blob.ListObject)) error {
	bucket, err := s.buckets.Open(ctx, s.url)
	if err != nil {
		return err
	}
	for objects := bucket.List(options); ; {
		object, err := objects.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return bucket.explain("list "+options.Prefix, err)
		}
		each(object)
	}
}

// Close closes the storage.
func (s *Store) Close() error { return s.buckets.Close() }
