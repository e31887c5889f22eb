package listings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config says where a Producer sends to, and how fast.
type Config struct {
	Brokers []string
	Topic   string
	// Rate is in records a second; it may be a fraction.
	Rate float64
	// Speed is how much faster than the clock the listings' own time runs.
	Speed float64
}

// beat is how often a Producer sends what has become due.
const beat = 20 * time.Millisecond

// Producer sends listings to Kafka, evenly to all partitions. Their times begin at the time of day and are in order.
type Producer struct {
	cfg    Config
	client *kgo.Client
}

// NewProducer returns a producer. It connects when it runs.
func NewProducer(cfg Config) (*Producer, error) {
	if !(cfg.Rate > 0) || !(cfg.Speed > 0) {
		return nil, fmt.Errorf("rate %v and speed %v must be more than 0", cfg.Rate, cfg.Speed)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.DefaultProduceTopic(cfg.Topic),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner())) // a partition without records would hold event time back
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return &Producer{cfg: cfg, client: client}, nil
}

// Close drops the connections, and what was not sent.
func (p *Producer) Close() { p.client.Close() }

// Run sends until ctx ends, and returns nil then.
func (p *Producer) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	began := time.Now()
	var generator Generator
	for sent := 0; ; {
		select {
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return nil
		case <-tick.C:
		}
		for due := p.due(time.Since(began)); sent < due; sent++ {
			// What is sent in one beat was due at different times within it.
			after := time.Duration(float64(sent) / p.cfg.Rate * p.cfg.Speed * float64(time.Second))
			if err := p.send(ctx, generator.Next(began.Add(after)), fail); err != nil {
				return err
			}
		}
	}
}

// due is how many records should have been sent so long after the start. The first is due at once.
func (p *Producer) due(elapsed time.Duration) int { return 1 + int(elapsed.Seconds()*p.cfg.Rate) }

func (p *Producer) send(ctx context.Context, l Listing, failed context.CancelCauseFunc) error {
	value, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode listing %d: %w", l.ID, err)
	}
	p.client.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
		if err != nil && ctx.Err() == nil {
			failed(fmt.Errorf("send listing %d: %w", l.ID, err))
		}
	})
	return nil
}
