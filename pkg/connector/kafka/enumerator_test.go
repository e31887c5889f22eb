package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pencere/pkg/plan"
)

// start sets the start mode.
func start(mode plan.StartMode) func(*plan.KafkaSource) {
	return func(s *plan.KafkaSource) { s.Start = mode }
}

func group(name string) func(*plan.KafkaSource) {
	return func(s *plan.KafkaSource) { s.Group = name }
}

func timestamp(ms int64) func(*plan.KafkaSource) {
	return func(s *plan.KafkaSource) { s.Start, s.StartTimestamp = plan.StartTimestamp, ms }
}

func pattern(text string) func(*plan.KafkaSource) {
	return func(s *plan.KafkaSource) { s.Topics, s.TopicPattern = nil, text }
}

// TestDiscoverStarts uses a topic whose partition 0 holds offsets 2 to 9, of the times 1002 to 1009 ms, and 1 none.
func TestDiscoverStarts(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	for i := range int64(10) {
		c.put(&kgo.Record{Topic: "t", Timestamp: time.UnixMilli(1000 + i), Value: []byte("v")})
	}
	if err := c.DeleteRecords("t", 0, 2); err != nil {
		t.Fatal(err)
	}
	offsets := make(kadm.Offsets)
	offsets.AddOffset("t", 0, 6, -1)
	if err := c.admin.CommitAllOffsets(c.ctx, "half", offsets); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		change []func(*plan.KafkaSource)
		want   [2][2]int64 // start and stop of both partitions
	}{
		{"earliest", nil, [2][2]int64{{2, -1}, {0, -1}}},
		{"earliest bounded", []func(*plan.KafkaSource){bounded}, [2][2]int64{{2, 10}, {0, 0}}},
		{"latest", []func(*plan.KafkaSource){start(plan.StartLatest)}, [2][2]int64{{10, -1}, {0, -1}}},
		{"latest bounded", []func(*plan.KafkaSource){start(plan.StartLatest), bounded}, [2][2]int64{{10, 10}, {0, 0}}},
		{"before all", []func(*plan.KafkaSource){timestamp(0)}, [2][2]int64{{2, -1}, {0, -1}}},
		{"in the middle", []func(*plan.KafkaSource){timestamp(1005)}, [2][2]int64{{5, -1}, {0, -1}}},
		{"past the end", []func(*plan.KafkaSource){timestamp(5000), bounded}, [2][2]int64{{10, 10}, {0, 0}}},
		{"group, else earliest", []func(*plan.KafkaSource){start(plan.StartGroupOffsets), group("half"), property("auto.offset.reset", "earliest")}, [2][2]int64{{6, -1}, {0, -1}}},
		{"new group, latest", []func(*plan.KafkaSource){start(plan.StartGroupOffsets), group("new"), property("auto.offset.reset", "latest")}, [2][2]int64{{10, -1}, {0, -1}}},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			var want []Split
			for i, w := range test.want {
				want = append(want, Split{Topic: "t", Partition: int32(i), Start: w[0], Stop: w[1]})
			}
			if diff := cmp.Diff(want, c.discover(c.config("t", test.change...))); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("no offset", func(t *testing.T) {
		_, err := c.enumerator(c.config("t", start(plan.StartGroupOffsets), group("half"))).Discover(c.ctx)
		if diff := cmp.Diff(&NoOffsetError{Group: "half", Topic: "t", Partition: 1}, wantError[*NoOffsetError](t, err)); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(err.Error(), "auto.offset.reset") {
			t.Errorf("the error does not say what to do: %v", err)
		}
	})
}

// TestDiscoverCommitted ends a bounded read before a transaction that is open.
func TestDiscoverCommitted(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	c.produce("t", 0, 0, 3)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.TransactionalID("open"), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(c.ctx, kgo.StringRecord("open")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for isolation, stop := range map[string]int64{"read_committed": 3, "read_uncommitted": 4} {
		cfg := c.config("t", bounded, property("isolation.level", isolation))
		splits := c.discover(cfg)
		if splits[0].Stop != stop {
			t.Errorf("%s: %+v, want stop %d", isolation, splits[0], stop)
		}
		r := c.reader(cfg, splits...)
		r.finish(1)
		if len(r.values[0]) != int(stop) {
			t.Errorf("%s: read %v", isolation, r.values[0])
		}
	}
}

func TestDiscoverTopics(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "orders", "orders-old", "payments"))
	several := func(s *plan.KafkaSource) { s.Topics = []string{"payments", "orders"} }
	if diff := cmp.Diff([]string{"orders", "payments"}, topicsOf(c.discover(c.config("", several)))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"orders"}, topicsOf(c.discover(c.config("", pattern("orders|pay"))))); diff != "" {
		t.Errorf("whole names are matched: %s", diff)
	}

	_, err := c.enumerator(c.config("ordres")).Discover(c.ctx)
	if diff := cmp.Diff(&UnknownTopicError{Topic: "ordres", Near: "orders"}, wantError[*UnknownTopicError](t, err)); diff != "" {
		t.Error(diff)
	}
	_, err = c.enumerator(c.config("", pattern("none.*"))).Discover(c.ctx)
	if diff := cmp.Diff(&UnknownTopicError{Topic: "none.*", Pattern: true}, wantError[*UnknownTopicError](t, err)); diff != "" {
		t.Error(diff)
	}
}

// TestDiscoverPatternLater waits for topics when there is a discovery interval, and reads them from their first record.
func TestDiscoverPatternLater(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "other"))
	e := c.enumerator(c.config("", pattern("new-.*"), start(plan.StartLatest), func(s *plan.KafkaSource) { s.DiscoveryInterval = time.Second }))
	if splits, err := e.Discover(c.ctx); err != nil || len(splits) != 0 {
		t.Fatalf("%v, %v", splits, err)
	}
	if err := c.CreateTopic("new-1", 1, nil); err != nil {
		t.Fatal(err)
	}
	c.produce("new-1", 0, 0, 5)
	var found []Split
	for len(found) == 0 {
		var err error
		if found, err = e.Discover(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]Split{{Topic: "new-1", Stop: Unbounded}}, found); diff != "" {
		t.Error(diff)
	}
}

func TestDiscoverAfterRestore(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(3, "t"))
	c.produce("t", 2, 0, 5)
	for _, source := range []struct {
		change []func(*plan.KafkaSource)
		want   []Split
	}{
		{[]func(*plan.KafkaSource){start(plan.StartLatest)}, []Split{{Topic: "t", Partition: 2, Stop: Unbounded}}},
		{[]func(*plan.KafkaSource){bounded}, nil},
	} {
		e := c.enumerator(c.config("t", source.change...))
		e.Restore([]Split{{Topic: "t", Partition: 0, Start: 9}, {Topic: "t", Partition: 1}})
		found, err := e.Discover(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(source.want, found); diff != "" {
			t.Error(diff)
		}
	}
}

// TestDiscoverTopicGone goes on without a topic that was deleted since: its readers tell.
func TestDiscoverTopicGone(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	e := c.enumerator(c.config("t"))
	if _, err := e.Discover(c.ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.DeleteTopic("t"); err != nil {
		t.Fatal(err)
	}
	if found, err := e.Discover(c.ctx); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestDiscoverWaits(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	cfg := c.config("t", bounded)
	e := c.enumerator(cfg)
	c.network.down()
	type result struct {
		splits []Split
		err    error
	}
	discovered := make(chan result)
	go func() {
		splits, err := e.Discover(c.ctx)
		discovered <- result{splits, err}
	}()
	want := "broker " + c.ListenAddrs()[0] + ": connection refused; retrying"
	for e.Waiting() != want {
		if c.ctx.Err() != nil {
			t.Fatalf("waiting: %q, want %q", e.Waiting(), want)
		}
	}
	c.network.up()
	if r := <-discovered; r.err != nil || len(r.splits) != 1 {
		t.Fatalf("%v, %v", r.splits, r.err)
	}
	if why := e.Waiting(); why != "" {
		t.Errorf("waiting still: %q", why)
	}

	c.network.down()
	ctx, cancel := context.WithCancel(c.ctx)
	go func() {
		_, err := c.enumerator(cfg).Discover(ctx)
		discovered <- result{err: err}
	}()
	cancel()
	if r := <-discovered; !errors.Is(r.err, context.Canceled) {
		t.Errorf("canceled: %v", r.err)
	}
}

// TestDiscoverRetries goes on after errors that pass, and ends by refusals.
func TestDiscoverRetries(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	cfg := c.config("t", bounded, start(plan.StartGroupOffsets), group("g"), property("auto.offset.reset", "latest"))
	for _, key := range []kmsg.Key{kmsg.ListOffsets, kmsg.OffsetFetch} {
		c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: kerr.CoordinatorLoadInProgress, Count: 2})
		if splits := c.discover(cfg); len(splits) != 1 {
			t.Errorf("%v: %v", key, splits)
		}
	}
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.GroupAuthorizationFailed, Count: -1})
	_, err := c.enumerator(cfg).Discover(c.ctx)
	if auth := wantError[*AuthError](t, err); auth.What != `group "g"` {
		t.Errorf("refused: %q", auth.What)
	}
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	_, err = c.enumerator(cfg).Discover(c.ctx)
	if auth := wantError[*AuthError](t, err); auth.What != `topic "t"` {
		t.Errorf("refused: %q", auth.What)
	}
}
