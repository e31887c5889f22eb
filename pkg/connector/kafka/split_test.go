package kafka

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAssign(t *testing.T) {
	splits := []Split{{Topic: "b"}, {Topic: "a", Partition: 1}, {Topic: "a", Partition: 0}, {Topic: "a", Partition: 2}}
	want := [][]Split{
		{{Topic: "a", Partition: 0}, {Topic: "a", Partition: 2}},
		{{Topic: "a", Partition: 1}, {Topic: "b"}},
	}
	if diff := cmp.Diff(want, Assign(splits, 2)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]Split{{{Topic: "b"}}, nil, nil}, Assign(splits[:1], 3)); diff != "" {
		t.Error(diff)
	}
}

func TestAssignIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parallelism := rapid.IntRange(1, 9).Draw(t, "parallelism")
		counts := rapid.MapOfN(rapid.StringMatching("[a-e]"), rapid.IntRange(0, 12), 1, 5).Draw(t, "partitions of topics")
		var splits []Split
		for topic, n := range counts {
			for p := range n {
				splits = append(splits, Split{Topic: topic, Partition: int32(p), Start: int64(p), Stop: Unbounded})
			}
		}
		slices.SortFunc(splits, compareSplits)
		assigned := Assign(splits, parallelism)
		checkFair(t, assigned, splits, append(topicsOf(splits), allTopics))

		shuffled := rapid.Permutation(splits).Draw(t, "another order")
		if diff := cmp.Diff(assigned, Assign(shuffled, parallelism)); diff != "" {
			t.Fatalf("depends on the order: %s", diff)
		}

		// Found in two steps, nothing moves and each topic is still balanced.
		cut := rapid.IntRange(0, len(shuffled)).Draw(t, "found at first")
		first := Assign(shuffled[:cut], parallelism)
		later := Extend(first, shuffled[cut:])
		for i := range first {
			first[i] = append(first[i], later[i]...)
		}
		checkFair(t, first, splits, topicsOf(splits))
	})
}

const allTopics = ""

// checkFair fails unless each split is assigned once and, of each of the topics, no subtask has 2 more than another.
func checkFair(t *rapid.T, assigned [][]Split, splits []Split, topics []string) {
	all := slices.Concat(assigned...)
	slices.SortFunc(all, compareSplits)
	if diff := cmp.Diff(splits, all); diff != "" {
		t.Fatalf("splits and assigned differ: %s", diff)
	}
	for _, topic := range topics {
		least, most := len(splits), 0
		for _, of := range assigned {
			n := 0
			for _, s := range of {
				if topic == allTopics || s.Topic == topic {
					n++
				}
			}
			least, most = min(least, n), max(most, n)
		}
		if most-least > 1 {
			t.Fatalf("topic %q: subtasks have from %d to %d splits", topic, least, most)
		}
	}
}

func TestSplitID(t *testing.T) {
	if id := (Split{Topic: "orders", Partition: 3}).ID(); id != "orders-3" {
		t.Error(id)
	}
}
