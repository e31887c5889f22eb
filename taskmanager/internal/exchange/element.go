// Package exchange moves the elements of a job between its subtasks: by pointer inside a taskmanager, by one gRPC
// stream for each pair of subtasks between taskmanagers. On an edge nothing overtakes.
package exchange

import (
	"context"
	"errors"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"

	"github.com/apache/arrow-go/v18/arrow"
)

// Kind says what an Element is.
type Kind uint8

// The kinds of elements.
const (
	Batch      Kind = iota + 1 // rows
	Watermark                  // the upstream's event time
	Idle                       // the upstream leaves the minimum until its next element
	EndOfInput                 // nothing follows
	Barrier                    // what came before belongs to a checkpoint, what comes after does not
	Nudge                      // of the gate itself: somebody left an order for the subtask
)

// Element is what an edge carries.
type Element struct {
	Kind       Kind
	Batch      arrow.RecordBatch   // of a Batch; its receiver releases it
	Split      int32               // of a Batch: the number in the job of the split that all its rows came from
	Watermark  eventtime.Watermark // of a Watermark, ms
	Checkpoint checkpoint.ID       // of a Barrier
	Stops      bool                // of a Barrier: the upstream sends nothing more
}

// Sender is the upstream's end of an edge. One goroutine uses it.
type Sender interface {
	// Send hands an element over and blocks while the downstream is behind. It takes ownership of a batch, also when it
	// returns an error: that of ctx, or one that wraps ErrPeerGone.
	Send(ctx context.Context, e Element) error
	// Close gives the edge up when it has not carried EndOfInput; the downstream then fails.
	Close()
}

// ErrPeerGone is wrapped by the errors of an edge whose other end went away. The failure that caused it is the
// other end's.
var ErrPeerGone = errors.New("peer subtask is gone")

// Subtask names an attempt of a subtask on an edge.
type Subtask struct {
	JobID    string
	VertexID string
	Index    int
	Attempt  int
}
