package operator

import (
	"sync"
	"time"
)

// Stopwatch adds up spans of time, the one that is on included: a wait without end shows while it lasts. Its zero value is
// stopped at zero; it is safe for concurrent use.
type Stopwatch struct {
	mu    sync.Mutex
	total time.Duration
	began time.Time // of the span that is on; zero when stopped
}

// Start begins a span.
func (s *Stopwatch) Start() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = now
}

// Stop ends the span that Start began.
func (s *Stopwatch) Stop() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += now.Sub(s.began)
	s.began = time.Time{}
}

// Total returns the sum of all spans.
func (s *Stopwatch) Total() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() {
		return s.total
	}
	return s.total + time.Since(s.began)
}
