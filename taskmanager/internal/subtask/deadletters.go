package subtask

import (
	"context"
	"fmt"

	"pencere/pkg/connector/partfile"
	"pencere/pkg/format/csv"
	"pencere/taskmanager/internal/operator"
)

// openDeadLetters opens what takes dead letters in a source subtask; nil for a job that writes none.
func (s *Subtask) openDeadLetters(ctx context.Context) (operator.DeadLetters, error) {
	switch to := s.program.Job.DeadLetters; {
	case to == nil:
		return nil, nil
	case to.Kafka != nil:
		writer, err := s.openTopic(ctx, to.Kafka.Sink(), "dead", s.restored.DeadLetters.Transactions)
		if err != nil {
			return nil, fmt.Errorf("open dead letters: %w", err)
		}
		return operator.NewDeadLetterTopic(writer), nil
	default:
		return s.openDeadLetterFiles()
	}
}

func (s *Subtask) openDeadLetterFiles() (operator.DeadLetters, error) {
	config, ref := s.program.Job.DeadLetters.CSV, s.deploy.GetSubtask()
	encoder, err := csv.NewEncoder(operator.DeadLetterSchema(), csv.Options{})
	if err != nil {
		return nil, fmt.Errorf("csv encoder: %w", err)
	}
	if err := s.restoreSink(config.Path, s.restored.DeadLetters.Pending, s.deploy.GetDeadLetterEntries()); err != nil {
		return nil, fmt.Errorf("open dead letters: %w", err)
	}
	writer, err := partfile.New(partfile.Config{
		Dir: config.Path, Job: shortID(ref.GetJobId()), Subtask: int(ref.GetSubtaskIndex()), Attempt: int(ref.GetAttempt()),
		Extension: filesExtension, RollSize: config.RollSize, RollInterval: config.RollInterval,
		Next: s.restored.DeadLetters.Next,
	}, encoder)
	if err != nil {
		return nil, fmt.Errorf("open dead letters: %w", err)
	}
	return operator.NewDeadLetterFiles(writer, s.host.Alloc), nil
}
