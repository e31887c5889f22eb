package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/failpoint"
	"pencere/pkg/nearest"
	"pencere/pkg/plan"
)

// Writer writes the records of one subtask to a topic.
//
// With exactly-once delivery it follows Flink's KafkaSink: the records between two checkpoints are a transaction; Prepare, at the
// barrier, waits until the brokers have them all; Commit, once the checkpoint is committed, commits the transaction. Commit may be
// repeated, by a Writer that is opened with the transactions of the checkpoint. What is never committed no reader of
// isolation.level read_committed sees.
//
// A Writer is for one goroutine. After an error it must be closed.
type Writer struct {
	config      WriterConfig
	owner       Owner
	coordinator *coordinator

	client   *kgo.Client // writes; nil between transactions
	number   int         // of the transaction that client writes
	prepared []prepared  // oldest first
	closed   bool

	mu     sync.Mutex
	failed error // of the first record that was not written
}

// prepared is a transaction that waits for its checkpoint.
type prepared struct {
	Transaction
	number int
}

// closePatience is how long Close tries to abort what was begun. The broker does it by itself, later.
const closePatience = 2 * time.Second

// OpenWriter returns a Writer. It commits the transactions of the checkpoint that is restored, and aborts what attempts before
// left open. Errors: UnknownTopicError, TransactionTimeoutError, AbortedTransactionError, AuthError, ctx's.
func OpenWriter(ctx context.Context, config WriterConfig, owner Owner, restored []Transaction) (*Writer, error) {
	control, err := config.newClient()
	if err != nil {
		return nil, err
	}
	w := &Writer{config: config, owner: owner, coordinator: &coordinator{sink: config.sink, owner: owner, client: control}}
	if err := w.open(ctx, restored); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *Writer) open(ctx context.Context, restored []Transaction) error {
	for _, t := range restored { // also of a job that was exactly-once before
		if err := w.coordinator.commit(ctx, t); err != nil {
			return err
		}
	}
	if err := w.checkTopic(ctx); err != nil {
		return err
	}
	if !w.transactional() {
		return nil
	}
	if err := w.coordinator.abortInherited(ctx); err != nil {
		return err
	}
	// What the brokers do not allow is to be known before the first record.
	return w.coordinator.abort(ctx, w.owner.transactionalID(w.config.sink.TransactionPrefix, 0))
}

func (w *Writer) transactional() bool { return w.config.sink.Delivery != plan.DeliveryAtLeastOnce }

// checkTopic fails if the topic does not exist: brokers that make topics on demand would make it with settings that nobody chose.
func (w *Writer) checkTopic(ctx context.Context) error {
	topic := w.config.sink.Topic
	admin := kadm.NewClient(w.coordinator.client)
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return fmt.Errorf("look for topic %q: %w", topic, err)
	}
	switch err := topics[topic].Err; {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		all, err := admin.ListTopics(ctx)
		if err != nil {
			all = nil // only the suggestion is missing
		}
		return &UnknownTopicError{Topic: topic, Near: nearest.Name(topic, slices.Sorted(maps.Keys(all)))}
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return &AuthError{What: fmt.Sprintf("topic %q", topic), Err: err}
	case err != nil:
		return fmt.Errorf("look for topic %q: %w", topic, err)
	}
	return nil
}

// Write takes a record, whose bytes must not change any more. It waits while too many are not acknowledged.
func (w *Writer) Write(ctx context.Context, r *kgo.Record) error {
	if err := w.failure(); err != nil {
		return err
	}
	if w.client == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	w.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			w.fail(err)
		}
	})
	return w.failure()
}

// begin makes the client that writes: for one transaction, so that each has an epoch of its own, or for all records.
func (w *Writer) begin() error {
	more := append(slices.Clone(w.config.produce), kgo.RecordPartitioner(w.config.partitioner(w.owner.Subtask)))
	if w.transactional() {
		w.number = w.freeNumber()
		more = append(more,
			kgo.TransactionalID(w.owner.transactionalID(w.config.sink.TransactionPrefix, w.number)),
			kgo.TransactionTimeout(w.config.sink.TransactionTimeout))
	}
	client, err := w.config.newClient(more...)
	if err != nil {
		return err
	}
	w.client = client
	if !w.transactional() {
		return nil
	}
	if err := client.BeginTransaction(); err != nil {
		return w.explain(fmt.Errorf("begin transaction: %w", err))
	}
	return nil
}

// freeNumber returns the least number that no transaction has which may not be committed yet.
func (w *Writer) freeNumber() int {
	for n := 0; ; n++ {
		if !slices.ContainsFunc(w.prepared, func(p prepared) bool { return p.number == n }) {
			return n
		}
	}
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = w.explain(fmt.Errorf("write to topic %q: %w", w.config.sink.Topic, err))
	}
}

func (w *Writer) explain(err error) error {
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return &AuthError{What: fmt.Sprintf("topic %q", w.config.sink.Topic), Err: err}
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("%w: raise max.request.size under properties, and the topic's max.message.bytes", err)
	default:
		return err
	}
}

func (w *Writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// Prepare waits until the brokers have all records, and returns the transactions that are not committed, for the state of a
// checkpoint: also those of earlier calls, whose checkpoints may have failed.
func (w *Writer) Prepare(ctx context.Context) ([]Transaction, error) {
	if w.client != nil {
		if err := w.flush(ctx); err != nil {
			return nil, err
		}
	}
	transactions := make([]Transaction, len(w.prepared))
	for i, p := range w.prepared {
		transactions[i] = p.Transaction
	}
	return transactions, nil
}

func (w *Writer) flush(ctx context.Context) error {
	if err := w.client.Flush(ctx); err != nil {
		return fmt.Errorf("write to topic %q: %w", w.config.sink.Topic, err)
	}
	if err := w.failure(); err != nil {
		return err
	}
	if !w.transactional() {
		return nil
	}
	id, epoch, err := w.client.ProducerID(ctx)
	if err != nil {
		return fmt.Errorf("prepare transaction: %w", err)
	}
	w.prepared = append(w.prepared, prepared{number: w.number, Transaction: Transaction{
		ID: w.owner.transactionalID(w.config.sink.TransactionPrefix, w.number), ProducerID: id, Epoch: epoch,
	}})
	w.client.Close()
	w.client = nil
	failpoint.Hit(failpoint.AfterPrepare)
	return nil
}

// Commit commits transactions that Prepare returned, after the checkpoint that holds them is committed. Those that an earlier
// call has committed are left alone. It may be called after Close.
func (w *Writer) Commit(ctx context.Context, transactions []Transaction) error {
	if w.closed && len(transactions) > 0 {
		control, err := w.config.newClient()
		if err != nil {
			return err
		}
		defer control.Close()
		w.coordinator.client = control
	}
	for _, t := range transactions {
		at := slices.IndexFunc(w.prepared, func(p prepared) bool { return p.Transaction == t })
		if at < 0 {
			continue
		}
		if err := w.coordinator.commit(ctx, t); err != nil {
			return err
		}
		w.prepared = slices.Delete(w.prepared, at, at+1)
	}
	return nil
}

// Close ends the writer. What Prepare has not returned is aborted; the rest is whoever's who has the checkpoint.
func (w *Writer) Close() {
	if w.client != nil {
		w.client.Close()
		w.client = nil
		if w.transactional() {
			ctx, cancel := context.WithTimeout(context.Background(), closePatience)
			defer cancel()
			// Readers would wait for the timeout otherwise; nothing else rests on it.
			_ = w.coordinator.abort(ctx, w.owner.transactionalID(w.config.sink.TransactionPrefix, w.number))
		}
	}
	w.coordinator.client.Close()
	w.closed = true
}
