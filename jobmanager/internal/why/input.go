package why

import (
	"fmt"
	"slices"
)

// silence is from when on a split without records counts as silent, in ms.
const silence = 10_000

// input is about where records come from: whether there are any, and whether they can be read.
func (e *explainer) input() {
	switch {
	case e.Source.Partitions == 0 && e.Source.Pattern != "":
		e.add(Problem, NoPartitions, "No topic matches "+e.Source.Pattern+" yet, so there is nothing to read.",
			"Create a topic that matches, or correct source.kafka.topic_pattern. Topics are looked for every source.kafka.discovery_interval.")
	case e.Source.Partitions == 0:
		e.add(Problem, NoPartitions, capital(e.topic())+" has no partition that can be read.", "See with Kafka's own tools that the topic exists.")
	case len(e.Splits) == 0 && !e.Status.Terminal():
		e.add(Waiting, Starting, "No taskmanager has reported its partitions yet.", "")
	default:
		e.obstacles()
		e.emptiness()
	}
}

// obstacles are brokers and servers that do not answer.
func (e *explainer) obstacles() {
	if e.Status.Terminal() {
		return
	}
	byReason := make(map[string][]Split)
	var reasons []string
	for _, s := range e.Splits {
		if s.State != SplitWaiting {
			continue
		}
		if byReason[s.Reason] == nil {
			reasons = append(reasons, s.Reason)
		}
		byReason[s.Reason] = append(byReason[s.Reason], s)
	}
	who := "the broker runs"
	if e.Source.HTTP {
		who = "the server is well"
	}
	for _, reason := range reasons {
		splits := byReason[reason]
		e.add(Problem, Unreachable, fmt.Sprintf("%s cannot be read: %s.", capital(e.names(splits)), reason),
			"See that "+who+" and can be reached from the taskmanagers; reading goes on by itself.", splits...)
	}
}

// emptiness is about topics without a record for this job.
func (e *explainer) emptiness() {
	if e.Records.Read > 0 || len(e.Splits) == 0 {
		return
	}
	sure, everWritten := true, false
	for _, s := range e.Splits {
		// A reader learns a partition's end with its first record.
		unknown := s.EndOffset < 0
		if s.State == SplitWaiting || s.Lag() > 0 || unknown && !e.silent(s) {
			return
		}
		sure = sure && !unknown
		everWritten = everWritten || s.EndOffset > 0 || s.Offset > 0
	}
	severity := Waiting
	if e.Source.Bounded {
		severity = Problem
	}
	if e.Source.HTTP {
		e.add(severity, NoRecords, fmt.Sprintf("No item has come from %s for %s: there is none in its answers, or no answer yet.", e.topic(), span(e.leastSilent(e.Splits))),
			"Ask the URL with a browser or curl, and see that source.http.items leads to the items.", e.Splits...)
		return
	}
	where := fmt.Sprintf("%s (%s)", e.topic(), plural(int64(len(e.Splits)), "partition", "partitions"))
	switch {
	case e.Source.Start != "earliest" && everWritten:
		e.add(severity, NoRecords, fmt.Sprintf("No record was written to %s since the job began (source.kafka.start: %s).", where, e.Source.Start),
			"Write records to it; for those that are there already set source.kafka.start: earliest", e.Splits...)
	case everWritten:
		e.add(severity, NoRecords, capital(where)+" holds no record any more: those that were written have been removed (retention, or deleted by hand).",
			"Write records to it; for a longer memory raise the topic's retention.ms.", e.Splits...)
	case sure:
		e.add(severity, NoRecords, capital(where)+" is empty: no record was ever written to it.",
			"Write records to it, or correct source.kafka.topic.", e.Splits...)
	default:
		e.add(severity, NoRecords, fmt.Sprintf("No record has come from %s for %s: it seems to be empty.", where, span(e.leastSilent(e.Splits))),
			"Write records to it, or correct source.kafka.topic. A transaction that a writer left open hides what it wrote until it ends.", e.Splits...)
	}
}

// stopped is about input that has stopped, when no window waits for it.
func (e *explainer) stopped() {
	if e.Records.Read == 0 || len(e.Windows) > 0 || !e.allSilent() {
		return
	}
	if e.Source.HTTP {
		e.add(Waiting, InputSilent, fmt.Sprintf("No item has come for %s; all that came before are dealt with. The polls of %s, every %s, bring nothing new.",
			span(e.leastSilent(e.Splits)), e.topic(), span(e.Source.Interval)), "")
		return
	}
	e.add(Waiting, InputSilent, fmt.Sprintf("No record has come for %s; all that came before are dealt with.", span(e.leastSilent(e.Splits))),
		"Write records to "+e.topic()+". A job that shall end with its input: source.kafka.bounded: latest")
}

// allSilent reports whether no split that is read has had a record of late.
func (e *explainer) allSilent() bool {
	reading := slices.DeleteFunc(slices.Clone(e.Splits), func(s Split) bool { return s.State == SplitFinished })
	return len(reading) > 0 && !slices.ContainsFunc(reading, func(s Split) bool { return !e.silent(s) })
}

// blocked reports whether the source cannot read because of what comes after it: its splits seem silent then.
func (e *explainer) blocked() bool {
	return len(e.Vertices) > 0 && e.Vertices[0].Backpressured >= 500
}

// silent reports whether a split has had no record for long enough to say so: between two polls none can come.
func (e *explainer) silent(s Split) bool {
	return s.Silent >= silence+e.Source.Interval && !e.blocked()
}
