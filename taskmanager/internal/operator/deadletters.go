package operator

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"
	"unicode/utf8"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
)

// DeadLetter is a record that the job could not use.
type DeadLetter struct {
	Topic     string
	Partition int32
	Record    *kgo.Record // valid until Add returns
	Reason    string      // in words
}

// DeadLetters take the dead letters of a source.
type DeadLetters interface {
	// Add may wait for what it writes to, until ctx ends.
	Add(ctx context.Context, letter DeadLetter) error
	// These are those of a Target.
	Tick(now time.Time) error
	Prepare(ctx context.Context) (checkpoint.Sink, error)
	Commit(published checkpoint.Sink) error
	Close() error
}

// DeadLetterSchema is the row type of DeadLetterFiles. The timestamp is the record's in Kafka, NULL if it has none; encoding says
// how key and value are written: text as they are, base64 when one of them is not valid UTF-8. A record without a key has NULL, which CSV writes as it writes an empty one: no bytes.
func DeadLetterSchema() sqltype.Schema {
	text := sqltype.StringType.WithNotNull(true)
	return sqltype.Schema{
		{Name: "topic", Type: text},
		{Name: "partition", Type: sqltype.IntType.WithNotNull(true)},
		{Name: "offset", Type: sqltype.BigIntType.WithNotNull(true)},
		{Name: "timestamp", Type: sqltype.TimestampLTZType(3)},
		{Name: "reason", Type: text},
		{Name: "encoding", Type: text},
		{Name: "key", Type: sqltype.StringType},
		{Name: "value", Type: sqltype.StringType},
	}
}

// DeadLetterFiles write dead letters to part files, in the order in which they come.
type DeadLetterFiles struct {
	partFiles
	builder *array.RecordBuilder
	rows    int // in builder
	bytes   int // of their keys and values
}

// NewDeadLetterFiles returns what writes rows of DeadLetterSchema with writer.
func NewDeadLetterFiles(writer *partfile.Writer, alloc memory.Allocator) *DeadLetterFiles {
	return &DeadLetterFiles{
		partFiles: partFiles{name: "dead letters", writer: writer, finished: func([]partfile.File) {}},
		builder:   array.NewRecordBuilder(alloc, DeadLetterSchema().Arrow()),
	}
}

// Add implements DeadLetters.
func (d *DeadLetterFiles) Add(_ context.Context, letter DeadLetter) error {
	r, columns := letter.Record, d.builder.Fields()
	columns[0].(*array.StringBuilder).Append(letter.Topic)
	columns[1].(*array.Int32Builder).Append(letter.Partition)
	columns[2].(*array.Int64Builder).Append(r.Offset)
	if ms := r.Timestamp.UnixMilli(); r.Timestamp.IsZero() || ms < 0 {
		columns[3].AppendNull()
	} else {
		columns[3].(*array.Decimal128Builder).Append(sqltype.TimestampValue(ms, 0))
	}
	columns[4].(*array.StringBuilder).Append(letter.Reason)
	encoding, encode := "text", func(b []byte) string { return string(b) }
	if !utf8.Valid(r.Key) || !utf8.Valid(r.Value) {
		encoding, encode = "base64", base64.StdEncoding.EncodeToString
	}
	columns[5].(*array.StringBuilder).Append(encoding)
	appendBytes(columns[6], r.Key, encode)
	appendBytes(columns[7], r.Value, encode)
	d.rows++
	d.bytes += len(r.Key) + len(r.Value)
	if d.rows < batchRows && d.bytes < batchBytes {
		return nil
	}
	return d.flush()
}

func appendBytes(column array.Builder, value []byte, encode func([]byte) string) {
	if value == nil {
		column.AppendNull()
		return
	}
	column.(*array.StringBuilder).Append(encode(value))
}

// flush hands the rows to the writer.
func (d *DeadLetterFiles) flush() error {
	if d.rows == 0 {
		return nil
	}
	batch := d.builder.NewRecordBatch()
	defer batch.Release()
	d.rows, d.bytes = 0, 0
	if err := d.writer.Write(batch); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}

// Prepare completes the part files for a checkpoint: see Sink.
func (d *DeadLetterFiles) Prepare(ctx context.Context) (checkpoint.Sink, error) {
	if err := d.flush(); err != nil {
		return checkpoint.Sink{}, err
	}
	return d.partFiles.Prepare(ctx)
}

// Close leaves nothing unfinished behind. Nothing may be added after it.
func (d *DeadLetterFiles) Close() error {
	d.builder.Release()
	return d.partFiles.Close()
}
