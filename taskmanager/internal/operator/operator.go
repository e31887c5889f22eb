// Package operator holds the operator chains that subtasks run: what becomes of records between the source and the
// exchange, and of batches between the exchange and the sink. A chain belongs to the goroutine of its subtask.
package operator

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Output is what a chain ends in: the edges to the next vertex, or a sink.
type Output interface {
	// Rows takes rows, and the ownership of their batch.
	Rows(ctx context.Context, rows Rows) error
	Watermark(ctx context.Context, w eventtime.Watermark) error
	Idle(ctx context.Context) error
	// Barrier sends the barrier of a checkpoint; stops says that nothing follows it.
	Barrier(ctx context.Context, id checkpoint.ID, stops bool) error
	// End says that nothing follows.
	End(ctx context.Context) error
}

// Rows are rows on their way through a source chain.
type Rows struct {
	Batch  arrow.RecordBatch
	Starts []int64 // the start of each row's window in ms; nil without a window. Valid during the call.
	Origin Origin
}

// Origin says where rows were read: it is what an error about one of them names.
type Origin struct {
	Split     int32 // its number in the job
	Topic     string
	Partition int32
	Offsets   []int64 // of each row; valid during the call
	// Records are those of the rows, for what may hand them to the dead letters; nil in other jobs. Valid during the call.
	Records []*kgo.Record
}

// RecordError is an error about one record.
type RecordError struct {
	Topic     string
	Partition int32
	Offset    int64
	Err       error
}

func (e *RecordError) Error() string {
	if strings.Contains(e.Topic, "://") { // which no topic is named
		return fmt.Sprintf("item %d of %s: %v", e.Offset, e.Topic, e.Err)
	}
	return fmt.Sprintf("record at topic %s, partition %d, offset %d: %v", e.Topic, e.Partition, e.Offset, e.Err)
}

// Unwrap returns what is wrong with the record.
func (e *RecordError) Unwrap() error { return e.Err }

// at makes an error about the record that a row came from.
func (o Origin) at(row int, err error) error {
	if row < 0 || row >= len(o.Offsets) {
		return err
	}
	return &RecordError{Topic: o.Topic, Partition: o.Partition, Offset: o.Offsets[row], Err: err}
}

// Counters count what a chain does. The chain writes them, heartbeats read them.
type Counters struct {
	RecordsIn, RecordsOut, BytesIn, BytesOut atomic.Int64
	Filtered, Late, LateAfterIdle            atomic.Int64
	Empty, Dropped, IgnoredFields            atomic.Int64
	Collapsed, OpenGroups, OpenWindows       atomic.Int64
	RowsWritten                              atomic.Int64
	Lost                                     atomic.Int64 // gone before they could be read
	BadDeadLetters, LateDeadLetters          atomic.Int64 // handed over because they could not be decoded, or came too late
	RefusedDeadLetters                       atomic.Int64 // handed over because the sink could not write them
	FilesPublished, RowsPublished            atomic.Int64 // of part files
	InputWatermark, OutputWatermark          atomic.Int64 // ms
	// Idle runs while the chain waits for input, Backpressured while it waits for room downstream.
	Idle, Backpressured Stopwatch
}

// NewCounters returns counters at zero, with no watermarks yet.
func NewCounters() *Counters {
	c := &Counters{}
	c.InputWatermark.Store(int64(eventtime.None))
	c.OutputWatermark.Store(int64(eventtime.None))
	return c
}
