package plan

import "time"

// KafkaSink writes records to a topic of a Kafka cluster.
type KafkaSink struct {
	Brokers []string
	Topic   string
	// Key is an SQL expression of type STRING or BYTES over the columns that Select reads; "" writes no keys.
	Key string
	// Headers are such expressions by the names of the headers.
	Headers []NamedExpr
	// Partitioner chooses a record's partition; "" is PartitionerDefault.
	Partitioner Partitioner
	Compression Compression // "" is CompressionNone
	Delivery    Delivery
	// TransactionPrefix begins the transactional ids of exactly-once delivery.
	TransactionPrefix string
	// TransactionTimeout is how long a transaction may last before the broker aborts it.
	TransactionTimeout time.Duration
	Format             string // "json" or "csv"
	// FormatOptions are the format's options under Flink's names, without the format's prefix.
	FormatOptions map[string]string
	// Properties are further client settings under Kafka's names.
	Properties map[string]string
}

// Delivery says how often a row is in the topic whatever fails.
type Delivery string

// The deliveries.
const (
	// DeliveryExactlyOnce writes in transactions that are committed with the checkpoint: once, for readers of isolation.level read_committed.
	DeliveryExactlyOnce Delivery = "exactly_once"
	// DeliveryAtLeastOnce writes at once; after a failure the rows since the last checkpoint are written again.
	DeliveryAtLeastOnce Delivery = "at_least_once"
)

// Partitioner chooses the partition of a record.
type Partitioner string

// The partitioners, Flink's sink.partitioner.
const (
	PartitionerDefault    Partitioner = "default"     // Kafka's own: by the hash of the key, else one partition a batch
	PartitionerFixed      Partitioner = "fixed"       // one partition for each subtask
	PartitionerRoundRobin Partitioner = "round-robin" // each in turn
)

// Compression is a codec of Kafka's record batches.
type Compression string

// The codecs.
const (
	CompressionNone   Compression = "none"
	CompressionGzip   Compression = "gzip"
	CompressionSnappy Compression = "snappy"
	CompressionLZ4    Compression = "lz4"
	CompressionZstd   Compression = "zstd"
)

// Defaults of a KafkaSink. The timeout is the longest that a broker takes unless its transaction.max.timeout.ms says otherwise.
const (
	DefaultTransactionPrefix  = "pencere"
	DefaultTransactionTimeout = 15 * time.Minute
)
