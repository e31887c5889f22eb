package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pencere/pkg/eventtime"
	exchangev1 "pencere/pkg/gen/pencere/exchange/v1"
	"pencere/pkg/sqltype"
	"pencere/taskmanager/internal/exchange"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"pgregory.net/rapid"
)

var schema = sqltype.Schema{
	{Name: "n", Type: sqltype.BigIntType}, {Name: "text", Type: sqltype.StringType}, {Name: "ts", Type: sqltype.TimestampType(3)},
	{Name: "yes", Type: sqltype.BooleanType}, {Name: "money", Type: sqltype.DecimalType(20, 2)}, {Name: "raw", Type: sqltype.BytesType},
}.Arrow()

// batchOf returns rows numbered from first, some values of which are NULL.
func batchOf(first, rows int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := first; i < first+rows; i++ {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		if i%3 == 0 {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("satır %d", i))
		}
		b.Field(2).(*array.Decimal128Builder).Append(sqltype.TimestampValue(int64(i)*1000, uint32(i%1_000_000)))
		b.Field(3).(*array.BooleanBuilder).Append(i%2 == 0)
		b.Field(4).(*array.Decimal128Builder).AppendNull()
		b.Field(5).(*array.BinaryBuilder).Append([]byte{byte(i)})
	}
	return b.NewRecordBatch()
}

// peer is a hub that listens, and a connection to it.
func peer(t testing.TB) (*exchange.Hub, *grpc.ClientConn) {
	hub := exchange.NewHub()
	server := grpc.NewServer()
	exchangev1.RegisterExchangeServiceServer(server, hub)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return hub, conn
}

var (
	upstream   = exchange.Subtask{JobID: "job", VertexID: "a", Index: 0, Attempt: 1}
	downstream = exchange.Subtask{JobID: "job", VertexID: "b", Index: 2, Attempt: 1}
)

// What is sent over a remote edge arrives whole and in order.
func TestRemoteEdge(t *testing.T) {
	hub, conn := peer(t)
	sender, err := exchange.Dial(t.Context(), conn, upstream, downstream, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	gate := exchange.NewGate(1)
	hub.Register(downstream, gate) // after Dial: the upstream may come first
	var sent []exchange.Element
	for i := range 20 {
		sent = append(sent, exchange.Element{Kind: exchange.Batch, Batch: batchOf(i*100, 100)},
			exchange.Element{Kind: exchange.Watermark, Watermark: eventtime.Watermark(i * 1000)})
	}
	sent = append(sent, exchange.Element{Kind: exchange.Idle}, exchange.Element{Kind: exchange.EndOfInput})
	failed := make(chan error, 1)
	go func() {
		for _, e := range sent {
			if e.Batch != nil {
				e.Batch.Retain()
			}
			if err := sender.Send(t.Context(), e); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	for i, want := range sent {
		input, got, err := gate.Next(t.Context())
		if err != nil || input != 0 {
			t.Fatalf("element %d: input %d, %v", i, input, err)
		}
		if got.Kind != want.Kind || got.Watermark != want.Watermark {
			t.Fatalf("element %d is %v, want %v", i, got, want)
		}
		if want.Kind == exchange.Batch && !array.RecordEqual(got.Batch, want.Batch) {
			t.Fatalf("batch %d is %v, want %v", i, got.Batch, want.Batch)
		}
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// A receiver that does not read stops its sender, and nobody else on the same connection.
func TestBackpressure(t *testing.T) {
	hub, conn := peer(t)
	stopped, flowing := exchange.NewGate(1), exchange.NewGate(1)
	other := downstream
	other.Index = 3
	hub.Register(downstream, stopped)
	hub.Register(other, flowing)
	ctx, cancel := context.WithCancel(t.Context())
	blocked, err := exchange.Dial(ctx, conn, upstream, downstream, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	free, err := exchange.Dial(t.Context(), conn, upstream, other, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	batch := batchOf(0, 20_000) // some 600 KB, more than a stream's window
	defer batch.Release()
	full := func() exchange.Element {
		batch.Retain()
		return exchange.Element{Kind: exchange.Batch, Batch: batch}
	}
	ended := make(chan int, 1)
	go func() {
		sent := 0
		for blocked.Send(ctx, full()) == nil {
			sent++
		}
		ended <- sent
	}()
	for range 50 {
		if err := free.Send(t.Context(), full()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := flowing.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if sent := <-ended; sent > 40 {
		t.Errorf("%d batches were sent to a receiver that reads none", sent)
	}
}

// An edge that breaks before its end fails the receiver, whichever side it is that goes.
func TestBrokenEdge(t *testing.T) {
	for name, breakEdge := range map[string]func(exchange.Sender, context.CancelFunc){
		"sender closes": func(s exchange.Sender, _ context.CancelFunc) { s.Close() },
		"sender dies":   func(_ exchange.Sender, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			hub, conn := peer(t)
			gate := exchange.NewGate(1)
			hub.Register(downstream, gate)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			sender, err := exchange.Dial(ctx, conn, upstream, downstream, memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			if err := sender.Send(ctx, exchange.Element{Kind: exchange.Watermark, Watermark: 1}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := gate.Next(ctx); err != nil {
				t.Fatal(err)
			}
			breakEdge(sender, cancel)
			if _, _, err := gate.Next(t.Context()); !errors.Is(err, exchange.ErrPeerGone) {
				t.Errorf("error after the edge broke = %v, want ErrPeerGone", err)
			}
		})
	}
}

func TestReceiverGoes(t *testing.T) {
	hub, conn := peer(t)
	gate := exchange.NewGate(1)
	hub.Register(downstream, gate)
	sender, err := exchange.Dial(t.Context(), conn, upstream, downstream, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	gate.Close(errors.New("disk full"))
	for {
		if err := sender.Send(t.Context(), exchange.Element{Kind: exchange.Watermark}); err != nil {
			if !errors.Is(err, exchange.ErrPeerGone) {
				t.Errorf("error of Send = %v, want ErrPeerGone", err)
			}
			return
		}
	}
}

// Each input keeps its order, nothing is lost or made up, and no input starves, whatever the timing.
func TestGateKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inputs := rapid.IntRange(1, 5).Draw(t, "inputs")
		counts := rapid.SliceOfN(rapid.IntRange(0, 30), inputs, inputs).Draw(t, "counts")
		gate := exchange.NewGate(inputs)
		var senders sync.WaitGroup
		for i, n := range counts {
			senders.Go(func() {
				for k := range n {
					if err := gate.Input(i).Send(context.Background(), exchange.Element{Kind: exchange.Watermark, Watermark: eventtime.Watermark(k)}); err != nil {
						panic(err)
					}
				}
				if err := gate.Input(i).Send(context.Background(), exchange.Element{Kind: exchange.EndOfInput}); err != nil {
					panic(err)
				}
			})
		}
		next := make([]int, inputs)
		for open := inputs; open > 0; {
			i, e, err := gate.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == exchange.EndOfInput {
				if next[i] != counts[i] {
					t.Fatalf("input %d ended after %d of %d", i, next[i], counts[i])
				}
				open--
				continue
			}
			if int(e.Watermark) != next[i] {
				t.Fatalf("input %d gave %d, want %d", i, e.Watermark, next[i])
			}
			next[i]++
		}
		senders.Wait()
	})
}

// Whoever waits is woken by the end of the gate or of its context, and by nothing else.
func TestGateWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := exchange.NewGate(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, err := gate.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next of an empty gate = %v", err)
		}
		for range 2 {
			if err := gate.Input(0).Send(t.Context(), exchange.Element{Kind: exchange.Idle}); err != nil {
				t.Fatal(err)
			}
		}
		full, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := gate.Input(0).Send(full, exchange.Element{Kind: exchange.Idle}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Send to a full input = %v", err)
		}
		errs := make(chan error, 1)
		go func() { errs <- gate.Input(0).Send(t.Context(), exchange.Element{Kind: exchange.Idle}) }()
		synctest.Wait()
		why := errors.New("cancelled")
		gate.Close(why)
		if err := <-errs; !errors.Is(err, why) || !errors.Is(err, exchange.ErrPeerGone) {
			t.Errorf("Send to a closed gate = %v", err)
		}
		if _, _, err := gate.Next(t.Context()); !errors.Is(err, why) {
			t.Errorf("Next of a closed gate = %v", err)
		}
	})
}

func BenchmarkRemoteEdge(b *testing.B) {
	hub, conn := peer(b)
	gate := exchange.NewGate(1)
	hub.Register(downstream, gate)
	sender, err := exchange.Dial(b.Context(), conn, upstream, downstream, memory.DefaultAllocator)
	if err != nil {
		b.Fatal(err)
	}
	const rows = 4096
	batch := batchOf(0, rows)
	b.ResetTimer()
	go func() {
		for range b.N {
			batch.Retain()
			if sender.Send(b.Context(), exchange.Element{Kind: exchange.Batch, Batch: batch}) != nil {
				return
			}
		}
	}()
	for range b.N {
		_, e, err := gate.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		e.Batch.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}

func BenchmarkLocalEdge(b *testing.B) {
	gate := exchange.NewGate(1)
	go func() {
		for range b.N {
			if gate.Input(0).Send(b.Context(), exchange.Element{Kind: exchange.Watermark}) != nil {
				return
			}
		}
	}()
	for range b.N {
		if _, _, err := gate.Next(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
