//go:build e2e

package monitoring_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The Prometheus of PENCERE_PROMETHEUS finds both kinds of programs by prometheus.yml, and has an answer to every query of the
// dashboard, with the metrics of a job that runs.
func TestDashboardHasData(t *testing.T) {
	prometheus := os.Getenv("PENCERE_PROMETHEUS")
	if prometheus == "" {
		t.Fatal("PENCERE_PROMETHEUS is to be the address of a Prometheus that watches a cluster whose job runs")
	}
	queries := map[string]string{`up{job="jobmanager"} == 1`: "jobmanager", `up{job="taskmanager"} == 1`: "taskmanager"}
	for _, p := range read(t).Panels {
		for _, target := range p.Targets {
			queries[target.Expr] = p.Title
		}
	}
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for len(queries) > 0 {
		for query, panel := range queries {
			points, err := points(t, prometheus, query)
			switch {
			case points > 0:
				delete(queries, query)
			case time.Now().After(deadline):
				t.Errorf("panel %q: no data: %s: %v", panel, query, err)
				delete(queries, query)
			}
		}
		<-tick.C
	}
}

// points asks as Grafana does, for the last five minutes, and returns how many points the answer has.
func points(t *testing.T, prometheus, query string) (int, error) {
	t.Helper()
	query = strings.NewReplacer("$job_id", ".*", "$__rate_interval", "20s").Replace(query)
	now := time.Now().Unix()
	asks := url.Values{
		"query": {query}, "start": {strconv.FormatInt(now-300, 10)}, "end": {strconv.FormatInt(now, 10)}, "step": {"5"},
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, prometheus+"/api/v1/query_range?"+asks.Encode(), http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Status, Error string
		Data          struct{ Result []struct{ Values []any } }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("%s: %w", body, err)
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("%s", answer.Error)
	}
	var n int
	for _, series := range answer.Data.Result {
		n += len(series.Values)
	}
	return n, nil
}
