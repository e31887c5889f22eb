package jobmaster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/slotpool"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/ledger"
	"pencere/pkg/manifest"
	"pencere/pkg/plan"
)

// filesKept bounds how many finished files of a job are listed, the newest; the directory has them all. A leader that takes the job over
// knows fewer, see replica.FilesKept.
const filesKept = 10_000

// state is what is known of a job beside its state machine.
type state struct {
	name, spec  string
	encodedPlan []byte
	program     *plan.Program
	status      jobfsm.Status
	since       map[jobfsm.Status]int64
	attempts    jobfsm.Attempts
	adopts      bool           // waits for the attempt's subtasks, which an earlier leader deployed
	failures    []view.Failure // newest last
	splits      []kafka.Split
	enumerator  Enumerator           // nil before it is opened
	notice      string               // what the job waits for
	parallelism int                  // of the attempt, 0 before slots are granted
	bounds      elastic.Bounds       // of parallelism
	rescales    int                  // attempts that ended to change the parallelism
	subtasks    [][]*subtask         // by vertex and index
	finished    map[string]view.File // by name
	open        map[jobfsm.SubtaskID][]view.File

	checkpoints  checkpointStats
	ledger       ledger.Ledger // of checkpoint ledgerOf, the newest
	ledgerOf     checkpoint.ID
	ledgerNext   map[int32]int64 // what that checkpoint goes on from, by split
	manifestHead manifest.Hash   // zero without entries
	deadHead     manifest.Hash   // of the dead letters; zero without entries
	imbalance    string          // what is wrong with a ledger
}

// subtask is the current attempt of one.
type subtask struct {
	id         jobfsm.SubtaskID
	attempt    int
	slot       slotpool.Slot
	slotGone   bool // the slot is not the job's any more
	state      jobfsm.SubtaskState
	since      map[jobfsm.SubtaskState]int64
	metrics    view.Metrics
	reportedMs int64 // when metrics came
	splits     []view.Split
	windows    []view.Window

	sinkTrouble view.Trouble
}

func (s *subtask) enter(to jobfsm.SubtaskState, now int64) {
	s.state = to
	s.since[to] = now
}

func newState(job *storagev1.Job, program *plan.Program) state {
	s := state{
		name: job.GetName(), spec: job.GetSpec(), encodedPlan: job.GetPlan(), program: program,
		status: replica.Status(job.GetStatus()), since: make(map[jobfsm.Status]int64), attempts: replica.Attempts(job),
		finished: make(map[string]view.File), open: make(map[jobfsm.SubtaskID][]view.File),
		checkpoints: checkpointStats{config: coordination(program)},
		bounds:      storedBounds(job, program), rescales: int(job.GetRescales()),
	}
	for status, at := range job.GetStatusTimesMs() {
		s.since[replica.Status(storagev1.JobStatus(status))] = at
	}
	for _, f := range job.GetFailures() {
		s.failures = append(s.failures, view.Failure{
			Time: f.GetTimeMs(), Message: f.GetMessage(), Task: f.GetTask(), TaskManagerID: f.GetTaskManagerId(),
			Endpoint: endpointOf(f.GetTaskManagerId()), Rescale: f.GetRescale(),
		})
	}
	for _, f := range job.GetFiles() {
		s.finished[f.GetName()] = view.File{
			Name: f.GetName(), VertexID: f.GetVertexId(), Subtask: int(f.GetSubtask()), State: view.FileFinished,
			Rows: f.GetRows(), Bytes: f.GetSizeBytes(), Modified: f.GetCommittedMs(),
		}
	}
	for _, split := range job.GetSplits() {
		s.splits = append(s.splits, kafka.Split{
			Topic: split.GetTopic(), Partition: split.GetPartition(), Start: split.GetStartOffset(), Stop: split.GetStopOffset(),
		})
	}
	return s
}

func (s *state) setStatus(a jobfsm.SetStatus, now int64) {
	s.status = a.Status
	s.since[a.Status] = now
	if a.Status.Terminal() {
		s.notice = ""
	}
	if a.Failure == nil {
		return
	}
	s.failures = append(s.failures, view.Failure{
		Time: now, Message: a.Failure.Message, Task: a.Failure.Task, TaskManagerID: a.Failure.TaskManagerID,
		Endpoint: endpointOf(a.Failure.TaskManagerID), Rescale: a.Failure.Rescale,
	})
	if a.Failure.Rescale {
		s.rescales++
	}
	s.failures = s.failures[max(0, len(s.failures)-replica.FailuresKept):]
}

// endpointOf returns the address in the id of a taskmanager, which may be gone: the id is "host:port-xxxxxx".
func endpointOf(taskManagerID string) string {
	if at := strings.LastIndexByte(taskManagerID, '-'); at >= 0 {
		return taskManagerID[:at]
	}
	return ""
}

func (s *state) beginAttempt(attempt int) {
	s.attempts = jobfsm.Begun(attempt)
	s.parallelism = 0
	s.subtasks = nil
	s.notice = "waiting for slots: other jobs are served first"
	clear(s.open)
}

// waitFor says what the job waits for while so many slots are free.
func (s *state) waitFor(free int) {
	least := s.bounds.Least()
	switch {
	case free >= least:
		s.notice = ""
	case s.bounds.Upper == least:
		s.notice = fmt.Sprintf("waiting for slots: the job takes %d, %d are free", least, free)
	default:
		s.notice = fmt.Sprintf("waiting for slots: the job takes %d or more, %d are free", least, free)
	}
}

// deploy makes the subtasks of an attempt: subtask i of every vertex goes to slot i.
func (s *state) deploy(attempts jobfsm.Attempts, slots []slotpool.Slot, now int64) {
	s.attempts, s.parallelism = attempts, len(slots)
	s.subtasks = make([][]*subtask, len(s.program.Vertices))
	for v, vertex := range s.program.Vertices {
		for i, slot := range slots {
			id := jobfsm.SubtaskID{VertexID: vertex.ID, Index: i}
			t := newSubtask(id, attempts.Of(id), slot, now)
			t.enter(jobfsm.SubtaskDeploying, now)
			s.subtasks[v] = append(s.subtasks[v], t)
		}
	}
}

// newSubtask returns an attempt that is not deployed yet.
func newSubtask(id jobfsm.SubtaskID, attempt int, slot slotpool.Slot, now int64) *subtask {
	t := &subtask{id: id, attempt: attempt, slot: slot, since: make(map[jobfsm.SubtaskState]int64), metrics: view.NoMetrics()}
	t.enter(jobfsm.SubtaskScheduled, now)
	return t
}

// owned returns the splits with a number from first on that a source subtask reads. A split keeps its number, and so its
// owner as long as the parallelism stays: the same rule moves its state.
func (s *state) owned(index, first int) []*controlv1.Split {
	var owned []*controlv1.Split
	for number := first; number < len(s.splits); number++ {
		if checkpoint.SplitOwner(int32(number), s.parallelism) == index {
			split := s.splits[number]
			owned = append(owned, &controlv1.Split{
				Topic: split.Topic, Partition: split.Partition, StartOffset: split.Start, StopOffset: split.Stop, Number: int32(number),
			})
		}
	}
	return owned
}

func (s *state) subtask(id jobfsm.SubtaskID) *subtask {
	for v, vertex := range s.program.Vertices {
		if vertex.ID == id.VertexID && v < len(s.subtasks) && id.Index >= 0 && id.Index < len(s.subtasks[v]) {
			return s.subtasks[v][id.Index]
		}
	}
	return nil
}

// lose takes the slots of a taskmanager away and returns the subtasks that ran in them, which have failed by that.
func (s *state) lose(taskManagerID string, now int64) []jobfsm.SubtaskID {
	var ids []jobfsm.SubtaskID
	for _, vertex := range s.subtasks {
		for _, t := range vertex {
			if t.slotGone || t.slot.TaskManager.ID != taskManagerID {
				continue
			}
			t.slotGone = true
			if t.state != jobfsm.SubtaskScheduled && !t.state.Terminal() {
				t.enter(jobfsm.SubtaskFailed, now)
				ids = append(ids, t.id)
			}
		}
	}
	return ids
}

// view copies the state for showing.
func (m *master) view() view.Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.state
	job := view.Job{
		ID: m.id, Name: s.name, Status: s.status, Since: maps.Clone(s.since), Start: s.since[jobfsm.Initializing],
		Spec: s.spec, Plan: s.program.Job, Attempt: s.attempts.Newest, Restarts: max(s.attempts.Newest-s.rescales, 0), Parallelism: s.parallelism, Bounds: s.bounds, Notice: s.notice,
	}
	if s.status.Terminal() {
		job.End = s.since[s.status]
	} else if s.enumerator != nil {
		job.Notice = cmp.Or(s.enumerator.Waiting(), job.Notice)
	}
	job.Failures = slices.Clone(s.failures)
	slices.Reverse(job.Failures)
	job.Checkpoints = s.checkpoints.view()
	job.Ledger, job.LedgerCheckpoint, job.Imbalance = slices.Clone(s.ledger), uint64(s.ledgerOf), s.imbalance
	for number, split := range s.splits {
		job.SplitNames = append(job.SplitNames, view.SplitName{Topic: split.Topic, Partition: split.Partition})
		next, read := s.ledgerNext[int32(number)]
		if !read {
			next = split.Start
		}
		job.LedgerRanges = append(job.LedgerRanges, view.Range{From: split.Start, To: next})
	}
	job.ManifestHead, job.DeadLetterHead = s.manifestHead, s.deadHead
	for v, vertex := range s.program.Vertices {
		shown := view.Vertex{
			ID: vertex.ID, Name: vertex.Name, Keyed: vertex.Keyed,
			Parallelism: cmp.Or(s.parallelism, s.program.Job.Parallelism, 1), MaxParallelism: s.program.Job.MaxParallelism,
		}
		if v < len(s.subtasks) {
			for _, t := range s.subtasks[v] {
				shown.Subtasks = append(shown.Subtasks, t.view())
			}
		}
		job.Vertices = append(job.Vertices, shown)
	}
	return job
}

func (s *subtask) view() view.Subtask {
	shown := view.Subtask{
		Index: s.id.Index, Attempt: s.attempt, State: s.state, Since: maps.Clone(s.since), Start: s.since[jobfsm.SubtaskDeploying],
		TaskManagerID: s.slot.TaskManager.ID, Endpoint: s.slot.TaskManager.DataAddress,
		Metrics: s.metrics, Splits: slices.Clone(s.splits), Windows: slices.Clone(s.windows), SinkTrouble: s.sinkTrouble,
	}
	if s.state == jobfsm.SubtaskScheduled { // it waits for a slot, or is about to go into that of its last attempt
		shown.TaskManagerID, shown.Endpoint = "", ""
	}
	if s.state.Terminal() {
		shown.End = s.since[s.state]
	}
	return shown
}

func (m *master) files() (string, []view.File) {
	m.mu.Lock()
	defer m.mu.Unlock()
	files := slices.Collect(maps.Values(m.state.finished))
	for _, open := range m.state.open {
		files = append(files, open...)
	}
	slices.SortFunc(files, func(a, b view.File) int {
		return cmp.Or(cmp.Compare(b.Modified, a.Modified), cmp.Compare(a.Name, b.Name))
	})
	return sinkDir(m.program), files
}

func (m *master) filesFinished(f *controlv1.FilesFinished) {
	id := subtaskID(f.GetSubtask())
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, file := range f.GetFiles() {
		m.state.finished[file.GetName()] = viewFile(id, file)
	}
	if len(m.state.finished) > filesKept {
		m.state.forgetOldFiles()
	}
}

// forgetOldFiles drops the older half, so that it is done rarely.
func (s *state) forgetOldFiles() {
	files := slices.Collect(maps.Values(s.finished))
	slices.SortFunc(files, func(a, b view.File) int { return cmp.Compare(a.Modified, b.Modified) })
	for _, file := range files[:len(files)/2] {
		delete(s.finished, file.Name)
	}
}
