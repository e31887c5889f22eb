package plan

import (
	"fmt"
	"slices"
	"time"

	"pencere/pkg/expr"
	"pencere/pkg/nearest"
	"pencere/pkg/sqltype"
)

// windowTime is the type of window_start and window_end, whatever the time column's.
var windowTime = sqltype.TimestampType(3).WithNotNull(true)

// window compiles the window and returns what select can name.
func (c *compiler) window(rows scope) scope {
	w := c.job.Window
	c.checkWindow(w)
	c.program.Window = &WindowProgram{}
	result := c.keys(w, rows)
	for _, aggregate := range w.Aggregates {
		path := "window.aggregates." + aggregate.Name
		fresh := c.checkWindowName(result, path, aggregate.Name)
		compiled, ok := c.aggregate(rows, path, aggregate.Expr)
		switch {
		case !fresh:
		case !ok:
			result.broken = append(result.broken, aggregate.Name)
		default:
			result.columns = append(result.columns, sqltype.Column{Name: aggregate.Name, Type: compiled.Result})
			c.program.Window.Aggregates = append(c.program.Window.Aggregates, compiled)
		}
	}
	c.program.Window.Reduced = reduced(c.program.Window.Aggregates, len(c.program.Window.Keys))
	result.columns = append(result.columns,
		sqltype.Column{Name: WindowStart, Type: windowTime}, sqltype.Column{Name: WindowEnd, Type: windowTime})
	c.program.Window.Result = result.columns
	return result
}

func (c *compiler) checkWindow(w *Window) {
	if c.job.Source.Watermark == nil {
		c.add("window", "a window needs event time; declare source.watermark with the column that holds it")
	}
	c.checkMillis("window.tumble", w.Size, time.Millisecond)
	if w.Offset%time.Millisecond != 0 {
		c.add("window.offset", "%s is not a whole number of milliseconds", span(w.Offset))
	}
	c.checkMillis("window.allowed_lateness", w.AllowedLateness, 0)
	switch w.Late {
	case "", LateDrop, LateDeadLetter:
	default:
		c.add("window.late", "unknown mode %q; there are drop and dead_letter", w.Late)
	}
	if w.Size > 0 && (w.Offset >= w.Size || w.Offset <= -w.Size) {
		c.add("window.offset", "%s must be shorter than the window, which is %s", span(w.Offset), span(w.Size))
	}
}

// keys finds the group_by columns; they begin the window's result.
func (c *compiler) keys(w *Window, rows scope) scope {
	var result scope
	for i, name := range w.GroupBy {
		path := fmt.Sprintf("window.group_by[%d]", i)
		column := rows.columns.Index(name)
		switch {
		case slices.Contains(rows.broken, name):
			result.broken = append(result.broken, name)
		case column < 0 && (name == WindowStart || name == WindowEnd):
			c.add(path, "rows are grouped by their window in any case; leave %s out", name)
		case column < 0:
			c.addUnknown(path, fmt.Sprintf("unknown column %q", name), nearest.Name(name, rows.names()))
		case result.knows(name):
			c.add(path, "column %s is there twice", name)
		case rows.columns[column].Type.Kind == sqltype.JSON:
			c.add(path, "rows cannot be grouped by column %s, which is JSON: the same value has many texts; group by what JSON_VALUE takes out of it, in a column under compute", name)
			result.broken = append(result.broken, name)
		case c.checkWindowName(result, path, name):
			result.columns = append(result.columns, rows.columns[column])
			c.program.Window.Keys = append(c.program.Window.Keys, column)
		}
	}
	return result
}

// checkWindowName is checkName for the result of a window, which has two columns of its own.
func (c *compiler) checkWindowName(result scope, path, name string) bool {
	if name == WindowStart || name == WindowEnd {
		c.add(path, "column name %s is the window's own; take another one", name)
		return false
	}
	return c.checkName(result, path, name)
}

// aggregate compiles an aggregate call. Its second result is false after a problem, or when the call reads a
// broken column.
func (c *compiler) aggregate(rows scope, path, text string) (Aggregate, bool) {
	call, err := expr.ParseAggregate(text)
	if err != nil {
		c.addExpression(path, err, text, 0)
		return Aggregate{}, false
	}
	if call.Arg == "*" {
		return Aggregate{Func: call.Func, Result: sqltype.BigIntType.WithNotNull(true)}, true
	}
	argument := c.partOfText(rows, path, text, call.Offset, call.Arg)
	if argument == nil {
		return Aggregate{}, false
	}
	result, problem := aggregateType(call.Func, argument.Type())
	if problem != "" {
		c.add(path, "%s", problem)
		return Aggregate{}, false
	}
	return Aggregate{Func: call.Func, Arg: argument, Result: result}, true
}

// aggregateType returns the type of function over arguments of type t, by the rules of Flink's planner
// (LogicalTypeMerging.findSumAggType, findAvgAggType): SUM and AVG keep the type, so that integers wrap and
// averages of them are cut, but for DECIMAL, whose sum may not fit and is NULL then.
func aggregateType(function string, t sqltype.Type) (result sqltype.Type, problem string) {
	switch function {
	case "COUNT":
		if t.Kind == sqltype.Null {
			return t, "COUNT(NULL) is always 0; leave it out"
		}
		return sqltype.BigIntType.WithNotNull(true), ""
	case "SUM", "AVG":
		switch {
		case !t.IsNumeric():
			return t, fmt.Sprintf("%s wants a number, not %s; CAST it", function, t)
		case t.Kind != sqltype.Decimal:
			return t, ""
		case function == "SUM":
			return sqltype.DecimalType(sqltype.MaxDecimalPrecision, t.Scale), ""
		default:
			return sqltype.DecimalType(sqltype.MaxDecimalPrecision, max(6, t.Scale)), ""
		}
	case "MIN", "MAX":
		if t.Kind == sqltype.Bytes || t.Kind == sqltype.JSON || unfit(t) != "" {
			return t, fmt.Sprintf("%s cannot order values of type %s", function, t)
		}
		return t, ""
	default:
		return t, fmt.Sprintf("unknown aggregate function %s; there are COUNT, SUM, MIN, MAX and AVG", function)
	}
}
