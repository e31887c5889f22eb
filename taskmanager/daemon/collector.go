package daemon

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// garbage is how many bytes of garbage may pile up before they are collected.
const garbage = 24 << 20

// The bounds of what garbagePercent returns. The upper one is Go's own.
const (
	leastPercent = 5
	mostPercent  = 100
)

// boundGarbage keeps the memory that is not in use from growing with the state, until ctx ends. By itself Go's collector lets as
// much garbage pile up as there is memory in use, because what it has to look at grows with that. State has no pointers to look
// at: with a gigabyte of it a collection costs little more than with none. GOGC in the environment says otherwise, and is obeyed.
func boundGarbage(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	set := mostPercent
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	afterEachCollection(func() bool {
		metrics.Read(live)
		if percent := garbagePercent(live[0].Value.Uint64()); percent != set { // setting it stops all goroutines for a moment
			debug.SetGCPercent(percent)
			set = percent
		}
		return ctx.Err() == nil
	})
}

// garbagePercent returns the GOGC at which no more than garbage piles up beside live bytes, within bounds.
func garbagePercent(live uint64) int {
	return int(max(leastPercent, min(mostPercent, 100*garbage/max(live, 1))))
}

// afterEachCollection calls then when garbage has been collected, as long as it returns true.
func afterEachCollection(then func() (again bool)) {
	type canary [64]byte // large enough to have its memory for itself, so that it dies in the next collection
	runtime.AddCleanup(new(canary), func(then func() bool) {
		if then() {
			afterEachCollection(then)
		}
	}, then)
}
