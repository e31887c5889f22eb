package replica

import (
	"context"
	"fmt"

	storagev1 "pencere/pkg/gen/pencere/storage/v1"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"
)

// Memory is the table of jobs without a log beneath it, for whoever simulates jobmanagers: commands go through the state
// machine that a Replica's go through, and are there as long as the Memory is. It is safe for concurrent use.
type Memory struct{ table *table }

// NewMemory returns a table without jobs.
func NewMemory() *Memory { return &Memory{table: newTable()} }

// Apply puts a command into the table. Its error is the command's own or ctx's.
func (m *Memory) Apply(ctx context.Context, c *storagev1.Command) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	data, err := proto.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode command: %w", err)
	}
	if err, failed := m.table.Apply(&raft.Log{Data: data}).(error); failed {
		return err
	}
	return nil
}

// Job is Replica.Job.
func (m *Memory) Job(id string) (*storagev1.Job, error) {
	job, ok := m.table.job(id)
	if !ok {
		return nil, fmt.Errorf("job %s: %w", id, ErrNoJob)
	}
	return job, nil
}

// Jobs is Replica.Jobs.
func (m *Memory) Jobs() []*storagev1.Job { return m.table.all() }
