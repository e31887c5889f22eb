package jobmaster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"pencere/jobmanager/internal/coordinator"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/failpoint"
	"pencere/pkg/format/csv"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/manifest"
	"pencere/pkg/plan"
)

// audit is a job's manifest as of its newest checkpoint. It is a value: a checkpoint that the log refuses leaves none.
type audit struct {
	common manifest.Checkpoint // what all entries have in common
	quote  string              // see manifest.File
	head   manifest.Head       // without end: a job that fails after its last checkpoint may still go on
	// files are the entries of the checkpoint's files. One that was not published in time comes again in the next
	// checkpoint, and keeps its entry.
	files []manifest.Entry
	end   *manifest.Entry // closes the chain; nil unless the job ends with the checkpoint
	dead  *audit          // that of the dead letters, whose files have a directory of their own; nil without
}

// newAudit returns the manifest of a job as the log has it. version is that of this program.
func newAudit(job *storagev1.Job, p *plan.Program, version string) (audit, error) {
	var options csv.Options
	if sink := p.Job.Sink.CSV; sink != nil { // others have no files, and an empty manifest
		var err error
		if options, err = csv.ParseOptions(sink.Options); err != nil {
			return audit{}, fmt.Errorf("csv options: %w", err)
		}
	}
	a := audit{quote: options.RowQuote(), common: manifest.Checkpoint{
		Job: job.GetJobId(), JobName: job.GetName(), Spec: manifest.Sum(job.GetPlan()), Program: version,
	}}
	var newest *storagev1.CompletedCheckpoint
	if n := len(job.GetCheckpoints()); n > 0 {
		newest = job.GetCheckpoints()[n-1]
	}
	if d := p.Job.DeadLetters; d != nil && d.CSV != nil {
		a.dead = &audit{quote: csv.Options{}.RowQuote(), common: a.common}
		if err := a.dead.read(job.GetDeadLetterHead(), newest.GetDeadLetterEntries()); err != nil {
			return audit{}, fmt.Errorf("dead letters: %w", err)
		}
	}
	err := a.read(job.GetManifestHead(), newest.GetManifestEntries())
	return a, err
}

// read takes a manifest over as the log has it.
func (a *audit) read(head []byte, entries [][]byte) error {
	if len(head) > 0 {
		if err := json.Unmarshal(head, &a.head); err != nil {
			return fmt.Errorf("head of the manifest: %w", err)
		}
	}
	return a.decode(entries)
}

func (a *audit) decode(entries [][]byte) error {
	for _, text := range entries {
		e, err := manifest.Decode(text)
		if err != nil {
			return err
		}
		if e.Kind == manifest.KindEnd {
			a.end = &e
		} else {
			a.files = append(a.files, e)
		}
	}
	return nil
}

// extend returns the manifest with a checkpoint. begun are the job's splits as they began; last says that the job ends with it.
func (a audit) extend(c checkpoint.Checkpoint, begun []kafka.Split, last bool) (audit, error) {
	next, err := a.chain(c, c.Pending(), begun, last)
	if err != nil || a.dead == nil {
		return next, err
	}
	dead, err := a.dead.chain(c, c.PendingDeadLetters(), begun, last)
	next.dead = &dead
	return next, err
}

// chain is extend for one directory, in which these files are pending.
func (a audit) chain(c checkpoint.Checkpoint, pending []checkpoint.PartFile, begun []kafka.Split, last bool) (audit, error) {
	common := a.common
	common.ID = int64(c.ID)
	for _, s := range c.States {
		for _, split := range s.Splits {
			read := manifest.OffsetRange{Topic: split.Topic, Partition: split.Partition, From: split.Next, To: split.Next}
			if int(split.Number) < len(begun) {
				read.From = begun[split.Number].Start
			}
			common.Offsets = append(common.Offsets, read)
		}
	}
	known, fresh := a.sortOut(pending)
	head, entries, err := manifest.Chain(a.head, common, fresh)
	if err != nil {
		return audit{}, fmt.Errorf("manifest: %w", err)
	}
	before := a.end
	a.head, a.files, a.end = head, slices.Concat(known, entries), nil
	if !last {
		return a, nil
	}
	_, end, err := manifest.End(head, common)
	if err != nil {
		return audit{}, fmt.Errorf("manifest: %w", err)
	}
	if before != nil && before.Sequence == end.Sequence && slices.Equal(before.Checkpoint.Offsets, end.Checkpoint.Offsets) {
		end = *before // it may be written already
	}
	a.end = &end
	return a, nil
}

// sortOut returns the entries of the files that have one, and the others. Files of state that lacks digests get none.
func (a audit) sortOut(files []checkpoint.PartFile) (known []manifest.Entry, fresh []manifest.File) {
	for _, f := range files {
		if e := a.entry(f.Name); e != nil {
			known = append(known, *e)
			continue
		}
		if f.SHA256 == [32]byte{} {
			continue
		}
		file := manifest.File{Name: f.Name, SHA256: f.SHA256, Rows: f.Rows, Bytes: f.Bytes, Quote: a.quote}
		if f.WindowStart < f.WindowEnd {
			file.Window = &manifest.Window{Start: f.WindowStart, End: f.WindowEnd}
		}
		fresh = append(fresh, file)
	}
	return known, fresh
}

// entry returns that of a part file, or nil.
func (a audit) entry(name string) *manifest.Entry {
	for i := range a.files {
		if a.files[i].File.Name == name {
			return &a.files[i]
		}
	}
	return nil
}

// store puts the manifest into the command that makes its checkpoint exist.
func (a audit) store(c *storagev1.CompleteCheckpoint) (err error) {
	if c.ManifestHead, c.ManifestEntries, err = a.encode(); err != nil || a.dead == nil {
		return err
	}
	c.DeadLetterHead, c.DeadLetterEntries, err = a.dead.encode()
	return err
}

// encode is the inverse of read.
func (a audit) encode() (head []byte, entries [][]byte, err error) {
	all := a.files
	if a.end != nil {
		all = append(slices.Clone(all), *a.end)
	}
	if head, err = json.Marshal(a.head); err == nil {
		entries, err = encodeEntries(all)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("manifest: %w", err)
	}
	return head, entries, nil
}

func encodeEntries(entries []manifest.Entry) ([][]byte, error) {
	var all [][]byte
	for _, e := range entries {
		text, err := e.Encode()
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, nil
}

// of returns the encoded entries of a subtask's files; none of a nil audit.
func (a *audit) of(files []checkpoint.PartFile) ([][]byte, error) {
	if a == nil {
		return nil, nil
	}
	var entries []manifest.Entry
	for _, f := range files {
		if e := a.entry(f.Name); e != nil {
			entries = append(entries, *e)
		}
	}
	return encodeEntries(entries)
}

// hash returns that of the last entry, the zero Hash without entries.
func (a *audit) hash() manifest.Hash {
	if a == nil {
		return manifest.Hash{}
	}
	if a.end != nil {
		return a.end.Hash
	}
	return a.head.Last.Hash
}

func (m *master) showManifest() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.manifestHead, m.state.deadHead = m.audit.hash(), m.audit.dead.hash()
}

// begun returns the job's splits as they began.
func (m *master) begun() []kafka.Split {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.splits
}

// commits returns what each subtask is told of a checkpoint that is committed.
func (m *master) commits(id checkpoint.ID) (map[jobfsm.SubtaskID]*controlv1.CheckpointCommit, error) {
	commits := make(map[jobfsm.SubtaskID]*controlv1.CheckpointCommit)
	for _, s := range m.latest.States {
		entries, err := m.audit.of(s.Sink.Pending)
		if err != nil {
			return nil, err
		}
		dead, err := m.audit.dead.of(s.DeadLetters.Pending)
		if err != nil {
			return nil, err
		}
		commits[jobfsm.SubtaskID(s.Subtask)] = &controlv1.CheckpointCommit{CheckpointId: uint64(id), ManifestEntries: entries, DeadLetterEntries: dead}
	}
	return commits, m.addEnds(commits)
}

// addEnds gives the ends of the manifests to those who close them: a subtask of the vertex that writes the files.
func (m *master) addEnds(commits map[jobfsm.SubtaskID]*controlv1.CheckpointCommit) (err error) {
	vertices := m.program.Vertices
	if closer := commits[jobfsm.SubtaskID{VertexID: vertices[len(vertices)-1].ID}]; closer != nil && m.audit.end != nil {
		if closer.ManifestEnd, err = m.audit.end.Encode(); err != nil {
			return err
		}
	}
	dead := m.audit.dead
	if closer := commits[jobfsm.SubtaskID{VertexID: vertices[0].ID}]; closer != nil && dead != nil && dead.end != nil {
		closer.DeadLetterEnd, err = dead.end.Encode()
	}
	return err
}

// notifyComplete makes subtasks publish. That which closes the manifest comes when the others have: the end is written last.
func (m *master) notifyComplete(ctx context.Context, a coordinator.NotifyComplete) {
	commits, err := m.commits(a.ID)
	if err != nil {
		m.step(ctx, jobfsm.JobFailed{Failure: jobfsm.Failure{Message: fmt.Sprintf("manifest of checkpoint %d: %v", a.ID, err)}})
		return
	}
	m.closing = make(map[jobfsm.SubtaskID]*controlv1.CheckpointCommit)
	for _, s := range m.latest.States {
		id := jobfsm.SubtaskID(s.Subtask)
		if m.machine.Attempts().Of(id) > a.Attempt {
			continue // it goes on from this checkpoint, and publishes it by that
		}
		if c := commits[id]; len(c.GetManifestEnd())+len(c.GetDeadLetterEnd()) > 0 {
			m.closing[id] = c
			continue
		}
		m.tellCommit(id, commits[id])
		failpoint.Hit(failpoint.BetweenNotify)
	}
	failpoint.Hit(failpoint.AfterNotify)
	m.publishUnclosed(m.machine.Restarting()) // to close is for the attempt that they begin
	m.closeManifest()
}

func (m *master) tellCommit(id jobfsm.SubtaskID, c *controlv1.CheckpointCommit) {
	m.tell(id, func(ref *controlv1.SubtaskRef) *controlv1.ConnectResponse {
		c.Subtask = ref
		return &controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_CheckpointCommit{CheckpointCommit: c}}
	})
}

// closeManifest tells the subtasks that close a manifest to publish, each once all others of its vertex have finished: nobody else
// writes to the directory then.
func (m *master) closeManifest() {
	for closer, commit := range m.closing {
		if m.othersFinished(closer) {
			delete(m.closing, closer)
			m.tellCommit(closer, commit)
		}
	}
}

// publishUnclosed makes those of subtasks who were to close a manifest publish when they end before the others have finished: a job that
// is cancelled has no later attempt that would do it for them. The manifest stays open.
func (m *master) publishUnclosed(ids []jobfsm.SubtaskID) {
	for _, closer := range ids {
		if commit := m.closing[closer]; commit != nil {
			commit.ManifestEnd, commit.DeadLetterEnd = nil, nil
			m.tellCommit(closer, commit)
			delete(m.closing, closer)
		}
	}
}

func (m *master) othersFinished(id jobfsm.SubtaskID) bool {
	for index := range m.parallelism() {
		if index != id.Index && m.machine.Subtask(jobfsm.SubtaskID{VertexID: id.VertexID, Index: index}) != jobfsm.SubtaskFinished {
			return false
		}
	}
	return true
}
