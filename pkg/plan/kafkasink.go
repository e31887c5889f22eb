package plan

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"pencere/pkg/expr"
	"pencere/pkg/format/json"
	"pencere/pkg/sqltype"
)

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
	Format             string // FormatJSON, FormatCSV or FormatRaw
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

// transactionPrefix is kept to what reads well in a broker's tools and needs no quoting in an ACL.
var transactionPrefix = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,100}$`)

func (c *compiler) checkKafkaSink(k *KafkaSink) {
	const path = "sink.kafka"
	c.checkBrokers(path+".brokers", k.Brokers)
	c.checkTopic(path+".topic", k.Topic)
	switch k.Partitioner {
	case "", PartitionerDefault, PartitionerFixed, PartitionerRoundRobin:
	default:
		c.add(path+".partitioner", "unknown partitioner %q; there are default, fixed and round-robin", k.Partitioner)
	}
	switch k.Compression {
	case "", CompressionNone, CompressionGzip, CompressionSnappy, CompressionLZ4, CompressionZstd:
	default:
		c.add(path+".compression", "unknown codec %q; there are none, gzip, snappy, lz4 and zstd", k.Compression)
	}
	for _, property := range slices.Sorted(maps.Keys(k.Properties)) {
		if property == "bootstrap.servers" {
			c.add(path+".properties."+property, "set sink.kafka.brokers instead")
		}
	}
	c.checkDelivery(k)
	c.checkSinkFormat(k)
}

func (c *compiler) checkDelivery(k *KafkaSink) {
	switch k.Delivery {
	case DeliveryAtLeastOnce:
		return
	case DeliveryExactlyOnce:
	default:
		c.add("sink.kafka.delivery", "unknown delivery %q; there are exactly_once and at_least_once", k.Delivery)
		return
	}
	interval := c.job.Checkpoint.Interval
	if interval == 0 {
		c.add("sink.kafka.delivery", "exactly_once commits with checkpoints, and checkpoint.interval 0s makes none; set an interval, or at_least_once")
	}
	if !transactionPrefix.MatchString(k.TransactionPrefix) {
		c.add("sink.kafka.transactional_id_prefix", "%q is no prefix: write 1 to 100 letters, digits, '.', '_' and '-'", k.TransactionPrefix)
	}
	const path = "sink.kafka.transaction_timeout"
	c.checkMillis(path, k.TransactionTimeout, time.Millisecond)
	switch {
	case k.TransactionTimeout > math.MaxInt32*time.Millisecond:
		c.add(path, "%s is longer than Kafka can count, which is 24 days", span(k.TransactionTimeout))
	case k.TransactionTimeout <= interval:
		c.add(path, "%s is no longer than checkpoint.interval, %s: the brokers would abort transactions before a checkpoint could commit them",
			span(k.TransactionTimeout), span(interval))
	}
}

func (c *compiler) checkSinkFormat(k *KafkaSink) {
	switch k.Format {
	case FormatJSON:
		c.checkOptions("sink.kafka.json", k.FormatOptions, func(flink map[string]string) error {
			_, err := json.ParseEncodeOptions(flink)
			return err
		})
	case FormatCSV:
		c.checkCSV("sink.kafka.csv", k.FormatOptions)
	case FormatRaw:
	default:
		c.add("sink.kafka.format", "unknown format %q; there are json, csv and raw", k.Format)
	}
}

// record compiles the key and the headers.
func (c *compiler) record(result, rows scope) {
	k := c.job.Sink.Kafka
	if k == nil {
		return
	}
	if k.Format == FormatRaw {
		c.checkRawSink()
	}
	c.program.Record = &RecordProgram{}
	if k.Key != "" {
		c.program.Record.Key = c.bytesOf(result, rows, "sink.kafka.key", k.Key)
	}
	for _, header := range k.Headers {
		c.program.Record.Headers = append(c.program.Record.Headers, c.bytesOf(result, rows, "sink.kafka.headers."+header.Name, header.Expr))
	}
}

// checkRawSink demands the one column whose bytes are the records' values.
func (c *compiler) checkRawSink() {
	const path = "sink.kafka.format"
	columns := c.program.Sink
	switch {
	case len(columns) == 0: // what is wrong with them was said
	case len(columns) > 1:
		c.add(path, "raw writes one column, and the result has %d: %s; select one", len(columns), strings.Join(columns.Names(), ", "))
	case !columns[0].Type.IsText() && columns[0].Type.Kind != sqltype.Bytes && columns[0].Type.Kind != sqltype.JSON:
		c.add(path, "raw writes BYTES, STRING or JSON, and column %s is %s; select CAST(%s AS STRING)", columns[0].Name, columns[0].Type, quote(columns[0].Name))
	}
}

// bytesOf compiles an expression whose values are texts or bytes.
func (c *compiler) bytesOf(result, rows scope, path, text string) *expr.Program {
	if c.job.Window != nil && c.ungrouped(result, rows, path, text) {
		return nil
	}
	program := c.expression(result, path, text)
	if program == nil {
		return nil
	}
	if t := program.Type(); !t.IsText() && t.Kind != sqltype.Bytes {
		c.add(path, "the value is %s, not STRING or BYTES; write CAST(%s AS STRING)", t, text)
	}
	return program
}
