// Package polling decides what to make of the answers of a web API that is asked again and again: where the items are in an
// answer, which page follows, which items were there before, and how all that is kept in a checkpoint.
//
// The package is pure, and nothing in it is safe for concurrent use.
package polling

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Path leads to a value inside a JSON document, in the notation of SQL/JSON: $.data["first name"][0]. The empty Path is the document.
type Path []Step

// Step goes from a value to one inside it: an object's member, or an array's element.
type Step struct {
	Name    string
	Index   int
	Element bool // Index is meant, not Name
}

// ParsePath reads a path. The leading $ may be left out before a name: data.users is $.data.users.
func ParsePath(text string) (Path, error) {
	rest, rooted := strings.CutPrefix(text, "$")
	if !rooted && !strings.HasPrefix(rest, "[") {
		rest = "." + rest
	}
	var path Path
	for rest != "" {
		step, after, err := parseStep(rest)
		if err != nil {
			return nil, fmt.Errorf("path %q: %w; write it as $.data.users", text, err)
		}
		path, rest = append(path, step), after
	}
	return path, nil
}

func parseStep(rest string) (step Step, after string, err error) {
	switch {
	case strings.HasPrefix(rest, "[*]"):
		return step, "", fmt.Errorf("[*] is not known: of an array all elements are meant anyway")
	case rest[0] == '.':
		rest = rest[1:]
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if rest[:end] == "" {
			return step, "", fmt.Errorf("a name is missing behind a dot")
		}
		return Step{Name: rest[:end]}, rest[end:], nil
	case strings.HasPrefix(rest, `["`):
		quoted, err := strconv.QuotedPrefix(rest[1:])
		if err != nil {
			return step, "", fmt.Errorf("%s is not a name in quotes", rest)
		}
		name, err := strconv.Unquote(quoted)
		after, closed := strings.CutPrefix(rest[1+len(quoted):], "]")
		if err != nil || !closed {
			return step, "", fmt.Errorf("%s does not end with ]", rest)
		}
		return Step{Name: name}, after, nil
	case rest[0] == '[':
		digits, after, closed := strings.Cut(rest[1:], "]")
		index, err := strconv.ParseUint(digits, 10, 31)
		if err != nil || !closed {
			return step, "", fmt.Errorf("%s is neither a number from 0 on nor a name in double quotes, in brackets", rest)
		}
		return Step{Index: int(index), Element: true}, after, nil
	default:
		return step, "", fmt.Errorf("a dot or a bracket is wanted before %q", rest)
	}
}

// String writes the path as ParsePath reads it.
func (p Path) String() string {
	var text strings.Builder
	text.WriteByte('$')
	for _, s := range p {
		switch {
		case s.Element:
			fmt.Fprintf(&text, "[%d]", s.Index)
		case s.Name == "" || strings.ContainsAny(s.Name, ".[") || !utf8.ValidString(s.Name):
			fmt.Fprintf(&text, "[%q]", s.Name)
		default:
			text.WriteString("." + s.Name)
		}
	}
	return text.String()
}

// Find returns the value that the path leads to in a valid JSON document. found is false when there is none.
func (p Path) Find(document []byte) (value []byte, found bool) {
	value = trim(document)
	for _, step := range p {
		if value, found = step.find(value); !found {
			return nil, false
		}
	}
	return value, true
}

func (s Step) find(value []byte) (inner []byte, found bool) {
	switch {
	case s.Element && value[0] == '[':
		n := 0
		for element := range elements(value) {
			if n == s.Index {
				return element, true
			}
			n++
		}
	case !s.Element && value[0] == '{':
		for name, member := range members(value) {
			if name == s.Name {
				inner, found = member, true // of members with one name the last is meant, as encoding/json has it
			}
		}
	}
	return inner, found
}
