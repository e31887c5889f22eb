package records_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"pencere/submitter/internal/kafkaclient"
	"pencere/submitter/internal/localcluster"
	"pencere/submitter/internal/records"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

const topic = "test"

// connect starts a broker with one topic and returns a client.
func connect(t *testing.T, partitions int32, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	broker, err := localcluster.StartBroker(localcluster.BrokerConfig{Topics: map[string]int32{topic: partitions}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	client, err := kafkaclient.Connect(t.Context(), kafkaclient.Config{Brokers: broker.Addresses(), Timeout: 10 * time.Second}, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// What a source gave before it failed is sent, and its error is told.
func TestSendUntilError(t *testing.T) {
	reading := records.Reading{Topics: []string{topic}, From: kgo.NewOffset().AtStart(), Max: 1}
	client := connect(t, 1, reading.Options()...)
	source := records.Lines("some file", strings.NewReader("1\nnot JSON\n"), records.Shape{Topic: topic, JSON: true})
	err := records.Send(t.Context(), client, source, records.Pace{}, func(*kgo.Record) {})
	if err == nil || err.Error() != `some file:2: not one JSON value: "not JSON"` {
		t.Errorf("the error is %v", err)
	}
	shown, err := records.Consume(t.Context(), client, reading, func(r *kgo.Record) error {
		if string(r.Value) != "1" {
			t.Errorf("value %q is there", r.Value)
		}
		return nil
	})
	if shown != 1 || err != nil {
		t.Errorf("%d records were shown: %v", shown, err)
	}
}

// A record that Kafka refuses ends it.
func TestSendRefused(t *testing.T) {
	client := connect(t, 1, kgo.UnknownTopicRetries(0))
	source := records.Values([]string{"x"}, records.Shape{Topic: "nothing"})
	if err := records.Send(t.Context(), client, source, records.Pace{}, func(*kgo.Record) {}); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("the error is %v", err)
	}
}

// The end of the context ends an endless source without error, and all that was given is sent.
func TestSendUntilContextEnds(t *testing.T) {
	client := connect(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	counted := &countingSource{Source: records.NewListings(records.Listings{Topic: topic, Speed: 1}), stop: cancel}
	sent := 0
	if err := records.Send(ctx, client, counted, records.Pace{Rate: 1e6}, func(*kgo.Record) { sent++ }); err != nil {
		t.Error(err)
	}
	if sent != counted.given || sent < stopAfter {
		t.Errorf("%d of %d records were sent", sent, counted.given)
	}
}

const stopAfter = 100

type countingSource struct {
	records.Source
	given int
	stop  context.CancelFunc
}

func (c *countingSource) Next(due time.Duration) (*kgo.Record, error) {
	c.given++
	if c.given == stopAfter {
		c.stop()
	}
	return c.Source.Next(due)
}

func TestWhole(t *testing.T) {
	source := records.Whole(strings.NewReader("a\nb\n"), records.Shape{})
	if r, err := source.Next(0); err != nil || string(r.Value) != "a\nb\n" {
		t.Errorf("record %v, error %v", r, err)
	}
	if _, err := source.Next(0); !errors.Is(err, io.EOF) {
		t.Errorf("a second record: %v", err)
	}
}

// Times are never ahead of their turn, and behind it by no more than skew and lateness say; a duplicate has the bytes of the record before.
func TestListings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		began := time.Date(2025, 3, 4, 12, 0, 0, 0, time.Local)
		cfg := records.Listings{
			Topic: topic, Began: began, Seed: rapid.Uint64().Draw(t, "seed"),
			Speed:      rapid.Float64Range(0.1, 100).Draw(t, "speed"),
			Skew:       time.Duration(rapid.IntRange(0, 60).Draw(t, "skew")) * time.Second,
			Duplicates: rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "duplicates"),
			Late:       rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "late"),
			LateBy:     time.Hour,
			Keyed:      true,
		}
		if err := cfg.Check(); err != nil {
			t.Fatal(err)
		}
		source, last, repeated, late := records.NewListings(cfg), "", 0, 0
		for i := range 200 {
			due := time.Duration(i) * time.Second
			r, err := source.Next(due)
			if err != nil {
				t.Fatal(err)
			}
			if string(r.Value) == last {
				repeated++
				continue
			}
			last = string(r.Value)
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
			behind := began.Add(time.Duration(float64(due) * cfg.Speed)).Sub(at)
			if behind >= cfg.LateBy {
				late++
				behind -= cfg.LateBy
			}
			if behind < 0 || behind > cfg.Skew+time.Second {
				t.Fatalf("listing %d is %s behind its turn", i, behind)
			}
		}
		if (repeated == 0) != (cfg.Duplicates == 0) || (late == 0) != (cfg.Late == 0) {
			t.Fatalf("%d repeated, %d late", repeated, late)
		}
	})
}

func TestListingsCheck(t *testing.T) {
	for _, wrong := range []records.Listings{{}, {Speed: 1, Duplicates: 2}, {Speed: 1, Late: -1}, {Speed: 1, Skew: -1}} {
		if wrong.Check() == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}
