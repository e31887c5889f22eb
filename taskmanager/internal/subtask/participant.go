package subtask

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/failpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/ledger"
	"pencere/pkg/plan"
	"pencere/pkg/window"
	"pencere/taskmanager/internal/operator"
)

// participant is a subtask's part in the checkpoints of its job: it puts the state together, hands it over, and publishes
// what a checkpoint holds once that is committed. It belongs to the subtask's goroutine.
type participant struct {
	task     *Subtask
	sink     *operator.Sink       // nil unless the subtask writes to the sink
	dead     operator.DeadLetters // nil unless it writes dead letters
	commits  *committer           // nil unless it is a source
	restored checkpoint.State
	uploads  sync.WaitGroup

	unsaved chan error // holds why the state of a subtask whose input has ended could not be kept

	last  checkpoint.ID         // the newest one whose barrier was passed on in this attempt
	cuts  map[checkpoint.ID]cut // acked and neither committed nor aborted
	ended *cut                  // the last one, when the input has ended
}

// cut is what is to be published when a checkpoint is committed.
type cut struct {
	sink      checkpoint.Sink
	dead      checkpoint.Sink
	positions []kafka.Position
	stops     bool // the subtask ends with it
}

// orderKind says what an order is about.
type orderKind uint8

const (
	orderTrigger orderKind = iota + 1
	orderCommit
	orderAbort
)

// order is what the jobmanager wants of a running subtask. The loop carries orders out between two elements.
type order struct {
	kind       orderKind
	checkpoint checkpoint.ID
	purpose    checkpoint.Kind             // of orderTrigger
	commit     *controlv1.CheckpointCommit // of orderCommit
}

// Trigger makes a source subtask send the barrier of a checkpoint.
func (s *Subtask) Trigger(id checkpoint.ID, purpose checkpoint.Kind) {
	s.order(order{kind: orderTrigger, checkpoint: id, purpose: purpose})
}

// Commit makes the subtask publish what it put into a checkpoint, which is committed.
func (s *Subtask) Commit(c *controlv1.CheckpointCommit) {
	s.order(order{kind: orderCommit, checkpoint: checkpoint.ID(c.GetCheckpointId()), commit: c})
}

// Abort makes the subtask forget its part of a checkpoint. What it holds goes into the next one.
func (s *Subtask) Abort(id checkpoint.ID) { s.order(order{kind: orderAbort, checkpoint: id}) }

func (s *Subtask) order(o order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = append(s.orders, o)
	if s.wake != nil {
		s.wake()
	}
}

// takeOrders returns the orders left since the last call.
func (s *Subtask) takeOrders() []order {
	s.mu.Lock()
	defer s.mu.Unlock()
	orders := s.orders
	s.orders = nil
	return orders
}

func (s *Subtask) newParticipant(sink *operator.Sink, commits *committer) *participant {
	return &participant{task: s, sink: sink, commits: commits, restored: s.restored, unsaved: make(chan error, 1), cuts: make(map[checkpoint.ID]cut)}
}

// state begins the state for a checkpoint: what every subtask has. counts returns those since the attempt began; it is asked when the sink
// has said which of its rows it cannot write.
func (p *participant) state(ctx context.Context, counts func() ledger.Ledger) (checkpoint.State, error) {
	state := checkpoint.State{
		Subtask: checkpoint.Subtask{VertexID: p.task.self.VertexID, Index: p.task.self.Index},
		Ledger:  append(ledger.Ledger(nil), p.restored.Ledger...),
	}
	var err error
	if p.sink != nil {
		state.Sink, err = p.sink.Prepare(ctx)
	}
	if p.dead != nil && err == nil {
		state.DeadLetters, err = p.dead.Prepare(ctx)
	}
	state.Ledger.Merge(counts())
	return state, err
}

// ack hands the state for a checkpoint over. A snapshot is written beside the loop.
func (p *participant) ack(ctx context.Context, id checkpoint.ID, state checkpoint.State, snapshot *window.Snapshot, c cut) {
	c.sink, c.dead = state.Sink, state.DeadLetters
	p.cuts[id], p.last = c, id
	p.hand(ctx, id, state, snapshot, report{func(encoded []byte) *controlv1.ConnectRequest {
		return &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointAck{CheckpointAck: &controlv1.CheckpointAck{
			Subtask: p.task.Ref(), CheckpointId: uint64(id), State: encoded}}}
	}, func(err error) {
		p.task.host.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointDecline{
			CheckpointDecline: &controlv1.CheckpointDecline{Subtask: p.task.Ref(), CheckpointId: uint64(id), Reason: err.Error()}}})
	}})
}

// end hands over the state of a subtask whose input has ended. Without that state no checkpoint of the attempt could be: the subtask fails if it
// cannot be kept, which the next leader hears of too.
func (p *participant) end(ctx context.Context, state checkpoint.State, snapshot *window.Snapshot, c cut) {
	c.sink, c.dead, c.stops = state.Sink, state.DeadLetters, true
	p.ended = &c
	p.hand(ctx, 0, state, snapshot, report{func(encoded []byte) *controlv1.ConnectRequest {
		return &controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_SubtaskEnded{SubtaskEnded: &controlv1.SubtaskEnded{
			Subtask: p.task.Ref(), State: encoded, LastCheckpointId: uint64(p.last)}}}
	}, func(err error) { p.unsaved <- fmt.Errorf("keep the last state: %w", err) }})
}

// report is what is said of a state: the message with it, encoded, or that it could not be kept.
type report struct {
	message func([]byte) *controlv1.ConnectRequest
	refuse  func(error)
}

// hand reports a state once its snapshot is kept, or that it cannot be.
func (p *participant) hand(ctx context.Context, id checkpoint.ID, state checkpoint.State, snapshot *window.Snapshot, r report) {
	if snapshot == nil {
		failpoint.Hit(failpoint.BeforeAck)
		p.task.host.Send(r.message(state.Encode()))
		return
	}
	p.uploads.Go(func() {
		defer snapshot.Release()
		keyed, err := p.task.saveKeyed(ctx, id, snapshot)
		if err != nil && ctx.Err() != nil {
			return // the subtask ends, and says why itself: a decline that comes first would be the failure that users see
		}
		if err != nil {
			r.refuse(err)
			return
		}
		state.Keyed = []checkpoint.Keyed{keyed}
		failpoint.Hit(failpoint.BeforeAck)
		p.task.host.Send(r.message(state.Encode()))
	})
}

// commit publishes a checkpoint. done says that the subtask ends with it. A commit may come twice, from an old leader and a new one.
func (p *participant) commit(id checkpoint.ID, order *controlv1.CheckpointCommit) (done bool, err error) {
	c, acked := p.cuts[id]
	switch {
	case acked: // what was cut before and is not committed by now will never be
		maps.DeleteFunc(p.cuts, func(cut checkpoint.ID, _ cut) bool { return cut <= id })
	case p.ended != nil && id > p.last: // a checkpoint that the last state went into
		c = *p.ended
		c.stops = !p.closes() || len(order.GetManifestEnd())+len(order.GetDeadLetterEnd()) > 0
	default:
		return false, nil
	}
	if err := p.publish(c, order); err != nil {
		return false, fmt.Errorf("publish checkpoint %d: %w", id, err)
	}
	if p.commits != nil {
		p.commits.commit(c.positions)
	}
	return c.stops, nil
}

// closes reports whether the subtask is to close a manifest. It stays until it has: the end comes with the last checkpoint of all, which
// may be a later one than that which its own last state went into.
func (p *participant) closes() bool {
	return p.task.self.Index == 0 &&
		(p.sink != nil && sinkDir(p.task.program) != "" || p.dead != nil && deadLetterDir(p.task.program) != "")
}

// publish publishes a cut: files in each of their directories, transactions where they are.
func (p *participant) publish(c cut, order *controlv1.CheckpointCommit) error {
	if p.sink != nil {
		files := audited{sinkDir(p.task.program), order.GetManifestEntries(), order.GetManifestEnd()}
		if err := p.task.publish(p.sink, c.sink, files); err != nil {
			return err
		}
	}
	if p.dead == nil {
		return nil
	}
	files := audited{deadLetterDir(p.task.program), order.GetDeadLetterEntries(), order.GetDeadLetterEnd()}
	return p.task.publish(p.dead, c.dead, files)
}

// audited is a directory of part files whose manifest grows; none without a dir.
type audited struct {
	dir     string
	entries [][]byte
	end     []byte // closes the manifest unless empty
}

// publish publishes files, each after its entry in the manifest, and then the end of the manifest; or transactions, which have none.
func (s *Subtask) publish(to interface {
	Commit(published checkpoint.Sink) error
}, published checkpoint.Sink, files audited) error {
	failpoint.Hit(failpoint.BeforeRestorePublish)
	if files.dir == "" {
		return to.Commit(published)
	}
	if err := writeEntries(files.dir, files.entries); err != nil {
		return err
	}
	if err := to.Commit(published); err != nil {
		return err
	}
	if len(files.end) > 0 {
		return s.endManifest(files.dir, files.end)
	}
	return nil
}

// sinkDir is where the job writes its part files, "" if its sink writes none.
func sinkDir(p *plan.Program) string {
	if p.Job.Sink.CSV == nil {
		return ""
	}
	return p.Job.Sink.CSV.Path
}

// deadLetterDir is sinkDir for dead letters.
func deadLetterDir(p *plan.Program) string {
	if p.Job.DeadLetters == nil || p.Job.DeadLetters.CSV == nil {
		return ""
	}
	return p.Job.DeadLetters.CSV.Path
}

func (p *participant) abort(id checkpoint.ID) { delete(p.cuts, id) }

// wait carries out commits and aborts until the subtask may end: its input has ended, or it was stopped.
func (p *participant) wait(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := make(chan struct{}, 1)
	p.task.mu.Lock()
	p.task.wake = func() {
		select {
		case left <- struct{}{}:
		default:
		}
	}
	p.task.mu.Unlock()
	for {
		for _, o := range p.task.takeOrders() {
			done, err := p.settle(o)
			if done || err != nil {
				return err
			}
		}
		select {
		case <-left:
		case err := <-p.unsaved:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settle carries out an order that is not a trigger.
func (p *participant) settle(o order) (done bool, err error) {
	switch o.kind {
	case orderCommit:
		return p.commit(o.checkpoint, o.commit)
	case orderAbort:
		p.abort(o.checkpoint)
	case orderTrigger: // for sources that read, which look at it themselves
		if p.ended == nil {
			p.task.host.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointDecline{
				CheckpointDecline: &controlv1.CheckpointDecline{Subtask: p.task.Ref(), CheckpointId: uint64(o.checkpoint),
					Reason: fmt.Sprintf("the subtask stopped for checkpoint %d, which was not committed", p.last)}}})
		}
	}
	return false, nil
}

// left carries out the commits that came too late for a loop that ended with err: a job that is cancelled publishes what its
// checkpoints hold, and no later attempt does that for it.
func (p *participant) left(err error) error {
	if err == nil {
		return nil
	}
	failed := p.carryOut()
	p.commits = nil // it ends with the loop
	p.task.mu.Lock()
	p.task.late, p.task.wake = p, nil
	p.task.mu.Unlock()
	return errors.Join(err, failed)
}

// close waits for the uploads, which end with their context.
func (p *participant) close() { p.uploads.Wait() }

// request asks for a checkpoint soon: rows wait to be published.
func (p *participant) request() {
	p.task.host.Send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointRequest{
		CheckpointRequest: &controlv1.CheckpointRequest{Subtask: p.task.Ref(), LastCheckpointId: uint64(p.last)}}})
}

// restoreSink publishes what the checkpoint that the subtask goes on from holds, which may have happened already, and
// removes what earlier attempts left behind.
func (s *Subtask) restoreSink(dir string, pending []checkpoint.PartFile, entries [][]byte) error {
	failpoint.Hit(failpoint.BeforeRestorePublish)
	if err := s.notAhead(dir); err != nil {
		return err
	}
	pending, err := s.withoutMoved(dir, pending, entries)
	if err != nil {
		return err
	}
	if err := writeEntries(dir, entries); err != nil {
		return err
	}
	if err := commitFiles(dir, pending); err != nil {
		return err
	}
	failpoint.Hit(failpoint.AfterRestorePublish)
	if err := s.removeStale(dir); err != nil {
		return err
	}
	failpoint.Hit(failpoint.AfterStaleRemoved)
	return nil
}
