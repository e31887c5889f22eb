package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// recordBytes is the size of each record's value. The records are not compressed.
	recordBytes = 150
	// repeatEvery says how often a record repeats a listing that its window has already.
	repeatEvery = 5
	// windows is over how many windows of windowSize the records' times are spread. They are in order.
	windows    = 5
	windowSize = 2 * time.Minute
	// mostGroups is the bound of the groups job.
	mostGroups = 1_200_000
)

var products = [...]string{"Televizyon", "Bisiklet", "Kitap", "Telefon", "Araba", "Kamera", "Traktor", "Daire"}

// generator makes listings: the i-th record is always the same.
type generator struct {
	records int
	random  *rand.Rand
	made    int
	next    int   // id of the next new listing
	first   int   // id of the window's first
	window  int64 // number of the window
	distinct
}

// distinct counts what jobs write.
type distinct struct{ listings, listingsByWindow, productsByWindow int }

func newGenerator(records int) *generator {
	return &generator{records: records, random: rand.New(rand.NewPCG(1, 2)), window: -1}
}

// append appends the next record's value to dst.
func (g *generator) append(dst []byte) []byte {
	at := int64(g.made) * windows * windowSize.Milliseconds() / int64(g.records)
	if window := at / windowSize.Milliseconds(); window != g.window {
		g.window, g.first = window, g.next
	}
	g.made++
	id := g.next
	if g.made%repeatEvery == 0 && g.next > g.first {
		id = g.first + g.random.IntN(g.next-g.first)
	} else {
		g.count()
	}
	return appendListing(dst, id, time.UnixMilli(at).UTC().AddDate(55, 0, 0))
}

func (g *generator) count() {
	g.next++
	g.listings++
	g.listingsByWindow++
	if g.next-g.first <= len(products) {
		g.productsByWindow++
	}
}

// appendListing appends a listing, all of which follows from its id but the time. The description fills it up to recordBytes.
func appendListing(dst []byte, id int, at time.Time) []byte {
	begin := len(dst)
	dst = fmt.Appendf(dst, `{"id":%d,"product":"%s","price":%d,"kdv":0.%d,"timestamp_column":"`,
		id, products[id%len(products)], 1000+id*7919%900_000, 10+id%11)
	dst = append(at.AppendFormat(dst, time.DateTime), `","description":"`...)
	const text = "ikinci el, temiz, kutusu ve faturasi duruyor, takas olmaz"
	room := recordBytes - (len(dst) - begin) - len(`"}`)
	return append(append(dst, text[:room]...), `"}`...)
}

// expected is how many rows a job writes.
func (d distinct) expected(job string, records int) int {
	switch job {
	case "passthrough":
		return records
	case "aggregates":
		return d.productsByWindow
	case "groups":
		return min(d.listings, mostGroups)
	default:
		return d.listingsByWindow
	}
}

// fill creates a topic of one partition and writes the records.
func fill(ctx context.Context, broker, topic string, records int) (distinct, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(512<<10), kgo.ProducerLinger(20*time.Millisecond))
	if err != nil {
		return distinct{}, fmt.Errorf("make kafka client: %w", err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		return distinct{}, fmt.Errorf("create topic %s on %s: %w", topic, broker, err)
	}
	var failed error
	var once sync.Once
	g := newGenerator(records)
	for range records {
		client.Produce(ctx, kgo.SliceRecord(g.append(nil)), func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	if err := errors.Join(client.Flush(ctx), failed); err != nil {
		return distinct{}, fmt.Errorf("fill topic %s: %w", topic, err)
	}
	return g.distinct, nil
}

// remove deletes the topic.
func remove(ctx context.Context, broker, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(broker, ",")...))
	if err != nil {
		return fmt.Errorf("make kafka client: %w", err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).DeleteTopic(ctx, topic); err != nil {
		return fmt.Errorf("delete topic %s: %w", topic, err)
	}
	return nil
}
