package subtask

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/eventtime"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/operator"
)

// tick is how often a source without records looks at its clock: for idle splits, old part files, offsets to commit.
const tick = 500 * time.Millisecond

// reader reads splits; see kafka.Reader.
type reader interface {
	Poll(ctx context.Context) ([]kafka.Fetch, error)
	Release(f kafka.Fetch)
	Add(splits ...kafka.Split)
	Status() []kafka.SplitStatus
	Commit(ctx context.Context, positions []kafka.Position) error
	Close()
}

// openKafka opens the reader of a Kafka source.
func openKafka(source plan.KafkaSource, splits []kafka.Split) (reader, error) {
	config, err := kafka.NewConfig(source)
	if err != nil {
		return nil, err
	}
	return kafka.NewReader(config, splits)
}

// source is the loop of a source subtask.
type source struct {
	*Subtask
	reader reader
	chain  *operator.Source
	out    operator.Output
	sink   *operator.Sink // when the source vertex is the last one, as well

	clock      *eventtime.Combiner[int] // over the splits
	splits     []split
	unfinished int // splits that are not done
	watermark  eventtime.Watermark
	idle       bool
	commits    *committer
}

type split struct {
	kafka.Split
	next     int64 // offset to go on from
	lastSeen time.Time
	idle     bool
	done     bool
}

// splitView is what a heartbeat says of a split beside the reader's own status.
type splitView struct {
	watermark eventtime.Watermark
	idle      bool
}

func (s *Subtask) runSource(ctx context.Context) (err error) {
	r := &source{Subtask: s, clock: eventtime.NewCombiner[int](), watermark: eventtime.None}
	if s.last() {
		if r.sink, err = s.openSink(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.closeSink()) }()
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
	splits := kafkaSplits(s.deploy.GetSplits())
	if r.reader, err = s.openReader(*s.program.Job.Source.Kafka, splits); err != nil {
		return fmt.Errorf("open source: %w", err)
	}
	defer r.reader.Close()
	r.addSplits(splits)
	s.mu.Lock()
	s.reader = r.reader
	s.mu.Unlock()
	r.commits = newCommitter(r.reader, s.program.Job.Checkpoint.Interval, s.host.Now())
	defer r.commits.stop()
	s.host.Running()
	return r.loop(ctx)
}

func kafkaSplits(wire []*controlv1.Split) []kafka.Split {
	splits := make([]kafka.Split, len(wire))
	for i, w := range wire {
		splits[i] = kafka.Split{Topic: w.GetTopic(), Partition: w.GetPartition(), Start: w.GetStartOffset(), Stop: w.GetStopOffset()}
	}
	return splits
}

func (r *source) addSplits(splits []kafka.Split) {
	now := r.host.Now()
	for _, s := range splits {
		r.chain.AddSplit(s.Topic, s.Partition)
		r.clock.Add(len(r.splits))
		r.splits = append(r.splits, split{Split: s, next: s.Start, lastSeen: now})
		r.unfinished++
	}
}

// AddSplits gives further splits to a running source.
func (s *Subtask) AddSplits(wire []*controlv1.Split) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added = append(s.added, kafkaSplits(wire)...)
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
	if len(added) > 0 {
		r.addSplits(added)
		r.reader.Add(added...)
	}
}

func (r *source) loop(ctx context.Context) error {
	for {
		r.takeAdded()
		if r.program.Job.Source.Kafka.Bounded && r.unfinished == 0 {
			r.commits.commit(r.positions())
			return r.out.End(ctx)
		}
		fetches, err := r.poll(ctx)
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

// poll waits for records, added splits, or the next tick.
func (r *source) poll(ctx context.Context) ([]kafka.Fetch, error) {
	wait, cancel := context.WithTimeout(ctx, tick)
	defer cancel()
	r.mu.Lock()
	r.wake = cancel
	pending := len(r.added) > 0
	r.mu.Unlock()
	if pending {
		return nil, nil
	}
	begin := time.Now()
	fetches, err := r.reader.Poll(wait)
	r.counters.IdleNanos.Add(int64(time.Since(begin)))
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled): // the wait is over
		return nil, nil
	default:
		return fetches, err
	}
}

func (r *source) fetch(ctx context.Context, f kafka.Fetch) error {
	defer r.reader.Release(f)
	s := &r.splits[f.Split]
	if len(f.Records) > 0 {
		s.lastSeen = r.host.Now()
		s.idle = false
		r.clock.SetIdle(f.Split, false)
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
	if r.commits.due(now) {
		if err := r.publish(); err != nil {
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

// publish makes what was read so far count: rows of a job without a window become visible, the group hears of the positions.
func (r *source) publish() error {
	if r.sink != nil {
		if err := r.sink.Publish(); err != nil {
			return err
		}
	}
	r.commits.commit(r.positions())
	return nil
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
		r.Subtask.splits = append(r.Subtask.splits, splitView{watermark: r.chain.Watermark(i), idle: s.idle})
	}
}

func (r *source) positions() []kafka.Position {
	positions := make([]kafka.Position, len(r.splits))
	for i, s := range r.splits {
		positions[i] = kafka.Position{Topic: s.Topic, Partition: s.Partition, Offset: s.next}
	}
	return positions
}
