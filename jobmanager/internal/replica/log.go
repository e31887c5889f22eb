package replica

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// boltOptions gives up on a locked file instead of waiting for ever: another process has the directory.
func boltOptions() *bbolt.Options {
	return &bbolt.Options{Timeout: time.Second}
}

// newLogger passes raft's own lines on to the program's logger. peers name the addresses in them.
func newLogger(to *slog.Logger, peers map[string]string) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Info})
	names := make(map[string]string)
	for id, address := range peers {
		names[address] = id
	}
	l.RegisterSink(&sink{to: to, names: names, now: time.Now, told: make(map[string]time.Time)})
	return l
}

// quiet is for how long what raft said about a peer is not said again. It tries a dead peer twice a second, for ever.
const quiet = time.Minute

// sink is an hclog sink that writes to slog.
type sink struct {
	to    *slog.Logger
	names map[string]string // of peers, by address
	now   func() time.Time

	mu   sync.Mutex
	told map[string]time.Time // when each message about a peer was last written
}

var levels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug, hclog.Debug: slog.LevelDebug,
	// Raft tells of every election step at info; one line per event that matters is the jobmanager's own task.
	hclog.Info: slog.LevelDebug,
	hclog.Warn: slog.LevelWarn, hclog.Error: slog.LevelError,
}

// ordinary are warnings about what happens whenever a node joins others.
var ordinary = map[string]bool{
	"no known peers, aborting election": true, "not part of stable configuration, aborting election": true,
	"heartbeat timeout reached, not part of a stable configuration or a non-voter, not triggering a leader election": true,
	"failed to get previous log": true, "appendEntries rejected, sending older logs": true,
}

// Accept implements hclog.SinkAdapter. Trouble with a peer is a warning, however often it is tried: this node is well.
func (s *sink) Accept(name string, level hclog.Level, message string, args ...any) {
	shown := levels[level]
	if slices.Contains(args, any(raft.ErrTransportShutdown)) || ordinary[message] { // this node ends, or all goes its way
		shown = slog.LevelDebug
	}
	if slices.Contains(args, any("last-leader-id")) && slices.Contains(args, any(raft.ServerID(""))) {
		shown = slog.LevelDebug // there was no leader yet whom it could miss
	}
	args, peer := s.withNames(args)
	if peer != "" && shown > slog.LevelDebug {
		shown = slog.LevelWarn
		if !s.first(message + "\x00" + peer) {
			shown = slog.LevelDebug
		}
	}
	s.to.With("component", name).Log(context.Background(), shown, message, args...) //nolint:sloglint // the message is raft's
}

// withNames returns the arguments of a line with the ids of the nodes in them, and the node that the line is about, "" for none.
func (s *sink) withNames(args []any) (named []any, peer string) {
	named = append(named, args...)
	for i := 1; i < len(named); i += 2 {
		key, value := named[i-1], named[i]
		switch v := value.(type) {
		case raft.Server:
			named[i] = fmt.Sprintf("%s (%s)", v.ID, v.Address)
		case raft.ServerAddress:
			if id := s.names[string(v)]; id != "" {
				named[i] = fmt.Sprintf("%s (%s)", id, v)
			}
		}
		switch key {
		case "peer", "target", "server-id":
			peer = fmt.Sprint(named[i])
		}
	}
	return named, peer
}

// first reports whether a message has not been written for a while, and notes that it is now.
func (s *sink) first(message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if last, ok := s.told[message]; ok && now.Sub(last) < quiet {
		return false
	}
	s.told[message] = now
	return true
}
