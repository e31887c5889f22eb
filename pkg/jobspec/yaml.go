package jobspec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

// Limits of a job spec. The YAML parser needs time in proportion to the square of the number of tokens and of the
// depth of brackets, and some 250 bytes of memory a token, so they are bounded before it runs; a real spec is far below.
const (
	maxBytes   = 1 << 20
	maxMarks   = 100_000 // characters with which a token may begin or end
	maxTokens  = 20_000
	maxDepth   = 32 // of brackets
	maxRefused = 20 // errors about parts of YAML that are not supported
)

// position is a place in the file, from 1, in characters.
type position struct{ line, column int }

func positionOf(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{1, 1}
	}
	return position{max(1, t.Position.Line), max(1, t.Position.Column)}
}

// syntaxError is a text that is no YAML, or uses what a job spec does without.
type syntaxError struct {
	at      position
	message string
}

// parseYAML returns the only document of the text.
func parseYAML(text []byte) (ast.Node, []syntaxError) {
	if message := unreadable(text); message != "" {
		return nil, []syntaxError{{position{1, 1}, message}}
	}
	tokens, refused := tokenize(text)
	if len(refused) > 0 {
		return nil, refused
	}
	file, err := parseTokens(tokens)
	if err != nil {
		return nil, []syntaxError{explain(err, text)}
	}
	return onlyDocument(file)
}

// unreadable says why a text is refused before it is looked at; "" when it is not.
func unreadable(text []byte) string {
	switch {
	case len(text) > maxBytes:
		return fmt.Sprintf("the file has %d bytes; a job spec has %d at most", len(text), maxBytes)
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return "the file begins with a byte order mark; save it as UTF-8 without one"
	case !utf8.Valid(text):
		return fmt.Sprintf("the file is not UTF-8 (byte %d)", invalidAt(text)+1)
	case bytes.IndexByte(text, 0) >= 0:
		return fmt.Sprintf("the file has a NUL character (byte %d)", bytes.IndexByte(text, 0)+1)
	case countMarks(text) > maxMarks:
		return fmt.Sprintf("the spec is too long: it has more than %d lines and punctuation marks", maxMarks)
	default:
		return ""
	}
}

func countMarks(text []byte) int {
	marks := 0
	for _, c := range text {
		if strings.IndexByte("\n-?:,[]{}#&*!|>'\"%@`", c) >= 0 {
			marks++
		}
	}
	return marks
}

// invalidAt returns the offset of the first byte that is no UTF-8.
func invalidAt(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return len(text)
}

// refusedTokens are parts of YAML that a spec does without: they hide what a job does from its reader, and anchors
// can make a small text unfold into a huge one.
var refusedTokens = map[token.Type]string{
	token.AnchorType:     "anchors are not supported; write the value where it is used, in quotes if it begins with '&'",
	token.AliasType:      "aliases are not supported; write the value out, in quotes if it begins with '*'",
	token.MergeKeyType:   "merge keys are not supported; write the fields out",
	token.TagType:        "tags are not supported; leave it out, or put the value in quotes if it begins with '!'",
	token.DirectiveType:  "directives are not supported; leave the line out, or put the value in quotes if it begins with '%'",
	token.MappingKeyType: "explicit keys are not supported; write 'key: value', in quotes if the key begins with '?'",
}

// tokenize splits the text as lexer.Tokenize does, but stops where the limits are passed.
func tokenize(text []byte) (token.Tokens, []syntaxError) {
	var split scanner.Scanner
	split.Init(string(text))
	var tokens token.Tokens
	var refused []syntaxError
	depth := 0
	for {
		some, err := split.Scan()
		if errors.Is(err, io.EOF) {
			return tokens, refused
		}
		tokens.Add(some...)
		for _, t := range some {
			if message := refusedTokens[t.Type]; message != "" && len(refused) < maxRefused {
				refused = append(refused, syntaxError{positionOf(t), message})
			}
			depth += nesting(t)
			if depth > maxDepth {
				return nil, append(refused, syntaxError{positionOf(t), fmt.Sprintf("brackets are nested more than %d deep", maxDepth)})
			}
		}
		if len(tokens) > maxTokens {
			last := positionOf(tokens[len(tokens)-1])
			return nil, append(refused, syntaxError{last, fmt.Sprintf("the spec is too long: it has more than %d tokens", maxTokens)})
		}
	}
}

// nesting is how much deeper in brackets a token leads.
func nesting(t *token.Token) int {
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		return 1
	case token.SequenceEndType, token.MappingEndType:
		return -1
	default:
		return 0
	}
}

// parseTokens runs the YAML parser. The text is anyone's, so a panic of the parser must not end the program.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			file, err = nil, errors.New("the file cannot be read as YAML")
		}
	}()
	// Repeated keys are found by the walk, which reports all of them.
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// explain says where and why the parser stopped.
func explain(err error, text []byte) syntaxError {
	var located interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &located) {
		return syntaxError{position{1, 1}, err.Error()}
	}
	at := positionOf(located.GetToken())
	if lines := strings.Split(string(text), "\n"); at.line <= len(lines) {
		line := lines[at.line-1]
		if strings.Contains(line[:len(line)-len(strings.TrimLeft(line, " \t"))], "\t") {
			return syntaxError{at, "YAML indents with spaces, not with tabs"}
		}
	}
	return syntaxError{at, "not valid YAML: " + located.GetMessage()}
}

func onlyDocument(file *ast.File) (ast.Node, []syntaxError) {
	var root ast.Node
	for _, document := range file.Docs {
		switch {
		case document.Body == nil:
		case root != nil:
			return nil, []syntaxError{{begin(document.Body), "the file holds a second document; a job spec is one"}}
		default:
			root = document.Body
		}
	}
	if root == nil {
		return nil, []syntaxError{{position{1, 1}, "the file is empty; a job spec is a mapping that begins with a name: and a source:"}}
	}
	return root, nil
}

// begin is the place of the first character of a node. (A block mapping's own token is its first colon.)
func begin(node ast.Node) position {
	switch node := node.(type) {
	case *ast.MappingNode:
		if !node.IsFlowStyle && len(node.Values) > 0 {
			return positionOf(node.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return positionOf(node.Key.GetToken())
	}
	return positionOf(node.GetToken())
}
