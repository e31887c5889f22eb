package operator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/mongodb"
	"pencere/pkg/expr"
	"pencere/pkg/format/bson"
	"pencere/pkg/plan"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
)

// DocumentWriter writes documents, and keeps those that the database refuses; see mongodb.Writer.
type DocumentWriter interface {
	Write(ctx context.Context, d mongodb.Document) error
	Tick(now time.Time) error
	Flush(ctx context.Context) error
	Refused() []mongodb.Refusal
	Close()
}

// Refusals take back rows that a sink cannot write.
type Refusals interface {
	// TakeBack hands over the record of a row that was counted as emitted.
	TakeBack(ctx context.Context, split int32, letter DeadLetter) error
}

// collection is a collection of documents as a subtask's part in checkpoints. A checkpoint holds nothing of it: what came before the barrier
// is there before the subtask's ack.
type collection struct {
	noFiles
	writer   DocumentWriter
	encoder  *bson.Encoder
	id       *expr.Evaluator // nil makes the _id of the record's place
	ids      bson.IDs        // of id
	refusals Refusals        // nil fails the job
	counters *Counters
	alloc    memory.Allocator
}

// origin is where a document's row comes from.
type origin struct {
	split int32
	DeadLetter
	offset int64
	known  bool // a window's row comes from many records
}

// NewMongoSink returns the end of a program that writes documents.
func NewMongoSink(p *plan.Program, writer DocumentWriter, counters *Counters, alloc memory.Allocator) (*Sink, error) {
	encoder, err := bson.NewEncoder(p.Sink, p.Job.Sink.MongoDB.Document)
	if err != nil {
		return nil, err
	}
	c := &collection{writer: writer, encoder: encoder, counters: counters, alloc: alloc}
	if p.DocumentID != nil {
		c.id = p.DocumentID.NewEvaluator()
		if c.ids, err = bson.NewIDs(p.DocumentID.Type()); err != nil {
			return nil, err
		}
	}
	return newSink(p, c, counters, alloc), nil
}

// HandBack gives the sink a place for the rows that it cannot write. Without one they fail the job.
func (s *Sink) HandBack(to Refusals) {
	if c, ok := s.Target.(*collection); ok {
		c.refusals = to
	}
}

// Write implements Target.
func (c *collection) Write(ctx context.Context, rows Rows, result arrow.RecordBatch) error {
	var ids arrow.Array
	if c.id != nil {
		var err error
		if ids, err = c.id.Eval(rows.Batch, c.alloc); err != nil {
			return rows.Origin.rowError("sink.mongodb.id", err)
		}
		defer ids.Release()
	}
	documents, err := c.documents(ctx, rows, ids, result)
	if err != nil {
		return err
	}
	c.counters.Backpressured.Start() // the writer waits while the database holds it up
	defer c.counters.Backpressured.Stop()
	for _, d := range documents {
		c.counters.BytesOut.Add(int64(len(d.Body)))
		if err := c.writer.Write(ctx, d); err != nil {
			return c.wrap(err)
		}
	}
	return c.handBack(ctx)
}

// documents makes documents of the rows that can be some, all in the same memory.
func (c *collection) documents(ctx context.Context, rows Rows, ids arrow.Array, result arrow.RecordBatch) ([]mongodb.Document, error) {
	documents := make([]mongodb.Document, 0, result.NumRows())
	var buffer []byte // when it moves because it grows, what it held stays where it was
	for row := range int(result.NumRows()) {
		id, err := c.idOf(rows.Origin, ids, row)
		begin := len(buffer)
		if err == nil {
			buffer, err = c.encoder.AppendRow(buffer, id, result, row)
		}
		from := c.originOf(rows.Origin, row)
		if err == nil {
			documents = append(documents, mongodb.Document{Body: buffer[begin:len(buffer):len(buffer)], Row: from})
		} else if err := c.refuse(ctx, from, err); err != nil {
			return nil, err
		}
	}
	return documents, nil
}

// idOf returns the _id of a row: what an expression says, or the place of its record.
func (c *collection) idOf(from Origin, ids arrow.Array, row int) (bson.ID, error) {
	if ids != nil {
		value, err := c.ids.Of(ids, row)
		return bson.ID{Value: value}, err
	}
	text := append([]byte(from.Topic), '-')
	text = append(strconv.AppendInt(text, int64(from.Partition), 10), '-')
	text = strconv.AppendInt(text, from.Offsets[row], 10)
	return bson.ID{Value: bson.TextID(string(text)), Fallback: true}, nil
}

// originOf says where a row comes from, with a copy of its record if that may become a dead letter.
func (c *collection) originOf(rows Origin, row int) origin {
	if row >= len(rows.Offsets) {
		return origin{}
	}
	from := origin{split: rows.Split, offset: rows.Offsets[row], known: true, DeadLetter: DeadLetter{Topic: rows.Topic, Partition: rows.Partition}}
	if c.refusals != nil {
		r := rows.Records[row]
		from.Record = &kgo.Record{Key: clone(r.Key), Value: clone(r.Value), Offset: r.Offset, Timestamp: r.Timestamp}
	}
	return from
}

func (*collection) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	return nil
}

// refuse hands a row back, or fails.
func (c *collection) refuse(ctx context.Context, from origin, reason error) error {
	switch {
	case c.refusals != nil:
		from.Reason = "sink: " + reason.Error()
		c.counters.RowsWritten.Add(-1)
		return c.refusals.TakeBack(ctx, from.split, from.DeadLetter)
	case from.known:
		return &RecordError{Topic: from.Topic, Partition: from.Partition, Offset: from.offset, Err: c.wrap(reason)}
	default:
		return c.wrap(reason)
	}
}

// handBack hands over what the database has refused by now.
func (c *collection) handBack(ctx context.Context) error {
	for _, refusal := range c.writer.Refused() {
		if err := c.refuse(ctx, refusal.Row.(origin), refusal.Err); err != nil {
			return err
		}
	}
	return nil
}

// Tick implements Target: documents do not wait for a full bulk for ever.
func (c *collection) Tick(now time.Time) error { return c.wrap(c.writer.Tick(now)) }

// Prepare implements Target. It waits until the database has all documents, and those that it has refused are handed over.
func (c *collection) Prepare(ctx context.Context) (checkpoint.Sink, error) {
	c.counters.Backpressured.Start()
	err := c.writer.Flush(ctx)
	c.counters.Backpressured.Stop()
	return checkpoint.Sink{}, errors.Join(c.wrap(err), c.handBack(ctx))
}

// Commit implements Target: there is nothing left to publish.
func (*collection) Commit(checkpoint.Sink) error { return nil }

// Close implements Target.
func (c *collection) Close() error {
	c.writer.Close()
	return nil
}
