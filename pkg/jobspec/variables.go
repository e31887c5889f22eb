package jobspec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reference is a part of a scalar: literal text, or a variable with what stands for it when it is not set.
type reference struct {
	offset     int    // of the part in the scalar, in bytes
	literal    string // when name is ""
	name       string
	byDefault  string
	hasDefault bool
	problem    string // why the reference is malformed
}

// references splits a scalar at ${NAME}, ${NAME:default} and $$, which stands for one dollar sign. A dollar sign
// before anything else is itself.
func references(scalar string) []reference {
	var parts []reference
	literal := func(offset int, text string) { parts = append(parts, reference{offset: offset, literal: text}) }
	for i := 0; i < len(scalar); {
		rest := scalar[i:]
		dollar := strings.IndexByte(rest, '$')
		switch {
		case dollar < 0:
			literal(i, rest)
			return parts
		case dollar > 0:
			literal(i, rest[:dollar])
			i += dollar
		case strings.HasPrefix(rest, "$$"):
			literal(i, "$")
			i += len("$$")
		case strings.HasPrefix(rest, "${"):
			part, length := parseReference(rest)
			part.offset = i
			parts = append(parts, part)
			i += length
		default:
			literal(i, "$")
			i++
		}
	}
	return parts
}

// parseReference reads the reference with which text begins and returns its length.
func parseReference(text string) (reference, int) {
	end := strings.IndexByte(text, '}')
	if end < 0 {
		return reference{name: text, problem: `"${" has no "}"; write "$$" for a dollar sign`}, len(text)
	}
	name, byDefault, hasDefault := strings.Cut(text[len("${"):end], ":")
	part := reference{name: name, byDefault: byDefault, hasDefault: hasDefault}
	if !variableName.MatchString(name) {
		part.name = text[:end+1]
		part.problem = fmt.Sprintf("%q is no name of a variable: it has letters, digits and '_'; write \"$$\" for a dollar sign", name)
	}
	return part, end + 1
}

// Variables returns the names of the variables that a job spec uses, each once, in the order of the text; those
// with a default too. An error is Errors, without a file name: the text is no YAML.
func Variables(text []byte) ([]string, error) {
	root, refused := parseYAML(text)
	if len(refused) > 0 {
		return nil, syntaxErrors("", refused)
	}
	collector := &variableCollector{}
	ast.Walk(collector, root)
	return collector.names, nil
}

type variableCollector struct{ names []string }

// Visit implements ast.Visitor. Keys are not expanded.
func (c *variableCollector) Visit(node ast.Node) ast.Visitor {
	if pair, ok := node.(*ast.MappingValueNode); ok {
		ast.Walk(c, pair.Value)
		return nil
	}
	text, _, ok := scalarText(node)
	if !ok {
		return c
	}
	for _, part := range references(text) {
		if part.name != "" && part.problem == "" && !slices.Contains(c.names, part.name) {
			c.names = append(c.names, part.name)
		}
	}
	return nil
}
