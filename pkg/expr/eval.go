package expr

import (
	"errors"
	"fmt"
	"time"

	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// op is an operator of a compiled expression.
type op struct {
	typ  sqltype.Type
	at   int // byte offset in the text
	slot int // its vector in an evaluator
	args []*op
	// run computes the values of the rows in active (nil: all); other rows may hold anything, and must not fail.
	run func(f *frame, o *op, active bitmap) (*vector, error)
	// value is the result if it is the same for all rows.
	value *vector
	// spare is a second slot, whose mask CASE and COALESCE use.
	spare int
	// input is the position of the column that the op reads plus 1, 0 if it is none.
	input int
}

// column returns the position of the column that o reads, -1 if it is no column.
func (o *op) column() int { return o.input - 1 }

// frame is the state of one evaluation: the batch, and the vectors, which are kept for the next batch.
type frame struct {
	batch   arrow.RecordBatch
	n       int
	vectors []vector
	calls   []call
	choices [][]int32
	masks   []bitmap
	// shared are the results of shared operators, of the evaluation that evaluated has the number of.
	shared     []*vector
	evaluated  []uint64
	evaluation uint64
	zone       *time.Location
}

// call is what a kernel works on.
type call struct {
	n      int
	args   []*vector
	out    *vector
	active bitmap // rows that matter, nil for all
	at     int
	typ    sqltype.Type
	types  []sqltype.Type // of the arguments
	try    bool           // values that cannot be cast are NULL
	json   *json.Finder   // of functions on JSON; see finder
}

// failure is a RowError before its line and column are known.
type failure struct {
	row, at int
	err     error
}

func (e *failure) Error() string { return e.err.Error() }

func (c *call) fail(row int, format string, args ...any) error {
	return &failure{row, c.at, fmt.Errorf(format, args...)}
}

// wanted reports whether row i matters and none of its arguments is NULL.
func (c *call) wanted(i int) bool {
	return (c.active == nil || c.active.get(i)) && (c.out.constant || c.out.valid == nil || c.out.valid.get(i))
}

func (f *frame) eval(o *op, active bitmap) (*vector, error) {
	if o.value != nil {
		return o.value, nil
	}
	return o.run(f, o, active)
}

// kernel computes c.out from c.args. NULLs are dealt with: c.out.valid has only rows without a NULL argument. A kernel that can
// fail must look at the rows that are wanted only; the others may compute all rows.
type kernel func(c *call) error

// strict makes the run function of an operator that is NULL where any argument is.
func strict(k kernel) func(f *frame, o *op, active bitmap) (*vector, error) {
	return func(f *frame, o *op, active bitmap) (*vector, error) {
		c, err := f.call(o, active)
		if err != nil {
			return nil, err
		}
		if c.out.meet(c.args, f.n) {
			return c.out, nil
		}
		return c.out, k(c)
	}
}

// lenient makes the run function of an operator that sees the NULLs of its arguments itself.
func lenient(k kernel) func(f *frame, o *op, active bitmap) (*vector, error) {
	return func(f *frame, o *op, active bitmap) (*vector, error) {
		c, err := f.call(o, active)
		if err != nil {
			return nil, err
		}
		c.out.constant, c.out.null, c.out.valid = false, false, nil
		return c.out, k(c)
	}
}

// call evaluates the arguments of o.
func (f *frame) call(o *op, active bitmap) (*call, error) {
	c := &f.calls[o.slot]
	c.n, c.out, c.active, c.at, c.typ = f.n, &f.vectors[o.slot], active, o.at, o.typ
	c.args, c.types = c.args[:0], c.types[:0]
	for _, a := range o.args {
		v, err := f.eval(a, active)
		if err != nil {
			return nil, err
		}
		c.args, c.types = append(c.args, v), append(c.types, a.typ)
	}
	return c, nil
}

// Evaluator evaluates a Program batch by batch and keeps its memory between batches. It belongs to one goroutine.
type Evaluator struct {
	program *Program
	frame   *frame
}

// NewEvaluator returns an evaluator of p.
func (p *Program) NewEvaluator() *Evaluator {
	return &Evaluator{p, newFrame(p.slots, p.zone)}
}

func newFrame(slots int, zone *time.Location) *frame {
	return &frame{
		vectors: make([]vector, slots),
		calls:   make([]call, slots),
		choices: make([][]int32, slots),
		masks:   make([]bitmap, slots),
		shared:  make([]*vector, slots), evaluated: make([]uint64, slots),
		zone: zone,
	}
}

// Eval returns one value for each row of batch, whose columns are the scope's; it must be released. A failure in a row is a *RowError
// with the row's number, and then there is no array. Use an Evaluator for a series of batches.
func (p *Program) Eval(batch arrow.RecordBatch, alloc memory.Allocator) (arrow.Array, error) {
	return p.NewEvaluator().Eval(batch, alloc)
}

// Filter appends the numbers of the rows for which p, which must be BOOLEAN, is TRUE. Use an Evaluator for a series of batches.
func (p *Program) Filter(batch arrow.RecordBatch, rows []int32) ([]int32, error) {
	return p.NewEvaluator().Filter(batch, rows)
}

// Eval is Program.Eval. The array does not share memory with the evaluator; it may share the batch's.
func (e *Evaluator) Eval(batch arrow.RecordBatch, alloc memory.Allocator) (arrow.Array, error) {
	if column := e.program.Column(); column >= 0 {
		a := batch.Column(column)
		a.Retain()
		return a, nil
	}
	n := int(batch.NumRows())
	if n == 0 {
		b := array.NewBuilder(alloc, e.program.Type().Arrow())
		defer b.Release()
		return b.NewArray(), nil
	}
	v, err := e.run(batch, n)
	if err != nil {
		return nil, err
	}
	return v.toArrow(e.program.Type(), n, alloc), nil
}

// Filter is Program.Filter. NULL counts as FALSE. Row numbers are ascending, ready for arrow/compute's take or a loop.
func (e *Evaluator) Filter(batch arrow.RecordBatch, rows []int32) ([]int32, error) {
	n := int(batch.NumRows())
	if n == 0 {
		return rows, nil
	}
	v, err := e.run(batch, n)
	if err != nil {
		return rows, err
	}
	if v.constant {
		for i := 0; i < n && !v.null && v.bits.get(0); i++ {
			rows = append(rows, int32(i))
		}
		return rows, nil
	}
	for i, bits := range v.bits[:bytesFor(n)] {
		for row := i * 8; bits != 0 && row < n; row, bits = row+1, bits>>1 {
			if bits&1 != 0 {
				rows = append(rows, int32(row))
			}
		}
	}
	return rows, nil
}

func (e *Evaluator) run(batch arrow.RecordBatch, n int) (*vector, error) {
	e.frame.batch, e.frame.n = batch, n
	e.frame.evaluation++
	v, err := e.frame.eval(e.program.root, nil)
	e.frame.batch = nil
	if f, ok := errors.AsType[*failure](err); ok {
		line, column := locate(e.program.text, f.at)
		return nil, &RowError{f.row, line, column, f.err}
	}
	return v, err
}

// runShared is the run function of an operand that has several users: it is evaluated by the first, whose rows include those of the others.
func runShared(f *frame, o *op, active bitmap) (*vector, error) {
	if f.evaluated[o.slot] == f.evaluation {
		return f.shared[o.slot], nil
	}
	v, err := f.eval(o.args[0], active)
	if err == nil {
		f.shared[o.slot], f.evaluated[o.slot] = v, f.evaluation
	}
	return v, err
}

// runLast evaluates all arguments and is the last of them.
func runLast(f *frame, o *op, active bitmap) (*vector, error) {
	var last *vector
	for _, a := range o.args {
		v, err := f.eval(a, active)
		if err != nil {
			return nil, err
		}
		last = v
	}
	return last, nil
}

// readColumn is the run function of a column.
func readColumn(f *frame, o *op, _ bitmap) (*vector, error) {
	v := &f.vectors[o.slot]
	v.view(f.batch.Column(o.column()))
	return v, nil
}

// errorf is the reason of a failure.
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }
