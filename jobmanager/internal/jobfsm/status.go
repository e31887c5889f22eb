// Package jobfsm decides the life of a job: which status follows which event, and what must be done about it. It is
// pure: time comes in with each event, and what it wants done goes out as actions, so that a test chooses every order.
//
// The statuses and their order are Flink's (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/internals/job_scheduling/).
package jobfsm

// Status is a job's status, by the names of Flink's JobStatus.
type Status string

// The statuses of a job.
const (
	Initializing Status = "INITIALIZING" // its splits are being found
	Created      Status = "CREATED"
	Running      Status = "RUNNING" // scheduled; it may still wait for slots
	Failing      Status = "FAILING"
	Failed       Status = "FAILED"
	Cancelling   Status = "CANCELLING"
	Canceled     Status = "CANCELED"
	Finished     Status = "FINISHED"
	Restarting   Status = "RESTARTING"
	Suspended    Status = "SUSPENDED"
	Reconciling  Status = "RECONCILING"
)

// Statuses lists all of them in the order in which Flink's REST API prints them.
var Statuses = []Status{
	Initializing, Created, Running, Failing, Failed, Cancelling, Canceled, Finished, Restarting, Suspended, Reconciling,
}

// Terminal reports whether a job in this status has ended for good.
func (s Status) Terminal() bool { return s == Finished || s == Failed || s == Canceled }

// SubtaskState is the state of an attempt, by the names of Flink's ExecutionState.
type SubtaskState string

// The states of an attempt.
const (
	SubtaskCreated      SubtaskState = "CREATED"
	SubtaskScheduled    SubtaskState = "SCHEDULED" // waits for a slot
	SubtaskDeploying    SubtaskState = "DEPLOYING"
	SubtaskInitializing SubtaskState = "INITIALIZING"
	SubtaskRunning      SubtaskState = "RUNNING"
	SubtaskFinished     SubtaskState = "FINISHED"
	SubtaskCanceling    SubtaskState = "CANCELING"
	SubtaskCanceled     SubtaskState = "CANCELED"
	SubtaskFailed       SubtaskState = "FAILED"
	SubtaskReconciling  SubtaskState = "RECONCILING"
)

// SubtaskStates lists all of them.
var SubtaskStates = []SubtaskState{
	SubtaskCreated, SubtaskScheduled, SubtaskDeploying, SubtaskInitializing, SubtaskRunning, SubtaskFinished,
	SubtaskCanceling, SubtaskCanceled, SubtaskFailed, SubtaskReconciling,
}

// Terminal reports whether an attempt in this state has ended.
func (s SubtaskState) Terminal() bool {
	return s == SubtaskFinished || s == SubtaskCanceled || s == SubtaskFailed
}
