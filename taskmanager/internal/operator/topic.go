package operator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/expr"
	"pencere/pkg/format/csv"
	"pencere/pkg/format/json"
	"pencere/pkg/plan"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
)

// RecordWriter writes records of which a checkpoint holds transactions; see kafka.Writer.
type RecordWriter interface {
	Write(ctx context.Context, r *kgo.Record) error
	Prepare(ctx context.Context) ([]kafka.Transaction, error)
	Commit(ctx context.Context, transactions []kafka.Transaction) error
	Close()
}

// topic is a topic as a subtask's part in checkpoints publishes it.
type topic struct {
	name    string // in errors
	writer  RecordWriter
	waiting *Stopwatch // on while the brokers hold the subtask up
}

// commitPatience is how long the brokers may take to commit. A job that cannot commit restarts, and commits then.
const commitPatience = 30 * time.Second

// Prepare waits until the brokers have all records, and returns the transactions for a checkpoint. They are not visible yet.
func (t *topic) Prepare(ctx context.Context) (checkpoint.Sink, error) {
	t.waiting.Start()
	defer t.waiting.Stop()
	transactions, err := t.writer.Prepare(ctx)
	if err != nil {
		return checkpoint.Sink{}, fmt.Errorf("%s: %w", t.name, err)
	}
	var state checkpoint.Sink
	for _, transaction := range transactions {
		state.Transactions = append(state.Transactions, checkpoint.Transaction(transaction))
	}
	return state, nil
}

// Commit commits the transactions of a checkpoint that is committed.
func (t *topic) Commit(published checkpoint.Sink) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitPatience)
	defer cancel()
	t.waiting.Start()
	defer t.waiting.Stop()
	transactions := make([]kafka.Transaction, len(published.Transactions))
	for i, transaction := range published.Transactions {
		transactions[i] = kafka.Transaction(transaction)
	}
	if err := t.writer.Commit(ctx, transactions); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return nil
}

// Tick implements Target: nothing is due before a checkpoint.
func (*topic) Tick(time.Time) error { return nil }

// Close ends the writing. What no checkpoint holds is aborted.
func (t *topic) Close() error {
	t.writer.Close()
	return nil
}

// rowEncoder makes the value of a record; see json.Encoder.
type rowEncoder interface {
	AppendRow(dst []byte, batch arrow.RecordBatch, row int) ([]byte, error)
}

// newRowEncoder returns the encoder of a sink's format, nil for the format raw, whose values are there already.
func newRowEncoder(p *plan.Program) (rowEncoder, error) {
	sink := p.Job.Sink.Kafka
	switch sink.Format {
	case plan.FormatRaw:
		return nil, nil
	case plan.FormatCSV:
		options, err := csv.ParseOptions(sink.FormatOptions)
		if err != nil {
			return nil, fmt.Errorf("csv options: %w", err)
		}
		encoder, err := csv.NewEncoder(p.Sink, options)
		if err != nil {
			return nil, fmt.Errorf("csv encoder: %w", err)
		}
		return lineless{encoder}, nil
	}
	options, err := json.ParseEncodeOptions(sink.FormatOptions)
	if err != nil {
		return nil, fmt.Errorf("json options: %w", err)
	}
	encoder, err := json.NewEncoder(p.Sink, options)
	if err != nil {
		return nil, fmt.Errorf("json encoder: %w", err)
	}
	return encoder, nil
}

// lineless leaves out the end of the line: a record has none.
type lineless struct{ *csv.Encoder }

// AppendRow implements rowEncoder.
func (l lineless) AppendRow(dst []byte, batch arrow.RecordBatch, row int) ([]byte, error) {
	dst, err := l.Encoder.AppendRow(dst, batch, row)
	if err != nil {
		return dst, err
	}
	return dst[:len(dst)-1], nil
}

// kafkaTarget writes each row as a record.
type kafkaTarget struct {
	topic
	noFiles
	encoder  rowEncoder      // nil when the only column is the values
	key      *expr.Evaluator // nil writes no keys
	headers  []*expr.Evaluator
	names    []string // of headers
	counters *Counters
	alloc    memory.Allocator
}

// NewKafkaSink returns the end of a program that writes to a topic.
func NewKafkaSink(p *plan.Program, writer RecordWriter, counters *Counters, alloc memory.Allocator) (*Sink, error) {
	encoder, err := newRowEncoder(p)
	if err != nil {
		return nil, err
	}
	t := &kafkaTarget{topic: topic{name: "sink", writer: writer, waiting: &counters.Backpressured}, encoder: encoder, counters: counters, alloc: alloc}
	if p.Record.Key != nil {
		t.key = p.Record.Key.NewEvaluator()
	}
	for i, header := range p.Record.Headers {
		t.headers = append(t.headers, header.NewEvaluator())
		t.names = append(t.names, p.Job.Sink.Kafka.Headers[i].Name)
	}
	return newSink(p, t, counters, alloc), nil
}

// Write implements Target.
func (t *kafkaTarget) Write(ctx context.Context, rows Rows, result arrow.RecordBatch) error {
	records := make([]kgo.Record, result.NumRows())
	if err := t.values(records, result); err != nil {
		return fmt.Errorf("%s: %w", t.name, rows.Origin.cellError(err))
	}
	if t.key != nil {
		err := t.each(rows, t.key, "sink.kafka.key", func(row int, key []byte) { records[row].Key = key })
		if err != nil {
			return err
		}
	}
	for i, header := range t.headers {
		err := t.each(rows, header, "sink.kafka.headers."+t.names[i], func(row int, value []byte) {
			records[row].Headers = append(records[row].Headers, kgo.RecordHeader{Key: t.names[i], Value: value})
		})
		if err != nil {
			return err
		}
	}
	for i := range records {
		t.counters.BytesOut.Add(int64(len(records[i].Key) + len(records[i].Value)))
		if err := t.writer.Write(ctx, &records[i]); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// values encodes the rows, all into the same memory.
func (t *kafkaTarget) values(records []kgo.Record, result arrow.RecordBatch) (err error) {
	if t.encoder == nil {
		return copies(result.Column(0), func(row int, value []byte) { records[row].Value = value })
	}
	var buffer []byte
	ends := make([]int, len(records))
	for row := range records {
		if buffer, err = t.encoder.AppendRow(buffer, result, row); err != nil {
			return err
		}
		ends[row] = len(buffer)
	}
	begin := 0
	for row, end := range ends {
		records[row].Value = buffer[begin:end:end]
		begin = end
	}
	return nil
}

// errNoBytes is that of an expression whose type the planner should have refused.
var errNoBytes = errors.New("its values are neither text nor bytes")

// each is copies for the values of an expression.
func (t *kafkaTarget) each(rows Rows, of *expr.Evaluator, name string, to func(row int, value []byte)) error {
	column, err := of.Eval(rows.Batch, t.alloc)
	if err != nil {
		return rows.Origin.rowError(name, err)
	}
	defer column.Release()
	if err := copies(column, to); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// copies calls to with copies of a column's values, nil for NULL.
func copies(column arrow.Array, to func(row int, value []byte)) error {
	for row := range column.Len() {
		if column.IsNull(row) {
			to(row, nil)
			continue
		}
		switch column := column.(type) {
		case *array.String:
			to(row, []byte(column.Value(row)))
		case *array.Binary:
			to(row, append([]byte{}, column.Value(row)...))
		default:
			return errNoBytes
		}
	}
	return nil
}

// The headers of a dead letter in a topic.
const (
	headerTopic     = "topic"
	headerPartition = "partition"
	headerOffset    = "offset"
	headerTimestamp = "timestamp" // ms since 1970; not there if the record has none
	headerReason    = "reason"
)

// DeadLetterTopic writes dead letters to a topic: key and value as they came, and where they came from in headers.
type DeadLetterTopic struct {
	topic
}

// NewDeadLetterTopic returns what writes dead letters with writer.
func NewDeadLetterTopic(writer RecordWriter) *DeadLetterTopic {
	return &DeadLetterTopic{topic{name: "dead letters", writer: writer, waiting: new(Stopwatch)}}
}

// Add implements DeadLetters.
func (d *DeadLetterTopic) Add(ctx context.Context, letter DeadLetter) error {
	from := letter.Record
	r := &kgo.Record{Key: clone(from.Key), Value: clone(from.Value), Headers: []kgo.RecordHeader{
		{Key: headerTopic, Value: []byte(letter.Topic)},
		{Key: headerPartition, Value: strconv.AppendInt(nil, int64(letter.Partition), 10)},
		{Key: headerOffset, Value: strconv.AppendInt(nil, from.Offset, 10)},
		{Key: headerReason, Value: []byte(letter.Reason)},
	}}
	if ms := from.Timestamp.UnixMilli(); !from.Timestamp.IsZero() && ms >= 0 {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: headerTimestamp, Value: strconv.AppendInt(nil, ms, 10)})
	}
	if err := d.writer.Write(ctx, r); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}

// clone copies bytes that the reader will use again; nil stays nil.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}
