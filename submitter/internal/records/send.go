// Package records sends records to Kafka and shows those that are there.
package records

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Source gives the records to send, one after the other. It is for one goroutine.
type Source interface {
	// Next returns the record that is due so long after the first, or io.EOF when there is none any more.
	Next(due time.Duration) (*kgo.Record, error)
}

// Pace says how fast records are sent, and how many.
type Pace struct {
	// Rate is in records a second; it may be a fraction. 0 is as fast as Kafka takes them.
	Rate float64
	// Count ends it after so many records; 0 does not.
	Count int64
	// Sync waits for each record's answer before the next is sent.
	Sync bool
}

// beat is how often what has become due is sent.
const beat = 20 * time.Millisecond

// Send sends what a source gives until it ends, the count is reached, or ctx ends, which is no error. sent is called for each record
// that Kafka has taken, with its partition and offset, from one goroutine at a time. What was sent before an error is sent.
func Send(ctx context.Context, client *kgo.Client, source Source, pace Pace, sent func(*kgo.Record)) error {
	sending, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := &sender{client: client, source: source, pace: pace, sent: sent, fail: fail, began: time.Now()}
	err := s.run(sending)
	if ctx.Err() != nil {
		err = nil
	}
	// What was handed over before the end still goes out; an answer that does not come is not waited for longer than this.
	flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
	defer cancel()
	flushed := client.Flush(flushing)
	if cause := context.Cause(sending); cause != nil && ctx.Err() == nil {
		return cause
	}
	return errors.Join(err, flushed)
}

// flushWithin bounds how long the last records' answers are waited for.
const flushWithin = 30 * time.Second

type sender struct {
	client *kgo.Client
	source Source
	pace   Pace
	sent   func(*kgo.Record)
	fail   context.CancelCauseFunc
	began  time.Time
	made   int64
}

// run hands records over until there are no more.
func (s *sender) run(ctx context.Context) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		for s.isDue() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := s.next(ctx); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			s.made++
			if s.made == s.pace.Count {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// isDue reports whether the next record should be sent by now. The first is due at once.
func (s *sender) isDue() bool {
	return s.pace.Rate == 0 || s.made < 1+int64(time.Since(s.began).Seconds()*s.pace.Rate)
}

func (s *sender) next(ctx context.Context) error {
	// What is sent in one beat was due at different times within it.
	due := time.Since(s.began)
	if s.pace.Rate > 0 {
		due = time.Duration(float64(s.made) / s.pace.Rate * float64(time.Second))
	}
	record, err := s.source.Next(due)
	if err != nil {
		return err
	}
	if s.pace.Sync {
		err := s.client.ProduceSync(ctx, record).FirstErr()
		if err != nil {
			return sendError(record, err)
		}
		s.sent(record)
		return nil
	}
	s.client.Produce(context.WithoutCancel(ctx), record, func(r *kgo.Record, err error) {
		if err != nil {
			s.fail(sendError(r, err))
			return
		}
		s.sent(r)
	})
	return nil
}

func sendError(r *kgo.Record, err error) error {
	return fmt.Errorf("send record to %s: %w", r.Topic, err)
}
