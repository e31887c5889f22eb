package syntax

import (
	"fmt"
	"strings"
)

// JSON is JSON_VALUE, JSON_QUERY or JSON_EXISTS.
type JSON struct {
	at
	Name        string
	Input, Path Node
	Returning   string // the type as written; "" when there is none
	TypeOffset  int
	Wrapper     JSONWrapper
	OnEmpty     *JSONOutcome // nil when it is not written
	OnError     *JSONOutcome
}

// JSONWrapper says when JSON_QUERY puts its result into an array.
type JSONWrapper uint8

// The wrappers.
const (
	NoWrapper JSONWrapper = iota
	ConditionalWrapper
	UnconditionalWrapper
)

// JSONOutcome is what ON EMPTY or ON ERROR gives.
type JSONOutcome struct {
	Word    string // "NULL", "ERROR", "DEFAULT", "TRUE", "FALSE", "UNKNOWN", "EMPTY ARRAY" or "EMPTY OBJECT"
	Default Node   // of "DEFAULT"
}

// jsonOutcomes are the words before ON EMPTY and ON ERROR, by function.
var jsonOutcomes = map[string][]string{
	"JSON_VALUE":  {"NULL", "ERROR", "DEFAULT"},
	"JSON_QUERY":  {"NULL", "ERROR", "EMPTY ARRAY", "EMPTY OBJECT"},
	"JSON_EXISTS": {"TRUE", "FALSE", "UNKNOWN", "ERROR"},
}

// jsonCall reads input, path and the clauses of a function on JSON, as Calcite's grammar has them.
func (p *parser) jsonCall(name token, function string) (Node, error) {
	input, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	path, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	n := &JSON{at: at(name.offset), Name: function, Input: input, Path: path}
	if function != "JSON_EXISTS" && p.accept("RETURNING") {
		if err := p.returning(n); err != nil {
			return nil, err
		}
	}
	if function == "JSON_QUERY" {
		if err := p.wrapper(n); err != nil {
			return nil, err
		}
	}
	for !p.accept(")") {
		if err := p.jsonOutcome(n); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// returning reads a type of one word with perhaps numbers in parentheses.
func (p *parser) returning(n *JSON) error {
	first := p.advance()
	if first.kind != word {
		return p.unexpected(first, "a type such as INT")
	}
	last := first
	if p.peek().is("(") {
		for !last.is(")") {
			if last = p.advance(); last.kind == end {
				return p.unexpected(last, `")" after the type`)
			}
		}
	}
	n.Returning, n.TypeOffset = p.input[first.offset:last.end], first.offset
	return nil
}

// wrapper reads WITHOUT [ARRAY] WRAPPER or WITH [CONDITIONAL | UNCONDITIONAL] [ARRAY] WRAPPER, if it is there.
func (p *parser) wrapper(n *JSON) error {
	switch {
	case p.accept("WITHOUT"):
	case !p.accept("WITH"):
		return nil
	case p.accept("CONDITIONAL"):
		n.Wrapper = ConditionalWrapper
	default:
		p.accept("UNCONDITIONAL")
		n.Wrapper = UnconditionalWrapper
	}
	p.accept("ARRAY")
	return p.expect("WRAPPER")
}

// jsonOutcome reads one … ON EMPTY or … ON ERROR.
func (p *parser) jsonOutcome(n *JSON) error {
	first := p.peek()
	var outcome *JSONOutcome
	for _, words := range jsonOutcomes[n.Name] {
		if p.accept(strings.Fields(words)...) {
			outcome = &JSONOutcome{Word: words}
			break
		}
	}
	if outcome == nil {
		return p.unexpected(first, fmt.Sprintf("%s or \")\"", strings.Join(jsonOutcomes[n.Name], ", ")))
	}
	if outcome.Word == "DEFAULT" {
		var err error
		if outcome.Default, err = p.expression(0); err != nil {
			return err
		}
	}
	if err := p.expect("ON"); err != nil {
		return err
	}
	on := p.peek()
	target := &n.OnError
	switch {
	case p.accept("ERROR"):
	case n.Name != "JSON_EXISTS" && p.accept("EMPTY"):
		target = &n.OnEmpty
	default:
		return p.unexpected(on, "EMPTY or ERROR")
	}
	if *target != nil {
		return &Error{first.offset, fmt.Sprintf("ON %s is there twice", strings.ToUpper(on.value))}
	}
	*target = outcome
	return nil
}

// children returns the operands of n.
func (n *JSON) children() []Node {
	all := []Node{n.Input, n.Path}
	for _, outcome := range []*JSONOutcome{n.OnEmpty, n.OnError} {
		if outcome != nil && outcome.Default != nil {
			all = append(all, outcome.Default)
		}
	}
	return all
}
