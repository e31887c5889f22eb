// Package window groups rows into tumbling windows of event time: which window a row belongs to and whether it came too
// late, the open windows of a subtask with their groups and aggregates, and what a window says when it fires.
//
// The rules are those of Flink SQL's group windows
// (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/dev/table/sql/queries/window-agg/#group-window-aggregation),
// but for lateness, which is decided by the data alone: see Assigner. The package is pure; nothing in it is safe for
// concurrent use but Tumbling and ResultType.
package window

import (
	"math"
	"time"

	"pencere/pkg/eventtime"
)

// Tumbling cuts event time into windows [start, start+Size) with start = Offset + k*Size for whole k, negative ones too.
//
// Starts and ends are wall-clock times, in ms since 1970-01-01 00:00:00. With a Zone, row times and watermarks are instants
// (TIMESTAMP_LTZ), and windows are cut in the zone's wall clock; without one, row times are wall clock themselves (TIMESTAMP).
type Tumbling struct {
	Size   int64 // ms, 1 or more
	Offset int64 // ms
	// Zone is the session time zone of a TIMESTAMP_LTZ time column; nil for TIMESTAMP.
	Zone *time.Location
	// Lateness is for how many ms after its end a window still takes rows, 0 or more: Flink's allowedLateness.
	Lateness int64
}

// Start returns the start of the window of a row time in ms.
func (t Tumbling) Start(ms int64) int64 {
	wall := ms
	if t.zoned() {
		wall = wallClock(ms, t.Zone)
	}
	return t.startOfWall(wall)
}

func (t Tumbling) startOfWall(wall int64) int64 {
	into := (wall - t.Offset) % t.Size
	if into < 0 {
		into += t.Size
	}
	return wall - into
}

// End returns the end, which is not part of it, of the window that begins at start.
func (t Tumbling) End(start int64) int64 { return start + t.Size }

// Fired reports whether watermark w closes the window that begins at start: no row of its last ms can come any more.
func (t Tumbling) Fired(start int64, w eventtime.Watermark) bool { return w >= t.deadline(start) }

// deadline is the least watermark that closes a window. In a zone it is Flink's (TimeWindowUtil.toEpochMillsForTimer): a window
// that ends in a skipped hour closes as the clock skips it, one that ends in a doubled hour after the second pass.
func (t Tumbling) deadline(start int64) eventtime.Watermark {
	last := t.End(start) - 1
	if t.zoned() {
		last = timerInstant(last, t.Zone)
	}
	return eventtime.Watermark(last)
}

// Expired reports whether watermark w is that by which the window that begins at start has taken its last row.
func (t Tumbling) Expired(start int64, w eventtime.Watermark) bool { return w >= t.expiry(start) }

// expiry is the least watermark that expires a window.
func (t Tumbling) expiry(start int64) eventtime.Watermark {
	deadline := t.deadline(start)
	if deadline > eventtime.End-eventtime.Watermark(t.Lateness) {
		return eventtime.End
	}
	return deadline + eventtime.Watermark(t.Lateness)
}

func (t Tumbling) zoned() bool { return t.Zone != nil && t.Zone != time.UTC }

const hour = int64(time.Hour / time.Millisecond)

// wallClock returns what a clock in zone shows at an instant; both in ms.
func wallClock(instant int64, zone *time.Location) int64 {
	return instant + offsetAt(instant, zone)
}

// offsetAt returns how far the zone's clock is ahead of UTC at an instant; both in ms.
func offsetAt(instant int64, zone *time.Location) int64 {
	_, seconds := time.UnixMilli(instant).In(zone).Zone()
	return int64(seconds) * 1000
}

// instantOf returns when a clock in zone shows wall, as Java's LocalDateTime.atZone: the first time where it does so twice;
// where it never does, as many ms after the skip as wall is after the skip's begin.
func instantOf(wall int64, zone *time.Location) int64 {
	const day = 24 * hour // no zone changes its clock twice in two days
	before, after := offsetAt(wall-day, zone), offsetAt(wall+day, zone)
	if late := wall - after; offsetAt(wall-before, zone) != before && offsetAt(late, zone) == after {
		return late
	}
	return wall - before
}

// timerInstant returns the instant by which rows of wall-clock time wall have come. math.MaxInt64 stays as it is.
func timerInstant(wall int64, zone *time.Location) int64 {
	if wall == math.MaxInt64 {
		return wall
	}
	first := instantOf(wall, zone)
	if !hasSummerTime(zone) {
		return first
	}
	switch nextHour := instantOf(wall+hour, zone); {
	case nextHour == first: // wall is skipped
		return first - first%hour
	case nextHour-first > hour: // wall is passed twice
		return first + hour
	default:
		return first
	}
}

// hasSummerTime reports whether the zone's rules change its clock for ever, as Java's TimeZone.useDaylightTime does. A zone that
// gave up summer time has none, also for the years when it had: Flink then takes the first of two passes.
func hasSummerTime(zone *time.Location) bool {
	farAhead := time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC)
	_, end := farAhead.In(zone).ZoneBounds()
	return !end.IsZero()
}
