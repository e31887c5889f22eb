// Package view holds what the jobmanager shows of itself: values that the job masters and the slot pool fill and the
// REST handlers print. They are copies; nobody's state is behind them. Times are ms since 1970, 0 when not yet.
package view

import (
	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/ledger"
	"pencere/pkg/manifest"
	"pencere/pkg/plan"
)

// Job is a job.
type Job struct {
	ID     string // 32 hexadecimal digits
	Name   string
	Status jobfsm.Status
	// Since holds when the job last came to each status.
	Since map[jobfsm.Status]int64
	// Start is the time of submission, End of the terminal status (0 before).
	Start, End int64
	Spec       string // as its user wrote it
	Plan       plan.Job
	Attempt    int // counts executions, from 0
	Restarts   int // without those that only changed the parallelism
	// Parallelism is that of the running attempt; 0 while nothing is scheduled.
	Parallelism int
	Bounds      elastic.Bounds // of Parallelism
	Vertices    []Vertex
	// Failures are the newest first.
	Failures    []Failure
	Checkpoints Checkpoints
	// Ledger is that of a checkpoint, the newest; 0 for none. SplitNames are by the numbers of its splits.
	Ledger           ledger.Ledger
	LedgerCheckpoint uint64
	SplitNames       []SplitName
	// LedgerRanges are the offsets that the ledger accounts for, by the numbers of its splits.
	LedgerRanges []Range
	// Imbalance says what is wrong with a ledger; "" when all balanced.
	Imbalance string
	// ManifestHead is the hash of the last entry of the job's manifest; zero without entries.
	ManifestHead manifest.Hash
	// DeadLetterHead is that of its dead letters; zero without them.
	DeadLetterHead manifest.Hash
	// Notice is a sentence about what the job waits for; "" when it does not wait.
	Notice string
}

// Vertex is an operator chain of a job.
type Vertex struct {
	ID, Name       string
	Parallelism    int
	MaxParallelism int
	Keyed          bool // its input comes by HASH; it is a source otherwise
	Subtasks       []Subtask
}

// Subtask is the current attempt of a subtask.
type Subtask struct {
	Index, Attempt int
	State          jobfsm.SubtaskState
	// Since holds when the attempt came to each state.
	Since         map[jobfsm.SubtaskState]int64
	Start, End    int64
	TaskManagerID string
	Endpoint      string // host:port of the taskmanager's exchange
	Metrics       Metrics
	Splits        []Split
	Windows       []Window // that fire next, the soonest first; Metrics.OpenWindows counts all
	SinkTrouble   Trouble
}

// Metrics are counters since the attempt began, and gauges. Watermarks are eventtime.None before the first.
type Metrics struct {
	RecordsIn, RecordsOut, BytesIn, BytesOut  int64
	InputWatermark, OutputWatermark           eventtime.Watermark
	BusyMs, IdleMs, BackpressuredMs           int64
	LateRecords, LateAfterIdle                int64
	FilteredRecords, EmptyRecords             int64
	DroppedRecords, IgnoredFields             int64
	CollapsedRecords, OpenGroups, OpenWindows int64
	RowsWritten                               int64
	LostRecords                               int64 // gone before they could be read
	DeadLetteredRecords, LateDeadLetters      int64 // the late ones are among the former
	// Rates over the time between the last two heartbeats.
	RecordsInPerSecond, RecordsOutPerSecond           float64
	BusyPerSecond, IdlePerSecond, BackpressuredPerSec float64 // ms of each second
}

// Checkpoints are those of a job under this jobmanager.
type Checkpoints struct {
	Config            CheckpointConfig
	Completed, Failed int
	UnderWay          []Checkpoint // newest first
	History           []Checkpoint // the last that ended, newest first
	// The newest of their kinds, which may be older than the history; nil without one. Savepoint is a completed one.
	LatestCompleted, LatestSavepoint, LatestFailed *Checkpoint
	// Durations (ms, trigger to last ack) and Sizes (bytes of keyed state) are those of the last that completed.
	Durations, Sizes []int64
	// Restored is what the job last went on from, nil if it never did, and Restores how often it did.
	Restored *Restored
	Restores int
}

// CheckpointConfig says when a job takes checkpoints. Times are durations in ms.
type CheckpointConfig struct {
	Interval          int64 // 0: only when rows wait to be published
	Timeout, MinPause int64
	TolerableFailures int
	MaxConcurrent     int
}

// Restored says that a job went on from a checkpoint.
type Restored struct {
	ID   uint64
	Kind checkpoint.Kind
	At   int64
}

// CheckpointStatus is how a checkpoint stands, by Flink's names.
type CheckpointStatus string

// The statuses of a checkpoint.
const (
	CheckpointInProgress CheckpointStatus = "IN_PROGRESS"
	CheckpointCompleted  CheckpointStatus = "COMPLETED"
	CheckpointFailed     CheckpointStatus = "FAILED"
)

// Checkpoint is a checkpoint of a job.
type Checkpoint struct {
	ID        uint64
	Kind      checkpoint.Kind
	Status    CheckpointStatus
	Triggered int64
	Ended     int64            // when it was committed or failed
	Tasks     []CheckpointTask // by vertex
	Failure   string
	Discarded bool // later ones took its place, or the job has ended
}

// CheckpointTask is a vertex' part in a checkpoint.
type CheckpointTask struct {
	VertexID string
	Subtasks int
	Acks     []CheckpointAck // of those that have acked, by index
}

// CheckpointAck is a subtask's part in a checkpoint.
type CheckpointAck struct {
	Index int
	At    int64
	Bytes int64 // of keyed state
}

// SplitState says what a source does with a split.
type SplitState string

// The states of a split.
const (
	SplitReading  SplitState = "reading"
	SplitWaiting  SplitState = "waiting"
	SplitFinished SplitState = "finished"
)

// SplitName names a split of a source.
type SplitName struct {
	Topic     string
	Partition int32
}

// Range is offsets from From to before To.
type Range struct{ From, To int64 }

// Split is the progress of a source's split.
type Split struct {
	Topic     string
	Partition int32
	Offset    int64 // the next to read
	EndOffset int64 // of the partition, -1 when unknown
	State     SplitState
	Reason    string // why it waits
	Watermark eventtime.Watermark
	Idle      bool
	SilentMs  int64 // for how long no record has come
}

// Trouble says why a sink has written nothing for so long. Without a reason there is none.
type Trouble struct {
	Reason string
	Ms     int64
}

// Window is a window that has not fired. Start and End are on the wall clock by which windows are cut, in ms since 1970.
type Window struct {
	Start, End int64
	FiresAt    eventtime.Watermark // the least that fires it
	Groups     int64
}

// Failure is an entry of a job's exception history.
type Failure struct {
	Time          int64
	Message       string
	Task          string // "name (1/2)", or ""
	TaskManagerID string
	Endpoint      string
	Rescale       bool // it is none: the job changed its parallelism
}

// FileState is where a part file is in its life.
type FileState string

// The states of a part file.
const (
	FileInProgress FileState = "in-progress"
	FilePending    FileState = "pending"
	FileFinished   FileState = "finished"
)

// File is a part file of a job.
type File struct {
	Name     string
	VertexID string
	Subtask  int
	State    FileState
	Rows     int64
	Bytes    int64
	Modified int64
}

// TaskManager is a registered taskmanager.
type TaskManager struct {
	ID            string
	DataAddress   string // host:port
	Slots, Free   int
	CPUCores      int
	PhysicalBytes int64
	LimitBytes    int64 // memory it may use
	HeapBytes     int64
	ResidentBytes int64
	LastHeartbeat int64
	// Allocated holds the job of each slot in use.
	Allocated []string
}

// NoMetrics are those of an attempt that has not reported yet.
func NoMetrics() Metrics {
	return Metrics{InputWatermark: eventtime.None, OutputWatermark: eventtime.None}
}

// Member is a jobmanager of the cluster.
type Member struct {
	ID                      string
	Address                 string // for Raft; "" for one alone
	Voter                   bool
	Leader                  bool
	Reachable               bool   // the rest is only known of one that is
	Joining                 bool   // its disk was empty, and it has not caught up
	State                   string // in Raft, one of replica.States
	Term                    uint64
	LastIndex, AppliedIndex uint64 // the newest entry of its log, and that which it has applied
}
