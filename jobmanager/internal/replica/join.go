package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"pencere/jobmanager/internal/membership"
	"pencere/pkg/durable"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// joinInterval is between two looks at how far a node with an empty disk is.
const joinInterval = 50 * time.Millisecond

// worrying is how long a node waits before it warns: others may be starting just now. Then it does so as often as of a dead peer.
const worrying = 5 * time.Second

// joiner brings a node with an empty disk into the cluster, or begins one. See package membership.
type joiner struct {
	id     string
	peers  map[string]string // addresses of Raft, by id
	raft   *raft.Raft
	store  *raftboltdb.BoltStore
	gate   *gate
	marker marker
	log    *slog.Logger
}

// marker is a file that is there as long as a node's disk is not whole: what its log says may be less than it once promised.
type marker string

func markerIn(dir string) marker { return marker(filepath.Join(dir, "joining")) }

func (m marker) exists() (bool, error) {
	_, err := os.Stat(string(m))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (m marker) set() error {
	disk := durable.Disk{}
	file, err := disk.Create(string(m))
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), disk.SyncDir(filepath.Dir(string(m))))
}

func (m marker) remove() error {
	if err := os.Remove(string(m)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return durable.Disk{}.SyncDir(filepath.Dir(string(m)))
}

// run returns when this node takes part like any other, or ctx has ended. What fails is tried again.
func (j *joiner) run(ctx context.Context) {
	tick := time.NewTicker(joinInterval)
	defer tick.Stop()
	said, since := "", time.Now()
	for {
		done, wait, err := j.step(ctx)
		if done {
			return
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			wait = err.Error()
		}
		switch {
		case wait != said:
			said, since = wait, time.Now()
			if wait != "" {
				j.log.Info("jobmanager waits to take part in the cluster", "reason", wait)
			}
		case wait != "" && time.Since(since) > worrying:
			j.log.Warn("jobmanager still waits to take part in the cluster", "reason", wait)
			since = time.Now().Add(quiet - worrying)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (j *joiner) step(ctx context.Context) (done bool, wait string, err error) {
	if _, floor := j.gate.state(); floor != nil {
		done, err = j.caughtUp(*floor)
		return done, "", err
	}
	answers := answersOf(ctx, j.peers, j.id)
	if err := context.Cause(ctx); err != nil { // who was not asked did not answer
		return false, "", err
	}
	d := membership.Decide(j.id, lastEntry(j.raft), slices.Collect(maps.Keys(j.peers)), answers)
	switch {
	case d.Found:
		return true, "", j.found()
	case d.Follow:
		j.log.Info("jobmanager with an empty disk joins the cluster", "through_term", d.Floor.Last.Term, "through_index", d.Floor.Last.Index)
		return false, "", j.follow(d.Floor)
	default:
		return false, d.Wait, nil
	}
}

// answersOf asks all peers but one, and whom they know of.
func answersOf(ctx context.Context, peers map[string]string, but string) (all []membership.Answer) {
	told := askAll(ctx, peers, but)
	further := make(map[string]string)
	for _, s := range told {
		for _, m := range s.Members {
			if peers[m.ID] == "" && m.ID != but {
				further[m.ID] = m.Address
			}
		}
	}
	maps.Copy(told, askAll(ctx, further, but))
	for _, s := range told {
		a := membership.Answer{
			ID: s.ID, Joining: s.Joining, Term: s.Term, Leads: s.State == "leader", Last: membership.Position(s.LastLog),
		}
		for _, m := range s.Members {
			if m.Voter {
				a.Voters = append(a.Voters, m.ID)
			}
		}
		all = append(all, a)
	}
	return all
}

// askAll asks the nodes at some addresses at once, but for one, and returns those that answer, by their id.
func askAll(ctx context.Context, addresses map[string]string, but string) map[string]standing {
	var (
		mu    sync.Mutex
		tasks sync.WaitGroup
	)
	told := make(map[string]standing)
	for id, address := range addresses {
		if id == but {
			continue
		}
		tasks.Go(func() {
			if s, err := ask(ctx, address); err == nil && s.ID == id {
				mu.Lock()
				defer mu.Unlock()
				told[id] = s
			}
		})
	}
	tasks.Wait()
	return told
}

// found begins a cluster of this node alone. The marker goes first: without it and without a log the next start decides anew.
func (j *joiner) found() error {
	if err := j.marker.remove(); err != nil {
		return fmt.Errorf("begin a cluster: %w", err)
	}
	j.gate.set(true, nil)
	own := raft.Server{ID: raft.ServerID(j.id), Address: raft.ServerAddress(j.peers[j.id])}
	if err := j.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{own}}).Error(); err != nil {
		return fmt.Errorf("begin a cluster: %w", err)
	}
	j.log.Info("jobmanager begins a new cluster")
	return nil
}

// The keys under which raft keeps its last vote. It reads them at each request for one.
var keyLastVoteTerm, keyLastVoteCandidate = []byte("LastVoteTerm"), []byte("LastVoteCand")

// follow opens the gate above a floor. In the floor's term this node counts as having voted, for nobody who could ask.
func (j *joiner) follow(floor membership.Floor) error {
	voted, err := j.store.GetUint64(keyLastVoteTerm)
	if err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return fmt.Errorf("read the last vote: %w", err)
	}
	if voted < floor.Term {
		err := j.store.Set(keyLastVoteCandidate, []byte("nobody"))
		if err == nil {
			err = j.store.SetUint64(keyLastVoteTerm, floor.Term)
		}
		if err != nil {
			return fmt.Errorf("write the last vote: %w", err)
		}
	}
	j.gate.set(false, &floor)
	return nil
}

// caughtUp opens the gate if this node's log has come to the floor and to where it is a member.
func (j *joiner) caughtUp(floor membership.Floor) (bool, error) {
	own := func(s raft.Server) bool { return s.ID == raft.ServerID(j.id) }
	members := j.raft.GetConfiguration().Configuration().Servers
	if lastEntry(j.raft).Before(floor.Last) || j.raft.CurrentTerm() < floor.Term || !slices.ContainsFunc(members, own) {
		return false, nil
	}
	if err := j.marker.remove(); err != nil {
		return false, fmt.Errorf("note that the disk is whole: %w", err)
	}
	j.gate.set(true, nil)
	j.log.Info("jobmanager has caught up with the cluster")
	return true, nil
}

// lastEntry is the position of the newest entry, be it in the log or in a snapshot.
func lastEntry(r *raft.Raft) membership.Position {
	stats := r.Stats()
	number := func(key string) uint64 {
		n, _ := strconv.ParseUint(stats[key], 10, 64) // raft has formatted it
		return n
	}
	entry := membership.Position{Term: number("last_log_term"), Index: number("last_log_index")}
	snapshot := membership.Position{Term: number("last_snapshot_term"), Index: number("last_snapshot_index")}
	if entry.Index < snapshot.Index {
		return snapshot
	}
	return entry
}
