package expr

import (
	"pencere/pkg/expr/internal/javatext"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

// bindConcatOperator compiles ||. Two CHARs make CHAR, whose length is the sum; NULL with anything is NULL.
func bindConcatOperator(b *binder, n *syntax.Call, args []*op) (*op, error) {
	x, y := args[0].typ, args[1].typ
	t := sqltype.Type{Kind: sqltype.VarChar, Length: addLengths(x, y)}
	switch {
	case x.Kind == sqltype.Bytes && y.Kind == sqltype.Bytes:
		t.Kind = sqltype.Bytes
	case !x.IsText() || !y.IsText():
		return nil, nil
	case x.Kind == sqltype.Char && y.Kind == sqltype.Char:
		t.Kind = sqltype.Char
	}
	return b.strict(n, t, textKernel(concat), args...), nil
}

// bindConcat compiles CONCAT, whose type is STRING.
func bindConcat(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !allText(args) {
		return nil, nil
	}
	return b.strict(n, sqltype.StringType, textKernel(concat), args...), nil
}

func allText(args []*op) bool {
	for _, a := range args {
		if !a.typ.IsText() {
			return false
		}
	}
	return true
}

func concat(dst []byte, c *call, i int) ([]byte, error) {
	for k := range c.args {
		dst = append(dst, c.arg(k, i)...)
	}
	return dst, nil
}

// bindConcatWS compiles CONCAT_WS(separator, …), which leaves out NULLs; it is NULL only if the separator is.
func bindConcatWS(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !allText(args) {
		return nil, nil
	}
	run := func(f *frame, o *op, active bitmap) (*vector, error) {
		c, err := f.call(o, active)
		if err != nil {
			return nil, err
		}
		if c.out.meet(c.args[:1], f.n) {
			return c.out, nil
		}
		return c.out, textKernel(concatWS)(c)
	}
	notNull := true
	for _, a := range args {
		notNull = notNull && a.typ.NotNull
	}
	return b.operator(n, sqltype.StringType.WithNotNull(notNull), run, args...), nil
}

func concatWS(dst []byte, c *call, i int) ([]byte, error) {
	first := true
	for k := 1; k < len(c.args); k++ {
		if c.args[k].isNull(i) {
			continue
		}
		if !first {
			dst = append(dst, c.arg(0, i)...)
		}
		dst, first = append(dst, c.arg(k, i)...), false
	}
	return dst, nil
}

// overlayType is VARCHAR of both lengths together.
func overlayType(args []sqltype.Type) sqltype.Type {
	return sqltype.Type{Kind: sqltype.VarChar, Length: addLengths(args[0], args[1]), NotNull: true}
}

// overlay is OVERLAY(x PLACING y FROM start FOR length). It counts UTF-16 units, as Flink does here, and like Flink drops the rest of x where the
// length is not positive or reaches beyond the end. A start outside of x leaves it alone.
func overlay(dst []byte, c *call, i int) ([]byte, error) {
	x, y, start := javatext.Units(c.arg(0, i)), javatext.Units(c.arg(1, i)), c.number(2, i)
	length := len(y)
	if len(c.args) == 4 {
		length = c.number(3, i)
	}
	if start <= 0 || start > len(x) {
		return append(dst, c.arg(0, i)...), nil
	}
	result := append(append([]uint16{}, x[:start-1]...), y...)
	if start+length <= len(x) && length > 0 {
		result = append(result, x[start-1+length:]...)
	}
	return appendUnits(dst, result)
}

// appendUnits appends UTF-16. Half of a pair cannot be written: Flink fails when its CSV writer meets it.
func appendUnits(dst []byte, units []uint16) ([]byte, error) {
	dst, ok := javatext.AppendUnits(dst, units)
	if !ok {
		return dst, errorf("the result cuts a character beyond U+FFFF, such as an emoji, in two")
	}
	return dst, nil
}

// pad makes LPAD and RPAD: exactly length UTF-16 units, NULL for a negative length or an empty padding.
func pad(before bool) textFunc {
	return func(dst []byte, c *call, i int) ([]byte, error) {
		length, padding := c.number(1, i), javatext.Units(c.arg(2, i))
		switch {
		case length < 0 || len(padding) == 0:
			return dst, errNull
		case length > maxValue:
			return dst, errorf("a length of %d is more than %d", length, maxValue)
		}
		text := javatext.Units(c.arg(0, i))
		text = text[:min(length, len(text))]
		filling := make([]uint16, 0, length)
		for k := range length - len(text) {
			filling = append(filling, padding[k%len(padding)])
		}
		if before {
			return appendUnits(dst, append(filling, text...))
		}
		return appendUnits(dst, append(text, filling...))
	}
}

// bindChr compiles CHR(n): the character of the low 8 bits, nothing for a negative number.
func bindChr(b *binder, n *syntax.Call, args []*op) (*op, error) {
	if !args[0].typ.IsInteger() {
		return nil, nil
	}
	k := textKernel(func(dst []byte, c *call, i int) ([]byte, error) {
		v := c.args[0].i64[i&c.args[0].mask()]
		if v < 0 {
			return dst, nil
		}
		return append(dst, string(rune(v&0xff))...), nil
	})
	return b.nullable(n, sqltype.StringType, k, b.convert(n, args[0], sqltype.BigIntType)), nil
}

func encode(dst []byte, c *call, i int) ([]byte, error) {
	dst, ok := javatext.Encode(dst, c.arg(0, i), string(c.arg(1, i)))
	if !ok {
		return dst, errorf("unknown character set %s; there are %s", quote(c.arg(1, i)), javatext.Charsets)
	}
	return dst, nil
}

func decode(dst []byte, c *call, i int) ([]byte, error) {
	dst, ok := javatext.Decode(dst, c.arg(0, i), string(c.arg(1, i)))
	if !ok {
		return dst, errorf("unknown character set %s; there are %s", quote(c.arg(1, i)), javatext.Charsets)
	}
	return dst, nil
}
