package jobfsm

import "time"

// SubtaskID names a subtask of the job.
type SubtaskID struct {
	VertexID string
	Index    int
}

// Event is something that happened to the job.
type Event interface{ event() }

// The events.
type (
	// SplitsFound ends the initialization.
	SplitsFound struct{}
	// SlotsGranted says that the attempt has its slots and is being deployed as these subtasks, by regions: a failure in one is none
	// in another.
	SlotsGranted struct{ Regions [][]SubtaskID }
	// SubtasksDeployed says that these subtasks, which RestartSubtasks named, are being deployed.
	SubtasksDeployed struct{ Subtasks []SubtaskID }
	// SubtaskChanged is what a taskmanager reports of an attempt; reports of older attempts are ignored.
	SubtaskChanged struct {
		Subtask SubtaskID
		Attempt int
		State   SubtaskState
		Failure *Failure // with SubtaskFailed
	}
	// SubtasksLost says that these subtasks' taskmanager went away.
	SubtasksLost struct {
		Subtasks []SubtaskID
		Failure  Failure
	}
	// JobFailed is a failure of the job that belongs to no subtask, such as a topic that does not exist.
	JobFailed struct{ Failure Failure }
	// CancelRequested is the user's wish.
	CancelRequested struct{}
	// Rescale ends an attempt so that the next one begins on other slots: all of it is in a checkpoint that was committed a moment
	// ago, or there are no slots any more for the subtasks that are to begin again. Note says why: it is no failure, and no restart
	// strategy is asked.
	Rescale struct {
		Attempt int
		Note    string
	}
	// RestartDue ends the delay that StartTimer asked for.
	RestartDue struct{ Restart int }
	// Reconciled answers AwaitSubtasks with the subtasks of the attempt by their states; those that are not there any more have
	// failed. Failure says why some must begin again. Without any subtask there is nothing to go on with.
	Reconciled struct {
		Regions  [][]SubtaskID
		Subtasks map[SubtaskID]SubtaskState
		Failure  *Failure
	}
)

func (SplitsFound) event()      {}
func (SlotsGranted) event()     {}
func (SubtasksDeployed) event() {}
func (SubtaskChanged) event()   {}
func (SubtasksLost) event()     {}
func (JobFailed) event()        {}
func (CancelRequested) event()  {}
func (Rescale) event()          {}
func (RestartDue) event()       {}
func (Reconciled) event()       {}

// Failure is why a job fails or restarts.
type Failure struct {
	Message       string
	Task          string // the subtask as "name (1/2)", or ""
	TaskManagerID string
	// LostPeer says that the subtask failed only because another one went away.
	LostPeer bool
	// Rescale says that it is none: the job changes its slots.
	Rescale bool
	// Final failures are not restarted: trying again cannot help.
	Final bool
	// Whole says that the other subtasks cannot go on without the one that failed, whatever its region.
	Whole bool
}

// Action is something to be done, in the order given.
type Action interface{ action() }

// The actions.
type (
	// SetStatus makes a status durable. Failure is set when it is the reason.
	SetStatus struct {
		Status  Status
		Failure *Failure
	}
	// FindSplits begins the initialization.
	FindSplits struct{}
	// RequestSlots begins an attempt: it is counted durably, the slots of the last one are given back, and SlotsGranted follows when
	// there are slots.
	RequestSlots struct{ Attempt int }
	// RestartSubtasks begins an attempt of these subtasks while the others go on: it is counted durably, and SubtasksDeployed follows
	// when they have slots. They go on from the newest committed checkpoint.
	RestartSubtasks struct {
		Attempt  int
		Subtasks []SubtaskID
	}
	// CancelSubtasks ends those of the attempt that have not ended.
	CancelSubtasks struct{ Subtasks []SubtaskID }
	// ReleaseSlots gives the attempt's slots, or its place in the queue for them, back.
	ReleaseSlots struct{}
	// StartTimer asks for RestartDue of a restart after a delay.
	StartTimer struct {
		After   time.Duration
		Restart int
	}
	// AwaitSubtasks waits for taskmanagers to bring the attempt's subtasks along; Reconciled answers it.
	AwaitSubtasks struct{}
)

func (SetStatus) action()       {}
func (FindSplits) action()      {}
func (RequestSlots) action()    {}
func (RestartSubtasks) action() {}
func (CancelSubtasks) action()  {}
func (ReleaseSlots) action()    {}
func (StartTimer) action()      {}
func (AwaitSubtasks) action()   {}
