package jobspec

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"pencere/pkg/plan"
)

// walker goes over the nodes of a spec along the table of fields, fills the job and collects errors.
type walker struct {
	file  string
	lines []string // of the text
	vars  func(name string) (string, bool)

	job    plan.Job
	errors Errors
	places map[string]place    // of each value that was written, by its path
	failed map[string]struct{} // paths with an error, whose consequences are not reported
}

func newWalker(file string, text []byte, vars func(string) (string, bool)) *walker {
	return &walker{
		file: file, lines: strings.Split(string(text), "\n"), vars: vars,
		places: map[string]place{}, failed: map[string]struct{}{},
	}
}

// place is where the value at a path was written.
type place struct {
	at position
	// textAt is where the first character of a scalar's text is, and indent the column of its further lines. It is
	// zero when characters of the text have no simple place in the file: escapes, folding, variables.
	textAt position
	indent int
}

// inside returns the place of a line and column of the scalar's text.
func (p place) inside(line, column int) position {
	switch {
	case p.textAt.line == 0 || line < 1:
		return p.at
	case line == 1:
		return position{p.textAt.line, p.textAt.column + column - 1}
	case p.indent == 0:
		return p.at
	default:
		return position{p.textAt.line + line - 1, p.indent + column - 1}
	}
}

func (w *walker) fail(path string, at position, format string, arguments ...any) {
	w.failNear(path, at, fmt.Sprintf(format, arguments...), "")
}

func (w *walker) failNear(path string, at position, message, suggestion string) {
	w.failed[path] = struct{}{}
	w.errors = append(w.errors, Error{
		File: w.file, Line: at.line, Column: at.column, Path: path, Message: message, Suggestion: suggestion,
	})
}

// silence leaves out what plan.Compile would say about a path that an error already explains.
func (w *walker) silence(path string) { w.failed[path] = struct{}{} }

func (w *walker) hasFailed(path string) bool {
	_, failed := w.failed[path]
	return failed
}

// wasWritten reports whether the spec has a value at path.
func (w *walker) wasWritten(path string) bool {
	_, ok := w.places[path]
	return ok
}

// join makes the path of a field in the mapping at path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// entry is a key of a mapping with its value.
type entry struct {
	name  string
	at    position // of the key
	value ast.Node
}

// entries returns the mapping's entries in order, without those that have no value or repeat a key; these are errors.
func (w *walker) entries(path string, node ast.Node) ([]entry, bool) {
	var pairs []*ast.MappingValueNode
	switch node := node.(type) {
	case *ast.MappingNode:
		pairs = node.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{node}
	default:
		w.fail(path, begin(node), "this is %s, but a mapping (key: value) belongs here", describe(node))
		return nil, false
	}
	var entries []entry
	first := map[string]position{}
	for _, pair := range pairs {
		at := positionOf(pair.Key.GetToken())
		name, ok := keyText(pair.Key)
		if !ok {
			w.fail(path, at, "key %s is not text; put it in quotes", pair.Key.GetToken().Value)
			continue
		}
		if strings.Contains(name, "${") {
			w.fail(join(path, name), at, "variables are expanded in values only, not in keys")
			continue
		}
		if earlier, repeated := first[name]; repeated {
			w.fail(join(path, name), at, "key %q is there twice; the first is on line %d", name, earlier.line)
			continue
		}
		first[name] = at
		entries = append(entries, entry{name, at, pair.Value})
	}
	return entries, true
}

func keyText(key ast.MapKeyNode) (string, bool) {
	if key, ok := key.(*ast.StringNode); ok {
		return key.Value, true
	}
	return "", false
}

// noValue reports a key without a value. (What YAML calls null is no value either.)
func (w *walker) noValue(path string, e entry) bool {
	if e.value != nil && e.value.Type() != ast.NullType {
		return false
	}
	w.fail(path, e.at, "%s has no value; write one or leave the key out", e.name)
	return true
}

// jsonType is the JSON type of a scalar as JSON Schema sees it.
type jsonType string

const (
	textType    jsonType = "string"
	integerType jsonType = "integer"
	numberType  jsonType = "number"
	booleanType jsonType = "boolean"
)

// describe says what a node is, for messages.
func describe(node ast.Node) string {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "empty"
	default:
		return "a single value"
	}
}

// scalarText returns the text of a scalar as it is before variables are expanded.
func scalarText(node ast.Node) (string, jsonType, bool) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, textType, true
	case *ast.LiteralNode:
		return node.Value.Value, textType, true
	case *ast.IntegerNode:
		return node.Token.Value, integerType, true
	case *ast.FloatNode:
		return node.Token.Value, numberType, true
	case *ast.InfinityNode:
		return node.Token.Value, numberType, true
	case *ast.NanNode:
		return node.Token.Value, numberType, true
	case *ast.BoolNode:
		return node.Token.Value, booleanType, true
	default:
		return "", "", false
	}
}

// scalar is the value of a scalar node with its variables expanded.
type scalar struct {
	text     string
	kind     jsonType
	expanded bool // the text came out of variables, so that its kind is open
	at       position
}

// scalar reads the scalar at path; anything else is an error.
func (w *walker) scalar(path string, node ast.Node) (scalar, bool) {
	written, kind, ok := scalarText(node)
	if !ok {
		w.fail(path, begin(node), "this is %s, but a single value belongs here", describe(node))
		return scalar{}, false
	}
	where := w.placeOf(node, written)
	s := scalar{kind: kind, at: where.at}
	var text strings.Builder
	for _, part := range references(written) {
		value := part.literal
		if part.name != "" {
			value, ok = w.variable(path, written, where, part)
			if !ok {
				return scalar{}, false
			}
			s.expanded = true
		}
		text.WriteString(value)
	}
	s.text = text.String()
	if s.text != written {
		where.textAt = position{}
	}
	w.places[path] = where
	return s, true
}

// variable returns what stands for a variable; that it is not known is an error at its own place.
func (w *walker) variable(path, written string, where place, part reference) (string, bool) {
	before := written[:part.offset]
	column := len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	at := where.inside(1+strings.Count(before, "\n"), column)
	if part.problem != "" {
		w.fail(path, at, "%s", part.problem)
		return "", false
	}
	if value, ok := w.vars(part.name); ok {
		return value, true
	}
	if !part.hasDefault {
		w.fail(path, at, "variable %s is not set and has no default; set it, or write ${%s:default}", part.name, part.name)
		return "", false
	}
	return part.byDefault, true
}

// placeOf finds a scalar's characters in the file.
func (w *walker) placeOf(node ast.Node, text string) place {
	t := node.GetToken()
	where := place{at: positionOf(t)}
	raw := strings.TrimSpace(t.Origin)
	switch {
	case t.Type == token.LiteralType:
		where.textAt, where.indent = w.blockText(where.at)
	case raw == text && !strings.Contains(text, "\n"):
		where.textAt = where.at
	case raw == `"`+text+`"` || raw == "'"+text+"'":
		where.textAt = position{where.at.line, where.at.column + 1}
	}
	return where
}

// blockText finds the text of a literal block scalar, whose indicator | is at the position given.
func (w *walker) blockText(indicator position) (position, int) {
	if indicator.line >= len(w.lines) {
		return position{}, 0
	}
	line := w.lines[indicator.line] // counted from 0: the line below the indicator
	indent := len(line) - len(strings.TrimLeft(line, " ")) + 1
	if strings.TrimSpace(line) == "" {
		return position{}, 0
	}
	return position{indicator.line + 1, indent}, indent
}
