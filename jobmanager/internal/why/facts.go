package why

import (
	"pencere/jobmanager/internal/jobfsm"
	"pencere/pkg/eventtime"
)

// Facts are what is known of a job. Instants are ms since 1970 UTC, 0 for never; durations are ms. Watermarks and windows are
// event time, which is wall clock unless Source.Zoned.
type Facts struct {
	Now    int64         `json:"now"`
	Status jobfsm.Status `json:"status"`
	// StatusSince is when the job came to its status.
	StatusSince int64  `json:"status-since"`
	Notice      string `json:"notice"` // what the job waits for, "" for nothing
	// Parallelism is that of the running attempt, 0 before it has slots; Running says that all its subtasks process.
	Parallelism int         `json:"parallelism"`
	Running     bool        `json:"running"`
	Slots       Slots       `json:"slots"`
	Restarts    int         `json:"restarts"`
	Failure     *Failure    `json:"last-failure"` // the newest; nil without one
	Imbalance   string      `json:"ledger-imbalance"`
	Source      Source      `json:"source"`
	Sink        Sink        `json:"sink"`
	Where       string      `json:"where"`       // the condition of the job; "" for none
	WindowSize  int64       `json:"window-size"` // 0 without a window
	Vertices    []Vertex    `json:"vertices"`    // from the source on
	Splits      []Split     `json:"splits"`
	OpenWindows int64       `json:"open-windows"` // at least so many
	Windows     []Window    `json:"windows"`      // those that fire next, the soonest first
	Records     Records     `json:"records"`
	Checkpoints Checkpoints `json:"checkpoints"`
	Output      Output      `json:"output"`
}

// Slots are those of the cluster.
type Slots struct {
	TaskManagers int `json:"taskmanagers"`
	Total        int `json:"total"`
	Free         int `json:"free"`
}

// Failure is why an attempt ended.
type Failure struct {
	Time    int64  `json:"time"`
	Task    string `json:"task"` // "name (1/2)", "" when it was none
	Message string `json:"message"`
}

// Source is what the job was told of its source.
type Source struct {
	// HTTP says that Topics are the names of URLs, which are polled every Interval unless Bounded.
	HTTP     bool     `json:"http"`
	Interval int64    `json:"poll-interval"`
	Topics   []string `json:"topics"`
	Pattern  string   `json:"topic-pattern"` // instead of Topics
	Start    string   `json:"start"`         // earliest, latest, group-offsets or timestamp
	Bounded  bool     `json:"bounded"`
	OnError  string   `json:"on-error"`
	// TimeColumn holds the event time, "" for none; Zoned says that it is an instant and no wall clock.
	TimeColumn string `json:"time-column"`
	Zoned      bool   `json:"time-zoned"`
	Delay      int64  `json:"watermark-delay"`
	IdleAfter  int64  `json:"idle-after"` // 0: never
	// Partitions is how many there are known to be; those that no taskmanager has reported are not among the splits.
	Partitions int `json:"partitions"`
}

// Sink is what the job writes to.
type Sink struct {
	Kind SinkKind `json:"kind"`
	Name string   `json:"name"` // the directory, the topic, or database and collection
	// Trouble says why it has written nothing for TroubleFor; "" when it writes.
	Trouble    string `json:"trouble"`
	TroubleFor int64  `json:"trouble-for"`
}

// SinkKind names a connector.
type SinkKind string

// The sinks.
const (
	SinkCSV     SinkKind = "csv"
	SinkKafka   SinkKind = "kafka"
	SinkMongoDB SinkKind = "mongodb"
)

// Vertex is an operator chain. The times are those of its subtask that has the most of each, in ms of each second.
type Vertex struct {
	ID            string              `json:"id"`
	Name          string              `json:"name"`
	Watermark     eventtime.Watermark `json:"watermark"` // the least of its subtasks
	BusyTime      float64             `json:"busyTimeMsPerSecond"`
	IdleTime      float64             `json:"idleTimeMsPerSecond"`
	Backpressured float64             `json:"backPressuredTimeMsPerSecond"`
	RecordsIn     float64             `json:"numRecordsInPerSecond"` // of all its subtasks
}

// SplitState says what a source does with a split.
type SplitState string

// The states of a split.
const (
	SplitReading  SplitState = "reading"
	SplitWaiting  SplitState = "waiting" // for a broker or a server
	SplitFinished SplitState = "finished"
)

// SplitName names a split.
type SplitName struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// Split is a Kafka partition, or a URL.
type Split struct {
	SplitName
	Offset    int64               `json:"current-offset"` // the next to read
	EndOffset int64               `json:"end-offset"`     // -1 for unknown
	State     SplitState          `json:"state"`
	Reason    string              `json:"reason"` // why it waits
	Watermark eventtime.Watermark `json:"watermark"`
	Idle      bool                `json:"idle"` // left out of the watermark
	Silent    int64               `json:"silent"`
	// Lost and Truncations are those of a checkpoint's ledger, as in Records.
	Lost        int64 `json:"lost"`
	Truncations int64 `json:"truncations"`
	// Missing is the event time from which on a record of this split lets the first of Windows fire, as far as this split is
	// concerned; nil when it does not hold that window back. Explain does not read it.
	Missing *int64 `json:"missing-event-time,omitempty"`
}

// Lag is how many offsets are still to be read, -1 for unknown.
func (s Split) Lag() int64 {
	if s.EndOffset < 0 {
		return -1
	}
	return max(0, s.EndOffset-s.Offset)
}

// Window is one that has not fired.
type Window struct {
	Start   int64               `json:"start"`
	End     int64               `json:"end"`
	FiresAt eventtime.Watermark `json:"fires-at"` // the least watermark that fires it
	Groups  int64               `json:"groups"`
}

// Records says what became of the records that were read, at least: checkpoints count exactly, attempts up to now, and each
// number is the greater of the two.
type Records struct {
	Read          int64 `json:"read"`
	Emitted       int64 `json:"emitted"`
	Filtered      int64 `json:"filtered"`
	Late          int64 `json:"late"`
	LateAfterIdle int64 `json:"late-after-idle"` // late only because their split had been idle
	DeadLettered  int64 `json:"dead-lettered"`
	Skipped       int64 `json:"skipped"`
	Collapsed     int64 `json:"collapsed"`
	Open          int64 `json:"open"`
	IgnoredFields int64 `json:"ignored-fields"` // NULL because they were not readable
	// Lost records were gone before they could be read and are not among Read, nor is what was lost by the Truncations.
	Lost        int64 `json:"lost"`
	Truncations int64 `json:"truncations"` // how often a partition was found cut or made anew
}

// Checkpoints are those of the job under this jobmanager.
type Checkpoints struct {
	Interval  int64 `json:"interval"` // 0: only when a window has fired
	Completed int   `json:"completed"`
	Failed    int   `json:"failed"`
	// FailedSince counts those that failed since the last that completed.
	FailedSince     int         `json:"failed-since-completed"`
	LatestCompleted *Checkpoint `json:"latest-completed"`
	LatestFailed    *Checkpoint `json:"latest-failed"`
	UnderWay        *Checkpoint `json:"under-way"`
}

// Checkpoint is one of them.
type Checkpoint struct {
	ID       uint64 `json:"id"`
	Began    int64  `json:"began"`
	Ended    int64  `json:"ended"` // 0 while it is under way
	Subtasks int    `json:"subtasks"`
	Acked    int    `json:"acked"`
	Failure  string `json:"failure"`
}

// Output is what the job's files hold.
type Output struct {
	Path          string `json:"path"`
	Files         int    `json:"files"` // that are finished
	Rows          int64  `json:"rows"`  // in them
	Unpublished   int64  `json:"unpublished-rows"`
	LastPublished int64  `json:"last-published"`
}
