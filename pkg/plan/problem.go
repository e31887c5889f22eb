package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pencere/pkg/expr"
)

// Problem is one thing that is wrong with a Job.
type Problem struct {
	// Path names the place in the job as its spec writes it: "compute.price_with_kdv", "window.group_by[2]".
	Path string
	// Line and Column (from 1, in characters) are the place inside the expression at Path; 0 when there is none.
	Line, Column int
	Message      string // says what is wrong and what to do
	Suggestion   string // a name that was probably meant; "" when there is none
}

// String gives the problem in one line.
func (p Problem) String() string {
	text := p.Path + ": " + p.Message
	if p.Line > 1 {
		text = fmt.Sprintf("%s:%d:%d: %s", p.Path, p.Line, p.Column, p.Message)
	}
	if p.Suggestion != "" {
		text += fmt.Sprintf(" (did you mean %q?)", p.Suggestion)
	}
	return text
}

// Problems is everything that is wrong with a Job, in the order of its spec.
//
//nolint:errname // each is a Problem, and together they are the error
type Problems []Problem

// Error gives the problems one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// findings collects problems.
type findings struct{ problems Problems }

func (f *findings) add(path, format string, arguments ...any) {
	f.problems = append(f.problems, Problem{Path: path, Message: fmt.Sprintf(format, arguments...)})
}

// addUnknown adds a problem about a name that is not among the known ones.
func (f *findings) addUnknown(path, message, suggestion string) {
	f.problems = append(f.problems, Problem{Path: path, Message: message, Suggestion: suggestion})
}

// addExpression adds what the expression compiler said about the text at path. offset is where the text that it
// was given begins in the one that the user wrote.
func (f *findings) addExpression(path string, err error, written string, offset int) {
	problem := Problem{Path: path, Message: err.Error()}
	if located, ok := errors.AsType[*expr.Error](err); ok {
		problem.Message = located.Message
		problem.Line, problem.Column = position(written, offset, located.Line, located.Column)
	}
	f.problems = append(f.problems, problem)
}

// position moves a place (from 1) in text[offset:] to the same place in text.
func position(text string, offset, line, column int) (int, int) {
	before := text[:offset]
	if line == 1 {
		column += len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
	}
	return line + strings.Count(before, "\n"), column
}

// err returns the problems as an error, nil when there are none.
func (f *findings) err() error {
	if len(f.problems) == 0 {
		return nil
	}
	return slices.Clip(f.problems)
}
