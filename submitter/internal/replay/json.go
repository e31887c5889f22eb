package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

var (
	pathMode = regexp.MustCompile(`(?is)^\s*(strict|lax)\s+(.+)$`)
	pathStep = regexp.MustCompile(`^(?:\.([^.\[( ]+)|\.?\[ *'((?:[^'\\]|\\.)*)' *\]|\.?\[ *"((?:[^"\\]|\\.)*)" *\]|\.?\[ *(-?[0-9]+) *\])`)
)

// jsonPath is a path to one value: names of members and numbers of elements.
type jsonPath struct {
	lax   bool
	steps []any // string or int
}

func parseJSONPath(text string) (p jsonPath, err error) {
	rest := text
	if parts := pathMode.FindStringSubmatch(text); parts != nil {
		p.lax, rest = strings.EqualFold(parts[1], "lax"), parts[2]
	}
	if !strings.HasPrefix(rest, "$") && !strings.HasPrefix(rest, "@") {
		rest = "$." + rest
	}
	for rest = strings.TrimRight(rest[1:], " "); rest != ""; {
		step := pathStep.FindStringSubmatch(rest)
		if len(step) == 0 || step[1] == "*" {
			return p, unsupported("the JSON path %s", text)
		}
		rest = rest[len(step[0]):]
		var to any = step[1]
		switch {
		case step[4] != "":
			to, err = strconv.Atoi(step[4])
		case step[1] == "":
			to, err = unquote([]byte(`"` + step[2] + step[3] + `"`)) // the plan has seen its escapes
		}
		if err != nil {
			return p, unsupported("the JSON path %s", text)
		}
		p.steps = append(p.steps, to)
	}
	return p, nil
}

var errNoJSON = errors.New("no JSON")

// leading returns the JSON value with which a text begins; what is behind it does not count.
func leading(text string) (json.RawMessage, error) {
	reader := json.NewDecoder(strings.NewReader(text))
	var raw json.RawMessage
	if err := reader.Decode(&raw); err != nil {
		if strings.Count(text, "[")+strings.Count(text, "{") > deepest {
			return nil, unsupported("a document nested deeper than %d levels, perhaps", deepest)
		}
		if errors.Is(err, io.EOF) {
			return nil, errNoJSON
		}
		return nil, fmt.Errorf("%w: %w", errNoJSON, err)
	}
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: it is not UTF-8", errNoJSON)
	}
	behind := text[reader.InputOffset():]
	if behind == "" || strings.ContainsAny(behind[:1], " \t\r\n") || strings.IndexByte(`"[{`, raw[0]) >= 0 {
		return raw, nil
	}
	if next := behind[0]; isDigit(raw[0]) || raw[0] == '-' || isDigit(next) || next == '_' || next == '$' || next|0x20 >= 'a' && next|0x20 <= 'z' || next >= utf8.RuneSelf {
		return nil, fmt.Errorf("%w: %.20q runs on", errNoJSON, raw)
	}
	return raw, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// follow returns where a path leads, nil where nowhere.
func (p jsonPath) follow(raw json.RawMessage) json.RawMessage {
	for _, step := range p.steps {
		switch step := step.(type) {
		case string:
			var members map[string]json.RawMessage
			if json.Unmarshal(raw, &members) != nil {
				return nil
			}
			raw = members[step]
		case int:
			var elements []json.RawMessage
			if json.Unmarshal(raw, &elements) != nil {
				return nil
			}
			if step < 0 {
				step += len(elements)
			}
			if step < 0 || step >= len(elements) {
				return nil
			}
			raw = elements[step]
		}
		if raw == nil {
			return nil
		}
	}
	return raw
}

// jsonCall is JSON_VALUE, JSON_QUERY or JSON_EXISTS over rows.
type jsonCall struct {
	node  *syntax.JSON
	path  jsonPath
	input expression
	typ   sqltype.Type
	// defaults are those of ON EMPTY and ON ERROR.
	onEmpty, onError *expression
}

func (w *walker) json(n *syntax.JSON) (expression, error) {
	literal, ok := n.Path.(*syntax.Literal)
	if !ok {
		return expression{}, unsupported("a JSON path that is no literal")
	}
	c := &jsonCall{node: n, typ: sqltype.StringType}
	var err error
	if c.path, err = parseJSONPath(literal.Text); err != nil {
		return expression{}, err
	}
	if c.input, err = w.walk(n.Input); err != nil {
		return expression{}, err
	}
	if !c.input.typ.IsText() && c.input.typ.Kind != sqltype.JSON {
		return expression{}, unsupported("%s of %s", n.Name, c.input.typ)
	}
	if n.Returning != "" {
		if c.typ, err = sqltype.Parse(n.Returning); err != nil {
			return expression{}, err
		}
	}
	if n.Name == "JSON_EXISTS" {
		c.typ = sqltype.BooleanType
	}
	for _, d := range []struct {
		outcome *syntax.JSONOutcome
		to      **expression
	}{{n.OnEmpty, &c.onEmpty}, {n.OnError, &c.onError}} {
		if d.outcome == nil || d.outcome.Default == nil {
			continue
		}
		e, err := w.defaultOf(d.outcome.Default, c.typ)
		if err != nil {
			return expression{}, err
		}
		*d.to = &e
	}
	return expression{c.typ.Nullable(), c.eval}, nil
}

func (w *walker) defaultOf(n syntax.Node, to sqltype.Type) (expression, error) {
	e, err := w.walk(n)
	if err != nil || e.typ.Kind == sqltype.Null || e.typ.Kind == to.Kind {
		return e, err
	}
	if to.Kind == sqltype.VarChar {
		to = sqltype.StringType
	}
	convert := conversion(e.typ, to)
	if convert == nil {
		return e, unsupported("a default that is %s where %s is returned", e.typ, to)
	}
	return strict(to, func(v []value) (value, error) { return convert(v[0]) }, e), nil
}

func (c *jsonCall) eval(row []value) (value, error) {
	input, err := c.input.eval(row)
	if err != nil {
		return nil, err
	}
	outcomes := map[bool]*expression{true: c.onEmpty, false: c.onError}
	defaults := map[bool]value{}
	for empty, e := range outcomes {
		if e == nil {
			continue
		}
		if defaults[empty], err = e.eval(row); err != nil {
			return nil, err
		}
	}
	if input == nil {
		return nil, nil
	}
	result, empty, err := c.find(input.(string))
	if _, beyond := errors.AsType[*UnsupportedError](err); beyond || err == nil {
		return result, err
	}
	outcome := c.node.OnError
	if empty {
		outcome = c.node.OnEmpty
	}
	switch {
	case outcome == nil && c.node.Name == "JSON_EXISTS", outcome != nil && outcome.Word == "FALSE":
		return false, nil
	case outcome == nil, outcome.Word == "NULL", outcome.Word == "UNKNOWN":
		return nil, nil
	case outcome.Word == "TRUE":
		return true, nil
	case outcome.Word == "EMPTY ARRAY":
		return "[]", nil
	case outcome.Word == "EMPTY OBJECT":
		return "{}", nil
	case outcome.Word == "DEFAULT":
		return defaults[empty], nil
	default:
		return nil, err
	}
}

var (
	errNothing = errors.New("there is no value")
	errUnfit   = errors.New("the value is of another kind")
)

// find returns the result for an input. The error says why there is none, and empty whether ON EMPTY is about it.
func (c *jsonCall) find(input string) (result value, empty bool, err error) {
	root, err := leading(input)
	if err != nil {
		return nil, c.path.lax, err
	}
	if string(root) == "null" {
		return nil, false, errNothing
	}
	raw := c.path.follow(root)
	if raw == nil || string(raw) == "null" {
		return nil, c.path.lax, errNothing
	}
	container := raw[0] == '{' || raw[0] == '['
	switch {
	case c.node.Name == "JSON_EXISTS":
		return true, false, nil
	case c.node.Name == "JSON_QUERY" && !container && c.node.Wrapper == syntax.NoWrapper, c.node.Name == "JSON_VALUE" && container:
		return nil, c.path.lax, errUnfit
	case c.node.Name == "JSON_QUERY":
		result, err = c.query(raw)
	default:
		result, err = scalarOf(raw, c.typ)
	}
	return result, false, err
}

func (c *jsonCall) query(raw json.RawMessage) (value, error) {
	anew, err := compact([]byte("[" + string(raw) + "]"))
	if err != nil {
		return nil, err
	}
	written := markHalves(anew.(string))
	if c.node.Wrapper == syntax.UnconditionalWrapper || c.node.Wrapper == syntax.ConditionalWrapper && raw[0] != '[' {
		return written, nil
	}
	return written[1 : len(written)-1], nil
}

// scalarOf returns a scalar as a value of a type.
func scalarOf(raw json.RawMessage, t sqltype.Type) (value, error) {
	isNumber := isDigit(raw[0]) || raw[0] == '-'
	switch t.Kind {
	case sqltype.Boolean:
		if raw[0] == 't' || raw[0] == 'f' {
			return raw[0] == 't', nil
		}
	case sqltype.Int:
		if n, err := strconv.ParseInt(string(raw), 10, 32); err == nil {
			return n, nil
		}
	case sqltype.Double:
		if isNumber {
			f, err := strconv.ParseFloat(string(raw), 64)
			return f, ignoreRange(err)
		}
	default:
		if raw[0] == '"' {
			content, err := unquote(raw)
			return markHalves(content), err
		}
		if isNumber {
			return strings.Trim(treeNumber(string(raw)), `"`), nil
		}
		return string(raw), nil
	}
	return nil, errUnfit
}

// markHalves makes a question mark of each half of a surrogate pair.
func markHalves(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			out.WriteByte('?')
			i += len("\xed\xa0\x80")
			continue
		}
		out.WriteString(s[i : i+size])
		i += size
	}
	return out.String()
}

// isJSON is IS [NOT] JSON and its kinds.
func isJSON(name string, args []expression) (expression, bool) {
	words := strings.Fields(name)
	kind := strings.TrimPrefix(words[len(words)-1], "JSON")
	wanted := words[1] != "NOT"
	return expression{sqltype.BooleanType, func(row []value) (value, error) {
		v, err := args[0].eval(row)
		if err != nil {
			return nil, err
		}
		text, there := v.(string)
		if !there {
			return !wanted, nil
		}
		raw, err := leading(text)
		if _, beyond := errors.AsType[*UnsupportedError](err); beyond {
			return nil, err
		}
		is := err == nil
		if is {
			is = map[string]bool{"": true, "VALUE": true, "OBJECT": raw[0] == '{', "ARRAY": raw[0] == '[', "SCALAR": raw[0] != '{' && raw[0] != '['}[kind]
		}
		return is == wanted, nil
	}}, len(args) == 1 && (args[0].typ.IsText() || args[0].typ.Kind == sqltype.JSON)
}

// toJSON is CAST to JSON.
func toJSON(v value) (value, error) {
	text := v.(string)
	if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
		if strings.Count(text, "[")+strings.Count(text, "{") > deepest {
			return nil, unsupported("a document nested deeper than %d levels, perhaps", deepest)
		}
		return nil, fmt.Errorf("%w: %.100q", errNoJSON, text)
	}
	return strings.Trim(text, " \t\r\n"), nil
}
