package localcluster_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"pencere/submitter/internal/localcluster"

	coltracev1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// collector takes spans by OTLP.
type collector struct {
	coltracev1.UnimplementedTraceServiceServer
	mu     sync.Mutex
	spans  []*tracev1.Span
	whose  []*commonv1.KeyValue
	refuse bool
}

// Export implements coltracev1.TraceServiceServer.
func (c *collector) Export(_ context.Context, r *coltracev1.ExportTraceServiceRequest) (*coltracev1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse {
		return nil, errors.New("the collector's disk is full")
	}
	for _, of := range r.GetResourceSpans() {
		c.whose = of.GetResource().GetAttributes()
		for _, scope := range of.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return &coltracev1.ExportTraceServiceResponse{}, nil
}

// serve returns the address of the collector.
func (c *collector) serve(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	coltracev1.RegisterTraceServiceServer(server, c)
	go func() { _ = server.Serve(listener) }() // until Stop
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func (c *collector) setRefuse(refuse bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = refuse
}

// traces returns, for each trace of a name whose root has come, the names of the spans right below it.
func (c *collector) traces(name string) [][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all [][]string
	for _, root := range c.spans {
		if root.GetName() != name || len(root.GetParentSpanId()) > 0 {
			continue
		}
		parts := []string{}
		for _, s := range c.spans {
			if string(s.GetParentSpanId()) == string(root.GetSpanId()) {
				parts = append(parts, s.GetName())
			}
		}
		slices.Sort(parts)
		all = append(all, parts)
	}
	return all
}

func value(attributes []*commonv1.KeyValue, key string) string {
	for _, a := range attributes {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// A collector is told of each checkpoint and restart; when it fails, jobs do not notice, and it is told what comes later.
func TestTraces(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50") // milliseconds between exports
	to := &collector{}
	f := newFixtureOf(t, localcluster.Config{TaskManagers: 1, SlotsEach: 2, OTLPEndpoint: to.serve(t)})
	second, err := f.cluster.AddTaskManager()
	f.check(err)
	j := f.submit(spec{topic: f.topic(partitions{nil, nil, nil}), parallelism: 3, restarts: 10})
	j.running()
	j.poll("traces of the start and of a checkpoint", func() bool {
		return slices.ContainsFunc(to.traces("checkpoint"), func(parts []string) bool {
			return slices.Equal(parts, []string{"ack", "ack", "ack", "ack", "ack", "ack", "commit", "notify"})
		}) && len(to.traces("start")) == 1
	})
	to.mu.Lock()
	root := to.spans[slices.IndexFunc(to.spans, func(s *tracev1.Span) bool { return s.GetName() == "start" })]
	if value(to.whose, "service.name") != "pencere-jobmanager" || value(root.GetAttributes(), "job_id") != j.id {
		t.Errorf("whose: %v; span: %v", to.whose, root)
	}
	to.mu.Unlock()
	second()
	_, err = f.cluster.AddTaskManager()
	f.check(err)
	j.poll("a trace of the restart", func() bool { return len(to.traces("restart")) > 0 })
	if parts := to.traces("restart"); !slices.Equal(parts[0], []string{"cancel", "delay", "deploy", "slots"}) {
		t.Errorf("restart has %q", parts)
	}
	j.running()
	to.setRefuse(true)
	completed, err := j.jobMetric("numberOfCompletedCheckpoints")
	f.check(err)
	j.awaitCheckpoints(completed + 3)
	to.setRefuse(false)
	told := len(to.traces("checkpoint"))
	j.poll("traces when it is back", func() bool { return len(to.traces("checkpoint")) > told })
	j.cancel()
}
