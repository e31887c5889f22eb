package daemon

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestGarbagePercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 100}, {1 << 20, 100}, {garbage, 100}, {2 * garbage, 50}, {100 << 20, 24}, {1 << 30, leastPercent}, {1 << 40, leastPercent},
	} {
		if got := garbagePercent(c.live); got != c.want {
			t.Errorf("with %d MiB in use: %d %%, want %d", c.live>>20, got, c.want)
		}
	}
}

// With much in use the collector runs more often, and as often as ever when it is gone.
func TestBoundGarbage(t *testing.T) {
	t.Setenv("GOGC", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer debug.SetGCPercent(debug.SetGCPercent(mostPercent))
	defer cancel()
	boundGarbage(ctx)
	state := make([]byte, 10*garbage)
	awaitPercent(t, func(percent uint64) bool { return percent <= 10 })
	runtime.KeepAlive(state)
	awaitPercent(t, func(percent uint64) bool { return percent == mostPercent })
}

// awaitPercent collects garbage until GOGC is as wanted.
func awaitPercent(t *testing.T, wanted func(uint64) bool) {
	t.Helper()
	gogc := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		metrics.Read(gogc)
		percent := gogc[0].Value.Uint64()
		if wanted(percent) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("GOGC is %d after 10 s", percent)
		}
	}
}
