// Package coordinator decides when the checkpoints of a job are triggered, when one is complete, and which are no longer needed.
// It is pure: time comes in with each event, and what it wants done goes out as actions, so that a test chooses every order.
//
// A checkpoint is triggered at the sources, whose barriers cut the job; it is complete when every subtask has acked with its
// state; it exists when it is committed in the replicated log; and only then is it announced. The rules and their names are
// Flink's (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/dev/datastream/fault-tolerance/checkpointing/), but
// that a subtask may ask for a checkpoint, and that a savepoint is one of those of which only so many are under way.
package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pencere/pkg/checkpoint"
)

// patience is how long a user's request waits for an attempt, while the job waits for slots, or to begin again, or a new leader for its
// subtasks. Flink refuses it at once.
const patience = 30 * time.Second

// Config says when checkpoints are taken and kept.
type Config struct {
	Interval time.Duration // between periodic triggers; 0 for none
	MinPause time.Duration // from a checkpoint's end to the next trigger; it does not hold up savepoints
	// FiredPause is MinPause, where that is shorter, for a checkpoint that a subtask asks for: windows that fire in quick
	// succession share one.
	FiredPause time.Duration
	Timeout    time.Duration // from trigger to the last ack; 0 for none
	// TolerableFailures is how many periodic checkpoints may fail in a row before the job does.
	TolerableFailures int
	// MaxConcurrent is how many checkpoints may be under way at once, 0 standing for 1; with a MinPause it is 1.
	MaxConcurrent int
	// Retained is how many periodic checkpoints are kept, 1 or more.
	Retained       int
	MaxParallelism int
}

// Concurrent returns how many checkpoints may be under way at once.
func (c Config) Concurrent() int {
	if c.MinPause > 0 {
		return 1
	}
	return max(c.MaxConcurrent, 1)
}

// Coordinator is the state machine of one job's checkpoints, over all attempts under one jobmanager. It is made by New.
type Coordinator struct {
	config    Config
	next      checkpoint.ID // the next checkpoint's
	reserved  checkpoint.ID // the greatest that may be used
	reserving bool
	retained  []retained // committed checkpoints, by ID
	over      bool       // the job has ended
	attempt   *attempt   // nil while none runs
	early     []early    // requests that came while none ran, the first first
	pending   []*pending // the checkpoints that are under way, by ID
	wake      time.Time  // what the last WakeAt said

	// Of the current Step.
	now     time.Time
	actions []Action
}

type retained struct {
	id    checkpoint.ID
	kind  checkpoint.Kind
	blobs []checkpoint.Blob
}

// early is a request that waits for an attempt.
type early struct {
	Requested
	until time.Time
}

// attempt is an execution of the job.
type attempt struct {
	number       int // of the subtasks that began last
	sources      []checkpoint.Subtask
	subtasks     map[checkpoint.Subtask]int // their attempts; gone for those that are about to begin again
	running      bool
	ended        map[checkpoint.Subtask]Ended
	rowsWait     bool          // some subtask's rows wait for a checkpoint that has not begun
	requests     []Requested   // for which no checkpoint has begun
	nextPeriodic time.Time     // zero before all have run
	lastEnd      time.Time     // of a checkpoint; zero before the first
	lastBegin    time.Time     // the same
	completed    checkpoint.ID // the newest of this attempt; 0 for none
	failures     int           // in a row
	closed       bool          // there will be no further checkpoint
}

// New returns the coordinator of a job whose committed checkpoints, savepoints among them, and the greatest ID ever reserved are
// in the replicated log. The savepoints count as released: whoever copied them did so under another coordinator.
func New(config Config, committed []checkpoint.Checkpoint, reserved checkpoint.ID) *Coordinator {
	c := &Coordinator{config: config, reserved: reserved, next: reserved + 1}
	for _, k := range committed {
		c.retained = append(c.retained, retained{id: k.ID, kind: checkpoint.Periodic, blobs: k.Blobs()})
		c.next = max(c.next, k.ID+1)
	}
	slices.SortFunc(c.retained, func(a, b retained) int { return int(int64(a.id) - int64(b.id)) })
	return c
}

// Progress is how far a checkpoint that is under way has come.
type Progress struct {
	ID          checkpoint.ID
	Kind        checkpoint.Kind
	TriggeredMs int64
	Waiting     []checkpoint.Subtask // those that have not acked; none while it is being committed
	Subtasks    int                  // all
	Acks        []Ack                // of those that have acked, or had ended before, by subtask
}

// Ack is that a subtask's state came.
type Ack struct {
	Subtask checkpoint.Subtask
	AtMs    int64 // the trigger's time for a subtask that had ended before
	Bytes   int64 // of keyed state
}

// Progress returns that of the checkpoints that are under way, by ID. If one is being committed it is the first.
func (c *Coordinator) Progress() []Progress {
	var all []Progress
	for _, p := range c.pending {
		all = append(all, Progress{
			ID: p.id, Kind: p.kind, TriggeredMs: p.triggeredMs, Waiting: p.waiting(), Subtasks: len(p.subtasks), Acks: p.acked(),
		})
	}
	return all
}

// Step takes an event at a time and returns what must be done. An event that no longer fits, such as one of an attempt that is
// over, does nothing but hand out the blobs that it brings.
func (c *Coordinator) Step(now time.Time, e Event) []Action {
	c.now, c.actions = now, nil
	switch e := e.(type) {
	case Started:
		c.started(e)
	case Running:
		c.running(e)
	case Tick:
		c.wake = time.Time{}
		c.expire()
	case Fired:
		c.fired(e)
	case Requested:
		c.requested(e)
	case Reserved:
		c.reserving, c.reserved = false, max(c.reserved, e.Through)
	case Acked:
		c.acked(e)
	case Ended:
		c.ended(e)
	case Declined:
		c.declined(e)
	case Committed:
		c.committed(e)
	case CommitFailed:
		c.commitFailed(e)
	case Interrupted:
		c.interrupted(e)
	case Restarted:
		c.restarted(e)
	case AttemptEnded:
		c.attemptEnded(e.Reason)
	case JobEnded:
		c.jobEnded()
	case Released:
		c.released(e)
	}
	c.reserve()
	c.trigger()
	c.setWake()
	return c.actions
}

func (c *Coordinator) do(a Action) { c.actions = append(c.actions, a) }

func (c *Coordinator) started(e Started) {
	c.attemptEnded("another attempt began")
	a := &attempt{
		number: e.Attempt, sources: e.Sources,
		subtasks: map[checkpoint.Subtask]int{}, ended: map[checkpoint.Subtask]Ended{},
	}
	for _, s := range slices.Concat(e.Sources, e.Others) {
		a.subtasks[s] = e.Attempt
	}
	for _, r := range c.early {
		a.requests = append(a.requests, r.Requested)
	}
	c.attempt, c.early = a, nil
}

// speaks reports whether what a subtask reports as one of an attempt counts.
func (a *attempt) speaks(s checkpoint.Subtask, number int) bool {
	current, known := a.subtasks[s]
	return known && current == number
}

func (c *Coordinator) running(e Running) {
	if a := c.attempt; a != nil && a.number == e.Attempt && !a.running && !a.waits() {
		a.running = true
		if a.nextPeriodic.IsZero() {
			a.nextPeriodic = c.now.Add(c.config.Interval)
		}
	}
}

func (c *Coordinator) fired(e Fired) {
	a := c.attempt
	if a == nil || !a.speaks(e.Subtask, e.Attempt) {
		return
	}
	if e.Last >= a.completed { // else they came before a barrier whose checkpoint has been announced since
		c.rowsWait(e.Last)
	}
}

// rowsWait notes that rows wait which came after the barrier of a checkpoint: for the next one's.
func (c *Coordinator) rowsWait(after checkpoint.ID) {
	for _, p := range c.pending {
		if p.attempt == c.attempt.number && after < p.id {
			p.hasRows = true
			return
		}
	}
	c.attempt.rowsWait = true
}

func (c *Coordinator) requested(e Requested) {
	switch a := c.attempt; {
	case a == nil && (c.over || e.Kind == checkpoint.HandOver):
		c.do(Refuse{Request: e.Request, Reason: "the job is not running"})
	case a == nil:
		c.early = append(c.early, early{e, c.now.Add(patience)})
	case a.closed:
		c.do(Refuse{Request: e.Request, Reason: "the job is ending"})
	default:
		a.requests = append(a.requests, e)
	}
}

func (c *Coordinator) ended(e Ended) {
	a, subtask := c.attempt, e.State.Subtask
	if a == nil || !a.speaks(subtask, e.Attempt) || a.hasEnded(subtask) {
		c.discard(e.State.Blobs())
		return
	}
	a.ended[subtask] = e
	for _, p := range c.pending {
		if p.attempt == a.number && e.Last < p.id {
			p.take(e.State, c.now)
		}
	}
	c.commitAcked()
}

func (a *attempt) hasEnded(s checkpoint.Subtask) bool {
	_, ended := a.ended[s]
	return ended
}

func (a *attempt) allEnded() bool { return len(a.ended) == len(a.subtasks) }

func (c *Coordinator) attemptEnded(reason string) {
	a := c.attempt
	if a == nil {
		return
	}
	c.abortAll("attempt ended: " + reason)
	c.attempt = nil
	for _, r := range a.requests {
		c.requested(r)
	}
	for _, subtask := range sortedSubtasks(a.ended) {
		c.discard(a.ended[subtask].State.Blobs())
	}
}

func (c *Coordinator) jobEnded() {
	c.attemptEnded("the job ended")
	for _, r := range c.early {
		c.do(Refuse{Request: r.Request, Reason: "the job ended"})
	}
	c.over, c.early = true, nil
	c.forget(func(r retained) bool { return !r.kind.IsSavepoint() })
}

// forget drops committed checkpoints.
func (c *Coordinator) forget(which func(retained) bool) {
	var blobs []checkpoint.Blob
	c.retained = slices.DeleteFunc(c.retained, func(r retained) bool {
		if !which(r) {
			return false
		}
		blobs = append(blobs, r.blobs...)
		return true
	})
	c.discard(blobs)
}

// discard hands out those of blobs that nothing rests on. The final state of a subtask that has ended is part of many checkpoints, and
// a report may come twice.
func (c *Coordinator) discard(blobs []checkpoint.Blob) {
	if len(blobs) == 0 {
		return
	}
	used := map[string]bool{}
	use := func(blobs []checkpoint.Blob) {
		for _, b := range blobs {
			used[b.Key] = true
		}
	}
	for _, r := range c.retained {
		use(r.blobs)
	}
	for _, p := range c.pending {
		use(p.blobs())
	}
	if c.attempt != nil {
		for _, e := range c.attempt.ended {
			use(e.State.Blobs())
		}
	}
	var unused []checkpoint.Blob
	for _, b := range blobs {
		if !used[b.Key] {
			used[b.Key] = true
			unused = append(unused, b)
		}
	}
	if unused != nil {
		c.do(Discard{Blobs: unused})
	}
}

// IDs are reserved so many at once, as soon as so few are left: one entry of the log for many checkpoints, and no checkpoint waits.
const (
	reservedAtOnce = 100
	fewReserved    = 10
)

func (c *Coordinator) reserve() {
	if c.attempt != nil && !c.reserving && c.next+fewReserved > c.reserved {
		c.reserving = true
		c.do(Reserve{Through: max(c.next, c.reserved) + reservedAtOnce})
	}
}

// trigger begins a checkpoint if one is due and another one may be under way.
func (c *Coordinator) trigger() {
	a := c.attempt
	if a == nil || a.closed || c.full() || c.next > c.reserved {
		return
	}
	switch at, due := c.due(); {
	case a.allEnded():
		c.begin() // of final states alone: the end of a bounded job is published like any other
	case !a.running || a.sourcesEnded():
		// No barrier would go through the job. When the sources have ended, the others will have soon.
	case len(a.requests) > 0 || due && !c.now.Before(at):
		c.begin()
	}
}

func (a *attempt) sourcesEnded() bool {
	return !slices.ContainsFunc(a.sources, func(s checkpoint.Subtask) bool { return !a.hasEnded(s) })
}

// full reports whether no further checkpoint may be under way: no barrier comes after one at which the sources stop, and what consists of
// final states alone is not to be repeated while it is committed.
func (c *Coordinator) full() bool {
	n := len(c.pending)
	return n >= c.config.Concurrent() || n > 0 && (c.attempt.allEnded() || c.pending[n-1].kind.Stops())
}

// due returns when the next checkpoint is to be triggered that no user asked for.
func (c *Coordinator) due() (at time.Time, ok bool) {
	a := c.attempt
	if c.config.Interval > 0 {
		at, ok = a.paused(a.nextPeriodic, c.config.MinPause), true
	}
	if !a.rowsWait {
		return at, ok
	}
	pause := max(c.config.MinPause, c.config.FiredPause)
	fired := a.paused(c.now, pause)
	if next := a.lastBegin.Add(pause); len(c.pending) > 0 && next.After(fired) {
		fired = next
	}
	if !ok || fired.Before(at) {
		at = fired
	}
	return at, true
}

// paused is the time at, or when the pause after the last checkpoint is over.
func (a *attempt) paused(at time.Time, pause time.Duration) time.Time {
	if next := a.lastEnd.Add(pause); !a.lastEnd.IsZero() && next.After(at) {
		return next
	}
	return at
}

// setWake asks for a Tick when something is due or expires.
func (c *Coordinator) setWake() {
	var at time.Time
	for _, p := range c.pending {
		if !p.isAcked() && !p.deadline.IsZero() {
			at = p.deadline // the first one's: all have as much time
			break
		}
	}
	if a := c.attempt; a != nil && a.running && !a.closed && !c.full() && !a.sourcesEnded() {
		if due, ok := c.due(); ok && (at.IsZero() || due.Before(at)) {
			at = due
		}
	}
	if len(c.early) > 0 {
		at = c.early[0].until // there is no attempt
	}
	if !at.IsZero() && !at.Equal(c.wake) && at.After(c.now) {
		c.wake = at
		c.do(WakeAt{Time: at})
	}
}

func (c *Coordinator) expire() {
	for len(c.early) > 0 && !c.now.Before(c.early[0].until) {
		c.do(Refuse{Request: c.early[0].Request, Reason: fmt.Sprintf("the job is not running, and did not begin to within %s", patience)})
		c.early = c.early[1:]
	}
	for _, p := range slices.Clone(c.pending) {
		if !p.isAcked() && !p.deadline.IsZero() && !c.now.Before(p.deadline) {
			c.expired(p)
		}
	}
	c.commitAcked()
}

func (c *Coordinator) expired(p *pending) {
	waiting := p.waiting()
	names := make([]string, len(waiting))
	for i, s := range waiting {
		names[i] = fmt.Sprintf("%s/%d", s.VertexID, s.Index)
	}
	c.fail(p, fmt.Sprintf("expired after %s: %d of %d subtasks did not ack: %s", c.config.Timeout, len(waiting), len(p.subtasks), strings.Join(names, ", ")))
}
