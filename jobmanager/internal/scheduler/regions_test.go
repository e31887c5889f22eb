package scheduler_test

import (
	"fmt"
	"strings"
	"testing"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/scheduler"
	"pencere/pkg/plan"

	"pgregory.net/rapid"
)

func TestRegions(t *testing.T) {
	vertices := func(ids string) (all []plan.Vertex) {
		for id := range strings.SplitSeq(ids, "") {
			all = append(all, plan.Vertex{ID: id})
		}
		return all
	}
	for name, c := range map[string]struct {
		vertices string
		edges    []plan.Edge
		want     string
	}{
		"a chain without a window": {"a", nil, "a0 | a1 | a2"},
		"a window":                 {"ab", []plan.Edge{{From: "a", To: "b", Keyed: true}}, "a0 a1 a2 b0 b1 b2"},
		"index to index":           {"ab", []plan.Edge{{From: "a", To: "b"}}, "a0 b0 | a1 b1 | a2 b2"},
		"both":                     {"abc", []plan.Edge{{From: "a", To: "b"}, {From: "b", To: "c", Keyed: true}}, "a0 a1 a2 b0 b1 b2 c0 c1 c2"},
		"two jobs in one":          {"abcd", []plan.Edge{{From: "a", To: "b", Keyed: true}, {From: "c", To: "d"}}, "a0 a1 a2 b0 b1 b2 | c0 d0 | c1 d1 | c2 d2"},
	} {
		var regions []string
		for _, region := range scheduler.Regions(vertices(c.vertices), c.edges, 3) {
			var names []string
			for _, id := range region {
				names = append(names, fmt.Sprint(id.VertexID, id.Index))
			}
			regions = append(regions, strings.Join(names, " "))
		}
		if got := strings.Join(regions, " | "); got != c.want {
			t.Errorf("%s: regions %s, want %s", name, got, c.want)
		}
	}
}

// Whatever the edges: each subtask is in one region, and no edge leads out of one.
func TestRegionsOfAnyPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var vertices []plan.Vertex
		for i := range rapid.IntRange(1, 5).Draw(t, "vertices") {
			vertices = append(vertices, plan.Vertex{ID: fmt.Sprint("v", i)})
		}
		parallelism := rapid.IntRange(1, 4).Draw(t, "parallelism")
		var edges []plan.Edge
		for range rapid.IntRange(0, 6).Draw(t, "edges") {
			at := func(label string) string { return rapid.SampledFrom(vertices).Draw(t, label).ID }
			edges = append(edges, plan.Edge{From: at("from"), To: at("to"), Keyed: rapid.Bool().Draw(t, "keyed")})
		}
		in := make(map[jobfsm.SubtaskID]int)
		for n, region := range scheduler.Regions(vertices, edges, parallelism) {
			for _, id := range region {
				if before, twice := in[id]; twice {
					t.Fatalf("%v is in regions %d and %d", id, before, n)
				}
				in[id] = n
			}
		}
		if len(in) != len(vertices)*parallelism {
			t.Fatalf("%d subtasks are in regions, want %d", len(in), len(vertices)*parallelism)
		}
		for _, e := range edges {
			for i := range parallelism {
				for k := range parallelism {
					from, to := jobfsm.SubtaskID{VertexID: e.From, Index: i}, jobfsm.SubtaskID{VertexID: e.To, Index: k}
					if (e.Keyed || i == k) && in[from] != in[to] {
						t.Fatalf("an edge leads from %v to %v, which are in other regions", from, to)
					}
				}
			}
		}
	})
}
