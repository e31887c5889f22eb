package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"pencere/pkg/plan"
)

// newSinkCluster has a topic "out" of three partitions.
func newSinkCluster(t *testing.T, opts ...kfake.Opt) *testCluster {
	t.Helper()
	return newCluster(t, append([]kfake.Opt{kfake.SeedTopics(3, "out")}, opts...)...)
}

func (c *testCluster) sink(change ...func(*plan.KafkaSink)) WriterConfig {
	c.t.Helper()
	sink := plan.KafkaSink{
		Brokers: c.ListenAddrs(), Topic: "out", Delivery: plan.DeliveryExactlyOnce,
		TransactionPrefix: "pencere", TransactionTimeout: time.Minute,
	}
	for _, f := range change {
		f(&sink)
	}
	config, err := NewWriterConfig(sink)
	if err != nil {
		c.t.Fatal(err)
	}
	return config
}

// testWriter is a Writer that can die.
type testWriter struct {
	*Writer
	cluster *testCluster
}

func owner(attempt int) Owner {
	return Owner{JobID: "job", Vertex: "sink", Subtask: 0, Parallelism: 1, Attempt: attempt}
}

func (c *testCluster) writer(config WriterConfig, attempt int, restored ...Transaction) *testWriter {
	c.t.Helper()
	w, err := OpenWriter(c.ctx, config, owner(attempt), restored)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(w.kill)
	return &testWriter{Writer: w, cluster: c}
}

// kill ends the writer as the end of its process does: nobody is told.
func (w *Writer) kill() {
	if w.client != nil {
		w.client.Close()
	}
	w.coordinator.client.Close()
}

func (w *testWriter) write(values ...string) {
	w.cluster.t.Helper()
	for _, value := range values {
		if err := w.Write(w.cluster.ctx, &kgo.Record{Key: []byte(value), Value: []byte(value)}); err != nil {
			w.cluster.t.Fatal(err)
		}
	}
}

func (w *testWriter) prepare() []Transaction {
	w.cluster.t.Helper()
	transactions, err := w.Prepare(w.cluster.ctx)
	if err != nil {
		w.cluster.t.Fatal(err)
	}
	return transactions
}

func (w *testWriter) commit(transactions []Transaction) {
	w.cluster.t.Helper()
	if err := w.Commit(w.cluster.ctx, transactions); err != nil {
		w.cluster.t.Fatal(err)
	}
}

// committed returns what a reader of isolation.level read_committed sees in the topic, sorted. It fails when a transaction
// is open, behind which such a reader waits.
func (c *testCluster) committed() []string {
	c.t.Helper()
	values := []string{}
	for _, r := range c.committedRecords() {
		values = append(values, string(r.Value))
	}
	slices.Sort(values)
	return values
}

func (c *testCluster) committedRecords() []*kgo.Record {
	c.t.Helper()
	ends, err := c.admin.ListEndOffsets(c.ctx, "out")
	if err != nil {
		c.t.Fatal(err)
	}
	stable, err := c.admin.ListCommittedOffsets(c.ctx, "out")
	if err != nil {
		c.t.Fatal(err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		if at, _ := stable.Lookup("out", end.Partition); at.Offset != end.Offset {
			c.t.Fatalf("partition %d is readable up to %d of %d: a transaction is open", end.Partition, at.Offset, end.Offset)
		}
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("out"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	missing := map[int32]bool{}
	ends.Each(func(end kadm.ListedOffset) { missing[end.Partition] = end.Offset > 0 })
	var records []*kgo.Record
	for slices.Contains([]bool{missing[0], missing[1], missing[2]}, true) {
		fetches := client.PollFetches(c.ctx)
		if err := fetches.Err(); err != nil {
			c.t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if end, _ := ends.Lookup("out", r.Partition); r.Offset == end.Offset-1 {
				missing[r.Partition] = false
			}
		})
	}
	return records
}

func (c *testCluster) wantCommitted(want ...string) {
	c.t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), c.committed()); diff != "" {
		c.t.Errorf("committed records differ (-want +got):\n%s", diff)
	}
}

// A writer dies at each point of the protocol, and another goes on from the newest checkpoint.
func TestWriterCrashes(t *testing.T) {
	for name, test := range map[string]struct {
		crash func(w *testWriter) (checkpoint []Transaction)
		want  string // what of a and b, of the first two intervals, is there
	}{
		"before the flush": {func(w *testWriter) []Transaction {
			w.write("a1", "a2")
			return nil
		}, ""},
		"before the checkpoint": {func(w *testWriter) []Transaction {
			w.write("a1", "a2")
			w.prepare()
			return nil
		}, ""},
		"before the commit": {func(w *testWriter) []Transaction {
			w.write("a1", "a2")
			return w.prepare()
		}, "a1 a2"},
		"after the commit": {func(w *testWriter) []Transaction {
			w.write("a1", "a2")
			checkpoint := w.prepare()
			w.commit(checkpoint)
			return checkpoint
		}, "a1 a2"},
		"before the commit, with the next one begun": {func(w *testWriter) []Transaction {
			w.write("a1", "a2")
			checkpoint := w.prepare()
			w.write("b1")
			w.prepare()
			w.write("c1")
			return checkpoint
		}, "a1 a2"},
		"after the commit, with the name in use again": {func(w *testWriter) []Transaction {
			w.write("a1", "a2")
			checkpoint := w.prepare()
			w.commit(checkpoint)
			w.write("b1")
			w.prepare()
			return checkpoint
		}, "a1 a2"},
		"after a checkpoint that failed": {func(w *testWriter) []Transaction {
			w.write("a1", "a2")
			w.prepare()
			w.write("b1")
			return w.prepare()
		}, "a1 a2 b1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newSinkCluster(t)
			dead := c.writer(c.sink(), 1)
			checkpoint := test.crash(dead)
			dead.kill()
			again := c.writer(c.sink(), 2, checkpoint...) // dies at once
			again.kill()
			w := c.writer(c.sink(), 3, checkpoint...)
			w.write("z1")
			w.commit(w.prepare())
			c.wantCommitted(append(strings.Fields(test.want), "z1")...)
		})
	}
}

// Whatever is written, checkpointed and killed in whatever order, the topic holds what the checkpoints do.
func TestWriterModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newSinkCluster(t)
		defer c.Close()
		attempt, next := 1, 0
		w := c.writer(c.sink(), attempt)
		var checkpoint []Transaction               // of the newest one
		want, waiting := []string{}, []string(nil) // committed or sure to be; not in a checkpoint yet
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0, 1:
				value := fmt.Sprintf("%03d", next)
				next++
				w.write(value)
				waiting = append(waiting, value)
			case 2: // a checkpoint that completes
				checkpoint = w.prepare()
				want, waiting = append(want, waiting...), nil
			case 3: // one that fails
				w.prepare()
			case 4:
				w.commit(checkpoint)
			case 5:
				w.kill()
				attempt++
				w = c.writer(c.sink(), attempt, checkpoint...)
				waiting = nil
			}
		}
		w.kill()
		c.writer(c.sink(), attempt+1, checkpoint...).kill()
		if diff := cmp.Diff(want, c.committed()); diff != "" {
			rt.Fatalf("committed records differ (-want +got):\n%s", diff)
		}
	})
}

// An attempt that everyone believes dead writes on: nothing of it is seen, and it is told.
func TestZombieIsFenced(t *testing.T) {
	c := newSinkCluster(t)
	zombie := c.writer(c.sink(), 1)
	zombie.write("zombie")
	if err := zombie.client.Flush(c.ctx); err != nil {
		t.Fatal(err)
	}
	w := c.writer(c.sink(), 2)
	w.write("a")
	w.commit(w.prepare())
	err := zombie.Write(c.ctx, &kgo.Record{Value: []byte("zombie again")})
	if err == nil {
		_, err = zombie.Prepare(c.ctx)
	}
	if err == nil {
		t.Error("the zombie could go on")
	}
	c.wantCommitted("a")
}

// A zombie holds the checkpoint that its successor goes on from, too, and both commit it; what it begins then is its own.
func TestZombieCommits(t *testing.T) {
	c := newSinkCluster(t)
	zombie := c.writer(c.sink(), 1)
	zombie.write("a")
	checkpoint := zombie.prepare()
	c.writer(c.sink(), 2, checkpoint...).kill()
	zombie.commit(checkpoint)
	zombie.write("zombie")
	zombie.prepare()
	c.writer(c.sink(), 3, checkpoint...)
	c.wantCommitted("a")
}

// What the broker aborted because the job was away for too long is lost, and that is said.
func TestTransactionTimedOut(t *testing.T) {
	c := newSinkCluster(t)
	config := c.sink(func(s *plan.KafkaSink) { s.TransactionTimeout = 50 * time.Millisecond })
	w := c.writer(config, 1)
	w.write("a")
	checkpoint := w.prepare()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		described, err := c.admin.DescribeTransactions(c.ctx, checkpoint[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if described[checkpoint[0].ID].State != "Ongoing" {
			break
		}
		<-tick.C
	}
	for range 2 { // it stays so
		_, err := OpenWriter(c.ctx, config, owner(2), checkpoint)
		lost := wantError[*AbortedTransactionError](t, err)
		if lost.Transaction != checkpoint[0] || lost.Topic != "out" {
			t.Errorf("%+v", lost)
		}
	}
	err := w.Commit(c.ctx, checkpoint)
	_ = wantError[*AbortedTransactionError](t, err)
}

// A timeout that the brokers do not allow is told at once, with theirs.
func TestTransactionTimeoutLimit(t *testing.T) {
	c := newSinkCluster(t, kfake.BrokerConfigs(map[string]string{"transaction.max.timeout.ms": "5000"}))
	_, err := OpenWriter(c.ctx, c.sink(), owner(1), nil)
	if e := wantError[*TransactionTimeoutError](t, err); *e != (TransactionTimeoutError{Wanted: time.Minute, Most: 5 * time.Second}) {
		t.Errorf("%v", e)
	}
}

func TestWriterWithoutTopic(t *testing.T) {
	c := newSinkCluster(t)
	_, err := OpenWriter(c.ctx, c.sink(func(s *plan.KafkaSink) { s.Topic = "ou" }), owner(1), nil)
	if e := wantError[*UnknownTopicError](t, err); *e != (UnknownTopicError{Topic: "ou", Near: "out"}) {
		t.Errorf("%v", e)
	}
}

// A writer that is closed in an orderly way lets readers pass at once, and keeps what a checkpoint may hold.
func TestWriterClose(t *testing.T) {
	c := newSinkCluster(t)
	w := c.writer(c.sink(), 1)
	w.write("a")
	checkpoint := w.prepare()
	w.write("b")
	w.Close()
	c.writer(c.sink(), 2, checkpoint...)
	c.wantCommitted("a")
}

// With another parallelism a subtask ends the transactions of all those that it took over.
func TestAbortsOfOthers(t *testing.T) {
	c := newSinkCluster(t)
	for subtask := range 4 {
		w, err := OpenWriter(c.ctx, c.sink(), Owner{JobID: "job", Vertex: "sink", Subtask: subtask, Parallelism: 4, Attempt: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		(&testWriter{w, c}).write("lost")
		if err := w.client.Flush(c.ctx); err != nil {
			t.Fatal(err)
		}
		w.kill()
	}
	for subtask := range 2 {
		w, err := OpenWriter(c.ctx, c.sink(), Owner{JobID: "job", Vertex: "sink", Subtask: subtask, Parallelism: 2, Attempt: 2}, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.kill()
	}
	c.wantCommitted()
}

func TestAtLeastOnce(t *testing.T) {
	c := newSinkCluster(t)
	w := c.writer(c.sink(func(s *plan.KafkaSink) { s.Delivery = plan.DeliveryAtLeastOnce }), 1)
	w.write("a")
	if pending := w.prepare(); len(pending) > 0 {
		t.Errorf("%v is pending", pending)
	}
	c.wantCommitted("a")
}

func TestCompression(t *testing.T) {
	for codec, want := range map[plan.Compression]uint8{
		plan.CompressionNone: 0, plan.CompressionGzip: 1, plan.CompressionSnappy: 2, plan.CompressionLZ4: 3, plan.CompressionZstd: 4,
	} {
		t.Run(string(codec), func(t *testing.T) {
			t.Parallel()
			c := newSinkCluster(t)
			w := c.writer(c.sink(func(s *plan.KafkaSink) { s.Compression = codec }), 1)
			w.write(strings.Repeat("a", 1000))
			w.commit(w.prepare())
			if got := c.committedRecords()[0].Attrs.CompressionType(); got != want {
				t.Errorf("codec %d, want %d", got, want)
			}
		})
	}
}

func TestPartitioners(t *testing.T) {
	for partitioner, want := range map[plan.Partitioner][]int{
		plan.PartitionerFixed: {0, 6, 0}, plan.PartitionerRoundRobin: {2, 2, 2},
	} {
		c := newSinkCluster(t)
		config := c.sink(func(s *plan.KafkaSink) { s.Partitioner = partitioner })
		o := Owner{JobID: "job", Vertex: "sink", Subtask: 1, Parallelism: 2, Attempt: 1}
		w, err := OpenWriter(c.ctx, config, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
		tw := &testWriter{w, c}
		tw.write("a", "b", "c", "d", "e", "f")
		tw.commit(tw.prepare())
		got := make([]int, 3)
		for _, r := range c.committedRecords() {
			got[r.Partition]++
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v records by partition, want %v", partitioner, got, want)
		}
	}
}

// A broker that is away while records are written is waited for.
func TestWriterWaits(t *testing.T) {
	c := newSinkCluster(t)
	config := c.sink()
	config.client = append(config.client, kgo.Dialer(c.network.dial))
	w := c.writer(config, 1)
	w.write("a")
	c.network.down()
	w.write("b")
	ctx, cancel := context.WithTimeout(c.ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := w.Prepare(ctx); err == nil {
		t.Fatal("prepared without a broker")
	}
	c.network.up()
	w.commit(w.prepare())
	c.wantCommitted("a", "b")
}
