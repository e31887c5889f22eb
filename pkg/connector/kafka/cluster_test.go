package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/plan"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// testCluster is an embedded broker, a client that manages it, and the network between it and what is tested.
type testCluster struct {
	*kfake.Cluster
	t       *testing.T
	ctx     context.Context
	admin   *kadm.Client
	network *network
}

func newCluster(t *testing.T, opts ...kfake.Opt) *testCluster {
	t.Helper()
	fake, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	client, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &testCluster{Cluster: fake, t: t, ctx: ctx, admin: kadm.NewClient(client), network: &network{}}
}

// produce appends records whose values are "0", "1", … from the given number on.
func (c *testCluster) produce(topic string, partition int32, from, n int) {
	c.t.Helper()
	var records []*kgo.Record
	for i := from; i < from+n; i++ {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Append(nil, i)})
	}
	c.put(records...)
}

func (c *testCluster) put(records ...*kgo.Record) {
	c.t.Helper()
	// A client of its own sees partitions that were made a moment ago.
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(c.ctx, records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// config is that of an unbounded source that reads the topic from its start; change alters it.
func (c *testCluster) config(topic string, change ...func(*plan.KafkaSource)) Config {
	c.t.Helper()
	source := plan.KafkaSource{Brokers: c.ListenAddrs(), Topics: []string{topic}, Start: plan.StartEarliest}
	for _, f := range change {
		f(&source)
	}
	cfg, err := NewConfig(source)
	if err != nil {
		c.t.Fatal(err)
	}
	cfg.client = append(cfg.client, kgo.Dialer(c.network.dial))
	return cfg
}

func bounded(s *plan.KafkaSource) { s.Bounded = true }

func property(name, value string) func(*plan.KafkaSource) {
	return func(s *plan.KafkaSource) {
		if s.Properties == nil {
			s.Properties = make(map[string]string)
		}
		s.Properties[name] = value
	}
}

func (c *testCluster) enumerator(cfg Config) *Enumerator {
	c.t.Helper()
	e, err := NewEnumerator(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(e.Close)
	return e
}

func (c *testCluster) discover(cfg Config) []Split {
	c.t.Helper()
	splits, err := c.enumerator(cfg).Discover(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return splits
}

func (c *testCluster) reader(cfg Config, splits ...Split) *testReader {
	c.t.Helper()
	r, err := NewReader(cfg, splits)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(r.Close)
	return &testReader{Reader: r, cluster: c, values: make(map[int][]string), next: make(map[int]int64)}
}

// testReader reads and remembers, for each split, the values, the position and whether it is done.
type testReader struct {
	*Reader
	cluster *testCluster
	values  map[int][]string
	next    map[int]int64
	done    []int
}

// until polls until the condition holds, or returns the error that ended reading.
func (r *testReader) until(condition func() bool) error {
	for !condition() {
		fetches, err := r.Poll(r.cluster.ctx)
		if err != nil {
			return err
		}
		for _, f := range fetches {
			for _, record := range f.Records {
				value := "NULL"
				if record.Value != nil {
					value = string(record.Value)
				}
				r.values[f.Split] = append(r.values[f.Split], value)
			}
			if f.Next < r.next[f.Split] {
				return fmt.Errorf("split %d went back from offset %d to %d", f.Split, r.next[f.Split], f.Next)
			}
			r.next[f.Split] = f.Next
			if f.Done {
				r.done = append(r.done, f.Split)
			}
			r.Release(f)
		}
	}
	return nil
}

// expect polls until the split gave so many values in all, which must be "0", "1", …
func (r *testReader) expect(split, n int) {
	r.cluster.t.Helper()
	if err := r.until(func() bool { return len(r.values[split]) >= n }); err != nil {
		r.cluster.t.Fatal(err)
	}
	for i, value := range r.values[split] {
		if value != fmt.Sprint(i) {
			r.cluster.t.Fatalf("split %d: value %d is %q", split, i, value)
		}
	}
	if len(r.values[split]) != n {
		r.cluster.t.Fatalf("split %d: %d values, want %d", split, len(r.values[split]), n)
	}
}

// finish polls until each of the splits is done.
func (r *testReader) finish(splits int) {
	r.cluster.t.Helper()
	if err := r.until(func() bool { return len(r.done) >= splits }); err != nil {
		r.cluster.t.Fatal(err)
	}
	slices.Sort(r.done)
	if len(slices.Compact(r.done)) != splits {
		r.cluster.t.Fatalf("splits done: %v, want each of %d once", r.done, splits)
	}
}

// network dials brokers and can be cut.
type network struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		return nil, &net.OpError{Op: "dial", Net: kind, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, kind, address)
	if err == nil {
		n.conns = append(n.conns, conn)
	}
	return conn, err
}

// down breaks the connections and refuses new ones, until up.
func (n *network) down() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = true
	for _, conn := range n.conns {
		_ = conn.Close() // kgo closes it too
	}
	n.conns = nil
}

func (n *network) up() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = false
}

// wantError fails unless err is, or wraps, a T, which it returns.
func wantError[T error](t *testing.T, err error) T {
	t.Helper()
	found, ok := errors.AsType[T](err)
	if !ok {
		t.Fatalf("error %v (%T), want %T", err, err, found)
	}
	return found
}
