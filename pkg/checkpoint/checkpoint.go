// Package checkpoint is what a checkpoint consists of: the state of every subtask, cut at the same records; how that state
// lies in bytes; where its large parts are kept; and which subtask takes which part when a job goes on, at the same or at
// another parallelism.
//
// Every format begins with a magic and a version. A reader takes all versions up to its own, for ever: testdata holds one of
// each. Input is read within the bounds of what is there, and each section has a CRC-32C: damaged input is a *CorruptError
// that names the place. Integers are little-endian or varints.
//
// The package is pure, and nothing in it is safe for concurrent use.
package checkpoint

import (
	"fmt"
	"slices"

	"pencere/pkg/ledger"
)

// ID numbers the checkpoints of a job, from 1, in the order in which they were triggered. It is never used again, not by a
// later attempt nor by another jobmanager. 0 is none.
type ID uint64

// Kind says what a checkpoint is for. Its numbers are part of stored state.
type Kind uint8

// The kinds. Savepoint, Stop and Drain are savepoints: they belong to the user and are never removed by the job.
const (
	// Periodic checkpoints are for recovery; later ones subsume them.
	Periodic Kind = iota
	// Savepoint is asked for by the user; the job goes on.
	Savepoint
	// Stop is a savepoint after which the sources read nothing more. Open windows stay open in it.
	Stop
	// Drain is Stop after an end watermark: all windows have fired, and a job cannot go on from it with the same windows.
	Drain
	// HandOver is a Periodic one after which the sources read nothing more: the next attempt goes on from it, and no record is read twice.
	HandOver
)

func (k Kind) String() string {
	switch k {
	case Periodic:
		return "checkpoint"
	case Savepoint:
		return "savepoint"
	case Stop:
		return "stop-with-savepoint"
	case Drain:
		return "drain"
	case HandOver:
		return "hand-over"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// IsSavepoint reports whether the checkpoint belongs to the user.
func (k Kind) IsSavepoint() bool { return k == Savepoint || k.Ends() }

// Stops reports whether the sources read nothing after the barrier.
func (k Kind) Stops() bool { return k.Ends() || k == HandOver }

// Ends reports whether the job ends with the checkpoint.
func (k Kind) Ends() bool { return k == Stop || k == Drain }

// Subtask names a subtask of a job.
type Subtask struct {
	VertexID string
	Index    int
}

// MaxInline is the most bytes of state that travel in an ack and live with the checkpoint's metadata; more are a Blob.
const MaxInline = 64 << 10

// Blob is state in blob storage.
type Blob struct {
	Key    string // see Dir
	Size   int64  // bytes
	CRC32C uint32 // of all bytes
}

// Handle leads to bytes of state: Inline, or the Blob if that has a key.
type Handle struct {
	Inline []byte
	Blob   Blob
}

// IsBlob reports whether the bytes are in blob storage.
func (h Handle) IsBlob() bool { return h.Blob.Key != "" }

// Size returns how many bytes of state there are.
func (h Handle) Size() int64 {
	if h.IsBlob() {
		return h.Blob.Size
	}
	return int64(len(h.Inline))
}

// KeyGroups is a range of key groups, First to Last, both included.
type KeyGroups struct{ First, Last int }

// Overlaps reports whether two ranges share a key group.
func (k KeyGroups) Overlaps(other KeyGroups) bool {
	return k.First <= other.Last && other.First <= k.Last
}

// Keyed is the keyed state of a subtask: a file as KeyedWriter makes it, that has groups of these key groups and no others.
type Keyed struct {
	KeyGroups KeyGroups
	Handle    Handle
}

// Split is the position of a source in a split.
type Split struct {
	Number    int32 // in the job, which it keeps for ever
	Topic     string
	Partition int32
	Next      int64 // offset to go on from
	Stop      int64 // offset to stop before; -1 never
	Newest    int64 // the latest event time read, in ms; math.MinInt64 for none
	Done      bool  // Stop is reached
	// Position is what of the position Next cannot hold, in the source's own form; nil for a source whose offsets say all.
	Position []byte
}

// PartFile is a part file that is complete and on disk under its hidden name; its fields are those of partfile.Pending.
type PartFile struct {
	Hidden string // name while pending, without directory
	Name   string // name when finished
	Rows   int64
	Bytes  int64
	// SHA256 is of the file's bytes; zero in state of version 1, which did not have it.
	SHA256 [32]byte
	// WindowStart and WindowEnd are the first start and the last end of its rows' windows, in ms; both 0 without windows.
	WindowStart, WindowEnd int64
}

// Sink is the state of a sink: the part files to be published once the checkpoint is committed, and the least number for a new one.
type Sink struct {
	Pending []PartFile
	Next    int64
	// Transactions are those of a Kafka sink to be committed once the checkpoint is committed.
	Transactions []Transaction
}

// Transaction is a Kafka transaction whose records the brokers have; its fields are those of kafka.Transaction.
type Transaction struct {
	ID         string // transactional id
	ProducerID int64
	Epoch      int16
}

// State is what one subtask puts into a checkpoint. What its chain lacks is empty.
type State struct {
	Subtask Subtask
	Splits  []Split
	Keyed   []Keyed
	Sink    Sink
	// DeadLetters is the state of the part files that a source writes beside its rows.
	DeadLetters Sink
	// Ledger is what the subtask counted since the job began, with what it took over from subtasks before it.
	Ledger ledger.Ledger
}

// Blobs returns the blobs that the state rests on.
func (s State) Blobs() []Blob {
	var blobs []Blob
	for _, k := range s.Keyed {
		if k.Handle.IsBlob() {
			blobs = append(blobs, k.Handle.Blob)
		}
	}
	return blobs
}

// Size returns the bytes of the keyed state.
func (s State) Size() int64 {
	size := int64(0)
	for _, k := range s.Keyed {
		size += k.Handle.Size()
	}
	return size
}

// Checkpoint is a consistent cut through a whole job: a state of each subtask.
type Checkpoint struct {
	ID             ID
	Kind           Kind
	Attempt        int // of the job
	MaxParallelism int // number of key groups
	TriggeredMs    int64
	CompletedMs    int64 // when the last subtask had acked
	States         []State
}

// Blobs returns the blobs that the checkpoint rests on.
func (c Checkpoint) Blobs() []Blob {
	var blobs []Blob
	for _, s := range c.States {
		blobs = append(blobs, s.Blobs()...)
	}
	return blobs
}

// Size returns the bytes of all keyed state.
func (c Checkpoint) Size() int64 {
	size := int64(0)
	for _, s := range c.States {
		size += s.Size()
	}
	return size
}

// Ledger returns the sum of the subtasks' ledgers. If that does not balance, the engine has lost or doubled a record.
func (c Checkpoint) Ledger() ledger.Ledger {
	var sum ledger.Ledger
	for _, s := range c.States {
		sum.Merge(s.Ledger)
	}
	return sum
}

// Positions returns the offsets that the sources go on from, by the numbers of their splits.
func (c Checkpoint) Positions() map[int32]int64 {
	positions := make(map[int32]int64)
	for _, s := range c.States {
		for _, split := range s.Splits {
			positions[split.Number] = split.Next
		}
	}
	return positions
}

// Pending returns the part files of the sink to be published, of all subtasks.
func (c Checkpoint) Pending() []PartFile {
	return c.pending(func(s State) Sink { return s.Sink })
}

// PendingDeadLetters returns the part files of dead letters to be published, of all subtasks.
func (c Checkpoint) PendingDeadLetters() []PartFile {
	return c.pending(func(s State) Sink { return s.DeadLetters })
}

func (c Checkpoint) pending(of func(State) Sink) []PartFile {
	var pending []PartFile
	for _, s := range c.States {
		pending = append(pending, of(s).Pending...)
	}
	return pending
}

// OfVertex returns the states of a vertex' subtasks, by index.
func (c Checkpoint) OfVertex(vertexID string) []State {
	var states []State
	for _, s := range c.States {
		if s.Subtask.VertexID == vertexID {
			states = append(states, s)
		}
	}
	slices.SortFunc(states, func(a, b State) int { return a.Subtask.Index - b.Subtask.Index })
	return states
}
