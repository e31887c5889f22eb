package scheduler

import (
	"pencere/jobmanager/internal/jobfsm"
	"pencere/pkg/plan"
)

// Regions returns the pipelined regions of a job: subtasks between which edges lead, directly or by others. What one of them has
// sent is gone when it fails, so that all of its region begin again, and nobody else
// (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/ops/state/task_failure_recovery/#restart-pipelined-region-failover-strategy).
// Each subtask is in one region. Regions come by their first subtask, and subtasks in the order of vertices, then indices.
func Regions(vertices []plan.Vertex, edges []plan.Edge, parallelism int) [][]jobfsm.SubtaskID {
	of := make(unions)
	for _, e := range edges {
		for i := range parallelism {
			of.join(jobfsm.SubtaskID{VertexID: e.From, Index: i}, jobfsm.SubtaskID{VertexID: e.To, Index: i})
			if e.Keyed { // all that send to one subtask, and all that one sends to: that joins everybody
				of.join(jobfsm.SubtaskID{VertexID: e.From, Index: i}, jobfsm.SubtaskID{VertexID: e.To})
				of.join(jobfsm.SubtaskID{VertexID: e.From}, jobfsm.SubtaskID{VertexID: e.To, Index: i})
			}
		}
	}
	var regions [][]jobfsm.SubtaskID
	number := make(map[jobfsm.SubtaskID]int) // of a region, by the subtask that stands for it
	for _, v := range vertices {
		for i := range parallelism {
			id := jobfsm.SubtaskID{VertexID: v.ID, Index: i}
			root := of.root(id)
			n, known := number[root]
			if !known {
				n = len(regions)
				number[root] = n
				regions = append(regions, nil)
			}
			regions[n] = append(regions[n], id)
		}
	}
	return regions
}

// unions are disjoint sets: each subtask leads, by others, to the one that stands for its set. One that is not here stands for itself.
type unions map[jobfsm.SubtaskID]jobfsm.SubtaskID

func (u unions) root(id jobfsm.SubtaskID) jobfsm.SubtaskID {
	for {
		next, ok := u[id]
		if !ok {
			return id
		}
		id = next
	}
}

func (u unions) join(a, b jobfsm.SubtaskID) {
	if a, b = u.root(a), u.root(b); a != b {
		u[b] = a
	}
}
