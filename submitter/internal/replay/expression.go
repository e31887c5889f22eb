package replay

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"pencere/pkg/expr/syntax"
	"pencere/pkg/sqltype"
)

// UnsupportedError says what a job has that cannot be replayed here. Nothing is known then of its rows.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return "cannot replay " + e.What }

func unsupported(format string, args ...any) error {
	return &UnsupportedError{fmt.Sprintf(format, args...)}
}

// expression is a part of a tree with its type, which is nullable.
type expression struct {
	typ  sqltype.Type
	eval func(row []value) (value, error)
}

// walker gives the nodes of a tree their types and meanings.
type walker struct {
	columns sqltype.Schema
	text    string
}

// compile reads an expression over columns. The type is what the engine says it is: where the two differ, nothing is replayed.
func compile(text string, columns sqltype.Schema, wanted sqltype.Type) (expression, error) {
	tree, err := syntax.Parse(text)
	if err != nil {
		return expression{}, err
	}
	w := walker{columns, text}
	e, err := w.walk(tree)
	if err != nil {
		return expression{}, fmt.Errorf("%w, in %s", err, text)
	}
	if wanted = wanted.Nullable(); e.typ.Kind != wanted.Kind || e.typ.Precision != wanted.Precision || e.typ.Scale != wanted.Scale {
		if !e.typ.IsText() || !wanted.IsText() {
			return expression{}, unsupported("%s: its type is %s here and %s in the plan", text, e.typ, wanted)
		}
	}
	return e, nil
}

func (w *walker) walk(n syntax.Node) (expression, error) {
	switch n := n.(type) {
	case *syntax.Literal:
		return literal(n)
	case *syntax.Interval:
		return interval(n)
	case *syntax.Column:
		return w.column(n)
	case *syntax.JSON:
		return w.json(n)
	case *syntax.Cast:
		return w.cast(n)
	case *syntax.Case:
		return w.caseOf(n)
	case *syntax.Call:
		return w.call(n)
	default:
		return expression{}, unsupported("a part of %s", w.text)
	}
}

func constant(t sqltype.Type, v value) expression {
	return expression{t, func([]value) (value, error) { return v, nil }}
}

func (w *walker) column(n *syntax.Column) (expression, error) {
	i := w.columns.Index(n.Name)
	if i < 0 {
		return expression{}, unsupported("the name %s", n.Name)
	}
	return expression{w.columns[i].Type.Nullable(), func(row []value) (value, error) { return row[i], nil }}, nil
}

func literal(n *syntax.Literal) (expression, error) {
	switch n.Kind {
	case syntax.Null:
		return constant(sqltype.NullType, nil), nil
	case syntax.True, syntax.False:
		return constant(sqltype.BooleanType, n.Kind == syntax.True), nil
	case syntax.Text:
		return constant(sqltype.Type{Kind: sqltype.Char, Length: max(1, len(n.Text))}, n.Text), nil
	case syntax.Approx:
		f, err := strconv.ParseFloat(n.Text, 64)
		return constant(sqltype.DoubleType, f), err
	case syntax.Exact:
		return exactLiteral(n.Text)
	case syntax.Date:
		days, err := dateOf(n.Text, false)
		return constant(sqltype.DateType, days), err
	case syntax.Timestamp:
		return timestampLiteral(n.Text)
	default:
		return expression{}, unsupported("the literal %q", n.Text)
	}
}

func exactLiteral(text string) (expression, error) {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	if fraction == "" {
		n, err := strconv.ParseInt(strings.TrimSuffix(text, "."), 10, 64)
		if math.MinInt32 <= n && n <= math.MaxInt32 {
			return constant(sqltype.IntType, n), err
		}
		return constant(sqltype.BigIntType, n), err
	}
	digits, scale, ok := parseDecimal(text)
	if !ok {
		return expression{}, unsupported("the number %s", text)
	}
	precision := len(strings.TrimLeft(whole, "0")) + len(fraction)
	if whole != "" && strings.Trim(whole, "0") == "" {
		precision++
	}
	return constant(sqltype.DecimalType(precision, scale), digits), nil
}

func timestampLiteral(text string) (expression, error) {
	sql := &decoder{}
	v, err := sql.timestamp(text, false)
	if err != nil {
		return expression{}, unsupported("the literal TIMESTAMP '%s'", text)
	}
	_, fraction, _ := strings.Cut(text, ".")
	return constant(sqltype.TimestampType(len(fraction)), v), nil
}

// interval reads an interval of one unit.
func interval(n *syntax.Interval) (expression, error) {
	ms := map[syntax.Unit]int64{syntax.Day: msPerDay, syntax.Hour: 3_600_000, syntax.Minute: 60_000, syntax.Second: 1000}[n.From]
	digits, scale, ok := parseDecimal(n.Text)
	if n.To != 0 || !ok {
		return expression{}, unsupported("the interval '%s'", n.Text)
	}
	if n.Negative {
		digits.Neg(digits)
	}
	if ms == 0 {
		months := map[syntax.Unit]int64{syntax.Year: 12, syntax.Month: 1}[n.From]
		return constant(sqltype.Type{Kind: sqltype.IntervalYearMonth}, digits.Int64()*months), nil
	}
	return constant(sqltype.Type{Kind: sqltype.IntervalDayTime}, new(big.Int).Quo(digits.Mul(digits, big.NewInt(ms)), powerOfTen(scale)).Int64()), nil
}

// strict makes an operator that is NULL where an argument is.
func strict(t sqltype.Type, of func(args []value) (value, error), args ...expression) expression {
	return expression{t.Nullable(), func(row []value) (value, error) {
		values := make([]value, len(args))
		for i, arg := range args {
			v, err := arg.eval(row)
			if err != nil || v == nil {
				return nil, err
			}
			values[i] = v
		}
		return of(values)
	}}
}

// call finds what a name means.
func (w *walker) call(n *syntax.Call) (expression, error) {
	if l, isLiteral := negative(n); isLiteral {
		return exactLiteral("-" + l.Text)
	}
	if e, ok, err := w.keywordCall(n); ok {
		return e, err
	}
	args := make([]expression, len(n.Args))
	for i, child := range n.Args {
		var err error
		if args[i], err = w.walk(child); err != nil {
			return expression{}, err
		}
	}
	if of, ok := calls[n.Name]; ok {
		if e, fits := of(n.Name, args); fits {
			return e, nil
		}
	}
	types := make([]string, len(args))
	for i, arg := range args {
		types[i] = arg.typ.String()
	}
	return expression{}, unsupported("%s(%s)", n.Name, strings.Join(types, ", "))
}

func negative(n *syntax.Call) (*syntax.Literal, bool) {
	if n.Name != "-" || len(n.Args) != 1 {
		return nil, false
	}
	l, ok := n.Args[0].(*syntax.Literal)
	return l, ok && l.Kind == syntax.Exact
}

// calls are the operators and functions whose arguments are all expressions; false is that the types are not replayed.
var calls = map[string]func(name string, args []expression) (expression, bool){
	"+": arithmetic, "-": arithmetic, "*": arithmetic, "/": arithmetic, "%": arithmetic, "MOD": arithmetic,
	"=": comparison, "<>": comparison, "<": comparison, "<=": comparison, ">": comparison, ">=": comparison,
	"AND": connective, "OR": connective, "NOT": not,
	"IS NULL": is, "IS NOT NULL": is, "IS TRUE": is, "IS NOT TRUE": is, "IS FALSE": is, "IS NOT FALSE": is, "IS UNKNOWN": is, "IS NOT UNKNOWN": is,
	"IS JSON": isJSON, "IS JSON VALUE": isJSON, "IS JSON OBJECT": isJSON, "IS JSON ARRAY": isJSON, "IS JSON SCALAR": isJSON,
	"IS NOT JSON": isJSON, "IS NOT JSON VALUE": isJSON, "IS NOT JSON OBJECT": isJSON, "IS NOT JSON ARRAY": isJSON, "IS NOT JSON SCALAR": isJSON,
	"IS DISTINCT FROM": distinct, "IS NOT DISTINCT FROM": distinct,
	"BETWEEN": between, "NOT BETWEEN": between, "BETWEEN SYMMETRIC": between, "NOT BETWEEN SYMMETRIC": between,
	"IN": in, "NOT IN": in,
	"IF": choice, "COALESCE": coalesce, "IFNULL": coalesce, "NULLIF": nullIf,
	"ABS": abs, "FLOOR": floor, "CEIL": floor, "CEILING": floor, "SIGN": sign, "ROUND": round,
	"UPPER": textFunction, "LOWER": textFunction, "CHAR_LENGTH": textFunction, "CHARACTER_LENGTH": textFunction,
	"||": concat, "CONCAT": concat, "SUBSTRING": substring, "SUBSTR": substring, "LIKE": like, "NOT LIKE": like,
	"LTRIM": trimmed, "RTRIM": trimmed, "LEAST": extreme, "GREATEST": extreme, "SQRT": squareRoot, "DATE_FORMAT": dateFormat,
	"YEAR": partOfTime, "QUARTER": partOfTime, "MONTH": partOfTime, "DAYOFMONTH": partOfTime, "HOUR": partOfTime, "MINUTE": partOfTime, "SECOND": partOfTime,
}

var errDivisionByZero = errors.New("division by zero")
