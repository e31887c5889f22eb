package replay

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"pencere/pkg/expr"
	"pencere/pkg/plan"
	"pencere/pkg/sqltype"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Evaluator computes what a job must have written of the records that it is given, row by row. It is for one goroutine.
type Evaluator struct {
	program *plan.Program
	decoder *decoder
	layout  layout
	records *records // of a job that writes to a topic; nil for others
	compute []expression
	where   *expression
	keys    []int
	aggs    []aggregate
	sel     []expression // nil passes the columns on
	types   []sqltype.Type
	zone    *time.Location // nil for TIMESTAMP

	newest  map[partition]int64 // event time of each split, in ms
	letter  *letter             // why the last record is a dead letter; nil when it is none
	windows map[int64]map[string]*group
	passed  []Row
}

type partition struct {
	topic string
	index int32
}

// Row is a row that must be there.
type Row struct {
	Text   string // with its line feed
	Window *int64 // the start of its window, in ms on the wall clock; nil without windows
}

// FailureError says that a job cannot have passed a record: it fails there.
type FailureError struct {
	Topic     string
	Partition int32
	Offset    int64
	Err       error
}

func (e *FailureError) Error() string {
	return fmt.Sprintf("the job fails at %s-%d offset %d: %v", e.Topic, e.Partition, e.Offset, e.Err)
}

// Unwrap returns the reason.
func (e *FailureError) Unwrap() error { return e.Err }

// NewEvaluator returns the evaluator of a job. Errors are those of the plan, or *UnsupportedError.
func NewEvaluator(job plan.Job) (*Evaluator, error) {
	program, err := plan.Compile(job)
	if err != nil {
		return nil, err
	}
	e := &Evaluator{program: program, newest: map[partition]int64{}, windows: map[int64]map[string]*group{}}
	if e.decoder, err = newDecoder(job.Source); err != nil {
		return nil, err
	}
	if err := e.compileRows(job); err != nil {
		return nil, err
	}
	if err := e.compileResult(job); err != nil {
		return nil, err
	}
	if err := e.compileSink(job); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Evaluator) compileRows(job plan.Job) error {
	columns := job.Source.Columns()
	decoded := len(columns)
	for i, computed := range job.Compute {
		wanted := e.program.Rows[decoded+i].Type
		expression, err := compile(computed.Expr, columns, wanted)
		if err != nil {
			return err
		}
		e.compute = append(e.compute, expression)
		columns = append(columns, sqltype.Column{Name: computed.Name, Type: wanted})
	}
	if job.Where != "" {
		where, err := compile(job.Where, columns, sqltype.BooleanType)
		if err != nil {
			return err
		}
		e.where = &where
	}
	if job.Window == nil {
		return nil
	}
	if job.Window.AllowedLateness > 0 && len(job.Window.Aggregates) > 0 {
		return unsupported("allowed_lateness with aggregates: how often a window is written anew depends on when its late rows came")
	}
	if columns[e.program.TimeColumn].Type.Kind == sqltype.TimestampLTZ {
		e.zone = e.program.Zone
	}
	for _, name := range job.Window.GroupBy {
		e.keys = append(e.keys, columns.Index(name))
	}
	for i, a := range job.Window.Aggregates {
		compiled := e.program.Window.Aggregates[i]
		call, err := expr.ParseAggregate(a.Expr)
		if err != nil {
			return err
		}
		agg := aggregate{name: compiled.Func, typ: compiled.Result, reduced: e.program.Window.Reduced}
		if call.Arg != "*" {
			agg.arg = new(expression)
			if *agg.arg, err = compile(call.Arg, columns, compiled.Arg.Type()); err != nil {
				return err
			}
		}
		if !agg.known() {
			return unsupported("%s", a.Expr)
		}
		e.aggs = append(e.aggs, agg)
	}
	return nil
}

func (e *Evaluator) compileSink(job plan.Job) (err error) {
	switch {
	case job.Sink.CSV != nil:
		e.layout, err = newLayout(job.Sink.CSV.Options)
	case job.Sink.Kafka != nil:
		e.records, err = newRecords(*job.Sink.Kafka, e.program, e.resultColumns())
	default:
		err = unsupported("a sink that writes neither files nor to a topic")
	}
	return err
}

// resultColumns are those that select is over.
func (e *Evaluator) resultColumns() sqltype.Schema {
	if e.program.Job.Window != nil {
		return e.program.Window.Result
	}
	return e.program.Rows
}

func (e *Evaluator) compileResult(job plan.Job) error {
	columns := e.resultColumns()
	for i, item := range job.Select {
		expression, err := compile(item.Expr, columns, e.program.Sink[i].Type)
		if err != nil {
			return err
		}
		e.sel = append(e.sel, expression)
		e.types = append(e.types, expression.typ)
	}
	if len(job.Select) == 0 {
		for _, column := range columns {
			e.types = append(e.types, column.Type)
		}
	}
	return nil
}

// Add takes the next record of a partition. The error is *FailureError where the job fails, or *UnsupportedError.
func (e *Evaluator) Add(r *kgo.Record) error {
	if err := e.add(partition{r.Topic, r.Partition}, r); err != nil {
		return &FailureError{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Err: err}
	}
	return nil
}

func (e *Evaluator) add(split partition, r *kgo.Record) error {
	e.letter = nil
	row, err := e.decoder.decode(r.Value)
	if bad, ok := errors.AsType[*undecodableError](err); ok {
		e.letter = &letter{fields: bad.fields}
		return nil
	}
	if err != nil || row == nil {
		return err
	}
	beside, err := metadata(e.program.Job.Source.Metadata, r)
	if err != nil {
		return err
	}
	row = append(row, beside...)
	for _, compute := range e.compute {
		v, err := compute.eval(row)
		if err != nil {
			return err
		}
		row = append(row, v)
	}
	reached := e.newest[split]
	start, late := e.assign(split, row)
	if e.where != nil {
		if keep, err := e.where.eval(row); err != nil || !isTrue(keep) {
			return err
		}
	}
	if e.program.Job.Window == nil {
		return e.pass(row)
	}
	if late && e.program.Job.Window.Late == plan.LateDeadLetter {
		e.letter = &letter{late: e.lateness(start, reached)}
	}
	if late {
		return nil
	}
	return e.group(split, start, row)
}

// pass writes a row of a job without windows.
func (e *Evaluator) pass(row []value) error {
	written, err := e.write(row)
	e.passed = append(e.passed, Row{Text: written})
	return err
}

// write makes the result's text of a row.
func (e *Evaluator) write(row []value) (string, error) {
	selected := row
	if e.sel != nil {
		selected = make([]value, len(e.sel))
	}
	for i, column := range e.sel {
		var err error
		if selected[i], err = column.eval(row); err != nil {
			return "", err
		}
	}
	if e.records != nil {
		return e.records.row(row, selected)
	}
	return e.layout.row(selected, e.types)
}

// assign returns the window of a row and whether it came too late for it: whether the rows before it in its own split have closed it.
func (e *Evaluator) assign(split partition, row []value) (start int64, late bool) {
	if e.program.TimeColumn < 0 || e.program.Job.Window == nil {
		return 0, false
	}
	ms, there := int64(0), false
	if s, ok := row[e.program.TimeColumn].(stamp); ok {
		ms, there = s.ms, true
	}
	size, offset := e.program.Job.Window.Size.Milliseconds(), e.program.Job.Window.Offset.Milliseconds()
	wall := e.wall(ms)
	start = wall - floorMod(wall-offset, size)
	newest, moved := e.newest[split]
	late = moved && newest-e.program.Job.Source.Watermark.Delay.Milliseconds() >= e.closes(start)+e.program.Job.Window.AllowedLateness.Milliseconds()
	if there && (!moved || ms > newest) {
		e.newest[split] = ms
	}
	return start, late
}

// closes returns the watermark, in ms, that closes the window that begins at start.
func (e *Evaluator) closes(start int64) int64 {
	return e.lastInstant(start + e.program.Job.Window.Size.Milliseconds() - 1)
}

// Watermark returns that of all splits that were read: event time that the slowest of them has passed. There is none before each of
// splits has a row with a time.
func (e *Evaluator) Watermark(splits int) (ms int64, ok bool) {
	if len(e.newest) < splits || splits == 0 {
		return 0, false
	}
	least := int64(math.MaxInt64)
	for _, newest := range e.newest {
		least = min(least, newest-e.program.Job.Source.Watermark.Delay.Milliseconds())
	}
	return least, true
}

// Rows returns what must have been written when the windows that end by until, in ms on the wall clock, have fired, and counts the rows of
// those that have not. Errors are as Add's.
func (e *Evaluator) Rows(until int64) (rows []Row, open int, err error) {
	rows = e.passed
	for start, groups := range e.windows {
		end := start + e.program.Job.Window.Size.Milliseconds()
		if end > until {
			open += len(groups)
			continue
		}
		for _, g := range groups {
			row := slices.Clone(g.keys)
			for i := range e.aggs {
				v, err := e.aggs[i].result(&g.states[i])
				if err != nil {
					return nil, 0, err
				}
				row = append(row, v)
			}
			written, err := e.write(append(row, stamp{ms: start}, stamp{ms: end}))
			if err != nil {
				return nil, 0, err
			}
			rows = append(rows, Row{written, &start})
		}
	}
	return rows, open, nil
}
