package simulation_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"google.golang.org/protobuf/proto"
)

// taskManager is a taskmanager as the jobmanager sees one. It belongs to the simulation's goroutine.
type taskManager struct {
	w     *world
	id    string
	slots int
	dead  bool
	link  *link // nil while it has none
	tasks map[ref]*task
	late  map[ref]*task // those that ended, and may still be told of a commit
	held  map[ref]*controlv1.HeldSubtask
}

// ref names an attempt of a subtask.
type ref struct {
	vertex         string
	index, attempt int32
}

func refOf(r *controlv1.SubtaskRef) ref {
	return ref{r.GetVertexId(), r.GetSubtaskIndex(), r.GetAttempt()}
}

// row is a record of a split.
type row struct {
	split  int32
	offset int64
}

// element is what a source sends to a window subtask: a row, a barrier, or the end.
type element struct {
	row     *row
	barrier checkpoint.ID // 0 for none
	stops   bool
}

// edge is the way from a source to a window subtask. It keeps its order.
type edge struct{ from, to ref }

// task is a subtask: a source reads rows and sends each to the window that owns it, and a window writes them to part files. Without a
// window the source writes them.
type task struct {
	tm     *taskManager
	ref    ref
	deploy *controlv1.DeploySubtask

	state checkpoint.State // restored, and counted on
	last  checkpoint.ID
	cuts  map[checkpoint.ID]cut
	ended *cut

	stopped bool // a source that reads no more

	barriers map[int32]checkpoint.ID // inputs that are not read before the others gave the same barrier
	closed   map[int32]bool          // inputs that have ended
	stopping bool                    // the barrier ends the subtask
	rows     []row                   // of the file that is written
	pending  []checkpoint.PartFile
}

type cut struct {
	files []checkpoint.PartFile
	stops bool
}

func (t *task) source() bool { return len(t.deploy.GetUpstreams()) == 0 }

// writes reports whether the task writes part files.
func (t *task) writes() bool { return len(t.deploy.GetDownstreams()) == 0 }

func (tm *taskManager) send(m *controlv1.ConnectRequest) {
	if tm.link == nil {
		return
	}
	tm.link.mu.Lock()
	defer tm.link.mu.Unlock()
	if n := len(tm.link.up); n > 0 && m.GetHeartbeat() != nil && tm.link.up[n-1].GetHeartbeat() != nil {
		return // they say the same; a slow stream would hold nothing else
	}
	tm.link.up = append(tm.link.up, m)
}

// update tells a jobmanager, and the next one too, how a subtask is. What has ended stays so.
func (tm *taskManager) update(r *controlv1.SubtaskRef, s controlv1.SubtaskState, f *controlv1.Failure) {
	u := &controlv1.SubtaskUpdate{Subtask: r, State: s, TimeMs: time.Now().UnixMilli(), Failure: f}
	if h := tm.held[refOf(r)]; h != nil && h.GetUpdate().GetState() < controlv1.SubtaskState_SUBTASK_STATE_FINISHED {
		h.Update = u
	}
	tm.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskUpdate{SubtaskUpdate: u}})
}

// lose is that the taskmanager finds its stream broken. Its subtasks go on.
func (tm *taskManager) lose() {
	tm.link.cut()
	tm.link = nil
}

// endLease ends the subtasks of a taskmanager that found no jobmanager for too long.
func (tm *taskManager) endLease() {
	for _, t := range tm.sorted() {
		tm.w.end(t)
		tm.update(t.deploy.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FAILED, &controlv1.Failure{Message: "nobody leads"})
	}
}

// register introduces the taskmanager to a jobmanager, and says what its subtasks have said.
func (tm *taskManager) register() {
	me := &controlv1.Register{TaskManagerId: tm.id, DataAddress: tm.id, Slots: int32(tm.slots)}
	var said []*controlv1.ConnectRequest
	for _, r := range slices.SortedFunc(maps.Keys(tm.held), func(a, b ref) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
		h := proto.CloneOf(tm.held[r])
		me.Subtasks = append(me.Subtasks, h)
		if h.GetEnded() != nil {
			said = append(said, &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskEnded{SubtaskEnded: h.GetEnded()}})
		}
		said = append(said, &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskUpdate{SubtaskUpdate: h.GetUpdate()}})
	}
	tm.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Register{Register: me}})
	for _, m := range said {
		tm.send(m)
	}
}

func (tm *taskManager) sorted() []*task {
	return slices.SortedFunc(maps.Values(tm.tasks), func(a, b *task) int { return strings.Compare(fmt.Sprint(a.ref), fmt.Sprint(b.ref)) })
}

// receive does what the jobmanager says.
func (tm *taskManager) receive(m *controlv1.ConnectResponse) {
	switch m := m.GetMessage().(type) {
	case *controlv1.ConnectResponse_DeploySubtask:
		tm.deploy(m.DeploySubtask)
	case *controlv1.ConnectResponse_CancelSubtask:
		if t := tm.tasks[refOf(m.CancelSubtask.GetSubtask())]; t != nil {
			tm.w.end(t)
		}
		tm.update(m.CancelSubtask.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_CANCELED, nil)
	case *controlv1.ConnectResponse_CheckpointTrigger:
		if t := tm.tasks[refOf(m.CheckpointTrigger.GetSubtask())]; t != nil {
			t.trigger(m.CheckpointTrigger)
		}
	case *controlv1.ConnectResponse_CheckpointCommit:
		tm.commit(m.CheckpointCommit)
	case *controlv1.ConnectResponse_CheckpointAbort:
		if t := tm.tasks[refOf(m.CheckpointAbort.GetSubtask())]; t != nil {
			delete(t.cuts, checkpoint.ID(m.CheckpointAbort.GetCheckpointId()))
		}
	}
}

func (tm *taskManager) deploy(d *controlv1.DeploySubtask) {
	t := &task{
		tm: tm, ref: refOf(d.GetSubtask()), deploy: d, cuts: map[checkpoint.ID]cut{},
		barriers: map[int32]checkpoint.ID{}, closed: map[int32]bool{},
	}
	t.state.Subtask = checkpoint.Subtask{VertexID: t.ref.vertex, Index: int(t.ref.index)}
	if len(d.GetRestored()) > 0 {
		var err error
		if t.state, err = checkpoint.DecodeState(d.GetRestored()); err != nil {
			tm.w.fail("restored state: %v", err)
		}
	}
	tm.w.deployed[t.ref] = true
	tm.held[t.ref] = &controlv1.HeldSubtask{Slot: d.GetSlot(), Parallelism: d.GetParallelism()}
	tm.w.mu.Lock()
	tm.w.parallelism[t.ref.attempt] = int(d.GetParallelism())
	tm.w.mu.Unlock()
	tm.update(d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_INITIALIZING, nil)
	if t.source() {
		t.openSplits()
	}
	if t.writes() {
		tm.w.publish(t, t.state.Sink.Pending, "restore")
		t.state.Sink.Pending = nil
		tm.w.removeStale(t)
	}
	tm.tasks[t.ref] = t
	tm.update(d.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_RUNNING, nil)
}

func (t *task) openSplits() {
	restored := t.state.Splits
	t.state.Splits = nil
	for _, s := range t.deploy.GetSplits() {
		split := checkpoint.Split{
			Number: s.GetNumber(), Topic: s.GetTopic(), Partition: s.GetPartition(), Next: s.GetStartOffset(), Stop: s.GetStopOffset(), Newest: math.MinInt64,
		}
		for _, r := range restored {
			if r.Number == s.GetNumber() {
				split = r
			}
		}
		t.state.Splits = append(t.state.Splits, split)
	}
}

// read lets a source read a row, or find that there is none left.
func (t *task) read() {
	if t.stopped || t.ended != nil {
		return
	}
	for i := range t.state.Splits {
		s := &t.state.Splits[(i+t.tm.w.rng.IntN(len(t.state.Splits)))%len(t.state.Splits)]
		if s.Next < s.Stop {
			r := row{s.Number, s.Next}
			s.Next++
			t.state.Ledger.Of(s.Number).Read++
			downstreams := t.deploy.GetDownstreams()
			if t.writes() {
				t.write(r)
				return
			}
			t.emit(downstreams[int(r.offset)%len(downstreams)], element{row: &r})
			return
		}
	}
	for _, s := range t.state.Splits {
		if s.Next < s.Stop {
			return
		}
	}
	for i := range t.state.Splits {
		t.state.Splits[i].Done = true
	}
	for _, to := range t.deploy.GetDownstreams() {
		t.emit(to, element{})
	}
	t.finishInput()
}

func (t *task) emit(to *controlv1.Endpoint, e element) {
	at := edge{t.ref, refOf(to.GetSubtask())}
	t.tm.w.edges[at] = append(t.tm.w.edges[at], e)
}

// finishInput hands over the last state.
func (t *task) finishInput() {
	state := t.snapshot()
	if t.tm.w.faults && t.tm.w.rng.IntN(20) == 0 {
		t.tm.w.end(t)
		t.tm.update(t.deploy.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FAILED, &controlv1.Failure{Message: "keep the last state: disk full"})
		return
	}
	t.ended = &cut{files: state.Sink.Pending, stops: true}
	ended := &controlv1.SubtaskEnded{Subtask: t.deploy.GetSubtask(), State: state.Encode(), LastCheckpointId: uint64(t.last)}
	t.tm.held[t.ref].Ended = ended
	t.tm.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskEnded{SubtaskEnded: ended}})
}

func (t *task) decline(id checkpoint.ID) {
	t.tm.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointDecline{CheckpointDecline: &controlv1.CheckpointDecline{
		Subtask: t.deploy.GetSubtask(), CheckpointId: uint64(id), Reason: "disk full",
	}}})
}

// trigger is that a source sends a barrier.
func (t *task) trigger(m *controlv1.CheckpointTrigger) {
	if t.stopped || t.ended != nil {
		return
	}
	id := checkpoint.ID(m.GetCheckpointId())
	stops := m.GetKind() == controlv1.CheckpointKind_CHECKPOINT_KIND_STOP || m.GetKind() == controlv1.CheckpointKind_CHECKPOINT_KIND_DRAIN
	t.stopped = stops
	for _, to := range t.deploy.GetDownstreams() {
		t.emit(to, element{barrier: id, stops: stops})
	}
	t.ack(id, stops)
}

func (t *task) ack(id checkpoint.ID, stops bool) {
	state := t.snapshot()
	t.last = id
	t.cuts[id] = cut{files: state.Sink.Pending, stops: stops}
	if t.tm.w.faults && t.tm.w.rng.IntN(40) == 0 {
		t.decline(id)
		return
	}
	t.tm.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointAck{CheckpointAck: &controlv1.CheckpointAck{
		Subtask: t.deploy.GetSubtask(), CheckpointId: uint64(id), State: state.Encode(),
	}}})
}

// snapshot closes the part file and returns the state.
func (t *task) snapshot() checkpoint.State {
	if len(t.rows) > 0 {
		name := fmt.Sprintf("part-%d-%d", t.ref.index, t.state.Sink.Next)
		hidden := fmt.Sprintf(".%s.%d", name, t.ref.attempt)
		t.state.Sink.Next++
		t.tm.w.hidden[hidden] = hiddenFile{rows: t.rows, index: t.ref.index, attempt: t.ref.attempt}
		t.pending = append(t.pending, checkpoint.PartFile{
			Hidden: hidden, Name: name, Rows: int64(len(t.rows)), Bytes: int64(len(t.rows)), SHA256: sha256.Sum256([]byte(hidden)),
		})
		t.rows = nil
	}
	state := t.state
	state.Sink.Pending = slices.Clone(t.pending)
	return state
}

// readable reports whether an input may be read now.
func (t *task) readable(from int32) bool {
	return t.barriers[from] == 0 && t.ended == nil && !t.stopped
}

func (t *task) write(r row) {
	t.rows = append(t.rows, r)
	t.state.Ledger.Of(r.split).Emitted++
}

// take reads an element of an input.
func (t *task) take(from int32, e element) {
	switch {
	case e.row != nil:
		t.write(*e.row)
		return
	case e.barrier != 0:
		if !t.align(from, e) {
			return
		}
	default:
		t.closed[from] = true
	}
	inputs := len(t.deploy.GetUpstreams())
	switch {
	case len(t.closed) == inputs:
		t.finishInput()
	case len(t.barriers) > 0 && len(t.barriers)+len(t.closed) == inputs:
		id := slices.Max(slices.Collect(maps.Values(t.barriers))) // they are all the same
		clear(t.barriers)
		t.stopped = t.stopping
		t.ack(id, t.stopping)
	}
}

// align notes a barrier and reports whether it counts. A newer one ends the alignment of an older, whose trigger some source did not hear.
func (t *task) align(from int32, e element) bool {
	for input, id := range t.barriers {
		if id > e.barrier {
			return false
		}
		if id < e.barrier {
			delete(t.barriers, input)
		}
	}
	if e.barrier <= t.last {
		return false
	}
	t.barriers[from], t.stopping = e.barrier, e.stops
	return true
}

// commit publishes a checkpoint.
func (tm *taskManager) commit(m *controlv1.CheckpointCommit) {
	t := tm.tasks[refOf(m.GetSubtask())]
	if t == nil {
		t = tm.late[refOf(m.GetSubtask())]
	}
	if t == nil {
		return
	}
	id := checkpoint.ID(m.GetCheckpointId())
	c, acked := t.cuts[id]
	switch {
	case acked:
		delete(t.cuts, id)
	case t.ended != nil && id > t.last: // not one that was heard before
		c = *t.ended
	default:
		return
	}
	if got := len(m.GetManifestEntries()); got != len(c.files) {
		tm.w.fail("commit %d for %v has %d manifest entries for %d files", id, t.ref, got, len(c.files))
	}
	tm.w.publish(t, c.files, fmt.Sprint("commit ", id))
	t.pending = slices.DeleteFunc(t.pending, func(f checkpoint.PartFile) bool { return slices.Contains(c.files, f) })
	if c.stops && tm.tasks[t.ref] != nil {
		tm.w.finish(t)
		tm.update(t.deploy.GetSubtask(), controlv1.SubtaskState_SUBTASK_STATE_FINISHED, nil)
	}
}
