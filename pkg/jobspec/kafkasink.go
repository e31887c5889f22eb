package jobspec

import (
	"time"

	"pencere/pkg/plan"
)

var kafkaSinkFields = mapping{
	begin: func(j *plan.Job) { j.Sink.Kafka = &plan.KafkaSink{} },
	fields: []field{
		{name: "brokers", required: true, doc: "host:port of some brokers, a list or separated by commas",
			shape:    texts{text("a broker"), ",", func(j *plan.Job) *[]string { return &j.Sink.Kafka.Brokers }},
			examples: []string{"kafka1:9092,kafka2:9092"}},
		{name: "topic", required: true, doc: "the topic, which must be there",
			shape: one(text("a topic"), func(j *plan.Job, v string) { j.Sink.Kafka.Topic = v })},
		{name: "key", doc: "an SQL expression of type STRING or BYTES, over the columns that select reads, that makes the records' keys; no keys when left out",
			shape: one(anyScalar("an expression"), func(j *plan.Job, v string) { j.Sink.Kafka.Key = v }), examples: []string{"CAST(id AS STRING)"}},
		{name: "headers", doc: "the records' headers, each an SQL expression as for key",
			shape: entriesOf[string]{anyScalar("an expression"), func(j *plan.Job, name, v string) {
				j.Sink.Kafka.Headers = append(j.Sink.Kafka.Headers, plan.NamedExpr{Name: name, Expr: v})
			}}},
		{name: "partitioner", doc: "which partition a record goes to: default (by its key, as Kafka's producers do), fixed (one for each subtask) or round-robin",
			shape: one(enum(string(plan.PartitionerDefault), string(plan.PartitionerFixed), string(plan.PartitionerRoundRobin)),
				func(j *plan.Job, v string) { j.Sink.Kafka.Partitioner = plan.Partitioner(v) }).or(string(plan.PartitionerDefault))},
		{name: "compression", doc: "the codec of record batches",
			shape: one(enum(string(plan.CompressionNone), string(plan.CompressionGzip), string(plan.CompressionSnappy), string(plan.CompressionLZ4), string(plan.CompressionZstd)),
				func(j *plan.Job, v string) { j.Sink.Kafka.Compression = plan.Compression(v) }).or(string(plan.CompressionNone))},
		{name: "delivery", doc: "exactly_once writes in transactions, which readers with isolation.level read_committed see once a checkpoint is complete; at_least_once writes at once, and some rows again after a failure",
			shape: one(enum(string(plan.DeliveryExactlyOnce), string(plan.DeliveryAtLeastOnce)),
				func(j *plan.Job, v string) { j.Sink.Kafka.Delivery = plan.Delivery(v) }).or(string(plan.DeliveryExactlyOnce))},
		{name: "transactional_id_prefix", doc: "what the transactional ids begin with, for ACLs",
			shape: one(text("a prefix"), func(j *plan.Job, v string) { j.Sink.Kafka.TransactionPrefix = v }).or(plan.DefaultTransactionPrefix)},
		{name: "transaction_timeout", doc: "how long the job may be away before the brokers abort what it has not committed; at most their transaction.max.timeout.ms",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Sink.Kafka.TransactionTimeout = v }).or("15m")},
		{name: "format", doc: "how a record's value is encoded; raw writes the bytes of the one column that is selected",
			shape: one(enum(plan.FormatJSON, plan.FormatCSV, plan.FormatRaw), func(j *plan.Job, v string) { j.Sink.Kafka.Format = v }).or(plan.FormatJSON)},
		{name: "json", doc: "options of the format json, under Flink's names", shape: mapping{fields: []field{
			{name: "timestamp-format.standard", doc: "SQL is 2025-03-04 11:55:49, ISO-8601 is 2025-03-04T11:55:49",
				shape: kafkaSinkOption(enum("SQL", "ISO-8601"), "timestamp-format.standard")},
			{name: "encode.decimal-as-plain-number", doc: "writes DECIMAL without an exponent, 18000 and not 1.8E+4",
				shape: kafkaSinkOption(boolean(), "encode.decimal-as-plain-number")},
			{name: "encode.ignore-null-fields", doc: "leaves fields out that are NULL",
				shape: kafkaSinkOption(boolean(), "encode.ignore-null-fields")},
		}}},
		{name: "csv", doc: "options of the format csv, under Flink's names", shape: mapping{fields: csvOptions(kafkaSinkOption)}},
		{name: "properties", doc: "further settings of the client, under Kafka's names (security.protocol, sasl.mechanism, linger.ms, …)",
			shape: entriesOf[string]{anyScalar("a setting"), func(j *plan.Job, name, v string) {
				j.Sink.Kafka.Properties = with(j.Sink.Kafka.Properties, name, v)
			}}},
	},
}

// kafkaSinkOption is an option of the format that a Kafka sink writes.
func kafkaSinkOption(k kind[string], name string) shape {
	return one(k, func(j *plan.Job, v string) { j.Sink.Kafka.FormatOptions = with(j.Sink.Kafka.FormatOptions, name, v) })
}
