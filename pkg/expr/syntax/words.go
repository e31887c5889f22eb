package syntax

import (
	"fmt"
	"strconv"
	"strings"
)

// word reads an operand that begins with a word.
func (p *parser) word() (Node, error) {
	t := p.advance()
	name := strings.ToUpper(t.value)
	switch {
	case t.kind == quotedName:
		return p.call(t, name)
	case name == "NOT":
		n, err := p.expression(bindNot - 1)
		return &Call{at(t.offset), "NOT", []Node{n}}, err
	case name == "CASE":
		return p.caseOf(t)
	case name == "INTERVAL":
		return p.interval(t)
	case (name == "DATE" || name == "TIME" || name == "TIMESTAMP") && p.peek().kind == text:
		kind := map[string]LiteralKind{"DATE": Date, "TIME": Time, "TIMESTAMP": Timestamp}[name]
		return &Literal{at(t.offset), kind, p.advance().value}, nil
	}
	if literal, ok := map[string]LiteralKind{"NULL": Null, "TRUE": True, "FALSE": False, "UNKNOWN": Null}[name]; ok {
		return &Literal{at(t.offset), literal, name}, nil
	}
	if p.peek().is("(") {
		return p.call(t, name)
	}
	if reserved[name] {
		return nil, p.unexpected(t, "an expression (a column of that name is written `"+t.value+"`)")
	}
	if p.peek().is(".") {
		return nil, &Error{p.peek().offset, "columns have no table before their name: write the column's name alone"}
	}
	return &Column{at(t.offset), t.value}, nil
}

// reserved are the words that cannot name a column without backquotes because the grammar needs them.
var reserved = func() map[string]bool {
	all := map[string]bool{}
	for w := range strings.FieldsSeq(`ALL AND ANY AS BETWEEN BOTH CASE CAST CROSS DISTINCT ELSE END ESCAPE EXISTS EXTRACT FALSE FOR FROM GROUP HAVING IN
		INNER INTERVAL IS JOIN LEADING LIKE LIMIT NOT NULL ON OR ORDER OVER SELECT SIMILAR SOME SYMMETRIC THEN TO TRAILING TRUE UNION UNKNOWN USING WHEN WHERE WITH`) {
		all[w] = true
	}
	return all
}()

// call reads the arguments of a function, whose name is before the parenthesis that comes next.
func (p *parser) call(t token, name string) (Node, error) {
	p.next++
	switch name {
	case "CAST", "TRY_CAST":
		return p.cast(t, name == "TRY_CAST")
	case "JSON_VALUE", "JSON_QUERY", "JSON_EXISTS":
		return p.jsonCall(t, name)
	case "EXTRACT":
		return p.extract(t)
	case "TRIM":
		return p.trim(t)
	case "POSITION":
		return p.position(t)
	case "OVERLAY":
		return p.overlay(t)
	case "TIMESTAMPADD", "TIMESTAMPDIFF":
		return p.timestampCall(t, name)
	}
	if p.peek().is("*") && p.peekAt(1).is(")") {
		return nil, &Error{p.peek().offset, "* stands only in COUNT(*)"}
	}
	if p.accept(")") {
		return &Call{at(t.offset), name, nil}, nil
	}
	if p.peek().is("DISTINCT") {
		return nil, &Error{p.peek().offset, "DISTINCT stands only in an aggregate of a window"}
	}
	first, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	args := []Node{first}
	switch {
	case p.accept(")"):
		return &Call{at(t.offset), name, args}, nil
	case p.accept(","):
		args, err = p.arguments(args)
	case (name == "FLOOR" || name == "CEIL" || name == "CEILING") && p.accept("TO"):
		args, err = p.unitArgument(args)
	case (name == "SUBSTRING" || name == "SUBSTR") && p.accept("FROM"):
		args, err = p.fromFor(args)
	default:
		return nil, p.unexpected(p.peek(), `"," or ")"`)
	}
	return &Call{at(t.offset), name, args}, err
}

// unitArgument appends the unit of time that comes next and takes the closing parenthesis.
func (p *parser) unitArgument(args []Node) ([]Node, error) {
	unit, err := p.unit()
	if err != nil {
		return nil, err
	}
	return append(args, unit), p.expect(")")
}

func (p *parser) unit() (*Keyword, error) {
	t := p.advance()
	name := strings.ToUpper(t.value)
	if t.kind != word || units[name] == NoUnit {
		return nil, p.unexpected(t, "a unit of time such as YEAR, MONTH, DAY, HOUR, MINUTE or SECOND")
	}
	return &Keyword{at(t.offset), name}, nil
}

// fromFor reads start [FOR length] and the closing parenthesis.
func (p *parser) fromFor(args []Node) ([]Node, error) {
	start, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	args = append(args, start)
	if p.accept("FOR") {
		length, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		args = append(args, length)
	}
	return args, p.expect(")")
}

// cast reads the argument and the type of CAST; the type's text is cut out of the input for sqltype.Parse.
func (p *parser) cast(name token, try bool) (Node, error) {
	arg, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if err := p.expect("AS"); err != nil {
		return nil, err
	}
	first := p.peek()
	if first.kind != word && first.kind != quotedName {
		return nil, p.unexpected(first, "a type such as INT or DECIMAL(10, 2)")
	}
	for open := 0; ; {
		switch t := p.peek(); {
		case t.kind == end:
			return nil, p.unexpected(t, `")" after the type`)
		case t.is("("):
			open++
		case t.is(")"):
			open--
			if open < 0 {
				typ := p.input[first.offset:p.tokens[p.next-1].end]
				p.next++
				return &Cast{at(name.offset), arg, typ, first.offset, try}, nil
			}
		}
		p.next++
	}
}

// extract reads EXTRACT(unit FROM x).
func (p *parser) extract(t token) (Node, error) {
	unit, err := p.unit()
	if err != nil {
		return nil, err
	}
	if err := p.expect("FROM"); err != nil {
		return nil, err
	}
	arg, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	return &Call{at(t.offset), "EXTRACT", []Node{unit, arg}}, p.expect(")")
}

// trim reads TRIM(x), TRIM([BOTH | LEADING | TRAILING] [characters] FROM x) and TRIM(characters FROM x) into a call of
// side, characters, x.
func (p *parser) trim(t token) (Node, error) {
	side := &Keyword{at(p.peek().offset), "BOTH"}
	written := false
	for _, w := range []string{"BOTH", "LEADING", "TRAILING"} {
		if p.accept(w) {
			side.Word, written = w, true
		}
	}
	var characters Node = &Literal{at(t.offset), Text, " "}
	if !written || !p.accept("FROM") {
		first, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		if !written && p.accept(")") {
			return &Call{at(t.offset), "TRIM", []Node{side, characters, first}}, nil
		}
		characters = first
		if err := p.expect("FROM"); err != nil {
			return nil, err
		}
	}
	from, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	return &Call{at(t.offset), "TRIM", []Node{side, characters, from}}, p.expect(")")
}

// position reads POSITION(part IN whole [FROM start]).
func (p *parser) position(t token) (Node, error) {
	part, err := p.expression(bindRange)
	if err != nil {
		return nil, err
	}
	if err := p.expect("IN"); err != nil {
		return nil, err
	}
	whole, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	args := []Node{part, whole}
	if p.accept("FROM") {
		start, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		args = append(args, start)
	}
	return &Call{at(t.offset), "POSITION", args}, p.expect(")")
}

// overlay reads OVERLAY(x PLACING y FROM start [FOR length]).
func (p *parser) overlay(t token) (Node, error) {
	x, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if err := p.expect("PLACING"); err != nil {
		return nil, err
	}
	y, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if err := p.expect("FROM"); err != nil {
		return nil, err
	}
	args, err := p.fromFor([]Node{x, y})
	return &Call{at(t.offset), "OVERLAY", args}, err
}

// timestampCall reads TIMESTAMPADD(unit, count, x) and TIMESTAMPDIFF(unit, from, to).
func (p *parser) timestampCall(t token, name string) (Node, error) {
	unit, err := p.unit()
	if err != nil {
		return nil, err
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	args, err := p.arguments([]Node{unit})
	return &Call{at(t.offset), name, args}, err
}

func (p *parser) caseOf(t token) (Node, error) {
	c := &Case{at: at(t.offset)}
	var err error
	if !p.peek().is("WHEN") {
		if c.Operand, err = p.expression(0); err != nil {
			return nil, err
		}
	}
	for p.accept("WHEN") {
		var w When
		if w.If, err = p.expression(0); err != nil {
			return nil, err
		}
		if err := p.expect("THEN"); err != nil {
			return nil, err
		}
		if w.Then, err = p.expression(0); err != nil {
			return nil, err
		}
		if c.Whens = append(c.Whens, w); len(c.Whens) > MaxArgs {
			return nil, &Error{w.If.Offset(), fmt.Sprintf("more than %d branches in one CASE", MaxArgs)}
		}
	}
	if c.Whens == nil {
		return nil, p.unexpected(p.peek(), `"WHEN"`)
	}
	if p.accept("ELSE") {
		if c.Else, err = p.expression(0); err != nil {
			return nil, err
		}
	}
	return c, p.expect("END")
}

// interval reads what follows INTERVAL: [+|-] 'text' unit[(precision[, fraction])] [TO unit[(fraction)]].
func (p *parser) interval(t token) (Node, error) {
	n := &Interval{at: at(t.offset), Precision: 2, Fraction: 6}
	if p.accept("-") {
		n.Negative = true
	} else {
		p.accept("+")
	}
	value := p.advance()
	if value.kind != text && value.kind != exact {
		return nil, p.unexpected(value, "the interval's value in quotes, as in INTERVAL '5' SECOND")
	}
	n.Text = value.value
	unit, err := p.unit()
	if err != nil {
		return nil, err
	}
	if n.From = units[unit.Word]; n.From > Second || n.From == Week || n.From == Quarter {
		return nil, &Error{unit.Offset(), fmt.Sprintf("an interval has no %s: use YEAR, MONTH, DAY, HOUR, MINUTE or SECOND", unit.Word)}
	}
	if err := p.intervalPrecision(&n.Precision, &n.Fraction, n.From == Second); err != nil {
		return nil, err
	}
	// In FLOOR(x - INTERVAL '1' HOUR TO DAY) the TO is FLOOR's, because no interval goes from HOUR to DAY.
	to := units[strings.ToUpper(p.peekAt(1).value)]
	if !p.peek().is("TO") || to <= n.From || to > Second || (n.From <= Month) != (to <= Month) || to == Week || to == Quarter {
		return n, nil
	}
	p.next += 2
	n.To = to
	var ignored int
	return n, p.intervalPrecision(&n.Fraction, &ignored, false)
}

// intervalPrecision reads (n) or, where a second number may follow, (n, m).
func (p *parser) intervalPrecision(first, second *int, two bool) error {
	if !p.accept("(") {
		return nil
	}
	for i, target := range []*int{first, second} {
		t := p.advance()
		n, err := strconv.Atoi(t.value)
		if t.kind != exact || err != nil || n > 10 {
			return p.unexpected(t, "a number of digits, at most 10")
		}
		*target = n
		if i == 0 && (!two || !p.accept(",")) {
			break
		}
	}
	return p.expect(")")
}
