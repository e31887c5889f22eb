package expr

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"pencere/pkg/expr/internal/calendar"
	"pencere/pkg/expr/internal/decimal"
	"pencere/pkg/expr/internal/javatext"
	"pencere/pkg/javafmt"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// maxText bounds the bytes of text that an expression makes for one batch; Arrow's offsets count to 2 GiB.
const maxText = 1 << 30

// maxValue bounds the bytes of one text that a function or a CHAR pads.
const maxValue = 1 << 24

// castToText writes values as texts, or texts as bytes and back. CHAR(n) is cut or padded with blanks to n characters, VARCHAR(n) cut; BINARY
// alike in bytes.
func castToText(from, to sqltype.Type, zone *time.Location) (kernel, outcome) {
	switch {
	case from.Kind == sqltype.Bytes && to.IsText():
		return fitKernel(decodeText, to, from), total
	case hasText(from):
		return fitKernel(copyText, to, from), total
	}
	if to.Kind == sqltype.Bytes {
		return nil, total
	}
	write := textWriter(from, zone)
	if write == nil {
		return nil, total
	}
	return fitKernel(write, to, from), total
}

// appender appends the text of row i of a vector.
type appender func(dst []byte, v *vector, i int) []byte

func copyText(dst []byte, v *vector, i int) []byte { return append(dst, v.text.at(i)...) }

// decodeText reads bytes as UTF-8, with U+FFFD for what is none.
func decodeText(dst []byte, v *vector, i int) []byte {
	dst, _ = javatext.Decode(dst, v.text.at(i), "UTF-8")
	return dst
}

// fitKernel writes the texts of write and fits them to the length of a type.
func fitKernel(write appender, to, from sqltype.Type) kernel {
	fit := fitter(to, from)
	return func(c *call) error {
		dst := c.out.roomText(c.n)
		mask := c.args[0].mask()
		for i := range c.n {
			if c.wanted(i) {
				start := len(dst.data)
				dst.data = fit(write(dst.data, c.args[0], i&mask), start)
				if len(dst.data) > maxText {
					return c.fail(i, "the texts of one batch exceed %d bytes", maxText)
				}
			}
			dst.end()
		}
		return nil
	}
}

// fitter returns what cuts or pads the text that begins at start to the length of a type.
func fitter(to, from sqltype.Type) func(dst []byte, start int) []byte {
	length := to.Length
	if to.Kind == sqltype.Bytes {
		return func(dst []byte, start int) []byte { return dst[:min(len(dst), start+length)] }
	}
	if to.Kind == sqltype.VarChar && (length == sqltype.MaxLength || from.IsText() && from.Length <= length) {
		return func(dst []byte, _ int) []byte { return dst }
	}
	return func(dst []byte, start int) []byte {
		n := 0
		for i := start; i < len(dst); n++ {
			if n == length {
				return dst[:i]
			}
			_, size := utf8.DecodeRune(dst[i:])
			i += size
		}
		for ; to.Kind == sqltype.Char && n < length; n++ {
			dst = append(dst, ' ')
		}
		return dst
	}
}

// textWriter returns how CAST writes values of a type: BOOLEAN in capitals, DOUBLE as Java, DECIMAL with all its digits, TIMESTAMP(p) with p
// digits after the point. nil if there is no such cast.
func textWriter(t sqltype.Type, zone *time.Location) appender {
	switch t.Kind {
	case sqltype.JSON:
		return copyText
	case sqltype.Boolean:
		return func(dst []byte, v *vector, i int) []byte {
			if v.bits.get(i) {
				return append(dst, "TRUE"...)
			}
			return append(dst, "FALSE"...)
		}
	case sqltype.TinyInt:
		return func(dst []byte, v *vector, i int) []byte { return strconv.AppendInt(dst, int64(v.i8[i]), 10) }
	case sqltype.SmallInt:
		return func(dst []byte, v *vector, i int) []byte { return strconv.AppendInt(dst, int64(v.i16[i]), 10) }
	case sqltype.Int:
		return func(dst []byte, v *vector, i int) []byte { return strconv.AppendInt(dst, int64(v.i32[i]), 10) }
	case sqltype.BigInt:
		return func(dst []byte, v *vector, i int) []byte { return strconv.AppendInt(dst, v.i64[i], 10) }
	case sqltype.Float:
		return func(dst []byte, v *vector, i int) []byte { return javafmt.AppendFloat(dst, v.f32[i]) }
	case sqltype.Double:
		return func(dst []byte, v *vector, i int) []byte { return javafmt.AppendDouble(dst, v.f64[i]) }
	case sqltype.Decimal:
		return func(dst []byte, v *vector, i int) []byte { return decimal.Append(dst, v.n128[i], t.Scale) }
	default:
		return timeWriter(t, zone)
	}
}

func timeWriter(t sqltype.Type, zone *time.Location) appender {
	switch t.Kind {
	case sqltype.Date:
		return func(dst []byte, v *vector, i int) []byte { return calendar.AppendDate(dst, int64(v.i32[i])) }
	case sqltype.Time:
		return func(dst []byte, v *vector, i int) []byte {
			return calendar.AppendTime(dst, int64(v.i32[i]), min(t.Precision, 3))
		}
	case sqltype.Timestamp:
		return func(dst []byte, v *vector, i int) []byte {
			ms, nanos := sqltype.TimestampParts(v.n128[i])
			return calendar.AppendTimestamp(dst, ms, nanos, t.Precision)
		}
	case sqltype.TimestampLTZ:
		return func(dst []byte, v *vector, i int) []byte {
			ms, nanos := sqltype.TimestampParts(v.n128[i])
			return calendar.AppendTimestamp(dst, calendar.Local(ms, zone), nanos, t.Precision)
		}
	case sqltype.IntervalYearMonth:
		return func(dst []byte, v *vector, i int) []byte { return calendar.AppendMonths(dst, v.i32[i]) }
	case sqltype.IntervalDayTime:
		return func(dst []byte, v *vector, i int) []byte { return calendar.AppendDuration(dst, v.i64[i]) }
	default:
		return nil
	}
}

// castFromText reads texts as values of a type.
func castFromText(to sqltype.Type, zone *time.Location) (kernel, outcome) {
	switch to.Kind {
	case sqltype.Boolean:
		return readBooleans, mayFail
	case sqltype.TinyInt:
		return readTexts(to, func(s string) (int8, bool) { v, ok := readInteger(s, 8); return int8(v), ok }), mayFail
	case sqltype.SmallInt:
		return readTexts(to, func(s string) (int16, bool) { v, ok := readInteger(s, 16); return int16(v), ok }), mayFail
	case sqltype.Int:
		return readTexts(to, func(s string) (int32, bool) { v, ok := readInteger(s, 32); return int32(v), ok }), mayFail
	case sqltype.BigInt:
		return readTexts(to, func(s string) (int64, bool) { return readInteger(s, 64) }), mayFail
	case sqltype.Float:
		return readTexts(to, func(s string) (float32, bool) { v, ok := readFloat(s, 32); return float32(v), ok }), mayFail
	case sqltype.Double:
		return readTexts(to, func(s string) (float64, bool) { return readFloat(s, 64) }), mayFail
	case sqltype.Decimal:
		return readTexts(to, func(s string) (decimal128.Num, bool) {
			v, err := decimal.ParseCast(s, to.Precision, to.Scale)
			return v, err == nil
		}), mayFail
	default:
		return readTimes(to, zone), mayFail
	}
}

// readTexts makes a kernel of a function that reads a text.
func readTexts[R fixed](to sqltype.Type, read func(string) (R, bool)) kernel {
	return func(c *call) error {
		dst := room[R](c.out, c.n)
		mask := c.args[0].mask()
		for i := range dst {
			if !c.wanted(i) {
				continue
			}
			text := c.args[0].text.at(i & mask)
			v, ok := read(string(text))
			if dst[i] = v; ok {
				continue
			}
			if err := c.reject(i, "cannot cast the text %s to %s", quote(text), to); err != nil {
				return err
			}
		}
		return nil
	}
}

// quote shows a text in a message, shortened.
func quote(text []byte) string {
	const most = 60
	if len(text) > most {
		return strconv.Quote(strings.ToValidUTF8(string(text[:most]), "?")) + "…"
	}
	return strconv.Quote(string(text))
}

// readBooleans takes true, t, yes, y, 1 and false, f, no, n, 0 in any case, and no blanks.
func readBooleans(c *call) error {
	bits := c.out.roomBits(c.n)
	mask := c.args[0].mask()
	for i := range c.n {
		if !c.wanted(i) {
			continue
		}
		text := c.args[0].text.at(i & mask)
		switch strings.ToLower(string(text)) {
		case "true", "t", "yes", "y", "1":
			bits.set(i)
		case "false", "f", "no", "n", "0":
		default:
			if err := c.reject(i, "cannot cast the text %s to BOOLEAN", quote(text)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readInteger reads blanks, a sign, digits, and perhaps a point and digits, which do not count.
func readInteger(s string, bits int) (int64, bool) {
	whole, fraction, _ := strings.Cut(strings.Trim(s, " "), ".")
	if strings.Trim(fraction, "0123456789") != "" || whole == "" && !strings.Contains(s, ".") {
		return 0, false
	}
	switch whole {
	case "", "+", "-":
		return 0, strings.Contains(s, ".")
	}
	if c := whole[len(whole)-1]; c < '0' || c > '9' || strings.Contains(whole, "_") {
		return 0, false
	}
	v, err := strconv.ParseInt(whole, 10, bits)
	return v, err == nil
}

// readFloat reads what Java's Double.parseDouble takes: control characters and blanks around, NaN and Infinity in just this spelling, a d or f
// at the end, hexadecimal with an exponent. What is too large is infinite.
func readFloat(s string, bits int) (float64, bool) {
	s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
	body := strings.TrimLeft(s, "+-")
	switch {
	case len(s)-len(body) > 1, body == "", strings.Contains(body, "_"):
		return 0, false
	case body == "NaN" || body == "Infinity":
		v, _ := strconv.ParseFloat(s, bits)
		return v, body != "NaN" || s == body
	case body[0] != '.' && (body[0] < '0' || body[0] > '9'):
		return 0, false
	}
	hexadecimal := len(body) > 1 && (body[1] == 'x' || body[1] == 'X')
	if c := s[len(s)-1]; strings.IndexByte("dDfF", c) >= 0 && (!hexadecimal || strings.ContainsAny(body, "pP")) {
		s = s[:len(s)-1]
	}
	if hexadecimal && !strings.ContainsAny(s, "pP") {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, bits)
	if errors.Is(err, strconv.ErrRange) {
		return v, true
	}
	return v, err == nil
}

// characters counts the characters of a text: its code points.
func characters(text []byte) int { return utf8.RuneCount(text) }
