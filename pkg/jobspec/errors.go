package jobspec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a job spec.
type Error struct {
	File string // the name that Parse was given; "" when Variables found the error
	// Line and Column are the place of the offending key or value, from 1, in characters.
	Line, Column int
	Path         string // the field, such as source.kafka.topic; "" when the text is no YAML
	Message      string // says what is wrong and what to do
	Suggestion   string // a name that was probably meant; "" when there is none

	planned bool // found by plan.Compile
}

// Error gives the error in one line, in the form that editors and terminals make links of.
func (e Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		fmt.Fprintf(&b, "%s:", e.File)
	}
	fmt.Fprintf(&b, "%d:%d: ", e.Line, e.Column)
	if e.Path != "" {
		fmt.Fprintf(&b, "%s: ", e.Path)
	}
	b.WriteString(e.Message)
	if e.Suggestion != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", e.Suggestion)
	}
	return b.String()
}

// Errors is everything that is wrong with a job spec, by position. It is never empty.
type Errors []Error

// Error gives the errors one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
