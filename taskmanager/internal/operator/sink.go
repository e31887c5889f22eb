package operator

import (
	"context"
	"errors"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/eventtime"
	"pencere/pkg/expr"
	"pencere/pkg/format"
	"pencere/pkg/plan"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Sink ends a chain: it selects the result's columns and writes them to a target, which it stands for in checkpoints.
type Sink struct {
	Target
	program  *plan.Program
	columns  []*expr.Evaluator
	schema   *arrow.Schema
	counters *Counters
	alloc    memory.Allocator
}

// NewSink returns the end of a program that writes part files. finished is called with the files that were published.
func NewSink(p *plan.Program, writer *partfile.Writer, counters *Counters, alloc memory.Allocator, finished func([]partfile.File)) *Sink {
	return newSink(p, &partFiles{name: "sink", writer: writer, finished: func(files []partfile.File) {
		for _, f := range files {
			counters.BytesOut.Add(f.Bytes)
			counters.RowsPublished.Add(f.Rows)
		}
		counters.FilesPublished.Add(int64(len(files)))
		finished(files)
	}}, counters, alloc)
}

func newSink(p *plan.Program, to Target, counters *Counters, alloc memory.Allocator) *Sink {
	s := &Sink{Target: to, program: p, schema: p.Sink.Arrow(), counters: counters, alloc: alloc}
	for _, column := range p.Select {
		s.columns = append(s.columns, column.NewEvaluator())
	}
	return s
}

// Rows implements Output.
func (s *Sink) Rows(ctx context.Context, rows Rows) error {
	defer rows.Batch.Release()
	result, err := s.selected(rows)
	if err != nil {
		return err
	}
	defer result.Release()
	if err := s.Write(ctx, rows, result); err != nil {
		return err
	}
	s.counters.RecordsOut.Add(result.NumRows())
	s.counters.RowsWritten.Add(result.NumRows())
	return nil
}

// selected makes the columns of the result. Those that are columns already are shared, not copied.
func (s *Sink) selected(rows Rows) (arrow.RecordBatch, error) {
	if s.columns == nil {
		rows.Batch.Retain()
		return rows.Batch, nil
	}
	columns := make([]arrow.Array, 0, len(s.columns))
	for i, e := range s.columns {
		if from := s.program.Select[i].Column(); from >= 0 {
			column := rows.Batch.Column(from)
			column.Retain()
			columns = append(columns, column)
			continue
		}
		column, err := e.Eval(rows.Batch, s.alloc)
		if err != nil {
			for _, c := range columns {
				c.Release()
			}
			return nil, rows.Origin.rowError(s.program.Sink[i].Name, err)
		}
		columns = append(columns, column)
	}
	return newBatch(s.schema, columns, int(rows.Batch.NumRows())), nil
}

// cellError names the record whose row cannot be written, if that is what is wrong.
func (o Origin) cellError(err error) error {
	if row, ok := errors.AsType[*format.RowError](err); ok {
		return o.at(row.Row, err)
	}
	return err
}

// Watermark implements Output.
func (s *Sink) Watermark(_ context.Context, w eventtime.Watermark) error {
	s.counters.OutputWatermark.Store(int64(w))
	return nil
}

// Idle implements Output.
func (s *Sink) Idle(context.Context) error { return nil }

// Barrier implements Output. Nothing is behind a sink: its part of the checkpoint is Prepare's.
func (s *Sink) Barrier(context.Context, checkpoint.ID, bool) error { return nil }

// End implements Output.
func (s *Sink) End(context.Context) error { return nil }
