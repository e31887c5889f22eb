package jobspec

import (
	"math"
	"strings"
	"time"

	"pencere/pkg/plan"
	"pencere/pkg/sqltype"
)

// spec is the table of all fields of a job spec.
var spec = mapping{fields: []field{
	{name: "name", required: true, doc: "the name that the job is shown under",
		shape: one(text("a name"), func(j *plan.Job, v string) { j.Name = v }), examples: []string{"kdv-2min"}},
	{name: "parallelism", doc: "the number of subtasks of each part of the job; auto follows the slots there are",
		shape: one(parallelism(), func(j *plan.Job, v int) { j.Parallelism = v }).or("auto")},
	{name: "max_parallelism", doc: "the number of key groups, the most that parallelism can ever be for this job's state",
		shape: one(positive(plan.MaxMaxParallelism), func(j *plan.Job, v int) { j.MaxParallelism = v }).or("128")},
	{name: "time_zone", doc: "the zone, by its IANA name, in which TIMESTAMP_LTZ is cut into windows and cast",
		shape:    one(text("a time zone"), func(j *plan.Job, v string) { j.TimeZone = v }).or(plan.DefaultTimeZone),
		examples: []string{"Europe/Istanbul"}},
	{name: "source", required: true, doc: "where records come from and what is in them", shape: sourceFields},
	{name: "compute", doc: "further columns, each an SQL expression over the columns before it",
		shape: entriesOf[string]{anyScalar("an expression"), func(j *plan.Job, name, v string) {
			j.Compute = append(j.Compute, plan.NamedExpr{Name: name, Expr: v})
		}}},
	{name: "where", doc: "an SQL condition; rows for which it is not TRUE are left out",
		shape:    one(anyScalar("a condition"), func(j *plan.Job, v string) { j.Where = v }),
		examples: []string{"price > 0 AND kdv IS NOT NULL"}},
	{name: "window", doc: "groups rows by event time and columns; without it rows pass one by one", shape: windowFields},
	{name: "select", doc: "the columns of the result, in order: a name, 'expression AS name', or {name: expression}; all of them when left out",
		shape: selection{}},
	{name: "sink", required: true, doc: "where the result goes", shape: mapping{oneOf: []string{"csv", "kafka", "mongodb"}, fields: []field{
		{name: "csv", doc: "part files of CSV, under the names of Flink's csv options", shape: csvFields},
		{name: "kafka", doc: "a topic of a Kafka cluster", shape: kafkaSinkFields},
		{name: "mongodb", doc: "a collection of a MongoDB", shape: mongoSinkFields},
	}}},
	{name: "dead_letters", doc: "where records go that on_error: dead_letter and late: dead_letter hand over, as they came, with their place and the reason",
		shape: deadLetterFields},
	{name: "checkpoint", doc: "how often positions and results are made durable together", shape: mapping{fields: []field{
		{name: "interval", doc: "the time between checkpoints; 0s makes none",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Checkpoint.Interval = v }).or("10s")},
		{name: "min_pause", doc: "the least time from the end of a checkpoint to the next one, also when a window fires",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Checkpoint.MinPause = v }).or("0s")},
		{name: "timeout", doc: "the time after which a checkpoint that is not complete is given up",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Checkpoint.Timeout = v }).or("10m")},
		{name: "tolerated_failures", doc: "how many checkpoints in a row may fail before the job does and is restarted",
			shape: one(whole(0, math.MaxInt32), func(j *plan.Job, v int) { j.Checkpoint.ToleratedFailures = v }).or("0")},
		{name: "max_concurrent", doc: "how many checkpoints may be under way at once; with a min_pause it is 1",
			shape: one(positive(mostConcurrent), func(j *plan.Job, v int) { j.Checkpoint.MaxConcurrent = v }).or("1")},
		{name: "retained", doc: "how many checkpoints are kept, the newest",
			shape: one(positive(mostRetained), func(j *plan.Job, v int) { j.Checkpoint.Retained = v }).or("1")},
	}}},
	{name: "restart_strategy", doc: "what follows a failure, by Flink's names; exponential-delay when left out, none without checkpoints",
		shape: restartFields},
}}

// mostConcurrent bounds the checkpoints under way: each holds a snapshot of the state.
const mostConcurrent = 100

// mostRetained bounds the checkpoints that are kept: their metadata is in the jobmanagers' memory.
const mostRetained = 1000

var sourceFields = mapping{oneOf: []string{"kafka", "http"}, fields: []field{
	{name: "kafka", doc: "topics of a Kafka cluster", shape: kafkaFields},
	{name: "http", doc: "URLs that are asked for JSON, at an interval or once", shape: httpFields},
	{name: "format", doc: "how a record's value is encoded: in json, or raw, as bytes of which nothing is known",
		shape: one(enum(plan.FormatJSON, plan.FormatRaw), func(j *plan.Job, v string) { j.Source.Format = v }).or(plan.FormatJSON)},
	{name: "json", doc: "options of the format json, under Flink's names", shape: mapping{fields: []field{
		{name: "timestamp-format.standard", doc: "SQL is 2025-03-04 11:55:49, ISO-8601 is 2025-03-04T11:55:49",
			shape: sourceOption(enum("SQL", "ISO-8601"), "timestamp-format.standard")},
		{name: "fail-on-missing-field", doc: "makes a record that lacks a column's field a bad one; otherwise the column is NULL",
			shape: sourceOption(boolean(), "fail-on-missing-field")},
		{name: ignoreParseErrors, doc: "true is Flink's way to say on_error: ignore",
			shape: sourceOption(boolean(), ignoreParseErrors)},
	}}},
	{name: "on_error", doc: "what becomes of a record that is not as the schema says: fail the job, ignore (a bad field is NULL, a malformed record is left out), skip the record, or hand it to the dead letters",
		shape: one(enum(string(plan.OnErrorFail), string(plan.OnErrorIgnore), string(plan.OnErrorSkip), string(plan.OnErrorDeadLetter)),
			func(j *plan.Job, v string) { j.Source.OnError = plan.OnError(v) }).or(string(plan.OnErrorFail))},
	{name: "schema", doc: schemaDoc, shape: either{
		scalar: one(enum(plan.DocumentColumn), func(j *plan.Job, _ string) { j.Source.Document, j.Source.Schema = true, plan.DocumentSchema() }),
		mapping: entriesOf[sqltype.Type]{columnType(), func(j *plan.Job, name string, t sqltype.Type) {
			j.Source.Schema = append(j.Source.Schema, sqltype.Column{Name: name, Type: t})
		}},
	}},
	{name: "metadata", doc: "further columns, each made of what stands beside a record's value: " + strings.Join(plan.KafkaMetadata(), ", "),
		shape: entriesOf[string]{text("a metadata key"), func(j *plan.Job, name, v string) {
			j.Source.Metadata = append(j.Source.Metadata, plan.MetadataColumn{Name: name, Key: v})
		}}},
	{name: "watermark", doc: "which column holds the event time, and how far rows may be out of order",
		shape: watermarkFields},
}}

const schemaDoc = "the columns in order, each with its SQL type, NULL allowed unless NOT NULL follows; or document: the JSON value as a whole is the one column document, of type JSON. For the format raw there is one column of type BYTES, called raw when this is left out"

var watermarkFields = mapping{
	begin: func(j *plan.Job) { j.Source.Watermark = &plan.Watermark{} },
	fields: []field{
		{name: "column", required: true, doc: "a TIMESTAMP or TIMESTAMP_LTZ column of the schema or of compute, with a precision of 3 at most",
			shape: one(text("a column"), func(j *plan.Job, v string) { j.Source.Watermark.Column = v })},
		{name: "delay", doc: "how much later than the newest row a row may come and still be in time",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Source.Watermark.Delay = v }).or("0s")},
		{name: "idle_after", doc: "a partition without records for so long no longer holds the others' windows back; 0s: never",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Source.Watermark.IdleAfter = v }).or("0s")},
	},
}

const ignoreParseErrors = "ignore-parse-errors"

var kafkaFields = mapping{
	begin: func(j *plan.Job) { j.Source.Kafka = &plan.KafkaSource{} },
	oneOf: []string{"topic", "topic_pattern"},
	fields: []field{
		{name: "brokers", required: true, doc: "host:port of some brokers, a list or separated by commas",
			shape:    texts{text("a broker"), ",", func(j *plan.Job) *[]string { return &j.Source.Kafka.Brokers }},
			examples: []string{"kafka1:9092,kafka2:9092", "${KAFKA_BROKERS:localhost:9092}"}},
		{name: "topic", doc: "the topic, or several as a list or separated by semicolons",
			shape:    texts{text("a topic"), ";", func(j *plan.Job) *[]string { return &j.Source.Kafka.Topics }},
			examples: []string{"orders", "orders;returns"}},
		{name: "topic_pattern", doc: "a regular expression (RE2) that the whole name of a topic matches, instead of topic",
			shape:    one(text("a pattern"), func(j *plan.Job, v string) { j.Source.Kafka.TopicPattern = v }),
			examples: []string{"orders-.*"}},
		{name: "group", doc: "the consumer group to which positions are committed, for others to see; nothing is committed without",
			shape: one(text("a group"), func(j *plan.Job, v string) { j.Source.Kafka.Group = v })},
		{name: "start", doc: "where the job begins to read", shape: either{
			scalar: one(enum(string(plan.StartEarliest), string(plan.StartLatest), string(plan.StartGroupOffsets)),
				func(j *plan.Job, v string) { j.Source.Kafka.Start = plan.StartMode(v) }).or(string(plan.StartEarliest)),
			mapping: mapping{fields: []field{
				{name: "timestamp", required: true, doc: "the first record from this time on, in RFC 3339 or milliseconds since 1970",
					shape: one(instant(), func(j *plan.Job, v int64) {
						j.Source.Kafka.Start, j.Source.Kafka.StartTimestamp = plan.StartTimestamp, v
					}),
					examples: []string{"2025-03-04T12:00:00Z"}},
			}},
		}},
		{name: "bounded", doc: "latest ends the job at the records that there are when it starts; without it the job goes on",
			shape: one(enum("latest"), func(j *plan.Job, _ string) { j.Source.Kafka.Bounded = true })},
		{name: "discovery_interval", doc: "how often new partitions and topics are looked for; 0s: never",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Source.Kafka.DiscoveryInterval = v }).or("30s")},
		{name: "on_data_loss", doc: "what follows when records that were not read yet are gone, by retention or because the topic was made anew: fail the job, or go on from the earliest there is and count the gap",
			shape: one(enum(string(plan.DataLossFail), string(plan.DataLossEarliest)),
				func(j *plan.Job, v string) { j.Source.Kafka.OnDataLoss = plan.DataLoss(v) }).or(string(plan.DataLossFail))},
		{name: "properties", doc: "further settings of the client, under Kafka's names (security.protocol, sasl.mechanism, …)",
			shape: entriesOf[string]{anyScalar("a setting"), func(j *plan.Job, name, v string) {
				j.Source.Kafka.Properties = with(j.Source.Kafka.Properties, name, v)
			}}},
	},
}

var windowFields = mapping{
	begin: func(j *plan.Job) { j.Window = &plan.Window{} },
	fields: []field{
		{name: "tumble", required: true, doc: "the length of the windows, which follow each other without a gap",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Window.Size = v }), examples: []string{"2m", "1h30m", "1d"}},
		{name: "offset", doc: "how much later than full multiples of the length since 1970 the windows begin",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Window.Offset = v }).or("0s")},
		{name: "group_by", doc: "the columns that a group has in common; all rows of a window are one group without",
			shape: texts{kind: text("a column"), into: func(j *plan.Job) *[]string { return &j.Window.GroupBy }}},
		{name: "aggregates", doc: "columns that are aggregates over a group's rows: COUNT(*), or COUNT, SUM, MIN, MAX, AVG of an expression",
			shape: entriesOf[string]{anyScalar("an aggregate"), func(j *plan.Job, name, v string) {
				j.Window.Aggregates = append(j.Window.Aggregates, plan.NamedExpr{Name: name, Expr: v})
			}}},
		{name: "late", doc: "what becomes of a row that comes too late for its window: drop it, or hand its record to the dead letters",
			shape: one(enum(string(plan.LateDrop), string(plan.LateDeadLetter)),
				func(j *plan.Job, v string) { j.Window.Late = plan.Late(v) }).or(string(plan.LateDrop))},
		{name: "allowed_lateness", doc: "for how long after its end a window still takes rows; each group that one joins is written anew",
			shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Window.AllowedLateness = v }).or("0s")},
	},
}

var csvFields = mapping{
	begin: func(j *plan.Job) { j.Sink.CSV = &plan.CSVSink{} },
	fields: append([]field{
		{name: "path", required: true, doc: "the directory of the files, on the taskmanagers",
			shape: one(text("a directory"), func(j *plan.Job, v string) { j.Sink.CSV.Path = v }), examples: []string{"out_data"}},
		roll(func(j *plan.Job, v int64) { j.Sink.CSV.RollSize = v }, func(j *plan.Job, v time.Duration) { j.Sink.CSV.RollInterval = v }),
	}, csvOptions(sinkOption)...),
}

// csvOptions are Flink's options of the CSV that is written.
func csvOptions(option func(kind[string], string) shape) []field {
	return []field{
		{name: "field-delimiter", doc: "the character between cells, also as a Java escape such as \\t; a comma when left out",
			shape: option(anyText("a character"), "field-delimiter")},
		{name: "quote-character", doc: "the character around text that needs it; '\"' when left out",
			shape: option(anyText("a character"), "quote-character")},
		{name: "disable-quote-character", doc: "writes all text as it is, without quotes",
			shape: option(boolean(), "disable-quote-character")},
		{name: "escape-character", doc: "a character that is doubled inside quotes; none when left out",
			shape: option(anyText("a character"), "escape-character")},
		{name: "null-literal", doc: "what is written for NULL; nothing when left out",
			shape: option(anyText("a text"), "null-literal")},
		{name: "array-element-delimiter", doc: "the character between the elements of an ARRAY; ';' when left out",
			shape: option(anyText("a character"), "array-element-delimiter")},
		{name: "allow-comments", doc: "Flink's option for reading CSV; it changes nothing that is written",
			shape: option(boolean(), "allow-comments")},
		{name: "ignore-parse-errors", doc: "Flink's option for reading CSV; it changes nothing that is written",
			shape: option(boolean(), "ignore-parse-errors")},
		{name: "write-bigdecimal-in-scientific-notation", doc: "writes DECIMAL as Flink 1.20 does, 18000 as 1.8E+4; false, all digits of the scale, when left out",
			shape: option(boolean(), "write-bigdecimal-in-scientific-notation")},
	}
}

// roll is the field that says when part files are closed.
func roll(setSize func(*plan.Job, int64), setInterval func(*plan.Job, time.Duration)) field {
	return field{name: "roll", doc: "when a file is closed and the next one begun", shape: mapping{fields: []field{
		{name: "size", doc: "the size that closes a file (KB is 1024 bytes)", shape: one(size(), setSize).or("128MB")},
		{name: "interval", doc: "the age that closes a file", shape: one(duration(), setInterval).or("30m")},
	}}}
}

var restartFields = variants{
	by: "type", doc: "none, fixed-delay, failure-rate or exponential-delay",
	set: func(j *plan.Job, name string) { j.Restart.Type = plan.RestartType(name) },
	of: []variant{
		{name: string(plan.RestartNone)},
		{name: string(plan.RestartFixedDelay), fields: []field{
			{name: "attempts", doc: "how often the job is restarted before it fails for good",
				shape: one(positive(math.MaxInt32), func(j *plan.Job, v int) { j.Restart.Attempts = v }).or("1")},
			{name: "delay", doc: "the time between a failure and the restart",
				shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Restart.Delay = v }).or("1s")},
		}},
		{name: string(plan.RestartFailureRate), fields: []field{
			{name: "max_failures_per_interval", doc: "how many failures within the interval are followed by a restart; one more fails the job for good",
				shape: one(positive(math.MaxInt32), func(j *plan.Job, v int) { j.Restart.MaxFailures = v }).or("1")},
			{name: "failure_rate_interval", doc: "the time over which failures are counted",
				shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Restart.FailureInterval = v }).or("1m")},
			{name: "delay", doc: "the time between a failure and the restart",
				shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Restart.Delay = v }).or("1s")},
		}},
		{name: string(plan.RestartExponential), fields: []field{
			{name: "initial_backoff", doc: "the time between the first failure and the restart",
				shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Restart.InitialBackoff = v }).or("1s")},
			{name: "max_backoff", doc: "the longest time between a failure and the restart",
				shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Restart.MaxBackoff = v }).or("1m")},
			{name: "backoff_multiplier", doc: "what the time is multiplied by at each further failure",
				shape: one(number(1, math.Inf(1)), func(j *plan.Job, v float64) { j.Restart.Multiplier = v }).or("1.5")},
			{name: "jitter_factor", doc: "the part of the time by which it is randomly longer or shorter",
				shape: one(number(0, 1), func(j *plan.Job, v float64) { j.Restart.Jitter = v }).or("0.1")},
			{name: "reset_backoff_threshold", doc: "after so long without a failure the next one is the first again",
				shape: one(duration(), func(j *plan.Job, v time.Duration) { j.Restart.ResetAfter = v }).or("1h")},
			{name: "attempts_before_reset_backoff", doc: "how often the job is restarted before it fails for good; without limit when left out",
				shape: one(positive(math.MaxInt32), func(j *plan.Job, v int) { j.Restart.MaxAttempts = v })},
		}},
	},
}

// sourceOption is an option of the source's format, kept under its own name.
func sourceOption(k kind[string], name string) shape {
	return one(k, func(j *plan.Job, v string) { j.Source.FormatOptions = with(j.Source.FormatOptions, name, v) })
}

// sinkOption is an option of the CSV that is written.
func sinkOption(k kind[string], name string) shape {
	return one(k, func(j *plan.Job, v string) { j.Sink.CSV.Options = with(j.Sink.CSV.Options, name, v) })
}

// with returns the settings, made if need be, with one more.
func with(settings map[string]string, name, value string) map[string]string {
	if settings == nil {
		settings = map[string]string{}
	}
	settings[name] = value
	return settings
}
