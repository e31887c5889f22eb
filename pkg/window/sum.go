package window

import (
	"math/big"
	"reflect"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/sqltype"
)

// appender is the builder of an array of T.
type appender[T any] interface {
	array.Builder
	Append(T)
}

// build makes an array of count values: those of numbers first and on, NULL where at says so.
func build[T any](typ sqltype.Type, alloc memory.Allocator, first, count int, at func(group uint32) (v T, valid bool)) arrow.Array {
	b := array.NewBuilder(alloc, typ.Arrow()).(appender[T])
	defer b.Release()
	b.Reserve(count)
	for i := range count {
		if v, ok := at(uint32(first + i)); ok {
			b.Append(v)
		} else {
			b.AppendNull()
		}
	}
	return b.NewArray()
}

// values returns the values of an array from row from on; those under NULL are undefined.
func values[T arrow.FixedWidthType](arg arrow.Array, from int) []T {
	return arrow.GetValues[T](arg.Data(), 1)[from:]
}

// numeric is the part that all aggregates into fixed-width states share.
type numeric[S any] struct{ states paged[S] }

func (n *numeric[S]) textSize(uint32) int { return 0 }
func (n *numeric[S]) memory() int64 {
	return int64(n.states.count) * int64(reflect.TypeFor[S]().Size())
}
func (n *numeric[S]) reset() { n.states.reset() }

// count is COUNT(*) and COUNT of a column, which leaves NULL out.
type count struct{ numeric[int64] }

func (c *count) add(arg arrow.Array, from int, groups []uint32, total int) {
	c.states.grow(total)
	switch {
	case arg == nil || arg.NullN() == 0:
		for _, g := range groups {
			*c.states.at(g)++
		}
	case arg.NullN() < arg.Len(): // an array of type NULL has no bitmap to ask
		for i, g := range groups {
			if arg.IsValid(from + i) {
				*c.states.at(g)++
			}
		}
	}
}

func (c *count) result(first, count int, alloc memory.Allocator) arrow.Array {
	return build(sqltype.BigIntType, alloc, first, count, func(g uint32) (int64, bool) { return *c.states.at(g), true })
}

// total is a sum and the number of its values.
type total[S any] struct {
	sum   S
	count int64
}

type integer interface{ int8 | int16 | int32 | int64 }

// integerSum is SUM and AVG of integers.
type integerSum[T integer] struct {
	numeric[total[int64]]
	average bool
	wide    bool // average: the sum is BIGINT and not T
}

func (s *integerSum[T]) add(arg arrow.Array, from int, groups []uint32, total int) {
	s.states.grow(total)
	vs, nulls := values[T](arg, from), arg.NullN() > 0
	for i, g := range groups {
		if nulls && arg.IsNull(from+i) {
			continue
		}
		state := s.states.at(g)
		state.sum += int64(vs[i])
		state.count++
	}
}

func (s *integerSum[T]) result(first, count int, alloc memory.Allocator) arrow.Array {
	return build(integerType[T](), alloc, first, count, func(g uint32) (T, bool) {
		state := s.states.at(g)
		switch {
		case state.count == 0:
			return 0, false
		case !s.average:
			return T(state.sum), true
		case s.wide:
			return T(state.sum / state.count), true
		default:
			return T(int64(T(state.sum)) / state.count), true
		}
	})
}

func integerType[T integer]() sqltype.Type {
	var v T
	switch any(v).(type) {
	case int8:
		return sqltype.TinyIntType
	case int16:
		return sqltype.SmallIntType
	case int32:
		return sqltype.IntType
	default:
		return sqltype.BigIntType
	}
}

type approximate interface{ float32 | float64 }

// floatSum is SUM and AVG of a FLOAT or DOUBLE T, added from left to right in S.
type floatSum[T, S approximate] struct {
	numeric[total[S]]
	average   bool
	fromFirst bool // the sum begins with the first value and not with zero, which -0.0 shows
}

func (s *floatSum[T, S]) add(arg arrow.Array, from int, groups []uint32, total int) {
	s.states.grow(total)
	vs, nulls := values[T](arg, from), arg.NullN() > 0
	for i, g := range groups {
		if nulls && arg.IsNull(from+i) {
			continue
		}
		state := s.states.at(g)
		if s.fromFirst && state.count == 0 {
			state.sum = S(vs[i])
		} else {
			state.sum += S(vs[i])
		}
		state.count++
	}
}

func (s *floatSum[T, S]) result(first, count int, alloc memory.Allocator) arrow.Array {
	typ := sqltype.DoubleType
	var v T
	if _, single := any(v).(float32); single {
		typ = sqltype.FloatType
	}
	return build(typ, alloc, first, count, func(g uint32) (T, bool) {
		state := s.states.at(g)
		if s.average {
			return T(state.sum / S(state.count)), state.count > 0
		}
		return T(state.sum), state.count > 0
	})
}

// decimalSum is SUM and AVG of DECIMAL. A sum that passes 38 digits is NULL from then on, or until the next value.
type decimalSum struct {
	numeric[total[decimal128.Num]]
	average   bool
	fromFirst bool // the sum begins with the first value, and again with the first one behind what 38 digits do not hold
	typ       sqltype.Type
	scale     int // of the argument and the sum
}

// overflowed stands for the count of a sum that passed 38 digits.
const overflowed = -1

func (s *decimalSum) add(arg arrow.Array, from int, groups []uint32, total int) {
	s.states.grow(total)
	vs, nulls := values[decimal128.Num](arg, from), arg.NullN() > 0
	for i, g := range groups {
		state := s.states.at(g)
		if nulls && arg.IsNull(from+i) || state.count == overflowed && !s.fromFirst {
			continue
		}
		if state.count == overflowed {
			state.sum, state.count = decimal128.Num{}, 0
		}
		state.sum = state.sum.Add(vs[i])
		state.count++
		if !has38Digits(state.sum) {
			state.count = overflowed
		}
	}
}

func (s *decimalSum) result(first, count int, alloc memory.Allocator) arrow.Array {
	return build(s.typ, alloc, first, count, func(g uint32) (decimal128.Num, bool) {
		state := s.states.at(g)
		switch {
		case state.count <= 0:
			return decimal128.Num{}, false
		case s.average:
			return averageDecimal(state.sum, state.count, s.typ.Scale-s.scale)
		default:
			return state.sum, true
		}
	})
}

var (
	most  = decimal128.GetMaxValue(sqltype.MaxDecimalPrecision)
	least = most.Negate()
)

// has38Digits holds for what a DECIMAL(38, s) can be. The sum of two such values that wraps around 128 bits fails it too.
func has38Digits(v decimal128.Num) bool { return !v.Greater(most) && !v.Less(least) }

// averageDecimal returns sum/count with so many more digits after the point than sum has, rounded as Flink does: half up to 38
// significant digits, then half up to the scale. It is not valid when 38 digits do not hold it.
func averageDecimal(sum decimal128.Num, count int64, moreDigits int) (avg decimal128.Num, valid bool) {
	magnitude := sum.Abs().BigInt()
	magnitude.Mul(magnitude, powerOfTen(moreDigits))
	divisor := big.NewInt(count)

	spare := sqltype.MaxDecimalPrecision - digits(new(big.Int).Quo(magnitude, divisor))
	if spare > 0 {
		magnitude = divideHalfUp(magnitude.Mul(magnitude, powerOfTen(spare)), divisor)
		divisor = powerOfTen(spare)
	}
	magnitude = divideHalfUp(magnitude, divisor)
	if digits(magnitude) > sqltype.MaxDecimalPrecision {
		return decimal128.Num{}, false
	}
	if sum.Sign() < 0 {
		magnitude.Neg(magnitude)
	}
	return decimal128.FromBigInt(magnitude), true
}

func powerOfTen(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func digits(v *big.Int) int { return len(v.String()) }

// divideHalfUp divides numbers that are not negative.
func divideHalfUp(dividend, divisor *big.Int) *big.Int {
	quotient, rest := new(big.Int).QuoRem(dividend, divisor, new(big.Int))
	if rest.Lsh(rest, 1).Cmp(divisor) >= 0 {
		quotient.Add(quotient, big.NewInt(1))
	}
	return quotient
}
