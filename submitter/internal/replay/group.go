package replay

import (
	"fmt"
	"math"
	"math/big"
	"strings"

	"pencere/pkg/sqltype"
)

// group is a group of a window.
type group struct {
	keys   []value
	states []state
}

// state is what an aggregate knows of a group's rows.
type state struct {
	count  int64
	whole  *big.Int // of integers and DECIMAL
	single float32  // of FLOAT, added up in FLOAT
	double float64
	best   value
	// from is the partition whose values it has; mixed says that there are others', so that their order is not known.
	from  partition
	mixed bool
}

// group adds a row to its group.
func (e *Evaluator) group(split partition, start int64, row []value) error {
	keys := make([]value, len(e.keys))
	var name strings.Builder
	for i, column := range e.keys {
		keys[i] = keyed(row[column], e.program.Rows[column].Type)
		fmt.Fprintf(&name, "%T ", keys[i])
		switch key := keys[i].(type) {
		case float64:
			fmt.Fprintf(&name, "%x", bitsOf(key))
		case float32:
			fmt.Fprintf(&name, "%x", bitsOf(float64(key)))
		case string:
			fmt.Fprintf(&name, "%d %s", len(key), key)
		default:
			fmt.Fprintf(&name, "%v", key)
		}
		name.WriteByte(',')
	}
	if e.windows[start] == nil {
		e.windows[start] = map[string]*group{}
	}
	g := e.windows[start][name.String()]
	if g == nil {
		g = &group{keys: keys, states: make([]state, len(e.aggs))}
		e.windows[start][name.String()] = g
	}
	for i := range e.aggs {
		if err := e.aggs[i].add(&g.states[i], split, row); err != nil {
			return err
		}
	}
	return nil
}

func bitsOf(f float64) uint64 {
	if math.IsNaN(f) {
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(f)
}

// keyed is a value as it arrives behind a keyed exchange: a TIMESTAMP of up to three digits has no more.
func keyed(v value, t sqltype.Type) value {
	if s, ok := v.(stamp); ok && t.Precision <= 3 {
		return stamp{ms: s.ms}
	}
	return v
}

// aggregate is a call of COUNT, SUM, MIN, MAX or AVG.
type aggregate struct {
	name    string
	arg     *expression // nil for COUNT(*)
	typ     sqltype.Type
	reduced bool // see plan.WindowProgram
}

func (a *aggregate) known() bool {
	switch a.name {
	case "COUNT":
		return true
	case "SUM", "AVG":
		return a.arg != nil && a.arg.typ.IsNumeric()
	case "MIN", "MAX":
		return a.arg != nil && comparableTypes(a.arg.typ, a.arg.typ)
	default:
		return false
	}
}

func (a *aggregate) add(s *state, split partition, row []value) error {
	if a.arg == nil {
		s.count++
		return nil
	}
	v, err := a.arg.eval(row)
	if err != nil || v == nil {
		return err
	}
	v = keyed(v, a.arg.typ)
	s.mixed = s.mixed || s.count > 0 && s.from != split
	s.from = split
	s.count++
	switch a.name {
	case "SUM", "AVG":
		a.sum(s, v)
	case "MIN", "MAX":
		if s.best == nil {
			s.best = v
			return nil
		}
		if f := floatOf(v); math.IsNaN(f) || math.IsNaN(floatOf(s.best)) {
			if s.mixed {
				return unsupported("%s of NaN over several partitions: it depends on which was read first", a.name)
			}
		}
		if order, ok := compare(v, s.best, a.arg.typ, a.arg.typ); ok && (order < 0) == (a.name == "MIN") && order != 0 {
			s.best = v
		}
	}
	return nil
}

// floatOf returns a FLOAT or DOUBLE, and 0 for all else.
func floatOf(v value) float64 {
	switch v := v.(type) {
	case float32:
		return float64(v)
	case float64:
		return v
	default:
		return 0
	}
}

func (a *aggregate) sum(s *state, v value) {
	first := s.count == 1 && a.name == "SUM" && !a.reduced // begins with the value and not with zero, which -0.0 shows
	switch v := v.(type) {
	case float32:
		if first {
			s.single, s.double = v, float64(v)
			return
		}
		s.single += v
		s.double += float64(v)
	case float64:
		if first {
			s.double = v
			return
		}
		s.double += v
	case int64:
		s.whole = added(s.whole, big.NewInt(v))
	case *big.Int:
		s.whole = added(s.whole, v)
	}
}

func added(sum, v *big.Int) *big.Int {
	if sum == nil {
		sum = new(big.Int)
	}
	return sum.Add(sum, v)
}

// result returns the aggregate of a group.
func (a *aggregate) result(s *state) (value, error) {
	switch a.name {
	case "COUNT":
		return s.count, nil
	case "MIN", "MAX":
		return s.best, nil
	}
	t := a.arg.typ
	switch {
	case s.count == 0:
		return nil, nil
	case t.IsApproximate() && s.mixed:
		return nil, unsupported("%s of %s over several partitions: its last digits depend on the order in which they were read", a.name, t)
	case t.Kind == sqltype.Double:
		if a.name == "AVG" {
			return s.double / float64(s.count), nil
		}
		return s.double, nil
	case t.Kind == sqltype.Float:
		switch {
		case a.name == "SUM":
			return s.single, nil
		case a.reduced:
			return s.single / float32(s.count), nil
		}
		return float32(s.double / float64(s.count)), nil
	case t.Kind == sqltype.Decimal:
		if s.whole.CmpAbs(powerOfTen(sqltype.MaxDecimalPrecision)) >= 0 {
			return nil, unsupported("%s of %s beyond 38 digits", a.name, t)
		}
		if a.name == "SUM" {
			return new(big.Int).Set(s.whole), nil
		}
		return quotient(s.whole, t.Scale, big.NewInt(s.count), 0, a.typ)
	}
	return a.integer(s, t.Kind), nil
}

// integer wraps around; the sum of an average does so in BIGINT, or when it is reduced in the argument's type.
func (a *aggregate) integer(s *state, kind sqltype.Kind) value {
	low := new(big.Int).And(s.whole, new(big.Int).SetUint64(math.MaxUint64)) // two's complement, as And has it
	sum := int64(low.Uint64())
	switch {
	case a.name == "SUM":
		return wrapped(sum, kind)
	case a.reduced:
		return wrapped(wrapped(sum, kind)/s.count, kind)
	}
	return wrapped(sum/s.count, kind)
}
