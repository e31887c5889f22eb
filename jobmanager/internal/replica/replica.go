package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	storagev1 "pencere/pkg/gen/pencere/storage/v1"

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
	electionTimeout = 700 * time.Millisecond
	leaderLease     = 500 * time.Millisecond
)

// Config says where a replica lives and who the others are.
type Config struct {
	ID   string // of this node, unique among the peers
	Dir  string // for the log and snapshots; created if missing
	Addr string // host:port for raft; "" or a single node needs no port
	// Peers are all nodes by id with their raft addresses. Empty means this node alone.
	Peers map[string]string
	Log   *slog.Logger
}

// Replica is one node's copy of the table of jobs.
type Replica struct {
	id    string
	raft  *raft.Raft
	table *table
	store *raftboltdb.BoltStore
	close []io.Closer
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
	r := &Replica{id: cfg.ID, table: newTable(), store: store, close: []io.Closer{store}}
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
	transport, address, err := r.transport(cfg)
	if err != nil {
		return err
	}
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(cfg.ID)
	rc.Logger = logger
	if len(cfg.Peers) == 0 {
		// Nobody else can be elected: waiting for a rival's heartbeat would only delay the start.
		rc.HeartbeatTimeout = 50 * time.Millisecond
		rc.ElectionTimeout = 50 * time.Millisecond
		rc.LeaderLeaseTimeout = 50 * time.Millisecond
	} else {
		rc.HeartbeatTimeout, rc.ElectionTimeout, rc.LeaderLeaseTimeout = electionTimeout, electionTimeout, leaderLease
	}
	if err := bootstrap(rc, r.store, snapshots, transport, servers(cfg, address)); err != nil {
		return err
	}
	r.raft, err = raft.NewRaft(rc, r.table, r.store, r.store, snapshots, transport)
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	return r.checkMember(cfg)
}

// checkMember refuses a directory of another node's: without a vote in its log this one would wait for ever to lead.
func (r *Replica) checkMember(cfg Config) error {
	known := r.raft.GetConfiguration()
	if err := known.Error(); err != nil {
		return fmt.Errorf("read raft configuration: %w", err)
	}
	var members []string
	for _, server := range known.Configuration().Servers {
		if server.ID == raft.ServerID(cfg.ID) {
			return nil
		}
		members = append(members, string(server.ID))
	}
	return fmt.Errorf("data directory %s belongs to jobmanager %s, not to %s: give its --id or another --data-dir",
		cfg.Dir, strings.Join(members, ", "), cfg.ID)
}

// transport is TCP among peers and memory for a node alone, which then needs no port.
func (r *Replica) transport(cfg Config) (raft.Transport, raft.ServerAddress, error) {
	if len(cfg.Peers) == 0 {
		address, transport := raft.NewInmemTransport(raft.ServerAddress(cfg.ID))
		return transport, address, nil
	}
	advertised, err := net.ResolveTCPAddr("tcp", cfg.Peers[cfg.ID])
	if err != nil {
		return nil, "", fmt.Errorf("resolve own raft address %q: %w", cfg.Peers[cfg.ID], err)
	}
	transport, err := raft.NewTCPTransportWithLogger(cfg.Addr, advertised, 3, applyTimeout, newLogger(cfg.Log, cfg.Peers))
	if err != nil {
		return nil, "", fmt.Errorf("listen for raft on %s: %w", cfg.Addr, err)
	}
	r.close = append(r.close, transport)
	address := transport.LocalAddr()
	return transport, address, nil
}

func servers(cfg Config, own raft.ServerAddress) []raft.Server {
	if len(cfg.Peers) == 0 {
		return []raft.Server{{ID: raft.ServerID(cfg.ID), Address: own}}
	}
	var all []raft.Server
	for id, address := range cfg.Peers {
		all = append(all, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(address)})
	}
	return all
}

// bootstrap writes the first configuration into an empty directory; one that has a log keeps its own.
func bootstrap(rc *raft.Config, store *raftboltdb.BoltStore, snapshots raft.SnapshotStore, transport raft.Transport, all []raft.Server) error {
	known, err := raft.HasExistingState(store, store, snapshots)
	if err != nil {
		return fmt.Errorf("read raft state: %w", err)
	}
	if known {
		return nil
	}
	if err := raft.BootstrapCluster(rc, store, store, snapshots, transport, raft.Configuration{Servers: all}); err != nil {
		return fmt.Errorf("bootstrap raft: %w", err)
	}
	return nil
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

// Close stops the replica. What was applied stays on disk.
func (r *Replica) Close() error {
	var errs []error
	if r.raft != nil {
		errs = append(errs, r.raft.Shutdown().Error())
	}
	for _, c := range r.close {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
