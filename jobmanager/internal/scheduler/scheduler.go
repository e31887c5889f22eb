// Package scheduler decides where subtasks run and which splits they read. It is pure: functions from the job and
// the free slots to an assignment.
package scheduler

import (
	"cmp"
	"slices"
)

// TaskManager is a taskmanager with free slots, by their numbers.
type TaskManager struct {
	ID   string
	Free []int
}

// Slot is a slot of a taskmanager.
type Slot struct {
	TaskManagerID string
	Index         int
}

// Slots picks a slot for each of parallelism subtasks, or returns nil when there are not so many. As in Flink a slot
// holds one subtask of every vertex (slot sharing), so a job takes as many slots as its parallelism.
//
// Slots are taken from the taskmanagers in turn, those with the most free ones first, so that the load and the loss of a
// taskmanager are spread evenly. The same arguments give the same slots.
func Slots(free []TaskManager, parallelism int) []Slot {
	ordered := slices.Clone(free)
	slices.SortFunc(ordered, func(a, b TaskManager) int {
		return cmp.Or(cmp.Compare(len(b.Free), len(a.Free)), cmp.Compare(a.ID, b.ID))
	})
	var picked []Slot
	for round := 0; len(picked) < parallelism; round++ {
		before := len(picked)
		for _, tm := range ordered {
			if round < len(tm.Free) && len(picked) < parallelism {
				picked = append(picked, Slot{TaskManagerID: tm.ID, Index: tm.Free[round]})
			}
		}
		if len(picked) == before {
			return nil
		}
	}
	return picked
}
