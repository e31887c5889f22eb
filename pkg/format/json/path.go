package json

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"pencere/pkg/javafmt"
)

// Path leads from a JSON value to one inside it. Its language is that of Flink's JSON functions, which is JsonPath's
// (https://github.com/json-path/JsonPath) behind the mode of the SQL standard, so far as a path leads to one value at most:
//
//	[lax | strict] $ { .name | ['name'] | ["name"] | [index] }
//
// An index counts from 0, or from the end, where -1 is the last. Without a mode a path is strict.
type Path struct {
	Strict bool
	steps  []pathStep
}

// pathStep goes to a member of an object, or else to an element of an array.
type pathStep struct {
	name    string
	index   int
	isIndex bool
}

// longestPath bounds the steps: each of them reads what is left of a document.
const longestPath = 100

var (
	pathMode = regexp.MustCompile(`(?is)^\s*(strict|lax)\s+(.+)$`)

	errSeveral = errors.New("it may lead to several values (by *, .., a slice or a list); name one")
	errFilter  = errors.New("filters are not supported")
	errCall    = errors.New("functions of a path are not supported")
)

// ParsePath reads a path. Its errors say what is wrong with it.
func ParsePath(text string) (Path, error) {
	p := Path{Strict: true}
	spec := text
	if parts := pathMode.FindStringSubmatch(text); parts != nil {
		p.Strict, spec = strings.EqualFold(parts[1], "strict"), parts[2]
	}
	if spec == "" || spec[0] != '$' && spec[0] != '@' {
		spec = "$." + spec // as JsonPath does
	}
	rest := strings.TrimRight(spec, " ")[1:]
	for rest != "" {
		step, next, err := cutStep(rest)
		if err == nil && len(p.steps) == longestPath {
			err = fmt.Errorf("it has more than %d steps", longestPath)
		}
		if err != nil {
			return Path{}, fmt.Errorf("JSON path %q, at %q: %w", text, rest, err)
		}
		p.steps, rest = append(p.steps, step), next
	}
	return p, nil
}

// cutStep reads the step with which a path's rest begins.
func cutStep(path string) (step pathStep, rest string, err error) {
	switch {
	case path[0] == '[':
		return cutBracket(path)
	case path[0] != '.':
		return step, "", errors.New("expected '.' or '['")
	case strings.HasPrefix(path, ".."), path[1:] == "*", strings.HasPrefix(path, ".*.") || strings.HasPrefix(path, ".*["):
		return step, "", errSeveral
	case strings.HasPrefix(path, ".["):
		return cutBracket(path[1:])
	}
	name := path[1:]
	if end := strings.IndexAny(name, ".[("); end >= 0 {
		name, rest = name[:end], name[end:]
	}
	switch {
	case strings.HasPrefix(rest, "("):
		return step, "", errCall
	case name == "":
		return step, "", errors.New("a name is missing")
	case strings.Contains(name, " "):
		return step, "", errors.New("a name with a blank is written ['name']")
	}
	return pathStep{name: name}, rest, nil
}

// cutBracket reads ['name'], ["name"] or [index].
func cutBracket(path string) (step pathStep, rest string, err error) {
	inside := strings.TrimLeft(path[1:], " ")
	if inside == "" {
		return step, "", errors.New("']' is missing")
	}
	switch inside[0] {
	case '\'', '"':
		return cutQuoted(inside)
	case '?':
		return step, "", errFilter
	case '*':
		return step, "", errSeveral
	}
	index, rest, closed := strings.Cut(inside, "]")
	if !closed {
		return step, "", errors.New("']' is missing")
	}
	if index = strings.TrimRight(index, " "); strings.ContainsAny(index, ":,") {
		return step, "", errSeveral
	}
	n, err := strconv.ParseInt(index, 10, 32)
	if err != nil || index[0] == '+' {
		return step, "", fmt.Errorf("%q is neither an index nor a name in quotes", index)
	}
	return pathStep{index: int(n), isIndex: true}, rest, nil
}

// cutQuoted reads a name in quotes and the bracket behind it. A backslash takes the next character as it is, or as JSON does.
func cutQuoted(path string) (step pathStep, rest string, err error) {
	end := 1
	for end < len(path) && path[end] != path[0] {
		if path[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(path) {
		return step, "", errors.New("the quote is not closed")
	}
	behind := strings.TrimLeft(path[end+1:], " ")
	switch {
	case strings.HasPrefix(behind, ","):
		return step, "", errSeveral
	case !strings.HasPrefix(behind, "]"):
		return step, "", errors.New("']' is missing")
	}
	name, err := unescapeName(path[1:end])
	return pathStep{name: name}, behind[1:], err
}

func unescapeName(text string) (string, error) {
	var name strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			name.WriteByte(text[i])
			continue
		}
		i++
		switch c := text[i]; c {
		case 'b', 'f', 'n', 'r', 't':
			name.WriteByte(map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}[c])
		case 'u':
			r, n := codePoint([]byte(text[i+1:]))
			if n == 0 {
				return "", errors.New(`\u needs four hexadecimal digits`)
			}
			name.WriteRune(r)
			i += n
		default:
			name.WriteByte(c)
		}
	}
	return name.String(), nil
}

// Finder reads values out of JSON texts. Its results are good until its next call. It is for one goroutine.
type Finder struct {
	scanner scanner
	tree    tree
	text    []byte
}

// Check returns the value with which a text begins; what is behind it is not looked at, as in Flink. The error says why there is none.
func (f *Finder) Check(text []byte) ([]byte, error) {
	begin := skipBlanks(text, 0)
	end := f.scanner.strict(text, begin)
	if end == none {
		return nil, fmt.Errorf("no JSON: byte %d: %s", f.scanner.fault.at, f.scanner.fault.reason)
	}
	if first := text[begin]; end < len(text) && first != '"' && first != '{' && first != '[' && runsOn(first, text[end]) {
		return nil, fmt.Errorf("no JSON: byte %d: a character that no value has", end)
	}
	return text[begin:end], nil
}

// Whole returns the value that is all of a text but for blanks around it. The error says why it is none.
func (f *Finder) Whole(text []byte) ([]byte, error) {
	value, err := f.Check(text)
	if err != nil {
		return nil, err
	}
	if end := skipBlanks(text, 0) + len(value); skipBlanks(text, end) < len(text) {
		return nil, fmt.Errorf("no JSON: byte %d: text behind the value", end)
	}
	return value, nil
}

// runsOn reports whether a number or word cannot end before next.
func runsOn(first, next byte) bool {
	if first-'0' <= 9 || first == '-' {
		return !isBlank(next)
	}
	return next == '_' || next == '$' || next-'0' <= 9 || next|0x20-'a' <= 25 || next >= utf8.RuneSelf
}

// Find returns the text of the value to which p leads in a value that is well-formed; nil where it leads nowhere. Of members with one
// name the last counts.
func (f *Finder) Find(value []byte, p Path) []byte {
	for _, step := range p.steps {
		if step.isIndex {
			value = element(value, step.index)
		} else {
			value = f.member(value, step.name)
		}
		if value == nil {
			return nil
		}
	}
	return value
}

// member returns the value of an object's member, nil for none.
func (f *Finder) member(object []byte, name string) (found []byte) {
	if object[0] != '{' {
		return nil
	}
	for i := skipBlanks(object, 1); object[i] == '"'; {
		end, escaped, _ := scanString(object, i+1)
		key := object[i+1 : end]
		if escaped {
			f.text, _ = appendUnescaped(f.text[:0], key)
			key = f.text
		}
		i = skipBlanks(object, end+1) // to the colon
		i = skipBlanks(object, i+1)   // to the value
		end = behind(object, i)
		if string(key) == name {
			found = object[i:end]
		}
		if i = skipBlanks(object, end); object[i] == ',' {
			i = skipBlanks(object, i+1)
		}
	}
	return found
}

// element returns an array's element, nil for none.
func element(array []byte, index int) []byte {
	if array[0] != '[' {
		return nil
	}
	if index < 0 {
		if index += elements(array); index < 0 {
			return nil
		}
	}
	for i := skipBlanks(array, 1); array[i] != ']'; index-- {
		end := behind(array, i)
		if index == 0 {
			return array[i:end]
		}
		if i = skipBlanks(array, end); array[i] == ',' {
			i = skipBlanks(array, i+1)
		}
	}
	return nil
}

// elements counts an array's.
func elements(array []byte) (n int) {
	for i := skipBlanks(array, 1); array[i] != ']'; n++ {
		if i = skipBlanks(array, behind(array, i)); array[i] == ',' {
			i = skipBlanks(array, i+1)
		}
	}
	return n
}

// behind returns the position behind the value at i, which is well-formed: it looks for the end and at nothing else.
func behind(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			end, _, _ := scanString(b, i+1)
			i = end + 1
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		default:
			for i < len(b) && !isBlank(b[i]) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] != ':' {
				i++
			}
		}
		if depth == 0 {
			return i
		}
		for i < len(b) && (isBlank(b[i]) || b[i] == ',' || b[i] == ':') {
			i++
		}
	}
	return i
}

// AppendScalar appends a scalar as Java's toString writes what Jackson reads: a text without its escapes, a number with a fraction or an
// exponent as a DOUBLE. Half a surrogate pair becomes a question mark.
func AppendScalar(dst, value []byte) []byte {
	switch c := value[0]; {
	case c == '"':
		from := len(dst)
		dst, _ = appendUnescaped(dst, value[1:len(value)-1])
		return appendWhole(dst[:from], dst[from:])
	case c != '-' && c-'0' > 9:
		return append(dst, value...)
	case strings.ContainsAny(string(value), ".eE"):
		return javafmt.AppendDouble(dst, parseFloat(value, 64))
	case string(value) == "-0":
		return append(dst, '0')
	default:
		return append(dst, value...)
	}
}

// appendWhole appends a text, which may lie where it is appended, with a question mark for each half of a surrogate pair.
func appendWhole(dst, text []byte) []byte {
	if utf8.Valid(text) {
		return append(dst, text...)
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			dst, i = append(dst, '?'), i+3
			continue
		}
		dst, i = append(dst, text[i:i+size]...), i+size
	}
	return dst
}

// AppendValue appends a value as Flink writes it anew: without blanks, numbers with a fraction or an exponent as a DOUBLE. With wrap it is
// put into an array.
func (f *Finder) AppendValue(dst, value []byte, wrap bool) []byte {
	f.text = append(append(append(f.text[:0], '['), value...), ']')
	text := f.tree.rewrite(f.text)
	if !wrap {
		text = text[1 : len(text)-1]
	}
	return appendWhole(dst, text)
}
