package replica

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/bbolt"
)

// boltOptions gives up on a locked file instead of waiting for ever: another process has the directory.
func boltOptions() *bbolt.Options {
	return &bbolt.Options{Timeout: time.Second}
}

// newLogger passes raft's own lines on to the program's logger.
func newLogger(to *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Info})
	l.RegisterSink(sink{to})
	return l
}

// sink is an hclog sink that writes to slog.
type sink struct{ to *slog.Logger }

var levels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug, hclog.Debug: slog.LevelDebug,
	// Raft tells of every election step at info; one line per event that matters is the jobmanager's own task.
	hclog.Info: slog.LevelDebug,
	hclog.Warn: slog.LevelWarn, hclog.Error: slog.LevelError,
}

// Accept implements hclog.SinkAdapter.
func (s sink) Accept(name string, level hclog.Level, message string, args ...any) {
	s.to.With("component", name).Log(context.Background(), levels[level], message, args...) //nolint:sloglint // the message is raft's
}
