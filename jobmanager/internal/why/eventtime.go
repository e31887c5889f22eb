package why

import (
	"cmp"
	"fmt"
	"slices"

	"pencere/pkg/eventtime"
)

// eventTime is about windows that have not fired, and whose fault it is. Without a window nothing waits for event time.
func (e *explainer) eventTime() {
	if e.WindowSize == 0 || len(e.Splits) == 0 || e.Source.Partitions == 0 {
		return
	}
	if e.noTimes() {
		return
	}
	e.idle()
	if len(e.Windows) == 0 {
		return
	}
	holding, ahead := e.holding()
	switch {
	case len(holding) > 0 && ahead:
		e.heldBack(holding)
	case e.allSilent() && e.Records.Read > 0:
		e.inputSilent(holding)
		return
	}
	e.next(holding)
}

// noTimes reports whether rows were read and none had a time.
func (e *explainer) noTimes() bool {
	rows := e.Records.Read - e.Records.Skipped - e.Records.DeadLettered
	if rows <= 0 || slices.ContainsFunc(e.Splits, func(s Split) bool { return s.Watermark != eventtime.None }) {
		return false
	}
	e.add(Problem, NoEventTime, fmt.Sprintf("None of the %s read has a time in %s, so event time does not begin.", plural(rows, "row", "rows"), e.Source.TimeColumn),
		fmt.Sprintf("Compare %s with a record of the topic: its name, and its form (source.json: {timestamp-format.standard: SQL or ISO-8601}).", e.Source.TimeColumn))
	return true
}

// holding returns the splits that keep the first of the windows from firing, and whether another one has passed its end.
// When all are idle the furthest counts, so that any one of them can let it fire.
func (f Facts) holding() (behind []Split, ahead bool) {
	if len(f.Windows) == 0 {
		return nil, false
	}
	var idle []Split
	active := false
	for _, s := range f.Splits {
		passed := s.Watermark >= f.Windows[0].FiresAt
		switch {
		case s.State == SplitFinished:
		case s.Idle:
			ahead = ahead || passed
			if !passed {
				idle = append(idle, s)
			}
		case passed:
			active, ahead = true, true
		default:
			active = true
			behind = append(behind, s)
		}
	}
	if !active && !ahead {
		return idle, false
	}
	return behind, ahead
}

// missing returns the event time from which on a record lets the first of the windows fire, false without a window.
func (f Facts) missing() (ms int64, ok bool) {
	if len(f.Windows) == 0 {
		return 0, false
	}
	return int64(f.Windows[0].FiresAt) + f.Source.Delay, true
}

// Complete notes at each split which record it lacks.
func (f Facts) Complete() Facts {
	ms, ok := f.missing()
	if !ok {
		return f
	}
	behind, _ := f.holding()
	f.Splits = slices.Clone(f.Splits)
	for i := range f.Splits {
		if slices.ContainsFunc(behind, func(s Split) bool { return s.SplitName == f.Splits[i].SplitName }) {
			f.Splits[i].Missing = &ms
		}
	}
	return f
}

// wanted says which records fire the first window, as "a record of partition 3 with timestamp_column ≥ 2025-03-04 11:56:05".
func (e *explainer) wanted(behind []Split) string {
	ms, _ := e.missing()
	which := "a record of " + e.names(behind)
	switch {
	case len(behind) == 0 || e.allIdle() && len(e.Splits) > 1:
		which = "a record of any partition"
	case len(behind) > 1:
		which = "a record of each of the " + e.names(behind)
	}
	return fmt.Sprintf("%s with %s ≥ %s", which, e.Source.TimeColumn, e.instant(ms))
}

func (e *explainer) allIdle() bool {
	return !slices.ContainsFunc(e.Splits, func(s Split) bool { return s.State != SplitFinished && !s.Idle })
}

// first describes the first window.
func (e *explainer) first() string {
	w := e.Windows[0]
	return fmt.Sprintf("window %s with %s", window(w), plural(w.Groups, "row", "rows"))
}

// inputSilent is about input that has stopped: event time stops with it.
func (e *explainer) inputSilent(behind []Split) {
	e.add(Waiting, InputSilent, fmt.Sprintf("No record has come for %s, and event time goes on with records only: %s stays open.", span(e.leastSilent(e.Splits)), e.first()),
		capital(e.wanted(behind))+" lets it fire. A job that shall end with its input: source.kafka.bounded: latest", behind...)
}

// heldBack names the splits without which the first window would have fired.
func (e *explainer) heldBack(behind []Split) {
	var empty, silent, moving []Split
	for _, s := range behind {
		switch {
		case s.State == SplitWaiting: // it is told that it cannot be read
		case e.silent(s) && s.Watermark == eventtime.None:
			empty = append(empty, s)
		case e.silent(s):
			silent = append(silent, s)
		default:
			moving = append(moving, s)
		}
	}
	e.quietOnes(empty, behind, "without a row so far")
	if len(silent) > 0 {
		e.quietOnes(silent, behind, fmt.Sprintf("without a record for %s, at %s", span(e.leastSilent(silent)), e.watermark(lowest(silent).Watermark)))
	}
	// Partitions that go on are never at the same time; it is the distance that tells.
	if len(moving) == 0 {
		return
	}
	slow := lowest(moving)
	if slow.Watermark == eventtime.None || int64(e.furthest())-int64(slow.Watermark) >= e.WindowSize {
		sentence := fmt.Sprintf("%s %s the watermark back, at %s, with rows older than those of the other partitions.",
			capital(e.names(moving)), either(moving, "holds", "hold"), e.watermark(slow.Watermark))
		if slow.Lag() > 0 {
			sentence = fmt.Sprintf("%s %s the watermark back, at %s: %s of %s are still to be read.", capital(e.names(moving)), either(moving, "holds", "hold"),
				e.watermark(slow.Watermark), plural(slow.Lag(), "record", "records"), e.names([]Split{slow}))
		}
		e.add(Waiting, WatermarkHeld, sentence, "", moving...)
	}
}

// quietOnes is about silent splits that hold the watermark back.
func (e *explainer) quietOnes(quiet, behind []Split, how string) {
	if len(quiet) == 0 {
		return
	}
	sentence := fmt.Sprintf("%s %s the watermark back, %s: the others have passed the end of %s.", capital(e.names(quiet)), either(quiet, "holds", "hold"), how, e.first())
	if left := e.Source.IdleAfter - e.leastSilent(quiet); e.Source.IdleAfter > 0 {
		e.add(Waiting, WatermarkHeld, sentence, fmt.Sprintf("Wait: in %s %s left out (source.watermark.idle_after: %s).",
			span(left), either(quiet, "it is", "they are"), span(e.Source.IdleAfter)), quiet...)
		return
	}
	e.add(Problem, WatermarkHeld, sentence, fmt.Sprintf("Set source.watermark.idle_after, for example to 30s, and silent partitions are left out; or write %s.",
		e.wanted(behind)), quiet...)
}

// either is one word for one split and another for many.
func either(splits []Split, one, many string) string {
	if len(splits) == 1 {
		return one
	}
	return many
}

// next says how far the next window is from firing.
func (e *explainer) next(behind []Split) {
	if len(behind) == 0 {
		e.add(Note, WindowOpen, capital(e.first())+" is about to fire.", "")
		return
	}
	sentence := capital(e.first()) + " has not fired: there is no watermark yet."
	if low := lowest(behind).Watermark; low != eventtime.None {
		sentence = fmt.Sprintf("%s fires in %s of event time; the watermark is %s.", capital(e.first()),
			span(int64(e.Windows[0].FiresAt)-int64(low)), e.watermark(low))
	}
	sentence += " It takes " + e.wanted(behind) + "."
	if more := e.OpenWindows - 1; more > 0 {
		sentence += fmt.Sprintf(" %s open after it.", plural(more, "more window is", "more windows are"))
	}
	e.add(Note, WindowOpen, sentence, "", behind...)
}

// idle names the splits that are left out of the watermark.
func (e *explainer) idle() {
	var idle []Split
	for _, s := range e.Splits {
		if s.Idle && s.State != SplitFinished {
			idle = append(idle, s)
		}
	}
	if len(idle) > 0 {
		e.add(Note, SplitsIdle, fmt.Sprintf("%s %s idle and left out of the watermark, without a record for %s.", capital(e.names(idle)),
			either(idle, "is", "are"), span(e.leastSilent(idle))), "", idle...)
	}
}

func (e *explainer) leastSilent(splits []Split) int64 {
	least := splits[0].Silent
	for _, s := range splits {
		least = min(least, s.Silent)
	}
	return least
}

func (e *explainer) furthest() eventtime.Watermark {
	furthest := eventtime.None
	for _, s := range e.Splits {
		furthest = max(furthest, s.Watermark)
	}
	return furthest
}

func lowest(splits []Split) Split {
	return slices.MinFunc(splits, func(a, b Split) int { return cmp.Compare(a.Watermark, b.Watermark) })
}
