package sqltype_test

import (
	"errors"
	"strings"
	"testing"

	"pencere/pkg/sqltype"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"int":                                 "INT",
		"INTEGER NOT NULL":                    "INT NOT NULL",
		" decimal ( 10 , 2 ) not  null ":      "DECIMAL(10, 2) NOT NULL",
		"NUMERIC":                             "DECIMAL(10, 0)",
		"STRING":                              "STRING",
		"VARCHAR(5) NULL":                     "VARCHAR(5)",
		"TIMESTAMP":                           "TIMESTAMP(6)",
		"TIMESTAMP(3)":                        "TIMESTAMP(3)",
		"TIMESTAMP(3) WITH LOCAL TIME ZONE":   "TIMESTAMP_LTZ(3)",
		"TIMESTAMP(9) WITHOUT TIME ZONE":      "TIMESTAMP(9)",
		"timestamp_ltz(0)NOT NULL":            "TIMESTAMP_LTZ(0) NOT NULL",
		"double precision":                    "DOUBLE",
		"TIME":                                "TIME(0)",
		"BYTES":                               "BYTES",
		"CHAR(2147483647)":                    "CHAR(2147483647)",
		"TIMESTAMP WITH LOCAL TIME ZONE NULL": "TIMESTAMP_LTZ(6)",
	} {
		got, err := sqltype.Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if got.String() != want {
			t.Errorf("Parse(%q) = %s, want %s", text, got, want)
		}
		if got.Arrow() == nil {
			t.Errorf("Parse(%q) has no Arrow layout", text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"INTT":           `unknown type "INTT"`,
		"":               `unknown type ""`,
		"NULL":           `unknown type "NULL"`,
		"DECIMAL(39,2)":  "precision of DECIMAL must be between 1 and 38, got 39",
		"DECIMAL(5,6)":   "scale of DECIMAL must be between 0 and its precision 5, got 6",
		"DECIMAL(5,-1)":  "scale of DECIMAL must be between 0 and its precision 5, got -1",
		"DECIMAL(1,1,1)": "type DECIMAL takes 2 parameters at most, got 3",
		"TIMESTAMP(10)":  "precision of TIMESTAMP must be between 0 and 9, got 10",
		"INT(3)":         "type INT takes 0 parameters at most, got 1",
		"VARCHAR(0)":     "length of VARCHAR must be between 1 and 2147483647, got 0",
		"VARCHAR(x)":     `"x" is not a whole number`,
		"VARCHAR(3":      "lacks its closing parenthesis",
	} {
		_, err := sqltype.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) error = %v, want %q in it", text, err, want)
		}
	}
	var unknown *sqltype.UnknownTypeError
	if _, err := sqltype.Parse("FLOT"); !errors.As(err, &unknown) || unknown.Name != "FLOT" {
		t.Errorf("Parse(FLOT) error = %v, want *UnknownTypeError", err)
	}
}

// What String prints, Parse reads back as the same type.
func TestStringRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		precision := rapid.IntRange(1, 38).Draw(t, "precision")
		second := rapid.IntRange(0, 9).Draw(t, "second")
		length := rapid.IntRange(1, sqltype.MaxLength).Draw(t, "length")
		typ := rapid.SampledFrom([]sqltype.Type{
			sqltype.BooleanType, sqltype.TinyIntType, sqltype.SmallIntType, sqltype.IntType, sqltype.BigIntType,
			sqltype.FloatType, sqltype.DoubleType, sqltype.StringType, sqltype.BytesType, sqltype.DateType,
			sqltype.DecimalType(precision, rapid.IntRange(0, precision).Draw(t, "scale")),
			sqltype.TimeType(second), sqltype.TimestampType(second), sqltype.TimestampLTZType(second),
			{Kind: sqltype.Char, Length: length}, {Kind: sqltype.VarChar, Length: length}, {Kind: sqltype.Bytes, Length: length},
		}).Draw(t, "type").WithNotNull(rapid.Bool().Draw(t, "not null"))
		got, err := sqltype.Parse(typ.String())
		if err != nil || got != typ {
			t.Fatalf("Parse(%q) = %v, %v", typ, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("DECIMAL(10, 2) NOT NULL")
	f.Add("TIMESTAMP(3) WITH LOCAL TIME ZONE")
	f.Fuzz(func(t *testing.T, text string) {
		typ, err := sqltype.Parse(text)
		if err != nil {
			return
		}
		again, err := sqltype.Parse(typ.String())
		if err != nil || again != typ {
			t.Fatalf("Parse(%q) = %s, which reads back as %v, %v", text, typ, again, err)
		}
	})
}

// The 128 bits of timestamps order as time does, before 1970 too.
func TestTimestampOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64()
		nanos := rapid.Uint32Range(0, 999_999)
		ms1, n1, ms2, n2 := ms.Draw(t, "ms1"), nanos.Draw(t, "n1"), ms.Draw(t, "ms2"), nanos.Draw(t, "n2")
		a, b := sqltype.TimestampValue(ms1, n1), sqltype.TimestampValue(ms2, n2)
		if got, want := a.Less(b), ms1 < ms2 || ms1 == ms2 && n1 < n2; got != want {
			t.Fatalf("(%d,%d) < (%d,%d) = %v, want %v", ms1, n1, ms2, n2, got, want)
		}
		if m, n := sqltype.TimestampParts(a); m != ms1 || n != n1 {
			t.Fatalf("parts = %d, %d", m, n)
		}
	})
}
