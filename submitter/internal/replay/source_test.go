package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/manifest"
	"pencere/pkg/plan"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// world is a broker with a topic of two partitions, ten records in each, and a job's source that reads it.
type world struct {
	ctx    context.Context
	client *kgo.Client
	source plan.KafkaSource
}

func newWorld(t *testing.T) world {
	t.Helper()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "prices"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	w := world{source: plan.KafkaSource{Brokers: broker.ListenAddrs(), Topics: []string{"prices"}, Start: plan.StartEarliest}}
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	w.client, err = kgo.NewClient(kgo.SeedBrokers(w.source.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	for i := range 20 {
		record := &kgo.Record{Topic: "prices", Partition: int32(i % 2), Value: fmt.Append(nil, i/2)}
		if err := w.client.ProduceSync(w.ctx, record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w world) topic(t *testing.T) Topic {
	t.Helper()
	config, err := kafka.NewConfig(w.source)
	if err != nil {
		t.Fatal(err)
	}
	return NewTopic(config)
}

// Just the records of the ranges are read, those of a partition in their order.
func TestRead(t *testing.T) {
	w := newWorld(t)
	got := map[int32][]string{}
	err := w.topic(t).Read(w.ctx, []manifest.OffsetRange{offsets(0, 2, 5), offsets(1, 7, 10)}, func(r *kgo.Record) error {
		got[r.Partition] = append(got[r.Partition], string(r.Value))
		return nil
	})
	if err != nil || !slices.Equal(got[0], []string{"2", "3", "4"}) || !slices.Equal(got[1], []string{"7", "8", "9"}) {
		t.Errorf("%v, %v", got, err)
	}
	stop := errors.New("stop")
	if err := w.topic(t).Read(w.ctx, []manifest.OffsetRange{offsets(0, 0, 10)}, func(*kgo.Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// Records that are gone cannot be replayed, which is said; so is a job with windows that began in the midst of its topic.
func TestStart(t *testing.T) {
	w := newWorld(t)
	_, job := evaluator(t, "", "DOUBLE")
	check := func(ranges ...manifest.OffsetRange) error {
		return checkStart(w.ctx, job, chain{ranges: ranges}, w.topic(t))
	}
	if err := check(offsets(0, 0, 10), offsets(1, 0, 10)); err != nil {
		t.Error(err)
	}
	if _, beyond := errors.AsType[*UnsupportedError](check(offsets(1, 3, 10))); !beyond {
		t.Error("a job from a savepoint is replayed")
	}
	var gone kadm.Offsets
	gone.AddOffset("prices", 0, 4, -1)
	if _, err := kadm.NewClient(w.client).DeleteRecords(w.ctx, gone); err != nil {
		t.Fatal(err)
	}
	if _, unread := errors.AsType[*UnreadError](check(offsets(0, 0, 10))); !unread {
		t.Error("records that are gone are replayed")
	}
}

// A job that reads what is committed has not seen an aborted transaction, with which its range may end.
func TestReadCommitted(t *testing.T) {
	w := newWorld(t)
	writer, err := kgo.NewClient(kgo.SeedBrokers(w.source.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("writer"))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		record := &kgo.Record{Topic: "prices", Value: fmt.Append(nil, end)}
		if err := writer.ProduceSync(w.ctx, record).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := writer.EndTransaction(w.ctx, end); err != nil {
			t.Fatal(err)
		}
	}
	for isolation, want := range map[string]int{"read_committed": 3, "read_uncommitted": 4} {
		w.source.Properties = map[string]string{"isolation.level": isolation}
		got := 0
		err := w.topic(t).Read(w.ctx, []manifest.OffsetRange{offsets(0, 8, 14)}, func(*kgo.Record) error { got++; return nil })
		if err != nil || got != want {
			t.Errorf("%s: %d records, want %d: %v", isolation, got, want, err)
		}
	}
}
