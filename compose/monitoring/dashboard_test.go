// Package monitoring_test holds what Grafana asks for to what the programs tell.
package monitoring_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pencere/pkg/monitoring"

	"github.com/prometheus/client_golang/prometheus"
)

const dashboardFile = "grafana/dashboards/pencere.json"

// programs list the metrics of a program each, which its own test holds to what it shows: name, type, labels.
var programs = map[string]string{
	"jobmanager": "../../jobmanager/daemon/testdata/metrics.txt", "taskmanager": "../../taskmanager/daemon/testdata/metrics.txt",
}

// exposed are the labels of each metric. Those that Prometheus adds are of all.
func exposed(t *testing.T) map[string][]string {
	t.Helper()
	metrics := make(map[string][]string)
	for program, file := range programs {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			_, labels, _ := strings.Cut(rest, " ")
			if metrics[name] != nil {
				t.Errorf("%s of the %s is another program's too", name, program)
			}
			metrics[name] = append(strings.Split(labels, ","), "job", "instance")
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(monitoring.RuntimeCollectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		metrics[f.GetName()] = []string{"job", "instance"}
	}
	return metrics
}

type panel struct {
	ID         int
	Type       string
	Title      string
	GridPos    struct{ X, Y, W, H int }
	Datasource struct{ UID string }
	Targets    []struct{ Expr, LegendFormat string }
}

type dashboard struct {
	Panels     []panel
	Templating struct {
		List []struct {
			Name  string
			Query struct{ Query string }
		}
	}
}

func read(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Every query is well-formed, and asks for metrics and labels that some program has.
func TestDashboardAsksForWhatIsThere(t *testing.T) {
	metrics, queries := exposed(t), 0
	for _, p := range read(t).Panels {
		for _, target := range p.Targets {
			queries++
			if err := check(metrics, target.Expr); err != nil {
				t.Errorf("panel %q: %s: %v", p.Title, target.Expr, err)
			}
		}
		if p.Type != "row" && (len(p.Targets) == 0 || p.Datasource.UID != "prometheus") {
			t.Errorf("panel %q asks nobody", p.Title)
		}
	}
	if queries < 20 {
		t.Errorf("%d queries", queries)
	}
}

func TestVariablesAreThere(t *testing.T) {
	metrics, d := exposed(t), read(t)
	names := []string{"__rate_interval"}
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		asks := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Query.Query)
		if len(asks) != 3 || !slices.Contains(metrics[asks[1]], asks[2]) {
			t.Errorf("variable %s asks %q", v.Name, v.Query.Query)
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			for _, used := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(names, used[1]) {
					t.Errorf("panel %q: no variable %s", p.Title, used[0])
				}
			}
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	taken, ids := make(map[[2]int]string), make(map[int]bool)
	for _, p := range read(t).Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has the id of another", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies on %q or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestCheck shows what check finds.
func TestCheck(t *testing.T) {
	metrics := map[string][]string{"pencere_a_total": {"job_id", "job"}, "pencere_b": {"job_id"}}
	for query, want := range map[string]string{
		`sum by (job_id) (rate(pencere_a_total{job_id=~"$job"}[$__rate_interval])) * 60`: "",
		`pencere_b{job_id!="x", job_id="(["} == bool 0`:                                  "",
		`scalar(max(pencere_b)) - pencere_b`:                                             "",
		`rate(pencere_a[5m])`:                                                            "unknown metric pencere_a",
		`rate(pencere_a_total[5m])[`:                                                     "unbalanced",
		`sum(pencere_b))`:                                                                "unbalanced",
		`pencere_b{host="x"}`:                                                            "pencere_b has no label host",
		`pencere_b{job_id}`:                                                              `no matcher: "job_id"`,
		`sum by (host) (pencere_b)`:                                                      "no metric here has the label host",
		`summ(pencere_b)`:                                                                "unknown word summ",
		`rate(pencere_a_total)`:                                                          "rate wants a range",
		`1 + 1`:                                                                          "no metric",
	} {
		if err := check(metrics, query); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}

var (
	word      = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	text      = regexp.MustCompile(`"[^"]*"`)
	selector  = regexp.MustCompile(`(\w+)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`^(\w+)\s*(?:=|!=|=~|!~)\s*""$`)
	grouping  = regexp.MustCompile(`\b(?:by|without)\s*\(([^)]*)\)`)
	window    = regexp.MustCompile(`\[(?:\$__rate_interval|\d+[smhd])\]`)
	unranged  = regexp.MustCompile(`\b(rate|increase)\(\w+\)`)
	functions = []string{"sum", "max", "rate", "increase", "scalar", "bool"}
)

// check knows the part of PromQL that the dashboard uses, and refuses the rest.
func check(metrics map[string][]string, query string) error {
	query = text.ReplaceAllString(query, `""`)
	if !balanced(query) {
		return fmt.Errorf("unbalanced")
	}
	query = window.ReplaceAllString(query, "@")
	if strings.ContainsAny(query, "[]") {
		return fmt.Errorf("no range")
	}
	if err := checkSelectors(metrics, query); err != nil {
		return err
	}
	query = selector.ReplaceAllString(query, "$1")
	if bare := unranged.FindStringSubmatch(query); bare != nil {
		return fmt.Errorf("%s wants a range", bare[1])
	}
	var labels []string // of all metrics in the query
	var named int
	for _, w := range word.FindAllString(grouping.ReplaceAllString(query, ""), -1) {
		known, isMetric := metrics[w]
		switch {
		case isMetric:
			named++
			labels = append(labels, known...)
		case strings.Contains(w, "_"):
			return fmt.Errorf("unknown metric %s", w)
		case !slices.Contains(functions, w):
			return fmt.Errorf("unknown word %s", w)
		}
	}
	if named == 0 {
		return fmt.Errorf("no metric")
	}
	for _, by := range grouping.FindAllStringSubmatch(query, -1) {
		for _, label := range word.FindAllString(by[1], -1) {
			if !slices.Contains(labels, label) {
				return fmt.Errorf("no metric here has the label %s", label)
			}
		}
	}
	return nil
}

func checkSelectors(metrics map[string][]string, query string) error {
	for _, s := range selector.FindAllStringSubmatch(query, -1) {
		for one := range strings.SplitSeq(s[2], ",") {
			one = strings.TrimSpace(one)
			m := matcher.FindStringSubmatch(one)
			if m == nil {
				return fmt.Errorf("no matcher: %q", one)
			}
			if labels, known := metrics[s[1]]; known && !slices.Contains(labels, m[1]) {
				return fmt.Errorf("%s has no label %s", s[1], m[1])
			}
		}
	}
	return nil
}

// balanced tells whether each bracket is closed by its like.
func balanced(query string) bool {
	closes := map[rune]rune{')': '(', ']': '[', '}': '{'}
	var open []rune
	for _, r := range query {
		switch r {
		case '(', '[', '{':
			open = append(open, r)
		case ')', ']', '}':
			if len(open) == 0 || open[len(open)-1] != closes[r] {
				return false
			}
			open = open[:len(open)-1]
		}
	}
	return len(open) == 0
}
