package subtask

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/rowkey"
	"pencere/pkg/window"
	"pencere/taskmanager/internal/operator"
)

// Bucket opens the blob storage of a URL. It may be called for the same URL again; nobody closes what it returns.
type Bucket func(ctx context.Context, url string) (*blobstore.Bucket, error)

// saveKeyed writes a snapshot where a checkpoint finds it: into the ack if it is small, else into blob storage.
func (s *Subtask) saveKeyed(ctx context.Context, id checkpoint.ID, snapshot *window.Snapshot) (checkpoint.Keyed, error) {
	dir := checkpoint.Dir{JobID: s.self.JobID, ID: id}
	spill := &spill{ctx: ctx, key: dir.StateKey(checkpoint.Subtask{VertexID: s.self.VertexID, Index: s.self.Index}, s.self.Attempt)}
	spill.open = func() (*blobstore.Bucket, error) { return s.host.Bucket(ctx, s.deploy.GetCheckpointUrl()) }
	err := snapshot.Encode(spill, s.program.Job.MaxParallelism)
	handle, closeErr := spill.close(err)
	if err := errors.Join(err, closeErr); err != nil {
		return checkpoint.Keyed{}, fmt.Errorf("write state: %w", err)
	}
	return checkpoint.Keyed{KeyGroups: s.keyGroups(), Handle: handle}, nil
}

// keyGroups are those that the subtask owns.
func (s *Subtask) keyGroups() checkpoint.KeyGroups {
	first, last := rowkey.Range(s.self.Index, int(s.deploy.GetParallelism()), s.program.Job.MaxParallelism)
	return checkpoint.KeyGroups{First: first, Last: last}
}

// spill keeps what is written while it is small, and goes on into a blob when it is not.
type spill struct {
	ctx  context.Context //nolint:containedctx // of one upload, which io.Writer has no place for
	key  string
	open func() (*blobstore.Bucket, error)

	small bytes.Buffer
	large *blobstore.Writer
	abort context.CancelFunc // of large: closed after it, nothing stays
	sum   *checkpoint.BlobWriter
}

func (s *spill) Write(p []byte) (int, error) {
	if s.large == nil && s.small.Len()+len(p) <= checkpoint.MaxInline {
		return s.small.Write(p)
	}
	if s.large == nil {
		if err := s.begin(); err != nil {
			return 0, err
		}
	}
	return s.sum.Write(p)
}

func (s *spill) begin() error {
	bucket, err := s.open()
	if err != nil {
		return fmt.Errorf("open checkpoint storage: %w", err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.abort = cancel
	if s.large, err = bucket.NewWriter(ctx, s.key); err != nil {
		cancel()
		return err
	}
	s.sum = checkpoint.NewBlobWriter(s.key, s.large)
	_, err = s.sum.Write(s.small.Bytes())
	return err
}

// close ends the writing, which failed if err is not nil: then nothing stays.
func (s *spill) close(err error) (checkpoint.Handle, error) {
	if s.large == nil {
		return checkpoint.Handle{Inline: s.small.Bytes()}, nil
	}
	defer s.abort()
	if err != nil {
		s.abort()
		_ = s.large.Close() // says that it was aborted
		return checkpoint.Handle{}, nil
	}
	if err := s.large.Close(); err != nil {
		return checkpoint.Handle{}, err
	}
	return checkpoint.Handle{Blob: s.sum.Blob()}, nil
}

// restoreKeyed fills a window's store with the key groups that are this subtask's now.
func (s *Subtask) restoreKeyed(ctx context.Context, chain *operator.Window) error {
	for _, keyed := range s.restored.Keyed {
		data, err := s.load(ctx, keyed.Handle)
		if err != nil {
			return fmt.Errorf("read state of checkpoint %d: %w", s.deploy.GetRestoredId(), err)
		}
		if err := chain.Restore(bytes.NewReader(data), int64(len(data)), keyed.KeyGroups); err != nil {
			return err
		}
	}
	return chain.WriteAnew(ctx)
}

// load returns the bytes that a handle leads to.
func (s *Subtask) load(ctx context.Context, h checkpoint.Handle) ([]byte, error) {
	if !h.IsBlob() {
		return h.Inline, nil
	}
	bucket, err := s.host.Bucket(ctx, s.deploy.GetCheckpointUrl())
	if err != nil {
		return nil, fmt.Errorf("open checkpoint storage: %w", err)
	}
	return blobstore.Read(ctx, bucket, h.Blob)
}

func commitFiles(dir string, files []checkpoint.PartFile) error {
	pending := make([]partfile.Pending, len(files))
	for i, f := range files {
		pending[i] = partfile.Pending(f)
	}
	if err := partfile.Commit(dir, pending); err != nil {
		return fmt.Errorf("publish the files of the checkpoint that the job goes on from: %w", err)
	}
	return nil
}

// removeStale removes the hidden files of earlier attempts: no checkpoint can hold them any more. Those of a subtask
// are removed by the one that took it over.
func (s *Subtask) removeStale(dir string) error {
	return s.removeHidden(dir, func(subtask, attempt int) bool {
		return attempt < s.self.Attempt && subtask%int(s.deploy.GetParallelism()) == s.self.Index
	})
}

// Discard removes the hidden files of a subtask that has ended, and that no checkpoint will publish.
func (s *Subtask) Discard() error {
	own := func(subtask, attempt int) bool { return subtask == s.self.Index && attempt == s.self.Attempt }
	for _, dir := range []string{sinkDir(s.program), deadLetterDir(s.program)} {
		if dir == "" {
			continue
		}
		if err := s.removeHidden(dir, own); err != nil {
			return err
		}
	}
	return nil
}

// removeHidden removes the hidden files that are stale.
func (s *Subtask) removeHidden(dir string, stale func(subtask, attempt int) bool) error {
	_, err := partfile.RemoveStale(dir, shortID(s.self.JobID), stale)
	return err
}
