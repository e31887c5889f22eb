package expr

import (
	"math"
	"strings"

	"pencere/pkg/expr/internal/calendar"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Formats that functions use without one.
const (
	defaultDate      = "yyyy-MM-dd"
	defaultTimestamp = "yyyy-MM-dd HH:mm:ss"
)

// format gives the pattern of a row.
type format func(c *call, i int) (*calendar.Pattern, error)

// formatOf compiles the format that is the second argument, once if it is a constant; byDefault stands for a missing one.
func formatOf(args []*op, byDefault string) (format, error) {
	text, constant := byDefault, true
	if len(args) > 1 {
		text, constant = args[1].constantText()
	}
	if !constant {
		return func(c *call, i int) (*calendar.Pattern, error) { return calendar.CompilePattern(string(c.arg(1, i))) }, nil
	}
	p, err := calendar.CompilePattern(text)
	if err != nil {
		return nil, &syntax.Error{Offset: args[1].at, Message: err.Error()}
	}
	return func(*call, int) (*calendar.Pattern, error) { return p, nil }, nil
}

// bindDateFormat compiles DATE_FORMAT(x, format). A text is read as yyyy-MM-dd HH:mm:ss first, and is NULL if it is not.
func bindDateFormat(b *binder, n *syntax.Call, args []*op) (*op, error) {
	x := args[0]
	if !args[1].typ.IsText() || !x.typ.IsTimestamp() && !x.typ.IsText() {
		return nil, nil
	}
	write, err := formatOf(args, "")
	if err != nil {
		return nil, err
	}
	if x.typ.IsText() {
		x = b.nullable(n, sqltype.TimestampType(3), tolerant(readTexts(sqltype.TimestampType(3), readDateAndTime)), x)
	}
	read := b.fieldsOf(x.typ)
	return b.nullable(n, sqltype.StringType, textKernel(func(dst []byte, c *call, i int) ([]byte, error) {
		p, err := write(c, i)
		if err != nil {
			return dst, err
		}
		ms, nanos := read(c, 0, i)
		return p.Append(dst, ms, nanos), nil
	}), x, args[1]), nil
}

// readDateAndTime reads a timestamp whose time is not left out.
func readDateAndTime(s string) (decimal128.Num, bool) {
	ms, nanos, ok := calendar.ParseTimestamp(s)
	return sqltype.TimestampValue(ms, nanos), ok && strings.Contains(s, " ")
}

// bindToDate compiles TO_DATE(text[, format]); NULL for what is no date.
func bindToDate(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !allText(args) {
		return nil, nil
	}
	if len(args) == 1 {
		return b.nullableOp(b.tryConvert(n, args[0], sqltype.DateType)), nil
	}
	read, err := formatOf(args, defaultDate)
	if err != nil {
		return nil, err
	}
	return b.nullable(n, sqltype.DateType, parsed(read, (*calendar.Pattern).ParseLeniently, func(ms int64) int32 {
		return int32(calendar.FloorDiv(ms, calendar.Day))
	}), args...), nil
}

// nullableOp is o with a type that allows NULL.
func (b *binder) nullableOp(o *op) *op {
	c := *o
	c.typ = c.typ.Nullable()
	return &c
}

// bindToTimestamp compiles TO_TIMESTAMP(text[, format]), a TIMESTAMP(3); NULL for what is no timestamp.
func bindToTimestamp(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !allText(args) {
		return nil, nil
	}
	if len(args) == 1 {
		return b.nullableOp(b.tryConvert(n, args[0], sqltype.TimestampType(3))), nil
	}
	read, err := formatOf(args, defaultTimestamp)
	if err != nil {
		return nil, err
	}
	return b.nullable(n, sqltype.TimestampType(3), parsed(read, (*calendar.Pattern).Parse, func(ms int64) decimal128.Num {
		return sqltype.TimestampValue(ms, 0)
	}), args...), nil
}

// bindUnixTimestamp compiles UNIX_TIMESTAMP(text[, format]): the seconds since 1970 of a wall clock in the session zone; the least BIGINT for what
// is none.
func bindUnixTimestamp(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !allText(args) {
		return nil, nil
	}
	read, err := formatOf(args, defaultTimestamp)
	if err != nil {
		return nil, err
	}
	zone := b.zone
	seconds := func(p *calendar.Pattern, s string) (int64, bool) {
		ms, ok := p.ParseLeniently(s)
		if !ok {
			return math.MinInt64, true
		}
		return calendar.FloorDiv(calendar.Instant(ms, zone), calendar.Second), true
	}
	return b.strict(n, sqltype.BigIntType, parsed(read, seconds, same[int64]), args...), nil
}

// parsed makes a kernel that reads the text that is argument 0 with parse and makes a value of what it gives; NULL if it gives nothing.
func parsed[R fixed](read format, parse func(*calendar.Pattern, string) (int64, bool), value func(int64) R) kernel {
	return func(c *call) error {
		dst := room[R](c.out, c.n)
		for i := range dst {
			if !c.wanted(i) {
				continue
			}
			p, err := read(c, i)
			if err != nil {
				return &failure{i, c.at, err}
			}
			v, ok := parse(p, string(c.arg(0, i)))
			if dst[i] = value(v); !ok {
				c.out.setNull(i, c.n)
			}
		}
		return nil
	}
}

// bindFromUnixtime compiles FROM_UNIXTIME(seconds[, format]): the wall clock in the session zone.
func bindFromUnixtime(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !args[0].typ.IsInteger() || len(args) == 2 && !args[1].typ.IsText() {
		return nil, nil
	}
	write, err := formatOf(args, defaultTimestamp)
	if err != nil {
		return nil, err
	}
	args[0] = b.convert(n, args[0], sqltype.BigIntType)
	zone := b.zone
	return b.nullable(n, sqltype.StringType, textKernel(func(dst []byte, c *call, i int) ([]byte, error) {
		p, err := write(c, i)
		if err != nil {
			return dst, err
		}
		return p.Append(dst, calendar.Local(c.args[0].i64[i&c.args[0].mask()]*calendar.Second, zone), 0), nil
	}), args...), nil
}

// Bounds of TO_TIMESTAMP_LTZ: the years 0 to 9999. What is outside is NULL.
var (
	firstInstant = calendar.Days(0, 1, 1) * calendar.Day
	lastInstant  = calendar.Days(10_000, 1, 1)*calendar.Day - 1
)

// bindToTimestampLTZ compiles TO_TIMESTAMP_LTZ(number, precision): seconds since 1970 for precision 0, milliseconds for 3.
func bindToTimestampLTZ(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !args[0].typ.IsNumeric() || !args[1].typ.IsInteger() {
		return nil, nil
	}
	precision := b.convert(n, args[1], sqltype.IntType)
	if precision.value == nil || precision.value.null || precision.value.i32[0] != 0 && precision.value.i32[0] != 3 {
		return nil, &syntax.Error{Offset: args[1].at, Message: "the precision of TO_TIMESTAMP_LTZ must be 0 for seconds or 3 for milliseconds"}
	}
	unit := int64(1)
	if precision.value.i32[0] == 0 {
		unit = calendar.Second
	}
	x := args[0]
	if x.typ.IsApproximate() { // the fraction counts
		x, unit = b.strict(n, sqltype.DoubleType, plainKernel[float64]("*"), b.convert(n, x, sqltype.DoubleType), b.constant(n, sqltype.DoubleType, &vector{f64: []float64{float64(unit)}})), 1
	}
	return b.nullable(n, sqltype.TimestampLTZType(3), func(c *call) error {
		dst := room[decimal128.Num](c.out, c.n)
		for i := range dst {
			v := c.args[0].i64[i&c.args[0].mask()]
			dst[i] = sqltype.TimestampValue(v*unit, 0)
			if v < firstInstant/unit || v > lastInstant/unit {
				c.out.setNull(i, c.n)
			}
		}
		return nil
	}, b.convert(n, x, sqltype.BigIntType)), nil
}
