package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/plan"
)

// Reader reads the splits of one source subtask. Poll and Release are for one goroutine; the rest is safe for any.
//
// It reads ahead: one answer of each broker waits while another is processed. All brokers' answers of a round come to no
// more than about 4 times the property fetch.max.bytes (1 MiB by default) in memory; there are two such rounds.
type Reader struct {
	cfg    Config
	client *kgo.Client
	admin  *kadm.Client
	health *health
	waker  waker

	fetches []Fetch // Poll's result, used again
	err     error   // what ended reading

	mu     sync.Mutex
	splits []*progress // in the order of NewReader and Add
	index  map[partition]*progress
	ended  []*progress // splits that reached Stop without a record to tell it
}

// progress is how far a split was read. It is guarded by Reader.mu.
type progress struct {
	Split
	at   int   // in Reader.splits
	next int64 // the offset after the last record that Poll returned
	end  int64 // the high watermark, -1 until it is known
	done bool
	// missingSince is when the brokers were first found not to know the topic; zero while they do. Only Poll uses it.
	missingSince time.Time
	madeAnew     time.Time // when a topic made anew was begun with; only Poll uses it
}

// Fetch is a run of records of one split.
type Fetch struct {
	// Split is the split's index: the first of NewReader is 0, and so on through the splits of each Add.
	Split int
	// Records are in the order of their offsets; a tombstone's Value is nil. They, and the bytes that they point to, are
	// valid until Release.
	Records []*kgo.Record
	// Next is the offset to go on from when the records are processed. It can lie beyond the last record's: offsets
	// of transactions' markers, and of what compaction removed, hold none.
	Next int64
	// HighWatermark is the offset that the partition's next record would get.
	HighWatermark int64
	// Done says that the split's Stop is reached. It is said once for each split, perhaps without records.
	Done bool
	// Loss says that the split's records before Next are gone, where the source wishes to go on all the same; nil almost always.
	Loss *DataLossError
}

// NewReader makes a Reader of the splits, of which there may be none. It connects in the background.
func NewReader(cfg Config, splits []Split) (*Reader, error) {
	r := &Reader{cfg: cfg, index: make(map[partition]*progress)}
	r.health = newHealth(r.waker.wake)
	opts := append(slices.Clone(cfg.client), cfg.fetch...)
	opts = append(opts, kgo.WithHooks(r.health, newBudget(cfg.fetchMaxBytes, cfg.partitionMaxBytes)), kgo.WithPools(newPool()))
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	r.client, r.admin = client, kadm.NewClient(client)
	r.Add(splits...)
	return r, nil
}

// Add starts to read further splits. Splits that the Reader has are left as they are.
func (r *Reader) Add(splits ...Split) {
	r.mu.Lock()
	starts := make(map[string]map[int32]kgo.Offset)
	for _, s := range splits {
		if r.index[s.key()] != nil {
			continue
		}
		p := &progress{Split: s, at: len(r.splits), next: s.Start, end: -1}
		r.splits, r.index[s.key()] = append(r.splits, p), p
		if s.empty() {
			r.ended = append(r.ended, p)
			continue
		}
		if starts[s.Topic] == nil {
			starts[s.Topic] = make(map[int32]kgo.Offset)
		}
		starts[s.Topic][s.Partition] = kgo.NoResetOffset().At(s.Start)
	}
	r.mu.Unlock()
	r.client.AddConsumePartitions(starts)
	r.waker.wake()
}

// Poll returns what was read, waiting for it if need be. It returns nothing, without an error, when some split's State
// may have changed. The slice is valid until the next Poll, each Fetch until its Release.
//
// Errors: that of ctx, after which Poll may be called again; ErrClosed; and what ends reading, as every later Poll says too:
// DataLossError, UnknownTopicError, AuthError, or a record that cannot be read. No record is lost by an error.
func (r *Reader) Poll(ctx context.Context) ([]Fetch, error) {
	r.fetches = r.fetches[:0]
	if err := r.failure(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.takeEnded() {
		return r.fetches, nil
	}
	err := r.take(ctx, r.client.PollFetches(nil)) //nolint:staticcheck // nil is kgo's way to ask for what is there already
	if err == nil && len(r.fetches) == 0 {
		err = r.wait(ctx)
	}
	if len(r.fetches) > 0 {
		return r.fetches, nil // an error that ends reading is the next Poll's
	}
	return nil, err
}

// failure returns what ended reading.
func (r *Reader) failure() error {
	if r.err == nil {
		r.err = r.health.refused()
	}
	return r.err
}

// take keeps what kgo fetched. The error, which also ends reading, is the first of the partitions'.
func (r *Reader) take(ctx context.Context, fetched kgo.Fetches) error {
	fetched.EachPartition(func(fetched kgo.FetchTopicPartition) {
		if err := r.takePartition(ctx, fetched); r.err == nil {
			r.err = err
		}
	})
	return r.err
}

func (r *Reader) takePartition(ctx context.Context, fetched kgo.FetchTopicPartition) error {
	r.mu.Lock()
	p := r.index[partition{fetched.Topic, fetched.Partition}]
	r.mu.Unlock()
	switch {
	case errors.Is(fetched.Err, kgo.ErrClientClosed):
		return ErrClosed
	case errors.Is(fetched.Err, context.Canceled), errors.Is(fetched.Err, context.DeadlineExceeded):
		return nil // kgo's way to say that the wait is over
	case fetched.Err != nil:
		return r.explain(ctx, p, fetched)
	case p == nil || p.done:
		recycle(fetched.Records) // read ahead, beyond Stop
		return nil
	}
	if err := gap(p, fetched.FetchPartition); err != nil {
		if r.cfg.source.OnDataLoss != plan.DataLossEarliest {
			return err
		}
		recycle(fetched.Records)
		return r.afterLoss(ctx, p, p.next)
	}
	r.advance(p, fetched.FetchPartition)
	return nil
}

// gap returns the error of records that are neither those from p.next on nor what transactions and compaction leave of
// them: kgo moves an offset that it finds out of range while it looks for a partition's leader.
func gap(p *progress, fetched kgo.FetchPartition) error {
	if len(fetched.Records) == 0 {
		return nil
	}
	first := fetched.Records[0].Offset
	if first < p.next || first > p.next && fetched.LogStartOffset > p.next {
		return &DataLossError{
			Topic: p.Topic, Partition: p.Partition, Wanted: p.next, First: fetched.LogStartOffset, End: fetched.HighWatermark,
		}
	}
	return nil
}

// advance moves the split over what was fetched and hands out the records that a job sees.
func (r *Reader) advance(p *progress, fetched kgo.FetchPartition) {
	records, next := fetched.Records, p.next
	if n := len(records); n > 0 {
		next = records[n-1].Offset + 1
	}
	bounded := p.Stop != Unbounded
	if bounded && next > p.Stop {
		cut, _ := slices.BinarySearchFunc(records, p.Stop, func(r *kgo.Record, stop int64) int { return int(r.Offset - stop) })
		recycle(records[cut:])
		records, next = records[:cut], p.Stop
	}
	records = withoutControl(records)
	done := bounded && next >= p.Stop

	r.mu.Lock()
	p.next, p.end, p.done = next, fetched.HighWatermark, done
	r.mu.Unlock()
	if done {
		r.client.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Partition}})
	}
	if len(records) > 0 || done {
		r.fetches = append(r.fetches, Fetch{
			Split: p.at, Records: records, Next: next, HighWatermark: fetched.HighWatermark, Done: done,
		})
	}
}

// withoutControl takes the markers of transactions out of the records, in place.
func withoutControl(records []*kgo.Record) []*kgo.Record {
	for i, record := range records {
		if record.Attrs.IsControl() {
			kept := records[:i]
			for _, record := range records[i:] {
				if record.Attrs.IsControl() {
					record.Recycle()
				} else {
					kept = append(kept, record)
				}
			}
			return kept
		}
	}
	return records
}

// takeEnded hands out splits that are done without a further record.
func (r *Reader) takeEnded() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.ended {
		p.done = true
		p.next = max(p.next, p.Stop)
		r.fetches = append(r.fetches, Fetch{Split: p.at, Next: p.next, HighWatermark: max(p.end, p.Stop), Done: true})
	}
	ended := len(r.ended) > 0
	r.ended = nil
	return ended
}

// Release gives the records' memory back for further reading. A Fetch is released once, after which neither its records nor
// their bytes may be used.
func (r *Reader) Release(f Fetch) { recycle(f.Records) }

// Close ends the connections. A Poll that waits returns ErrClosed.
func (r *Reader) Close() { r.client.Close() }
