package csv_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"pencere/pkg/format/csv"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"pgregory.net/rapid"
)

var anyCharacter = rapid.SampledFrom([]rune{0, ',', ';', '|', '\t', '"', '\'', '\\', '-', 'a', '0', '§', 'ç', '€', '\ue000', 1, 0x7f, '~'})

var anyOptions = rapid.Custom(func(t *rapid.T) csv.Options {
	return csv.Options{
		FieldDelimiter:    anyCharacter.Draw(t, "delimiter"),
		QuoteCharacter:    anyCharacter.Draw(t, "quote"),
		EscapeCharacter:   anyCharacter.Draw(t, "escape"),
		DisableQuote:      rapid.IntRange(0, 9).Draw(t, "disable quote") == 0,
		NullLiteral:       rapid.SampledFrom([]string{"", "NULL", `a,"`}).Draw(t, "null"),
		ScientificDecimal: rapid.Bool().Draw(t, "scientific"),
	}
})

// quoted is the quoting rule as the reference states it, on UTF-16 units.
func quoted(text string, o csv.Options) string {
	delimiter, quote := o.FieldDelimiter, o.QuoteCharacter
	if delimiter == 0 {
		delimiter = ','
	}
	if quote == 0 {
		quote = '"'
	}
	if o.DisableQuote {
		return text
	}
	units := utf16.Encode([]rune(text))
	needed := len(units) > 24
	for _, unit := range units {
		needed = needed || rune(unit) <= max(delimiter, quote, '\n') || o.EscapeCharacter == 0 && unit == '\\' ||
			o.EscapeCharacter != 0 && rune(unit) == o.EscapeCharacter
	}
	if !needed {
		return text
	}
	out := strings.ReplaceAll(text, string(quote), string(quote)+string(quote))
	if o.EscapeCharacter != 0 && o.EscapeCharacter != quote {
		out = strings.ReplaceAll(out, string(o.EscapeCharacter), string(o.EscapeCharacter)+string(o.EscapeCharacter))
	}
	return string(quote) + out + string(quote)
}

func TestQuotingRule(t *testing.T) {
	anyText := rapid.OneOf(
		rapid.String(),
		rapid.StringOfN(anyCharacter, 0, 30, -1),
		rapid.StringOfN(rapid.SampledFrom([]rune("abçğ😀-")), 20, 28, -1),
	)
	rapid.Check(t, func(rt *rapid.T) {
		options, text := anyOptions.Draw(rt, "options"), anyText.Draw(rt, "text")
		if got, want := encodeOne(t, options, sqltype.StringType, text), quoted(text, options); got != want {
			rt.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestDateAndTimeLayout(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		options := anyOptions.Draw(rt, "options")
		days := rapid.OneOf(rapid.Int32(), rapid.Int32Range(-800_000, 3_000_000)).Draw(rt, "days")
		ms := rapid.Int32Range(0, 86_399_999).Draw(rt, "ms")
		nanos := rapid.SampledFrom([]uint32{0, 1, 500_000, 123_456, 999_999}).Draw(rt, "nanos")
		instant := time.Unix(int64(days)*86400, int64(ms)*1e6+int64(nanos)).UTC()
		date, clock := dateText(instant), clockText(instant)
		if got, want := encodeOne(t, options, sqltype.DateType, arrow.Date32(days)), quoted(date, options); got != want {
			rt.Fatalf("date: got %q, want %q", got, want)
		}
		timestamp := sqltype.TimestampValue(int64(days)*86_400_000+int64(ms), nanos)
		if got, want := encodeOne(t, options, sqltype.TimestampType(3), timestamp), quoted(date+" "+clock, options); got != want {
			rt.Fatalf("timestamp: got %q, want %q", got, want)
		}
		if got, want := encodeOne(t, options, sqltype.TimestampLTZType(9), timestamp), quoted(date+" "+clock+"Z", options); got != want {
			rt.Fatalf("timestamp_ltz: got %q, want %q", got, want)
		}
		clock = clockText(instant.Truncate(time.Millisecond))
		if got, want := encodeOne(t, options, sqltype.TimeType(3), arrow.Time32(ms)), quoted(clock, options); got != want {
			rt.Fatalf("time: got %q, want %q", got, want)
		}
	})
}

func dateText(instant time.Time) string {
	sign, year := "", instant.Year()
	switch {
	case year < 0:
		sign, year = "-", -year
	case year > 9999:
		sign = "+"
	}
	return fmt.Sprintf("%s%04d-%02d-%02d", sign, year, instant.Month(), instant.Day())
}

func clockText(instant time.Time) string { return instant.Format("15:04:05.999999999") }

func TestDecimalLayout(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		precision := rapid.IntRange(1, 38).Draw(rt, "precision")
		scale := rapid.IntRange(0, precision).Draw(rt, "scale")
		text := rapid.StringOfN(rapid.SampledFrom([]rune("0001234567890")), 1, precision, -1).Draw(rt, "digits")
		unscaled, _ := new(big.Int).SetString(text, 10)
		if rapid.Bool().Draw(rt, "negative") {
			unscaled.Neg(unscaled)
		}
		options := anyOptions.Draw(rt, "options")
		want := plainDecimal(unscaled, scale)
		if options.ScientificDecimal {
			want = quoted(scientificDecimal(unscaled, scale), options)
		}
		got := encodeOne(t, options, sqltype.DecimalType(precision, scale), decimal128.FromBigInt(unscaled))
		if got != want {
			rt.Fatalf("got %q, want %q", got, want)
		}
	})
}

func plainDecimal(unscaled *big.Int, scale int) string {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
	return new(big.Rat).SetFrac(unscaled, power).FloatString(scale)
}

// scientificDecimal follows the Javadoc of BigDecimal.toString for the number without trailing zeros.
func scientificDecimal(unscaled *big.Int, scale int) string {
	if unscaled.Sign() == 0 {
		return "0"
	}
	digits := new(big.Int).Abs(unscaled).String()
	stripped := strings.TrimRight(digits, "0")
	scale -= len(digits) - len(stripped)
	sign := strings.TrimSuffix(unscaled.String(), digits)
	adjusted := -scale + len(stripped) - 1
	if scale >= 0 && adjusted >= -6 {
		n, _ := new(big.Int).SetString(sign+stripped, 10)
		return plainDecimal(n, scale)
	}
	mantissa := stripped[:1]
	if len(stripped) > 1 {
		mantissa += "." + stripped[1:]
	}
	return fmt.Sprintf("%s%sE%+d", sign, mantissa, adjusted)
}

// Any bytes are either written or refused with a RowError; nothing panics, and what is written is as the rule says.
func FuzzText(f *testing.F) {
	f.Add([]byte("a,b\"c"), uint16(','), uint16('"'), uint16(0))
	f.Add([]byte("\xed\xa0\x80"), uint16(';'), uint16('\''), uint16('\\'))
	f.Fuzz(func(t *testing.T, text []byte, delimiter, quote, escape uint16) {
		for _, unit := range []uint16{delimiter, quote, escape} {
			if utf16.IsSurrogate(rune(unit)) {
				return
			}
		}
		options := csv.Options{FieldDelimiter: rune(delimiter), QuoteCharacter: rune(quote), EscapeCharacter: rune(escape)}
		got, err := encode(t, options, []sqltype.Type{sqltype.StringType}, []any{string(text)})
		if valid := strings.ToValidUTF8(string(text), "") == string(text); valid != (err == nil) {
			t.Fatalf("valid %v, error %v", valid, err)
		}
		if err == nil && got != quoted(string(text), options)+"\n" {
			t.Fatalf("got %q, want %q", got, quoted(string(text), options))
		}
	})
}

// A slice of a batch is written as those rows of the batch are, NULLs and all.
func TestSlices(t *testing.T) {
	types := []sqltype.Type{
		sqltype.BooleanType, sqltype.IntType, sqltype.DoubleType, sqltype.StringType, sqltype.BytesType,
		sqltype.DateType, sqltype.TimestampType(3), sqltype.DecimalType(10, 2),
	}
	rapid.Check(t, func(rt *rapid.T) {
		var rows [][]any
		for n := range rapid.IntRange(1, 40).Draw(rt, "rows") {
			row := []any{
				n%3 == 0, int32(n), float64(n) / 4, fmt.Sprintf("text %d", n), []byte{byte(n)},
				arrow.Date32(n), sqltype.TimestampValue(int64(n), 0), decimal128.FromI64(int64(n)),
			}
			for i := range row {
				if rapid.IntRange(0, 4).Draw(rt, "null") == 0 {
					row[i] = nil
				}
			}
			rows = append(rows, row)
		}
		schema, batch := batchOf(t, types, rows...)
		encoder, err := csv.NewEncoder(schema, csv.Options{NullLiteral: "NULL"})
		if err != nil {
			rt.Fatal(err)
		}
		whole, err := encoder.AppendRows(nil, batch)
		if err != nil {
			rt.Fatal(err)
		}
		from := rapid.IntRange(0, len(rows)).Draw(rt, "from")
		to := rapid.IntRange(from, len(rows)).Draw(rt, "to")
		want := strings.Join(strings.SplitAfter(string(whole), "\n")[from:to], "")
		got, err := encoder.AppendRows(nil, batch.NewSlice(int64(from), int64(to)))
		if err != nil || string(got) != want {
			rt.Fatalf("rows %d to %d: got %q, %v, want %q", from, to, got, err, want)
		}
	})
}
