package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/plan"
)

// afterLoss goes on behind lost records if the source wishes so, from the first record that there is, and tells of it in a Fetch. Without
// that wish, or while nobody knows where that record is, the loss is an error.
func (r *Reader) afterLoss(ctx context.Context, p *progress, wanted int64) error {
	loss := r.lost(ctx, p, wanted)
	if r.cfg.source.OnDataLoss != plan.DataLossEarliest || loss.First < 0 {
		return loss
	}
	if loss.First <= p.next && p.next <= loss.End && wanted >= p.next {
		loss = nil // nothing is: kgo looked elsewhere, or had read this before the last loss
	}
	r.restart(p, loss)
	return nil
}

// restart reads a split anew, from its position or from behind a loss.
func (r *Reader) restart(p *progress, loss *DataLossError) {
	partition := map[string][]int32{p.Topic: {p.Partition}}
	r.client.RemoveConsumePartitions(partition)
	next, end := p.next, p.end
	if loss != nil {
		next, end = loss.First, loss.End
		r.fetches = append(r.fetches, Fetch{Split: p.at, Next: next, HighWatermark: end, Loss: loss})
	}
	r.mu.Lock()
	p.next, p.end = next, end
	ended := p.Stop != Unbounded && next >= p.Stop
	if ended {
		r.ended = append(r.ended, p)
	}
	r.mu.Unlock()
	if !ended {
		r.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: {p.Partition: kgo.NoResetOffset().At(next)}})
	}
}

// afterTopic reads a topic that was made anew from its beginning if the source wishes so. A topic that is gone, and the end of a bounded
// split, which is an offset of the old topic, are errors.
func (r *Reader) afterTopic(ctx context.Context, topic string) error {
	gone := &UnknownTopicError{Topic: topic}
	if r.cfg.source.OnDataLoss != plan.DataLossEarliest || r.cfg.source.Bounded {
		return gone
	}
	var splits []*progress
	var losses []*DataLossError
	for _, p := range r.unfinished() {
		if p.Topic != topic {
			continue
		}
		if time.Since(p.madeAnew) < missingAfter {
			return nil // told again, of what kgo asked before
		}
		loss := r.lost(ctx, p, p.next)
		if loss.First < 0 {
			return gone
		}
		loss.Truncated = true
		splits, losses = append(splits, p), append(losses, loss)
	}
	r.client.PurgeTopicsFromConsuming(topic) // with what kgo knows of the old one
	for i, p := range splits {
		p.madeAnew = time.Now()
		r.restart(p, losses[i])
	}
	return nil
}

// Lost returns how many records of a split that ends before stop, or Unbounded, are known to be gone: the offsets from Wanted up to First.
func (e *DataLossError) Lost(stop int64) int64 {
	first := e.First
	if stop != Unbounded {
		first = min(first, stop)
	}
	return max(0, first-e.Wanted)
}
