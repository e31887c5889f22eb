package exchange

import (
	"context"
	"fmt"
	"sync"
)

// inputCapacity is how many elements wait on an input before its sender blocks. Two let a sender fill one while the
// receiver works on the other; more would only hold memory.
const inputCapacity = 2

// Gate joins the inputs of a subtask. The subtask reads with Next; each input has one sender.
//
// Barriers are aligned here: an input that has given its barrier is not read until all inputs have, and the subtask then gets
// the barrier once. So all that it has taken before belongs to the checkpoint, and nothing else does. A newer barrier ends the
// alignment of an older one, which some input may never give: the jobmanager that wanted it may be gone.
type Gate struct {
	inputs []*Input
	wake   chan struct{} // holds a token when there may be something to read

	mu      sync.Mutex
	next    int     // the input to look at first, so that none starves
	barrier Element // the one that inputs wait behind
	nudged  bool
	closed  error
}

// NewGate returns a gate of n inputs.
func NewGate(n int) *Gate {
	g := &Gate{wake: make(chan struct{}, 1)}
	for range n {
		g.inputs = append(g.inputs, &Input{gate: g, space: make(chan struct{}, 1)})
	}
	return g
}

// Input returns the sender's end of input i.
func (g *Gate) Input(i int) *Input { return g.inputs[i] }

// Inputs returns the number of inputs.
func (g *Gate) Inputs() int { return len(g.inputs) }

// All is the input of an element that is of all inputs: an aligned barrier.
const All = -1

// Next returns the next element of any input, and which; an aligned barrier's is All. It blocks until there is one, the gate
// is closed, or ctx ends.
func (g *Gate) Next(ctx context.Context) (int, Element, error) {
	for {
		input, e, ok, err := g.Poll()
		if err != nil || ok {
			return input, e, err
		}
		select {
		case <-g.wake:
		case <-ctx.Done():
			return All, Element{}, context.Cause(ctx)
		}
	}
}

// Poll is Next without waiting: ok says whether there was an element.
func (g *Gate) Poll() (input int, e Element, ok bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return All, Element{}, false, g.closed
	}
	if g.nudged { // before rows, of which there may always be some
		g.nudged = false
		return All, Element{Kind: Nudge}, true, nil
	}
	for k := 0; k < len(g.inputs); k++ {
		i := (g.next + k) % len(g.inputs)
		in := g.inputs[i]
		for in.length > 0 && !in.aligned {
			e := in.pop()
			signal(in.space)
			if e.Kind == Barrier {
				if g.barrierLocked(in, e) {
					k = -1 // inputs that were looked at may be read again
				}
				continue
			}
			in.drained = in.drained || e.Kind == EndOfInput
			g.next = i + 1
			return i, e, true, nil
		}
	}
	if g.alignLocked() {
		return All, g.barrier, true, nil
	}
	return All, Element{}, false, nil
}

// barrierLocked takes a barrier of an input, and reports whether it opened other inputs again.
func (g *Gate) barrierLocked(in *Input, e Element) (opened bool) {
	if e.Checkpoint < g.barrier.Checkpoint {
		return false
	}
	if e.Checkpoint > g.barrier.Checkpoint {
		for _, other := range g.inputs {
			opened = opened || other.aligned
			other.aligned = false
		}
	}
	in.aligned, g.barrier = true, e
	return opened
}

// alignLocked opens the inputs again when each has given its barrier or its end.
func (g *Gate) alignLocked() bool {
	waiting := false
	for _, in := range g.inputs {
		if !in.aligned && !in.drained {
			return false
		}
		waiting = waiting || in.aligned
	}
	for _, in := range g.inputs {
		in.aligned = false
	}
	return waiting
}

// Nudge makes Next return a Nudge soon, once for all calls before it.
func (g *Gate) Nudge() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nudged = true
	signal(g.wake)
}

// Close ends the gate: Next and every Send return err from then on, and what waits is released. The first call counts.
func (g *Gate) Close(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return
	}
	g.closed = err
	for _, in := range g.inputs {
		for in.length > 0 {
			release(in.pop())
		}
		signal(in.space)
	}
	signal(g.wake)
}

// Input is one input of a gate: the downstream end of a local edge.
type Input struct {
	gate  *Gate
	space chan struct{} // holds a token when there may be room

	// guarded by gate.mu
	queue       [inputCapacity]Element
	head        int
	length      int
	endOfInput  bool // was put into the queue
	drained     bool // was taken from it
	senderClose bool
	aligned     bool // has given its barrier and waits for the others
}

var _ Sender = (*Input)(nil)

// Send implements Sender.
func (in *Input) Send(ctx context.Context, e Element) error {
	for {
		sent, err := in.offer(e)
		if sent {
			return nil
		}
		if err != nil {
			release(e)
			return err
		}
		select {
		case <-in.space:
		case <-ctx.Done():
			release(e)
			return context.Cause(ctx)
		}
	}
}

func (in *Input) offer(e Element) (sent bool, err error) {
	in.gate.mu.Lock()
	defer in.gate.mu.Unlock()
	if in.gate.closed != nil {
		return false, fmt.Errorf("send to a closed input: %w (%w)", ErrPeerGone, in.gate.closed)
	}
	if in.length == inputCapacity {
		return false, nil
	}
	in.queue[(in.head+in.length)%inputCapacity] = e
	in.length++
	in.endOfInput = in.endOfInput || e.Kind == EndOfInput
	signal(in.gate.wake)
	return true, nil
}

// Close implements Sender.
func (in *Input) Close() {
	in.gate.mu.Lock()
	ended := in.endOfInput || in.senderClose
	in.senderClose = true
	in.gate.mu.Unlock()
	if !ended {
		in.gate.Close(fmt.Errorf("input closed before its end: %w", ErrPeerGone))
	}
}

func (in *Input) pop() Element {
	e := in.queue[in.head]
	in.queue[in.head] = Element{}
	in.head = (in.head + 1) % inputCapacity
	in.length--
	return e
}

// signal leaves a token in c unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func release(e Element) {
	if e.Batch != nil {
		e.Batch.Release()
	}
}
