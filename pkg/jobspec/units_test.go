package jobspec

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A duration is the sum of its parts, however it is spaced; so is what Go prints, where it has no fraction.
func TestParseDuration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := []string{"ms", "s", "sec", "m", "min", "h", "d"}
		var text strings.Builder
		var want time.Duration
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			count := rapid.IntRange(0, 1000).Draw(t, "count")
			unit := rapid.SampledFrom(units).Draw(t, "unit")
			blank := rapid.SampledFrom([]string{"", " "})
			text.WriteString(fmt.Sprint(count) + blank.Draw(t, "blank") + unit + blank.Draw(t, "blank after"))
			want += time.Duration(count) * durationUnits[unit]
		}
		got, err := parseDuration(text.String())
		if err != nil || got != want {
			t.Fatalf("parseDuration(%q) = %v, %v, want %v", text.String(), got, err, want)
		}
	})
	for text, want := range map[string]string{
		"": "not a duration", "5": "5 has no unit; write for instance 5s", "1.5h": "not a duration", "-5s": "not a duration", "5us": "not a duration",
		"5 weeks": "not a duration", "9223372036854775807d": "too long", "99999999999999999999s": "too long", "106751d24h": "too long",
		"s": "not a duration", "5s5": "not a duration",
	} {
		if _, err := parseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseDuration(%q) = %v, want %q in it", text, err, want)
		}
	}
	if got, err := parseDuration("106751d"); err != nil || got != 106751*24*time.Hour {
		t.Errorf("the longest duration is %v, %v", got, err)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0B": 0, "512 B": 512, "1KB": 1024, "64 KiB": 65536, "128MB": 128 << 20, "2GiB": 2 << 30, "8589934591GB": 8589934591 << 30,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "not a size", "128": "128 has no unit; write for instance 128MB", "1.5GB": "not a size", "5mb": "not a size", "-1KB": "not a size",
		"8589934592GB": "too large", "99999999999999999999B": "too large",
	} {
		if _, err := parseSize(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseSize(%q) = %v, want %q in it", text, err, want)
		}
	}
}

func TestCutAlias(t *testing.T) {
	for text, want := range map[string][2]string{
		"a AS b":                         {"a", "b"},
		"a  as\n b ":                     {"a", "b"},
		"CAST(a AS INT) AS b":            {"CAST(a AS INT)", "b"},
		"CAST(a AS INT) + 1 AS `x y`":    {"CAST(a AS INT) + 1", "x y"},
		"'it''s AS x' || `AS` AS b":      {"'it''s AS x' || `AS`", "b"},
		"fiyat AS ücret":                 {"fiyat", "ücret"},
		"CASE WHEN a THEN b END AS as_b": {"CASE WHEN a THEN b END", "as_b"},
	} {
		expression, name, ok := cutAlias(text)
		if !ok || expression != want[0] || name != want[1] {
			t.Errorf("cutAlias(%q) = %q, %q, %v, want %q", text, expression, name, ok, want)
		}
	}
	for _, text := range []string{"a", "AS", "a AS", "AS b", "CAST(a AS INT)", "a AS b c", "a AS 1b", "'a AS b'", "last", "a AS 'b'", "a AS ``"} {
		if expression, name, ok := cutAlias(text); ok {
			t.Errorf("cutAlias(%q) = %q, %q", text, expression, name)
		}
	}
}

// A text without a dollar sign is itself; doubled dollar signs and variables give back any text.
func TestReferences(t *testing.T) {
	expand := func(scalar, value string) string {
		var text strings.Builder
		for _, part := range references(scalar) {
			if part.name != "" {
				text.WriteString(value)
			}
			text.WriteString(part.literal)
		}
		return text.String()
	}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringOf(rapid.RuneFrom([]rune("a${}:ş "))).Draw(t, "text")
		value := rapid.String().Draw(t, "value")
		escaped := strings.ReplaceAll(want, "$", "$$")
		if got := expand(escaped, value); got != want {
			t.Fatalf("%q expands to %q, want %q", escaped, got, want)
		}
		if got := expand(escaped+"${X:d}"+escaped, value); got != want+value+want {
			t.Fatalf("%q around a variable expands to %q", escaped, got)
		}
	})
}
