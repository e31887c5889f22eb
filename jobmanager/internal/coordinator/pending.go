package coordinator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"pencere/pkg/checkpoint"
)

// pending is a checkpoint that is under way: first the acks of its subtasks come in, then it is committed.
type pending struct {
	id          checkpoint.ID
	kind        checkpoint.Kind
	attempt     int
	request     string // the user's, or ""
	triggeredMs int64
	deadline    time.Time                               // of the acks; zero for none
	subtasks    map[checkpoint.Subtask]int              // those of the attempt
	states      map[checkpoint.Subtask]checkpoint.State // those that have acked, or had ended before
	ackedMs     map[checkpoint.Subtask]int64            // when they came
	hasRows     bool                                    // it is to publish rows that wait
	acks        int                                     // without those that had ended
	committing  bool
	subsumed    []checkpoint.ID
}

// begin makes the next checkpoint a pending one.
func (c *Coordinator) begin() {
	a := c.attempt
	p := &pending{
		id: c.next, attempt: a.number, triggeredMs: c.now.UnixMilli(), subtasks: a.subtasks,
		states: map[checkpoint.Subtask]checkpoint.State{}, ackedMs: map[checkpoint.Subtask]int64{}, hasRows: a.rowsWait,
	}
	c.next++
	c.pending = append(c.pending, p)
	if len(a.requests) > 0 {
		p.request, p.kind = a.requests[0].Request, a.requests[0].Kind
		a.requests = a.requests[1:]
	}
	if c.config.Timeout > 0 {
		p.deadline = c.now.Add(c.config.Timeout)
	}
	a.rowsWait = false
	a.nextPeriodic, a.lastBegin = c.now.Add(c.config.Interval), c.now
	for _, e := range a.ended {
		p.take(e.State, c.now)
	}
	if live := slices.DeleteFunc(slices.Clone(a.sources), a.hasEnded); len(live) > 0 {
		c.do(Trigger{ID: p.id, Kind: p.kind, Attempt: p.attempt, Sources: live})
	}
	c.commitAcked()
}

// take counts a subtask's state, the first that comes, and reports whether it did.
func (p *pending) take(s checkpoint.State, now time.Time) bool {
	if _, acked := p.states[s.Subtask]; acked || !p.has(s.Subtask) {
		return false
	}
	p.states[s.Subtask], p.ackedMs[s.Subtask] = s, now.UnixMilli()
	return true
}

func (p *pending) has(s checkpoint.Subtask) bool {
	_, known := p.subtasks[s]
	return known
}

// final reports whether the checkpoint is complete and of final states alone: nothing can follow.
func (p *pending) final() bool { return p.acks == 0 }

// last reports whether no other checkpoint of the attempt follows.
func (p *pending) last() bool { return p.final() || p.kind.Ends() }

func (p *pending) waiting() []checkpoint.Subtask {
	return slices.DeleteFunc(sortedSubtasks(p.subtasks), func(s checkpoint.Subtask) bool {
		_, acked := p.states[s]
		return acked
	})
}

func (p *pending) acked() []Ack {
	var acks []Ack
	for _, s := range sortedSubtasks(p.states) {
		acks = append(acks, Ack{Subtask: s, AtMs: p.ackedMs[s], Bytes: p.states[s].Size()})
	}
	return acks
}

func (p *pending) blobs() []checkpoint.Blob {
	var blobs []checkpoint.Blob
	for _, subtask := range sortedSubtasks(p.states) {
		blobs = append(blobs, p.states[subtask].Blobs()...)
	}
	return blobs
}

func sortedSubtasks[V any](m map[checkpoint.Subtask]V) []checkpoint.Subtask {
	return slices.SortedFunc(maps.Keys(m), func(a, b checkpoint.Subtask) int {
		return cmp.Or(cmp.Compare(a.VertexID, b.VertexID), cmp.Compare(a.Index, b.Index))
	})
}

// awaiting returns checkpoint id if it still takes acks, else nil.
func (c *Coordinator) awaiting(id checkpoint.ID) *pending {
	for _, p := range c.pending {
		if p.id == id && !p.committing {
			return p
		}
	}
	return nil
}

func (c *Coordinator) acked(e Acked) {
	if p := c.awaiting(e.ID); p != nil && p.take(e.State, c.now) {
		p.acks++
		c.commitAcked()
	}
	c.discard(e.State.Blobs())
}

func (p *pending) isAcked() bool { return len(p.states) == len(p.subtasks) }

// commitAcked goes on to the commit of the oldest checkpoint of which every subtask's state is there. Those before it, which are slower,
// are given up, as in Flink; but while one of them was asked for, it waits.
func (c *Coordinator) commitAcked() {
	first := slices.IndexFunc(c.pending, (*pending).isAcked)
	if first < 0 || c.pending[0].committing {
		return
	}
	complete, slower := c.pending[first], c.pending[:first]
	if slices.ContainsFunc(slower, func(p *pending) bool { return p.request != "" }) {
		return
	}
	for _, p := range slower {
		c.abort(p, fmt.Sprintf("subsumed: checkpoint %d was complete first", complete.id))
	}
	c.commit(complete)
}

func (c *Coordinator) commit(p *pending) {
	p.committing = true
	p.subsumed = c.subsumedBy(p)
	complete := checkpoint.Checkpoint{
		ID: p.id, Kind: p.kind, Attempt: p.attempt, MaxParallelism: c.config.MaxParallelism,
		TriggeredMs: p.triggeredMs, CompletedMs: c.now.UnixMilli(),
	}
	for _, subtask := range sortedSubtasks(p.states) {
		complete.States = append(complete.States, p.states[subtask])
	}
	c.do(Commit{Checkpoint: complete, Subsumed: p.subsumed, Last: p.last()})
}

// subsumedBy returns the periodic checkpoints that are too many once p is committed, the oldest.
func (c *Coordinator) subsumedBy(p *pending) []checkpoint.ID {
	if p.kind.IsSavepoint() {
		return nil
	}
	var periodic []checkpoint.ID
	for _, r := range c.retained {
		if !r.kind.IsSavepoint() {
			periodic = append(periodic, r.id)
		}
	}
	excess := len(periodic) + 1 - max(1, c.config.Retained)
	return periodic[:max(0, excess)]
}

func (c *Coordinator) committed(e Committed) {
	if !c.commits(e.ID) {
		return
	}
	p := c.pending[0]
	c.pending = c.pending[1:]
	c.retained = append(c.retained, retained{id: p.id, kind: p.kind, blobs: p.blobs()})
	c.do(NotifyComplete{ID: p.id, Kind: p.kind, Attempt: p.attempt, Request: p.request})
	if a := c.attempt; a != nil && a.number == p.attempt {
		a.completed, a.lastEnd, a.failures = p.id, c.now, 0
		switch {
		case p.last():
			c.abortAll("the job is ending")
			c.close("the job is ending")
		case p.kind.Stops():
			c.close("the job is changing its slots")
		}
	}
	c.forget(func(r retained) bool { return slices.Contains(p.subsumed, r.id) || c.over && !r.kind.IsSavepoint() })
	c.commitAcked()
}

// commits reports whether the log is to answer about a checkpoint.
func (c *Coordinator) commits(id checkpoint.ID) bool {
	return len(c.pending) > 0 && c.pending[0].id == id && c.pending[0].committing
}

// close takes no further checkpoint of the attempt.
func (c *Coordinator) close(reason string) {
	a := c.attempt
	a.closed = true
	for _, r := range a.requests {
		c.do(Refuse{Request: r.Request, Reason: reason})
	}
	a.requests = nil
}

func (c *Coordinator) declined(e Declined) {
	switch a, p := c.attempt, c.awaiting(e.ID); {
	case a == nil || !a.speaks(e.Subtask, e.Attempt):
	case p != nil:
		c.fail(p, fmt.Sprintf("declined by subtask %s/%d: %s", e.Subtask.VertexID, e.Subtask.Index, e.Reason))
		c.commitAcked()
	}
}

func (c *Coordinator) commitFailed(e CommitFailed) {
	if c.commits(e.ID) {
		c.fail(c.pending[0], "not committed: "+e.Reason)
		c.commitAcked()
	}
}

// abortAll gives up what is not being committed.
func (c *Coordinator) abortAll(reason string) {
	for _, p := range slices.Clone(c.pending) {
		if !p.committing {
			c.abort(p, reason)
		}
	}
}

// abort gives a checkpoint up. Rows that it was to publish wait for the next one.
func (c *Coordinator) abort(p *pending, reason string) {
	c.pending = slices.DeleteFunc(slices.Clone(c.pending), func(other *pending) bool { return other == p })
	c.do(Abort{ID: p.id, Attempt: p.attempt, Request: p.request, Reason: reason})
	if a := c.attempt; a != nil && a.number == p.attempt {
		a.lastEnd = c.now
		if p.hasRows {
			c.rowsWait(p.id)
		}
	}
	c.discard(p.blobs())
}

// fail aborts a checkpoint and fails the job if that is one failure too many. A savepoint that fails harms nobody,
// unless the sources have stopped for it: then only a restart makes them go on, as in Flink.
func (c *Coordinator) fail(p *pending, reason string) {
	c.abort(p, reason)
	a := c.attempt
	if a == nil || a.number != p.attempt {
		return
	}
	if !p.kind.IsSavepoint() {
		a.failures++
	}
	if a.failures <= c.config.TolerableFailures && !p.kind.Stops() {
		return
	}
	c.do(FailJob{Reason: fmt.Sprintf("%s %d %s", p.kind, p.id, reason)})
	c.close("the job is failing")
}
