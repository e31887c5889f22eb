// Package syntax reads the scalar expressions of Flink SQL (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/dev/table/sql/queries/overview/#syntax)
// into a tree with positions. It knows the grammar and no types. It is pure.
package syntax

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of an expression; they bound the memory and the stack that a text can cost.
const (
	MaxLength = 1 << 20 // bytes of text
	MaxDepth  = 1000    // nested parentheses, calls and operators, and operators in a row
	MaxArgs   = 4096    // arguments of a call, elements of IN, branches of CASE
)

// Error is a place in the text that the grammar does not allow.
type Error struct {
	Offset  int // byte offset of the offending token
	Message string
}

func (e *Error) Error() string { return e.Message }

// kind tells tokens apart.
type kind uint8

const (
	end        kind = iota
	word            // keyword or name, as written
	quotedName      // `name`
	exact           // 12, 1.5
	approx          // 1e3
	text            // 'text', value without quotes
	bytesText       // X'4142', value is the hex digits
	symbol          // operator or punctuation
)

type token struct {
	kind   kind
	value  string // decoded
	offset int
	end    int
}

// is reports whether t is the keyword or symbol s, given in upper case.
func (t token) is(s string) bool {
	switch t.kind {
	case word:
		return len(t.value) == len(s) && strings.EqualFold(t.value, s)
	case symbol:
		return t.value == s
	default:
		return false
	}
}

func (t token) String() string {
	switch t.kind {
	case end:
		return "the end of the expression"
	case text:
		return "'" + t.value + "'"
	default:
		return fmt.Sprintf("%q", t.value)
	}
}

// scan cuts the text into tokens; the last one is end.
func scan(input string) ([]token, error) {
	if len(input) > MaxLength {
		return nil, &Error{MaxLength, fmt.Sprintf("the expression is longer than %d bytes", MaxLength)}
	}
	s := scanner{input: input}
	var tokens []token
	for {
		t, err := s.next()
		if err != nil {
			return nil, err
		}
		t.end = s.pos
		tokens = append(tokens, t)
		if t.kind == end {
			return tokens, nil
		}
	}
}

type scanner struct {
	input string
	pos   int
}

func (s *scanner) next() (token, error) {
	if err := s.skipBlanks(); err != nil {
		return token{}, err
	}
	start := s.pos
	if start == len(s.input) {
		return token{kind: end, offset: start}, nil
	}
	r, _ := utf8.DecodeRuneInString(s.input[start:])
	switch {
	case r == '\'':
		value, err := s.quoted('\'', "text")
		return token{kind: text, value: value, offset: start}, err
	case r == '`':
		value, err := s.quoted('`', "name")
		if err == nil && value == "" {
			err = &Error{start, "the name between the backquotes is empty"}
		}
		return token{kind: quotedName, value: value, offset: start}, err
	case (r == 'x' || r == 'X') && strings.HasPrefix(s.input[start+1:], "'"):
		s.pos++
		value, err := s.quoted('\'', "binary text")
		return token{kind: bytesText, value: value, offset: start}, err
	case isDigit(r) || r == '.' && start+1 < len(s.input) && isDigit(rune(s.input[start+1])):
		return s.number()
	case r == '_' || unicode.IsLetter(r):
		s.pos += strings.IndexFunc(s.input[start:]+" ", func(r rune) bool {
			return r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
		})
		return token{kind: word, value: s.input[start:s.pos], offset: start}, nil
	}
	return s.symbol()
}

// skipBlanks passes white space and comments: -- to the end of the line, and /* */.
func (s *scanner) skipBlanks() error {
	for s.pos < len(s.input) {
		rest := s.input[s.pos:]
		switch {
		case strings.HasPrefix(rest, "--"):
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				s.pos += n + 1
			} else {
				s.pos = len(s.input)
			}
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest, "*/")
			if n < 0 {
				return &Error{s.pos, "the comment that begins here is not closed by */"}
			}
			s.pos += n + 2
		case strings.IndexByte(" \t\r\n\f", rest[0]) >= 0:
			s.pos++
		default:
			return nil
		}
	}
	return nil
}

// quoted reads up to the closing quote; a doubled quote stands for one.
func (s *scanner) quoted(quote byte, what string) (string, error) {
	start := s.pos
	var b strings.Builder
	for s.pos++; ; {
		n := strings.IndexByte(s.input[s.pos:], quote)
		if n < 0 {
			return "", &Error{start, fmt.Sprintf("the %s that begins here is not closed by %c", what, quote)}
		}
		b.WriteString(s.input[s.pos : s.pos+n])
		s.pos += n + 1
		if s.pos == len(s.input) || s.input[s.pos] != quote {
			return b.String(), nil
		}
		b.WriteByte(quote)
		s.pos++
	}
}

func (s *scanner) number() (token, error) {
	start, k := s.pos, exact
	s.digits()
	if s.pos < len(s.input) && s.input[s.pos] == '.' {
		s.pos++
		s.digits()
	}
	if s.pos < len(s.input) && (s.input[s.pos] == 'e' || s.input[s.pos] == 'E') {
		mark := s.pos
		s.pos++
		if s.pos < len(s.input) && (s.input[s.pos] == '+' || s.input[s.pos] == '-') {
			s.pos++
		}
		if k = approx; s.digits() == 0 {
			return token{}, &Error{mark, "the exponent of the number has no digits"}
		}
	}
	if r, _ := utf8.DecodeRuneInString(s.input[s.pos:]); r == '_' || unicode.IsLetter(r) {
		return token{}, &Error{s.pos, fmt.Sprintf("unexpected %q right after the number %s", r, s.input[start:s.pos])}
	}
	return token{kind: k, value: s.input[start:s.pos], offset: start}, nil
}

func (s *scanner) digits() (n int) {
	for s.pos < len(s.input) && isDigit(rune(s.input[s.pos])) {
		s.pos++
		n++
	}
	return n
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// symbols are the operators and punctuation, the longer ones first.
var symbols = []string{"<>", "<=", ">=", "||", "!=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", "."}

// foreign are characters that other dialects use, with what to write instead.
var foreign = map[rune]string{
	'"': `write texts as 'text' and names as ` + "`name`",
	'!': "write NOT or <>",
	'&': "write AND",
	'|': "write OR, or || to join texts",
	';': "an expression ends without a semicolon",
}

func (s *scanner) symbol() (token, error) {
	for _, known := range symbols {
		if strings.HasPrefix(s.input[s.pos:], known) {
			t := token{kind: symbol, value: known, offset: s.pos}
			s.pos += len(known)
			if known == "!=" {
				t.value = "<>"
			}
			return t, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(s.input[s.pos:])
	message := fmt.Sprintf("unexpected character %q", r)
	if hint := foreign[r]; hint != "" {
		message += ": " + hint
	}
	return token{}, &Error{s.pos, message}
}
