// Package plan holds the typed logical plan of a job: what a front end (the YAML job spec today) makes, and what
// the jobmanager schedules and the taskmanagers run. It knows no YAML and no broker; it is pure.
//
// A Job says what the user asked for, with expressions as SQL text. Compile checks it wholly and gives the
// Program: schemas and compiled expressions, cut into the vertices that run as subtasks.
package plan

import (
	"time"

	"pencere/pkg/sqltype"
)

// Job is a logical plan. It is a plain value: encoding/json writes and reads it without loss, which is how it is
// stored and sent to taskmanagers.
type Job struct {
	Name string
	// Parallelism is the number of subtasks of each vertex; 0 follows the slots there are (auto).
	Parallelism int
	// MaxParallelism is the number of key groups; it bounds Parallelism of a keyed vertex and never changes in a job's life.
	MaxParallelism int
	// TimeZone is the session time zone, an IANA name, that LTZ windows and casts use.
	TimeZone string
	Source   Source
	// Compute are further columns over the source's, each seeing those before it.
	Compute []NamedExpr
	// Where keeps the rows for which it is TRUE; "" keeps all.
	Where  string
	Window *Window // nil passes rows through
	// Select are the columns of the result, in order; empty means all columns of the rows or of the window.
	Select []NamedExpr
	Sink   Sink
	// DeadLetters take what Source.OnError, Window.Late and MongoSink.OnError hand over; nil when none does.
	DeadLetters *DeadLetters
	Checkpoint  Checkpoint
	Restart     RestartStrategy
}

// NamedExpr is an SQL expression and the name of the column it makes.
type NamedExpr struct {
	Name string
	Expr string
}

// Source says where records come from and how they become rows. Just one of the connectors is set.
type Source struct {
	Kafka  *KafkaSource
	HTTP   *HTTPSource `json:",omitempty"`
	Format string      // FormatJSON or FormatRaw
	// Document says that a record's JSON value as a whole is the one column of Schema, instead of an object that has a field for each.
	Document bool
	// FormatOptions are the format's options under Flink's names, without the format's prefix.
	FormatOptions map[string]string
	OnError       OnError
	Schema        sqltype.Schema
	// Metadata are further columns, behind those of Schema, that come from beside a record's value.
	Metadata  []MetadataColumn
	Watermark *Watermark // nil: no event time; required by a window
}

// OnError says what becomes of a record that the format cannot decode.
type OnError string

// The modes of Source.OnError.
const (
	OnErrorFail   OnError = "fail"   // the job fails, naming topic, partition and offset
	OnErrorIgnore OnError = "ignore" // Flink's ignore-parse-errors: a bad field is NULL, a malformed record is dropped and counted
	OnErrorSkip   OnError = "skip"   // a record with any bad field is dropped and counted
	// OnErrorDeadLetter hands a record with any bad field to the dead letters, as it came.
	OnErrorDeadLetter OnError = "dead_letter"
)

// IsBounded reports whether the source ends.
func (s Source) IsBounded() bool {
	return s.Kafka != nil && s.Kafka.Bounded || s.HTTP != nil && s.HTTP.Bounded
}

// KafkaSource reads topics of a Kafka cluster.
type KafkaSource struct {
	Brokers []string
	// Topics are the topics' names; TopicPattern is a regular expression that whole names match. Just one is set.
	Topics       []string
	TopicPattern string
	Group        string // consumer group to which offsets are committed; "" commits nothing
	Start        StartMode
	// StartTimestamp is where StartTimestamp mode begins, in ms since 1970 UTC.
	StartTimestamp int64
	// Bounded stops the job at the offsets that each partition had when the job started.
	Bounded bool
	// DiscoveryInterval is how often new partitions are looked for; 0 never.
	DiscoveryInterval time.Duration
	// OnDataLoss says what becomes of the job when records that it has not read are gone. Plans of older programs have "", which fails.
	OnDataLoss DataLoss
	// Properties are further client settings under Kafka's names (security.protocol, sasl.*, …).
	Properties map[string]string
}

// DataLoss says what becomes of a job whose next record is gone, by retention or because the topic was made anew.
type DataLoss string

// The modes of KafkaSource.OnDataLoss.
const (
	DataLossFail     DataLoss = "fail"
	DataLossEarliest DataLoss = "earliest" // it goes on from the first record that there is, and counts what is gone
)

// StartMode says where a partition without a position begins.
type StartMode string

// The start modes, Flink's scan.startup.mode.
const (
	StartEarliest     StartMode = "earliest"
	StartLatest       StartMode = "latest"
	StartGroupOffsets StartMode = "group-offsets"
	StartTimestamp    StartMode = "timestamp"
)

// Watermark declares the event-time column. A split's watermark is the largest time seen less Delay.
type Watermark struct {
	Column string
	Delay  time.Duration
	// IdleAfter leaves a split without records for so long out of the minimum; 0 never does.
	IdleAfter time.Duration
}

// Window groups rows by event time and columns.
type Window struct {
	// Size and Offset are those of a tumbling window: [Offset + k*Size, Offset + (k+1)*Size), whole ms.
	Size    time.Duration
	Offset  time.Duration
	GroupBy []string
	// Aggregates are calls such as SUM(price), by the name of the column each makes.
	Aggregates []NamedExpr
	// Late says what becomes of a row that is late; "" is LateDrop, as in plans from before there was a choice.
	Late Late
	// AllowedLateness, whole ms, is for how long after a window's end rows still join it; each of their groups is then written anew.
	AllowedLateness time.Duration
}

// Late says what becomes of a row that comes after its window took its last one.
type Late string

// The modes of Window.Late.
const (
	LateDrop       Late = "drop"        // it is left out and counted
	LateDeadLetter Late = "dead_letter" // its record goes to the dead letters, as it came
)

// Names of the columns that a window adds.
const (
	WindowStart = "window_start" // inclusive
	WindowEnd   = "window_end"   // exclusive
)

// Sink says where the result goes. Just one of the connectors is set.
type Sink struct {
	CSV     *CSVSink
	Kafka   *KafkaSink
	MongoDB *MongoSink
}

// CSVSink writes part files of CSV.
type CSVSink struct {
	// Path is a directory on the taskmanagers.
	Path string
	// Options are Flink's csv options without their prefix.
	Options map[string]string
	// RollSize (bytes) and RollInterval close a part file that grew so large or old.
	RollSize     int64
	RollInterval time.Duration
}

// DeadLetters says where records go that the job could not use, with the place where they were read and the reason. Just one of
// the connectors is set.
type DeadLetters struct {
	CSV   *DeadLetterFiles
	Kafka *DeadLetterTopic
}

// DeadLetterFiles are part files of CSV, published with the checkpoint as a CSVSink's are.
type DeadLetterFiles struct {
	// Path is a directory on the taskmanagers, which no sink of the job writes to.
	Path string
	// RollSize (bytes) and RollInterval close a part file that grew so large or old.
	RollSize     int64
	RollInterval time.Duration
}

// DeadLetterTopic is a topic of a Kafka cluster, written in transactions that are committed with the checkpoint.
type DeadLetterTopic struct {
	Brokers []string
	Topic   string
	// Properties are further client settings under Kafka's names.
	Properties map[string]string
}

// Checkpoint says how often positions and results are made durable together.
type Checkpoint struct {
	Interval time.Duration // 0: only when a window fires
	// MinPause is the least time from the end of a checkpoint to the next, but for savepoints.
	MinPause time.Duration
	// Timeout gives a checkpoint up that is not complete so long after its trigger.
	Timeout time.Duration
	// ToleratedFailures is how many checkpoints in a row may fail before the job does.
	ToleratedFailures int
	// MaxConcurrent is how many may be under way at once, 0 standing for 1; with a MinPause it is 1.
	MaxConcurrent int
	// Retained is how many checkpoints are kept, the newest.
	Retained int
}

// RestartStrategy says what follows a failure, by Flink's names and defaults.
type RestartStrategy struct {
	Type RestartType
	// Attempts and Delay belong to fixed-delay.
	Attempts int
	Delay    time.Duration // of failure-rate too
	// MaxFailures and FailureInterval belong to failure-rate.
	MaxFailures     int
	FailureInterval time.Duration
	// The others belong to exponential-delay. MaxAttempts 0 means no limit.
	InitialBackoff, MaxBackoff, ResetAfter time.Duration
	Multiplier, Jitter                     float64
	MaxAttempts                            int
}

// RestartType names a restart strategy.
type RestartType string

// The restart strategies.
const (
	RestartNone        RestartType = "none"
	RestartFixedDelay  RestartType = "fixed-delay"
	RestartExponential RestartType = "exponential-delay"
	RestartFailureRate RestartType = "failure-rate"
)
