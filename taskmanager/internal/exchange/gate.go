package exchange

import (
	"context"
	"fmt"
	"sync"

	"pencere/pkg/checkpoint"
)

// inputCapacity is how many elements wait on an input before its sender blocks. Two let a sender fill one while the
// receiver works on the other; more would only hold memory.
const inputCapacity = 2

// Gate joins the inputs of a subtask. The subtask reads with Next; each input has one sender.
//
// Barriers are aligned here: an input that has given its barrier is not read until all inputs have, and the subtask then gets
// the barrier once. So all that it has taken before belongs to the checkpoint, and nothing else does.
type Gate struct {
	inputs []*Input
	wake   chan struct{} // holds a token when there may be something to read

	mu     sync.Mutex
	next   int // the input to look at first, so that none starves
	closed error
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
		input, e, ok, err := g.poll()
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

// poll takes an element if there is one.
func (g *Gate) poll() (input int, e Element, ok bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return All, Element{}, false, g.closed
	}
	for k := range g.inputs {
		i := (g.next + k) % len(g.inputs)
		in := g.inputs[i]
		for in.length > 0 && !in.aligned {
			e := in.pop()
			signal(in.space)
			if e.Kind == Barrier {
				in.aligned, in.barrier = true, e.Checkpoint
				break
			}
			in.drained = in.drained || e.Kind == EndOfInput
			g.next = i + 1
			return i, e, true, nil
		}
	}
	if id, ok := g.alignLocked(); ok {
		return All, Element{Kind: Barrier, Checkpoint: id}, true, nil
	}
	return All, Element{}, false, nil
}

// alignLocked opens the inputs again when each has given its barrier or its end.
func (g *Gate) alignLocked() (checkpoint.ID, bool) {
	var id checkpoint.ID
	waiting := false
	for _, in := range g.inputs {
		if in.drained {
			continue
		}
		if !in.aligned {
			return 0, false
		}
		id, waiting = max(id, in.barrier), true
	}
	if !waiting {
		return 0, false
	}
	for _, in := range g.inputs {
		in.aligned = false
	}
	return id, true
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
	aligned     bool // waits behind barrier
	barrier     checkpoint.ID
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
