package replica

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

// What raft tries twice a second for as long as a peer is away is one line a minute, a warning, with the peer's name. What
// is wrong with this node is told each time. Before the first leader nobody is missed.
func TestLogOfADeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		to := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		l := newLogger(to, map[string]string{"jm2": "host2:6124"})
		for range 130 { // 65 s
			l.Error("failed to heartbeat to", "peer", raft.ServerAddress("host2:6124"), "error", errors.New("refused"))
			l.Error("failed to appendEntries to", "peer", raft.Server{ID: "jm3", Address: "host3:6124"}, "error", errors.New("refused"))
			l.Info("entering follower state")
			l.Warn("appendEntries rejected, sending older logs", "peer", raft.Server{ID: "jm3", Address: "host3:6124"}, "next", 1)
			time.Sleep(500 * time.Millisecond) //nolint:forbidigo // in a bubble: it takes no time
		}
		l.Warn("heartbeat timeout reached, starting election", "last-leader-addr", raft.ServerAddress(""), "last-leader-id", raft.ServerID(""))
		l.Warn("heartbeat timeout reached, starting election", "last-leader-addr", raft.ServerAddress("host2:6124"), "last-leader-id", raft.ServerID("jm2"))
		l.Error("failed to commit logs", "error", errors.New("disk full"))
		l.Error("failed to commit logs", "error", errors.New("disk full"))
		const once = `level=WARN msg="failed to heartbeat to" component=raft peer="jm2 (host2:6124)" error=refused
level=WARN msg="failed to appendEntries to" component=raft peer="jm3 (host3:6124)" error=refused
`
		const missed = `level=WARN msg="heartbeat timeout reached, starting election" component=raft last-leader-addr="jm2 (host2:6124)" last-leader-id=jm2
`
		want := once + once + missed + strings.Repeat("level=ERROR msg=\"failed to commit logs\" component=raft error=\"disk full\"\n", 2)
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	})
}
