package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	storagev1 "pencere/pkg/gen/pencere/storage/v1"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"google.golang.org/protobuf/proto"
)

// Errors of a Replica.
var (
	// ErrNoJob is returned for a job that the table does not hold.
	ErrNoJob = errors.New("no such job")
	// ErrNotLeader is returned by Apply on a node that does not lead.
	ErrNotLeader = errors.New("not the leader")
)

// applyTimeout bounds the wait for a command to enter the log; a disk that takes longer is as good as gone.
const applyTimeout = 10 * time.Second

// A leader that is silent is followed by another after once to twice electionTimeout. One that hears no majority for leaderLease
// knows that it leads no more. A change of leader harms no job, so that these may be short.
const (
	electionTimeout = 500 * time.Millisecond
	leaderLease     = 400 * time.Millisecond
)

// The table is small and entries of the log may hold a checkpoint each, so that the log is cut often: once so many entries are newer
// than the last snapshot. As many are kept for nodes that were away for a short while.
const (
	snapshotThreshold = 1024
	snapshotInterval  = 20 * time.Second
)

// Config says where a replica lives and who the others are.
type Config struct {
	ID   string // of this node, unique among the peers
	Dir  string // for the log and snapshots; created if missing
	Addr string // host:port for raft; "" or a single node needs no port
	// Peers are the nodes by id with their raft addresses, this one too. Empty means this node alone, without a port. A node whose
	// directory is empty begins a cluster if all peers say that theirs are too, else it joins theirs.
	Peers map[string]string
	Log   *slog.Logger

	// SnapshotThreshold is after how many entries, and SnapshotInterval after what time at the soonest, a snapshot takes the place of
	// the log, of which as many entries stay; 0 for the defaults.
	SnapshotThreshold uint64
	SnapshotInterval  time.Duration
}

// Replica is one node's copy of the table of jobs.
type Replica struct {
	id    string
	peers map[string]string
	raft  *raft.Raft
	table *table
	store *raftboltdb.BoltStore
	gate  *gate // nil for a node alone
	log   *slog.Logger
	close []io.Closer

	changing sync.Mutex // held while the members change
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// Open starts the replica from what its directory holds, which may be nothing yet.
func Open(cfg Config) (*Replica, error) {
	dir := filepath.Join(cfg.Dir, "raft")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	store, err := raftboltdb.New(raftboltdb.Options{
		Path:        filepath.Join(dir, "log.db"),
		BoltOptions: boltOptions(),
	})
	if err != nil {
		return nil, fmt.Errorf("open log %s (does another jobmanager use this directory?): %w", filepath.Join(dir, "log.db"), err)
	}
	r := &Replica{id: cfg.ID, peers: cfg.Peers, table: newTable(), store: store, log: cfg.Log, cancel: func() {}, close: []io.Closer{store}}
	if err := r.start(cfg, dir); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Replica) start(cfg Config, dir string) error {
	logger := newLogger(cfg.Log, cfg.Peers)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, logger)
	if err != nil {
		return fmt.Errorf("open snapshots: %w", err)
	}
	known, err := raft.HasExistingState(r.store, r.store, snapshots)
	if err != nil {
		return fmt.Errorf("read raft state: %w", err)
	}
	if len(cfg.Peers) == 0 {
		return r.startAlone(cfg, dir, snapshots, known, logger)
	}
	return r.startAmongPeers(cfg, dir, snapshots, known, logger)
}

// startAlone needs no port, and waits for no rival: that would only delay the start.
func (r *Replica) startAlone(cfg Config, dir string, snapshots raft.SnapshotStore, known bool, logger hclog.Logger) error {
	rc := raftConfig(cfg, logger)
	rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	address, transport := raft.NewInmemTransport(raft.ServerAddress(cfg.ID))
	if !known {
		if err := markerIn(dir).remove(); err != nil {
			return fmt.Errorf("bootstrap raft: %w", err)
		}
		own := raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(cfg.ID), Address: address}}}
		if err := raft.BootstrapCluster(rc, r.store, r.store, snapshots, transport, own); err != nil {
			return fmt.Errorf("bootstrap raft: %w", err)
		}
	}
	return r.run(cfg, rc, snapshots, transport)
}

// startAmongPeers starts a node that others know by its address. One with an empty directory joins them before it takes full part.
func (r *Replica) startAmongPeers(cfg Config, dir string, snapshots raft.SnapshotStore, known bool, logger hclog.Logger) error {
	rc := raftConfig(cfg, logger)
	rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = electionTimeout, electionTimeout, leaderLease
	mark := markerIn(dir)
	joining, err := mark.exists()
	if err == nil && !known {
		joining, err = true, mark.set()
	}
	if err != nil {
		return fmt.Errorf("note that the disk is empty: %w", err)
	}
	advertised, err := net.ResolveTCPAddr("tcp", cfg.Peers[cfg.ID])
	if err != nil {
		return fmt.Errorf("resolve own raft address %q: %w", cfg.Peers[cfg.ID], err)
	}
	port, err := listen(cfg.Addr, advertised)
	if err != nil {
		return fmt.Errorf("listen for raft on %s: %w", cfg.Addr, err)
	}
	r.close = append(r.close, port)
	r.gate = newGate(raft.NewNetworkTransportWithLogger(port, 3, applyTimeout, logger), !joining)
	r.close = append(r.close, r.gate)
	if err := r.run(cfg, rc, snapshots, r.gate); err != nil {
		return err
	}
	r.close = append(r.close, serveStanding(port, r.standing))
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if joining {
		j := &joiner{id: cfg.ID, peers: cfg.Peers, raft: r.raft, store: r.store, gate: r.gate, marker: mark, log: cfg.Log}
		r.running.Go(func() { j.run(ctx) })
	}
	r.running.Go(func() { r.grow(ctx) })
	return nil
}

func raftConfig(cfg Config, logger hclog.Logger) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(cfg.ID)
	rc.Logger = logger
	rc.SnapshotThreshold = cmp.Or(cfg.SnapshotThreshold, snapshotThreshold)
	rc.SnapshotInterval = cmp.Or(cfg.SnapshotInterval, snapshotInterval)
	rc.TrailingLogs = rc.SnapshotThreshold
	return rc
}

func (r *Replica) run(cfg Config, rc *raft.Config, snapshots raft.SnapshotStore, transport raft.Transport) (err error) {
	if r.raft, err = raft.NewRaft(rc, r.table, r.store, r.store, snapshots, transport); err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	return r.checkMember(cfg)
}

// checkMember refuses a directory in whose log this node has no vote, or others have one whom it could not reach: it would wait for
// ever to lead.
func (r *Replica) checkMember(cfg Config) error {
	members := r.servers()
	if r.gate != nil && r.gate.joining() { // its log is not whole yet
		return nil
	}
	var ids []string
	for _, s := range members {
		ids = append(ids, string(s.ID))
	}
	slices.Sort(ids)
	all := strings.Join(ids, ", ")
	switch {
	case !slices.Contains(ids, cfg.ID) && len(cfg.Peers) > 0:
		return fmt.Errorf("data directory %s belongs to jobmanager %s, not to %s: give its --id or another --data-dir; one that was removed "+
			"from a cluster and comes back needs an empty directory", cfg.Dir, all, cfg.ID)
	case !slices.Contains(ids, cfg.ID):
		return fmt.Errorf("data directory %s belongs to jobmanager %s, not to %s: give its --id or another --data-dir", cfg.Dir, all, cfg.ID)
	case len(cfg.Peers) == 0 && len(ids) > 1:
		return fmt.Errorf("data directory %s is that of one of the jobmanagers %s: name them all in --peers", cfg.Dir, all)
	default:
		return nil
	}
}

// Leadership says whether this node leads: each value is a change. The channel must be read.
func (r *Replica) Leadership() <-chan bool { return r.raft.LeaderCh() }

// Term returns the current Raft term: the fencing token of whoever leads in it.
func (r *Replica) Term() uint64 { return r.raft.CurrentTerm() }

// Leads reports whether this node leads, as far as it knows.
func (r *Replica) Leads() bool { return r.raft.State() == raft.Leader }

// Announce lets the other nodes know where the REST API of this one is, which leads.
func (r *Replica) Announce(ctx context.Context, restAddress string) error {
	return r.Apply(ctx, &storagev1.Command{Command: &storagev1.Command_AnnounceLeader{
		AnnounceLeader: &storagev1.AnnounceLeader{Id: r.id, RestAddress: restAddress}}})
}

// Leader returns the REST address of the node that leads, "" while none is known.
func (r *Replica) Leader() (restAddress string) {
	_, id := r.raft.LeaderWithID()
	if leader := r.table.announced(); leader != nil && leader.GetId() == string(id) {
		return leader.GetRestAddress()
	}
	return ""
}

// Ready waits until every command that was committed before this node became leader is in the table. Its error is
// ErrNotLeader, or names an entry of the log that this program cannot read.
func (r *Replica) Ready() error {
	if err := r.raft.Barrier(applyTimeout).Error(); err != nil {
		return fmt.Errorf("wait for the log: %w", leaderError(err))
	}
	return r.table.unreadable()
}

// Apply commits a command to the log and returns once it is durable and in the table. Its error is ErrNotLeader, the
// command's own, or ctx's.
func (r *Replica) Apply(ctx context.Context, c *storagev1.Command) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	data, err := proto.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode command: %w", err)
	}
	future := r.raft.Apply(data, applyTimeout)
	if err := future.Error(); err != nil {
		return fmt.Errorf("commit to the log: %w", leaderError(err))
	}
	if err, ok := future.Response().(error); ok {
		return err
	}
	return nil
}

// leaderError marks the errors of a node that does not lead, or not any more.
func leaderError(err error) error {
	if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipLost) || errors.Is(err, raft.ErrRaftShutdown) {
		return fmt.Errorf("%w: %w", ErrNotLeader, err)
	}
	return err
}

// Job returns a job; it must not be changed. The error wraps ErrNoJob.
func (r *Replica) Job(id string) (*storagev1.Job, error) {
	job, ok := r.table.job(id)
	if !ok {
		return nil, fmt.Errorf("job %s: %w", id, ErrNoJob)
	}
	return job, nil
}

// Jobs returns all jobs in no order; they must not be changed.
func (r *Replica) Jobs() []*storagev1.Job { return r.table.all() }

// Close stops the replica. What was applied stays on disk. A leader hands its leadership over first: the others need not find out.
func (r *Replica) Close() error {
	r.cancel()
	r.running.Wait()
	if r.gate != nil && r.raft != nil && r.Leads() {
		if err := r.raft.LeadershipTransfer().Error(); err != nil {
			r.log.Debug("leadership not handed over", "error", err) // nobody else is there
		}
	}
	var errs []error
	if r.raft != nil {
		errs = append(errs, r.raft.Shutdown().Error())
	}
	for _, c := range slices.Backward(r.close) {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
