//go:build e2e

package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/plan"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A commit may come again, much later; one that comes too late is an error and never silence. What tells them apart is what this
// broker does to a producer's epoch.
func TestTransactionsOfRealKafka(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	broker := kafkaBroker(t)
	in := newSinkInput(ctx, t, broker)
	open := func(attempt int, timeout time.Duration, restored ...kafka.Transaction) (*kafka.Writer, error) {
		config, err := kafka.NewWriterConfig(plan.KafkaSink{
			Brokers: []string{broker}, Topic: in.topic, Delivery: plan.DeliveryExactlyOnce, TransactionPrefix: "pencere", TransactionTimeout: timeout,
		})
		if err != nil {
			t.Fatal(err)
		}
		return kafka.OpenWriter(ctx, config, kafka.Owner{JobID: in.topic, Vertex: "sink", Parallelism: 1, Attempt: attempt}, restored)
	}
	interval := func(w *kafka.Writer) []kafka.Transaction {
		t.Helper()
		if err := w.Write(ctx, &kgo.Record{Value: []byte("row")}); err != nil {
			t.Fatal(err)
		}
		prepared, err := w.Prepare(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return prepared
	}
	state := func(of kafka.Transaction) kadm.DescribedTransaction {
		described, err := kadm.NewClient(in.kafka).DescribeTransactions(ctx, of.ID)
		if err != nil {
			t.Fatal(err)
		}
		return described[of.ID]
	}

	first, err := open(1, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	committed := interval(first)
	if err := first.Commit(ctx, committed); err != nil {
		t.Fatal(err)
	}
	reread, err := open(2, time.Minute, committed...)
	if err != nil {
		t.Errorf("commit again, now %+v: %v", state(committed[0]), err)
	} else {
		reread.Close()
	}
	used := interval(first) // of the same name
	if used[0].ID != committed[0].ID {
		t.Fatalf("transactions %v and %v have different names", committed, used)
	}
	if again, err := open(2, time.Minute, committed...); err != nil {
		t.Errorf("commit again, with the name in use, now %+v: %v", state(committed[0]), err)
	} else {
		again.Close() // its opening has aborted what attempt 1 left
	}
	t.Logf("in use: %+v, then %+v", used[0], state(used[0]))
	first.Close()
	if _, err := open(3, time.Minute, committed...); err != nil {
		t.Errorf("commit again, with the name's next transaction aborted, now %+v: %v", state(committed[0]), err)
	}

	short, err := open(4, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	late := interval(short)
	short.Close()
	if err := poll(ctx, 100*time.Millisecond, func() (bool, error) { return state(late[0]).State == "CompleteAbort", nil }); err != nil {
		t.Fatalf("the broker has not aborted %+v: %v", state(late[0]), err)
	}
	t.Logf("late: %+v, then %+v", late[0], state(late[0]))
	_, err = open(5, time.Minute, late...)
	if _, ok := errors.AsType[*kafka.AbortedTransactionError](err); !ok {
		t.Errorf("commit what the broker has aborted: %v", err)
	}
	_, err = open(6, time.Hour)
	if _, ok := errors.AsType[*kafka.TransactionTimeoutError](err); !ok {
		t.Errorf("a transaction of an hour: %v", err)
	}
}
