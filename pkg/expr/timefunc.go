package expr

import (
	"math"

	"pencere/pkg/expr/internal/calendar"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

func timeFunctions() map[string]function {
	all := map[string]function{
		"EXTRACT":          {min: 2, max: 2, syntax: bindExtract},
		"TIMESTAMPADD":     {min: 3, max: 3, takes: "a unit, an integer and a time", syntax: bindTimestampAdd},
		"TIMESTAMPDIFF":    {min: 3, max: 3, takes: "a unit and two times, both DATE or TIMESTAMP or both TIMESTAMP_LTZ", syntax: bindTimestampDiff},
		"DATE_FORMAT":      {min: 2, max: 2, takes: "a TIMESTAMP, TIMESTAMP_LTZ or text, and a text", bind: bindDateFormat},
		"TO_DATE":          {min: 1, max: 2, takes: "a text and a format", bind: bindToDate},
		"TO_TIMESTAMP":     {min: 1, max: 2, takes: "a text and a format", bind: bindToTimestamp},
		"TO_TIMESTAMP_LTZ": {min: 2, max: 2, takes: "a number and 0 (seconds) or 3 (milliseconds)", bind: bindToTimestampLTZ},
		"FROM_UNIXTIME":    {min: 1, max: 2, takes: "an integer and a format", bind: bindFromUnixtime},
		"UNIX_TIMESTAMP":   {min: 1, max: 2, takes: "a text and a format", bind: bindUnixTimestamp},
	}
	for name, unit := range map[string]string{
		"YEAR": "YEAR", "QUARTER": "QUARTER", "MONTH": "MONTH", "WEEK": "WEEK", "DAYOFYEAR": "DOY", "DAYOFMONTH": "DAY", "DAYOFWEEK": "DOW",
		"HOUR": "HOUR", "MINUTE": "MINUTE", "SECOND": "SECOND",
	} {
		all[name] = function{min: 1, max: 1, takes: "a DATE, TIME or timestamp", bind: func(b *binder, n *syntax.Call, args []*op) (*op, error) {
			return b.extract(n, syntax.ParseUnit(unit), args[0])
		}}
	}
	return all
}

// fields gives, for a type of time, milliseconds of a row: since 1970 on the wall clock, or since midnight.
type fields func(c *call, k, i int) (ms int64, nanos uint32)

// fieldsOf returns nil if t is no time.
func (b *binder) fieldsOf(t sqltype.Type) fields {
	zone := b.zone
	switch t.Kind {
	case sqltype.Date:
		return func(c *call, k, i int) (int64, uint32) { return int64(c.number(k, i)) * calendar.Day, 0 }
	case sqltype.Time:
		return func(c *call, k, i int) (int64, uint32) { return int64(c.number(k, i)), 0 }
	case sqltype.Timestamp:
		return func(c *call, k, i int) (int64, uint32) {
			return sqltype.TimestampParts(c.args[k].n128[i&c.args[k].mask()])
		}
	case sqltype.TimestampLTZ:
		return func(c *call, k, i int) (int64, uint32) {
			ms, nanos := sqltype.TimestampParts(c.args[k].n128[i&c.args[k].mask()])
			return calendar.Local(ms, zone), nanos
		}
	default:
		return nil
	}
}

// longKernel computes BIGINTs row by row, for wanted rows.
func longKernel(f func(c *call, i int) int64) kernel {
	return func(c *call) error {
		dst := room[int64](c.out, c.n)
		for i := range dst {
			if c.wanted(i) {
				dst[i] = f(c, i)
			}
		}
		return nil
	}
}

// bindExtract compiles EXTRACT(unit FROM x).
func bindExtract(b *binder, n *syntax.Call) (*op, error) {
	x, err := b.bind(n.Args[1])
	if err != nil {
		return nil, err
	}
	return b.extract(n, syntax.ParseUnit(n.Args[0].(*syntax.Keyword).Word), x)
}

// extract returns a field of a time as BIGINT.
func (b *binder) extract(n *syntax.Call, unit syntax.Unit, x *op) (*op, error) {
	if isInterval(x.typ) {
		return b.extractInterval(n, unit, x)
	}
	read := b.fieldsOf(x.typ)
	if read == nil {
		return nil, failAt(n, "%s cannot be applied to %s; it takes a DATE, TIME or timestamp", n.Name, x.typ.Nullable())
	}
	timeOfDay := unit == syntax.Hour || unit == syntax.Minute || unit == syntax.Second || unit >= syntax.Millisecond && unit <= syntax.Nanosecond
	if x.typ.Kind == sqltype.Time && !timeOfDay {
		return nil, failAt(n, "a TIME has no such field")
	}
	return b.strict(n, sqltype.BigIntType, longKernel(func(c *call, i int) int64 {
		ms, nanos := read(c, 0, i)
		return calendar.Field(unit, ms, nanos)
	}), x), nil
}

// extractInterval returns a field of an interval.
func (b *binder) extractInterval(n *syntax.Call, unit syntax.Unit, x *op) (*op, error) {
	months := x.typ.Kind == sqltype.IntervalYearMonth
	var divisor, modulus int64
	switch {
	case months && unit == syntax.Year:
		divisor, modulus = 12, math.MaxInt64
	case months && unit == syntax.Month:
		divisor, modulus = 1, 12
	case !months && unit == syntax.Day:
		divisor, modulus = calendar.Day, math.MaxInt64
	case !months && unit == syntax.Hour:
		divisor, modulus = calendar.Hour, calendar.Day
	case !months && unit == syntax.Minute:
		divisor, modulus = calendar.Minute, calendar.Hour
	case !months && unit == syntax.Second:
		divisor, modulus = calendar.Second, calendar.Minute
	default:
		return nil, failAt(n, "%s has no such field", x.typ.Nullable())
	}
	return b.strict(n, sqltype.BigIntType, longKernel(func(c *call, i int) int64 {
		if months {
			return int64(c.number(0, i)) % modulus / divisor
		}
		return c.args[0].i64[i&c.args[0].mask()] % modulus / divisor
	}), x), nil
}

func floorTime(unit syntax.Unit, ms int64) int64 { return calendar.Floor(unit, ms) }
func ceilTime(unit syntax.Unit, ms int64) int64  { return calendar.Ceil(unit, ms) }

// bindTime compiles FLOOR(x TO unit) and CEIL(x TO unit).
func (r rounding) bindTime(b *binder, n *syntax.Call, x *op) (*op, error) {
	word, ok := n.Args[1].(*syntax.Keyword)
	if !ok {
		return nil, failAt(n, "%s takes 1 argument, got 2; ROUND(x, digits) rounds to digits", n.Name)
	}
	unit := syntax.ParseUnit(word.Word)
	read := b.fieldsOf(x.typ)
	switch {
	case read == nil:
		return nil, failAt(n, "%s(x TO %s) cannot be applied to %s", n.Name, word.Word, x.typ.Nullable())
	case !calendar.Rounds(unit) || x.typ.Kind == sqltype.Time && calendar.LongerThanHour(unit):
		return nil, failAt(word, "%s cannot be rounded to %s", x.typ.Nullable(), word.Word)
	}
	zone := b.zone
	switch x.typ.Kind {
	case sqltype.Date:
		return b.strict(n, x.typ, intKernel(func(c *call, i int) int {
			ms, _ := read(c, 0, i)
			return int(calendar.FloorDiv(r.time(unit, ms), calendar.Day))
		}), x), nil
	case sqltype.Time:
		return b.strict(n, x.typ, intKernel(func(c *call, i int) int {
			ms, _ := read(c, 0, i)
			return int(r.time(unit, ms))
		}), x), nil
	default:
	}
	return b.strict(n, x.typ, timestampKernel(func(c *call, i int) (int64, uint32) {
		ms, nanos := read(c, 0, i)
		if unit == syntax.Millisecond && nanos > 0 && n.Name != "FLOOR" {
			ms++
		}
		ms = r.time(unit, ms)
		if x.typ.Kind == sqltype.TimestampLTZ {
			ms = calendar.Instant(ms, zone)
		}
		return ms, 0
	}), x), nil
}

// timestampKernel computes timestamps row by row.
func timestampKernel(f func(c *call, i int) (ms int64, nanos uint32)) kernel {
	return func(c *call) error {
		dst := room[decimal128.Num](c.out, c.n)
		for i := range dst {
			if c.wanted(i) {
				dst[i] = sqltype.TimestampValue(f(c, i))
			}
		}
		return nil
	}
}

// bindTimestampAdd compiles TIMESTAMPADD(unit, count, x), which is x + count units. A DATE moved by less than a day becomes a TIMESTAMP.
func bindTimestampAdd(b *binder, n *syntax.Call) (*op, error) {
	unit := syntax.ParseUnit(n.Args[0].(*syntax.Keyword).Word)
	args, err := b.bindAll(n.Args[1:])
	if err != nil {
		return nil, err
	}
	count, x := args[0], args[1]
	months, ms := calendar.Length(unit)
	if !count.typ.IsInteger() || !isTime(x.typ) || months+ms == 0 {
		return nil, mismatch(n, b.functions[n.Name], args)
	}
	if x.typ.Kind == sqltype.Date && months == 0 && ms < calendar.Day {
		x = b.convert(n, x, sqltype.TimestampType(6))
	}
	kind, size := sqltype.IntervalDayTime, &vector{i64: []int64{ms}}
	if months > 0 {
		kind, size = sqltype.IntervalYearMonth, &vector{i32: []int32{int32(months)}}
	}
	interval := b.scaleInterval(n, b.constant(n, sqltype.Type{Kind: kind}, size), count)
	return b.moveTime(n, x, interval, 1), nil
}

// bindTimestampDiff compiles TIMESTAMPDIFF(unit, from, to): whole units from one to the other, as an INT that wraps around.
func bindTimestampDiff(b *binder, n *syntax.Call) (*op, error) {
	unit := syntax.ParseUnit(n.Args[0].(*syntax.Keyword).Word)
	args, err := b.bindAll(n.Args[1:])
	if err != nil {
		return nil, err
	}
	from, to := args[0], args[1]
	months, ms := calendar.Length(unit)
	zoned := from.typ.Kind == sqltype.TimestampLTZ
	if !isTime(from.typ) || !isTime(to.typ) || from.typ.Kind == sqltype.Time || to.typ.Kind == sqltype.Time || zoned != (to.typ.Kind == sqltype.TimestampLTZ) || months+ms == 0 {
		return nil, mismatch(n, b.functions[n.Name], args)
	}
	readFrom, readTo := b.fieldsOf(from.typ), b.fieldsOf(to.typ)
	return b.strict(n, sqltype.IntType, intKernel(func(c *call, i int) int {
		start, _ := readFrom(c, 0, i)
		end, _ := readTo(c, 1, i)
		if months > 0 {
			return int(calendar.MonthsBetween(start, end) / months)
		}
		return int((end - start) / ms)
	}), from, to), nil
}
