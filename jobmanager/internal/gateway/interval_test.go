package gateway

import (
	"testing"
	"time"
)

// A large cluster is heard of less often, but each of its taskmanagers several times before it counts as silent.
func TestIntervalBeside(t *testing.T) {
	perSecond := 0.0
	for n := range int64(1000) {
		interval := intervalBeside(n + 1)
		if n < 250 && interval != time.Second || interval < time.Second || interval > heartbeatTimeout/3 {
			t.Fatalf("taskmanager %d: %s", n+1, interval)
		}
		perSecond += 1 / interval.Seconds()
	}
	if perSecond > 650 {
		t.Errorf("%.0f heartbeats a second of 1000 taskmanagers", perSecond)
	}
}
