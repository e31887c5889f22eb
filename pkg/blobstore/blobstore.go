// Package blobstore opens the blob storage that large state of checkpoints is kept in: a directory by default, an object
// store by its URL (https://gocloud.dev/howto/blob/).
package blobstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file:///dir
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
	// no_tmp_dir: a blob is written beside its place and renamed, which /tmp on another disk would not allow.
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(dir), RawQuery: "create_dir=1&metadata=skip&no_tmp_dir=1"}
	return u.String(), nil
}

// Buckets opens each storage once. The zero Buckets is ready; it is safe for concurrent use.
type Buckets struct {
	mu   sync.Mutex
	open map[string]*blob.Bucket
}

// Open returns the storage of a URL. It stays open until Close.
func (b *Buckets) Open(ctx context.Context, storage string) (*blob.Bucket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bucket, ok := b.open[storage]; ok {
		return bucket, nil
	}
	bucket, err := blob.OpenBucket(ctx, storage)
	if err != nil {
		return nil, fmt.Errorf("open storage %s: %w", storage, err)
	}
	if b.open == nil {
		b.open = make(map[string]*blob.Bucket)
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
			errs = append(errs, fmt.Errorf("delete %s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// Close closes the storage.
func (s *Store) Close() error { return s.buckets.Close() }
