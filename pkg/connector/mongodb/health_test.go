package mongodb

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Trouble is told for as long as it lasts, from the first try on; a try that takes long is some too.
func TestTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &health{faults: map[string]error{}}
		want := func(reason string, lasts time.Duration) {
			t.Helper()
			if got, forHowLong := h.trouble(); got != reason || forHowLong != lasts {
				t.Errorf("trouble %q for %s, want %q for %s", got, forHowLong, reason, lasts)
			}
		}
		want("", 0)
		h.begin()
		time.Sleep(patience - 1) //nolint:forbidigo // in a bubble's time
		want("", 0)
		time.Sleep(time.Nanosecond) //nolint:forbidigo // in a bubble's time
		want("no answer yet", patience)
		h.end("db:1: gone")
		h.begin()
		want("db:1: gone", patience)
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble's time
		h.end("db:1: closed")
		want("db:1: closed", patience+time.Minute)
		h.begin()
		h.end("")
		want("", 0)
		h.begin()
		h.end("again")
		want("again", 0)
	})
}

// The first server by its address that does not answer is named, until it does.
func TestFaults(t *testing.T) {
	h := &health{faults: map[string]error{}}
	monitor := errors.New("refused")
	h.note("b:1[-3]", monitor)
	h.note("a:1[-4]", monitor)
	if address, fault := h.fault(); address != "a:1" || !errors.Is(fault, monitor) {
		t.Errorf("%s: %v", address, fault)
	}
	h.note("a:1[-5]", nil)
	if address, _ := h.fault(); address != "b:1" {
		t.Errorf("%s", address)
	}
}
