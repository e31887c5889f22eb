package simulation_test

import "testing"

// Subtasks of a job without a window fail one by one, at any moment: while they read, when they have ended, when the last checkpoint is
// committed. All that TestSimulation wants holds, and nearly always nothing but the one that failed begins again.
func TestRegions(t *testing.T) {
	regional, played := 0, 0
	for n := range *runs {
		inWorld(t, *seed+uint64(n), func(w *world) {
			if !w.windowless {
				return
			}
			w.trouble = 0
			for range 200 + w.rng.IntN(1500) {
				w.step()
				switch w.rng.IntN(200) {
				case 0, 1:
					w.failTask("broken")
				case 2:
					w.harmed = true
					w.killTaskManager(w.taskManagers[w.rng.IntN(len(w.taskManagers))])
					w.startTaskManager()
				}
				if t.Failed() {
					return
				}
			}
			w.heal()
			played, regional = played+1, regional+w.regional
		})
		if t.Failed() {
			return
		}
	}
	if regional < 2*played {
		t.Errorf("%d regions failed alone in %d runs", regional, played)
	}
}
