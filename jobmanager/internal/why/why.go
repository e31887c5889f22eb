// Package why answers the question why a job gives no output. It is pure: facts go in, and findings come out, each a plain
// sentence and what to do about it, the most likely cause first.
package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pencere/jobmanager/internal/jobfsm"
)

// Severity says what a finding means for whoever waits for output.
type Severity string

// The severities, the worst first.
const (
	Problem Severity = "problem" // somebody must do something
	Waiting Severity = "waiting" // output waits for this; it may come by itself
	OK      Severity = "ok"      // nothing is wrong
	Note    Severity = "note"    // good to know
)

var severities = []Severity{Problem, Waiting, OK, Note}

// Kind names a cause, for programs.
type Kind string

// The kinds, those nearer to the root of things first: in this order findings of a severity are told.
const (
	Failed            Kind = "job-failed"
	Canceled          Kind = "job-canceled"
	Finished          Kind = "job-finished"
	NoSlots           Kind = "no-slots"
	Restarting        Kind = "restarting"
	Unreachable       Kind = "source-unreachable"
	SinkUnreachable   Kind = "sink-unreachable"
	Starting          Kind = "starting"
	Imbalanced        Kind = "ledger-imbalance"
	Restarted         Kind = "restarted"
	NoPartitions      Kind = "no-partitions"
	NoRecords         Kind = "no-records"
	RecordsSkipped    Kind = "records-skipped"
	RecordsDead       Kind = "records-dead-lettered"
	RecordsLost       Kind = "records-lost"
	RowsFiltered      Kind = "rows-filtered"
	NoEventTime       Kind = "no-event-time"
	RowsLate          Kind = "rows-late"
	WatermarkHeld     Kind = "watermark-held-back"
	InputSilent       Kind = "input-silent"
	SplitStuck        Kind = "split-not-read"
	CheckpointsFail   Kind = "checkpoints-fail"
	CheckpointSlow    Kind = "checkpoint-slow"
	Unpublished       Kind = "rows-unpublished"
	Backpressure      Kind = "back-pressure"
	CatchingUp        Kind = "catching-up"
	NothingWrong      Kind = "nothing-wrong"
	WindowOpen        Kind = "window-open"
	SplitsIdle        Kind = "splits-idle"
	FieldsIgnored     Kind = "fields-ignored"
	CheckpointsFailed Kind = "checkpoints-failed-before"
)

var kinds = []Kind{
	Failed, Canceled, Finished, NoSlots, Restarting, Unreachable, SinkUnreachable, Starting, Imbalanced, Restarted, NoPartitions, NoRecords, RecordsSkipped,
	RecordsDead, RecordsLost, RowsFiltered, NoEventTime, RowsLate, WatermarkHeld, InputSilent, SplitStuck, CheckpointsFail, CheckpointSlow,
	Unpublished, Backpressure, CatchingUp, NothingWrong, WindowOpen, SplitsIdle, FieldsIgnored, CheckpointsFailed,
}

// Finding is one answer.
type Finding struct {
	Severity Severity    `json:"severity"`
	Kind     Kind        `json:"kind"`
	VertexID string      `json:"vertex-id"` // "" when it is not about one
	Splits   []SplitName `json:"splits"`    // that it is about
	Sentence string      `json:"sentence"`
	Remedy   string      `json:"remedy"` // "" when there is nothing to do
}

// Explain returns what is to be said of a job, the most likely cause of missing output first; there is always something.
func Explain(f Facts) []Finding {
	e := &explainer{Facts: f}
	e.life()
	if f.Status == jobfsm.Finished || f.Running && !f.Status.Terminal() {
		e.input()
		e.fates()
	}
	if f.Running && !f.Status.Terminal() {
		e.stopped()
		e.eventTime()
		e.publication()
		e.pace()
	}
	e.conclude()
	slices.SortStableFunc(e.findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)),
			cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)),
		)
	})
	return e.findings
}

// explainer collects findings.
type explainer struct {
	Facts
	findings []Finding
}

func (e *explainer) add(s Severity, k Kind, sentence, remedy string, splits ...Split) {
	finding := Finding{Severity: s, Kind: k, Sentence: sentence, Remedy: remedy, Splits: []SplitName{}}
	for _, split := range splits {
		finding.Splits = append(finding.Splits, split.SplitName)
	}
	if len(splits) > 0 && len(e.Vertices) > 0 {
		finding.VertexID = e.Vertices[0].ID
	}
	e.findings = append(e.findings, finding)
}

// addAbout is add for a finding about a vertex.
func (e *explainer) addAbout(v Vertex, s Severity, k Kind, sentence, remedy string) {
	e.add(s, k, sentence, remedy)
	e.findings[len(e.findings)-1].VertexID = v.ID
}

// conclude says that nothing is wrong when nothing is.
func (e *explainer) conclude() {
	for _, f := range e.findings {
		if f.Severity != Note {
			return
		}
	}
	switch {
	case e.Output.Rows > 0:
		e.add(OK, NothingWrong, fmt.Sprintf("Nothing is wrong: %s published, the last %s ago.",
			plural(e.Output.Rows, "row is", "rows are"), span(e.Now-e.Output.LastPublished)), "")
	case e.Output.Unpublished > 0:
		e.add(OK, NothingWrong, fmt.Sprintf("Nothing is wrong: %s written, and the next checkpoint publishes them.",
			plural(e.Output.Unpublished, "row is", "rows are")), "")
	case e.Records.Emitted > 0:
		e.add(OK, NothingWrong, fmt.Sprintf("Nothing is wrong: %s written.", plural(e.Records.Emitted, "row is", "rows are")), "")
	case len(e.Windows) > 0:
		e.add(OK, NothingWrong, "Nothing is wrong: rows wait in an open window, and none has ended yet.", "")
	case e.Records.Read == 0:
		e.add(OK, NothingWrong, "Nothing is wrong so far: no record has come yet.", "")
	default:
		e.add(OK, NothingWrong, "Nothing is wrong: no row is due yet.", "")
	}
}

// recently bounds how old a failure may be and still be the likely cause, in ms.
const recently = 5 * 60_000

// life is about the job as a whole: whether it runs, and how often it had to begin again.
func (e *explainer) life() {
	cause := "no failure is recorded"
	if e.Failure != nil {
		cause = e.Failure.text()
	}
	switch e.Status {
	case jobfsm.Failed:
		e.add(Problem, Failed, fmt.Sprintf("The job failed %s ago: %s", e.inStatus(), cause),
			"Mend what the message names and run the job again; with --from-savepoint it goes on from a savepoint.")
	case jobfsm.Canceled:
		e.add(Problem, Canceled, fmt.Sprintf("The job was cancelled %s ago.", e.inStatus()), "Run it again: submitter run job.yaml")
	case jobfsm.Finished:
		e.finished()
	case jobfsm.Cancelling:
		e.add(Waiting, Canceled, "The job is being cancelled.", "")
	case jobfsm.Failing, jobfsm.Restarting:
		e.add(Problem, Restarting, "The job has failed and is about to start again: "+cause, "Mend what the message names; the job goes on by itself.")
	case jobfsm.Initializing, jobfsm.Created, jobfsm.Running, jobfsm.Suspended, jobfsm.Reconciling:
		e.start()
		e.restarts()
	}
	if e.Imbalance != "" {
		e.add(Problem, Imbalanced, "Records are missing or doubled: "+e.Imbalance+".",
			"This is an error of the engine: keep the job's files, and see which split it is with: submitter ledger JOB")
	}
}

func (e *explainer) finished() {
	if e.Output.Rows == 0 && e.Records.Emitted == 0 {
		e.add(Problem, Finished, fmt.Sprintf("The job finished %s ago, its input has ended, and it wrote no row.", e.inStatus()), "")
		return
	}
	e.add(OK, Finished, fmt.Sprintf("The job finished %s ago: %s written.", e.inStatus(),
		plural(max(e.Output.Rows, e.Records.Emitted), "row is", "rows are")), "")
}

// start is about a job that does not process yet.
func (e *explainer) start() {
	switch {
	case e.Running:
	case e.Status == jobfsm.Initializing && e.Notice != "":
		e.add(Problem, Unreachable, "The job cannot find the partitions of "+e.topic()+" yet: "+e.Notice+".",
			"See that the brokers of source.kafka.brokers run and can be reached from the jobmanager and the taskmanagers.")
	case e.Status == jobfsm.Initializing:
		e.add(Waiting, Starting, "The job is starting: it looks for the partitions of "+e.topic()+".", "")
	case e.Parallelism == 0, strings.HasPrefix(e.Notice, waitingForSlots):
		e.noSlots()
	default:
		e.add(Waiting, Starting, "The job is starting: not all of its subtasks process yet.", "")
	}
}

// waitingForSlots is how the notice of a job begins that waits for some, all of it or subtasks that begin again.
const waitingForSlots = "waiting for slots"

func (e *explainer) noSlots() {
	sentence := "The job waits for slots"
	if e.Notice != "" {
		sentence = "The job is " + e.Notice
	}
	e.add(Problem, NoSlots, fmt.Sprintf("%s; the cluster has %s with %s, %d of them free.", sentence,
		plural(int64(e.Slots.TaskManagers), "taskmanager", "taskmanagers"), plural(int64(e.Slots.Total), "slot", "slots"), e.Slots.Free),
		"Start more taskmanagers, or some with more --slots; or cancel another job; or lower the job's parallelism.")
}

func (e *explainer) restarts() {
	if e.Restarts == 0 || e.Failure == nil {
		return
	}
	sentence := fmt.Sprintf("The job has restarted %s, the last time after a failure %s ago: %s",
		plural(int64(e.Restarts), "time", "times"), span(e.Now-e.Failure.Time), e.Failure.text())
	c := e.Checkpoints.LatestCompleted
	recovered := c != nil && c.Ended > e.Failure.Time && e.Output.LastPublished > e.Failure.Time
	if !recovered && e.Now-e.Failure.Time <= recently {
		e.add(Problem, Restarted, sentence, "Mend what the message names; until then each restart goes back to the last checkpoint.")
		return
	}
	e.add(Note, Restarted, sentence, "")
}

func (e *explainer) inStatus() string { return span(e.Now - e.StatusSince) }

func (f *Failure) text() string {
	message := firstLine(f.Message)
	if f.Task == "" {
		return message
	}
	return f.Task + ": " + message
}
