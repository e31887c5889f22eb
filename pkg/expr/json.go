package expr

import (
	"strings"

	"pencere/pkg/expr/syntax"
	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"
)

// jsonFunction is JSON_VALUE, JSON_QUERY or JSON_EXISTS with a path. The first argument is the input; those of DEFAULTs follow.
type jsonFunction struct {
	name             string
	path             json.Path
	written          string // the path
	checked          bool   // the input is of type JSON, and so well-formed
	wrapper          syntax.JSONWrapper
	onEmpty, onError jsonOutcome
}

// jsonOutcome is what a function gives where there is no value, or no fit one.
type jsonOutcome struct {
	word     string
	argument int // of "DEFAULT"
}

// verdict says what a path has led to.
type verdict uint8

const (
	there verdict = iota
	empty
	faulty
)

// bindJSON compiles a function on JSON. The rules are Flink's (org.apache.flink.table.runtime.functions.SqlJsonUtils), which are those of
// the SQL standard but for this: without a mode a path is strict, and JSON's null is no value.
func (b *binder) bindJSON(n *syntax.JSON) (*op, error) {
	f, input, err := b.jsonFunction(n)
	if err != nil {
		return nil, err
	}
	t, err := b.returning(n)
	if err != nil {
		return nil, err
	}
	args := []*op{input}
	for _, outcome := range []struct {
		written *syntax.JSONOutcome
		to      *jsonOutcome
	}{{n.OnEmpty, &f.onEmpty}, {n.OnError, &f.onError}} {
		if outcome.written == nil {
			continue
		}
		outcome.to.word = outcome.written.Word
		if outcome.written.Default == nil {
			continue
		}
		value, err := b.jsonDefault(n, outcome.written.Default, t)
		if err != nil {
			return nil, err
		}
		outcome.to.argument = len(args)
		args = append(args, value)
	}
	return b.lenient(n, t, f.kernel(t), args...), nil
}

func (b *binder) jsonFunction(n *syntax.JSON) (*jsonFunction, *op, error) {
	input, err := b.bind(n.Input)
	if err != nil {
		return nil, nil, err
	}
	if !input.typ.IsText() && input.typ.Kind != sqltype.JSON {
		return nil, nil, failAt(n, "%s takes JSON or a text, not %s", n.Name, input.typ.Nullable())
	}
	literal, ok := n.Path.(*syntax.Literal)
	if !ok || literal.Kind != syntax.Text {
		return nil, nil, failAt(n.Path, "the path of %s must be a literal such as '$.name'", n.Name)
	}
	path, err := json.ParsePath(literal.Text)
	if err != nil {
		return nil, nil, failAt(n.Path, "%v", err)
	}
	f := &jsonFunction{name: n.Name, path: path, written: literal.Text, checked: input.typ.Kind == sqltype.JSON, wrapper: n.Wrapper}
	f.onEmpty.word, f.onError.word = "NULL", "NULL"
	if n.Name == "JSON_EXISTS" {
		f.onEmpty.word, f.onError.word = "FALSE", "FALSE"
	}
	return f, input, nil
}

// returning is the type of a function's result: one of those that Flink 1.20 knows.
func (b *binder) returning(n *syntax.JSON) (sqltype.Type, error) {
	switch {
	case n.Name == "JSON_EXISTS":
		return sqltype.BooleanType, nil
	case n.Returning == "":
		return sqltype.StringType, nil
	}
	fail := func(format string, args ...any) (sqltype.Type, error) {
		return sqltype.Type{}, failAt(syntax.NewCall(n.TypeOffset, ""), format, args...)
	}
	t, err := sqltype.Parse(n.Returning)
	if err != nil {
		return fail("%v", err)
	}
	switch {
	case t.Kind == sqltype.VarChar:
	case n.Name == "JSON_VALUE" && (t.Kind == sqltype.Boolean || t.Kind == sqltype.Int || t.Kind == sqltype.Double):
	case n.Name == "JSON_VALUE":
		return fail("JSON_VALUE returns STRING, BOOLEAN, INT or DOUBLE; write CAST(JSON_VALUE(…) AS %s)", t)
	default:
		return fail("JSON_QUERY returns STRING")
	}
	return t, nil
}

// jsonDefault compiles the value of a DEFAULT.
func (b *binder) jsonDefault(n *syntax.JSON, value syntax.Node, t sqltype.Type) (*op, error) {
	o, err := b.bind(value)
	if err != nil {
		return nil, err
	}
	switch {
	case t.Kind == sqltype.VarChar:
		t = sqltype.StringType
	case t.Kind == sqltype.Double && o.typ.IsNumeric():
	case o.typ.Kind != t.Kind && o.typ.Kind != sqltype.Null:
		return nil, failAt(value, "the default is %s, but %s returns %s", o.typ.Nullable(), n.Name, t)
	}
	return b.convert(value, o, t), nil
}

// kernel computes values of type t.
func (f *jsonFunction) kernel(t sqltype.Type) kernel {
	switch t.Kind {
	case sqltype.VarChar:
		return textKernel(func(dst []byte, c *call, i int) ([]byte, error) { return f.appendText(dst, c, i) })
	case sqltype.Boolean:
		return func(c *call) error {
			bits := c.out.roomBits(c.n)
			return f.each(c, func(i int, raw []byte) bool {
				if f.name == "JSON_EXISTS" || string(raw) == "true" {
					bits.set(i)
				}
				return f.name == "JSON_EXISTS" || raw[0] == 't' || raw[0] == 'f'
			}, func(i int, from *vector) {
				if from.bits.get(i & from.mask()) {
					bits.set(i)
				}
			})
		}
	case sqltype.Int:
		return jsonNumbers(f, func(raw string) (int32, bool) {
			v, ok := readInteger(raw, 32)
			return int32(v), ok && isNumber(raw) && isWhole(raw)
		})
	default:
		return jsonNumbers(f, func(raw string) (float64, bool) {
			if !isNumber(raw) {
				return 0, false
			}
			return readFloat(raw, 64)
		})
	}
}

func jsonNumbers[T fixed](f *jsonFunction, read func(raw string) (T, bool)) kernel {
	return func(c *call) error {
		values := room[T](c.out, c.n)
		return f.each(c, func(i int, raw []byte) (ok bool) {
			values[i], ok = read(string(raw))
			return ok
		}, func(i int, from *vector) { values[i] = (*cells[T](from))[i&from.mask()] })
	}
}

func isNumber(raw string) bool { return raw[0] == '-' || raw[0]-'0' <= 9 }

func isWhole(raw string) bool {
	for _, c := range []byte(raw) {
		if c == '.' || c|0x20 == 'e' {
			return false
		}
	}
	return true
}

// each gives each wanted row its value by set, which reports whether it fits, or by copied, which takes it from the DEFAULT's values.
func (f *jsonFunction) each(c *call, set func(i int, raw []byte) bool, copied func(i int, from *vector)) error {
	for i := range c.n {
		if !c.wanted(i) {
			continue
		}
		if c.args[0].isNull(i) {
			c.out.setNull(i, c.n)
			continue
		}
		raw, found := f.find(c, i)
		if found == there && !set(i, raw) {
			found = faulty
		}
		if found == there {
			continue
		}
		outcome := f.outcome(found)
		switch outcome.word {
		case "ERROR":
			return &failure{i, c.at, f.complaint(c, i, raw)}
		case "TRUE":
			c.out.bits.set(i)
		case "FALSE":
		case "DEFAULT":
			if from := c.args[outcome.argument]; !from.isNull(i) {
				copied(i, from)
				continue
			}
			c.out.setNull(i, c.n)
		default: // NULL, UNKNOWN
			c.out.setNull(i, c.n)
		}
	}
	return nil
}

// appendText appends the text of JSON_VALUE or JSON_QUERY for a row.
func (f *jsonFunction) appendText(dst []byte, c *call, i int) ([]byte, error) {
	if c.args[0].isNull(i) {
		return dst, errNull
	}
	raw, found := f.find(c, i)
	if found == there && f.name == "JSON_VALUE" {
		return json.AppendScalar(dst, raw), nil
	}
	if found == there {
		wrap := f.wrapper == syntax.UnconditionalWrapper || f.wrapper == syntax.ConditionalWrapper && raw[0] != '['
		return c.finder().AppendValue(dst, raw, wrap), nil
	}
	outcome := f.outcome(found)
	switch outcome.word {
	case "ERROR":
		return dst, f.complaint(c, i, raw)
	case "DEFAULT":
		if from := c.args[outcome.argument]; !from.isNull(i) {
			return append(dst, from.text.at(i&from.mask())...), nil
		}
		return dst, errNull
	case "EMPTY ARRAY":
		return append(dst, "[]"...), nil
	case "EMPTY OBJECT":
		return append(dst, "{}"...), nil
	default:
		return dst, errNull
	}
}

func (f *jsonFunction) outcome(found verdict) jsonOutcome {
	if found == empty {
		return f.onEmpty
	}
	return f.onError
}

// find returns the value to which the path leads in a row's input, if the function can take it.
func (f *jsonFunction) find(c *call, i int) (raw []byte, found verdict) {
	nothing := empty
	if f.path.Strict {
		nothing = faulty
	}
	input := c.arg(0, i)
	if !f.checked {
		var err error
		if input, err = c.finder().Check(input); err != nil {
			return nil, nothing
		}
	}
	if string(input) == "null" {
		return nil, faulty
	}
	raw = c.finder().Find(input, f.path)
	if raw == nil || string(raw) == "null" {
		return nil, nothing
	}
	scalar := raw[0] != '{' && raw[0] != '['
	if f.name == "JSON_VALUE" && !scalar || f.name == "JSON_QUERY" && scalar && f.wrapper == syntax.NoWrapper {
		return raw, nothing
	}
	return raw, there
}

// complaint says why there is no fit value; raw is the one that is unfit, nil for none.
func (f *jsonFunction) complaint(c *call, i int, raw []byte) error {
	const shown = 60
	if raw != nil {
		return errorf("%s: the value at '%s' is of the wrong kind: %s", f.name, f.written, quote(raw[:min(len(raw), shown)]))
	}
	input := c.arg(0, i)
	if !f.checked {
		if _, err := c.finder().Check(input); err != nil {
			return errorf("%s: %w", f.name, err)
		}
	}
	return errorf("%s: there is no value at '%s' in %s", f.name, f.written, quote(input[:min(len(input), shown)]))
}

// finder reads JSON for this call.
func (c *call) finder() *json.Finder {
	if c.json == nil {
		c.json = &json.Finder{}
	}
	return c.json
}

// jsonTests are IS [NOT] JSON and its kinds, which NULL is none of.
func jsonTests() map[string]function {
	tests := map[string]function{}
	for kind, first := range map[string]string{"": "", " VALUE": "", " OBJECT": "{", " ARRAY": "[", " SCALAR": "\"-0123456789tfn"} {
		for prefix, wanted := range map[string]bool{"IS JSON": true, "IS NOT JSON": false} {
			tests[prefix+kind] = function{min: 1, max: 1, takes: "JSON or a text", bind: bindIsJSON(first, wanted)}
		}
	}
	return tests
}

// bindIsJSON tests for a value that begins with one of the characters first, any if there are none.
func bindIsJSON(first string, wanted bool) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		if !args[0].typ.IsText() && args[0].typ.Kind != sqltype.JSON {
			return nil, nil
		}
		return b.lenient(n, sqltype.BooleanType.WithNotNull(true), boolKernel(func(c *call, i int) bool {
			if c.args[0].isNull(i) {
				return !wanted
			}
			value, err := c.finder().Check(c.arg(0, i))
			return (err == nil && (first == "" || strings.IndexByte(first, value[0]) >= 0)) == wanted
		}), args[0]), nil
	}
}

// castToJSON takes texts that are one JSON value, without the blanks around it.
func castToJSON() (kernel, outcome) {
	return func(c *call) error {
		dst := c.out.roomText(c.n)
		for i := range c.n {
			if c.wanted(i) {
				value, err := c.finder().Whole(c.arg(0, i))
				if err != nil {
					if err := c.reject(i, "%w", err); err != nil {
						return err
					}
				}
				dst.data = append(dst.data, value...)
			}
			dst.end()
		}
		return nil
	}, mayFail
}
