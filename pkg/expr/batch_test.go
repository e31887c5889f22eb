package expr

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"pencere/pkg/expr/internal/calendar"
	"pencere/pkg/expr/internal/decimal"
	"pencere/pkg/javafmt"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// batchOf makes a batch of rows in JSON, as simply as it can be said: this is a tool of tests and no decoder.
func batchOf(t testing.TB, schema sqltype.Schema, lines []string) arrow.RecordBatch {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Arrow())
	defer b.Release()
	for _, line := range lines {
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		var row map[string]any
		if err := d.Decode(&row); err != nil {
			t.Fatalf("row %s: %v", line, err)
		}
		for i, c := range schema {
			appendValue(t, b.Field(i), c.Type, row[c.Name])
		}
	}
	return b.NewRecordBatch()
}

func appendValue(t testing.TB, b array.Builder, typ sqltype.Type, v any) {
	t.Helper()
	if v == nil {
		b.AppendNull()
		return
	}
	text, isText := v.(string)
	if n, ok := v.(json.Number); ok {
		text = n.String()
	}
	ok := true
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v.(bool))
	case *array.Int8Builder:
		n, err := strconv.ParseInt(text, 10, 8)
		ok = err == nil
		b.Append(int8(n))
	case *array.Int16Builder:
		n, err := strconv.ParseInt(text, 10, 16)
		ok = err == nil
		b.Append(int16(n))
	case *array.Int32Builder:
		n, err := strconv.ParseInt(text, 10, 32)
		ok = err == nil
		b.Append(int32(n))
	case *array.Int64Builder:
		n, err := strconv.ParseInt(text, 10, 64)
		ok = err == nil
		b.Append(n)
	case *array.Float32Builder:
		f, valid := readFloat(text, 32)
		ok = valid
		b.Append(float32(f))
	case *array.Float64Builder:
		f, valid := readFloat(text, 64)
		ok = valid
		b.Append(f)
	case *array.StringBuilder:
		ok = isText
		b.Append(text)
	case *array.BinaryBuilder:
		raw, err := base64.StdEncoding.DecodeString(text)
		ok = err == nil
		b.Append(raw)
	case *array.Date32Builder:
		days, valid := calendar.ParseDate(text)
		ok = valid
		b.Append(arrow.Date32(days))
	case *array.Time32Builder:
		ms, valid := calendar.ParseTime(text)
		ok = valid
		b.Append(arrow.Time32(ms))
	case *array.Decimal128Builder:
		if typ.Kind == sqltype.Decimal {
			n, err := decimal.Parse(text, typ.Precision, typ.Scale)
			if err != nil {
				t.Fatal(err)
			}
			b.Append(n)
			return
		}
		ms, nanos, valid := calendar.ParseTimestamp(strings.TrimSuffix(text, "Z"))
		ok = valid
		b.Append(sqltype.TimestampValue(ms, nanos))
	default:
		ok = false
	}
	if !ok {
		t.Fatalf("cannot append %v as %s", v, typ)
	}
}

// csvCell writes a value as Flink's CSV does with default options.
func csvCell(a arrow.Array, typ sqltype.Type, i int) string {
	if a.IsNull(i) {
		return ""
	}
	switch a := a.(type) {
	case *array.Boolean:
		return strconv.FormatBool(a.Value(i))
	case *array.Int8:
		return strconv.Itoa(int(a.Value(i)))
	case *array.Int16:
		return strconv.Itoa(int(a.Value(i)))
	case *array.Int32:
		return strconv.Itoa(int(a.Value(i)))
	case *array.Int64:
		return strconv.FormatInt(a.Value(i), 10)
	case *array.Float32:
		return string(javafmt.AppendFloat(nil, a.Value(i)))
	case *array.Float64:
		return string(javafmt.AppendDouble(nil, a.Value(i)))
	case *array.String:
		return csvQuoted(a.Value(i))
	case *array.Binary:
		return csvQuoted(base64.StdEncoding.EncodeToString(a.Value(i)))
	case *array.Date32:
		return string(calendar.AppendDate(nil, int64(a.Value(i))))
	case *array.Time32:
		return trimFraction(string(calendar.AppendTime(nil, int64(a.Value(i)), 3)))
	case *array.Decimal128:
		if typ.Kind == sqltype.Decimal {
			return csvQuoted(scientific(a.Value(i), typ.Scale))
		}
		ms, nanos := sqltype.TimestampParts(a.Value(i))
		text := trimFraction(string(calendar.AppendTimestamp(nil, ms, nanos, 9)))
		if year, _, _ := calendar.Date(calendar.FloorDiv(ms, calendar.Day)); year >= 10_000 {
			text = "+" + strconv.FormatInt(year, 10) + text[4:]
		}
		if typ.Kind == sqltype.TimestampLTZ {
			text += "Z"
		}
		return csvQuoted(text)
	}
	return "?"
}

func trimFraction(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func csvQuoted(s string) string {
	units := 0
	for _, r := range s {
		units++
		if r >= 0x10000 {
			units++
		}
	}
	if units > 24 || strings.ContainsFunc(s, func(r rune) bool { return r <= ',' || r == '\\' }) {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

// scientific is BigDecimal.stripTrailingZeros().toString().
func scientific(v decimal128.Num, scale int) string {
	digits := v.BigInt().String()
	negative := strings.HasPrefix(digits, "-")
	digits = strings.TrimPrefix(digits, "-")
	if digits == "0" {
		return "0"
	}
	for strings.HasSuffix(digits, "0") {
		digits, scale = digits[:len(digits)-1], scale-1
	}
	var out bytes.Buffer
	if negative {
		out.WriteByte('-')
	}
	exponent := len(digits) - 1 - scale
	switch {
	case scale >= 0 && exponent >= -6:
		for len(digits) <= scale {
			digits = "0" + digits
		}
		out.WriteString(digits[:len(digits)-scale])
		if scale > 0 {
			out.WriteString("." + digits[len(digits)-scale:])
		}
	default:
		out.WriteString(digits[:1])
		if len(digits) > 1 {
			out.WriteString("." + digits[1:])
		}
		out.WriteByte('E')
		if exponent >= 0 {
			out.WriteByte('+')
		}
		out.WriteString(strconv.Itoa(exponent))
	}
	return out.String()
}
