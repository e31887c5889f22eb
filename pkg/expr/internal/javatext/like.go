package javatext

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Pattern is a compiled pattern of LIKE.
type Pattern struct {
	parts []likePart
	// plain patterns are one text with or without % at its ends.
	plain              bool
	text               []byte
	openHead, openTail bool
}

// likePart is a character, or one of the wildcards.
type likePart struct {
	kind likeKind
	char rune
}

type likeKind uint8

const (
	likeChar likeKind = iota
	likeOne           // _
	likeMany          // %
)

// CompileLike compiles a pattern: % is any text, _ any character, escape (0 for none) takes the meaning from a wildcard or itself after it.
func CompileLike(pattern []byte, escape rune) (*Pattern, error) {
	p := &Pattern{}
	for i := 0; i < len(pattern); {
		r, size := utf8.DecodeRune(pattern[i:])
		i += size
		part := likePart{likeChar, r}
		switch {
		case escape != 0 && r == escape:
			next, size := utf8.DecodeRune(pattern[i:])
			if size == 0 || next != '%' && next != '_' && next != escape {
				return nil, fmt.Errorf("in the pattern '%s' the escape character %c must be before %%, _ or itself", pattern, escape)
			}
			part.char = next
			i += size
		case r == '_':
			part.kind = likeOne
		case r == '%':
			part.kind = likeMany
			if n := len(p.parts); n > 0 && p.parts[n-1].kind == likeMany {
				continue
			}
		}
		p.parts = append(p.parts, part)
	}
	p.simplify()
	return p, nil
}

// simplify finds patterns that need no more than a comparison or a search.
func (p *Pattern) simplify() {
	parts := p.parts
	if len(parts) > 0 && parts[0].kind == likeMany {
		p.openHead, parts = true, parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].kind == likeMany {
		p.openTail, parts = true, parts[:n-1]
	}
	for _, part := range parts {
		if part.kind != likeChar {
			return
		}
		p.text = utf8.AppendRune(p.text, part.char)
	}
	p.plain = true
	if len(parts) == 0 && p.openHead {
		p.openTail = true // "%" alone is open on both sides
	}
}

// Match reports whether the whole of s matches.
func (p *Pattern) Match(s []byte) bool {
	if !p.plain {
		return p.match(s)
	}
	switch {
	case p.openHead && p.openTail:
		return bytes.Contains(s, p.text)
	case p.openHead:
		return bytes.HasSuffix(s, p.text)
	case p.openTail:
		return bytes.HasPrefix(s, p.text)
	}
	return bytes.Equal(s, p.text)
}

// match goes through s once for each stretch between two %, and back to the last % where it fails: time is at most the product of the lengths.
func (p *Pattern) match(s []byte) bool {
	i, k := 0, 0
	retry, retryAt := -1, 0
	for i < len(s) || k < len(p.parts) {
		if k < len(p.parts) {
			part := p.parts[k]
			if part.kind == likeMany {
				retry, retryAt = k, i
				k++
				continue
			}
			if r, size := utf8.DecodeRune(s[i:]); size > 0 && (part.kind == likeOne || part.char == r) {
				i, k = i+size, k+1
				continue
			}
		}
		if retry < 0 || retryAt >= len(s) {
			return false
		}
		_, size := utf8.DecodeRune(s[retryAt:])
		retryAt += size
		i, k = retryAt, retry+1
	}
	return true
}

// CompileSimilar compiles a pattern of SIMILAR TO: the wildcards of LIKE, and | * + ? {} () [] of regular expressions.
func CompileSimilar(pattern string, escape rune) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)\A(?:`)
	escaped, class := false, false
	for _, r := range pattern {
		switch {
		case escaped:
			b.WriteString(regexp.QuoteMeta(string(r)))
			escaped = false
		case escape != 0 && r == escape:
			escaped = true
		case class:
			class = r != ']'
			b.WriteRune(r)
		case r == '[':
			class = true
			b.WriteRune(r)
		case r == '%':
			b.WriteString(".*")
		case r == '_':
			b.WriteByte('.')
		case strings.ContainsRune("|*+?{}()", r):
			b.WriteRune(r)
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString(`)\z`)
	if escaped {
		return nil, fmt.Errorf("the pattern '%s' ends with its escape character", pattern)
	}
	return regexp.Compile(b.String())
}
