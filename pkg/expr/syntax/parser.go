package syntax

import (
	"fmt"
	"strings"
)

// Parse reads one expression, wholly. Errors are *Error.
func Parse(input string) (Node, error) {
	tokens, err := scan(input)
	if err != nil {
		return nil, err
	}
	p := &parser{input: input, tokens: tokens}
	if p.peek().kind == end {
		return nil, &Error{0, "the expression is empty"}
	}
	n, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, p.unexpected(t, "an operator or the end of the expression")
	}
	return n, nil
}

type parser struct {
	input  string
	tokens []token
	next   int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.next] }

func (p *parser) peekAt(n int) token { return p.tokens[min(p.next+n, len(p.tokens)-1)] }

func (p *parser) advance() token {
	t := p.tokens[p.next]
	if t.kind != end {
		p.next++
	}
	return t
}

// accept takes the words or symbols if all of them come next.
func (p *parser) accept(wanted ...string) bool {
	for i, w := range wanted {
		if !p.peekAt(i).is(w) {
			return false
		}
	}
	p.next += len(wanted)
	return true
}

func (p *parser) expect(wanted string) error {
	if t := p.peek(); !t.is(wanted) {
		return p.unexpected(t, fmt.Sprintf("%q", wanted))
	}
	p.next++
	return nil
}

func (p *parser) unexpected(t token, wanted string) error {
	return &Error{t.offset, fmt.Sprintf("unexpected %s, expected %s", t, wanted)}
}

// enter counts a level of nesting; leave must follow it.
func (p *parser) enter() error {
	p.depth++
	if p.depth > MaxDepth {
		return &Error{p.peek().offset, fmt.Sprintf("the expression is nested deeper than %d levels", MaxDepth)}
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// Binding powers of the operators, from loose to tight: those of Calcite's SqlStdOperatorTable, all of them left
// associative. IS DISTINCT FROM binds like + there.
const (
	bindOr = iota + 1
	bindAnd
	bindNot
	bindIs
	bindCompare
	bindRange // BETWEEN, IN, LIKE, SIMILAR TO
	bindSum
	bindProduct // * / % ||
	bindSign
)

var binary = map[string]int{
	"OR": bindOr, "AND": bindAnd,
	"=": bindCompare, "<>": bindCompare, "<": bindCompare, "<=": bindCompare, ">": bindCompare, ">=": bindCompare,
	"+": bindSum, "-": bindSum, "*": bindProduct, "/": bindProduct, "%": bindProduct, "||": bindProduct,
}

// expression reads an operand and all operators that bind tighter than loosest.
func (p *parser) expression(loosest int) (Node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	left, err := p.prefix()
	for links := 0; err == nil; links++ {
		if links > MaxDepth {
			return nil, &Error{p.peek().offset, fmt.Sprintf("more than %d operators in a row", MaxDepth)}
		}
		bind := p.operator()
		if bind <= loosest {
			return left, nil
		}
		left, err = p.infix(left, bind)
	}
	return nil, err
}

// operator returns the binding power of the operator that comes next, 0 if none does.
func (p *parser) operator() int {
	t := p.peek()
	if t.kind != word && t.kind != symbol {
		return 0
	}
	name := strings.ToUpper(t.value)
	switch {
	case name == "IS" && (p.peekAt(1).is("DISTINCT") || p.peekAt(1).is("NOT") && p.peekAt(2).is("DISTINCT")):
		return bindSum
	case name == "IS":
		return bindIs
	case name == "BETWEEN", name == "IN", name == "LIKE", name == "SIMILAR":
		return bindRange
	case name == "NOT" && (p.peekAt(1).is("BETWEEN") || p.peekAt(1).is("IN") || p.peekAt(1).is("LIKE") || p.peekAt(1).is("SIMILAR")):
		return bindRange
	}
	return binary[name]
}

func (p *parser) infix(left Node, bind int) (Node, error) {
	t := p.advance()
	switch {
	case t.is("IS"):
		return p.is(left, t)
	case bind == bindRange:
		return p.rangeTest(left, t)
	}
	right, err := p.expression(bind)
	if err != nil {
		return nil, err
	}
	return &Call{at(t.offset), strings.ToUpper(t.value), []Node{left, right}}, nil
}

// is reads what follows IS.
func (p *parser) is(left Node, is token) (Node, error) {
	name := "IS "
	if p.accept("NOT") {
		name += "NOT "
	}
	if p.accept("DISTINCT", "FROM") {
		right, err := p.expression(bindSum)
		return &Call{at(is.offset), name + "DISTINCT FROM", []Node{left, right}}, err
	}
	if p.accept("JSON") {
		name += "JSON"
		for _, kind := range []string{"VALUE", "OBJECT", "ARRAY", "SCALAR"} {
			if p.accept(kind) {
				name += " " + kind
				break
			}
		}
		return &Call{at(is.offset), name, []Node{left}}, nil
	}
	for _, what := range []string{"NULL", "TRUE", "FALSE", "UNKNOWN"} {
		if p.accept(what) {
			return &Call{at(is.offset), name + what, []Node{left}}, nil
		}
	}
	return nil, p.unexpected(p.peek(), "NULL, TRUE, FALSE, UNKNOWN, JSON or DISTINCT FROM")
}

// rangeTest reads BETWEEN, IN, LIKE and SIMILAR TO, each perhaps with NOT, of which first is the first word.
func (p *parser) rangeTest(left Node, first token) (Node, error) {
	not, verb := "", first
	if first.is("NOT") {
		not, verb = "NOT ", p.advance()
	}
	var call *Call
	var err error
	switch {
	case verb.is("BETWEEN"):
		call, err = p.between(left)
	case verb.is("IN"):
		call, err = p.in(left)
	case verb.is("SIMILAR"):
		if err = p.expect("TO"); err == nil {
			call, err = p.pattern(left, "SIMILAR TO")
		}
	default:
		call, err = p.pattern(left, "LIKE")
	}
	if err != nil {
		return nil, err
	}
	call.at, call.Name = at(first.offset), not+call.Name
	return call, nil
}

func (p *parser) between(left Node) (*Call, error) {
	name := "BETWEEN"
	if p.accept("SYMMETRIC") {
		name = "BETWEEN SYMMETRIC"
	} else {
		p.accept("ASYMMETRIC")
	}
	low, err := p.expression(bindRange)
	if err != nil {
		return nil, err
	}
	if err := p.expect("AND"); err != nil {
		return nil, err
	}
	high, err := p.expression(bindRange)
	return &Call{Name: name, Args: []Node{left, low, high}}, err
}

func (p *parser) in(left Node) (*Call, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	args, err := p.arguments([]Node{left})
	return &Call{Name: "IN", Args: args}, err
}

func (p *parser) pattern(left Node, name string) (*Call, error) {
	pattern, err := p.expression(bindRange)
	if err != nil {
		return nil, err
	}
	args := []Node{left, pattern}
	if p.accept("ESCAPE") {
		escape, err := p.expression(bindRange)
		if err != nil {
			return nil, err
		}
		args = append(args, escape)
	}
	return &Call{Name: name, Args: args}, nil
}

// arguments reads expressions up to the closing parenthesis, at least one, and appends them.
func (p *parser) arguments(args []Node) ([]Node, error) {
	for {
		n, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		if args = append(args, n); len(args) > MaxArgs {
			return nil, &Error{n.Offset(), fmt.Sprintf("more than %d values in one list", MaxArgs)}
		}
		if p.accept(")") {
			return args, nil
		}
		if t := p.peek(); !p.accept(",") {
			return nil, p.unexpected(t, `"," or ")"`)
		}
	}
}

// prefix reads an operand: a literal, a name, a call, something in parentheses, or a prefix operator's operand.
func (p *parser) prefix() (Node, error) {
	t := p.advance()
	switch t.kind {
	case exact:
		return &Literal{at(t.offset), Exact, t.value}, nil
	case approx:
		return &Literal{at(t.offset), Approx, t.value}, nil
	case text:
		return &Literal{at(t.offset), Text, p.continued(t)}, nil
	case bytesText:
		return &Literal{at(t.offset), Bytes, t.value}, nil
	case quotedName:
		if p.peek().is("(") {
			p.next--
			return p.word()
		}
		return &Column{at(t.offset), t.value}, nil
	case word:
		p.next--
		return p.word()
	case symbol:
		return p.prefixSymbol(t)
	default:
		return nil, p.unexpected(t, "an expression")
	}
}

// continued joins the text literals that follow t with only white space between, as the standard wants.
func (p *parser) continued(t token) string {
	var value strings.Builder
	value.WriteString(t.value)
	for p.peek().kind == text {
		value.WriteString(p.advance().value)
	}
	return value.String()
}

func (p *parser) prefixSymbol(t token) (Node, error) {
	switch t.value {
	case "(":
		n, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		if t := p.peek(); t.is(",") {
			return nil, &Error{t.offset, "row values (a, b) are not supported"}
		}
		return n, p.expect(")")
	case "-", "+":
		n, err := p.expression(bindSign - 1)
		return &Call{at(t.offset), t.value, []Node{n}}, err
	}
	return nil, p.unexpected(t, "an expression")
}

// SplitCall cuts "name(argument)", which is all of the text, into the name and the argument's text, whose byte offset it returns. Errors are
// *Error.
func SplitCall(input string) (name, argument string, offset int, err error) {
	tokens, err := scan(input)
	if err != nil {
		return "", "", 0, err
	}
	p := &parser{input: input, tokens: tokens}
	first := p.advance()
	if first.kind != word {
		return "", "", 0, p.unexpected(first, "an aggregate such as COUNT(*) or SUM(x)")
	}
	if err := p.expect("("); err != nil {
		return "", "", 0, err
	}
	start := p.peek()
	for open := 1; open > 0; {
		switch t := p.advance(); {
		case t.kind == end:
			return "", "", 0, p.unexpected(t, `")"`)
		case t.is("("):
			open++
		case t.is(")"):
			open--
		}
	}
	if t := p.peek(); t.kind != end {
		return "", "", 0, p.unexpected(t, "the end: an aggregate stands alone")
	}
	last := p.tokens[p.next-2]
	if last.offset < start.offset {
		return "", "", 0, p.unexpected(start, "an argument")
	}
	return first.value, input[start.offset:last.end], start.offset, nil
}
