package kafka

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/plan"
)

// writeElsewhere are Kafka's properties that a sink sets in another way, and the way.
var writeElsewhere = map[string]string{
	"bootstrap.servers":      "is given as brokers",
	"acks":                   "has no use: a record counts when all replicas in sync have it",
	"compression.type":       "is given as compression",
	"enable.idempotence":     "has no use: producers are idempotent",
	"key.serializer":         "has no use: the format encodes records",
	"partitioner.class":      "is given as partitioner",
	"transaction.timeout.ms": "is given as transaction_timeout",
	"transactional.id":       "is made from transactional_id_prefix",
	"value.serializer":       "has no use: the format encodes records",
}

// What a Writer holds of records that no broker has acknowledged, in bytes, unless a property says otherwise; a Write beyond it
// waits. It is Kafka's buffer.memory.
const defaultBufferMemory = 32 << 20

var codecs = map[plan.Compression]kgo.CompressionCodec{
	"":                     kgo.NoCompression(),
	plan.CompressionNone:   kgo.NoCompression(),
	plan.CompressionGzip:   kgo.GzipCompression(),
	plan.CompressionSnappy: kgo.SnappyCompression(),
	plan.CompressionLZ4:    kgo.Lz4Compression(),
	plan.CompressionZstd:   kgo.ZstdCompression(),
}

// WriterConfig is a checked plan.KafkaSink. It is immutable; Writers may share it.
type WriterConfig struct {
	sink plan.KafkaSink
	// client are the options of every client, produce those of clients that write.
	client, produce []kgo.Opt
}

// NewWriterConfig checks a sink and reads the files that its ssl.* properties name. Errors are NewConfig's.
func NewWriterConfig(sink plan.KafkaSink) (WriterConfig, error) {
	var problems []error
	if len(sink.Brokers) == 0 {
		problems = append(problems, errors.New("brokers: none given: name at least one as host:port"))
	}
	codec, known := codecs[sink.Compression]
	if !known {
		problems = append(problems, fmt.Errorf("compression: %q is none of none, gzip, snappy, lz4, zstd", sink.Compression))
	}
	c := WriterConfig{sink: sink}
	s := settings{values: sink.Properties, used: make(map[string]bool), elsewhere: writeElsewhere}
	c.client = clientOptions(sink.Brokers, &s)
	linger := time.Duration(0)
	if s.text("linger.ms") != "" {
		linger = s.millis("linger.ms", 0)
	}
	largest := s.bytes("max.request.size", 1<<20)
	c.produce = []kgo.Opt{
		kgo.DefaultProduceTopic(sink.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(linger),
		kgo.ProducerBatchMaxBytes(largest),
		kgo.BrokerMaxWriteBytes(max(100<<20, largest)),
		kgo.MaxBufferedBytes(int(s.bytes("buffer.memory", defaultBufferMemory))),
		kgo.MaxBufferedRecords(1 << 20), // bytes bound it
	}
	problems = append(problems, s.problems()...)
	if err := errors.Join(problems...); err != nil {
		return WriterConfig{}, err
	}
	return c, nil
}

// partitioner returns what chooses the partition of a record, in one of the subtasks.
func (c WriterConfig) partitioner(subtask int) kgo.Partitioner {
	switch c.sink.Partitioner {
	case plan.PartitionerRoundRobin:
		return kgo.RoundRobinPartitioner()
	case plan.PartitionerFixed:
		return kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
			return func(_ *kgo.Record, partitions int) int { return subtask % partitions }
		})
	default:
		return kgo.StickyKeyPartitioner(nil)
	}
}

// newClient returns a client that manages topics and transactions, or, with more options, one that writes.
func (c WriterConfig) newClient(more ...kgo.Opt) (*kgo.Client, error) {
	client, err := kgo.NewClient(append(slices.Clone(c.client), more...)...)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return client, nil
}
