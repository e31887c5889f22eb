package mongodb

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Document is a row on its way to the collection.
type Document struct {
	Body bson.Raw // with an _id; it must not change any more
	Row  any      // what the caller knows the row by
}

// Refusal is a document that the database does not take, and why.
type Refusal struct {
	Row any
	Err error
}

// Writer writes the documents of one subtask to a collection, in their order, bulk by bulk. One goroutine calls it; Trouble is safe for all.
// While the database does not answer it tries again, for ever, and Write and Flush wait.
type Writer struct {
	config     Config
	client     *mongo.Client
	collection *mongo.Collection
	cancel     context.CancelFunc
	health     *health

	filling []Document
	bytes   int           // of filling
	filled  time.Time     // when the first of filling came
	last    chan struct{} // closed when the latest bulk is done; nil before the first
	queue   chan bulk
	ended   chan struct{}

	mu      sync.Mutex
	refused []Refusal
	failed  error
}

type bulk struct {
	documents []Document
	done      chan struct{}
}

const (
	// bulkBytes closes a bulk: a command may have 48 MB, and one document 16.
	bulkBytes = 8 << 20
	// closePatience is how long Close waits for the connections.
	closePatience = time.Second
)

// Open returns a Writer. It does not wait for the database: what is wrong with it, a later call says.
func Open(config Config) (*Writer, error) {
	h := &health{faults: make(map[string]error)}
	with := *config.client
	client, err := mongo.Connect(with.SetServerMonitor(h.monitor()))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.where(), conceal(err, config.sink.URI))
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{
		config: config, client: client, health: h, cancel: cancel,
		collection: client.Database(config.sink.Database).Collection(config.sink.Collection),
		queue:      make(chan bulk, 1), ended: make(chan struct{}),
	}
	go w.run(ctx)
	return w, nil
}

// Write takes a document. It waits while a bulk is on its way and the next one is full.
func (w *Writer) Write(ctx context.Context, d Document) error {
	if len(w.filling) == 0 {
		w.filled = time.Now()
	}
	w.filling = append(w.filling, d)
	w.bytes += len(d.Body)
	if len(w.filling) < w.config.sink.BulkDocuments && w.bytes < bulkBytes {
		return w.failure()
	}
	return w.send(ctx)
}

// Tick sends documents that wait for others for too long at the time now, if that needs no waiting.
func (w *Writer) Tick(now time.Time) error {
	if len(w.filling) > 0 && now.Sub(w.filled) >= w.config.sink.BulkInterval {
		b := bulk{documents: w.filling, done: make(chan struct{})}
		select {
		case w.queue <- b:
			w.sent(b)
		default:
		}
	}
	return w.failure()
}

func (w *Writer) send(ctx context.Context) error {
	b := bulk{documents: w.filling, done: make(chan struct{})}
	select {
	case w.queue <- b:
		w.sent(b)
		return w.failure()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *Writer) sent(b bulk) {
	w.last = b.done
	w.filling, w.bytes = make([]Document, 0, len(b.documents)), 0
}

// Flush waits until the database has all documents but the refused ones.
func (w *Writer) Flush(ctx context.Context) error {
	if len(w.filling) > 0 {
		if err := w.send(ctx); err != nil {
			return err
		}
	}
	if w.last != nil {
		select {
		case <-w.last:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return w.failure()
}

// Refused returns the documents that the database has refused since the last call.
func (w *Writer) Refused() []Refusal {
	w.mu.Lock()
	defer w.mu.Unlock()
	refused := w.refused
	w.refused = nil
	return refused
}

// Trouble says why nothing is being written, and for how long; "" when all is well.
func (w *Writer) Trouble() (string, time.Duration) { return w.health.trouble() }

// Close ends the writing. What was not flushed may be in the collection or not.
func (w *Writer) Close() {
	w.cancel()
	close(w.queue)
	<-w.ended
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = w.client.Disconnect(ctx) // there is nothing left to say to the database
}

func (w *Writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

func (w *Writer) refuse(d Document, reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = append(w.refused, Refusal{Row: d.Row, Err: reason})
}
