package json_test

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// decodeOne returns the column that a value, as it stands in the record, makes of the type.
func decodeOne(t *rapid.T, typ sqltype.Type, options json.Options, value string) arrow.Array {
	options.OnError = json.Ignore
	schema := sqltype.Schema{{Name: "v", Type: typ}}
	d, err := json.NewDecoder(schema, options, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	if outcome, err := d.Append([]byte(`{"v":` + value + `}`)); outcome != json.Appended {
		t.Fatalf("%s: outcome %d, %v", value, outcome, err)
	}
	return d.NewBatch().Column(0)
}

// clock is a wall-clock time as written, with what each layout makes of it.
type clock struct {
	year, month, day, hour, minute, second int
	fraction                               string
}

func drawClock(t *rapid.T) clock {
	digits := rapid.StringMatching(`[0-9]{0,10}`)
	c := clock{
		year:  rapid.OneOf(rapid.IntRange(1900, 2100), rapid.IntRange(-12_000, 12_000)).Draw(t, "year"),
		month: rapid.IntRange(0, 13).Draw(t, "month"), day: rapid.IntRange(0, 32).Draw(t, "day"),
		hour: rapid.IntRange(0, 25).Draw(t, "hour"), minute: rapid.IntRange(0, 60).Draw(t, "minute"),
		second: rapid.IntRange(0, 60).Draw(t, "second"),
	}
	if rapid.Bool().Draw(t, "midnight") {
		c.hour, c.minute, c.second = 24, 0, 0
	}
	if rapid.Bool().Draw(t, "point") {
		c.fraction = "." + digits.Draw(t, "fraction")
	}
	return c
}

func (c clock) date() string {
	switch {
	case c.year > 9999:
		return fmt.Sprintf("+%d-%02d-%02d", c.year, c.month, c.day)
	case c.year < 0:
		return fmt.Sprintf("-%04d-%02d-%02d", -c.year, c.month, c.day)
	}
	return fmt.Sprintf("%04d-%02d-%02d", c.year, c.month, c.day)
}

func (c clock) time() string {
	return fmt.Sprintf("%02d:%02d:%02d%s", c.hour, c.minute, c.second, c.fraction)
}

// instant is the model of java.time's resolution: strict, or with the day clamped and 24:00 taken.
func (c clock) instant(lenient bool) (at time.Time, ok bool) {
	nanos := 0
	if c.fraction != "" {
		nanos, ok = nanosOf(c.fraction[1:])
		if !ok {
			return at, false
		}
	}
	last := time.Date(c.year, time.Month(c.month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	midnight := lenient && c.hour == 24 && c.minute == 0 && c.second == 0 && nanos == 0
	switch {
	case c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31 || c.minute > 59 || c.second > 59,
		!lenient && c.day > last, c.hour > 23 && !midnight:
		return at, false
	}
	return time.Date(c.year, time.Month(c.month), min(c.day, last), c.hour, c.minute, c.second, nanos, time.UTC), true
}

func nanosOf(digits string) (nanos int, ok bool) {
	if len(digits) > 9 {
		return 0, false
	}
	for _, c := range digits + strings.Repeat("0", 9-len(digits)) {
		nanos = nanos*10 + int(c-'0')
	}
	return nanos, true
}

func TestTimestampProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawClock(t)
		for _, layout := range []struct {
			format          json.TimestampFormat
			zoned, lenient  bool
			separator, zone string
		}{
			{json.SQL, false, true, " ", ""}, {json.SQL, true, true, " ", "Z"},
			{json.ISO8601, false, false, "T", ""}, {json.ISO8601, true, true, "T", "Z"},
		} {
			typ := sqltype.TimestampType(3)
			if layout.zoned {
				typ = sqltype.TimestampLTZType(3)
			}
			text := c.date() + layout.separator + c.time() + layout.zone
			got := decodeOne(t, typ, json.Options{TimestampFormat: layout.format}, `"`+text+`"`).(*array.Decimal128)
			at, ok := c.instant(layout.lenient)
			want := sqltype.TimestampValue(at.UnixMilli(), uint32(at.Nanosecond()%1e6))
			if got.IsValid(0) != ok || ok && got.Value(0) != want {
				t.Fatalf("%s gives %v, want %v (%v)", text, got, at, ok)
			}
			for _, other := range []string{text + " ", " " + text, strings.Replace(text, layout.separator, "_", 1), text[:len(text)-1] + "x"} {
				if v := decodeOne(t, typ, json.Options{TimestampFormat: layout.format}, `"`+other+`"`); v.IsValid(0) {
					t.Fatalf("%q gives %v", other, v)
				}
			}
		}
	})
}

func TestDateAndTimeProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawClock(t)
		day := c
		day.hour, day.minute, day.second, day.fraction = 0, 0, 0, ""
		at, ok := day.instant(false)
		date := decodeOne(t, sqltype.DateType, json.Options{}, `"`+c.date()+`"`).(*array.Date32)
		if date.IsValid(0) != ok || ok && int64(date.Value(0))*86400 != at.Unix() {
			t.Fatalf("%s gives %v, want %v (%v)", c.date(), date, at, ok)
		}
		c.year, c.month, c.day = 1970, 1, 1
		at, ok = c.instant(true)
		got := decodeOne(t, sqltype.TimeType(3), json.Options{}, `"`+c.time()+`"`).(*array.Time32)
		if got.IsValid(0) != ok || ok && int64(got.Value(0)) != at.Unix()%86400*1000 {
			t.Fatalf("%s gives %v, want %v (%v)", c.time(), got, at, ok)
		}
	})
}

func TestDecimalProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		precision := rapid.IntRange(1, 38).Draw(t, "precision")
		scale := rapid.IntRange(0, precision).Draw(t, "scale")
		number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,45})(\.[0-9]{1,45})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number")
		value := number
		if rapid.Bool().Draw(t, "text") {
			value = `" ` + number + `\t"`
		}
		got := decodeOne(t, sqltype.DecimalType(precision, scale), json.Options{}, value).(*array.Decimal128)
		want, fits := roundHalfUp(number, precision, scale)
		if got.IsValid(0) != fits || fits && got.Value(0) != decimal128.FromBigInt(want) {
			t.Fatalf("%s as DECIMAL(%d, %d) gives %v, want %v (%v)", value, precision, scale, got, want, fits)
		}
	})
}

// roundHalfUp is the model of BigDecimal.setScale: the number times 10^scale, rounded, if it has no more than precision digits.
func roundHalfUp(number string, precision, scale int) (*big.Int, bool) {
	ten := big.NewInt(10)
	x, _ := new(big.Rat).SetString(number)
	x.Mul(x, new(big.Rat).SetInt(new(big.Int).Exp(ten, big.NewInt(int64(scale)), nil)))
	twice := new(big.Int).Add(new(big.Int).Mul(new(big.Int).Abs(x.Num()), big.NewInt(2)), x.Denom())
	v := twice.Quo(twice, new(big.Int).Mul(x.Denom(), big.NewInt(2)))
	if v.Cmp(new(big.Int).Exp(ten, big.NewInt(int64(precision)), nil)) >= 0 {
		return nil, false
	}
	if x.Sign() < 0 {
		v.Neg(v)
	}
	return v, true
}

func TestIntegerProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edge := new(big.Int).Lsh(big.NewInt(1), rapid.SampledFrom([]uint{0, 7, 15, 31, 53, 63, 64, 80}).Draw(t, "bits"))
		v := edge.Add(edge, big.NewInt(rapid.Int64Range(-3, 3).Draw(t, "beside")))
		if rapid.Bool().Draw(t, "negative") {
			v.Neg(v)
		}
		for bits, typ := range map[int]sqltype.Type{
			8: sqltype.TinyIntType, 16: sqltype.SmallIntType, 32: sqltype.IntType, 64: sqltype.BigIntType,
		} {
			fits := new(big.Int).Add(v, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
			want := "(null)"
			if fits.Sign() >= 0 && fits.BitLen() <= bits {
				want = v.String()
			}
			for _, value := range []string{v.String(), `"` + v.String() + `"`} {
				if got := decodeOne(t, typ, json.Options{}, value).ValueStr(0); got != want {
					t.Fatalf("%s as %s gives %s, want %s", value, typ, got, want)
				}
			}
		}
	})
}

// Any text comes back, however it is escaped.
func TestTextProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		plain, err := stdjson.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var escaped strings.Builder
		for _, unit := range want {
			if unit > 0xFFFF {
				escaped.WriteRune(unit)
			} else {
				fmt.Fprintf(&escaped, `\u%04X`, unit)
			}
		}
		for _, value := range []string{string(plain), `"` + escaped.String() + `"`} {
			if got := decodeOne(t, sqltype.StringType, json.Options{}, value).(*array.String).Value(0); got != want {
				t.Fatalf("%s gives %q, want %q", value, got, want)
			}
		}
	})
}

// An object in a text column is written as encoding/json does without its HTML escapes, members in their order.
func TestContainerProperty(t *testing.T) {
	scalar := rapid.OneOf(
		rapid.Map(rapid.Int64(), func(v int64) string { return fmt.Sprint(v) }),
		rapid.SampledFrom([]string{"true", "false", "null", `"x\ty"`, `"\u00e7"`, `""`, `{}`, `[]`, `{ "": { } }`}),
	)
	value := rapid.Custom(func(t *rapid.T) string {
		text := scalar.Draw(t, "scalar")
		for range rapid.IntRange(1, 6).Draw(t, "depth") {
			if rapid.Bool().Draw(t, "object") {
				text = fmt.Sprintf(`{"a" : %s , "b":%s}`, text, scalar.Draw(t, "beside"))
			} else {
				text = fmt.Sprintf("[ %s,%s\n]", scalar.Draw(t, "beside"), text)
			}
		}
		return text
	})
	rapid.Check(t, func(t *rapid.T) {
		text := value.Draw(t, "value")
		var want bytes.Buffer
		if err := stdjson.Compact(&want, []byte(strings.ReplaceAll(text, `\u00e7`, "ç"))); err != nil {
			t.Fatal(err)
		}
		if got := decodeOne(t, sqltype.StringType, json.Options{}, text).(*array.String).Value(0); got != want.String() {
			t.Fatalf("%s gives %s, want %s", text, got, want.String())
		}
	})
}

// Records of any members, repeated, unknown, spaced, cut short, are what encoding/json makes of them.
func TestRecordProperty(t *testing.T) {
	value := rapid.SampledFrom([]string{
		"1", "-0", "1.5", "1e3", "12345678901234567890", "9223372036854775807", "0.1e-400", "1e400", "true", "false", "null", `""`, `" 7 "`, `"1e5f"`, `"0x1p-2D"`,
		`"NaN"`, `"-Infinity"`, `"tRUE"`, `"\"\\\/\b\f\n\r\t"`, `"\u0131ş🍵"`, "[]", "{}", `[1,{"l":2}]`, `{"s":[[],{}],"s":1}`, "01", "+1", ".5", "tru", "[1,]",
	})
	name := rapid.SampledFrom([]string{`"l"`, `"s"`, `"d"`, `"b"`, `"\u006c"`, `"u"`, `"L"`, `""`, "l", `"`})
	blank := rapid.SampledFrom([]string{"", "", "", " ", "\t\r\n"})
	rapid.Check(t, func(t *rapid.T) {
		var fields []string
		for range rapid.IntRange(0, 7).Draw(t, "fields") {
			fields = append(fields, blank.Draw(t, "blank")+name.Draw(t, "name")+blank.Draw(t, "blank")+":"+value.Draw(t, "value")+blank.Draw(t, "blank"))
		}
		text := blank.Draw(t, "blank") + "{" + strings.Join(fields, ",") + "}" + rapid.SampledFrom([]string{"", " ", "}", "x"}).Draw(t, "behind")
		if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
			text = text[:rapid.IntRange(1, len(text)).Draw(t, "length")]
		}
		if sameRules([]byte(text)) {
			compareWithModel(t, []byte(text))
		}
	})
}
