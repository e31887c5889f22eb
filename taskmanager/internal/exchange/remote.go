package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	exchangev1 "pencere/pkg/gen/pencere/exchange/v1"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
)

// remote is the upstream end of an edge to another taskmanager.
type remote struct {
	stream     grpc.ClientStreamingClient[exchangev1.SendRequest, exchangev1.SendResponse]
	cancel     context.CancelFunc
	encoder    encoder
	schemaSent bool
	ended      bool
}

var _ Sender = (*remote)(nil)

// Dial opens an edge from one subtask to another behind conn. The edge lives until EndOfInput is sent, Close is called, or
// ctx ends. Dial returns before the downstream is there; Send then blocks until it is.
func Dial(ctx context.Context, conn grpc.ClientConnInterface, from, to Subtask, alloc memory.Allocator) (Sender, error) {
	ctx, cancel := context.WithCancel(ctx)
	// WaitForReady: the peer may not have started to listen yet; a restart strategy is too coarse for that.
	stream, err := exchangev1.NewExchangeServiceClient(conn).Send(ctx, grpc.WaitForReady(true))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open edge to subtask %d: %w: %w", to.Index, ErrPeerGone, err)
	}
	r := &remote{stream: stream, cancel: cancel, encoder: encoder{alloc: alloc}}
	if err := r.send(&exchangev1.SendRequest{Element: &exchangev1.SendRequest_Open{Open: &exchangev1.Open{
		JobId: from.JobID, Attempt: int32(from.Attempt),
		UpstreamVertexId: from.VertexID, UpstreamSubtaskIndex: int32(from.Index),
		DownstreamVertexId: to.VertexID, DownstreamSubtaskIndex: int32(to.Index),
	}}}); err != nil {
		cancel()
		return nil, err
	}
	return r, nil
}

// Send implements Sender. The context of Dial, not this one, ends a Send that blocks: a gRPC stream has but one.
func (r *remote) Send(_ context.Context, e Element) error {
	defer release(e)
	switch e.Kind {
	case Batch:
		return r.sendBatch(e)
	case Watermark:
		return r.send(&exchangev1.SendRequest{Element: &exchangev1.SendRequest_Watermark{
			Watermark: &exchangev1.Watermark{TimeMs: int64(e.Watermark)}}})
	case Barrier:
		return r.send(&exchangev1.SendRequest{Element: &exchangev1.SendRequest_Barrier{
			Barrier: &exchangev1.Barrier{CheckpointId: uint64(e.Checkpoint), Stops: e.Stops}}})
	case Idle:
		return r.send(&exchangev1.SendRequest{Element: &exchangev1.SendRequest_Idle{Idle: &exchangev1.Idle{}}})
	default:
		return r.sendEnd()
	}
}

func (r *remote) sendBatch(e Element) error {
	if !r.schemaSent {
		schema, err := r.encoder.schema(e.Batch.Schema())
		if err != nil {
			return err
		}
		if err := r.send(&exchangev1.SendRequest{Element: &exchangev1.SendRequest_Schema{Schema: schema}}); err != nil {
			return err
		}
		r.schemaSent = true
	}
	batch, err := r.encoder.batch(e.Batch)
	if err != nil {
		return err
	}
	return r.send(&exchangev1.SendRequest{Element: &exchangev1.SendRequest_Batch{
		Batch: &exchangev1.Batch{Rows: batch, Split: e.Split}}})
}

// sendEnd waits for the downstream's word that it has the end: until then the edge can still break.
func (r *remote) sendEnd() error {
	end := &exchangev1.SendRequest{Element: &exchangev1.SendRequest_EndOfInput{EndOfInput: &exchangev1.EndOfInput{}}}
	if err := r.send(end); err != nil {
		return err
	}
	if _, err := r.stream.CloseAndRecv(); err != nil {
		return fmt.Errorf("end edge: %w: %w", ErrPeerGone, err)
	}
	r.ended = true
	r.cancel()
	return nil
}

func (r *remote) send(m *exchangev1.SendRequest) error {
	err := r.stream.Send(m)
	if errors.Is(err, io.EOF) { // the status of the stream says why
		_, err = r.stream.CloseAndRecv()
	}
	if err != nil {
		return fmt.Errorf("send on edge: %w: %w", ErrPeerGone, err)
	}
	return nil
}

// Close implements Sender.
func (r *remote) Close() {
	if !r.ended {
		r.cancel()
	}
}

// element decodes what a peer sent after Open. A schema message gives no element: ok is false.
func (c *decoder) element(m *exchangev1.SendRequest) (e Element, ok bool, err error) {
	switch x := m.GetElement().(type) {
	case *exchangev1.SendRequest_Schema:
		return Element{}, false, c.schema(x.Schema)
	case *exchangev1.SendRequest_Batch:
		batch, err := c.batch(x.Batch.GetRows())
		return Element{Kind: Batch, Batch: batch, Split: x.Batch.GetSplit()}, err == nil, err
	case *exchangev1.SendRequest_Watermark:
		return Element{Kind: Watermark, Watermark: eventtime.Watermark(x.Watermark.GetTimeMs())}, true, nil
	case *exchangev1.SendRequest_Idle:
		return Element{Kind: Idle}, true, nil
	case *exchangev1.SendRequest_Barrier:
		return Element{Kind: Barrier, Checkpoint: checkpoint.ID(x.Barrier.GetCheckpointId()), Stops: x.Barrier.GetStops()}, true, nil
	case *exchangev1.SendRequest_EndOfInput:
		return Element{Kind: EndOfInput}, true, nil
	default:
		return Element{}, false, fmt.Errorf("unknown element %T on edge", x)
	}
}
