package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// State says what becomes of a split now.
type State string

// The states of a split.
const (
	Reading  State = "reading"
	Waiting  State = "waiting" // for a broker; Reason says which and why
	Finished State = "finished"
)

// SplitStatus is how a split stands.
type SplitStatus struct {
	Topic     string
	Partition int32
	// Offset is that of the next record that Poll will return.
	Offset int64
	// EndOffset is the offset that the partition's next record would get, as of the last answer; -1 before the first.
	EndOffset int64
	State     State
	Reason    string // for people; "" unless Waiting
}

// Status returns how each split stands, in the order of NewReader and Add.
func (r *Reader) Status() []SplitStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	statuses := make([]SplitStatus, len(r.splits))
	for i, p := range r.splits {
		s := SplitStatus{Topic: p.Topic, Partition: p.Partition, Offset: p.next, EndOffset: p.end, State: Reading}
		if p.done {
			s.State = Finished
		} else if why := r.obstacle(p.Split); why != "" {
			s.State, s.Reason = Waiting, why
		}
		statuses[i] = s
	}
	return statuses
}

// obstacle says why a split cannot be read now, or "".
func (r *Reader) obstacle(s Split) string {
	leader, _, err := r.client.PartitionLeader(s.Topic, s.Partition)
	switch {
	case err != nil:
		return fmt.Sprintf("topic %q partition %d has no leader: %s; retrying", s.Topic, s.Partition, reason(err))
	case leader < 0:
		return r.health.any() // no broker told the leader yet
	default:
		return r.health.broker(leader)
	}
}

// Position is how far a partition was processed.
type Position struct {
	Topic     string
	Partition int32
	Offset    int64 // of the next record to process
}

// Commit stores positions as the offsets of the source's group, for others to see the lag: the job itself never reads
// them again. Without a group it does nothing. It may be called beside Poll.
func (r *Reader) Commit(ctx context.Context, positions []Position) error {
	group := r.cfg.source.Group
	if group == "" || len(positions) == 0 {
		return nil
	}
	offsets := make(kadm.Offsets)
	for _, p := range positions {
		offsets.AddOffset(p.Topic, p.Partition, p.Offset, -1)
	}
	if err := r.admin.CommitAllOffsets(ctx, group, offsets); err != nil {
		return fmt.Errorf("commit offsets: %w", groupError(group, err))
	}
	return nil
}
