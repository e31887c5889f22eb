package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pencere/pkg/failpoint"
	"pencere/pkg/plan"
)

// Transaction is a transaction whose records are all acknowledged and that is neither committed nor aborted. It is part of a
// checkpoint's state: whoever restores the checkpoint can commit it.
type Transaction struct {
	ID         string // transactional id
	ProducerID int64
	Epoch      int16
}

// AbortedTransactionError says that a transaction of a committed checkpoint is no more.
type AbortedTransactionError struct {
	Transaction Transaction
	Topic       string
	Timeout     time.Duration // of the transaction
	Err         error         // the broker's answer
}

func (e *AbortedTransactionError) Error() string {
	return fmt.Sprintf("transaction %s of topic %q was aborted by the broker before it could be committed (%v): its rows are not in the topic; "+
		"the job was away for longer than transaction_timeout, %s: raise it, and the brokers' transaction.max.timeout.ms with it, "+
		"and start the job anew from an older savepoint to write the rows again", e.Transaction.ID, e.Topic, e.Err, e.Timeout)
}

// Unwrap returns the broker's answer.
func (e *AbortedTransactionError) Unwrap() error { return e.Err }

// TransactionTimeoutError says that the brokers take no transactions that may last so long.
type TransactionTimeoutError struct {
	Wanted time.Duration
	Most   time.Duration // 0 if the broker did not tell
}

func (e *TransactionTimeoutError) Error() string {
	if e.Most == 0 {
		return fmt.Sprintf("transaction_timeout %s is more than the brokers' transaction.max.timeout.ms: lower the one or raise the other", e.Wanted)
	}
	return fmt.Sprintf("transaction_timeout %s is more than the brokers' transaction.max.timeout.ms, %s: lower the one or raise the other", e.Wanted, e.Most)
}

// Owner is the subtask that writes, which the names of its transactions tell.
type Owner struct {
	JobID       string
	Vertex      string // what writes, within the job
	Subtask     int    // index, from 0
	Parallelism int    // of the vertex
	Attempt     int    // of the job
}

// transactionalID names a transaction. An attempt has few numbers, and each in turn: brokers remember names for days.
// Attempts share none, so that one that everyone believes dead cannot fence or abort its successor's.
func (o Owner) transactionalID(prefix string, number int) string {
	return fmt.Sprintf("%s%d-%d-%d", o.common(prefix), o.Subtask, o.Attempt, number)
}

func (o Owner) common(prefix string) string {
	return fmt.Sprintf("%s-%s-%s-", prefix, o.JobID, o.Vertex)
}

// inherits reports whether the transaction of a name is an earlier attempt's, of a subtask that this one took over.
func (o Owner) inherits(prefix, id string) bool {
	rest, ok := strings.CutPrefix(id, o.common(prefix))
	parts := strings.Split(rest, "-")
	if !ok || len(parts) != 3 {
		return false
	}
	subtask, err1 := strconv.Atoi(parts[0])
	attempt, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && attempt < o.Attempt && subtask%o.Parallelism == o.Subtask
}

// coordinator ends transactions, of any producer.
type coordinator struct {
	sink   plan.KafkaSink
	owner  Owner
	client *kgo.Client
}

// errBusy makes a request be made again: the broker still ends a transaction of that name.
var errBusy = kerr.ConcurrentTransactions

// ask calls request until the broker does not answer that it is still busy with another one of the same name.
func ask(ctx context.Context, request func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := request()
		if err != nil && !errors.Is(err, errBusy) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 10 * time.Millisecond, RandomizationFactor: 0.2, Multiplier: 2, MaxInterval: 500 * time.Millisecond,
	}), backoff.WithMaxElapsedTime(0))
	return err
}

// commit commits a transaction. It changes nothing if that happened before, by anybody.
func (c *coordinator) commit(ctx context.Context, t Transaction) error {
	failpoint.Hit(failpoint.BeforeTransaction)
	err := ask(ctx, func() error {
		request := kmsg.NewPtrEndTxnRequest()
		request.TransactionalID, request.ProducerID, request.ProducerEpoch, request.Commit = t.ID, t.ProducerID, t.Epoch, true
		response, err := request.RequestWith(ctx, c.client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(response.ErrorCode)
	})
	switch {
	case err == nil:
		failpoint.Hit(failpoint.AfterTransaction)
		return nil
	case errors.Is(err, kerr.InvalidTxnState):
		return c.aborted(t, err)
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch), errors.Is(err, kerr.InvalidProducerIDMapping):
		return c.tell(ctx, t, err)
	default:
		return fmt.Errorf("commit transaction %s: %w", t.ID, err)
	}
}

func (c *coordinator) aborted(t Transaction, answer error) error {
	return &AbortedTransactionError{Transaction: t, Topic: c.sink.Topic, Timeout: c.sink.TransactionTimeout, Err: answer}
}

// tell finds out what became of a transaction whose producer the broker does not take any more. A name is only used again
// after its transaction was committed, and that makes an epoch of its own; the broker's timeout makes one too.
func (c *coordinator) tell(ctx context.Context, t Transaction, answer error) error {
	described, err := kadm.NewClient(c.client).DescribeTransactions(ctx, t.ID)
	if err != nil {
		return fmt.Errorf("commit transaction %s: %w; describe it: %w", t.ID, answer, err)
	}
	now := described[t.ID]
	switch {
	case errors.Is(now.Err, kerr.TransactionalIDNotFound) && !strings.HasPrefix(t.ID, c.owner.common(c.sink.TransactionPrefix)):
		return nil // of a savepoint, and long ago: the job that took it has committed it
	case errors.Is(now.Err, kerr.TransactionalIDNotFound):
		return c.aborted(t, answer)
	case now.Err != nil:
		return fmt.Errorf("commit transaction %s: %w; describe it: %w", t.ID, answer, now.Err)
	}
	epochs := int(now.ProducerEpoch) - int(t.Epoch)
	if now.ProducerID == t.ProducerID && epochs <= 1 && isAbort(now.State) {
		return c.aborted(t, answer)
	}
	return nil
}

func isAbort(state string) bool {
	return state == "PrepareAbort" || state == "CompleteAbort" || state == "PrepareEpochFence"
}

// abort ends whatever transaction there is of a name, and shuts its producer out.
func (c *coordinator) abort(ctx context.Context, id string) error {
	err := ask(ctx, func() error {
		request := kmsg.NewPtrInitProducerIDRequest()
		request.TransactionalID, request.TransactionTimeoutMillis = &id, int32(c.sink.TransactionTimeout.Milliseconds())
		request.ProducerID, request.ProducerEpoch = -1, -1
		response, err := request.RequestWith(ctx, c.client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(response.ErrorCode)
	})
	if errors.Is(err, kerr.InvalidTransactionTimeout) {
		return &TransactionTimeoutError{Wanted: c.sink.TransactionTimeout, Most: c.longestTimeout(ctx)}
	}
	if errors.Is(err, kerr.TransactionalIDAuthorizationFailed) {
		return &AuthError{What: fmt.Sprintf("transactional id %q", id), Err: err}
	}
	if err != nil {
		return fmt.Errorf("take over transactional id %s: %w", id, err)
	}
	return nil
}

// abortInherited aborts what earlier attempts left open, which no checkpoint can hold any more. A broker that cannot list
// transactions, before Kafka 3.0, ends them by their timeout.
func (c *coordinator) abortInherited(ctx context.Context) error {
	listed, err := kadm.NewClient(c.client).ListTransactions(ctx, nil, []string{"Ongoing"})
	if err != nil && len(listed) == 0 {
		if errors.Is(err, kerr.UnsupportedVersion) {
			return nil
		}
		return fmt.Errorf("list transactions: %w", err)
	}
	for _, t := range listed.Sorted() {
		if t.State == "Ongoing" && c.owner.inherits(c.sink.TransactionPrefix, t.TxnID) {
			if err := c.abort(ctx, t.TxnID); err != nil {
				return err
			}
		}
	}
	return nil
}

// longestTimeout returns the brokers' transaction.max.timeout.ms, 0 if they do not tell.
func (c *coordinator) longestTimeout(ctx context.Context) time.Duration {
	admin := kadm.NewClient(c.client)
	brokers, err := admin.ListBrokers(ctx)
	if err != nil || len(brokers) == 0 {
		return 0
	}
	configs, err := admin.DescribeBrokerConfigs(ctx, brokers[0].NodeID)
	if err != nil {
		return 0
	}
	for _, config := range configs {
		for _, entry := range config.Configs {
			if entry.Key == "transaction.max.timeout.ms" && entry.Value != nil {
				ms, _ := strconv.ParseInt(*entry.Value, 10, 64) // 0 is what is not known
				return time.Duration(ms) * time.Millisecond
			}
		}
	}
	return 0
}
