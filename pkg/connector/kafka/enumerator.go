package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/nearest"
	"pencere/pkg/plan"
)

// Enumerator finds the partitions of a source and where each begins and ends. Discover and Restore are for one
// goroutine, Waiting and Close for any.
type Enumerator struct {
	cfg    Config
	client *kgo.Client
	admin  *kadm.Client
	health *health

	started bool // the splits that the job begins with are known
	known   map[partition]bool

	mu      sync.Mutex
	waiting string
}

// NewEnumerator makes an Enumerator. It connects when it is used.
func NewEnumerator(cfg Config) (*Enumerator, error) {
	e := &Enumerator{cfg: cfg, health: newHealth(func() {}), known: make(map[partition]bool)}
	client, err := kgo.NewClient(append(slices.Clone(cfg.client), kgo.WithHooks(e.health), kgo.RequestRetries(2))...)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	e.client, e.admin = client, kadm.NewClient(client)
	return e, nil
}

// Restore tells the splits that the job has, from a checkpoint or an earlier Enumerator: Discover returns others only.
func (e *Enumerator) Restore(splits []Split) {
	e.started = true
	for _, s := range splits {
		e.known[s.key()] = true
	}
}

// Discover returns the splits that are new, sorted by topic and partition. The first call returns all partitions, with
// the offsets that the source's start mode and bound mean at that moment. Later calls return partitions made since,
// from their first record whatever the start mode, so that none is missed; a bounded job has none.
//
// A cluster that does not answer is waited for until ctx ends; see Waiting. Errors: UnknownTopicError (first call only),
// NoOffsetError, AuthError, ctx's.
func (e *Enumerator) Discover(ctx context.Context) ([]Split, error) {
	if e.started && e.cfg.source.Bounded {
		return nil, nil
	}
	splits, err := backoff.Retry(ctx, func() ([]Split, error) { return e.try(ctx) },
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.2, Multiplier: 2, MaxInterval: 2 * time.Second,
		}),
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, _ time.Duration) { e.setWaiting(reason(err) + "; retrying") }),
	)
	if err != nil {
		return nil, fmt.Errorf("discover kafka partitions: %w", err)
	}
	e.setWaiting("")
	e.Restore(splits)
	return splits, nil
}

// Waiting says what Discover waits for, as "broker host:9092: connection refused; retrying", or "".
func (e *Enumerator) Waiting() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting == "" {
		return ""
	}
	if fault := e.health.any(); fault != "" {
		return fault
	}
	return e.waiting
}

func (e *Enumerator) setWaiting(why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting = why
}

// Close ends the connections and whatever call of Discover is waiting.
func (e *Enumerator) Close() { e.client.Close() }

// try discovers once. Errors that waiting does not mend are marked permanent.
func (e *Enumerator) try(ctx context.Context) ([]Split, error) {
	e.setWaiting("waiting for the brokers' answer")
	found, err := e.find(ctx)
	if err == nil && len(found) > 0 {
		err = e.resolve(ctx, found)
	}
	switch {
	case err == nil:
		return found, nil
	case ctx.Err() != nil:
		return nil, backoff.Permanent(ctx.Err())
	case errors.Is(err, kgo.ErrClientClosed):
		return nil, backoff.Permanent(ErrClosed)
	case e.health.refused() != nil:
		return nil, backoff.Permanent(e.health.refused())
	case permanent(err):
		return nil, backoff.Permanent(err)
	}
	return nil, err
}

// permanent says whether asking again cannot help: errors of this package, and refusals of the broker.
func permanent(err error) bool {
	_, unknown := errors.AsType[*UnknownTopicError](err)
	_, offset := errors.AsType[*NoOffsetError](err)
	_, auth := errors.AsType[*AuthError](err)
	if unknown || offset || auth {
		return true
	}
	code, ok := errors.AsType[*kerr.Error](err)
	return ok && !code.Retriable
}

// find returns the partitions that are not known, without offsets.
func (e *Enumerator) find(ctx context.Context) ([]Split, error) {
	topics, err := e.topics(ctx)
	if err != nil {
		return nil, err
	}
	var found []Split
	for _, t := range topics {
		for _, p := range t.Partitions {
			if s := (Split{Topic: t.Topic, Partition: p.Partition, Stop: Unbounded}); !e.known[s.key()] {
				found = append(found, s)
			}
		}
	}
	slices.SortFunc(found, compareSplits)
	return found, nil
}

// topics returns the topics of the source that exist; on the first call each that is named must.
func (e *Enumerator) topics(ctx context.Context) ([]kadm.TopicDetail, error) {
	if e.cfg.pattern != nil {
		return e.matching(ctx)
	}
	metadata, err := e.admin.Metadata(ctx, e.cfg.source.Topics...)
	if err != nil {
		return nil, topicError(strings.Join(e.cfg.source.Topics, ", "), err)
	}
	var topics []kadm.TopicDetail
	for _, name := range e.cfg.source.Topics {
		detail := metadata.Topics[name]
		missing := errors.Is(detail.Err, kerr.UnknownTopicOrPartition)
		switch {
		case missing && e.started:
			// It was there when the job began: its readers tell what became of it.
		case missing:
			return nil, e.unknown(ctx, name)
		case detail.Err != nil:
			return nil, topicError(name, detail.Err)
		default:
			topics = append(topics, detail)
		}
	}
	return topics, nil
}

func (e *Enumerator) matching(ctx context.Context) ([]kadm.TopicDetail, error) {
	all, err := e.admin.ListTopics(ctx) // leaves Kafka's internal topics out
	if err != nil {
		return nil, topicError(e.cfg.source.TopicPattern, err)
	}
	var topics []kadm.TopicDetail
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !e.cfg.pattern.MatchString(name) {
			continue
		}
		if err := all[name].Err; err != nil {
			return nil, topicError(name, err)
		}
		topics = append(topics, all[name])
	}
	waits := e.cfg.source.DiscoveryInterval > 0 && !e.cfg.source.Bounded
	if len(topics) == 0 && !e.started && !waits {
		return nil, &UnknownTopicError{Topic: e.cfg.source.TopicPattern, Pattern: true}
	}
	return topics, nil
}

// unknown makes the error of a topic that does not exist, with the nearest of those that do.
func (e *Enumerator) unknown(ctx context.Context, name string) error {
	all, err := e.admin.ListTopics(ctx)
	if err != nil {
		return topicError(name, err)
	}
	return &UnknownTopicError{Topic: name, Near: nearest.Name(name, slices.Sorted(maps.Keys(all)))}
}

// topicError names the topic of an error, as an AuthError if the cluster refused.
func topicError(topic string, err error) error {
	what := fmt.Sprintf("topic %q", topic)
	if refused(err) {
		return &AuthError{What: what, Err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// resolve sets Start and Stop of the splits.
func (e *Enumerator) resolve(ctx context.Context, splits []Split) error {
	starts, err := e.starts(ctx, splits)
	if err != nil {
		return err
	}
	for i := range splits {
		splits[i].Start = starts[i]
	}
	if !e.cfg.source.Bounded {
		return nil
	}
	stops, err := e.list(ctx, splits, e.ends)
	for i, stop := range stops {
		splits[i].Stop = stop
	}
	return err
}

// starts returns the offset at which each split begins. What was made after the job's start is read from its first record.
func (e *Enumerator) starts(ctx context.Context, splits []Split) ([]int64, error) {
	mode := e.cfg.source.Start
	if e.started {
		mode = plan.StartEarliest
	}
	if mode == plan.StartGroupOffsets {
		return e.committed(ctx, splits)
	}
	return e.at(ctx, splits, mode)
}

// at returns the offsets that a start mode other than group-offsets means now.
func (e *Enumerator) at(ctx context.Context, splits []Split, mode plan.StartMode) ([]int64, error) {
	switch mode {
	case plan.StartLatest:
		return e.list(ctx, splits, e.ends)
	case plan.StartTimestamp:
		return e.list(ctx, splits, func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return e.admin.ListOffsetsAfterMilli(ctx, e.cfg.source.StartTimestamp, topics...)
		})
	default:
		return e.list(ctx, splits, e.admin.ListStartOffsets)
	}
}

// ends lists the offsets after the last record that may be read.
func (e *Enumerator) ends(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
	if e.cfg.committed {
		return e.admin.ListCommittedOffsets(ctx, topics...)
	}
	return e.admin.ListEndOffsets(ctx, topics...)
}

// lister is one of kadm's ways to ask for offsets.
type lister func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error)

// list returns the offset of each split.
func (e *Enumerator) list(ctx context.Context, splits []Split, list lister) ([]int64, error) {
	listed, err := list(ctx, topicsOf(splits)...)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	offsets := make([]int64, len(splits))
	for i, s := range splits {
		answer, ok := listed.Lookup(s.Topic, s.Partition)
		if !ok {
			return nil, fmt.Errorf("list offsets of %s: %w", s.ID(), kerr.UnknownTopicOrPartition)
		}
		if answer.Err != nil {
			return nil, topicError(s.Topic, answer.Err)
		}
		offsets[i] = answer.Offset
	}
	return offsets, nil
}

// committed returns the group's offset of each split, where there is none what auto.offset.reset says.
func (e *Enumerator) committed(ctx context.Context, splits []Split) ([]int64, error) {
	group := e.cfg.source.Group
	stored, err := e.admin.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, groupError(group, err)
	}
	offsets := make([]int64, len(splits))
	var without []Split
	var at []int
	for i, s := range splits {
		answer, ok := stored.Lookup(s.Topic, s.Partition)
		switch {
		case ok && answer.Err != nil:
			return nil, groupError(group, answer.Err)
		case ok && answer.At >= 0:
			offsets[i] = answer.At
		case e.cfg.reset == "":
			return nil, &NoOffsetError{Group: group, Topic: s.Topic, Partition: s.Partition}
		default:
			without, at = append(without, s), append(at, i)
		}
	}
	if len(without) == 0 {
		return offsets, nil
	}
	resets, err := e.at(ctx, without, e.cfg.reset)
	for i, offset := range resets {
		offsets[at[i]] = offset
	}
	return offsets, err
}

func groupError(group string, err error) error {
	what := fmt.Sprintf("group %q", group)
	if refused(err) {
		return &AuthError{What: what, Err: err}
	}
	return fmt.Errorf("offsets of %s: %w", what, err)
}

func topicsOf(splits []Split) []string {
	var topics []string
	for _, s := range splits {
		topics = append(topics, s.Topic)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}
