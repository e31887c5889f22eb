package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	exchangev1 "pencere/pkg/gen/pencere/exchange/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Hub knows the gates of a taskmanager's subtasks and feeds them what peers send. It is the server side of the exchange.
type Hub struct {
	exchangev1.UnimplementedExchangeServiceServer

	mu      sync.Mutex
	gates   map[Subtask]*Gate
	arrived chan struct{} // closed and replaced when a gate is registered
}

// NewHub returns a hub without gates.
func NewHub() *Hub {
	return &Hub{gates: make(map[Subtask]*Gate), arrived: make(chan struct{})}
}

// Register makes a subtask's gate reachable for its upstreams, input i for upstream subtask i.
func (h *Hub) Register(s Subtask, g *Gate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gates[s] = g
	close(h.arrived)
	h.arrived = make(chan struct{})
}

// Unregister forgets a subtask's gate.
func (h *Hub) Unregister(s Subtask) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.gates, s)
}

// Gate waits for a subtask's gate: an upstream may be deployed before its downstream.
func (h *Hub) Gate(ctx context.Context, s Subtask) (*Gate, error) {
	for {
		h.mu.Lock()
		gate, arrived := h.gates[s], h.arrived
		h.mu.Unlock()
		if gate != nil {
			return gate, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Send implements the exchange service: one call is one edge.
func (h *Hub) Send(stream grpc.ClientStreamingServer[exchangev1.SendRequest, exchangev1.SendResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	open := first.GetOpen()
	if open == nil {
		return status.Error(codes.InvalidArgument, "the first message of an edge must open it")
	}
	gate, err := h.Gate(stream.Context(), Subtask{
		JobID: open.GetJobId(), VertexID: open.GetDownstreamVertexId(),
		Index: int(open.GetDownstreamSubtaskIndex()), Attempt: int(open.GetAttempt()),
	})
	if err != nil {
		return status.FromContextError(err).Err()
	}
	upstream := int(open.GetUpstreamSubtaskIndex())
	if upstream < 0 || upstream >= gate.Inputs() {
		return status.Errorf(codes.InvalidArgument, "upstream subtask %d of an edge with %d inputs", upstream, gate.Inputs())
	}
	if err := feed(stream, gate.Input(upstream)); err != nil {
		gate.Close(fmt.Errorf("receive from subtask %d: %w", upstream, err))
		return status.Error(codes.Aborted, err.Error())
	}
	return stream.SendAndClose(&exchangev1.SendResponse{})
}

// feed copies elements from a stream to an input until the end of input. While the input is full it does not read:
// the stream's window then fills and stops the sender.
func feed(stream grpc.ClientStreamingServer[exchangev1.SendRequest, exchangev1.SendResponse], in *Input) error {
	var dec decoder
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("edge closed before its end: %w", ErrPeerGone)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrPeerGone, err)
		}
		e, ok, err := dec.element(m)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := in.Send(stream.Context(), e); err != nil {
			return err
		}
		if e.Kind == EndOfInput {
			return nil
		}
	}
}
