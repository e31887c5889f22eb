package jobmaster

import (
	"fmt"
	"slices"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/slotpool"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/eventtime"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/plan"
)

// subtaskIDs lists the subtasks of a job that runs with a parallelism.
func subtaskIDs(p *plan.Program, parallelism int) []jobfsm.SubtaskID {
	var ids []jobfsm.SubtaskID
	for _, vertex := range p.Vertices {
		for i := range parallelism {
			ids = append(ids, jobfsm.SubtaskID{VertexID: vertex.ID, Index: i})
		}
	}
	return ids
}

// deployment is a message and where it goes.
type deployment struct {
	to      slotpool.TaskManager
	message *controlv1.DeploySubtask
}

// deployments says to the slots of subtasks what they run and from which state these go on. Every subtask of a vertex sends
// to every one of the next.
func (m *master) deployments(ids []jobfsm.SubtaskID) ([]deployment, error) {
	vertices, parallelism := m.program.Vertices, m.state.parallelism
	endpoints := m.endpoints()
	peers := make([]*controlv1.Peers, len(vertices))
	for v := range vertices {
		peers[v] = peersOf(endpoints[v])
	}
	var all []deployment
	for v, vertex := range vertices {
		restored, err := m.restored(vertex.ID, parallelism)
		if err != nil {
			return nil, err
		}
		for i, t := range m.state.subtasks[v] {
			if !slices.Contains(ids, t.id) {
				continue
			}
			d := &controlv1.DeploySubtask{
				Subtask: endpoints[v][i].GetSubtask(), Slot: int32(t.slot.Index), Plan: m.state.encodedPlan, Parallelism: int32(parallelism),
				CheckpointUrl: m.cfg.Storage.URL(),
			}
			if restored != nil {
				d.Restored, d.RestoredId = restored[i].Encode(), uint64(m.latest.ID)
				if d.ManifestEntries, err = m.audit.of(restored[i].Sink.Pending); err != nil {
					return nil, err
				}
				if d.DeadLetterEntries, err = m.audit.dead.of(restored[i].DeadLetters.Pending); err != nil {
					return nil, err
				}
			}
			if v == 0 {
				d.Splits = m.state.owned(i, 0)
			}
			switch short := t.slot.TaskManager.ReadsPeers; {
			case v > 0 && short:
				d.UpstreamPeers = peers[v-1]
			case v > 0:
				d.Upstreams = endpoints[v-1]
			}
			switch short := t.slot.TaskManager.ReadsPeers; {
			case v+1 < len(vertices) && short:
				d.DownstreamPeers = peers[v+1]
			case v+1 < len(vertices):
				d.Downstreams = endpoints[v+1]
			}
			all = append(all, deployment{to: t.slot.TaskManager, message: d})
		}
	}
	return all, nil
}

// endpoints returns where the subtasks are, by vertex and index.
func (m *master) endpoints() [][]*controlv1.Endpoint {
	endpoints := make([][]*controlv1.Endpoint, len(m.state.subtasks))
	for v, vertex := range m.state.subtasks {
		for _, t := range vertex {
			endpoints[v] = append(endpoints[v], &controlv1.Endpoint{
				Subtask: m.ref(t.id), TaskManagerId: t.slot.TaskManager.ID, DataAddress: t.slot.TaskManager.DataAddress,
			})
		}
	}
	return endpoints
}

// peersOf says what the endpoints of a vertex say.
func peersOf(endpoints []*controlv1.Endpoint) *controlv1.Peers {
	p := &controlv1.Peers{}
	places := make(map[string]int32)
	for _, e := range endpoints {
		place, known := places[e.GetTaskManagerId()]
		if !known {
			place = int32(len(places))
			places[e.GetTaskManagerId()] = place
			p.TaskManagerIds = append(p.TaskManagerIds, e.GetTaskManagerId())
			p.DataAddresses = append(p.DataAddresses, e.GetDataAddress())
		}
		p.VertexId, p.Places = e.GetSubtask().GetVertexId(), append(p.Places, place)
	}
	return p
}

func storedSplits(splits []kafka.Split) []*storagev1.Split {
	all := make([]*storagev1.Split, len(splits))
	for i, s := range splits {
		all[i] = &storagev1.Split{Topic: s.Topic, Partition: s.Partition, StartOffset: s.Start, StopOffset: s.Stop}
	}
	return all
}

func subtaskID(ref *controlv1.SubtaskRef) jobfsm.SubtaskID {
	return jobfsm.SubtaskID{VertexID: ref.GetVertexId(), Index: int(ref.GetSubtaskIndex())}
}

var subtaskStates = map[controlv1.SubtaskState]jobfsm.SubtaskState{
	controlv1.SubtaskState_SUBTASK_STATE_INITIALIZING: jobfsm.SubtaskInitializing,
	controlv1.SubtaskState_SUBTASK_STATE_RUNNING:      jobfsm.SubtaskRunning,
	controlv1.SubtaskState_SUBTASK_STATE_FINISHED:     jobfsm.SubtaskFinished,
	controlv1.SubtaskState_SUBTASK_STATE_CANCELED:     jobfsm.SubtaskCanceled,
	controlv1.SubtaskState_SUBTASK_STATE_FAILED:       jobfsm.SubtaskFailed,
}

// subtaskUpdate takes a change of state, of which the adoption hears first as long as the job waits for its subtasks.
func (m *master) subtaskUpdate(taskManagerID string, u *controlv1.SubtaskUpdate) {
	m.mu.Lock()
	adopts := m.state.adopts
	m.mu.Unlock()
	if adopts {
		m.post(updated{taskManagerID, u})
		return
	}
	m.changed(taskManagerID, u)
}

// changed shows a change of state at once and queues it for the state machine.
func (m *master) changed(taskManagerID string, u *controlv1.SubtaskUpdate) {
	state, ok := subtaskStates[u.GetState()]
	id := subtaskID(u.GetSubtask())
	m.mu.Lock()
	t := m.state.subtask(id)
	if !ok || t == nil || int(u.GetSubtask().GetAttempt()) != t.attempt || t.state.Terminal() {
		m.mu.Unlock()
		return
	}
	if t.state != jobfsm.SubtaskCanceling || state.Terminal() {
		t.enter(state, u.GetTimeMs())
	}
	if u.GetMetrics() != nil {
		t.report(u.GetMetrics(), u.GetTimeMs())
	}
	if state.Terminal() {
		delete(m.state.open, id)
	}
	event := jobfsm.SubtaskChanged{Subtask: id, Attempt: t.attempt, State: state}
	if state == jobfsm.SubtaskFailed {
		event.Failure = &jobfsm.Failure{
			Message: u.GetFailure().GetMessage(), LostPeer: u.GetFailure().GetLostPeer(),
			Task: m.state.taskName(id), TaskManagerID: taskManagerID,
		}
	}
	m.mu.Unlock()
	m.post(event)
}

// taskName shows a subtask as Flink does: "Source: sahibinden[1] -> Calc[2] (1/2)".
func (s *state) taskName(id jobfsm.SubtaskID) string {
	for _, vertex := range s.program.Vertices {
		if vertex.ID == id.VertexID {
			return fmt.Sprintf("%s (%d/%d)", vertex.Name, id.Index+1, s.parallelism)
		}
	}
	return ""
}

func (m *master) subtaskReport(r *controlv1.SubtaskReport) {
	id := subtaskID(r.GetSubtask())
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.state.subtask(id)
	if t == nil || int(r.GetSubtask().GetAttempt()) != t.attempt || t.state.Terminal() {
		return
	}
	t.report(r.GetMetrics(), m.cfg.Now().UnixMilli())
	t.splits = t.splits[:0:0]
	for _, s := range r.GetSplits() {
		t.splits = append(t.splits, viewSplit(s))
	}
	t.windows = t.windows[:0:0]
	for _, w := range r.GetOpenWindows() {
		t.windows = append(t.windows, view.Window{
			Start: w.GetStartMs(), End: w.GetEndMs(), FiresAt: eventtime.Watermark(w.GetFiresAt()), Groups: w.GetGroups(),
		})
	}
	t.sinkTrouble = view.Trouble{Reason: r.GetSinkTrouble(), Ms: r.GetSinkTroubleMs()}
	delete(m.state.open, id)
	for _, file := range r.GetOpenFiles() {
		m.state.open[id] = append(m.state.open[id], viewFile(id, file))
	}
}

// report takes new metrics and works out the rates since the last ones.
func (s *subtask) report(w *controlv1.SubtaskMetrics, now int64) {
	before, elapsed := s.metrics, now-s.reportedMs
	s.metrics = viewMetrics(w)
	if s.reportedMs > 0 && elapsed > 0 {
		seconds := float64(elapsed) / 1000
		perSecond := func(now, then int64) float64 { return float64(now-then) / seconds }
		s.metrics.RecordsInPerSecond = perSecond(s.metrics.RecordsIn, before.RecordsIn)
		s.metrics.RecordsOutPerSecond = perSecond(s.metrics.RecordsOut, before.RecordsOut)
		s.metrics.BusyPerSecond = perSecond(s.metrics.BusyMs, before.BusyMs)
		s.metrics.IdlePerSecond = perSecond(s.metrics.IdleMs, before.IdleMs)
		s.metrics.BackpressuredPerSec = perSecond(s.metrics.BackpressuredMs, before.BackpressuredMs)
	}
	s.reportedMs = now
}

func viewMetrics(w *controlv1.SubtaskMetrics) view.Metrics {
	return view.Metrics{
		RecordsIn: w.GetRecordsIn(), RecordsOut: w.GetRecordsOut(), BytesIn: w.GetBytesIn(), BytesOut: w.GetBytesOut(),
		InputWatermark: eventtime.Watermark(w.GetInputWatermark()), OutputWatermark: eventtime.Watermark(w.GetOutputWatermark()),
		BusyMs: w.GetBusyMs(), IdleMs: w.GetIdleMs(), BackpressuredMs: w.GetBackpressuredMs(),
		LateRecords: w.GetLateRecords(), LateAfterIdle: w.GetLateAfterIdle(),
		FilteredRecords: w.GetFilteredRecords(), EmptyRecords: w.GetEmptyRecords(),
		DroppedRecords: w.GetDroppedRecords(), IgnoredFields: w.GetIgnoredFields(),
		CollapsedRecords: w.GetCollapsedRecords(), OpenGroups: w.GetOpenGroups(), OpenWindows: w.GetOpenWindows(),
		RowsWritten: w.GetRowsWritten(), LostRecords: w.GetLostRecords(),
		DeadLetteredRecords: w.GetDeadLetteredRecords(), LateDeadLetters: w.GetLateDeadLetters(),
	}
}

var splitStates = map[controlv1.SplitState]view.SplitState{
	controlv1.SplitState_SPLIT_STATE_READING:  view.SplitReading,
	controlv1.SplitState_SPLIT_STATE_WAITING:  view.SplitWaiting,
	controlv1.SplitState_SPLIT_STATE_FINISHED: view.SplitFinished,
}

func viewSplit(s *controlv1.SplitReport) view.Split {
	return view.Split{
		Topic: s.GetTopic(), Partition: s.GetPartition(), Offset: s.GetOffset(), EndOffset: s.GetEndOffset(),
		State: splitStates[s.GetState()], Reason: s.GetReason(), Watermark: eventtime.Watermark(s.GetWatermark()), Idle: s.GetIdle(),
		SilentMs: s.GetSilentMs(),
	}
}

// storedFiles are those that a checkpoint publishes; not the dead letters, which lie elsewhere.
func storedFiles(c checkpoint.Checkpoint, committedMs int64) (all []*storagev1.PartFile) {
	for _, s := range c.States {
		for _, f := range s.Sink.Pending {
			all = append(all, &storagev1.PartFile{
				Name: f.Name, VertexId: s.Subtask.VertexID, Subtask: int32(s.Subtask.Index), Rows: f.Rows, SizeBytes: f.Bytes, CommittedMs: committedMs,
			})
		}
	}
	return all
}

var fileStates = map[controlv1.PartFileState]view.FileState{
	controlv1.PartFileState_PART_FILE_STATE_IN_PROGRESS: view.FileInProgress,
	controlv1.PartFileState_PART_FILE_STATE_PENDING:     view.FilePending,
	controlv1.PartFileState_PART_FILE_STATE_FINISHED:    view.FileFinished,
}

func viewFile(id jobfsm.SubtaskID, f *controlv1.PartFile) view.File {
	return view.File{
		Name: f.GetName(), VertexID: id.VertexID, Subtask: id.Index, State: fileStates[f.GetState()],
		Rows: f.GetRows(), Bytes: f.GetSizeBytes(), Modified: f.GetModifiedMs(),
	}
}
