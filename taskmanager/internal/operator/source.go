package operator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/expr"
	"pencere/pkg/format/json"
	"pencere/pkg/ledger"
	"pencere/pkg/plan"
	"pencere/pkg/window"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A batch is cut at so many rows or bytes of records, whichever comes first: enough to spread the cost of a batch over its
// rows, little enough to stay in the processor's cache and to be sent as one message.
const (
	batchRows  = 4096
	batchBytes = 1 << 20
)

// Source is the chain of a source vertex: it decodes the records of its splits, computes columns, assigns windows, filters, and
// hands the rows on. Watermarks and lateness go by the rows of each split alone, before the filter, as in Flink.
type Source struct {
	program  *plan.Program
	alloc    memory.Allocator
	out      Output
	counters *Counters

	decoder  decoder
	metadata *metadata
	compute  []*expr.Evaluator
	schemas  []*arrow.Schema // of rows with the computed columns up to each
	where    *expr.Evaluator

	assigner *window.Assigner // nil without a window
	assigned window.Assigned
	splits   []splitTime
	ledger   ledger.Ledger // what became of records since the attempt began
	dead     DeadLetters   // nil when none are handed over
	refused  int64         // records that were dropped without a look at them

	offsets []int64       // of the rows in the decoder
	bytes   int           // of the records in the decoder, as far as they are in its batch
	records []*kgo.Record // of the rows in the decoder, when rows may be handed over
	keep    []int32
}

// splitTime is the event time of a split.
type splitTime struct {
	number    int32 // in the job
	topic     string
	partition int32
	generator *eventtime.Generator // nil without a watermark
}

// NewSource returns the chain of a program's source vertex. Batches take their memory from alloc.
func NewSource(p *plan.Program, out Output, counters *Counters, alloc memory.Allocator) (*Source, error) {
	decoder, err := newDecoder(p, alloc)
	if err != nil {
		return nil, err
	}
	s := &Source{program: p, alloc: alloc, out: out, counters: counters, decoder: decoder, metadata: newMetadata(p, alloc)}
	for i, program := range p.Compute {
		s.compute = append(s.compute, program.NewEvaluator())
		s.schemas = append(s.schemas, p.Rows[:len(p.Source)+i+1].Arrow())
	}
	if p.Where != nil {
		s.where = p.Where.NewEvaluator()
	}
	if p.Window != nil {
		s.assigner = window.NewAssigner(p.Tumbling())
	}
	return s, nil
}

// HandOver gives the chain a place for dead letters. A job with dead letters must have one before its first record.
func (s *Source) HandOver(to DeadLetters) { s.dead = to }

// Release gives back the memory of a chain that will not be used any more.
func (s *Source) Release() {
	s.decoder.Release()
	s.metadata.release()
}

// AddSplit makes room for a split that goes on from a checkpoint or begins. Records and Watermark call it by the count of
// those added before.
func (s *Source) AddSplit(from checkpoint.Split) {
	split := splitTime{number: from.Number, topic: from.Topic, partition: from.Partition}
	if w := s.program.Job.Source.Watermark; w != nil {
		split.generator = eventtime.NewGenerator(w.Delay.Milliseconds())
		if from.Newest != math.MinInt64 {
			split.generator.Observe(from.Newest)
		}
	}
	s.splits = append(s.splits, split)
}

// Newest returns the latest event time of a split's rows, in ms; the least int64 before the first.
func (s *Source) Newest(split int) int64 {
	w := s.Watermark(split)
	if w == eventtime.None {
		return math.MinInt64
	}
	return int64(w) + s.program.Job.Source.Watermark.Delay.Milliseconds()
}

// Ledger returns what became of the records of each split since the attempt began. What is behind a keyed edge is the
// other side's to account for.
func (s *Source) Ledger() ledger.Ledger { return slices.Clone(s.ledger) }

// Watermark returns the event time that a split has reached.
func (s *Source) Watermark(split int) eventtime.Watermark {
	if g := s.splits[split].generator; g != nil {
		return g.Watermark()
	}
	return eventtime.None
}

// Records processes records of a split, in the order of their offsets. A record that cannot be decoded, or whose row makes an
// expression fail, is a *RecordError.
func (s *Source) Records(ctx context.Context, split int, records []*kgo.Record) error {
	bytes := 0
	for _, r := range records {
		bytes += len(r.Value)
		if err := s.record(ctx, split, r); err != nil {
			return err
		}
		if s.decoder.Len() >= batchRows || s.bytes >= batchBytes {
			if err := s.flush(ctx, split); err != nil {
				return err
			}
		}
	}
	s.ledger.Of(s.splits[split].number).Read += int64(len(records))
	s.counters.RecordsIn.Add(int64(len(records)))
	s.counters.BytesIn.Add(int64(bytes))
	return s.flush(ctx, split)
}

// Lose counts records of a split that were gone before they could be read. truncated says that there were others, nobody knows how many.
func (s *Source) Lose(split int, records int64, truncated bool) {
	entry := s.ledger.Of(s.splits[split].number)
	entry.Lost += records
	if truncated {
		entry.Truncations++
	}
	s.counters.Lost.Add(records)
}

func (s *Source) record(ctx context.Context, split int, r *kgo.Record) error {
	outcome, err := s.decoder.Append(r.Value)
	if errors.Is(err, json.ErrBatchFull) {
		if err := s.flush(ctx, split); err != nil {
			return err
		}
		outcome, err = s.decoder.Append(r.Value)
	}
	if err != nil {
		return s.bad(ctx, split, r, err)
	}
	if outcome != json.Appended {
		s.ledger.Of(s.splits[split].number).Skipped++
		return nil
	}
	s.metadata.append(r)
	s.offsets = append(s.offsets, r.Offset)
	s.bytes += len(r.Value) + s.metadata.size(r)
	if s.keepsLate() || s.keepsRefused() {
		s.records = append(s.records, r)
	}
	return nil
}

// Refuse takes a record that is known to be bad, and why, as one that cannot be decoded.
func (s *Source) Refuse(ctx context.Context, split int, r *kgo.Record, why error) error {
	entry := s.ledger.Of(s.splits[split].number)
	s.counters.RecordsIn.Add(1)
	s.counters.BytesIn.Add(int64(len(r.Value)))
	entry.Read++
	switch s.program.Job.Source.OnError {
	case plan.OnErrorIgnore, plan.OnErrorSkip:
		entry.Skipped++
		s.refused++
		return s.flush(ctx, split)
	case plan.OnErrorFail, plan.OnErrorDeadLetter:
	}
	return s.bad(ctx, split, r, why)
}

// bad hands over a record that cannot be decoded, or fails.
func (s *Source) bad(ctx context.Context, split int, r *kgo.Record, err error) error {
	from := s.splits[split]
	if s.program.Job.Source.OnError != plan.OnErrorDeadLetter {
		return &RecordError{Topic: from.topic, Partition: from.partition, Offset: r.Offset, Err: err}
	}
	s.ledger.Of(from.number).DeadLettered++
	s.counters.BadDeadLetters.Add(1)
	return s.dead.Add(ctx, DeadLetter{Topic: from.topic, Partition: from.partition, Record: r, Reason: err.Error()})
}

// TakeBack implements Refusals.
func (s *Source) TakeBack(ctx context.Context, split int32, letter DeadLetter) error {
	entry := s.ledger.Of(split)
	entry.Emitted--
	entry.DeadLettered++
	s.counters.RefusedDeadLetters.Add(1)
	return s.dead.Add(ctx, letter)
}

// keepsRefused reports whether rows that the sink cannot write are handed over.
func (s *Source) keepsRefused() bool {
	to := s.program.Job.Sink.MongoDB
	return s.program.Window == nil && to != nil && to.OnError == plan.OnErrorDeadLetter
}

func (s *Source) keepsLate() bool {
	return s.program.Window != nil && s.program.Job.Window.Late == plan.LateDeadLetter
}

// flush sends what the decoder holds through the chain.
func (s *Source) flush(ctx context.Context, split int) error {
	stats := s.decoder.Stats()
	s.counters.Empty.Store(stats.MessagesEmpty)
	s.counters.Dropped.Store(stats.RecordsDropped + s.refused)
	s.counters.IgnoredFields.Store(stats.FieldsIgnored)
	if s.decoder.Len() == 0 {
		return nil
	}
	from := s.splits[split]
	rows := Rows{Origin: Origin{Split: from.number, Topic: from.topic, Partition: from.partition, Offsets: s.offsets, Records: s.records}}
	defer func() {
		clear(s.records)
		s.offsets, s.records, s.bytes = s.offsets[:0], s.records[:0], 0
	}()
	batch, err := s.computed(s.metadata.with(s.decoder.NewBatch()), rows.Origin)
	if err != nil {
		return err
	}
	rows.Batch = batch
	s.assign(split, &rows)
	if err := s.filter(ctx, &rows); err != nil {
		batch.Release()
		return err
	}
	passed := rows.Batch.NumRows()
	if passed == 0 {
		rows.Batch.Release()
		return nil
	}
	if s.program.Window == nil {
		s.ledger.Of(from.number).Emitted += passed
	}
	return s.out.Rows(ctx, rows)
}

// computed appends the computed columns, each of which may use those before it. It takes over batch, also when it fails.
func (s *Source) computed(batch arrow.RecordBatch, origin Origin) (arrow.RecordBatch, error) {
	for i, e := range s.compute {
		column, err := e.Eval(batch, s.alloc)
		if err != nil {
			batch.Release()
			return nil, origin.rowError(s.program.Job.Compute[i].Name, err)
		}
		longer := array.NewRecordBatch(s.schemas[i], append(slices.Clone(batch.Columns()), column), batch.NumRows())
		column.Release()
		batch.Release()
		batch = longer
	}
	return batch, nil
}

// rowError names the record that made the expression of a column fail.
func (o Origin) rowError(name string, err error) error {
	var row *expr.RowError
	if !errors.As(err, &row) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return o.at(row.Row, fmt.Errorf("%s: %w", name, err))
}

// assign observes the rows' times and, with a window, notes their windows and which are late.
func (s *Source) assign(split int, rows *Rows) {
	generator := s.splits[split].generator
	if generator == nil {
		return
	}
	times := rows.Batch.Column(s.program.TimeColumn)
	if s.assigner != nil {
		s.assigned.Reset()
		s.assigner.Assign(&s.assigned, times, generator)
		rows.Starts = s.assigned.Starts
		return
	}
	observe(generator, times.(*array.Decimal128))
}

// observe takes a column of times into a watermark; NULL has no time.
func observe(g *eventtime.Generator, times *array.Decimal128) {
	nulls := times.NullN() > 0
	for i, v := range times.Values() {
		if !nulls || times.IsValid(i) {
			g.Observe(v.HighBits())
		}
	}
}

// filter keeps the rows that pass where and are not late. A row that where refuses is filtered, late or not.
func (s *Source) filter(ctx context.Context, rows *Rows) error {
	total := int(rows.Batch.NumRows())
	s.keep = s.keep[:0]
	if s.where != nil {
		kept, err := s.where.Filter(rows.Batch, s.keep)
		if err != nil {
			return rows.Origin.rowError("where", err)
		}
		s.keep = kept
	} else {
		for row := range total {
			s.keep = append(s.keep, int32(row))
		}
	}
	entry := s.ledger.Of(rows.Origin.Split)
	entry.Filtered += int64(total - len(s.keep))
	s.counters.Filtered.Add(int64(total - len(s.keep)))
	if rows.Starts != nil {
		if err := s.dropLate(ctx, rows); err != nil {
			return err
		}
	}
	if len(s.keep) < total {
		rows.take(s.keep, s.alloc)
	}
	return nil
}

// dropLate leaves out the late ones of the rows to keep, and hands them over if the job wishes.
func (s *Source) dropLate(ctx context.Context, rows *Rows) error {
	kept, late := s.keep[:0], int64(0)
	for _, row := range s.keep {
		if !s.assigned.Late[row] {
			kept = append(kept, row)
			continue
		}
		late++
		if !s.keepsLate() {
			continue
		}
		letter := DeadLetter{Topic: rows.Origin.Topic, Partition: rows.Origin.Partition, Record: s.records[row], Reason: s.lateness(row)}
		if err := s.dead.Add(ctx, letter); err != nil {
			return err
		}
	}
	s.keep = kept
	if entry := s.ledger.Of(rows.Origin.Split); s.keepsLate() {
		entry.DeadLettered += late
		s.counters.LateDeadLetters.Add(late)
	} else {
		entry.Late += late
		s.counters.Late.Add(late)
	}
	return nil
}

// lateness says why a row of the batch is late.
func (s *Source) lateness(row int32) string {
	const layout = "2006-01-02 15:04:05.000"
	windows, start := s.program.Tumbling(), s.assigned.Starts[row]
	begin, end := time.UnixMilli(start).UTC(), time.UnixMilli(windows.End(start)).UTC() // which shows the wall clock they are
	reached := time.UnixMilli(int64(s.assigned.WatermarkOf(int(row)))).UTC()
	if windows.Zone != nil {
		reached = reached.In(windows.Zone)
	}
	lateness := ""
	if allowed := s.program.Job.Window.AllowedLateness; allowed > 0 {
		lateness = fmt.Sprintf(", which takes rows for %s after its end,", allowed)
	}
	return fmt.Sprintf("late: the window from %s to %s%s was closed by the watermark %s of its partition",
		begin.Format(layout), end.Format(layout), lateness, reached.Format(layout))
}

// take keeps the rows that keep names, in ascending order.
func (r *Rows) take(keep []int32, alloc memory.Allocator) {
	all := r.Batch
	r.Batch = takeBatch(all, keep, alloc)
	all.Release()
	for i, row := range keep {
		r.Origin.Offsets[i] = r.Origin.Offsets[row]
		if r.Origin.Records != nil {
			r.Origin.Records[i] = r.Origin.Records[row]
		}
		if r.Starts != nil {
			r.Starts[i] = r.Starts[row]
		}
	}
	r.Origin.Offsets = r.Origin.Offsets[:len(keep)]
	if r.Starts != nil {
		r.Starts = r.Starts[:len(keep)]
	}
}
