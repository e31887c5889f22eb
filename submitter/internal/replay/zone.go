package replay

import "time"

// wall returns what the clock by which windows are cut shows at a row's time, both in ms.
func (e *Evaluator) wall(ms int64) int64 {
	if e.zone == nil {
		return ms
	}
	return shown(ms, e.zone)
}

func shown(instant int64, zone *time.Location) int64 {
	_, ahead := time.UnixMilli(instant).In(zone).Zone()
	return instant + int64(ahead)*1000
}

// lastInstant returns when the clock shows wall for the last time. In a zone that has summer time now that is the second of two passes, in
// one that gave it up the first, as Flink has it; a time that the clock skips is passed when it skips.
func (e *Evaluator) lastInstant(wall int64) int64 {
	if e.zone == nil {
		return wall
	}
	before, after := wall-(shown(wall-msPerDay, e.zone)-(wall-msPerDay)), wall-(shown(wall+msPerDay, e.zone)-(wall+msPerDay))
	early, late := min(before, after), max(before, after)
	first, second := shown(early, e.zone) == wall, shown(late, e.zone) == wall
	switch {
	case first && second && !hasSummerTime(e.zone):
		return early
	case second:
		return late
	case first:
		return early
	}
	begin, _ := time.UnixMilli(late).In(e.zone).ZoneBounds()
	return begin.UnixMilli()
}

func hasSummerTime(zone *time.Location) bool {
	_, end := time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC).In(zone).ZoneBounds()
	return !end.IsZero()
}
