package monitoring_test

import (
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pencere/pkg/monitoring"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// jar holds sweets by color.
type jar map[string]float64

var jarMetrics = monitoring.NewGroup[float64]("jar_", "color").
	Counter("sweets_total", "Sweets put in.", func(n float64) float64 { return n }).
	Gauge("weight_grams", "What they weigh.", func(n float64) float64 {
		if n == 0 {
			return math.NaN()
		}
		return 2.5 * n
	})

func (jar) Describe(to chan<- *prometheus.Desc) { jarMetrics.Describe(to) }

func (j jar) Collect(to chan<- prometheus.Metric) {
	for color, n := range j {
		jarMetrics.Collect(to, n, color)
	}
}

func TestGroup(t *testing.T) {
	sweets := jar{"red": 2, "blue": 0}
	const full = `
		# HELP pencere_jar_sweets_total Sweets put in.
		# TYPE pencere_jar_sweets_total counter
		pencere_jar_sweets_total{color="blue"} 0
		pencere_jar_sweets_total{color="red"} 2
		# HELP pencere_jar_weight_grams What they weigh.
		# TYPE pencere_jar_weight_grams gauge
		pencere_jar_weight_grams{color="red"} 5
	`
	if err := testutil.CollectAndCompare(sweets, strings.NewReader(full)); err != nil {
		t.Error(err)
	}
	maps.DeleteFunc(sweets, func(string, float64) bool { return true })
	if n := testutil.CollectAndCount(sweets); n != 0 {
		t.Errorf("%d series of what is gone", n)
	}
}

func TestHandler(t *testing.T) {
	handler := monitoring.Handler(jar{"red": 1})
	for path, want := range map[string]string{
		"/metrics": `pencere_jar_sweets_total{color="red"} 1`, "/health": "", "/debug/pprof/": "goroutine",
		"/debug/pprof/heap?debug=1": "heap profile", "/debug/pprof/trace?seconds=0.01": "go 1",
	} {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s: %d %.100q, want %q", path, answer.Code, answer.Body, want)
		}
	}
}
