package window

import (
	"cmp"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/sqltype"
)

// held is the value that beat the others so far. The first that came stays until one beats it, so that a NaN that came
// first stays for ever and a later one never wins, as in Flink.
type held[T any] struct {
	value T
	set   bool
}

// extreme is MIN and MAX of values of fixed width.
type extreme[T arrow.FixedWidthType] struct {
	numeric[held[T]]
	typ   sqltype.Type
	beats func(candidate, held T) bool
	cut   bool // T is a timestamp of which only the milliseconds count: see package rowkey
}

func newOrdered[T interface {
	arrow.FixedWidthType
	cmp.Ordered
}](typ sqltype.Type, highest bool) *extreme[T] {
	if highest {
		return &extreme[T]{typ: typ, beats: func(a, b T) bool { return a > b }}
	}
	return &extreme[T]{typ: typ, beats: func(a, b T) bool { return a < b }}
}

func (e *extreme[T]) add(arg arrow.Array, from int, groups []uint32, total int) {
	e.states.grow(total)
	vs, nulls := values[T](arg, from), arg.NullN() > 0
	for i, g := range groups {
		if nulls && arg.IsNull(from+i) {
			continue
		}
		if state := e.states.at(g); !state.set || e.beats(vs[i], state.value) {
			*state = held[T]{value: vs[i], set: true}
		}
	}
}

func (e *extreme[T]) result(first, count int, alloc memory.Allocator) arrow.Array {
	return build(e.typ, alloc, first, count, func(g uint32) (T, bool) {
		state := e.states.at(g)
		if e.cut {
			return any(cutToMillis(any(state.value).(decimal128.Num))).(T), state.set
		}
		return state.value, state.set
	})
}

func cutToMillis(v decimal128.Num) decimal128.Num {
	ms, _ := sqltype.TimestampParts(v)
	return sqltype.TimestampValue(ms, 0)
}

// extremeBoolean is MIN and MAX of BOOLEAN: FALSE is less than TRUE.
type extremeBoolean struct {
	numeric[held[bool]]
	highest bool
}

func (e *extremeBoolean) add(arg arrow.Array, from int, groups []uint32, total int) {
	e.states.grow(total)
	column := arg.(*array.Boolean)
	for i, g := range groups {
		if arg.IsNull(from + i) {
			continue
		}
		if state, v := e.states.at(g), column.Value(from+i); !state.set || v == e.highest {
			*state = held[bool]{value: v, set: true}
		}
	}
}

func (e *extremeBoolean) result(first, count int, alloc memory.Allocator) arrow.Array {
	return build(sqltype.BooleanType, alloc, first, count, func(g uint32) (bool, bool) {
		state := e.states.at(g)
		return state.value, state.set
	})
}

// extremeText is MIN and MAX of text by the order of its UTF-8 bytes.
type extremeText struct {
	numeric[held[[]byte]]
	typ     sqltype.Type
	highest bool
	bytes   int64 // of all texts held
}

func (e *extremeText) memory() int64             { return e.numeric.memory() + e.bytes }
func (e *extremeText) textSize(group uint32) int { return len(e.states.at(group).value) }

func (e *extremeText) reset() {
	e.numeric.reset()
	e.bytes = 0
}

func (e *extremeText) add(arg arrow.Array, from int, groups []uint32, total int) {
	e.states.grow(total)
	column := arg.(*array.String)
	for i, g := range groups {
		if arg.IsNull(from + i) {
			continue
		}
		v, state := column.Value(from+i), e.states.at(g)
		if state.set && !e.beats(v, string(state.value)) {
			continue
		}
		e.bytes += int64(len(v) - len(state.value))
		state.value, state.set = append(state.value[:0], v...), true
	}
}

func (e *extremeText) beats(candidate, held string) bool {
	if e.highest {
		return candidate > held
	}
	return candidate < held
}

func (e *extremeText) result(first, count int, alloc memory.Allocator) arrow.Array {
	return build(e.typ, alloc, first, count, func(g uint32) (string, bool) {
		state := e.states.at(g)
		return string(state.value), state.set
	})
}
