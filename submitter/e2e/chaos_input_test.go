//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

var products = []string{"Kitap", "Dergi", "Plak", "Kaset", "Defter"}

// feed writes listings to a topic: somewhat out of order, some twice, some of them late, and tombstones between them.
type feed struct {
	client     *kgo.Client
	topic      string
	partitions int
	random     *rand.Rand
	step       time.Duration // of event time from one listing to the next

	next    int // id of the next listing
	records int // written
	failed  atomic.Pointer[error]
}

// firstListing is the event time of listing 0.
var firstListing = time.Date(2025, 3, 4, 12, 0, 0, 0, time.UTC)

const timestampLayout = "2006-01-02 15:04:05.000"

// newFeed creates a topic. The producer is idempotent and waits for acknowledgments for ever.
func newFeed(t *testing.T, broker, topic string, random *rand.Rand) *feed {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	f := &feed{client: client, topic: topic, partitions: chaosPartitions, random: random, step: 30 * time.Millisecond}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, int32(f.partitions), 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	return f
}

// write produces listings, beside which there may be repeated ones and tombstones.
func (f *feed) write(ctx context.Context, listings int) {
	for range listings {
		value := f.listing()
		for range 1 + f.random.IntN(10)/9 {
			f.produce(ctx, f.random.IntN(f.partitions), value)
		}
		if f.random.IntN(500) == 0 {
			f.produce(ctx, f.random.IntN(f.partitions), nil)
		}
	}
}

// listing makes the next listing. One in fifty is up to a minute behind, and mostly late.
func (f *feed) listing() []byte {
	i := f.next
	f.next++
	at := firstListing.Add(time.Duration(i) * f.step).Add(-time.Duration(f.random.IntN(7000)) * time.Millisecond)
	if f.random.IntN(50) == 0 {
		at = at.Add(-time.Duration(f.random.IntN(60)) * time.Second)
	}
	return fmt.Appendf(nil, `{"id":%d,"product":%q,"description":"ikinci el %d","price":%d,"kdv":%v,"timestamp_column":%q}`,
		i, products[i%len(products)], i%7, 100+i%977, []float64{0.01, 0.1, 0.18, 0.2}[i%4], at.Format(timestampLayout))
}

// finish puts a listing of the next day into each partition, which closes all windows but its own, and waits until all is written.
func (f *feed) finish(ctx context.Context) error {
	last := firstListing.AddDate(0, 0, 1).Format(timestampLayout)
	for p := range f.partitions {
		f.produce(ctx, p, fmt.Appendf(nil, `{"id":%d,"product":"Kitap","description":"ikinci el 9","price":1,"kdv":0.1,"timestamp_column":%q}`, -1-p, last))
	}
	if err := f.client.Flush(ctx); err != nil {
		return err
	}
	if err := f.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *feed) produce(ctx context.Context, partition int, value []byte) {
	f.records++
	f.client.Produce(ctx, &kgo.Record{Topic: f.topic, Partition: int32(partition), Value: value}, func(_ *kgo.Record, err error) {
		if err != nil {
			f.failed.CompareAndSwap(nil, &err)
		}
	})
}

// stream writes listings at a steady rate until ctx ends.
func (f *feed) stream(ctx context.Context, perSecond int) {
	const every = 20 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.write(context.WithoutCancel(ctx), perSecond*int(every)/int(time.Second))
		case <-ctx.Done():
			return
		}
	}
}

// readTopic returns the values of each partition, from its first record to its last.
func readTopic(ctx context.Context, broker, topic string) ([][][]byte, error) {
	admin, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	ends, err := kadm.NewClient(admin).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	left := 0
	start := map[int32]kgo.Offset{}
	for _, end := range ends[topic] {
		left += int(end.Offset)
		start[end.Partition] = kgo.NewOffset().At(0)
	}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: start}))
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	values := make([][][]byte, len(start))
	for left > 0 {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			values[r.Partition] = append(values[r.Partition], r.Value)
			left--
		})
	}
	return values, nil
}
