package jobspec

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"pencere/pkg/nearest"
	"pencere/pkg/plan"
	"pencere/pkg/sqltype"
)

// kind is a kind of scalar: how its text becomes a T, and how JSON Schema says it.
type kind[T any] struct {
	what   string     // in words, with an article
	takes  []jsonType // what a value without variables may be in YAML
	parse  func(text string) (T, error)
	schema func() *jsonSchema
}

// nearError is an error about a name, with the one that was probably meant.
type nearError struct{ message, suggestion string }

func (e *nearError) Error() string { return e.message }

// readScalar reads the scalar at path; its second result is false after an error.
func readScalar[T any](w *walker, path string, node ast.Node, k kind[T]) (value T, ok bool) {
	s, ok := w.scalar(path, node)
	if !ok {
		return value, false
	}
	if !s.expanded && (!k.takesType(s.kind) || k.isQuotedNumber(s)) {
		w.fail(path, s.at, "%s", k.wrongType(s))
		return value, false
	}
	value, err := k.parse(s.text)
	if err != nil {
		near, ok := errors.AsType[*nearError](err)
		if !ok {
			near = &nearError{message: err.Error()}
		}
		w.failNear(path, s.at, near.message, near.suggestion)
		return value, false
	}
	return value, true
}

func (k kind[T]) takesType(t jsonType) bool {
	return slices.Contains(k.takes, t) || t == integerType && slices.Contains(k.takes, numberType)
}

// isQuotedNumber reports whether s is a number in quotes where a bare one, or another text, belongs.
func (k kind[T]) isQuotedNumber(s scalar) bool {
	_, err := strconv.ParseInt(s.text, 10, 64)
	return s.kind == textType && slices.Contains(k.takes, integerType) && err == nil
}

func (k kind[T]) wrongType(s scalar) string {
	if k.isQuotedNumber(s) {
		return fmt.Sprintf("%q is text to YAML; leave the quotes out", s.text)
	}
	if s.kind == textType {
		return fmt.Sprintf("%q is text, but %s belongs here", s.text, k.what)
	}
	if _, err := k.parse(s.text); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s is not text to YAML; put it in quotes", s.text)
}

// single is a scalar that has a place in the job.
type single[T any] struct {
	kind      kind[T]
	set       func(*plan.Job, T)
	byDefault string // as it would be written; "" when there is none
}

// one makes a scalar without a default.
func one[T any](k kind[T], set func(*plan.Job, T)) single[T] { return single[T]{kind: k, set: set} }

// or gives the scalar a default.
func (s single[T]) or(byDefault string) single[T] {
	s.byDefault = byDefault
	return s
}

func (s single[T]) read(w *walker, path string, node ast.Node) {
	if value, ok := readScalar(w, path, node, s.kind); ok {
		s.set(&w.job, value)
	}
}

// written is the default as it would be written.
func (s single[T]) written() string { return s.byDefault }

func (s single[T]) absent(job *plan.Job) {
	if s.byDefault == "" {
		return
	}
	if value, err := s.kind.parse(s.byDefault); err == nil { // a test parses all defaults
		s.set(job, value)
	}
}

// text is any text but the empty one. what names it, with an article.
func text(what string) kind[string] {
	return kind[string]{
		what: what, takes: []jsonType{textType},
		parse: func(text string) (string, error) {
			if strings.TrimSpace(text) == "" {
				return "", fmt.Errorf("the value is empty, but %s belongs here", what)
			}
			return text, nil
		},
		schema: func() *jsonSchema { return &jsonSchema{Type: "string", Pattern: `\S`} },
	}
}

// anyText is any text, the empty one too.
func anyText(what string) kind[string] {
	return kind[string]{
		what: what, takes: []jsonType{textType},
		parse:  func(text string) (string, error) { return text, nil },
		schema: func() *jsonSchema { return &jsonSchema{Type: "string"} },
	}
}

// anyScalar is any scalar, taken as the text that was written: expressions and settings of clients.
func anyScalar(what string) kind[string] {
	k := text(what)
	k.takes = []jsonType{textType, numberType, booleanType}
	k.schema = func() *jsonSchema {
		return &jsonSchema{Types: []string{"string", "number", "boolean"}, Pattern: `\S`}
	}
	return k
}

// enum is one of several words.
func enum(words ...string) kind[string] {
	return kind[string]{
		what: "one of " + strings.Join(words, ", "), takes: []jsonType{textType},
		parse: func(text string) (string, error) {
			if slices.Contains(words, text) {
				return text, nil
			}
			message := fmt.Sprintf("%q is not known here; there is %s", text, strings.Join(words, ", "))
			return "", &nearError{message, nearest.Name(text, words)}
		},
		schema: func() *jsonSchema {
			s := &jsonSchema{}
			for _, word := range words {
				s.Enum = append(s.Enum, word)
			}
			return variableOr(s)
		},
	}
}

// positive is a whole number from 1 to most.
func positive(most int) kind[int] { return whole(1, most) }

// whole is a whole number between least and most.
func whole(least, most int) kind[int] {
	return kind[int]{
		what: "a whole number", takes: []jsonType{integerType},
		parse: func(text string) (int, error) {
			n, err := strconv.Atoi(text)
			if err != nil {
				return 0, fmt.Errorf("%q is not a whole number", text)
			}
			return n, checkBounds(n, least, most)
		},
		schema: func() *jsonSchema { return variableOr(numberSchema("integer", float64(least), float64(most))) },
	}
}

func checkBounds[N int | float64](n, least, most N) error {
	switch {
	case n < least:
		return fmt.Errorf("%v is too small; the least is %v", n, least)
	case n > most:
		return fmt.Errorf("%v is too large; the most is %v", n, most)
	default:
		return nil
	}
}

func numberSchema(jsonType string, least, most float64) *jsonSchema {
	s := &jsonSchema{Type: jsonType, Minimum: &least}
	if !math.IsInf(most, 1) {
		s.Maximum = &most
	}
	return s
}

// number is a number within bounds.
func number(least, most float64) kind[float64] {
	return kind[float64]{
		what: "a number", takes: []jsonType{numberType},
		parse: func(text string) (float64, error) {
			x, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
				return 0, fmt.Errorf("%q is not a number", text)
			}
			return x, checkBounds(x, least, most)
		},
		schema: func() *jsonSchema { return variableOr(numberSchema("number", least, most)) },
	}
}

// boolean is true or false, also as a text in any case, as Flink takes the values of its options; its value is the text.
func boolean() kind[string] {
	return kind[string]{
		what: "true or false", takes: []jsonType{booleanType, textType},
		parse: func(text string) (string, error) {
			lower := strings.ToLower(text)
			if lower != "true" && lower != "false" {
				return "", fmt.Errorf("%q is neither true nor false", text)
			}
			return lower, nil
		},
		schema: func() *jsonSchema {
			return variableOr(&jsonSchema{Type: "boolean"}, &jsonSchema{Type: "string", Pattern: "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"})
		},
	}
}

func duration() kind[time.Duration] {
	return kind[time.Duration]{
		what: "a duration such as 5s", takes: []jsonType{textType}, parse: parseDuration,
		schema: func() *jsonSchema { return variableOr(&jsonSchema{Type: "string", Pattern: durationPattern}) },
	}
}

func size() kind[int64] {
	return kind[int64]{
		what: "a size such as 128MB", takes: []jsonType{textType}, parse: parseSize,
		schema: func() *jsonSchema { return variableOr(&jsonSchema{Type: "string", Pattern: sizePattern}) },
	}
}

// parallelism is auto, which is 0, or a number.
func parallelism() kind[int] {
	numbers := positive(plan.MaxMaxParallelism)
	return kind[int]{
		what: "auto or a whole number", takes: []jsonType{textType, integerType},
		parse: func(text string) (int, error) {
			if text == "auto" {
				return 0, nil
			}
			if _, err := strconv.Atoi(text); err != nil {
				return 0, &nearError{fmt.Sprintf("%q is neither auto nor a whole number", text), nearest.Name(text, []string{"auto"})}
			}
			return numbers.parse(text)
		},
		schema: func() *jsonSchema {
			var auto any = "auto"
			return variableOr(&jsonSchema{Const: &auto}, numberSchema("integer", 1, plan.MaxMaxParallelism))
		},
	}
}

// columnType is an SQL type.
func columnType() kind[sqltype.Type] {
	return kind[sqltype.Type]{
		what: "an SQL type such as INT or STRING", takes: []jsonType{textType},
		parse: func(text string) (sqltype.Type, error) {
			t, err := sqltype.Parse(text)
			if unknown, ok := errors.AsType[*sqltype.UnknownTypeError](err); ok {
				return t, &nearError{err.Error(), nearest.Name(unknown.Name, slices.Sorted(slices.Values(sqltype.Names())))}
			}
			return t, err
		},
		schema: columnTypeSchema,
	}
}

// instant is a point in time: RFC 3339, or milliseconds since 1970 UTC, which it is read as.
func instant() kind[int64] {
	return kind[int64]{
		what: "a time such as 2025-03-04T12:00:00Z", takes: []jsonType{textType, integerType},
		parse: func(text string) (int64, error) {
			if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
				return ms, nil
			}
			t, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return 0, fmt.Errorf("%q is no point in time; write it as 2025-03-04T12:00:00Z or in milliseconds since 1970", text)
			}
			return t.UnixMilli(), nil
		},
		schema: func() *jsonSchema {
			return variableOr(&jsonSchema{Type: "integer"}, &jsonSchema{Type: "string", Pattern: instantPattern})
		},
	}
}

// instantPattern is the form of RFC 3339; that there is such a day is for the parser to find.
const instantPattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`
