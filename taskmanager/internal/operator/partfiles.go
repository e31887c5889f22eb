package operator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"

	"github.com/apache/arrow-go/v18/arrow"
)

// Target is what a sink writes to. It takes part in checkpoints: what Prepare returns goes into one, and Commit publishes it once that is
// committed, perhaps after the subtask has ended.
type Target interface {
	// Write writes the columns of the result, made of rows.
	Write(ctx context.Context, rows Rows, result arrow.RecordBatch) error
	// InWindow says that the next rows are of the window from start to end, in ms.
	InWindow(start, end int64)
	// Tick does what is due at a time.
	Tick(now time.Time) error
	Prepare(ctx context.Context) (checkpoint.Sink, error)
	Commit(published checkpoint.Sink) error
	// OpenFiles returns the part files that are not published.
	OpenFiles() []partfile.File
	// Close leaves nothing unfinished behind.
	Close() error
}

// noFiles is the part of a Target that writes none.
type noFiles struct{}

// InWindow implements Target.
func (noFiles) InWindow(int64, int64) {}

// OpenFiles implements Target: there are none.
func (noFiles) OpenFiles() []partfile.File { return nil }

// partFiles are part files as a subtask's part in checkpoints publishes them.
type partFiles struct {
	name     string // in errors
	writer   *partfile.Writer
	finished func([]partfile.File) // is told of published files
}

// Write implements Target.
func (p *partFiles) Write(_ context.Context, rows Rows, result arrow.RecordBatch) error {
	if err := p.writer.Write(result); err != nil {
		return fmt.Errorf("%s: %w", p.name, rows.Origin.cellError(err))
	}
	return nil
}

// InWindow implements Target.
func (p *partFiles) InWindow(start, end int64) { p.writer.InWindow(start, end) }

// Close implements Target. It removes what no checkpoint can hold.
func (p *partFiles) Close() error {
	if err := p.writer.Close(); err != nil {
		return fmt.Errorf("close %s: %w", p.name, err)
	}
	return nil
}

// OpenFiles returns the part files that are not published.
func (p *partFiles) OpenFiles() []partfile.File {
	return slices.DeleteFunc(p.writer.Files(), func(f partfile.File) bool { return f.State == partfile.StateFinished })
}

// Tick closes the current part file if it has reached its age at the time now.
func (p *partFiles) Tick(now time.Time) error {
	if err := p.writer.Tick(now); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// Prepare completes the part files, makes them durable, and returns them for a checkpoint. They are not visible yet.
func (p *partFiles) Prepare(context.Context) (checkpoint.Sink, error) {
	pending, err := p.writer.Prepare()
	if err != nil {
		return checkpoint.Sink{}, fmt.Errorf("%s: %w", p.name, err)
	}
	state := checkpoint.Sink{Next: p.writer.Next()}
	for _, file := range pending {
		state.Pending = append(state.Pending, checkpoint.PartFile(file))
	}
	return state, nil
}

// Commit publishes part files of a checkpoint that is committed. Those that an earlier one held too may be published already:
// a barrier can overtake the word of the commit before it.
func (p *partFiles) Commit(published checkpoint.Sink) error {
	unpublished := make(map[string]bool)
	for _, f := range p.OpenFiles() {
		unpublished[f.Name] = true
	}
	var pending []partfile.Pending
	var finished []partfile.File
	now := time.Now()
	for _, f := range published.Pending {
		if unpublished[f.Hidden] {
			pending = append(pending, partfile.Pending(f))
			finished = append(finished, partfile.File{Name: f.Name, State: partfile.StateFinished, Rows: f.Rows, Bytes: f.Bytes, Modified: now})
		}
	}
	if len(pending) == 0 {
		return nil
	}
	if err := p.writer.Commit(pending); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.finished(finished)
	return nil
}
