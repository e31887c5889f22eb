package expr

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"pencere/pkg/expr/internal/decimal"
	"pencere/pkg/expr/internal/javatext"
	"pencere/pkg/expr/syntax"
	"pencere/pkg/nearest"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// binder gives the parts of a tree their types and kernels.
type binder struct {
	scope   sqltype.Schema
	zone    *time.Location
	text    string
	slots   int
	columns []int
	// functions is the package's table; through the binder the table may refer to functions that use it.
	functions map[string]function
	err       error // of a conversion, see convert
}

// failAt is an error at the place of n.
func failAt(n syntax.Node, format string, args ...any) error {
	return &syntax.Error{Offset: n.Offset(), Message: fmt.Sprintf(format, args...)}
}

// bind compiles n.
func (b *binder) bind(n syntax.Node) (*op, error) {
	switch n := n.(type) {
	case *syntax.Literal:
		return b.literal(n)
	case *syntax.Interval:
		return b.interval(n)
	case *syntax.Column:
		return b.bindColumn(n)
	case *syntax.JSON:
		return b.bindJSON(n)
	case *syntax.Cast:
		return b.bindCast(n)
	case *syntax.Case:
		return b.bindCase(n)
	case *syntax.Call:
		return b.bindCall(n)
	}
	return nil, failAt(n, "unexpected %s", b.text[n.Offset():min(n.Offset()+20, len(b.text))])
}

func (b *binder) bindAll(nodes []syntax.Node) ([]*op, error) {
	args := make([]*op, len(nodes))
	for i, n := range nodes {
		arg, err := b.bind(n)
		if err != nil {
			return nil, err
		}
		args[i] = arg
	}
	return args, nil
}

// slot reserves a vector.
func (b *binder) slot() int {
	b.slots++
	return b.slots - 1
}

// strict returns an operator that is NULL where an argument is; its type is nullable if an argument's is.
func (b *binder) strict(n syntax.Node, t sqltype.Type, k kernel, args ...*op) *op {
	notNull := true
	for _, a := range args {
		notNull = notNull && a.typ.NotNull
	}
	return b.operator(n, t.WithNotNull(notNull), strict(k), args...)
}

// nullable is strict for a kernel that makes NULLs of its own.
func (b *binder) nullable(n syntax.Node, t sqltype.Type, k kernel, args ...*op) *op {
	return b.operator(n, t.Nullable(), strict(k), args...)
}

// lenient returns an operator that sees the NULLs of its arguments.
func (b *binder) lenient(n syntax.Node, t sqltype.Type, k kernel, args ...*op) *op {
	return b.operator(n, t, lenient(k), args...)
}

// operator returns an operator, already computed if all its arguments are constants.
func (b *binder) operator(n syntax.Node, t sqltype.Type, run func(*frame, *op, bitmap) (*vector, error), args ...*op) *op {
	o := &op{typ: t, at: n.Offset(), slot: b.slot(), args: args, run: run}
	o.spare = b.slot()
	return b.folded(o)
}

// folded computes o if all its arguments are constants. If that fails o stays as it is, to fail in the rows that need it.
func (b *binder) folded(o *op) *op {
	for _, a := range o.args {
		if a.value == nil {
			return o
		}
	}
	// A frame of just this operator: it is compiled to slot 0 and 1 for once.
	f := newFrame(2, b.zone)
	f.n = 1
	alone := *o
	alone.slot, alone.spare = 0, 1
	v, err := o.run(f, &alone, nil)
	if err != nil {
		return o
	}
	value := *v
	if !value.constant {
		value.null = v.isNull(0)
		value.constant, value.valid = true, nil
	}
	o.value = &value
	return o
}

// share returns x for several users, of which the first to be evaluated needs all rows that any of them needs. Without it the work for nested
// operands would double at each level.
func (b *binder) share(x *op) *op {
	if x.value != nil || x.input > 0 {
		return x
	}
	return &op{typ: x.typ, at: x.at, slot: b.slot(), args: []*op{x}, run: runShared}
}

func (b *binder) constant(n syntax.Node, t sqltype.Type, v *vector) *op {
	v.constant = true
	return &op{typ: t.WithNotNull(!v.null), at: n.Offset(), value: v}
}

func (b *binder) bindColumn(n *syntax.Column) (*op, error) {
	i := b.scope.Index(n.Name)
	if i < 0 {
		if name := strings.ToUpper(n.Name); name == "PI" {
			return b.bindCall(syntax.NewCall(n.Offset(), name)) // the one function without parentheses
		}
		return nil, failAt(n, "unknown column %q%s", n.Name, b.suggestColumn(n.Name))
	}
	b.columns = append(b.columns, i)
	return &op{typ: b.scope[i].Type, at: n.Offset(), slot: b.slot(), run: readColumn, input: i + 1}, nil
}

func (b *binder) suggestColumn(name string) string {
	if near := nearest.Name(name, b.scope.Names()); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	if len(b.scope) > 0 && len(b.scope) <= 20 {
		return "; there are " + strings.Join(b.scope.Names(), ", ")
	}
	return ""
}

// literal makes a constant. Flink's rules: digits alone are INT or BIGINT, digits with a point are DECIMAL, an exponent makes DOUBLE,
// text is CHAR of its length.
func (b *binder) literal(n *syntax.Literal) (*op, error) {
	switch n.Kind {
	case syntax.Null:
		return b.constant(n, sqltype.NullType, nullVector()), nil
	case syntax.True:
		return b.constant(n, sqltype.BooleanType, &vector{bits: bitmap{0xff}}), nil
	case syntax.False:
		return b.constant(n, sqltype.BooleanType, &vector{bits: bitmap{0}}), nil
	case syntax.Exact:
		return b.exact(n)
	case syntax.Approx:
		f, err := strconv.ParseFloat(n.Text, 64)
		if err != nil || f == 0 && strings.Trim(strings.ToUpper(n.Text[:strings.IndexAny(n.Text, "eE")]), "0.") != "" {
			return nil, failAt(n, "the number %s is out of the range of DOUBLE", n.Text)
		}
		return b.constant(n, sqltype.DoubleType, &vector{f64: []float64{f}}), nil
	case syntax.Text:
		return b.textConstant(n, n.Text), nil
	case syntax.Bytes:
		raw, err := hex.DecodeString(n.Text)
		if err != nil {
			return nil, failAt(n, "X'%s' must hold pairs of hexadecimal digits", n.Text)
		}
		return b.constant(n, sqltype.Type{Kind: sqltype.Bytes, Length: max(1, len(raw))}, textVector(string(raw))), nil
	default:
		return b.timeLiteral(n)
	}
}

func (b *binder) textConstant(n syntax.Node, s string) *op {
	length := max(1, len(javatext.Units([]byte(s)))) // Calcite counts UTF-16 units
	return b.constant(n, sqltype.Type{Kind: sqltype.Char, Length: length}, textVector(s))
}

func textVector(s string) *vector {
	return &vector{text: texts{[]int32{0, int32(len(s))}, []byte(s)}}
}

func (b *binder) exact(n *syntax.Literal) (*op, error) {
	whole, fraction, _ := strings.Cut(n.Text, ".")
	if fraction == "" {
		v, err := strconv.ParseInt(whole, 10, 64)
		if err != nil {
			return nil, failAt(n, "the number %s is out of the range of BIGINT; write it in quotes in a CAST, as CAST('%s' AS DECIMAL(38, 0)), or with an exponent for DOUBLE", n.Text, n.Text)
		}
		if math.MinInt32 <= v && v <= math.MaxInt32 {
			return b.constant(n, sqltype.IntType, &vector{i32: []int32{int32(v)}}), nil
		}
		return b.constant(n, sqltype.BigIntType, &vector{i64: []int64{v}}), nil
	}
	whole = strings.TrimPrefix(whole, "-")
	digits := strings.TrimLeft(whole, "0")
	precision := max(len(digits)+len(fraction), 1)
	if whole != "" && digits == "" {
		precision++ // a written zero before the point counts, as in Calcite
	}
	if precision > sqltype.MaxDecimalPrecision {
		return nil, failAt(n, "the number %s has more than %d digits", n.Text, sqltype.MaxDecimalPrecision)
	}
	v, err := decimal.Parse(n.Text, precision, len(fraction))
	if err != nil {
		return nil, failAt(n, "the number %s %v", n.Text, err)
	}
	return b.constant(n, sqltype.DecimalType(precision, len(fraction)), &vector{n128: []decimal128.Num{v}}), nil
}

// bindCall compiles an operator or function.
func (b *binder) bindCall(n *syntax.Call) (*op, error) {
	f, ok := b.functions[n.Name]
	if !ok {
		return nil, b.unknownFunction(n)
	}
	if literal, ok := negativeLiteral(n); ok {
		return b.literal(literal)
	}
	if len(n.Args) < f.min || f.max >= 0 && len(n.Args) > f.max {
		return nil, failAt(n, "%s takes %s, got %d", n.Name, f.arity(), len(n.Args))
	}
	if f.syntax != nil {
		return f.syntax(b, n)
	}
	args, err := b.bindAll(n.Args)
	if err != nil {
		return nil, err
	}
	for _, a := range args {
		if a.typ.Kind == sqltype.Null && !f.nulls {
			return nil, &syntax.Error{Offset: a.at, Message: fmt.Sprintf("the type of NULL is unknown in %s: write CAST(NULL AS type)", n.Name)}
		}
	}
	o, err := f.bind(b, n, args)
	if err == nil && o == nil {
		err = mismatch(n, f, args)
	}
	return o, err
}

// negativeLiteral returns - and the number after it as one literal, so that -2147483648 is an INT.
func negativeLiteral(n *syntax.Call) (*syntax.Literal, bool) {
	if n.Name != "-" || len(n.Args) != 1 {
		return nil, false
	}
	literal, ok := n.Args[0].(*syntax.Literal)
	if !ok || literal.Kind != syntax.Exact || strings.HasPrefix(literal.Text, "-") {
		return nil, false
	}
	negative := *literal
	negative.Text = "-" + literal.Text
	return &negative, true
}

// mismatch is the error of arguments of the wrong types.
func mismatch(n *syntax.Call, f function, args []*op) error {
	kinds := make([]string, len(args))
	for i, a := range args {
		kinds[i] = a.typ.Nullable().String()
	}
	return failAt(n, "%s cannot be applied to (%s); it takes %s", n.Name, strings.Join(kinds, ", "), f.takes)
}

func (b *binder) unknownFunction(n *syntax.Call) error {
	if slices.Contains(aggregates, n.Name) {
		return failAt(n, "%s is an aggregate: it stands among a window's aggregates, not in an expression", n.Name)
	}
	message := fmt.Sprintf("unknown function %s", n.Name)
	if near := nearest.Name(n.Name, b.functionNames()); near != "" {
		message += fmt.Sprintf("; did you mean %s?", near)
	}
	return failAt(n, "%s", message)
}

// function is an entry of the table of operators and functions.
type function struct {
	min, max int    // number of arguments; max -1 is any number
	takes    string // the arguments' types, for the message when they do not fit
	nulls    bool   // NULL without a type may be an argument
	// bind compiles a call with its arguments compiled; nil without an error means that their types do not fit.
	bind func(b *binder, n *syntax.Call, args []*op) (*op, error)
	// syntax compiles a call whose arguments are not all expressions.
	syntax func(b *binder, n *syntax.Call) (*op, error)
}

func (f function) arity() string {
	switch {
	case f.max < 0:
		return fmt.Sprintf("%d or more arguments", f.min)
	case f.min == 1 && f.max == 1:
		return "1 argument"
	case f.min == f.max:
		return fmt.Sprintf("%d arguments", f.min)
	default:
		return fmt.Sprintf("%d to %d arguments", f.min, f.max)
	}
}

// functionNames are the names that a user may call, without operators.
func (b *binder) functionNames() []string {
	var names []string
	for name := range b.functions {
		if 'A' <= name[0] && name[0] <= 'Z' && !strings.Contains(name, " ") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
