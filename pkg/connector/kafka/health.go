package kafka

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// health follows which brokers do not answer, and why, by the hooks that kgo calls from its own goroutines. kgo goes on
// trying; health only makes the wait visible and tells a refusal, which trying does not mend, from an absence.
type health struct {
	changed func() // called without locks held

	troubled atomic.Bool // len(faults) > 0: spares the lock on each answer
	mu       sync.Mutex
	faults   map[int32]string // by node; brokers that were given, not discovered, have negative numbers
	refusal  error
}

func newHealth(changed func()) *health {
	return &health{changed: changed, faults: make(map[int32]string)}
}

// errHungUp is how a broker often says that it expects another protocol or other credentials.
var errHungUp = errors.New("connection closed while it was set up; are security.protocol, sasl.* and ssl.* right?")

var (
	_ kgo.HookBrokerConnect = (*health)(nil)
	_ kgo.HookBrokerRead    = (*health)(nil)
)

// OnBrokerConnect is called by kgo after each try to connect.
func (h *health) OnBrokerConnect(broker kgo.BrokerMetadata, _ time.Duration, conn net.Conn, err error) {
	if conn != nil && errors.Is(err, io.EOF) {
		err = errHungUp
	}
	h.note(broker, err)
}

// OnBrokerRead is called by kgo after each answer, or instead of it.
func (h *health) OnBrokerRead(broker kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) { //nolint:revive // kgo's signature
	if err != nil || h.troubled.Load() {
		h.note(broker, err)
	}
}

func (h *health) note(broker kgo.BrokerMetadata, err error) {
	if h.set(broker, err) {
		h.changed()
	}
}

// set remembers how the broker fares and says whether that is news.
func (h *health) set(broker kgo.BrokerMetadata, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.faults[broker.NodeID]
	if err == nil {
		delete(h.faults, broker.NodeID)
	} else {
		name := net.JoinHostPort(broker.Host, fmt.Sprint(broker.Port))
		h.faults[broker.NodeID] = fmt.Sprintf("broker %s: %s; retrying", name, reason(err))
		if refused(err) && h.refusal == nil {
			h.refusal = &AuthError{What: "broker " + name, Err: err}
		}
	}
	h.troubled.Store(len(h.faults) > 0)
	return h.faults[broker.NodeID] != was
}

// broker returns why the broker does not answer, or "".
func (h *health) broker(node int32) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.faults[node]
}

// any returns why a broker does not answer, the first by number, or "" when all that were asked do.
func (h *health) any() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, node := range slices.Sorted(maps.Keys(h.faults)) {
		return h.faults[node]
	}
	return ""
}

// refused returns the first refusal by a broker, an *AuthError, or nil.
func (h *health) refused() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refusal
}
