package subtask

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/eventtime"
	"pencere/pkg/failpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/operator"
)

// tick is how often a source without records looks at its clock: for idle splits, old part files, offsets to commit.
const tick = 500 * time.Millisecond

// source is the loop of a source subtask.
type source struct {
	*Subtask
	reader reader
	chain  *operator.Source
	out    operator.Output
	sink   *operator.Sink       // when the source vertex is the last one, as well
	dead   operator.DeadLetters // nil for a job without dead letters

	clock      *eventtime.Combiner[int] // over the splits
	splits     []split
	unfinished int // splits that are not done
	watermark  eventtime.Watermark
	idle       bool
	part       *participant
}

type split struct {
	kafka.Split
	number   int32 // in the job
	next     int64 // offset to go on from
	lastSeen time.Time
	idle     bool
	done     bool
}

// splitView is what a heartbeat says of a split beside the reader's own status.
type splitView struct {
	watermark eventtime.Watermark
	idle      bool
	lastSeen  time.Time
}

func (s *Subtask) runSource(ctx context.Context) (err error) {
	r := &source{Subtask: s, clock: eventtime.NewCombiner[int](), watermark: eventtime.None}
	if s.last() {
		if r.sink, err = s.openSink(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.sink.Close()) }()
		r.out = r.sink
	} else {
		senders, err := s.openEdges(ctx)
		if err != nil {
			return err
		}
		defer closeEdges(senders)
		r.out = operator.NewKeyed(s.program, senders, s.counters, s.host.Alloc)
	}
	if r.chain, err = operator.NewSource(s.program, r.out, s.counters, s.host.Alloc); err != nil {
		return err
	}
	defer r.chain.Release()
	if r.dead, err = s.openDeadLetters(ctx); err != nil {
		return err
	}
	if r.dead != nil {
		defer func() { err = errors.Join(err, r.dead.Close()) }()
		r.chain.HandOver(r.dead)
	}
	if to := s.program.Job.Sink.MongoDB; r.sink != nil && to != nil && to.OnError == plan.OnErrorDeadLetter {
		r.sink.HandBack(r.chain)
	}
	splits := s.splitsOf(s.deploy.GetSplits())
	if r.reader, err = s.openReader(s.program.Job.Source, splits); err != nil {
		return fmt.Errorf("open source: %w", err)
	}
	defer r.reader.Close()
	r.addSplits(splits)
	s.mu.Lock()
	s.reader = r.reader
	s.mu.Unlock()
	commits := newCommitter(r.reader)
	defer commits.stop()
	r.part = s.newParticipant(r.sink, commits)
	r.part.dead = r.dead
	s.host.Running()
	return r.part.left(r.loop(ctx))
}

// splitsOf returns splits as the checkpoint that is restored has them, or as they begin.
func (s *Subtask) splitsOf(wire []*controlv1.Split) []checkpoint.Split {
	splits := make([]checkpoint.Split, len(wire))
	for i, w := range wire {
		splits[i] = checkpoint.Split{
			Number: w.GetNumber(), Topic: w.GetTopic(), Partition: w.GetPartition(),
			Next: w.GetStartOffset(), Stop: w.GetStopOffset(), Newest: math.MinInt64,
		}
		for _, restored := range s.restored.Splits {
			if restored.Number == w.GetNumber() {
				splits[i] = restored
			}
		}
	}
	return splits
}

func (r *source) addSplits(splits []checkpoint.Split) {
	now := r.host.Now()
	for i, s := range kafkaSplits(splits) {
		r.chain.AddSplit(splits[i])
		r.clock.Add(len(r.splits))
		r.clock.Update(len(r.splits), r.chain.Watermark(len(r.splits)))
		r.splits = append(r.splits, split{Split: s, number: splits[i].Number, next: s.Start, lastSeen: now})
		r.unfinished++
	}
}

// AddSplits gives further splits to a running source. Those that it has already are left as they are.
func (s *Subtask) AddSplits(wire []*controlv1.Split) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added = append(s.added, s.splitsOf(wire)...)
	if s.wake != nil {
		s.wake()
	}
}

// takeAdded starts to read the splits that were added since the last call.
func (r *source) takeAdded() {
	r.mu.Lock()
	added := r.added
	r.added = nil
	r.mu.Unlock()
	known := make(map[int32]bool, len(r.splits))
	for _, s := range r.splits {
		known[s.number] = true
	}
	added = slices.DeleteFunc(added, func(s checkpoint.Split) bool {
		before := known[s.Number]
		known[s.Number] = true
		return before
	})
	if len(added) > 0 {
		r.addSplits(added)
		r.reader.Add(added)
	}
}

func (r *source) loop(ctx context.Context) error {
	for {
		r.takeAdded()
		stopped, err := r.carryOut(ctx)
		if err != nil {
			return err
		}
		if stopped {
			return r.part.wait(ctx)
		}
		if r.program.Job.Source.IsBounded() && r.unfinished == 0 {
			return r.end(ctx)
		}
		fetches, err := r.poll(ctx)
		if refused, ok := errors.AsType[*refusedRecordError](err); ok {
			err = r.refuse(ctx, refused)
		}
		if err != nil {
			return err
		}
		for _, f := range fetches {
			if err := r.fetch(ctx, f); err != nil {
				return err
			}
		}
		if err := r.advance(ctx); err != nil {
			return err
		}
	}
}

// carryOut does what the jobmanager has ordered. stopped says that a barrier was sent after which nothing is read.
func (r *source) carryOut(ctx context.Context) (stopped bool, err error) {
	for _, o := range r.takeOrders() {
		if o.kind != orderTrigger {
			if _, err := r.part.settle(o); err != nil {
				return false, err
			}
			continue
		}
		if err := r.barrier(ctx, o); err != nil {
			return false, err
		}
		stopped = stopped || o.purpose.Stops()
	}
	return stopped, nil
}

// barrier cuts the source at the records that were sent on so far.
func (r *source) barrier(ctx context.Context, o order) error {
	if o.purpose == checkpoint.Drain {
		if err := r.out.Watermark(ctx, eventtime.End); err != nil {
			return err
		}
	}
	failpoint.Hit(failpoint.BeforeBarrier)
	if err := r.out.Barrier(ctx, o.checkpoint, o.purpose.Stops()); err != nil {
		return err
	}
	failpoint.Hit(failpoint.AfterBarrier)
	state, err := r.state(ctx)
	if err != nil {
		return err
	}
	r.part.ack(ctx, o.checkpoint, state, nil, cut{positions: r.positions(), stops: o.purpose.Stops()})
	return nil
}

// end ends a source whose splits are all done, with the last state of which the job is finished.
func (r *source) end(ctx context.Context) error {
	if err := r.out.End(ctx); err != nil {
		return err
	}
	state, err := r.state(ctx)
	if err != nil {
		return err
	}
	r.part.end(ctx, state, nil, cut{positions: r.positions()})
	return r.part.wait(ctx)
}

func (r *source) state(ctx context.Context) (checkpoint.State, error) {
	state, err := r.part.state(ctx, r.chain.Ledger)
	for i, s := range r.splits {
		state.Splits = append(state.Splits, checkpoint.Split{
			Number: s.number, Topic: s.Topic, Partition: s.Partition, Next: s.next, Stop: s.Stop,
			Newest: r.chain.Newest(i), Done: s.done, Position: r.reader.Position(i),
		})
	}
	return state, err
}

// poll waits for records, added splits, or the next tick.
func (r *source) poll(ctx context.Context) ([]kafka.Fetch, error) {
	wait, cancel := context.WithTimeout(ctx, tick)
	defer cancel()
	r.mu.Lock()
	r.wake = cancel
	pending := len(r.added)+len(r.orders) > 0
	r.mu.Unlock()
	if pending {
		return nil, nil
	}
	r.counters.Idle.Start()
	fetches, err := r.reader.Poll(wait)
	r.counters.Idle.Stop()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled): // the wait is over
		return nil, nil
	default:
		return fetches, err
	}
}

// refuse takes a bad record.
func (r *source) refuse(ctx context.Context, refused *refusedRecordError) error {
	s := &r.splits[refused.split]
	if err := r.chain.Refuse(ctx, refused.split, refused.record, refused.err); err != nil {
		return err
	}
	r.host.Log.Warn("a record is refused", "job_id", r.self.JobID, "topic", s.Topic, "partition", s.Partition,
		"offset", refused.record.Offset, "error", refused.err)
	r.alive(refused.split)
	s.next = refused.record.Offset + 1
	return nil
}

func (r *source) fetch(ctx context.Context, f kafka.Fetch) error {
	defer r.reader.Release(f)
	s := &r.splits[f.Split]
	if f.Loss != nil {
		lost := f.Loss.Lost(s.Stop)
		r.chain.Lose(f.Split, lost, f.Loss.Truncated)
		r.host.Log.Warn("records are lost", "job_id", r.self.JobID, "topic", f.Loss.Topic, "partition", f.Loss.Partition,
			"wanted_offset", f.Loss.Wanted, "earliest_offset", f.Loss.First, "lost", lost, "truncated", f.Loss.Truncated)
	}
	if len(f.Records) > 0 {
		r.alive(f.Split)
	}
	if err := r.chain.Records(ctx, f.Split, f.Records); err != nil {
		return err
	}
	s.next = f.Next
	r.clock.Update(f.Split, r.chain.Watermark(f.Split))
	if f.Done && !s.done {
		s.done = true
		r.unfinished--
		r.clock.Remove(f.Split)
	}
	return nil
}

// alive notes that a split has records.
func (r *source) alive(split int) {
	s := &r.splits[split]
	s.lastSeen = r.host.Now()
	s.idle = false
	r.clock.SetIdle(split, false)
}

// advance sends on what the fetched records and the clock have changed.
func (r *source) advance(ctx context.Context) error {
	now := r.host.Now()
	r.markIdle(now)
	r.show()
	if r.sink != nil {
		if err := r.sink.Tick(now); err != nil {
			return err
		}
		r.showFiles(r.sink)
	}
	if r.dead != nil {
		if err := r.dead.Tick(now); err != nil {
			return err
		}
	}
	if r.program.Job.Source.Watermark == nil {
		return nil
	}
	watermark, idle := r.clock.Watermark()
	switch {
	case r.unfinished > 0 && (watermark > r.watermark || r.idle && !idle):
		// After idleness it is said again even if it did not rise: downstream counts this subtask in again.
		r.watermark, r.idle = watermark, false
		r.counters.InputWatermark.Store(int64(watermark))
		return r.out.Watermark(ctx, watermark)
	case idle && !r.idle:
		r.idle = true
		return r.out.Idle(ctx)
	default:
		return nil
	}
}

// markIdle leaves splits that were silent for long enough out of the minimum.
func (r *source) markIdle(now time.Time) {
	w := r.program.Job.Source.Watermark
	if w == nil || w.IdleAfter == 0 {
		return
	}
	for i := range r.splits {
		s := &r.splits[i]
		if !s.idle && !s.done && now.Sub(s.lastSeen) >= w.IdleAfter {
			s.idle = true
			r.clock.SetIdle(i, true)
		}
	}
}

// show copies what heartbeats say of the splits.
func (r *source) show() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Subtask.splits = r.Subtask.splits[:0]
	for i, s := range r.splits {
		r.Subtask.splits = append(r.Subtask.splits, splitView{watermark: r.chain.Watermark(i), idle: s.idle, lastSeen: s.lastSeen})
	}
}

func (r *source) positions() []kafka.Position {
	positions := make([]kafka.Position, len(r.splits))
	for i, s := range r.splits {
		positions[i] = kafka.Position{Topic: s.Topic, Partition: s.Partition, Offset: s.next}
	}
	return positions
}
