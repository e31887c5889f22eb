package command

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"strconv"
	"strings"
	"time"

	"pencere/submitter/internal/records"
	"pencere/submitter/internal/topics"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

const produceHelp = `Sends records to a topic: each VALUE is one; without any, each line of --file is, or of standard input. --listings sends
sample data instead, second-hand listings in the shape of the reference job, until Ctrl-C or --count.

  submitter produce test hello world                      two records
  submitter produce test --file rows.json --json-values   a record a line, each checked to be JSON
  submitter produce test --key-separator : <<< "k:v"      a record with a key
  submitter produce sahibinden --listings --rate 100 --partitions 4 --skew 10s --duplicates 0.05 --late 0.01
`

// produceFlags are what produce is told.
type produceFlags struct {
	kafkaFlags
	file, key, separator string
	whole, json          bool
	headers              map[string]string
	partition            int32
	partitions           int32
	pace                 records.Pace
	linger               time.Duration
	batchSize            int
	compression          string
	sample               bool
	listings             records.Listings
}

func (a *app) produceCommand() *cobra.Command {
	var p produceFlags
	c := &cobra.Command{
		Use:   "produce TOPIC [VALUE...]",
		Short: "Sends records to a Kafka topic: values, lines, a file, or sample listings",
		Long:  produceHelp + exitCodesHelp,
		Args:  someTopic,
	}
	p.add(c)
	flags := c.Flags()
	flags.StringVarP(&p.file, "file", "f", "-", "file whose lines are sent; - is standard input")
	flags.BoolVar(&p.whole, "whole", false, "send the file as one record, with all its bytes")
	flags.StringVar(&p.key, "key", "", "key of each record")
	flags.StringVar(&p.separator, "key-separator", "", "what divides each line or VALUE into key and value")
	flags.BoolVar(&p.json, "json-values", false, "check that each value is JSON before it is sent")
	flags.StringToStringVar(&p.headers, "header", nil, "header of each record as name=value")
	flags.Int32Var(&p.partition, "partition", -1, "partition that all records go to; -1 goes by key, and without one to all in turn")
	flags.Int32Var(&p.partitions, "partitions", 0, "create the topic with so many partitions if it is not there; 0 does not")
	flags.Float64Var(&p.pace.Rate, "rate", 0, "records a second; 0 is as fast as they are taken")
	flags.Int64Var(&p.pace.Count, "count", 0, "stop after so many records; 0 does not")
	flags.BoolVar(&p.pace.Sync, "sync", false, "wait for each record and print its topic, partition and offset")
	flags.DurationVar(&p.linger, "linger", 5*time.Millisecond, "how long to wait for more records of a batch")
	flags.IntVar(&p.batchSize, "batch-size", 1<<20, "size of a batch at most, in bytes")
	flags.StringVar(&p.compression, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	flags.BoolVar(&p.sample, "listings", false, "send sample listings")
	flags.Float64Var(&p.listings.Speed, "speed", 1, "listings: how much faster than the clock their time runs")
	flags.DurationVar(&p.listings.Skew, "skew", 0, "listings: by how much at most their times are out of order")
	flags.Float64Var(&p.listings.Duplicates, "duplicates", 0, "listings: share, 0 to 1, that is sent twice")
	flags.Float64Var(&p.listings.Late, "late", 0, "listings: share, 0 to 1, whose time lies --late-by back")
	flags.DurationVar(&p.listings.LateBy, "late-by", 10*time.Minute, "listings: see --late")
	flags.BoolVar(&p.listings.Keyed, "keyed", false, "listings: the record's key is the listing's id")
	flags.Uint64Var(&p.listings.Seed, "seed", 1, "listings: chooses which are late, twice or out of order")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := p.check(args); err != nil {
			return err
		}
		return a.produce(c.Context(), c.Name(), p, args[0], args[1:])
	}
	return c
}

func (p *produceFlags) check(args []string) error {
	switch {
	case p.pace.Rate < 0:
		return usage("--rate %v: want 0 or more records a second", p.pace.Rate)
	case p.pace.Count < 0:
		return usage("--count %d: want 0 or more", p.pace.Count)
	case p.partition < -1:
		return usage("--partition %d: want a partition's number, or -1", p.partition)
	case p.partitions < 0:
		return usage("--partitions %d: want 0 or more", p.partitions)
	case p.linger < 0:
		return usage("--linger %v: want 0 or more", p.linger)
	case p.batchSize < 1:
		return usage("--batch-size %d: want 1 or more bytes", p.batchSize)
	case p.sample && (len(args) > 1 || p.file != "-"):
		return usage("--listings sends sample data: leave out values and --file")
	case p.whole && len(args) > 1:
		return usage("--whole sends a file: leave out values")
	}
	if err := p.listings.Check(); err != nil {
		return usage("--speed, --skew, --duplicates, --late or --late-by: %w", err)
	}
	p.properties = withDefaults(p.properties, map[string]string{
		"linger.ms": strconv.FormatInt(p.linger.Milliseconds(), 10), "max.request.size": strconv.Itoa(p.batchSize),
		"compression.type": p.compression,
	})
	return nil
}

// withDefaults returns the properties and those defaults that are not among them.
func withDefaults(properties, defaults map[string]string) map[string]string {
	all := make(map[string]string)
	for _, each := range []map[string]string{defaults, properties} {
		maps.Copy(all, each)
	}
	return all
}

// produced is what produce prints with --json.
type produced struct {
	Topic   string         `json:"topic"`
	Records int64          `json:"records"`
	Took    float64        `json:"tookSeconds"`
	Offsets []offsetsTaken `json:"offsets"`
}

// offsetsTaken are those that a partition gave.
type offsetsTaken struct {
	Partition int32 `json:"partition"`
	First     int64 `json:"first"`
	Last      int64 `json:"last"`
	Records   int64 `json:"records"`
}

func (a *app) produce(ctx context.Context, command string, p produceFlags, topic string, values []string) error {
	source, done, err := a.source(p, topic, values)
	if err != nil {
		return err
	}
	defer done()
	partitioner := kgo.StickyKeyPartitioner(nil)
	switch {
	case p.partition >= 0:
		partitioner = kgo.ManualPartitioner()
	case p.key == "" && p.separator == "" && !p.listings.Keyed:
		partitioner = kgo.RoundRobinPartitioner() // a partition without records would hold event time back
	}
	client, err := a.connectKafka(ctx, p.kafkaFlags, kgo.RecordPartitioner(partitioner))
	if err != nil {
		return err
	}
	defer client.Close()
	if p.partitions > 0 {
		if _, err := topics.NewAdmin(client).Create(ctx, topics.New{Name: topic, Partitions: p.partitions, Replicas: -1}, true); err != nil {
			return err
		}
	}
	result, began := produced{Topic: topic, Offsets: []offsetsTaken{}}, time.Now()
	err = records.Send(ctx, client, source, p.pace, func(r *kgo.Record) {
		result.take(r)
		if p.pace.Sync && !a.json {
			fmt.Fprintf(a.Out, "topic %s partition %d offset %d\n", r.Topic, r.Partition, r.Offset)
		}
	})
	result.Took = time.Since(began).Seconds()
	if err != nil {
		return &resultError{err: err, result: result}
	}
	a.report(command, result, func() {
		fmt.Fprintf(a.Out, "Sent %s records to %s in %.1f s.\n", grouped(result.Records), topic, result.Took)
	})
	return nil
}

// take counts a record that was taken. Those of a partition come in the order of their offsets.
func (p *produced) take(r *kgo.Record) {
	p.Records++
	for i := range p.Offsets {
		if p.Offsets[i].Partition == r.Partition {
			p.Offsets[i].Last = r.Offset
			p.Offsets[i].Records++
			return
		}
	}
	p.Offsets = append(p.Offsets, offsetsTaken{Partition: r.Partition, First: r.Offset, Last: r.Offset, Records: 1})
}

// source returns what is to be sent, and what to call when it was.
func (a *app) source(p produceFlags, topic string, values []string) (source records.Source, done func(), err error) {
	done = func() {}
	if p.sample {
		sample := p.listings
		sample.Topic, sample.Partition, sample.Began = topic, p.partition, time.Now()
		return records.NewListings(sample), done, nil
	}
	shape := records.Shape{Topic: topic, Partition: p.partition, KeySeparator: p.separator, JSON: p.json}
	if p.key != "" {
		shape.Key = []byte(p.key)
	}
	for name, value := range p.headers {
		shape.Headers = append(shape.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	if len(values) > 0 {
		return records.Values(values, shape), done, nil
	}
	in, name := a.In, "standard input"
	if p.file != "-" {
		file, err := os.Open(p.file)
		if err != nil {
			return nil, nil, usage("--file %s: %w", p.file, err)
		}
		in, name, done = file, p.file, func() { _ = file.Close() } // it was only read
	}
	return fileSource(name, in, p.whole, shape), done, nil
}

func fileSource(name string, in io.Reader, whole bool, shape records.Shape) records.Source {
	if whole {
		return records.Whole(in, shape)
	}
	return records.Lines(strings.TrimSpace(name), in, shape)
}
