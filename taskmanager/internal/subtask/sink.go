package subtask

import (
	"context"
	"fmt"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/connector/mongodb"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/format/csv"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/operator"
)

// openSink opens the end of the job in a subtask of the last vertex.
func (s *Subtask) openSink(ctx context.Context) (*operator.Sink, error) {
	switch {
	case s.program.Job.Sink.CSV != nil:
		return s.openFiles()
	case s.program.Job.Sink.MongoDB != nil:
		return s.openCollection()
	}
	writer, err := s.openTopic(ctx, *s.program.Job.Sink.Kafka, "sink", s.restored.Sink.Transactions)
	if err != nil {
		return nil, fmt.Errorf("open sink: %w", err)
	}
	sink, err := operator.NewKafkaSink(s.program, writer, s.counters, s.host.Alloc)
	if err != nil {
		writer.Close()
	}
	return sink, err
}

// openCollection opens the end of a job that writes to a MongoDB.
func (s *Subtask) openCollection() (*operator.Sink, error) {
	to := s.program.Job.Sink.MongoDB
	config, err := mongodb.NewConfig(*to, to.Upserts(s.program.Window != nil))
	if err != nil {
		return nil, fmt.Errorf("open sink: %w", err)
	}
	writer, err := mongodb.Open(config)
	if err != nil {
		return nil, fmt.Errorf("open sink: %w", err)
	}
	sink, err := operator.NewMongoSink(s.program, writer, s.counters, s.host.Alloc)
	if err != nil {
		writer.Close()
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.troubled = writer
	return sink, nil
}

// openTopic opens a writer, whose name within the job is that of what writes.
func (s *Subtask) openTopic(ctx context.Context, to plan.KafkaSink, name string, restored []checkpoint.Transaction) (*kafka.Writer, error) {
	config, err := kafka.NewWriterConfig(to)
	if err != nil {
		return nil, err
	}
	transactions := make([]kafka.Transaction, len(restored))
	for i, t := range restored {
		transactions[i] = kafka.Transaction(t)
	}
	return kafka.OpenWriter(ctx, config, kafka.Owner{
		JobID: s.self.JobID, Vertex: name, Subtask: s.self.Index, Parallelism: int(s.deploy.GetParallelism()), Attempt: s.self.Attempt,
	}, transactions)
}

// filesExtension is that of part files.
const filesExtension = ".csv"

// openFiles opens the end of a job that writes part files.
func (s *Subtask) openFiles() (*operator.Sink, error) {
	config := s.program.Job.Sink.CSV
	options, err := csv.ParseOptions(config.Options)
	if err != nil {
		return nil, fmt.Errorf("csv options: %w", err)
	}
	encoder, err := csv.NewEncoder(s.program.Sink, options)
	if err != nil {
		return nil, fmt.Errorf("csv encoder: %w", err)
	}
	if err := s.restoreSink(config.Path, s.restored.Sink.Pending, s.deploy.GetManifestEntries()); err != nil {
		return nil, fmt.Errorf("open sink: %w", err)
	}
	writer, err := partfile.New(partfile.Config{
		Dir: config.Path, Job: shortID(s.self.JobID), Subtask: s.self.Index, Attempt: s.self.Attempt,
		Extension: filesExtension, RollSize: config.RollSize, RollInterval: config.RollInterval,
		Next: s.restored.Sink.Next,
	}, encoder)
	if err != nil {
		return nil, fmt.Errorf("open sink: %w", err)
	}
	return operator.NewSink(s.program, writer, s.counters, s.host.Alloc, s.host.Finished), nil
}
