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

// Next returns the next element of any input, and which. It blocks until there is one, the gate is closed, or ctx ends.
func (g *Gate) Next(ctx context.Context) (input int, e Element, err error) {
	for {
		input, e, err = g.poll()
		if err != nil || input >= 0 {
			return input, e, err
		}
		select {
		case <-g.wake:
		case <-ctx.Done():
			return -1, Element{}, context.Cause(ctx)
		}
	}
}

// poll takes an element if there is one; otherwise input is -1.
func (g *Gate) poll() (input int, e Element, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return -1, Element{}, g.closed
	}
	for k := range g.inputs {
		i := (g.next + k) % len(g.inputs)
		in := g.inputs[i]
		if in.length == 0 {
			continue
		}
		e = in.pop()
		g.next = i + 1
		signal(in.space)
		return i, e, nil
	}
	return -1, Element{}, nil
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
	endOfInput  bool
	senderClose bool
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
