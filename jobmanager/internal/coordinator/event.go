package coordinator

import (
	"time"

	"pencere/pkg/checkpoint"
)

// Event is something that happened to a checkpoint or to the job.
type Event interface{ event() }

// The events.
type (
	// Started says that an attempt of the job is deployed as these subtasks. Sources are those that take triggers. It comes before
	// anything that one of them reports.
	Started struct {
		Attempt         int
		Sources, Others []checkpoint.Subtask
	}
	// Running says that all subtasks of the attempt, the newest, have begun to process: from here on they take triggers.
	Running struct{ Attempt int }
	// Tick says that time has passed; see WakeAt.
	Tick struct{}
	// Fired says that a subtask wrote rows that wait for a checkpoint to be published. Last is the newest checkpoint whose barrier
	// it had passed on by then, 0 for none in this attempt.
	Fired struct {
		Attempt int
		Subtask checkpoint.Subtask
		Last    checkpoint.ID
	}
	// Requested is a user's wish. Request names it in the answer: NotifyComplete, Abort or Refuse.
	Requested struct {
		Request string
		Kind    checkpoint.Kind
	}
	// Reserved answers Reserve, once that is durable.
	Reserved struct{ Through checkpoint.ID }
	// Acked is a subtask's part in a checkpoint.
	Acked struct {
		ID    checkpoint.ID
		State checkpoint.State
	}
	// Ended says that a subtask has reached the end of its input, with its final state, which counts in every later checkpoint. Last
	// is the newest checkpoint whose barrier it passed on: up to that one it acks for itself, perhaps after this event.
	Ended struct {
		Attempt int
		State   checkpoint.State
		Last    checkpoint.ID
	}
	// Declined says that a subtask cannot take part in a checkpoint.
	Declined struct {
		Attempt int
		ID      checkpoint.ID
		Subtask checkpoint.Subtask
		Reason  string
	}
	// Committed answers Commit, once the checkpoint is in the replicated log.
	Committed struct{ ID checkpoint.ID }
	// CommitFailed answers Commit: the checkpoint is not in the log and will never be.
	CommitFailed struct {
		ID     checkpoint.ID
		Reason string
	}
	// AttemptEnded says that the attempt's subtasks have ended or are about to: none of their reports counts any more. A commit that is
	// under way is still answered.
	AttemptEnded struct{ Reason string }
	// Interrupted says that these subtasks of the attempt are about to begin again, from the newest checkpoint that is committed, while the
	// others go on: none of their reports counts any more, and no checkpoint is taken before all run again. A commit that is under way
	// is still answered.
	Interrupted struct {
		Subtasks []checkpoint.Subtask
		Reason   string
	}
	// Restarted says that subtasks that were interrupted are deployed again, as an attempt of their own: the job's newest. It comes before
	// anything that one of them reports.
	Restarted struct {
		Attempt  int
		Subtasks []checkpoint.Subtask
	}
	// JobEnded says that nobody will go on from the job's checkpoints. Savepoints stay.
	JobEnded struct{}
	// Released says that the user has a copy of a savepoint, or will never have: from here on the job keeps it as it keeps a periodic
	// checkpoint.
	Released struct{ ID checkpoint.ID }
)

func (Started) event()      {}
func (Running) event()      {}
func (Tick) event()         {}
func (Fired) event()        {}
func (Requested) event()    {}
func (Reserved) event()     {}
func (Acked) event()        {}
func (Ended) event()        {}
func (Declined) event()     {}
func (Committed) event()    {}
func (CommitFailed) event() {}
func (AttemptEnded) event() {}
func (Interrupted) event()  {}
func (Restarted) event()    {}
func (JobEnded) event()     {}
func (Released) event()     {}

// Action is something to be done, in the order given.
type Action interface{ action() }

// The actions.
type (
	// Reserve makes durable that IDs up to Through may have been used; Reserved answers it. No ID is used before.
	Reserve struct{ Through checkpoint.ID }
	// Trigger tells sources to emit a barrier. Those that have ended meanwhile say so with Ended.
	Trigger struct {
		ID      checkpoint.ID
		Kind    checkpoint.Kind
		Attempt int
		Sources []checkpoint.Subtask
	}
	// Commit puts a checkpoint into the replicated log and takes those that it subsumes out; Committed or CommitFailed answers it.
	// The log must refuse it when a later attempt has begun.
	Commit struct {
		Checkpoint checkpoint.Checkpoint
		Subsumed   []checkpoint.ID
		Last       bool // no other checkpoint of the attempt follows: the job ends with this one
	}
	// NotifyComplete tells the subtasks of the attempt and of those before it, if they still run, that a checkpoint is committed: sinks publish, sources
	// commit offsets. Request is the user's, or "".
	NotifyComplete struct {
		ID      checkpoint.ID
		Kind    checkpoint.Kind
		Attempt int
		Request string
	}
	// Abort tells the subtasks of the attempt, if they still run, that a checkpoint will not be.
	Abort struct {
		ID      checkpoint.ID
		Attempt int
		Request string
		Reason  string
	}
	// Refuse answers a user's request for which no checkpoint was begun.
	Refuse struct{ Request, Reason string }
	// Discard removes blobs that no checkpoint rests on.
	Discard struct{ Blobs []checkpoint.Blob }
	// FailJob ends the attempt as a failure; the job's restart strategy says what follows.
	FailJob struct{ Reason string }
	// WakeAt asks for a Tick at a time, in place of the last such wish.
	WakeAt struct{ Time time.Time }
)

func (Reserve) action()        {}
func (Trigger) action()        {}
func (Commit) action()         {}
func (NotifyComplete) action() {}
func (Abort) action()          {}
func (Refuse) action()         {}
func (Discard) action()        {}
func (FailJob) action()        {}
func (WakeAt) action()         {}
