// Package monitoring is what every program tells those who watch it: metrics for Prometheus, whether it is well, and profiles.
package monitoring

import (
	"math"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves /metrics and /health, and under /debug/pprof/ the profiles of Go's runtime. It is safe for concurrent use if the
// collectors are.
func Handler(of ...prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(RuntimeCollectors()...)
	registry.MustRegister(of...)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return mux
}

// RuntimeCollectors return what any program in Go has: go_* and, where the system tells it, process_*.
func RuntimeCollectors() []prometheus.Collector {
	return []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}
}

// Group is the metrics of one kind of thing, all with the same labels, read from a T at the moment of a scrape: what is gone by then
// leaves no series behind. It is built once, and safe for concurrent use from then on.
type Group[T any] struct {
	prefix  string
	labels  []string
	metrics []metric[T]
}

type metric[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) float64
}

// NewGroup returns a group without metrics. Their names will begin with pencere_ and the prefix.
func NewGroup[T any](prefix string, labels ...string) *Group[T] {
	return &Group[T]{prefix: "pencere_" + prefix, labels: labels}
}

// Counter adds a metric that only grows, until its thing begins anew. Its name ends with _total.
func (g *Group[T]) Counter(name, help string, value func(T) float64) *Group[T] {
	return g.add(prometheus.CounterValue, name, help, value)
}

// Gauge adds a metric that goes up and down. A value that is not a number (NaN) is left out: there is nothing to tell yet.
func (g *Group[T]) Gauge(name, help string, value func(T) float64) *Group[T] {
	return g.add(prometheus.GaugeValue, name, help, value)
}

func (g *Group[T]) add(kind prometheus.ValueType, name, help string, value func(T) float64) *Group[T] {
	g.metrics = append(g.metrics, metric[T]{prometheus.NewDesc(g.prefix+name, help, g.labels, nil), kind, value})
	return g
}

// Describe is a part of prometheus.Collector's.
func (g *Group[T]) Describe(to chan<- *prometheus.Desc) {
	for _, m := range g.metrics {
		to <- m.desc
	}
}

// Collect sends the metrics of a thing, whose labels have these values, in the order of NewGroup. Of each thing it is called once a scrape.
func (g *Group[T]) Collect(to chan<- prometheus.Metric, thing T, labels ...string) {
	for _, m := range g.metrics {
		if value := m.value(thing); !math.IsNaN(value) {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
		}
	}
}

// Bool is how Prometheus shows a truth: 1, or 0.
func Bool(truth bool) float64 {
	if truth {
		return 1
	}
	return 0
}
