// Package expr compiles SQL scalar expressions to kernels over Arrow columns.
//
// Syntax, types, NULLs, promotion, overflow and the results of functions are those of Flink SQL 1.20 (whose planner is Apache
// Calcite's): integers wrap around, a literal with a point is DECIMAL, DECIMAL follows Flink's rules for precision and scale
// and becomes NULL where it overflows, logic has three values, a cast that cannot be done fails the job and TRY_CAST gives NULL.
// See https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/dev/table/functions/systemfunctions/.
//
// An expression is compiled once and evaluated by column: every operator is a loop over whole columns. What CASE, COALESCE, IF,
// AND and OR do not evaluate in a row cannot fail there. The package is pure.
package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

// Options are the session's settings that expressions depend on.
type Options struct {
	// Zone is the session time zone (Flink's table.local-time-zone), nil for UTC. It cuts TIMESTAMP_LTZ into days and hours.
	Zone *time.Location
}

// Error says what is wrong with an expression, and where.
type Error struct {
	Offset  int // in bytes from the start of the text
	Line    int // from 1
	Column  int // from 1, in characters
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message) }

// locate returns the line and column, from 1, of a byte offset in text.
func locate(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}

// newError makes err, which the parser or the binder returned, an *Error with a place in text.
func newError(text string, err error) error {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return err
	}
	line, column := locate(text, e.Offset)
	return &Error{e.Offset, line, column, e.Message}
}

// Program is a compiled expression. It is immutable and may be shared between goroutines.
type Program struct {
	text    string
	root    *op
	slots   int
	columns []int
	scope   sqltype.Schema
	zone    *time.Location
}

// Compile parses text, resolves its columns in scope and checks its types. Errors are *Error; they name the offending part, the
// types involved and, for an unknown name, a near one. It never panics.
func Compile(text string, scope sqltype.Schema, opts Options) (*Program, error) {
	tree, err := syntax.Parse(text)
	if err != nil {
		return nil, newError(text, err)
	}
	if opts.Zone == nil {
		opts.Zone = time.UTC
	}
	b := &binder{scope: scope, zone: opts.Zone, text: text, functions: functions}
	root, err := b.bind(tree)
	if err == nil {
		err = b.err
	}
	if err == nil && root.typ.Kind == sqltype.Null {
		err = failAt(tree, "the type of NULL is unknown here: write CAST(NULL AS type)")
	}
	if err != nil {
		return nil, newError(text, err)
	}
	slices.Sort(b.columns)
	return &Program{text: text, root: root, slots: b.slots, columns: slices.Compact(b.columns), scope: scope, zone: opts.Zone}, nil
}

// Type returns the type of the expression's values. NOT NULL is certain, nullable only possible.
func (p *Program) Type() sqltype.Type { return p.root.typ }

// String returns the text that was compiled.
func (p *Program) String() string { return p.text }

// Columns returns the positions in the scope of the columns that the expression reads, ascending. The caller must not change it.
func (p *Program) Columns() []int { return p.columns }

// Column returns the position of the column that the expression merely names, or -1 if it computes anything.
func (p *Program) Column() int { return p.root.column() }

// Identifiers returns the names of the columns that text mentions, each once, in order. Errors are *Error.
func Identifiers(text string) ([]string, error) {
	tree, err := syntax.Parse(text)
	if err != nil {
		return nil, newError(text, err)
	}
	var names []string
	var walk func(n syntax.Node)
	walk = func(n syntax.Node) {
		if c, ok := n.(*syntax.Column); ok && !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
		for _, child := range syntax.Children(n) {
			walk(child)
		}
	}
	walk(tree)
	return names, nil
}

// RowError is a failure of an evaluation in one row of a batch.
type RowError struct {
	Row          int // in the batch, from 0
	Line, Column int // in the expression's text, from 1
	Err          error
}

func (e *RowError) Error() string {
	return fmt.Sprintf("row %d: expression at %d:%d: %v", e.Row, e.Line, e.Column, e.Err)
}

// Unwrap returns the reason.
func (e *RowError) Unwrap() error { return e.Err }
