package rest

import (
	"testing"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/view"
)

// One pair of bounds for all vertices is taken, and nothing else.
func TestRequirements(t *testing.T) {
	j := view.Job{Vertices: []view.Vertex{{ID: "a"}, {ID: "b"}}}
	is := func(lower, upper int) vertexRequirements { return vertexRequirements{parallelismBounds{lower, upper}} }
	if got, err := (requirements{"a": is(1, 4), "b": is(1, 4)}).of(j); err != nil || got != (elastic.Bounds{Lower: 1, Upper: 4}) {
		t.Errorf("got %+v, %v", got, err)
	}
	for what, body := range map[string]requirements{
		"nothing": {}, "one of two": {"a": is(1, 4)}, "different": {"a": is(1, 4), "b": is(1, 3)},
		"none": {"a": is(0, 4), "b": is(0, 4)}, "unknown": {"a": is(1, 4), "b": is(1, 4), "c": is(1, 4)},
	} {
		if got, err := body.of(j); err == nil {
			t.Errorf("%s: taken as %+v", what, got)
		}
	}
}
