package jobmaster

import (
	"context"
	"sync"
)

// mailbox is a queue without bound: whoever posts to it holds locks of its own and must not wait. What is posted is small
// and rare, one entry for each change of a subtask.
type mailbox struct {
	wake chan struct{} // holds a token when there may be something

	mu    sync.Mutex
	queue []any
}

func newMailbox() *mailbox {
	return &mailbox{wake: make(chan struct{}, 1)}
}

func (b *mailbox) post(e any) {
	b.mu.Lock()
	b.queue = append(b.queue, e)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// drain takes all that was posted.
func (b *mailbox) drain() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	queue := b.queue
	b.queue = nil
	return queue
}

// next returns what was posted first, or ctx's error. Once ctx has ended nothing more is taken.
func (b *mailbox) next(ctx context.Context) (any, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b.mu.Lock()
		if queue := b.queue; len(queue) > 0 {
			e := queue[0]
			b.queue = queue[1:]
			b.mu.Unlock()
			return e, nil
		}
		b.mu.Unlock()
		select {
		case <-b.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
