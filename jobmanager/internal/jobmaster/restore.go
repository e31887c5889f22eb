package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	storagev1 "pencere/pkg/gen/pencere/storage/v1"
	"pencere/pkg/plan"
	"pencere/pkg/window"
)

// RestoreError says why a job cannot go on from a savepoint.
type RestoreError struct {
	Savepoint string // as the user named it
	Reasons   []string
}

func (e *RestoreError) Error() string { return strings.Join(e.Lines(), "\n") }

// Lines returns a line for each reason.
func (e *RestoreError) Lines() []string {
	lines := make([]string, len(e.Reasons))
	for i, reason := range e.Reasons {
		lines[i] = fmt.Sprintf("savepoint %s: %s", e.Savepoint, reason)
	}
	return lines
}

// restore makes a new job go on from the savepoint that its spec names: the job takes the savepoint's max_parallelism, submit its
// splits and state. The savepoint stays as it is, Flink's claim mode NO_CLAIM: the job gets copies of its blobs.
func (d *Dispatcher) restore(ctx context.Context, spec Spec, job *plan.Job, submit *storagev1.SubmitJob) error {
	refuse := func(reasons ...string) error { return &RestoreError{Savepoint: spec.Savepoint, Reasons: reasons} }
	folder, err := blobstore.Locate(spec.Savepoint)
	if err != nil {
		return refuse(err.Error())
	}
	folder = folder.Trim(checkpoint.MetadataName)
	metadata, err := readSavepoint(ctx, folder)
	if err != nil {
		return refuse(err.Error())
	}
	old, err := decodePlan(metadata.Plan)
	if err != nil {
		return refuse(fmt.Sprintf("the plan of its job is not readable: %v", err))
	}
	r := restoration{metadata: metadata, old: old, job: job, allowNonRestored: spec.AllowNonRestoredState}
	r.check()
	if len(r.reasons) > 0 {
		return refuse(r.reasons...)
	}
	if err := d.adopt(ctx, folder, &r.metadata, submit.GetJobId()); err != nil {
		return refuse(err.Error())
	}
	c := r.metadata.Checkpoint
	submit.Restored = &storagev1.CompletedCheckpoint{CheckpointId: uint64(c.ID), Checkpoint: c.Encode()}
	for _, s := range r.metadata.Splits {
		submit.Splits = append(submit.Splits, &storagev1.Split{Topic: s.Topic, Partition: s.Partition, StartOffset: s.Next, StopOffset: s.Stop})
	}
	return nil
}

// unrestore removes what restore copied for a job that was not submitted after all.
func (d *Dispatcher) unrestore(ctx context.Context, submit *storagev1.SubmitJob) {
	c, err := checkpoint.Decode(submit.GetRestored().GetCheckpoint())
	if submit.GetRestored() == nil || err != nil {
		return
	}
	d.removeCopies(ctx, c.Blobs())
}

func (d *Dispatcher) removeCopies(ctx context.Context, blobs []checkpoint.Blob) {
	keys := make([]string, len(blobs))
	for i, b := range blobs {
		keys[i] = b.Key
	}
	if err := d.cfg.Storage.Delete(ctx, keys); err != nil {
		d.cfg.Logger.Warn("copied state of a savepoint not removed", "error", err)
	}
}

// readSavepoint reads a savepoint's metadata.
func readSavepoint(ctx context.Context, folder blobstore.Location) (_ checkpoint.Metadata, err error) {
	bucket, err := folder.Open(ctx, false)
	if err != nil {
		return checkpoint.Metadata{}, err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	data, err := bucket.ReadAll(ctx, checkpoint.MetadataName)
	if blobstore.IsMissing(err) {
		return checkpoint.Metadata{}, fmt.Errorf("%s holds no whole savepoint: there is no %s in it", folder, checkpoint.MetadataName)
	}
	if err != nil {
		return checkpoint.Metadata{}, fmt.Errorf("read %s: %w", folder.Join(checkpoint.MetadataName), err)
	}
	return checkpoint.DecodeMetadata(data)
}

// adopt copies the blobs of a savepoint to where the new job's state is.
func (d *Dispatcher) adopt(ctx context.Context, folder blobstore.Location, m *checkpoint.Metadata, jobID string) (err error) {
	from, err := folder.Open(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := d.cfg.Storage.Bucket(ctx)
	if err != nil {
		return err
	}
	dir := checkpoint.Dir{JobID: jobID, ID: m.Checkpoint.ID, Kind: checkpoint.Savepoint}
	var copied []checkpoint.Blob
	m.Checkpoint, err = m.Checkpoint.WithBlobs(func(b checkpoint.Blob) (checkpoint.Blob, error) {
		own := b
		own.Key = dir.String() + "/" + path.Base(b.Key)
		if err := blobstore.Copy(ctx, from, b, to, own.Key); err != nil {
			return own, err
		}
		copied = append(copied, own)
		return own, nil
	})
	if err != nil {
		d.removeCopies(ctx, copied)
	}
	return err
}

// restoration fits a savepoint and a new job together, and finds out what does not fit.
type restoration struct {
	metadata         checkpoint.Metadata
	old              *plan.Program // of the savepoint's job
	job              *plan.Job
	allowNonRestored bool
	reasons          []string
}

func (r *restoration) refuse(format string, args ...any) {
	r.reasons = append(r.reasons, fmt.Sprintf(format, args...))
}

// check adds to reasons all that keeps the job from going on from the savepoint.
func (r *restoration) check() {
	r.takeMaxParallelism()
	if len(r.reasons) > 0 {
		return
	}
	program, err := plan.Compile(*r.job)
	if err != nil {
		r.refuse("%v", err)
		return
	}
	r.leaveOut(program)
	r.checkSource(program)
	r.checkWindow(program)
	if !sameSink(r.old.Job.Sink, program.Job.Sink) {
		// What waits is in the old job's directory or topic, and that job publishes it.
		r.metadata.Checkpoint = r.metadata.Checkpoint.Published()
	}
	if deadLetterDir(r.old) != deadLetterDir(program) || !sameTopic(deadLetterTopic(r.old), deadLetterTopic(program)) {
		r.metadata.Checkpoint = r.metadata.Checkpoint.PublishedDeadLetters()
	}
}

func sameSink(a, b plan.Sink) bool {
	if a.CSV != nil && b.CSV != nil {
		return a.CSV.Path == b.CSV.Path
	}
	return a.CSV == nil && b.CSV == nil && sameTopic(a.Kafka, b.Kafka)
}

// sameTopic compares where two sinks write, if they write at all.
func sameTopic(a, b *plan.KafkaSink) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Topic == b.Topic && slices.Equal(a.Brokers, b.Brokers)
}

// sinkDir is where a job writes its part files, "" if its sink writes none.
func sinkDir(p *plan.Program) string {
	if p.Job.Sink.CSV == nil {
		return ""
	}
	return p.Job.Sink.CSV.Path
}

func deadLetterTopic(p *plan.Program) *plan.KafkaSink {
	if d := p.Job.DeadLetters; d != nil && d.Kafka != nil {
		sink := d.Kafka.Sink()
		return &sink
	}
	return nil
}

// deadLetterDir is where a job writes its dead letters, "" if it writes none to files.
func deadLetterDir(p *plan.Program) string {
	if d := p.Job.DeadLetters; d != nil && d.CSV != nil {
		return d.CSV.Path
	}
	return ""
}

// takeMaxParallelism keeps the number of key groups. A spec that does not set it has the default.
func (r *restoration) takeMaxParallelism() {
	was := r.metadata.Checkpoint.MaxParallelism
	switch is := r.job.MaxParallelism; {
	case is != was && is != plan.DefaultMaxParallelism:
		r.refuse("max_parallelism is %d and was %d: state cannot move between other key groups; set it to %d, or leave it out", is, was, was)
	case r.job.Parallelism > was:
		r.refuse("parallelism %d is more than the savepoint's max_parallelism, which is %d", r.job.Parallelism, was)
	default:
		r.job.MaxParallelism = was
	}
}

// leaveOut drops the state of vertices that the job does not have, if the user allows it.
func (r *restoration) leaveOut(program *plan.Program) {
	c := &r.metadata.Checkpoint
	gone := map[string]bool{}
	for _, s := range c.States {
		gone[s.Subtask.VertexID] = !slices.ContainsFunc(program.Vertices, func(v plan.Vertex) bool { return v.ID == s.Subtask.VertexID })
	}
	for _, v := range r.old.Vertices {
		if gone[v.ID] && !r.allowNonRestored {
			r.refuse("there is no vertex for the state of %s (%s) in the job: make the job as it was, or give --allow-non-restored-state to go on without it",
				v.Name, v.ID)
		}
	}
	c.States = slices.DeleteFunc(slices.Clone(c.States), func(s checkpoint.State) bool { return gone[s.Subtask.VertexID] })
	if gone[r.old.Vertices[0].ID] {
		r.metadata.Splits = nil // the source begins as the spec says
	}
}

// checkSource compares what the job reads with the positions there are.
func (r *restoration) checkSource(program *plan.Program) {
	if len(r.metadata.Splits) == 0 {
		return
	}
	was, is := r.old.Job.Source, program.Job.Source
	switch {
	case (was.HTTP == nil) != (is.HTTP == nil):
		r.refuse("source is another one than the savepoint has positions of: set it back, or start without the savepoint")
		return
	case is.HTTP != nil:
		r.checkURLs(is.HTTP)
		return
	}
	if was.IsBounded() != is.IsBounded() {
		r.refuse("source.kafka.bounded has changed: where the splits end is part of the savepoint, set it back")
	}
	var missed []string
	for i, s := range r.metadata.Splits {
		if int(s.Number) != i {
			r.refuse("split %d has number %d", i, s.Number)
			return
		}
		if !reads(is.Kafka, s.Topic) && !slices.Contains(missed, s.Topic) {
			missed = append(missed, s.Topic)
			r.refuse("source.kafka: the savepoint has positions in topic %s, which the job does not read: name it as well, or start without the savepoint", s.Topic)
		}
	}
}

// checkURLs is checkSource for URLs. Those that are new are splits from the start; for Kafka's the enumerator finds them.
func (r *restoration) checkURLs(source *plan.HTTPSource) {
	type name struct {
		topic     string
		partition int32
	}
	known := make(map[name]bool)
	for i, s := range r.metadata.Splits {
		if int(s.Number) != i {
			r.refuse("split %d has number %d", i, s.Number)
			return
		}
		known[name{s.Topic, s.Partition}] = true
	}
	for _, s := range source.Splits() {
		if !known[name{s.Name, s.Partition}] {
			r.metadata.Splits = append(r.metadata.Splits, checkpoint.Split{
				Number: int32(len(r.metadata.Splits)), Topic: s.Name, Partition: s.Partition, Stop: kafka.Unbounded,
			})
		}
		delete(known, name{s.Name, s.Partition})
	}
	for gone := range known {
		r.refuse("source.http: the savepoint has a position in %s (%d), which the job does not read: name it as well, or start without the savepoint",
			gone.topic, gone.partition)
	}
}

func reads(source *plan.KafkaSource, topic string) bool {
	if source.TopicPattern == "" {
		return slices.Contains(source.Topics, topic)
	}
	pattern, err := regexp.Compile(`\A(?:` + source.TopicPattern + `)\z`)
	return err == nil && pattern.MatchString(topic)
}

// checkWindow compares the window with the one whose groups the savepoint holds.
func (r *restoration) checkWindow(program *plan.Program) {
	if program.Window == nil || r.old.Window == nil {
		return
	}
	if r.metadata.Checkpoint.Kind == checkpoint.Drain {
		r.refuse("it was taken with --drain: all its windows have fired before their time, and the rows that they lack would be lost; take one without --drain")
	}
	if err := window.CheckFit(r.old.WindowConfig(), program.WindowConfig()); err != nil {
		vertex := r.old.Vertices[len(r.old.Vertices)-1]
		r.refuse("vertex %s (%s): %v", vertex.Name, vertex.ID, err)
	}
}
