package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// probeAfter is how long no record comes before the end of bounded splits is looked for in another way. It doubles
	// while records are on their way still.
	probeAfter    = 50 * time.Millisecond
	probeAfterMax = 2 * time.Second
	// missingAfter is how long a topic may be unknown to the brokers while it is read: a new one can be for a moment.
	missingAfter = 15 * time.Second
)

// errWake is the cause of a wait that ended because something else than a record is to be told.
var errWake = errors.New("woken")

// waker ends the wait of a Poll. Its zero value is ready.
type waker struct {
	mu      sync.Mutex
	pending bool
	cancel  context.CancelCauseFunc
}

// wake ends the wait that is on, or else the next.
func (w *waker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = true
	if w.cancel != nil {
		w.cancel(errWake)
	}
}

// begin returns a context that ends with ctx, after the time given, or by wake, and what frees it.
func (w *waker) begin(ctx context.Context, limit time.Duration) (context.Context, func()) {
	limited, release := context.WithTimeout(ctx, limit)
	waiting, cancel := context.WithCancelCause(limited)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel = cancel
	if w.pending {
		cancel(errWake)
	}
	return waiting, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.cancel, w.pending = nil, false
		cancel(nil)
		release()
	}
}

// wait polls until there are records, the end of a split, or news of a broker.
func (r *Reader) wait(ctx context.Context) error {
	for pause := probeAfter; ; pause = min(2*pause, probeAfterMax) {
		waiting, end := r.waker.begin(ctx, pause)
		err := r.take(ctx, r.client.PollFetches(waiting))
		woken := errors.Is(context.Cause(waiting), errWake)
		end()
		if err != nil || len(r.fetches) > 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.failure(); err != nil {
			return err
		}
		if err := r.missing(); err != nil {
			r.err = err
			return err
		}
		r.probe(ctx)
		if r.takeEnded() || woken {
			return nil
		}
	}
}

// explain makes the error of a partition that kgo could not read, or, p being nil, of a topic or of the reading as a
// whole: nil if kgo tries again by itself.
func (r *Reader) explain(ctx context.Context, p *progress, fetched kgo.FetchTopicPartition) error {
	err := fetched.Err
	lost, truncated := errors.AsType[*kgo.ErrDataLoss](err)
	switch {
	case kerr.IsRetriable(err) && !errors.Is(err, kerr.UnknownTopicID):
		return nil
	case errors.Is(err, kerr.UnknownTopicID):
		// kgo tells this only when it stays: the topic was deleted, or deleted and made anew.
		return r.afterTopic(ctx, fetched.Topic)
	case refused(err):
		return &AuthError{What: fmt.Sprintf("topic %q", fetched.Topic), Err: err}
	case p == nil:
		return fmt.Errorf("read from kafka: %w", err)
	case truncated:
		return r.afterLoss(ctx, p, min(p.next, lost.ConsumedTo))
	case errors.Is(err, kerr.OffsetOutOfRange):
		return r.afterLoss(ctx, p, p.next)
	}
	return fmt.Errorf("read topic %q partition %d from offset %d: %w", p.Topic, p.Partition, p.next, err)
}

// lost makes a DataLossError, with the range that is left if the broker tells it soon.
func (r *Reader) lost(ctx context.Context, p *progress, wanted int64) *DataLossError {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	e := &DataLossError{Topic: p.Topic, Partition: p.Partition, Wanted: wanted, First: -1, End: -1}
	firsts, err := r.admin.ListStartOffsets(ctx, p.Topic)
	if err != nil {
		return e
	}
	ends, err := r.admin.ListEndOffsets(ctx, p.Topic)
	if err != nil {
		return e
	}
	first, okFirst := firsts.Lookup(p.Topic, p.Partition)
	end, okEnd := ends.Lookup(p.Topic, p.Partition)
	if okFirst && okEnd && first.Err == nil && end.Err == nil {
		e.First, e.End, e.Truncated = first.Offset, end.Offset, first.Offset < wanted
	}
	return e
}
