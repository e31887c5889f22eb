package exchange

import (
	"testing"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"

	"pgregory.net/rapid"
)

// script is what the sender of an input says: numbered watermarks, the barriers from the first on, and an end.
func script(rt *rapid.T, barriers int) (all []Element) {
	number := 0
	say := func() {
		for range rapid.IntRange(0, 4).Draw(rt, "elements") {
			number++
			all = append(all, Element{Kind: Watermark, Watermark: eventtime.Watermark(number)})
		}
	}
	say()
	for k := range rapid.IntRange(0, barriers).Draw(rt, "barriers before the end") {
		all = append(all, Element{Kind: Barrier, Checkpoint: checkpoint.ID(k + 1)})
		say()
	}
	return append(all, Element{Kind: EndOfInput})
}

// alignment is what a gate must do: it gives what each input says in its order, and an aligned barrier between what comes before
// that barrier on each input and what comes after it.
type alignment struct {
	said    [][]Element // by input, not given yet, barriers too
	aligned checkpoint.ID
	nudged  bool
}

func (m *alignment) take(rt *rapid.T, input int, e Element) {
	if m.nudged != (e.Kind == Nudge) {
		rt.Fatalf("got %+v of %d, nudged %t", e, input, m.nudged)
	}
	if e.Kind == Nudge {
		m.nudged = false
		return
	}
	if input == All {
		m.align(rt, e)
		return
	}
	if next := m.said[input][0]; next != e || e.Kind == Barrier {
		rt.Fatalf("got %+v of input %d, want %+v", e, input, next)
	}
	m.said[input] = m.said[input][1:]
}

func (m *alignment) align(rt *rapid.T, e Element) {
	m.aligned++
	if e.Kind != Barrier || e.Checkpoint != m.aligned {
		rt.Fatalf("got %+v of all inputs, want barrier %d", e, m.aligned)
	}
	for i, said := range m.said {
		switch {
		case len(said) == 0: // has ended
		case said[0].Kind == Barrier && said[0].Checkpoint == e.Checkpoint:
			m.said[i] = said[1:]
		default:
			rt.Fatalf("barrier %d is aligned before input %d gave %+v", e.Checkpoint, i, said[0])
		}
	}
}

func (m *alignment) over() bool {
	for _, said := range m.said {
		if len(said) > 0 {
			return false
		}
	}
	return !m.nudged
}

func TestAlignment(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inputs := rapid.IntRange(1, 4).Draw(rt, "inputs")
		gate, model, unsent := NewGate(inputs), &alignment{}, make([][]Element, inputs)
		barriers := rapid.IntRange(0, 3).Draw(rt, "barriers")
		for i := range inputs {
			unsent[i] = script(rt, barriers)
			model.said = append(model.said, unsent[i])
		}
		send := func(i int) (sent bool) {
			if len(unsent[i]) == 0 {
				return false
			}
			sent, err := gate.Input(i).offer(unsent[i][0])
			if err != nil {
				rt.Fatal(err)
			}
			if sent {
				unsent[i] = unsent[i][1:]
			}
			return sent
		}
		read := func() bool {
			input, e, ok, err := gate.Poll()
			if err != nil {
				rt.Fatal(err)
			}
			if ok {
				model.take(rt, input, e)
			}
			return ok
		}
		for range rapid.IntRange(0, 60).Draw(rt, "steps") {
			switch step := rapid.IntRange(-2, inputs-1).Draw(rt, "step"); step {
			case -2:
				gate.Nudge()
				model.nudged = true
			case -1:
				read()
			default:
				send(step)
			}
		}
		for !model.over() {
			moved := read()
			for i := range inputs {
				moved = send(i) || moved
			}
			if !moved {
				rt.Fatalf("stuck: not given %+v", model.said)
			}
		}
		if read() {
			rt.Fatal("the gate gives more than was said")
		}
	})
}

// A nudge wakes whoever waits in Next.
func TestNudgeWakes(t *testing.T) {
	gate := NewGate(1)
	go gate.Nudge()
	if input, e, err := gate.Next(t.Context()); input != All || e.Kind != Nudge || err != nil {
		t.Errorf("got %+v of %d, %v", e, input, err)
	}
}

// A barrier that one input never gives is given up for a newer one, and a barrier that is older than the newest is nobody's.
func TestNewerBarrierEndsAlignment(t *testing.T) {
	barrier := func(id checkpoint.ID) Element { return Element{Kind: Barrier, Checkpoint: id} }
	row := func(n int) Element { return Element{Kind: Watermark, Watermark: eventtime.Watermark(n)} }
	gate := NewGate(2)
	for _, said := range []struct {
		input int
		what  Element
	}{{0, barrier(5)}, {0, row(1)}, {1, row(2)}, {1, barrier(106)}} {
		if err := gate.Input(said.input).Send(t.Context(), said.what); err != nil {
			t.Fatal(err)
		}
	}
	want := []Element{row(2), row(1)}
	for _, w := range want {
		if _, e, ok, err := gate.Poll(); !ok || err != nil || e != w {
			t.Fatalf("got %+v, %t, %v, want %+v", e, ok, err, w)
		}
	}
	if _, e, ok, _ := gate.Poll(); ok {
		t.Fatalf("got %+v before both inputs gave the barrier", e)
	}
	for _, e := range []Element{barrier(6), barrier(106)} {
		if err := gate.Input(0).Send(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if input, e, ok, err := gate.Poll(); !ok || err != nil || input != All || e.Checkpoint != 106 {
		t.Fatalf("got %+v of %d, %t, %v", e, input, ok, err)
	}
}
