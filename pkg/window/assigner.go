package window

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"pencere/pkg/eventtime"
	"pencere/pkg/sqltype"
)

// Assigner gives rows their windows and tells the late ones, for the splits of one source subtask.
//
// A row is late when the watermark over the rows before it in its own split has expired its window. This depends on the data
// alone: not on timing, on parallelism, or on other splits. A row without a time is taken at 1970-01-01 00:00:00, as Flink's
// group windows do, and does not move the watermark.
type Assigner struct {
	window Tumbling
	clock  clock
	// The window of the row before, to which the next row mostly belongs too.
	start  int64
	expiry eventtime.Watermark
}

// NewAssigner returns an assigner of windows.
func NewAssigner(window Tumbling) *Assigner {
	a := &Assigner{window: window, clock: clock{window: window}}
	a.enter(a.window.Start(0))
	return a
}

// Assigned are the windows of rows.
type Assigned struct {
	Starts []int64 // the start of each row's window, in ms
	Late   []bool  // whether the row came too late for it
	passed []passed
}

// passed is the watermark by which a row was late.
type passed struct {
	row int
	by  eventtime.Watermark
}

// Reset empties a for the next batch and keeps its memory.
func (a *Assigned) Reset() { a.Starts, a.Late, a.passed = a.Starts[:0], a.Late[:0], a.passed[:0] }

// WatermarkOf returns the watermark by which a late row is late, None for another row.
func (a *Assigned) WatermarkOf(row int) eventtime.Watermark {
	i, late := slices.BinarySearchFunc(a.passed, row, func(p passed, row int) int { return cmp.Compare(p.row, row) })
	if !late {
		return eventtime.None
	}
	return a.passed[i].by
}

// Assign appends the windows of rows to dst and takes their times into the watermark of split, whose next rows they are.
// times is the time column of these rows: a *array.Decimal128 with the layout of TIMESTAMP or TIMESTAMP_LTZ.
func (a *Assigner) Assign(dst *Assigned, times arrow.Array, split *eventtime.Generator) {
	column := times.(*array.Decimal128)
	nulls := column.NullN() > 0
	for row := range column.Len() {
		watermark := split.Watermark()
		ms := int64(0)
		if !nulls || column.IsValid(row) {
			ms, _ = sqltype.TimestampParts(column.Value(row))
			split.Observe(ms)
		}
		wall := a.clock.wall(ms)
		if wall < a.start || wall >= a.window.End(a.start) {
			a.enter(a.window.startOfWall(wall))
		}
		late := watermark >= a.expiry
		if late {
			dst.passed = append(dst.passed, passed{row: len(dst.Starts), by: watermark})
		}
		dst.Starts = append(dst.Starts, a.start)
		dst.Late = append(dst.Late, late)
	}
}

func (a *Assigner) enter(start int64) { a.start, a.expiry = start, a.window.expiry(start) }

// clock is a wall clock that remembers how far it is ahead of UTC and for how long.
type clock struct {
	window   Tumbling
	from, to int64 // the instants, in ms, between which offset holds
	offset   int64
}

func (c *clock) wall(instant int64) int64 {
	if !c.window.zoned() {
		return instant
	}
	if instant < c.from || instant >= c.to {
		c.set(instant)
	}
	return instant + c.offset
}

func (c *clock) set(instant int64) {
	c.offset = offsetAt(instant, c.window.Zone)
	c.from, c.to = math.MinInt64, math.MaxInt64
	from, to := time.UnixMilli(instant).In(c.window.Zone).ZoneBounds()
	if !from.IsZero() {
		c.from = from.UnixMilli()
	}
	if !to.IsZero() {
		c.to = to.UnixMilli()
	}
}
