package csv

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Options are those of Flink's CSV format that matter when writing. The zero value is Flink's default but for
// ScientificDecimal. Characters are of the Basic Multilingual Plane, as a Java char is.
// https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/connectors/table/formats/csv/
type Options struct {
	// FieldDelimiter separates the cells of a row; ',' when 0.
	FieldDelimiter rune
	// QuoteCharacter encloses text that needs it; '"' when 0.
	QuoteCharacter rune
	// DisableQuote writes all text as it is.
	DisableQuote bool
	// EscapeCharacter is doubled inside quotes and makes text need them; a backslash alone does the latter when
	// it is 0.
	EscapeCharacter rune
	// NullLiteral is written for NULL, never quoted.
	NullLiteral string
	// ScientificDecimal writes DECIMAL as Flink 1.20's filesystem sink does, without trailing zeros and with
	// an exponent for multiples of ten: 18000 is "1.8E+4". When false they are plain with all digits of their
	// scale, as Flink 2 writes them: 12.30. Flink SQL's default is true.
	ScientificDecimal bool
}

// setters hold the options by Flink's keys without their prefix "csv.".
var setters = map[string]func(*Options, string) error{
	"field-delimiter": func(o *Options, value string) (err error) {
		o.FieldDelimiter, err = parseCharacter(unescapeJava(value))
		return err
	},
	"quote-character": func(o *Options, value string) (err error) {
		o.QuoteCharacter, err = parseCharacter(value)
		return err
	},
	"disable-quote-character": func(o *Options, value string) error { return parseBoolean(value, &o.DisableQuote) },
	"escape-character": func(o *Options, value string) (err error) {
		o.EscapeCharacter, err = parseCharacter(value)
		return err
	},
	"null-literal": func(o *Options, value string) error { return parseNullLiteral(value, &o.NullLiteral) },
	"write-bigdecimal-in-scientific-notation": func(o *Options, value string) error {
		return parseBoolean(value, &o.ScientificDecimal)
	},
	// Flink takes these for a sink too; they say nothing about rows of scalars that are written.
	"array-element-delimiter": func(_ *Options, value string) error {
		_, err := parseCharacter(value)
		return err
	},
	"allow-comments":      func(_ *Options, value string) error { return parseBoolean(value, new(bool)) },
	"ignore-parse-errors": func(_ *Options, value string) error { return parseBoolean(value, new(bool)) },
}

// Keys returns the option keys that ParseOptions knows, sorted; for suggestions and schemas.
func Keys() []string { return slices.Sorted(maps.Keys(setters)) }

// ParseOptions reads options by Flink's keys without their prefix "csv.". The error joins one for each option that
// is wrong, in the order of the keys; each names the key, the value, and what is allowed.
func ParseOptions(flink map[string]string) (Options, error) {
	var options Options
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(flink)) {
		set, known := setters[key]
		if !known {
			problems = append(problems, fmt.Errorf("csv option %q is unknown: the options are %s", key, strings.Join(Keys(), ", ")))
			continue
		}
		if err := set(&options, flink[key]); err != nil {
			problems = append(problems, fmt.Errorf("csv option %s: %w", key, err))
		}
	}
	if _, quote := flink["quote-character"]; quote && options.DisableQuote {
		problems = append(problems, errors.New("csv options quote-character and disable-quote-character exclude each other: remove one"))
	}
	return options, errors.Join(problems...)
}

func parseCharacter(value string) (rune, error) {
	c, size := utf8.DecodeRuneInString(value)
	if size != len(value) || size == 0 || c == utf8.RuneError && size == 1 || c > 0xffff || c == 0 {
		return 0, fmt.Errorf("%q is not one character (of the Basic Multilingual Plane, not NUL)", value)
	}
	return c, nil
}

func parseBoolean(value string, to *bool) error {
	switch {
	case strings.EqualFold(value, "true"):
		*to = true
	case strings.EqualFold(value, "false"):
		*to = false
	default:
		return fmt.Errorf("%q is neither true nor false", value)
	}
	return nil
}

func parseNullLiteral(value string, to *string) error {
	if !utf8.ValidString(value) {
		return fmt.Errorf("%q is not valid UTF-8", value)
	}
	*to = value
	return nil
}

// unescapeJava resolves the escapes of a Java string literal, as Flink does for the field delimiter: \t, \\, \u0001,
// \1. Text that is no escape stays.
func unescapeJava(text string) string {
	var out []uint16
	for text != "" {
		if unit, rest, ok := cutEscape(text); ok {
			out, text = append(out, unit), rest
			continue
		}
		c, size := utf8.DecodeRuneInString(text)
		out, text = utf16.AppendRune(out, c), text[size:]
	}
	return string(utf16.Decode(out))
}

func cutEscape(text string) (unit uint16, rest string, ok bool) {
	if len(text) < 2 || text[0] != '\\' {
		return 0, text, false
	}
	if at := strings.IndexByte(`btnfr"'\`, text[1]); at >= 0 {
		return uint16("\b\t\n\f\r\"'\\"[at]), text[2:], true
	}
	if hex := strings.TrimLeft(text[1:], "u"); len(hex) < len(text)-1 && len(hex) >= 4 {
		n, err := strconv.ParseUint(hex[:4], 16, 16)
		return uint16(n), hex[4:], err == nil
	}
	octal := 1
	for octal < len(text) && octal < 4 && '0' <= text[octal] && text[octal] <= '7' {
		octal++
	}
	n, err := strconv.ParseUint(text[1:octal], 8, 8)
	return uint16(n), text[octal:], err == nil
}
