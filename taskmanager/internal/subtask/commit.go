package subtask

import (
	"context"
	"sync"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/failpoint"
)

// committer tells the consumer group of the positions, beside the loop: a slow broker must not hold records up, and that a
// commit is lost harms nobody, as positions come from the job.
type committer struct {
	reader reader
	ctx    context.Context //nolint:containedctx // the lifetime of the goroutine's commits
	cancel context.CancelFunc
	newest chan []kafka.Position // holds the latest positions not taken yet
	done   sync.WaitGroup
}

// finalCommit is how long the end of a subtask waits for its last commit.
const finalCommit = 2 * time.Second

func newCommitter(reader reader) *committer {
	c := &committer{reader: reader, newest: make(chan []kafka.Position, 1)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.done.Go(c.run)
	return c
}

func (c *committer) run() {
	for positions := range c.newest {
		failpoint.Hit(failpoint.BeforeOffsetCommit)
		_ = c.reader.Commit(c.ctx, positions) // best effort: the next commit says it all again
		failpoint.Hit(failpoint.AfterOffsetCommit)
	}
}

// commit queues positions, in place of any that wait. It does not block.
func (c *committer) commit(positions []kafka.Position) {
	select {
	case <-c.newest:
	default:
	}
	c.newest <- positions
}

// stop lets a last commit through and ends.
func (c *committer) stop() {
	close(c.newest)
	timer := time.AfterFunc(finalCommit, c.cancel)
	defer timer.Stop()
	c.done.Wait()
	c.cancel()
}
