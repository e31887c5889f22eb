// Package jobspec reads job specs: YAML text in, a checked plan.Job or all errors at once out, each with its place.
//
// One table (spec.go) says which fields there are, of which kind, with which defaults; the parser and the JSON Schema
// for editors are both made from it. The package is pure: variables come in as a function.
package jobspec

import (
	"errors"
	"slices"
	"strings"

	"pencere/pkg/plan"
)

// Parse reads the spec in text and checks the job wholly with plan.Compile. file is the name that errors give; vars
// looks up the variables ${NAME} of the text, which are expanded inside values only, after the YAML was read, so that
// no value can change the spec's structure. Errors are Errors, sorted by position.
func Parse(file string, text []byte, vars func(name string) (string, bool)) (plan.Job, error) {
	root, refused := parseYAML(text)
	if len(refused) > 0 {
		return plan.Job{}, syntaxErrors(file, refused)
	}
	w := newWalker(file, text, vars)
	w.places[""] = place{at: begin(root)}
	spec.read(w, "", root)
	w.settle()
	w.compile()
	if len(w.errors) > 0 {
		w.errors.sort()
		return plan.Job{}, w.errors
	}
	return w.job, nil
}

func syntaxErrors(file string, refused []syntaxError) Errors {
	found := make(Errors, len(refused))
	for i, e := range refused {
		found[i] = Error{File: file, Line: e.at.line, Column: e.at.column, Message: e.message}
	}
	found.sort()
	return found
}

// settle decides what depends on more than one field.
func (w *walker) settle() {
	const jsonOption = "source.json." + ignoreParseErrors
	if w.job.Source.FormatOptions[ignoreParseErrors] == "true" {
		if w.wasWritten("source.on_error") {
			w.fail(jsonOption, w.places[jsonOption].at, "says the same thing as source.on_error, in another way; keep one of the two")
		}
		w.job.Source.OnError = plan.OnErrorIgnore
	}
	w.settleSchema()
	if !w.wasWritten("restart_strategy") {
		w.job.Restart = plan.DefaultRestart(w.job.Checkpoint)
	}
}

// settleSchema gives the format raw, which needs no schema, the only one that it can have.
func (w *walker) settleSchema() {
	const path = "source.schema"
	misspelt := slices.ContainsFunc(w.errors, func(e Error) bool { return parent(e.Path) == "source" && e.Suggestion == "schema" })
	switch {
	case w.wasWritten(path) || !w.wasWritten("source") || w.hasFailed("source") || w.hasFailed(path):
	case misspelt:
		w.silence(path)
	case w.job.Source.Format == plan.FormatRaw:
		w.job.Source.Schema = plan.RawSchema()
	default:
		w.fail(path, w.places["source"].at, "schema is missing: %s", schemaDoc)
	}
}

// compile adds what the planner finds, but for consequences of errors that are already there.
func (w *walker) compile() {
	var problems plan.Problems
	if _, err := plan.Compile(w.job); !errors.As(err, &problems) {
		return
	}
	for _, p := range problems {
		if w.explained(p.Path) {
			continue
		}
		at := w.nearestPlace(p.Path)
		if where, ok := w.places[p.Path]; ok {
			at = where.inside(p.Line, p.Column)
		}
		w.errors = append(w.errors, Error{
			File: w.file, Line: at.line, Column: at.column, Path: p.Path, Message: p.Message, Suggestion: p.Suggestion,
			planned: true,
		})
	}
}

// explained reports whether path, or something that it is a part of, already has an error.
func (w *walker) explained(path string) bool {
	for {
		if w.hasFailed(path) {
			return true
		}
		if path == "" {
			return false
		}
		path = parent(path)
	}
}

// nearestPlace is where the value at path, or else what it belongs to, was written.
func (w *walker) nearestPlace(path string) position {
	for {
		if where, ok := w.places[path]; ok || path == "" {
			return where.at
		}
		path = parent(path)
	}
}

// parent cuts the last name or number off a path.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}
