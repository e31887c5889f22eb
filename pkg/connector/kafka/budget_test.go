package kafka

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestFit(t *testing.T) {
	cases := []struct {
		brokers int
		growth  float64
		want    int32
	}{
		{1, 1, 1 << 20}, {1, 4, 1 << 20}, {1, 8, 512 << 10}, {4, 1, 1 << 20}, {4, 4, 256 << 10}, {100, 20, minFetchBytes}, {1, 0, 1 << 20},
	}
	for _, c := range cases {
		if got := fit(1<<20, c.brokers, c.growth); got != c.want {
			t.Errorf("%d brokers, growth %g: %d bytes, want %d", c.brokers, c.growth, got, c.want)
		}
	}
	if got := fit(1000, 1, 1); got != 1000 {
		t.Errorf("a limit of 1000: %d", got)
	}
}

// TestReaderMemoryBound reads records that grow some 16 times when they are decompressed and cut.
func TestReaderMemoryBound(t *testing.T) {
	const limit, records = 256 << 10, 100_000
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ProducerBatchCompression(kgo.ZstdCompression()),
		kgo.DefaultProduceTopic("t"), kgo.ProducerBatchMaxBytes(32<<10))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range records {
		value := fmt.Appendf(nil, `{"id":%d,"price":%d,"product":"Televizyon","timestamp_column":"2025-03-04 11:55:49","description":"%s"}`,
			i, random.Uint32(), strings.Repeat("as good as new ", 5))
		client.Produce(c.ctx, &kgo.Record{Value: value}, nil)
	}
	if err := client.Flush(c.ctx); err != nil {
		t.Fatal(err)
	}
	cfg := c.config("t", bounded, property("fetch.max.bytes", strconv.Itoa(limit)))
	r := c.reader(cfg, c.discover(cfg)...)
	total, most := 0, int64(0)
	for done := false; !done; {
		fetches, err := r.Poll(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		var held int64
		for _, f := range fetches {
			for _, record := range f.Records {
				held += int64(len(record.Value)) + recordSize
			}
			total += len(f.Records)
			done = done || f.Done
			r.Release(f)
		}
		most = max(most, held)
	}
	if total != records {
		t.Fatalf("read %d records, want %d", total, records)
	}
	if bound := int64(2 * heldPerFetched * limit); most > bound {
		t.Errorf("%d bytes were held at a time, more than %d", most, bound)
	}
}
