package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"pencere/jobmanager/internal/membership"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// Recovered is what a node goes on with.
type Recovered struct {
	Jobs        int
	Term, Index uint64 // of the newest entry
}

// Recover makes a node that does not run the only member, with what its disk holds: for a cluster whose other disks are lost, so that it can
// decide nothing any more. See package membership for when it may. The others join again with empty directories. Its error is a
// *RefusedError, or says what is wrong with the directory.
func Recover(ctx context.Context, cfg Config) (_ Recovered, err error) {
	dir := filepath.Join(cfg.Dir, "raft")
	if _, err := os.Stat(filepath.Join(dir, "log.db")); err != nil {
		return Recovered{}, refused("directory %s holds no jobmanager's state", cfg.Dir)
	}
	store, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "log.db"), BoltOptions: boltOptions()})
	if err != nil {
		return Recovered{}, fmt.Errorf("open log %s (does a jobmanager use this directory? stop it first): %w", filepath.Join(dir, "log.db"), err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	joining, err := markerIn(dir).exists()
	if err != nil {
		return Recovered{}, fmt.Errorf("read directory: %w", err)
	}
	if joining {
		return Recovered{}, refused("directory %s was empty when its jobmanager started, and has not got all from the others", cfg.Dir)
	}
	logger := newLogger(cfg.Log, cfg.Peers)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, logger)
	if err != nil {
		return Recovered{}, fmt.Errorf("open snapshots: %w", err)
	}
	own := raft.Server{ID: raft.ServerID(cfg.ID), Address: raft.ServerAddress(cfg.Peers[cfg.ID])}
	_, transport := raft.NewInmemTransport(own.Address)
	table := newTable()
	members, err := raft.GetConfiguration(raftConfig(cfg, logger), table, store, store, snapshots, transport) // and what the snapshot holds
	if err != nil {
		return Recovered{}, fmt.Errorf("read the members: %w", err)
	}
	last, err := readLog(table, store, snapshots)
	if err != nil {
		return Recovered{}, fmt.Errorf("read the log: %w", err)
	}
	peers := maps.Clone(cfg.Peers)
	var voters []string
	for _, s := range members.Servers {
		if s.Suffrage == raft.Voter {
			voters = append(voters, string(s.ID))
			peers[string(s.ID)] = cmp.Or(peers[string(s.ID)], string(s.Address))
		}
	}
	slices.Sort(voters)
	if reason := membership.Recover(cfg.ID, last, voters, answersOf(ctx, peers, cfg.ID)); reason != "" {
		return Recovered{}, refused("%s", reason)
	}
	if err := context.Cause(ctx); err != nil { // who was not asked did not answer
		return Recovered{}, err
	}
	alone := raft.Configuration{Servers: []raft.Server{own}}
	if err := raft.RecoverCluster(raftConfig(cfg, logger), newTable(), store, store, snapshots, transport, alone); err != nil {
		return Recovered{}, fmt.Errorf("recover the cluster: %w", err)
	}
	return Recovered{Jobs: len(table.all()), Term: last.Term, Index: last.Index}, nil
}

// readLog brings a table that holds the newest snapshot to the end of the log, whether that was committed or not, and returns where that is.
// It fails if there is an entry that this program cannot read: raft's recovery cuts the log.
func readLog(t *table, store *raftboltdb.BoltStore, snapshots raft.SnapshotStore) (last membership.Position, err error) {
	list, err := snapshots.List() // the newest first
	if err != nil {
		return last, err
	}
	if len(list) > 0 {
		last = membership.Position{Term: list[0].Term, Index: list[0].Index}
	}
	end, err := store.LastIndex()
	if err != nil {
		return last, err
	}
	for index := last.Index + 1; index <= end; index++ {
		var entry raft.Log
		if err := store.GetLog(index, &entry); err != nil {
			return last, fmt.Errorf("entry %d: %w", index, err)
		}
		if entry.Type == raft.LogCommand {
			t.Apply(&entry)
		}
		last = membership.Position{Term: entry.Term, Index: index}
	}
	return last, t.unreadable()
}
