package mongodb

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
)

// health is what holds a Writer up, for others to see. Its methods are safe for concurrent use.
type health struct {
	mu     sync.Mutex
	faults map[string]error // why servers do not answer the driver's own questions, by address
	reason string           // of the latest try that has failed; "" when the last one did not
	since  time.Time        // the first of those tries, or that which is under way
	trying bool
}

// patience is how long a try may take before it is worth a word.
const patience = 5 * time.Second

// monitor returns what the driver tells its questions to.
func (h *health) monitor() *event.ServerMonitor {
	return &event.ServerMonitor{
		ServerHeartbeatFailed:    func(e *event.ServerHeartbeatFailedEvent) { h.note(e.ConnectionID, e.Failure) },
		ServerHeartbeatSucceeded: func(e *event.ServerHeartbeatSucceededEvent) { h.note(e.ConnectionID, nil) },
	}
}

// note remembers how a server fares. A connection's name is the address and a number in brackets.
func (h *health) note(connection string, fault error) {
	address, _, _ := strings.Cut(connection, "[")
	h.mu.Lock()
	defer h.mu.Unlock()
	if fault == nil {
		delete(h.faults, address)
		return
	}
	h.faults[address] = fault
}

// fault returns why a server does not answer, the first by address, with that; nil when all do.
func (h *health) fault() (address string, fault error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, address := range slices.Sorted(maps.Keys(h.faults)) {
		return address, h.faults[address]
	}
	return "", nil
}

// begin notes that a try begins.
func (h *health) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trying = true
	if h.reason == "" {
		h.since = time.Now()
	}
}

// end notes how the try has ended, "" for well.
func (h *health) end(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reason, h.trying = reason, false
}

// trouble returns why nothing is written, and for how long; "" when all is well.
func (h *health) trouble() (string, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lasts := time.Since(h.since)
	switch {
	case h.reason != "":
		return h.reason, lasts
	case h.trying && lasts >= patience:
		return "no answer yet", lasts
	default:
		return "", 0
	}
}
