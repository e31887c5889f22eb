package subtask

import (
	"testing"

	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

func TestWithEndpoints(t *testing.T) {
	ref := func(vertex string, index int32) *controlv1.SubtaskRef {
		return &controlv1.SubtaskRef{JobId: "j", VertexId: vertex, SubtaskIndex: index, Attempt: 3}
	}
	d := &controlv1.DeploySubtask{
		Subtask: ref("b", 1), Slot: 2,
		UpstreamPeers:   &controlv1.Peers{VertexId: "a", TaskManagerIds: []string{"x"}, DataAddresses: []string{"x:1"}, Places: []int32{0, 0}},
		DownstreamPeers: &controlv1.Peers{VertexId: "c", TaskManagerIds: []string{"x", "y"}, DataAddresses: []string{"x:1", "y:1"}, Places: []int32{1, 0}},
	}
	got, err := withEndpoints(d)
	if err != nil {
		t.Fatal(err)
	}
	want := &controlv1.DeploySubtask{
		Subtask: ref("b", 1), Slot: 2,
		Upstreams: []*controlv1.Endpoint{
			{Subtask: ref("a", 0), TaskManagerId: "x", DataAddress: "x:1"}, {Subtask: ref("a", 1), TaskManagerId: "x", DataAddress: "x:1"},
		},
		Downstreams: []*controlv1.Endpoint{
			{Subtask: ref("c", 0), TaskManagerId: "y", DataAddress: "y:1"}, {Subtask: ref("c", 1), TaskManagerId: "x", DataAddress: "x:1"},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("endpoints differ (-want +got):\n%s", diff)
	}
	if again, err := withEndpoints(want); err != nil || again != want {
		t.Errorf("endpoints that are there are changed: %v", err)
	}
	for _, place := range []int32{-1, 2} {
		d.DownstreamPeers.Places[0] = place
		if _, err := withEndpoints(d); err == nil {
			t.Errorf("place %d is taken", place)
		}
	}
}
