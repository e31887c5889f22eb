package plan

import (
	"fmt"
	"slices"
	"time"

	"pencere/pkg/expr"
	"pencere/pkg/nearest"
	"pencere/pkg/sqltype"
)

// Compile checks the whole job and cuts it into vertices. An error is Problems: all that is wrong, not only the
// first; what merely follows from another problem is left out.
func Compile(job Job) (*Program, error) {
	c := &compiler{job: job, zone: time.UTC}
	c.checkJob()
	c.checkSource()
	if len(job.Source.Schema) > 0 { // without columns every name would be unknown
		c.compileRows()
	}
	c.checkSink()
	c.checkDeadLetters()
	c.checkRecovery()
	if err := c.err(); err != nil {
		return nil, err
	}
	c.program.Job, c.program.Zone = job, c.zone
	c.program.Vertices = vertices(job)
	return &c.program, nil
}

// compiler holds one Compile.
type compiler struct {
	findings
	job     Job
	zone    *time.Location
	program Program
}

// compileRows compiles all that is about columns.
func (c *compiler) compileRows() {
	rows := c.rows()
	c.watermark(rows)
	c.filter(rows)
	result := rows
	if c.job.Window != nil {
		result = c.window(rows)
	}
	c.results(result, rows)
	c.record(result, rows)
	c.document(result, rows)
}

// scope is what an expression can name.
type scope struct {
	columns sqltype.Schema
	// broken are columns that have a problem of their own: whatever reads them is not looked at further.
	broken []string
}

func (s scope) knows(name string) bool {
	return s.columns.Index(name) >= 0 || slices.Contains(s.broken, name)
}

func (s scope) names() []string { return slices.Concat(s.columns.Names(), s.broken) }

// reserved are names of columns that the engine adds to rows between subtasks.
var reserved = []string{"$window", "$hash"}

// checkName reports whether a new column of s may be called name.
func (c *compiler) checkName(s scope, path, name string) bool {
	switch {
	case name == "":
		c.add(path, "a column needs a name")
	case slices.Contains(reserved, name):
		c.add(path, "column name %s is reserved by the engine; take another one", name)
	case s.knows(name):
		c.add(path, "there is already a column %s; take another name", name)
	default:
		return true
	}
	return false
}

// rows compiles the source's schema and the computed columns.
func (c *compiler) rows() scope {
	var s scope
	for _, column := range c.job.Source.Schema {
		path := "source.schema." + column.Name
		if !c.checkName(s, path, column.Name) {
			continue
		}
		if problem := unfit(column.Type); problem != "" {
			c.add(path, "column %s has %s", column.Name, problem)
			s.broken = append(s.broken, column.Name)
			continue
		}
		s.columns = append(s.columns, column)
	}
	c.program.Decoded = slices.Clip(s.columns)
	c.metadata(&s)
	c.program.Source = slices.Clip(s.columns)
	for _, computed := range c.job.Compute {
		path := "compute." + computed.Name
		fresh := c.checkName(s, path, computed.Name)
		program := c.expression(s, path, computed.Expr)
		switch {
		case !fresh:
		case program == nil || !c.checkFit(path, computed.Name, program.Type()):
			s.broken = append(s.broken, computed.Name)
		default:
			s.columns = append(s.columns, sqltype.Column{Name: computed.Name, Type: program.Type()})
			c.program.Compute = append(c.program.Compute, program)
		}
	}
	c.program.Rows = s.columns
	return s
}

// unfit says why no column can have type t; "" when one can.
func unfit(t sqltype.Type) string {
	switch t.Kind {
	case sqltype.Invalid:
		return "no valid type"
	case sqltype.Null:
		return "no type but NULL; write CAST(NULL AS …) with the type that is wanted"
	case sqltype.IntervalDayTime, sqltype.IntervalYearMonth:
		return fmt.Sprintf("type %s, which no column can have", t.Nullable())
	default:
		return ""
	}
}

func (c *compiler) checkFit(path, name string, t sqltype.Type) bool {
	if problem := unfit(t); problem != "" {
		c.add(path, "column %s would have %s", name, problem)
		return false
	}
	return true
}

// expression compiles text; nil after a problem, or when text reads a broken column.
func (c *compiler) expression(s scope, path, text string) *expr.Program {
	return c.partOfText(s, path, text, 0, text)
}

// partOfText compiles the part that begins at an offset of the text at path.
func (c *compiler) partOfText(s scope, path, written string, offset int, part string) *expr.Program {
	if reads, err := expr.Identifiers(part); err == nil {
		for _, name := range reads {
			if slices.Contains(s.broken, name) {
				return nil
			}
		}
	}
	program, err := expr.Compile(part, s.columns, expr.Options{Zone: c.zone})
	if err != nil {
		c.addExpression(path, err, written, offset)
		return nil
	}
	return program
}

func (c *compiler) watermark(rows scope) {
	c.program.TimeColumn = -1
	w := c.job.Source.Watermark
	if w == nil {
		return
	}
	const path = "source.watermark.column"
	column := rows.columns.Index(w.Column)
	switch {
	case slices.Contains(rows.broken, w.Column):
	case column < 0:
		c.addUnknown(path, fmt.Sprintf("unknown column %q", w.Column), nearest.Name(w.Column, rows.names()))
	default:
		c.checkTime(path, rows.columns[column])
		c.program.TimeColumn = column
	}
}

// checkTime demands a type that Flink takes for a time attribute.
func (c *compiler) checkTime(path string, column sqltype.Column) {
	wanted := "TIMESTAMP(3)"
	if column.Type.Kind == sqltype.TimestampLTZ {
		wanted = "TIMESTAMP_LTZ(3)"
	}
	remedy := fmt.Sprintf("add a column under compute, such as event_time: CAST(%s AS %s), and name that one", quote(column.Name), wanted)
	switch {
	case !column.Type.IsTimestamp():
		c.add(path, "column %s is %s, not TIMESTAMP or TIMESTAMP_LTZ; %s", column.Name, column.Type, remedy)
	case column.Type.Precision > 3:
		c.add(path, "column %s is %s, but event time counts milliseconds, so the precision is 3 at most; %s", column.Name, column.Type, remedy)
	}
}

func (c *compiler) filter(rows scope) {
	if c.job.Where == "" {
		return
	}
	program := c.expression(rows, "where", c.job.Where)
	if program == nil {
		return
	}
	if program.Type().Kind != sqltype.Boolean {
		c.add("where", "the condition is %s, not BOOLEAN; compare it with something", program.Type())
	}
	c.program.Where = program
}

// results compiles what is selected from the result of the window, or from the rows when there is none.
func (c *compiler) results(result, rows scope) {
	c.program.Sink = result.columns
	if len(c.job.Select) == 0 {
		return
	}
	var selected scope
	for i, item := range c.job.Select {
		path := fmt.Sprintf("select[%d]", i)
		fresh := c.checkName(selected, path, item.Name)
		if c.job.Window != nil && c.ungrouped(result, rows, path, item.Expr) {
			continue
		}
		program := c.expression(result, path, item.Expr)
		if program == nil || !c.checkFit(path, item.Name, program.Type()) || !fresh {
			continue
		}
		selected.columns = append(selected.columns, sqltype.Column{Name: item.Name, Type: program.Type()})
		c.program.Select = append(c.program.Select, program)
	}
	c.program.Sink = selected.columns
}

// ungrouped reports, as a problem, a column of the rows that the window does not pass on.
func (c *compiler) ungrouped(result, rows scope, path, text string) bool {
	reads, err := expr.Identifiers(text)
	if err != nil {
		return false
	}
	found := false
	for _, name := range reads {
		if rows.knows(name) && !result.knows(name) {
			c.add(path, "column %s is neither in window.group_by nor made by window.aggregates; add it to one of them (an aggregate is for instance MAX(%s))", name, quote(name))
			found = true
		}
	}
	return found
}
