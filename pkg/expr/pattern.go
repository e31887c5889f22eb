package expr

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"pencere/pkg/expr/internal/javatext"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

// constantText returns the text of a constant that is not NULL.
func (o *op) constantText() (string, bool) {
	if o.value == nil || o.value.null || !o.typ.IsText() {
		return "", false
	}
	return string(o.value.text.at(0)), true
}

// escapeOf returns the character of an ESCAPE, which must be a constant; 0 without one.
func escapeOf(args []*op) (rune, error) {
	if len(args) < 3 {
		return 0, nil
	}
	text, ok := args[2].constantText()
	r, size := utf8.DecodeRuneInString(text)
	if !ok || size == 0 || size != len(text) {
		return 0, &syntax.Error{Offset: args[2].at, Message: "the ESCAPE of a pattern must be one character in quotes"}
	}
	return r, nil
}

// bindLike compiles LIKE; a constant pattern is compiled once.
func bindLike(negate bool) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		escape, err := escapeOf(args)
		if err != nil || !allText(args) {
			return nil, err
		}
		if pattern, ok := args[1].constantText(); ok {
			p, err := javatext.CompileLike([]byte(pattern), escape)
			if err != nil {
				return nil, &syntax.Error{Offset: args[1].at, Message: err.Error()}
			}
			return b.strict(n, sqltype.BooleanType, boolKernel(func(c *call, i int) bool { return p.Match(c.arg(0, i)) != negate }), args[0]), nil
		}
		return b.strict(n, sqltype.BooleanType, likeColumn(escape, negate), args[0], args[1]), nil
	}
}

// likeColumn matches patterns that differ from row to row.
func likeColumn(escape rune, negate bool) kernel {
	return func(c *call) error {
		bits := c.out.roomBits(c.n)
		for i := range c.n {
			if !c.wanted(i) {
				continue
			}
			p, err := javatext.CompileLike(c.arg(1, i), escape)
			if err != nil {
				return &failure{i, c.at, err}
			}
			if p.Match(c.arg(0, i)) != negate {
				bits.set(i)
			}
		}
		return nil
	}
}

// bindSimilar compiles SIMILAR TO, whose pattern must be a constant.
func bindSimilar(negate bool) func(*binder, *syntax.Call, []*op) (*op, error) {
	return func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		escape, err := escapeOf(args)
		if err != nil || !allText(args) {
			return nil, err
		}
		pattern, ok := args[1].constantText()
		if !ok {
			return nil, &syntax.Error{Offset: args[1].at, Message: "the pattern of SIMILAR TO must be a text in quotes"}
		}
		re, err := javatext.CompileSimilar(pattern, escape)
		if err != nil {
			return nil, &syntax.Error{Offset: args[1].at, Message: err.Error()}
		}
		return b.strict(n, sqltype.BooleanType, boolKernel(func(c *call, i int) bool { return re.Match(c.arg(0, i)) != negate }), args[0]), nil
	}
}

// regexpOf compiles the regular expression that is args[1], which must be a constant. The syntax is RE2's, which is Java's without
// look-around and back references.
func regexpOf(n *syntax.Call, args []*op) (*regexp.Regexp, error) {
	pattern, ok := args[1].constantText()
	if !ok {
		return nil, &syntax.Error{Offset: args[1].at, Message: "the regular expression of " + n.Name + " must be a text in quotes"}
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, &syntax.Error{Offset: args[1].at, Message: err.Error()}
	}
	return re, nil
}

// bindRegexp compiles REGEXP(x, regex): whether a part of x matches.
func bindRegexp(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !allText(args) {
		return nil, nil
	}
	re, err := regexpOf(n, args)
	if err != nil {
		return nil, err
	}
	return b.nullable(n, sqltype.BooleanType, boolKernel(func(c *call, i int) bool { return re.Match(c.arg(0, i)) }), args[0]), nil
}

// bindRegexpReplace compiles REGEXP_REPLACE(x, regex, replacement), where the replacement is text and nothing else.
func bindRegexpReplace(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !allText(args) {
		return nil, nil
	}
	re, err := regexpOf(n, args)
	if err != nil {
		return nil, err
	}
	return b.nullable(n, sqltype.StringType, textKernel(func(dst []byte, c *call, i int) ([]byte, error) {
		return append(dst, re.ReplaceAllLiteral(c.arg(0, i), c.arg(1, i))...), nil
	}), args[0], args[2]), nil
}

// bindRegexpExtract compiles REGEXP_EXTRACT(x, regex[, group]): a group of the first match, NULL without a match.
func bindRegexpExtract(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !args[0].typ.IsText() || !args[1].typ.IsText() || len(args) == 3 && !args[2].typ.IsInteger() {
		return nil, nil
	}
	re, err := regexpOf(n, args)
	if err != nil {
		return nil, err
	}
	group := b.constant(n, sqltype.IntType, &vector{i32: []int32{0}})
	if len(args) == 3 {
		group = b.convert(n, args[2], sqltype.IntType)
	}
	return b.nullable(n, sqltype.StringType, textKernel(func(dst []byte, c *call, i int) ([]byte, error) {
		k := c.number(1, i)
		m := re.FindSubmatchIndex(c.arg(0, i))
		if m == nil || k < 0 || 2*k >= len(m) || m[2*k] < 0 {
			return dst, errNull
		}
		return append(dst, c.arg(0, i)[m[2*k]:m[2*k+1]]...), nil
	}), args[0], group), nil
}

// bindSplitIndex compiles SPLIT_INDEX(x, separator, index): the part with the index, from 0; NULL if there is none. The separator may be the code of
// a character.
func bindSplitIndex(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !args[0].typ.IsText() || !args[1].typ.IsText() && !args[1].typ.IsInteger() || !args[2].typ.IsInteger() {
		return nil, nil
	}
	byCode := args[1].typ.IsInteger()
	if byCode {
		args[1] = b.convert(n, args[1], sqltype.IntType)
	}
	args[2] = b.convert(n, args[2], sqltype.IntType)
	return b.nullable(n, sqltype.StringType, textKernel(func(dst []byte, c *call, i int) ([]byte, error) {
		var separator []byte
		if byCode {
			code := c.number(1, i)
			if code < 1 || code > 255 {
				return dst, errNull
			}
			separator = []byte(string(rune(code)))
		} else {
			separator = c.arg(1, i)
		}
		return appendPart(dst, c.arg(0, i), separator, c.number(2, i))
	}), args...), nil
}

// appendPart appends part index of s. An empty s has no parts; an empty separator stands for white space.
func appendPart(dst, s, separator []byte, index int) ([]byte, error) {
	if len(s) == 0 || index < 0 {
		return dst, errNull
	}
	if len(separator) == 0 {
		fields := strings.Fields(string(s))
		if index >= len(fields) {
			return dst, errNull
		}
		return append(dst, fields[index]...), nil
	}
	for ; index > 0; index-- {
		_, rest, found := bytes.Cut(s, separator)
		if !found {
			return dst, errNull
		}
		s = rest
	}
	part, _, _ := bytes.Cut(s, separator)
	return append(dst, part...), nil
}
