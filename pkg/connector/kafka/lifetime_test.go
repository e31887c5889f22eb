package kafka

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/plan"
)

// TestUnknownTopicWhileReading gives a topic that the brokers do not know some time, on a virtual clock, and no longer.
func TestUnknownTopicWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var virtual kfake.VirtualNetwork
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(19092), kfake.ListenFn(virtual.Listen))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		cfg, err := NewConfig(plan.KafkaSource{Brokers: cluster.ListenAddrs(), Topics: []string{"t"}, Start: plan.StartEarliest})
		if err != nil {
			t.Fatal(err)
		}
		cfg.client = append(cfg.client, kgo.Dialer(virtual.DialContext))
		r, err := NewReader(cfg, []Split{{Topic: "t", Stop: Unbounded}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		begin := time.Now()
		for err == nil {
			_, err = r.Poll(t.Context())
		}
		if s := r.Status()[0]; s.State != Waiting || s.Reason == "" {
			t.Errorf("status %+v, want waiting with a reason", s)
		}
		if unknown := wantError[*UnknownTopicError](t, err); unknown.Topic != "t" {
			t.Errorf("%+v", unknown)
		}
		if waited := time.Since(begin); waited < missingAfter || waited > missingAfter+5*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

// TestCloseLeavesNothing counts goroutines.
func TestCloseLeavesNothing(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	c.produce("t", 0, 0, 100)
	before := runtime.NumGoroutine()
	for _, away := range []bool{false, true} {
		e, err := NewEnumerator(c.config("t"))
		if err != nil {
			t.Fatal(err)
		}
		splits, err := e.Discover(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		r := c.reader(c.config("t"), splits...)
		r.expect(0, 100)
		if away {
			c.network.down()
		}
		r.Close()
		e.Close()
	}
	for runtime.NumGoroutine() > before {
		if c.ctx.Err() != nil {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}
