package json

import (
	"bytes"
	"math"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Reasons why a value is no value of its column. Each follows the value in a message.
const (
	notInteger  = "is not a whole number"
	notNumber   = "is not a number"
	notBase64   = "is not base64"
	notDate     = "is not a date in the layout yyyy-MM-dd"
	notTime     = "is not a time in the layout HH:mm:ss[.fraction]"
	outOfRange  = "is out of the column type's range"
	wrongObject = "(an object or array) is not a value of the column's type"
	tooLong     = "makes a text column longer than 2 GiB"
)

// spoiled is the end of a field whose value, which ends at next, is not one of its column.
func (d *Decoder) spoiled(c *column, f fault, next int) int {
	if d.options.OnError == Ignore && !f.full {
		d.ignored++
		d.null(c)
		return next
	}
	f.column = c
	d.scanner.fault = f
	return none
}

// The methods textValue, numberValue, wordValue and containerValue read the value at i into column c and return the position
// behind it. Whatever its kind, a well-formed value is read to its end, so that a bad one costs its own field only.

func (d *Decoder) textValue(c *column, b []byte, i int) int {
	if c.typ.Kind == sqltype.Timestamp {
		if v, next := c.layout.quick(b, i); next != none {
			c.append128(d.alloc, v)
			return next
		}
	}
	end, escaped, wide := scanString(b, i+1)
	if end == len(b) {
		return d.scanner.malformed(i, endsEarly)
	}
	text := b[i+1 : end]
	if escaped || wide {
		var reason string
		if text, reason = d.scanner.decode(text, escaped, wide); reason != "" {
			return d.spoiled(c, fault{at: i, reason: reason, value: b[i+1 : end]}, end+1)
		}
	}
	if c.typ.IsText() && c.appendText(d.alloc, text) {
		return end + 1
	}
	if reason, full := d.convertText(c, text); reason != "" {
		return d.spoiled(c, fault{at: i, reason: reason, value: text, full: full}, end+1)
	}
	return end + 1
}

func (d *Decoder) convertText(c *column, text []byte) (reason string, full bool) {
	switch c.typ.Kind {
	case sqltype.Char, sqltype.VarChar:
		return tooLong, true // textValue has tried
	case sqltype.Timestamp, sqltype.TimestampLTZ:
		return d.timestamp(c, text), false
	case sqltype.Date:
		return d.date(c, text), false
	case sqltype.Time:
		return d.time(c, text), false
	case sqltype.Boolean:
		c.appendBool(d.alloc, bytes.EqualFold(trim(text), []byte("true")))
		return "", false
	case sqltype.Bytes:
		return d.binary(c, text)
	case sqltype.Decimal:
		return d.decimal(c, trim(text)), false
	case sqltype.Float, sqltype.Double:
		return d.double(c, trim(text)), false
	default:
		return d.integer(c, trim(text)), false
	}
}

func (d *Decoder) numberValue(c *column, b []byte, i int) int {
	switch c.typ.Kind {
	case sqltype.BigInt:
		if v, next := quickInt(b, i); next != none {
			c.append64(d.alloc, uint64(v))
			return next
		}
	case sqltype.Int:
		if v, next := quickInt(b, i); next != none && v == int64(int32(v)) {
			c.append32(d.alloc, uint32(v))
			return next
		}
	case sqltype.Double:
		if v, next := quickDouble(b, i); next != none {
			c.append64(d.alloc, math.Float64bits(v))
			return next
		}
	case sqltype.Decimal:
		if v, next := quickDecimal(b, i, c.typ.Precision, c.typ.Scale); next != none {
			c.append128(d.alloc, decimal128.FromI64(v))
			return next
		}
	default: // no other type has a way of its own
	}
	end, fractional := d.scanner.number(b, i)
	if end == none {
		return none
	}
	if reason, full := d.convertNumber(c, b[i:end], fractional); reason != "" {
		return d.spoiled(c, fault{at: i, reason: reason, value: b[i:end], full: full}, end)
	}
	return end
}

func (d *Decoder) convertNumber(c *column, number []byte, fractional bool) (reason string, full bool) {
	switch c.typ.Kind {
	case sqltype.Char, sqltype.VarChar:
		return d.text(c, number)
	case sqltype.Boolean:
		c.appendBool(d.alloc, false)
		return "", false
	case sqltype.Int, sqltype.BigInt:
		if !fractional {
			return d.integer(c, number), false
		}
		v, reason := truncated(c.typ.Kind, number)
		if reason == "" {
			c.appendInt(d.alloc, v)
		}
		return reason, false
	case sqltype.Bytes:
		return notBase64, false
	default: // a number's text is read as a string's would be, and is no date or time
		return d.convertText(c, number)
	}
}

// wordValue reads true, false or null.
func (d *Decoder) wordValue(c *column, b []byte, i int) int {
	end := d.scanner.word(b, i)
	if end == none {
		return none
	}
	switch {
	case b[i] == 'n':
		d.null(c)
	case c.typ.Kind == sqltype.Boolean:
		c.appendBool(d.alloc, b[i] == 't')
	case !c.typ.IsText():
		return d.spoiled(c, fault{at: i, reason: "is not a value of the column's type", value: b[i:end]}, end)
	default:
		if reason, full := d.text(c, b[i:end]); reason != "" {
			return d.spoiled(c, fault{at: i, reason: reason, value: b[i:end], full: full}, end)
		}
	}
	return end
}

// containerValue reads an object or array: for text columns it is written anew, for BOOLEAN it is not true.
func (d *Decoder) containerValue(c *column, b []byte, i int) int {
	end := d.scanner.skip(b, i)
	if end == none {
		return none
	}
	switch {
	case c.typ.Kind == sqltype.Boolean:
		c.appendBool(d.alloc, false)
	case !c.typ.IsText():
		return d.spoiled(c, fault{at: i, reason: wrongObject, value: b[i:end]}, end)
	default:
		if reason, full := d.text(c, d.tree.rewrite(b[i:end])); reason != "" {
			return d.spoiled(c, fault{at: i, reason: reason, value: b[i:end], full: full}, end)
		}
	}
	return end
}

func (d *Decoder) text(c *column, text []byte) (reason string, full bool) {
	if !c.appendText(d.alloc, text) {
		return tooLong, true
	}
	return "", false
}

func (d *Decoder) binary(c *column, text []byte) (reason string, full bool) {
	decoded, ok := appendBase64(d.scratch[:0], text)
	d.scratch = decoded
	if !ok {
		return notBase64, false
	}
	return d.text(c, decoded)
}

func (d *Decoder) integer(c *column, text []byte) (reason string) {
	v, reason := parseInteger(text)
	if reason != "" {
		return reason
	}
	if !fits(c.typ.Kind, v) {
		return outOfRange
	}
	c.appendInt(d.alloc, v)
	return ""
}

func (d *Decoder) double(c *column, text []byte) (reason string) {
	size := 8 * c.width
	f, ok := parseDouble(text, size)
	if !ok {
		return notNumber
	}
	if size == 32 {
		c.append32(d.alloc, math.Float32bits(float32(f)))
	} else {
		c.append64(d.alloc, math.Float64bits(f))
	}
	return ""
}

// decimal appends NULL for a number of too many digits: that is no error in Flink.
func (d *Decoder) decimal(c *column, text []byte) (reason string) {
	number, ok := parseDecimal(text, d.scratch[:0])
	d.scratch = number.digits
	if !ok {
		return notNumber
	}
	if v, ok := number.unscaled(c.typ.Precision, c.typ.Scale); ok {
		c.append128(d.alloc, v)
	} else {
		d.null(c)
	}
	return ""
}

func (d *Decoder) date(c *column, text []byte) (reason string) {
	days, rest, ok := parseDate(text, false)
	if !ok || len(rest) > 0 {
		return notDate
	}
	if days != int64(int32(days)) {
		return outOfRange // where Flink wraps around
	}
	c.appendInt(d.alloc, days)
	return ""
}

func (d *Decoder) time(c *column, text []byte) (reason string) {
	ms, ok := parseTime(text)
	if !ok {
		return notTime
	}
	c.appendInt(d.alloc, ms)
	return ""
}

func (d *Decoder) timestamp(c *column, text []byte) (reason string) {
	v, ok := c.layout.parse(text)
	if !ok {
		return c.layout.wrong
	}
	c.append128(d.alloc, v)
	return ""
}
