package kafka

import (
	"bytes"
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/plan"
)

const (
	benchRecords     = 400_000
	benchRecordBytes = 150
)

// BenchmarkReader reads a topic of 150-byte records to its end, by a Reader and by a bare poll loop of franz-go, and reports
// time and CPU for a record of each. The CPU is the process's, so the embedded broker's share is in both.
func BenchmarkReader(b *testing.B) {
	for _, compressed := range []bool{false, true} {
		for _, partitions := range []int32{1, 4} {
			cluster := benchTopic(b, partitions, compressed)
			name := fmt.Sprintf("partitions=%d/compressed=%t", partitions, compressed)
			b.Run(name+"/bare", func(b *testing.B) { benchRead(b, func() int { return readBare(b, cluster) }) })
			b.Run(name+"/reader", func(b *testing.B) { benchRead(b, func() int { return readWhole(b, cluster) }) })
		}
	}
}

func benchTopic(b *testing.B, partitions int32, compressed bool) *kfake.Cluster {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "bench"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cluster.Close)
	codec := kgo.NoCompression()
	if compressed {
		codec = kgo.Lz4Compression()
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("bench"),
		kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(64<<10), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for i := range benchRecords {
		value := fmt.Appendf(nil, `{"id":%d,"product":"Televizyon","price":%d,"timestamp_column":"2025-03-04 11:55:49","description":"`, i, i*7919)
		value = append(value, bytes.Repeat([]byte("x"), benchRecordBytes-len(value)-2)...)
		client.Produce(context.Background(), &kgo.Record{Value: append(value, `"}`...)}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := client.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	return cluster
}

func benchRead(b *testing.B, read func() int) {
	b.ReportAllocs()
	before := cpu(b)
	records := 0
	for b.Loop() {
		records += read()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(records), "cpu-ns/record")
}

func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// readWhole reads the topic as a source subtask of a bounded job does.
func readWhole(b *testing.B, cluster *kfake.Cluster) int {
	ctx := context.Background()
	cfg, err := NewConfig(plan.KafkaSource{
		Brokers: cluster.ListenAddrs(), Topics: []string{"bench"}, Start: plan.StartEarliest, Bounded: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	enumerator, err := NewEnumerator(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer enumerator.Close()
	splits, err := enumerator.Discover(ctx)
	if err != nil {
		b.Fatal(err)
	}
	reader, err := NewReader(cfg, splits)
	if err != nil {
		b.Fatal(err)
	}
	defer reader.Close()
	records, size := 0, 0
	for done := 0; done < len(splits); {
		fetches, err := reader.Poll(ctx)
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range fetches {
			for _, r := range f.Records {
				size += len(r.Value)
			}
			records += len(f.Records)
			if f.Done {
				done++
			}
			reader.Release(f)
		}
	}
	return checked(b, records, size)
}

// readBare reads the topic with franz-go alone.
func readBare(b *testing.B, cluster *kfake.Cluster) int {
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("bench"), kgo.DisableClientMetrics())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	records, size := 0, 0
	for records < benchRecords {
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			b.Fatal(err)
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				size += len(r.Value)
			}
			records += len(p.Records)
		})
	}
	return checked(b, records, size)
}

func checked(b *testing.B, records, size int) int {
	if records != benchRecords || size != benchRecords*benchRecordBytes {
		b.Fatalf("read %d records of %d bytes, want %d of %d", records, size, benchRecords, benchRecords*benchRecordBytes)
	}
	return records
}
