package expr

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"unicode/utf8"

	"pencere/pkg/expr/internal/javatext"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

// param is the type that an argument of a function must have.
type param uint8

const (
	aText  param = iota // CHAR or VARCHAR
	anInt               // TINYINT, SMALLINT or INT
	aBytes              // BINARY or VARBINARY
	aStringOrBytes
)

func (p param) accepts(t sqltype.Type) bool {
	switch p {
	case aText:
		return t.IsText()
	case anInt:
		return t.IsInteger() && t.Kind != sqltype.BigInt
	case aBytes:
		return t.Kind == sqltype.Bytes
	default:
		return t.IsText() || t.Kind == sqltype.Bytes
	}
}

// textFunc appends a function's result for row i; errNull makes the row NULL.
type textFunc func(dst []byte, c *call, i int) ([]byte, error)

// errNull makes a row NULL.
var errNull = errors.New("NULL")

// arg returns the text that is argument k of row i.
func (c *call) arg(k, i int) []byte { return c.args[k].text.at(i & c.args[k].mask()) }

// number returns the INT that is argument k of row i.
func (c *call) number(k, i int) int { return int(c.args[k].i32[i&c.args[k].mask()]) }

// textKernel computes texts row by row.
func textKernel(f textFunc) kernel {
	return func(c *call) error {
		dst := c.out.roomText(c.n)
		for i := range c.n {
			if c.wanted(i) {
				data, err := f(dst.data, c, i)
				switch {
				case errors.Is(err, errNull):
					c.out.setNull(i, c.n)
				case err != nil:
					return &failure{i, c.at, err}
				case len(data) > maxText:
					return c.fail(i, "the texts of one batch exceed %d bytes", maxText)
				default:
					dst.data = data
				}
			}
			dst.end()
		}
		return nil
	}
}

// intKernel computes INTs row by row.
func intKernel(f func(c *call, i int) int) kernel {
	return func(c *call) error {
		dst := room[int32](c.out, c.n)
		for i := range dst {
			if c.wanted(i) {
				dst[i] = int32(f(c, i))
			}
		}
		return nil
	}
}

// boolKernel computes BOOLEANs row by row.
func boolKernel(f func(c *call, i int) bool) kernel {
	return func(c *call) error {
		bits := c.out.roomBits(c.n)
		for i := range c.n {
			if c.wanted(i) && f(c, i) {
				bits.set(i)
			}
		}
		return nil
	}
}

// signature describes a function whose arguments have fixed types.
type signature struct {
	min    int // arguments that must be there
	params []param
	takes  string
	// result is the type for the arguments'; its NOT NULL says that the result is NULL only where an argument is.
	result func(args []sqltype.Type) sqltype.Type
	kernel kernel
}

func (s signature) function() function {
	return function{min: s.min, max: len(s.params), takes: s.takes, bind: func(b *binder, n *syntax.Call, args []*op) (*op, error) {
		for i, a := range args {
			if !s.params[i].accepts(a.typ) {
				return nil, nil
			}
			if s.params[i] == anInt {
				args[i] = b.convert(n, a, sqltype.IntType)
			}
		}
		t := s.result(typesOf(args))
		if t.NotNull {
			return b.strict(n, t, s.kernel, args...), nil
		}
		return b.nullable(n, t, s.kernel, args...), nil
	}}
}

// Results of signatures.
func returns(t sqltype.Type) func([]sqltype.Type) sqltype.Type {
	return func([]sqltype.Type) sqltype.Type { return t.WithNotNull(true) }
}

func mayReturn(t sqltype.Type) func([]sqltype.Type) sqltype.Type {
	return func([]sqltype.Type) sqltype.Type { return t }
}

func sameAsFirst(args []sqltype.Type) sqltype.Type { return args[0].WithNotNull(true) }

// varying is VARCHAR of the first argument's length.
func varying(args []sqltype.Type) sqltype.Type {
	return sqltype.Type{Kind: sqltype.VarChar, Length: args[0].Length, NotNull: true}
}

func varyingOrNull(args []sqltype.Type) sqltype.Type { return varying(args).Nullable() }

func char(n int) sqltype.Type { return sqltype.Type{Kind: sqltype.Char, Length: n} }

// addLengths is the sum of two lengths, at most the longest there is.
func addLengths(a, b sqltype.Type) int { return min(a.Length+b.Length, sqltype.MaxLength) }

func textFunctions() map[string]function {
	oneText := func(result func([]sqltype.Type) sqltype.Type, f textFunc) function {
		return signature{1, []param{aText}, "a text", result, textKernel(f)}.function()
	}
	length := signature{1, []param{aText}, "a text", returns(sqltype.IntType), intKernel(func(c *call, i int) int { return characters(c.arg(0, i)) })}.function()
	substring := signature{2, []param{aText, anInt, anInt}, "a text, an INT to start at and an INT as length", varyingOrNull, textKernel(substring)}.function()
	return map[string]function{
		"UPPER":       oneText(sameAsFirst, func(dst []byte, c *call, i int) ([]byte, error) { return javatext.AppendUpper(dst, c.arg(0, i)), nil }),
		"LOWER":       oneText(sameAsFirst, func(dst []byte, c *call, i int) ([]byte, error) { return javatext.AppendLower(dst, c.arg(0, i)), nil }),
		"INITCAP":     oneText(sameAsFirst, func(dst []byte, c *call, i int) ([]byte, error) { return appendInitcap(dst, c.arg(0, i)), nil }),
		"REVERSE":     oneText(mayReturn(sqltype.StringType), func(dst []byte, c *call, i int) ([]byte, error) { return appendReverse(dst, c.arg(0, i)), nil }),
		"CHAR_LENGTH": length, "CHARACTER_LENGTH": length,
		"SUBSTRING": substring, "SUBSTR": substring,
		"TRIM":  {min: 3, max: 3, takes: "texts", syntax: bindTrim},
		"LTRIM": signature{1, []param{aText, aText}, "texts", varying, textKernel(trim(true, false, 0))}.function(),
		"RTRIM": signature{1, []param{aText, aText}, "texts", varying, textKernel(trim(false, true, 0))}.function(),
		"LEFT":  signature{2, []param{aText, anInt}, "a text and an INT", varyingOrNull, textKernel(left)}.function(),
		"RIGHT": signature{2, []param{aText, anInt}, "a text and an INT", varyingOrNull, textKernel(right)}.function(),
		"REPLACE": signature{3, []param{aText, aText, aText}, "three texts", returns(sqltype.StringType), textKernel(func(dst []byte, c *call, i int) ([]byte, error) {
			return append(dst, bytes.ReplaceAll(c.arg(0, i), c.arg(1, i), c.arg(2, i))...), nil
		})}.function(),
		"OVERLAY":  signature{3, []param{aText, aText, anInt, anInt}, "two texts and INTs", overlayType, textKernel(overlay)}.function(),
		"POSITION": signature{2, []param{aText, aText, anInt}, "two texts and an INT", returns(sqltype.IntType), intKernel(positionOf(1, 0))}.function(),
		"LOCATE":   signature{2, []param{aText, aText, anInt}, "two texts and an INT", mayReturn(sqltype.IntType), intKernel(positionOf(1, 0))}.function(),
		"INSTR":    signature{2, []param{aText, aText, anInt}, "two texts and an INT", mayReturn(sqltype.IntType), intKernel(positionOf(0, 1))}.function(),
		"LPAD":     signature{3, []param{aText, anInt, aText}, "a text, an INT and a text", mayReturn(sqltype.StringType), textKernel(pad(true))}.function(),
		"RPAD":     signature{3, []param{aText, anInt, aText}, "a text, an INT and a text", mayReturn(sqltype.StringType), textKernel(pad(false))}.function(),
		"REPEAT":   signature{2, []param{aText, anInt}, "a text and an INT", returns(sqltype.StringType), textKernel(repeat)}.function(),
		"ASCII": signature{1, []param{aText}, "a text", mayReturn(sqltype.IntType), intKernel(func(c *call, i int) int {
			if s := c.arg(0, i); len(s) > 0 {
				return int(int8(s[0])) // Java's bytes have a sign
			}
			return 0
		})}.function(),
		"CHR":            {min: 1, max: 1, takes: "an integer", bind: bindChr},
		"||":             {min: 2, max: 2, takes: "two texts, or two byte strings", bind: bindConcatOperator},
		"CONCAT":         {min: 1, max: -1, takes: "texts", bind: bindConcat},
		"CONCAT_WS":      {min: 1, max: -1, takes: "texts", bind: bindConcatWS},
		"LIKE":           {min: 2, max: 3, takes: "texts", bind: bindLike(false)},
		"NOT LIKE":       {min: 2, max: 3, takes: "texts", bind: bindLike(true)},
		"SIMILAR TO":     {min: 2, max: 3, takes: "texts", bind: bindSimilar(false)},
		"NOT SIMILAR TO": {min: 2, max: 3, takes: "texts", bind: bindSimilar(true)},
		"REGEXP":         {min: 2, max: 2, takes: "texts", bind: bindRegexp},
		"REGEXP_REPLACE": {min: 3, max: 3, takes: "three texts", bind: bindRegexpReplace},
		"REGEXP_EXTRACT": {min: 2, max: 3, takes: "two texts and an INT", bind: bindRegexpExtract},
		"SPLIT_INDEX":    {min: 3, max: 3, takes: "a text, a text or INT, and an INT", bind: bindSplitIndex},
		"MD5":            digest(md5.New), "SHA1": digest(sha1.New), "SHA224": digest(sha256.New224), "SHA256": digest(sha256.New),
		"SHA384": digest(sha512.New384), "SHA512": digest(sha512.New),
		"ENCODE": signature{2, []param{aText, aText}, "a text and a character set", mayReturn(sqltype.Type{Kind: sqltype.Bytes, Length: 1}), textKernel(encode)}.function(),
		"DECODE": signature{2, []param{aBytes, aText}, "bytes and a character set", mayReturn(sqltype.StringType), textKernel(decode)}.function(),
		"TO_BASE64": signature{1, []param{aStringOrBytes}, "a text or bytes", mayReturn(sqltype.StringType), textKernel(func(dst []byte, c *call, i int) ([]byte, error) {
			return base64.StdEncoding.AppendEncode(dst, c.arg(0, i)), nil
		})}.function(),
		"FROM_BASE64": oneText(returns(sqltype.StringType), func(dst []byte, c *call, i int) ([]byte, error) {
			dst, err := base64.StdEncoding.AppendDecode(dst, c.arg(0, i))
			if err != nil {
				return dst, errorf("%s is not base64", quote(c.arg(0, i)))
			}
			return dst, nil
		}),
	}
}

// digest makes a function of the hexadecimal digest of a text.
func digest(algorithm func() hash.Hash) function {
	size := algorithm().Size()
	return signature{1, []param{aText}, "a text", returns(char(2 * size)), func(c *call) error {
		h := algorithm()
		return textKernel(func(dst []byte, c *call, i int) ([]byte, error) {
			h.Reset()
			h.Write(c.arg(0, i))
			return hex.AppendEncode(dst, h.Sum(nil)), nil
		})(c)
	}}.function()
}

// skip returns the byte offset of character n of s, len(s) if there are fewer.
func skip(s []byte, n int) int {
	i := 0
	for ; n > 0 && i < len(s); n-- {
		_, size := utf8.DecodeRune(s[i:])
		i += size
	}
	return i
}

// substring counts from 1, from the end if the start is negative; 0 is 1. A negative length makes NULL.
func substring(dst []byte, c *call, i int) ([]byte, error) {
	s, start, length := c.arg(0, i), c.number(1, i), sqltype.MaxLength
	if len(c.args) == 3 {
		if length = c.number(2, i); length < 0 {
			return dst, errNull
		}
	}
	switch {
	case start > 0:
		start--
	case start < 0:
		if start += characters(s); start < 0 {
			return dst, nil
		}
	}
	s = s[skip(s, start):]
	return append(dst, s[:skip(s, length)]...), nil
}

func left(dst []byte, c *call, i int) ([]byte, error) {
	s := c.arg(0, i)
	return append(dst, s[:skip(s, c.number(1, i))]...), nil
}

func right(dst []byte, c *call, i int) ([]byte, error) {
	s, n := c.arg(0, i), c.number(1, i)
	if n <= 0 {
		return dst, nil
	}
	return append(dst, s[skip(s, characters(s)-n):]...), nil
}

// position returns the character, from 1, at which part begins in whole, looking from character start; 0 if nowhere.
func position(whole, part []byte, start int) int {
	from := skip(whole, start-1)
	n := bytes.Index(whole[from:], part)
	if n < 0 {
		return 0
	}
	return characters(whole[:from+n]) + 1
}

// positionOf is position with the arguments' places and a third one where to begin.
func positionOf(whole, part int) func(c *call, i int) int {
	return func(c *call, i int) int {
		start := 1
		if len(c.args) == 3 {
			start = c.number(2, i)
		}
		return position(c.arg(whole, i), c.arg(part, i), start)
	}
}

// bindTrim compiles TRIM(side, characters, x).
func bindTrim(b *binder, n *syntax.Call) (*op, error) {
	args, err := b.bindAll([]syntax.Node{n.Args[2], n.Args[1]})
	if err != nil {
		return nil, err
	}
	if !args[0].typ.IsText() || !args[1].typ.IsText() {
		return nil, mismatch(n, b.functions["TRIM"], args)
	}
	side := n.Args[0].(*syntax.Keyword).Word
	k := textKernel(trim(side != "TRAILING", side != "LEADING", 0))
	return b.strict(n, varying(typesOf(args)), k, args...), nil
}

// trim removes the characters of argument text+1, blanks if there is none, from the ends of argument text.
func trim(leading, trailing bool, text int) textFunc {
	return func(dst []byte, c *call, i int) ([]byte, error) {
		s, cut := c.arg(text, i), " "
		if len(c.args) > text+1 {
			cut = string(c.arg(text+1, i))
		}
		if leading {
			s = bytes.TrimLeft(s, cut)
		}
		if trailing {
			s = bytes.TrimRight(s, cut)
		}
		return append(dst, s...), nil
	}
}

// appendInitcap makes ASCII letters upper case at the beginning of a word and lower case within; a word is ASCII letters and digits.
func appendInitcap(dst, s []byte) []byte {
	inside := false
	for _, b := range s {
		letter := 'a' <= b|0x20 && b|0x20 <= 'z'
		switch {
		case letter && inside:
			b |= 0x20
		case letter:
			b &^= 0x20
		}
		inside = letter || '0' <= b && b <= '9'
		dst = append(dst, b)
	}
	return dst
}

func appendReverse(dst, s []byte) []byte {
	for len(s) > 0 {
		_, size := utf8.DecodeLastRune(s)
		dst = append(dst, s[len(s)-size:]...)
		s = s[:len(s)-size]
	}
	return dst
}

func repeat(dst []byte, c *call, i int) ([]byte, error) {
	s, n := c.arg(0, i), c.number(1, i)
	if len(s)*max(n, 0) > maxValue {
		return dst, errorf("REPEAT(%s, %d) is longer than %d bytes", quote(s), n, maxValue)
	}
	for range n {
		dst = append(dst, s...)
	}
	return dst, nil
}
