package records

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Reading says what is read, and where it ends. It has no end of its own unless it says so.
type Reading struct {
	Topics []string
	// Partitions are those of the one topic that are read; all if there are none.
	Partitions []int32
	// From is where reading begins.
	From kgo.Offset
	// Group, if set, is the consumer group whose offsets it begins at, where it has some, and to which it commits what was shown.
	Group string
	// Committed leaves out the records of transactions that are open or were aborted.
	Committed bool
	// Max ends it after so many records; 0 does not.
	Max int64
	// Idle ends it when no record has come for so long; 0 does not.
	Idle time.Duration
}

// Options returns the options of a client that can Consume so.
func (r Reading) Options() []kgo.Opt {
	opts := []kgo.Opt{kgo.ConsumeResetOffset(r.From)}
	if r.Committed {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if len(r.Partitions) == 0 {
		opts = append(opts, kgo.ConsumeTopics(r.Topics...))
	} else {
		offsets := make(map[int32]kgo.Offset)
		for _, p := range r.Partitions {
			offsets[p] = r.From
		}
		opts = append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.Topics[0]: offsets}))
	}
	if r.Group != "" {
		opts = append(opts, kgo.ConsumerGroup(r.Group), kgo.AutoCommitMarks())
	}
	return opts
}

// Consume reads with a client that has the reading's options and has show print each record, until the reading's end or that of ctx, which
// is no error. Offsets are committed to the group after show has returned: what a crash interrupts is shown again.
func Consume(ctx context.Context, client *kgo.Client, reading Reading, show func(*kgo.Record) error) (shown int64, err error) {
	c := &consumption{Reading: reading, client: client, show: show}
	if err := c.look(ctx); err != nil {
		return 0, err
	}
	err = c.run(ctx)
	if reading.Group != "" && c.shown > 0 {
		committing, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
		defer cancel()
		if commitErr := client.CommitMarkedOffsets(committing); commitErr != nil {
			err = errors.Join(err, fmt.Errorf("commit offsets of group %s: %w", reading.Group, commitErr))
		}
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return c.shown, err
}

type consumption struct {
	Reading
	client *kgo.Client
	show   func(*kgo.Record) error
	shown  int64
}

// look sees that topics and partitions exist: a consumer would wait for them and say nothing.
func (c *consumption) look(ctx context.Context) error {
	found, err := kadm.NewClient(c.client).ListTopics(ctx, c.Topics...)
	if err != nil {
		return fmt.Errorf("look for topics: %w", err)
	}
	for _, topic := range c.Topics {
		if err := found[topic].Err; err != nil {
			return fmt.Errorf("topic %s: %w", topic, err)
		}
		for _, p := range c.Partitions {
			if _, ok := found[topic].Partitions[p]; !ok {
				return fmt.Errorf("topic %s has no partition %d, but 0 to %d", topic, p, len(found[topic].Partitions)-1)
			}
		}
	}
	return nil
}

func (c *consumption) run(ctx context.Context) error {
	for {
		polling, cancel := ctx, func() {}
		if c.Idle > 0 {
			polling, cancel = context.WithTimeout(ctx, c.Idle)
		}
		fetches := c.client.PollRecords(polling, c.pollAtMost())
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if polling.Err() != nil && fetches.NumRecords() == 0 {
			return nil
		}
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) {
				return fmt.Errorf("read topic %s partition %d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		for r := range fetches.RecordsAll() {
			if err := c.show(r); err != nil {
				return err
			}
			if c.Group != "" {
				c.client.MarkCommitRecords(r)
			}
			c.shown++
			if c.shown == c.Max {
				return nil
			}
		}
	}
}

// pollAtMost is for how many records are asked at once: no more than are shown.
func (c *consumption) pollAtMost() int {
	const many = 10_000
	if c.Max == 0 {
		return many
	}
	return int(min(many, c.Max-c.shown))
}
