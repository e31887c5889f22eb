package window

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"pencere/pkg/checkpoint"
)

// The bytes of aggregates in a snapshot, for version 1 of keyed state. Integers are varints, so that narrow types need no
// layout of their own; the other numbers are their bits.

func (c *count) copy() accumulator { return &count{numeric[int64]{c.states.copy()}} }

func (c *count) appendState(dst []byte, group uint32) []byte {
	return binary.AppendVarint(dst, *c.states.at(group))
}

func (c *count) readState(d *checkpoint.Decoder) { c.states.append(d.Varint()) }

func (s *integerSum[T]) copy() accumulator {
	c := *s
	c.states = s.states.copy()
	return &c
}

func (s *integerSum[T]) appendState(dst []byte, group uint32) []byte {
	return appendTotal(dst, s.states.at(group))
}
func (s *integerSum[T]) readState(d *checkpoint.Decoder) { s.states.append(readTotal[int64](d)) }

func (s *floatSum[T, S]) copy() accumulator {
	c := *s
	c.states = s.states.copy()
	return &c
}

func (s *floatSum[T, S]) appendState(dst []byte, group uint32) []byte {
	return appendTotal(dst, s.states.at(group))
}
func (s *floatSum[T, S]) readState(d *checkpoint.Decoder) { s.states.append(readTotal[S](d)) }

func (s *decimalSum) copy() accumulator {
	c := *s
	c.states = s.states.copy()
	return &c
}

func (s *decimalSum) appendState(dst []byte, group uint32) []byte {
	return appendTotal(dst, s.states.at(group))
}
func (s *decimalSum) readState(d *checkpoint.Decoder) {
	s.states.append(readTotal[decimal128.Num](d))
}

func appendTotal[S any](dst []byte, t *total[S]) []byte {
	return binary.AppendVarint(appendValue(dst, t.sum), t.count)
}

func readTotal[S any](d *checkpoint.Decoder) total[S] {
	return total[S]{sum: readValue[S](d), count: d.Varint()}
}

func (e *extreme[T]) copy() accumulator {
	c := *e
	c.states = e.states.copy()
	return &c
}

func (e *extreme[T]) appendState(dst []byte, group uint32) []byte {
	return appendHeld(dst, e.states.at(group))
}
func (e *extreme[T]) readState(d *checkpoint.Decoder) { e.states.append(readHeld[T](d)) }

func (e *extremeBoolean) copy() accumulator {
	c := *e
	c.states = e.states.copy()
	return &c
}

func (e *extremeBoolean) appendState(dst []byte, group uint32) []byte {
	return appendHeld(dst, e.states.at(group))
}
func (e *extremeBoolean) readState(d *checkpoint.Decoder) { e.states.append(readHeld[bool](d)) }

// copy puts all texts into one piece of memory: a text is overwritten in place by one that beats it.
func (e *extremeText) copy() accumulator {
	c := *e
	c.states = e.states.copy()
	texts := make([]byte, 0, e.bytes)
	for i := range c.states.count {
		state := c.states.at(uint32(i))
		from := len(texts)
		texts = append(texts, state.value...)
		state.value = texts[from:len(texts):len(texts)]
	}
	return &c
}

func (e *extremeText) appendState(dst []byte, group uint32) []byte {
	return appendHeld(dst, e.states.at(group))
}

func (e *extremeText) readState(d *checkpoint.Decoder) {
	state := readHeld[[]byte](d)
	e.bytes += int64(len(state.value))
	e.states.append(state)
}

func appendHeld[T any](dst []byte, h *held[T]) []byte {
	dst = checkpoint.AppendBool(dst, h.set)
	if !h.set {
		return dst
	}
	return appendValue(dst, h.value)
}

func readHeld[T any](d *checkpoint.Decoder) held[T] {
	if !d.Bool() {
		return held[T]{}
	}
	return held[T]{value: readValue[T](d), set: true}
}

// appendValue appends a value of an aggregate's state: those that readValue knows.
func appendValue[T any](dst []byte, value T) []byte {
	switch v := any(value).(type) {
	case bool:
		return checkpoint.AppendBool(dst, v)
	case int8:
		return binary.AppendVarint(dst, int64(v))
	case int16:
		return binary.AppendVarint(dst, int64(v))
	case int32:
		return binary.AppendVarint(dst, int64(v))
	case int64:
		return binary.AppendVarint(dst, v)
	case arrow.Date32:
		return binary.AppendVarint(dst, int64(v))
	case arrow.Time32:
		return binary.AppendVarint(dst, int64(v))
	case float32:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
	case float64:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	case decimal128.Num:
		dst = binary.LittleEndian.AppendUint64(dst, v.LowBits())
		return binary.LittleEndian.AppendUint64(dst, uint64(v.HighBits()))
	default:
		return checkpoint.AppendText(dst, any(value).([]byte))
	}
}

func readValue[T any](d *checkpoint.Decoder) (value T) {
	switch v := any(&value).(type) {
	case *bool:
		*v = d.Bool()
	case *int8:
		*v = int8(d.Varint())
	case *int16:
		*v = int16(d.Varint())
	case *int32:
		*v = int32(d.Varint())
	case *int64:
		*v = d.Varint()
	case *arrow.Date32:
		*v = arrow.Date32(d.Varint())
	case *arrow.Time32:
		*v = arrow.Time32(d.Varint())
	case *float32:
		*v = math.Float32frombits(d.Uint32())
	case *float64:
		*v = math.Float64frombits(d.Uint64())
	case *decimal128.Num:
		low := d.Uint64()
		*v = decimal128.New(int64(d.Uint64()), low)
	case *[]byte:
		*v = append([]byte(nil), d.Bytes()...) // its own memory: it is overwritten in place
	}
	return value
}
