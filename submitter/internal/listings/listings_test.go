package listings_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"pencere/submitter/internal/listings"
	"pencere/submitter/internal/localcluster"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestJSON(t *testing.T) {
	l := listings.Listing{
		ID: 7, Product: "Bağlama", Description: `"el" yapımı`, Price: 9400, KDV: 0.2,
		Time: time.Date(2025, 3, 4, 11, 55, 49, 999, time.UTC),
	}
	got, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":7,"product":"Bağlama","description":"\"el\" yapımı","price":9400,"kdv":0.2,"timestamp_column":"2025-03-04 11:55:49"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// Listings are varied, have running ids, and one in twenty is sent again.
func TestGenerator(t *testing.T) {
	const n = 2000
	var g listings.Generator
	products, rates := map[string]bool{}, map[float64]bool{}
	last, repeated := int64(-1), 0
	for range n {
		l := g.Next(time.Unix(0, 0))
		switch l.ID {
		case last:
			repeated++
		case last + 1:
			last++
		default:
			t.Fatalf("id %d follows %d", l.ID, last)
		}
		if l.Price <= 0 || l.Description == "" {
			t.Errorf("listing %+v", l)
		}
		products[l.Product], rates[l.KDV] = true, true
	}
	if len(products) < 22 || len(rates) < 4 || repeated != n/20 {
		t.Errorf("%d products, %d rates, %d repeated of %d", len(products), len(rates), repeated, n)
	}
}

func TestProducer(t *testing.T) {
	const partitions, enough = 4, 40
	broker, err := localcluster.StartBroker(localcluster.BrokerConfig{Topics: map[string]int32{listings.Topic: partitions}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	producer, err := listings.NewProducer(listings.Config{Brokers: broker.Addresses(), Topic: listings.Topic, Rate: 500, Speed: 60})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- producer.Run(ctx) }()

	kafka, err := kgo.NewClient(kgo.SeedBrokers(broker.Addresses()...), kgo.ConsumeTopics(listings.Topic))
	if err != nil {
		t.Fatal(err)
	}
	defer kafka.Close()
	byPartition := map[int32][]time.Time{}
	for read := 0; read < enough; {
		fetches := kafka.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			byPartition[r.Partition] = append(byPartition[r.Partition], timeOf(t, r))
		})
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(byPartition) != partitions {
		t.Errorf("%d of %d partitions have records", len(byPartition), partitions)
	}
	for p, times := range byPartition {
		// The records of a partition are 4/500 s apart, 0.48 s of their own time.
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap < 0 || gap > time.Second {
				t.Errorf("partition %d: a record comes %s after the one before", p, gap)
			}
		}
	}
}

func timeOf(t *testing.T, r *kgo.Record) time.Time {
	t.Helper()
	var l struct {
		Time string `json:"timestamp_column"`
	}
	if err := json.Unmarshal(r.Value, &l); err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation(time.DateTime, l.Time, time.Local)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestProducerConfig(t *testing.T) {
	for _, c := range []listings.Config{{Rate: 0, Speed: 1}, {Rate: 1, Speed: -1}} {
		if _, err := listings.NewProducer(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
