package why

import (
	"fmt"
)

// publication is about rows that are written and not visible: only a checkpoint that completes makes them so.
func (e *explainer) publication() {
	c := e.Checkpoints
	wait := ""
	if e.Output.Unpublished > 0 {
		wait = fmt.Sprintf(" %s for it.", plural(e.Output.Unpublished, "row waits", "rows wait"))
	}
	switch {
	case c.FailedSince > 0 && c.LatestFailed != nil:
		e.add(Problem, CheckpointsFail, fmt.Sprintf("%s failed, the newest (%d) %s ago: %s. Rows become visible with a checkpoint that completes.%s",
			capital(lastOnes(c.FailedSince)), c.LatestFailed.ID, span(e.Now-c.LatestFailed.Ended), firstLine(c.LatestFailed.Failure), wait),
			"Mend what the message names: checkpoint storage (--checkpoint-dir) and the sink's directory must be writable on every taskmanager.")
	case c.LatestFailed != nil:
		e.add(Note, CheckpointsFailed, fmt.Sprintf("%s before; the newest that did (%d): %s.", plural(int64(c.Failed), "checkpoint failed", "checkpoints failed"),
			c.LatestFailed.ID, firstLine(c.LatestFailed.Failure)), "")
	}
	if c.UnderWay != nil && e.Now-c.UnderWay.Began >= slowCheckpoint {
		e.add(Problem, CheckpointSlow, fmt.Sprintf("Checkpoint %d has been under way for %s; %d of %d subtasks have given their part. Rows become visible when it completes.%s",
			c.UnderWay.ID, span(e.Now-c.UnderWay.Began), c.UnderWay.Acked, c.UnderWay.Subtasks, wait),
			"If a vertex is back-pressured, barriers wait with its rows: give the job more slots. Else see whether checkpoint storage is slow.")
	}
	if wait == "" || c.FailedSince > 0 || c.UnderWay != nil {
		return
	}
	waits := plural(e.Output.Unpublished, "row is", "rows are")
	if c.Interval == 0 && e.WindowSize == 0 {
		e.add(Problem, Unpublished, waits+" written and not visible: checkpoint.interval is 0, so that nothing is published before the job ends.",
			"Set checkpoint.interval, for example to 10s; or publish now with: submitter savepoint JOB")
		return
	}
	e.add(Note, Unpublished, waits+" written and not visible yet: the next checkpoint publishes them.", "")
}

// slowCheckpoint is from when on a checkpoint under way is worth a word, in ms.
const slowCheckpoint = 30_000

func lastOnes(n int) string {
	if n == 1 {
		return "the last checkpoint"
	}
	return fmt.Sprintf("the last %s checkpoints", grouped(int64(n)))
}

// pace is about a job that is slower than its input.
func (e *explainer) pace() {
	e.sinkTrouble()
	e.pressure()
	e.unread()
	e.lag()
}

// pressure names the vertex that holds others up. It is Flink's bound between low and high.
func (e *explainer) pressure() {
	for i, v := range e.Vertices {
		if v.Backpressured < 500 {
			continue
		}
		if i+1 == len(e.Vertices) {
			e.sinkPressure(v)
			continue
		}
		next := e.Vertices[i+1]
		severity, sentence := Note, fmt.Sprintf("%s waits %.0f %% of its time for %s, which is busy %.0f %% of its own.",
			v.Name, percent(v.Backpressured), next.Name, percent(next.BusyTime))
		if v.Backpressured >= 950 && v.RecordsIn == 0 {
			severity = Problem
		}
		e.addAbout(v, severity, Backpressure, sentence, "More slots make it faster (parallelism, more taskmanagers); so does a faster disk for the sink when it waits for that.")
	}
}

// sinkTrouble is about a sink that cannot write.
func (e *explainer) sinkTrouble() {
	if e.Sink.Trouble == "" || len(e.Vertices) == 0 {
		return
	}
	e.addAbout(e.Vertices[len(e.Vertices)-1], Problem, SinkUnreachable,
		fmt.Sprintf("The sink has written nothing to %s for %s: %s.", e.Sink.Name, span(e.Sink.TroubleFor), e.Sink.Trouble),
		"See that the servers of sink.mongodb.uri run and can be reached from the taskmanagers. Nothing is lost: the job waits for them.")
}

// sinkPressure is about the last vertex, which nothing but what its sink writes to holds up.
func (e *explainer) sinkPressure(v Vertex) {
	severity := Note
	if v.Backpressured >= 950 {
		severity = Problem
	}
	if e.Sink.Kind == SinkMongoDB {
		if e.Sink.Trouble == "" {
			e.addAbout(v, Note, Backpressure, fmt.Sprintf("%s waits %.0f %% of its time for MongoDB.", v.Name, percent(v.Backpressured)),
				"More slots write more at once, and so does a larger sink.mongodb.bulk.documents; else see what the database is busy with.")
		}
		return
	}
	e.addAbout(v, severity, Backpressure, fmt.Sprintf("%s waits %.0f %% of its time for the brokers of the topic that it writes to.", v.Name, percent(v.Backpressured)),
		"Look whether all brokers of sink.kafka.brokers are there. A commit that takes longer than 30 s restarts the job, which then waits for the brokers.")
}

func percent(msPerSecond float64) float64 { return min(100, msPerSecond/10) }

// unread is about records that are there by their numbers and do not come.
func (e *explainer) unread() {
	var stuck []Split
	for _, s := range e.Splits {
		if s.State == SplitReading && s.Lag() > 0 && e.silent(s) {
			stuck = append(stuck, s)
		}
	}
	if len(stuck) == 0 {
		return
	}
	e.add(Waiting, SplitStuck, fmt.Sprintf("%s %s offsets after the last record read, and nothing has come from there for %s.", capital(e.names(stuck)),
		either(stuck, "has", "have"), span(e.leastSilent(stuck))),
		"With transactional writers this is normal at a topic's end, where their markers are; a transaction that was left open hides what is behind it until it ends.",
		stuck...)
}

// lag is about how long it takes to catch up.
func (e *explainer) lag() {
	var lag int64
	for _, s := range e.Splits {
		if s.State == SplitReading && !e.silent(s) {
			lag += max(0, s.Lag())
		}
	}
	if lag == 0 || len(e.Vertices) == 0 {
		return
	}
	rate := e.Vertices[0].RecordsIn
	if rate <= 0 {
		e.add(Note, CatchingUp, fmt.Sprintf("%s still to be read.", plural(lag, "record is", "records are")), "")
		return
	}
	if ms := float64(lag) / rate * 1000; ms >= silence {
		severity := Note
		if e.Records.Emitted == 0 {
			severity = Waiting
		}
		e.add(severity, CatchingUp, fmt.Sprintf("%s still to be read; at %s a second that takes %s.", plural(lag, "record is", "records are"),
			plural(int64(rate), "record", "records"), span(int64(min(ms, 1e15)))), "")
	}
}
