package subtask

import (
	"fmt"

	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"google.golang.org/protobuf/proto"
)

// withEndpoints returns a deployment whose peers are spelled out as endpoints.
func withEndpoints(d *controlv1.DeploySubtask) (_ *controlv1.DeploySubtask, err error) {
	if d.GetUpstreamPeers() == nil && d.GetDownstreamPeers() == nil {
		return d, nil
	}
	spelled := proto.CloneOf(d)
	if up := d.GetUpstreamPeers(); up != nil {
		if spelled.Upstreams, err = endpointsOf(d.GetSubtask(), up); err != nil {
			return nil, fmt.Errorf("upstream peers: %w", err)
		}
	}
	if down := d.GetDownstreamPeers(); down != nil {
		if spelled.Downstreams, err = endpointsOf(d.GetSubtask(), down); err != nil {
			return nil, fmt.Errorf("downstream peers: %w", err)
		}
	}
	spelled.UpstreamPeers, spelled.DownstreamPeers = nil, nil
	return spelled, nil
}

// endpointsOf returns the endpoints of peers of the subtask self.
func endpointsOf(self *controlv1.SubtaskRef, p *controlv1.Peers) ([]*controlv1.Endpoint, error) {
	endpoints := make([]*controlv1.Endpoint, len(p.GetPlaces()))
	for i, place := range p.GetPlaces() {
		if place < 0 || int(place) >= min(len(p.GetTaskManagerIds()), len(p.GetDataAddresses())) {
			return nil, fmt.Errorf("subtask %d is at taskmanager %d of %d", i, place, len(p.GetTaskManagerIds()))
		}
		endpoints[i] = &controlv1.Endpoint{
			Subtask: &controlv1.SubtaskRef{
				JobId: self.GetJobId(), VertexId: p.GetVertexId(), SubtaskIndex: int32(i), Attempt: self.GetAttempt(),
			},
			TaskManagerId: p.GetTaskManagerIds()[place], DataAddress: p.GetDataAddresses()[place],
		}
	}
	return endpoints, nil
}
