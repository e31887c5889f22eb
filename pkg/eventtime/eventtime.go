// Package eventtime holds watermarks: how one split makes them and how the watermarks of several inputs become one.
//
// The rules are Flink's (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/concepts/time/): a watermark w
// says that no row of time w or before is still to come. The package is pure, and nothing in it is safe for concurrent use.
package eventtime

import "math"

// Watermark is a point in event time, in ms since 1970-01-01 00:00:00 (wall clock for TIMESTAMP, UTC for TIMESTAMP_LTZ).
type Watermark int64

// The ends of event time. None is the watermark of an input without a row so far; End follows the last row of a bounded input.
const (
	None Watermark = math.MinInt64
	End  Watermark = math.MaxInt64
)

// Generator makes the watermarks of one split: the largest time seen less a delay. It is made by NewGenerator.
type Generator struct {
	delay  int64
	newest Watermark
}

// NewGenerator returns a generator that stays delayMs milliseconds, 0 or more, behind the newest row.
func NewGenerator(delayMs int64) *Generator {
	return &Generator{delay: delayMs, newest: None}
}

// Observe takes the time of the split's next row, in ms. Rows without a time are not observed.
func (g *Generator) Observe(ms int64) {
	g.newest = max(g.newest, Watermark(ms))
}

// Watermark returns the watermark over the rows observed, None before the first. It never goes back.
func (g *Generator) Watermark() Watermark {
	if g.newest < None+Watermark(g.delay) {
		return None
	}
	return g.newest - Watermark(g.delay)
}

// Combiner makes one watermark of those of many inputs, which K names: the least of the inputs that are not idle,
// or the greatest when all are. The result never goes back, even when a slower input is added or stops being idle.
type Combiner[K comparable] struct {
	inputs  map[K]*input
	current Watermark
}

type input struct {
	watermark Watermark
	idle      bool
}

// NewCombiner returns a combiner without inputs, whose watermark is None.
func NewCombiner[K comparable]() *Combiner[K] {
	return &Combiner[K]{inputs: map[K]*input{}, current: None}
}

// Add makes k an input that is active and at None; it does nothing when k is one already.
func (c *Combiner[K]) Add(k K) {
	if _, ok := c.inputs[k]; !ok {
		c.inputs[k] = &input{watermark: None}
	}
}

// Remove forgets input k, which then holds nothing back.
func (c *Combiner[K]) Remove(k K) { delete(c.inputs, k) }

// Update raises the watermark of input k; a lower one than before, or an unknown input, is ignored. It does not end
// idleness: a source that reads again says so with SetIdle.
func (c *Combiner[K]) Update(k K, w Watermark) {
	if in, ok := c.inputs[k]; ok {
		in.watermark = max(in.watermark, w)
	}
}

// SetIdle leaves input k out of the minimum, or takes it in again. An unknown input is ignored.
func (c *Combiner[K]) SetIdle(k K, idle bool) {
	if in, ok := c.inputs[k]; ok {
		in.idle = idle
	}
}

// Watermark returns the combined watermark and whether all inputs are idle (true without inputs). When all are, it is the
// greatest of theirs: nothing holds the furthest back any more, and the result must not depend on which input fell silent
// last. Flink does the same between subtasks (StatusWatermarkValve, which then "flushes" all watermarks).
func (c *Combiner[K]) Watermark() (w Watermark, allIdle bool) {
	least, greatest, allIdle := End, None, true
	for _, in := range c.inputs {
		greatest = max(greatest, in.watermark)
		if !in.idle {
			least, allIdle = min(least, in.watermark), false
		}
	}
	if allIdle {
		least = greatest
	}
	c.current = max(c.current, least)
	return c.current, allIdle
}
