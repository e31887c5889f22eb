package scheduler_test

import (
	"fmt"
	"slices"
	"testing"

	"pencere/jobmanager/internal/scheduler"

	"pgregory.net/rapid"
)

func drawTaskManagers(t *rapid.T) []scheduler.TaskManager {
	var all []scheduler.TaskManager
	for i := range rapid.IntRange(0, 6).Draw(t, "task managers") {
		free := rapid.SliceOfNDistinct(rapid.IntRange(0, 15), 0, 8, rapid.ID[int]).Draw(t, "free")
		all = append(all, scheduler.TaskManager{ID: fmt.Sprintf("tm%d", i), Free: free})
	}
	return all
}

// Slots are distinct, free, as many as wanted, spread as evenly as the free ones allow, and do not depend on the order in
// which the taskmanagers are listed.
func TestSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawTaskManagers(t)
		total := 0
		freeOf := make(map[string][]int)
		for _, tm := range all {
			total += len(tm.Free)
			freeOf[tm.ID] = tm.Free
		}
		want := rapid.IntRange(1, 12).Draw(t, "parallelism")
		got := scheduler.Slots(all, want)
		if total < want {
			if got != nil {
				t.Fatalf("%d slots wanted of %d: got %v", want, total, got)
			}
			return
		}
		if len(got) != want {
			t.Fatalf("got %d slots, want %d", len(got), want)
		}
		used := make(map[string]int)
		seen := make(map[scheduler.Slot]bool)
		for _, s := range got {
			if seen[s] || !slices.Contains(freeOf[s.TaskManagerID], s.Index) {
				t.Fatalf("slot %v is taken twice or not free", s)
			}
			seen[s] = true
			used[s.TaskManagerID]++
		}
		for a, n := range used {
			for b, free := range freeOf {
				if n > used[b]+1 && used[b] < len(free) {
					t.Fatalf("%s has %d slots while %s has %d and more free", a, n, b, used[b])
				}
			}
		}
		slices.Reverse(all)
		if again := scheduler.Slots(all, want); !slices.Equal(got, again) {
			t.Fatalf("another order of taskmanagers gives %v, not %v", again, got)
		}
	})
}
