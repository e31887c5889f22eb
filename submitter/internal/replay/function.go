package replay

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

func allText(args []expression) bool {
	return !slices.ContainsFunc(args, func(a expression) bool { return !a.typ.IsText() })
}

// ascii reports whether a text's case and length are those of its bytes.
func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0
}

// textFunction is UPPER, LOWER and CHAR_LENGTH.
func textFunction(name string, args []expression) (expression, bool) {
	if len(args) != 1 || !allText(args) {
		return expression{}, false
	}
	switch name {
	case "UPPER", "LOWER":
		return strict(sqltype.StringType, func(v []value) (value, error) {
			s := v[0].(string)
			if !ascii(s) {
				return nil, unsupported("%s of text that is not ASCII: Java's rules for it are not Go's", name)
			}
			if name == "UPPER" {
				return strings.ToUpper(s), nil
			}
			return strings.ToLower(s), nil
		}, args[0]), true
	default:
		return strict(sqltype.IntType, func(v []value) (value, error) { return int64(len([]rune(v[0].(string)))), nil }, args[0]), true
	}
}

func concat(_ string, args []expression) (expression, bool) {
	return strict(sqltype.StringType, func(v []value) (value, error) {
		var whole strings.Builder
		for _, part := range v {
			whole.WriteString(part.(string))
		}
		return whole.String(), nil
	}, args...), allText(args)
}

// substring counts characters from 1; a negative start counts from the end, and 0 is 1.
func substring(_ string, args []expression) (expression, bool) {
	if len(args) < 2 || !allText(args[:1]) || slices.ContainsFunc(args[1:], func(a expression) bool { return a.typ.Kind != sqltype.Int }) {
		return expression{}, false
	}
	return strict(sqltype.StringType, func(v []value) (value, error) {
		all, from := []rune(v[0].(string)), v[1].(int64)
		length := int64(len(all))
		if len(v) == 3 {
			if length = v[2].(int64); length < 0 {
				return nil, nil
			}
		}
		switch {
		case from > 0:
			from--
		case from < 0:
			from += int64(len(all))
		}
		if from < 0 || from > int64(len(all)) {
			return "", nil
		}
		return string(all[from:min(from+length, int64(len(all)))]), nil
	}, args...), true
}

func like(name string, args []expression) (expression, bool) {
	return strict(sqltype.BooleanType, func(v []value) (value, error) {
		var pattern strings.Builder
		pattern.WriteString(`(?s)^`)
		for _, r := range v[1].(string) {
			switch r {
			case '%':
				pattern.WriteString(".*")
			case '_':
				pattern.WriteString(".")
			case '\\':
				return nil, unsupported("LIKE with a backslash")
			default:
				pattern.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
		matcher, err := regexp.Compile(pattern.String() + "$")
		if err != nil {
			return nil, unsupported("the pattern %q: %v", v[1], err)
		}
		return matcher.MatchString(v[0].(string)) == (name == "LIKE"), nil
	}, args...), len(args) == 2 && allText(args)
}

// keywordCall compiles a call with arguments that are no expressions; false is that n is none.
func (w *walker) keywordCall(n *syntax.Call) (e expression, ok bool, err error) {
	switch n.Name {
	case "TRIM":
		e, err = w.trim(n)
	case "EXTRACT":
		e, err = w.extract(n)
	default:
		return e, false, nil
	}
	return e, true, err
}

func (w *walker) trim(n *syntax.Call) (expression, error) {
	side, ok := n.Args[0].(*syntax.Keyword)
	cutset, ok2 := n.Args[1].(*syntax.Literal)
	if !ok || !ok2 || cutset.Text != " " {
		return expression{}, unsupported("TRIM of other characters than blanks")
	}
	arg, err := w.walk(n.Args[2])
	if err != nil {
		return expression{}, err
	}
	if !arg.typ.IsText() {
		return expression{}, unsupported("TRIM(%s)", arg.typ)
	}
	cut := map[string]func(s, cutset string) string{"BOTH": strings.Trim, "LEADING": strings.TrimLeft, "TRAILING": strings.TrimRight}[side.Word]
	return strict(sqltype.StringType, func(v []value) (value, error) { return cut(v[0].(string), " "), nil }, arg), nil
}

func (w *walker) extract(n *syntax.Call) (expression, error) {
	unit, ok := n.Args[0].(*syntax.Keyword)
	if !ok {
		return expression{}, unsupported("EXTRACT")
	}
	arg, err := w.walk(n.Args[1])
	if err != nil {
		return expression{}, err
	}
	if e, fits := partOfTime(strings.TrimSuffix(unit.Word, "S"), []expression{arg}); fits {
		return e, nil
	}
	return expression{}, unsupported("EXTRACT(%s FROM %s)", unit.Word, arg.typ)
}

// partOfTime is YEAR and the like of a TIMESTAMP.
func partOfTime(name string, args []expression) (expression, bool) {
	of := map[string]func(time.Time) int{
		"YEAR": time.Time.Year, "MONTH": func(t time.Time) int { return int(t.Month()) }, "DAY": time.Time.Day, "DAYOFMONTH": time.Time.Day,
		"QUARTER": func(t time.Time) int { return int(t.Month()+2) / 3 },
		"HOUR":    time.Time.Hour, "MINUTE": time.Time.Minute, "SECOND": time.Time.Second,
	}[name]
	if of == nil || len(args) != 1 || args[0].typ.Kind != sqltype.Timestamp {
		return expression{}, false
	}
	return strict(sqltype.BigIntType, func(v []value) (value, error) {
		s := v[0].(stamp)
		if s.ms < 0 {
			return nil, unsupported("%s of a time before 1970", name)
		}
		return int64(of(s.time())), nil
	}, args[0]), true
}

// trimmed is LTRIM and RTRIM of blanks.
func trimmed(name string, args []expression) (expression, bool) {
	if len(args) != 1 || !allText(args) {
		return expression{}, false
	}
	cut := map[string]func(s, cutset string) string{"LTRIM": strings.TrimLeft, "RTRIM": strings.TrimRight}[name]
	return strict(sqltype.StringType, func(v []value) (value, error) { return cut(v[0].(string), " "), nil }, args[0]), true
}

// extreme is LEAST and GREATEST of values that are compared as they are.
func extreme(name string, args []expression) (expression, bool) {
	t, ok := common(args)
	return strict(t, func(v []value) (value, error) {
		best := v[0]
		for _, next := range v[1:] {
			if order, _ := compare(next, best, t, t); order != 0 && (order < 0) == (name == "LEAST") {
				best = next
			}
		}
		return best, nil
	}, args...), ok && !t.IsApproximate() && t.Kind != sqltype.Decimal && comparableTypes(t, t)
}

func squareRoot(_ string, args []expression) (expression, bool) {
	return strict(sqltype.DoubleType, func(v []value) (value, error) { return math.Sqrt(v[0].(float64)), nil }, args...),
		len(args) == 1 && args[0].typ.Kind == sqltype.Double
}

// dateFormat is DATE_FORMAT of a TIMESTAMP by the numeric letters of Java's patterns in their full width, with signs between them.
func dateFormat(_ string, args []expression) (expression, bool) {
	if len(args) != 2 || args[0].typ.Kind != sqltype.Timestamp || !args[1].typ.IsText() {
		return expression{}, false
	}
	return strict(sqltype.StringType, func(v []value) (value, error) {
		at := v[0].(stamp).time()
		if at.Year() < 1 || at.Year() > 9999 {
			return nil, unsupported("DATE_FORMAT of the year %d", at.Year())
		}
		var out strings.Builder
		for _, token := range patternTokens.FindAllString(v[1].(string), -1) {
			layout, known := javaLayouts[token]
			switch letters := strings.ContainsAny(token[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'[]{}#"); {
			case known:
				out.WriteString(at.Format(layout))
			case letters:
				return nil, unsupported("DATE_FORMAT by %q", token)
			default:
				out.WriteString(token)
			}
		}
		return out.String(), nil
	}, args...), true
}

// patternTokens are runs of a letter, or other characters one by one.
var patternTokens = regexp.MustCompile(`y+|M+|d+|H+|m+|s+|(?s:.)`)

var javaLayouts = map[string]string{"yyyy": "2006", "MM": "01", "dd": "02", "HH": "15", "mm": "04", "ss": "05"}
