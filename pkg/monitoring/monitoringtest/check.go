// Package monitoringtest holds the names of a program's metrics to a list, which dashboards and alerts rely on.
package monitoringtest

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var rewrite = flag.Bool("rewrite-metrics", false, "write the lists of metrics anew")

var describedName = regexp.MustCompile(`fqName: "([^"]+)"`)

// Check tests what a collector shows of a sample that has all of its metrics: they pass Prometheus' linter, they are those that
// are described, and they are those of a file of lines "name type label,label", by name.
func Check(t *testing.T, of prometheus.Collector, file string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(of); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	shown, names := list(t, registry)
	if diff := cmp.Diff(described(of), names); diff != "" {
		t.Errorf("metrics described (-) and shown (+):\n%s", diff)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(shown), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), shown); diff != "" {
		t.Errorf("metrics of %s (-) and shown (+); -rewrite-metrics writes it anew:\n%s", file, diff)
	}
}

func list(t *testing.T, from prometheus.Gatherer) (lines string, names []string) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		var labels []string
		for _, pair := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, pair.GetName())
		}
		line := fmt.Sprintf("%s %s %s", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ","))
		text.WriteString(strings.TrimSpace(line) + "\n")
		names = append(names, f.GetName())
	}
	return text.String(), names
}

func described(of prometheus.Collector) []string {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		of.Describe(descriptions)
	}()
	var names []string
	for d := range descriptions {
		names = append(names, describedName.FindStringSubmatch(d.String())[1])
	}
	slices.Sort(names)
	return names
}
