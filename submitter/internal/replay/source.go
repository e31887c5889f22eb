package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/manifest"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience is how long Kafka may give nothing of what is to be read.
const patience = 30 * time.Second

// Topic reads records of topics again.
type Topic struct{ options []kgo.Opt }

// NewTopic returns what reads as a job's source does, with its security and its isolation level.
func NewTopic(config kafka.Config) Topic {
	return Topic{append(config.ReadOptions(), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset()))}
}

// UnreadError says why records could not be read again.
type UnreadError struct{ Err error }

func (e *UnreadError) Error() string { return "read the records again: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *UnreadError) Unwrap() error { return e.Err }

// Starts returns the first offset that each partition of ranges still has.
func (t Topic) Starts(ctx context.Context, ranges []manifest.OffsetRange) (map[string]map[int32]int64, error) {
	client, err := kgo.NewClient(t.options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var topics []string
	for _, r := range ranges {
		topics = append(topics, r.Topic)
	}
	slices.Sort(topics)
	listed, err := kadm.NewClient(client).ListStartOffsets(ctx, slices.Compact(topics)...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, &UnreadError{fmt.Errorf("first offsets of %v: %w", topics, err)}
	}
	starts := map[string]map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) {
		if starts[o.Topic] == nil {
			starts[o.Topic] = map[int32]int64{}
		}
		starts[o.Topic][o.Partition] = o.Offset
	})
	return starts, nil
}

// Read gives each the records of ranges, those of a partition in their order. It ends with each's first error.
func (t Topic) Read(ctx context.Context, ranges []manifest.OffsetRange, each func(*kgo.Record) error) error {
	from, left := map[string]map[int32]kgo.Offset{}, map[partition]int64{}
	for _, r := range ranges {
		if from[r.Topic] == nil {
			from[r.Topic] = map[int32]kgo.Offset{}
		}
		from[r.Topic][r.Partition] = kgo.NoResetOffset().At(r.From)
		left[partition{r.Topic, r.Partition}] = r.To
	}
	client, err := kgo.NewClient(append(slices.Clone(t.options), kgo.ConsumePartitions(from))...)
	if err != nil {
		return err
	}
	defer client.Close()
	for len(left) > 0 {
		if err := poll(ctx, client, left, each); err != nil {
			return err
		}
	}
	return nil
}

// poll takes what Kafka gives next, and out of left the partitions whose ends it reaches.
func poll(ctx context.Context, client *kgo.Client, left map[partition]int64, each func(*kgo.Record) error) error {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fetches := client.PollFetches(within)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var failed error
	fetches.EachError(func(topic string, index int32, err error) {
		if errors.Is(err, context.DeadlineExceeded) {
			for p, to := range left {
				err = fmt.Errorf("nothing came for %s; %s-%d is to be read up to offset %d", patience, p.topic, p.index, to)
			}
		}
		failed = &UnreadError{fmt.Errorf("%s-%d: %w", topic, index, err)}
	})
	fetches.EachRecord(func(r *kgo.Record) {
		p := partition{r.Topic, r.Partition}
		to, reading := left[p]
		if !reading || failed != nil {
			return
		}
		if r.Offset < to && !r.Attrs.IsControl() {
			failed = each(r)
		}
		if r.Offset+1 >= to {
			delete(left, p)
		}
	})
	return failed
}
