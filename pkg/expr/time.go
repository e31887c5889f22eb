package expr

import (
	"strconv"
	"strings"

	"pencere/pkg/expr/internal/calendar"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// timeLiteral makes the constant of DATE '…', TIME '…' and TIMESTAMP '…'; a TIMESTAMP has the precision of its digits.
func (b *binder) timeLiteral(n *syntax.Literal) (*op, error) {
	switch n.Kind {
	case syntax.Date:
		if days, ok := calendar.ParseDate(n.Text); ok && strings.Count(n.Text, "-") == 2 && !strings.Contains(n.Text, " ") {
			return b.constant(n, sqltype.DateType, &vector{i32: []int32{int32(days)}}), nil
		}
		return nil, failAt(n, "DATE '%s' must be written as yyyy-MM-dd and exist", n.Text)
	case syntax.Time:
		if ms, ok := calendar.ParseTime(n.Text); ok && strings.Count(n.Text, ":") == 2 {
			return b.constant(n, sqltype.TimeType(0), &vector{i32: []int32{int32(ms)}}), nil
		}
		return nil, failAt(n, "TIME '%s' must be written as HH:mm:ss[.fff] and exist", n.Text)
	default:
	}
	ms, nanos, ok := calendar.ParseTimestamp(n.Text)
	if !ok {
		return nil, failAt(n, "TIMESTAMP '%s' must be written as yyyy-MM-dd HH:mm:ss[.fffffffff] and exist", n.Text)
	}
	_, fraction, _ := strings.Cut(n.Text, ".")
	v := &vector{n128: []decimal128.Num{sqltype.TimestampValue(ms, nanos)}}
	return b.constant(n, sqltype.TimestampType(len(fraction)), v), nil
}

// interval makes the constant of INTERVAL '…'.
func (b *binder) interval(n *syntax.Interval) (*op, error) {
	text := strings.TrimSpace(n.Text)
	negative := n.Negative
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		text, negative = rest, !negative
	} else {
		text = strings.TrimPrefix(text, "+")
	}
	fields, ok := intervalFields(text, n)
	if !ok {
		return nil, failAt(n, "INTERVAL '%s' does not fit its units; write it as %s", n.Text, intervalForm(n))
	}
	if len(strings.TrimLeft(fields[0], "0")) > n.Precision {
		return nil, failAt(n, "the first field of INTERVAL '%s' has more than %d digits: write the number of digits after its unit, as DAY(%d)", n.Text, n.Precision, len(fields[0]))
	}
	total := int64(0)
	for i, f := range fields {
		v, err := strconv.ParseInt(f, 10, 64)
		unit := intervalUnit(n, i)
		if err != nil || i > 0 && v >= unit.most {
			return nil, failAt(n, "INTERVAL '%s' does not fit its units; write it as %s", n.Text, intervalForm(n))
		}
		total += v * unit.size
	}
	if negative {
		total = -total
	}
	if n.From <= syntax.Month {
		return b.constant(n, sqltype.Type{Kind: sqltype.IntervalYearMonth}, &vector{i32: []int32{int32(total)}}), nil
	}
	return b.constant(n, sqltype.Type{Kind: sqltype.IntervalDayTime}, &vector{i64: []int64{total}}), nil
}

// intervalParts are the units of intervals from the longest: name, size in months or milliseconds, how many make the next longer, and what stands
// before the field. The last is the milliseconds of a second's fraction.
var intervalParts = []struct {
	unit      syntax.Unit
	form      string
	size      int64
	most      int64
	separator string
}{
	{syntax.Year, "years", 12, 0, ""},
	{syntax.Month, "months", 1, 12, "-"},
	{syntax.Day, "days", calendar.Day, 0, ""},
	{syntax.Hour, "hours", calendar.Hour, 24, " "},
	{syntax.Minute, "minutes", calendar.Minute, 60, ":"},
	{syntax.Second, "seconds", calendar.Second, 60, ":"},
	{syntax.Millisecond, "fraction", 1, 1000, "."},
}

type intervalPart struct {
	size, most int64
}

func firstPart(n *syntax.Interval) int {
	for i, p := range intervalParts {
		if p.unit == n.From {
			return i
		}
	}
	return 0
}

func lastUnit(n *syntax.Interval) syntax.Unit {
	if n.To != syntax.NoUnit {
		return n.To
	}
	return n.From
}

// intervalUnit describes the i-th field of n.
func intervalUnit(n *syntax.Interval, i int) intervalPart {
	p := intervalParts[firstPart(n)+i]
	return intervalPart{p.size, p.most}
}

// intervalFields cuts the text into the fields of n's units; the fraction of a second becomes milliseconds.
func intervalFields(text string, n *syntax.Interval) (fields []string, ok bool) {
	for i := firstPart(n); intervalParts[i].unit != lastUnit(n); i++ {
		field, rest, found := strings.Cut(text, intervalParts[i+1].separator)
		if !found {
			return nil, false
		}
		fields, text = append(fields, field), strings.TrimLeft(rest, " ")
	}
	if lastUnit(n) == syntax.Second {
		seconds, fraction, _ := strings.Cut(text, ".")
		if len(fraction) > n.Fraction || strings.Trim(fraction, "0123456789") != "" {
			return nil, false
		}
		return append(fields, seconds, (fraction + "000")[:3]), true
	}
	return append(fields, text), true
}

// intervalForm shows how an interval of n's units is written.
func intervalForm(n *syntax.Interval) string {
	form := ""
	for i := firstPart(n); ; i++ {
		if form != "" {
			form += intervalParts[i].separator
		}
		form += intervalParts[i].form
		if intervalParts[i].unit == lastUnit(n) {
			return form
		}
	}
}

// bindTimeArithmetic compiles + - and * of times and intervals; nil if the types do not fit.
func bindTimeArithmetic(b *binder, n *syntax.Call, x, y *op) (*op, error) {
	switch {
	case n.Name == "+" && isInterval(x.typ) && isTime(y.typ):
		return b.moveTime(n, y, x, 1), nil
	case (n.Name == "+" || n.Name == "-") && isTime(x.typ) && isInterval(y.typ):
		sign := int64(1)
		if n.Name == "-" {
			sign = -1
		}
		return b.moveTime(n, x, y, sign), nil
	case n.Name == "-" && isTime(x.typ) && x.typ.Kind == y.typ.Kind:
		return nil, failAt(n, "the difference of two times has no unit here: use TIMESTAMPDIFF(SECOND, from, to)")
	case (n.Name == "+" || n.Name == "-") && isInterval(x.typ) && x.typ.Kind == y.typ.Kind:
		return b.strict(n, x.typ, arithmeticKernel(n.Name, layoutOf(x.typ)), x, y), nil
	case n.Name == "*" && isInterval(x.typ) && y.typ.IsInteger():
		return b.scaleInterval(n, x, y), nil
	case n.Name == "*" && x.typ.IsInteger() && isInterval(y.typ):
		return b.scaleInterval(n, y, x), nil
	}
	return nil, nil
}

func isTime(t sqltype.Type) bool {
	return t.Kind == sqltype.Date || t.Kind == sqltype.Time || t.IsTimestamp()
}

// layoutOf is the integer type with an interval's layout.
func layoutOf(t sqltype.Type) sqltype.Kind {
	if t.Kind == sqltype.IntervalYearMonth {
		return sqltype.Int
	}
	return sqltype.BigInt
}

func (b *binder) scaleInterval(n *syntax.Call, interval, factor *op) *op {
	kind := layoutOf(interval.typ)
	return b.strict(n, interval.typ, arithmeticKernel("*", kind), interval, b.convert(n, factor, sqltype.Type{Kind: kind}))
}

// moveTime adds an interval, times sign, to a time. Months keep the day or take the month's last; a DATE moves by whole days, a TIME within its
// day.
func (b *binder) moveTime(n *syntax.Call, x, interval *op, sign int64) *op {
	months := interval.typ.Kind == sqltype.IntervalYearMonth
	amount := func(c *call, i int) int64 {
		if months {
			return sign * int64(c.args[1].i32[i&c.args[1].mask()])
		}
		return sign * c.args[1].i64[i&c.args[1].mask()]
	}
	move := func(v, by int64) int64 { return v + by }
	switch {
	case x.typ.Kind == sqltype.Time && months:
		return x
	case x.typ.Kind == sqltype.Time:
		move = func(v, by int64) int64 { return calendar.FloorMod(v+by, calendar.Day) }
	case x.typ.Kind == sqltype.Date && months:
		move = calendar.AddMonths
	case x.typ.Kind == sqltype.Date:
		move = func(v, by int64) int64 { return v + by/calendar.Day }
	case months:
		move = addMonths
	}
	if x.typ.IsTimestamp() {
		return b.strict(n, x.typ, func(c *call) error {
			src, dst := c.args[0].n128, room[decimal128.Num](c.out, c.n)
			mask := c.args[0].mask()
			for i := range dst {
				ms, nanos := sqltype.TimestampParts(src[i&mask])
				dst[i] = sqltype.TimestampValue(move(ms, amount(c, i)), nanos)
			}
			return nil
		}, x, interval)
	}
	return b.strict(n, x.typ, func(c *call) error {
		src, dst := c.args[0].i32, room[int32](c.out, c.n)
		mask := c.args[0].mask()
		for i := range dst {
			dst[i] = int32(move(int64(src[i&mask]), amount(c, i)))
		}
		return nil
	}, x, interval)
}

// addMonths moves milliseconds since 1970 by months.
func addMonths(ms, months int64) int64 {
	return calendar.AddMonths(calendar.FloorDiv(ms, calendar.Day), months)*calendar.Day + calendar.FloorMod(ms, calendar.Day)
}
