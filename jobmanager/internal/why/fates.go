package why

import (
	"fmt"
	"slices"

	"pencere/pkg/eventtime"
)

// fates is about what became of records on their way.
func (e *explainer) fates() {
	r := e.Records
	e.skipped(r)
	e.deadLettered(r)
	e.lost(r)
	e.truncated(r)
	e.filtered(r)
	e.late(r)
	if r.IgnoredFields > 0 {
		e.add(Note, FieldsIgnored, plural(r.IgnoredFields, "field was", "fields were")+" not readable and became NULL (on_error: ignore).",
			"To see the first one and why: run the job with source.on_error: fail")
	}
}

func (e *explainer) skipped(r Records) {
	if r.Skipped == 0 {
		return
	}
	if r.Skipped < r.Read {
		e.add(Note, RecordsSkipped, fmt.Sprintf("%s empty or not readable, and left out (on_error: %s).",
			outOf(r.Skipped, r.Read, "record", "records"), e.Source.OnError), "")
		return
	}
	e.add(Problem, RecordsSkipped, fmt.Sprintf("None of the %s read could be used: each was empty or not readable, and left out (on_error: %s).",
		plural(r.Read, "record", "records"), e.Source.OnError),
		"Compare source.schema and the format's options with a record of the topic; source.on_error: fail names the first record and what is wrong with it.")
}

func (e *explainer) deadLettered(r Records) {
	switch {
	case r.DeadLettered == 0:
	case r.DeadLettered+r.Skipped < r.Read:
		e.add(Note, RecordsDead, outOf(r.DeadLettered, r.Read, "record", "records")+" handed to the dead letters, which say why.", "")
	default:
		e.add(Problem, RecordsDead, fmt.Sprintf("All %s that could be read went to the dead letters.", plural(r.DeadLettered, "record", "records")),
			"Each dead letter says why: compare the reasons with source.schema and the job's event time.")
	}
}

// lost is about records that retention removed before they were read.
func (e *explainer) lost(r Records) {
	if r.Lost == 0 {
		return
	}
	severity := Note
	if r.Lost > r.Read {
		severity = Problem
	}
	splits := e.splitsThat(func(s Split) bool { return s.Lost > 0 })
	e.add(severity, RecordsLost, fmt.Sprintf("%s gone from Kafka before the job had read that far%s (on_data_loss: earliest).",
		plural(r.Lost, "record was", "records were"), e.inSplits(splits)),
		"They cannot be read any more. Keep records for longer (the topic's retention.ms and retention.bytes), or raise the job's parallelism, "+
			"so that it does not fall so far behind; source.kafka.on_data_loss: fail stops it instead.", splits...)
}

// truncated is about partitions that were not what they had been.
func (e *explainer) truncated(r Records) {
	if r.Truncations == 0 {
		return
	}
	splits := e.splitsThat(func(s Split) bool { return s.Truncations > 0 })
	e.add(Note, RecordsLost, fmt.Sprintf("A partition was cut or made anew under the job (found %s%s), which went on from its first record: how many records are lost is not known.",
		plural(r.Truncations, "time", "times"), e.inSplits(splits)),
		"Do not delete a topic that a job reads, and see that brokers which lag behind cannot lead it (unclean.leader.election.enable: false).", splits...)
}

func (e *explainer) splitsThat(have func(Split) bool) []Split {
	return slices.DeleteFunc(slices.Clone(e.Splits), func(s Split) bool { return !have(s) })
}

// inSplits is the end of a clause that names splits, if any are known.
func (e *explainer) inSplits(splits []Split) string {
	if len(splits) == 0 {
		return ""
	}
	return ", in " + e.names(splits)
}

func (e *explainer) filtered(r Records) {
	decoded := r.Read - r.Skipped - r.DeadLettered
	switch {
	case r.Filtered == 0:
	case r.Filtered < decoded:
		e.add(Note, RowsFiltered, outOf(r.Filtered, decoded, "row", "rows")+" refused by where: "+e.Where, "")
	default:
		e.add(Problem, RowsFiltered, fmt.Sprintf("Every row was refused (%s) by where: %s", plural(r.Filtered, "row", "rows"), e.Where),
			"Correct the condition, or see whether its columns hold what it expects: a comparison with NULL is never TRUE.")
	}
}

func (e *explainer) late(r Records) {
	late := r.Late + r.LateAfterIdle
	if late == 0 {
		return
	}
	judged := late + r.Emitted + r.Collapsed + r.Open
	sentence := outOf(late, judged, "row", "rows") + " late: the rows before in the same partition had already ended the window."
	if r.LateAfterIdle > 0 {
		sentence += fmt.Sprintf(" %s late only because the partition had been idle.", plural(r.LateAfterIdle, "was", "were"))
	}
	if 2*late < judged {
		e.add(Note, RowsLate, sentence, "")
		return
	}
	remedy := fmt.Sprintf("Raise source.watermark.delay (now %s) above the disorder of the input.", span(e.Source.Delay))
	ahead := e.aheadOfClock()
	for _, s := range ahead {
		sentence += fmt.Sprintf(" The newest row of %s is of %s, ahead of the clock: a wrong time moves event time for good.",
			e.names([]Split{s}), e.instant(int64(s.Watermark)+e.Source.Delay))
		remedy = fmt.Sprintf("Correct what writes wrong times into %s, and run the job again from behind that record (source.kafka.start).", e.Source.TimeColumn)
		break
	}
	if 2*r.LateAfterIdle >= late {
		remedy = fmt.Sprintf("Raise source.watermark.idle_after (now %s) above the longest pause of a partition.", span(e.Source.IdleAfter))
	}
	e.add(Problem, RowsLate, sentence, remedy, ahead...)
}

// day is more than clocks of different time zones differ, in ms.
const day = 24 * 3600_000

// aheadOfClock returns the splits whose event time is more than a day in the future.
func (e *explainer) aheadOfClock() []Split {
	var ahead []Split
	for _, s := range e.Splits {
		if s.Watermark != eventtime.End && int64(s.Watermark) > e.Now+day {
			ahead = append(ahead, s)
		}
	}
	return ahead
}
