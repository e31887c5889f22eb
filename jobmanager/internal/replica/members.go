package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"pencere/jobmanager/internal/view"

	"github.com/hashicorp/raft"
)

// growInterval is between two looks of a leader at the members.
const growInterval = 250 * time.Millisecond

// ErrNoMember is returned for an id that no member has.
var ErrNoMember = errors.New("no such member")

// RefusedError is a change of the members that would harm the cluster.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

func refused(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// servers are the members in the newest configuration of this node's log.
func (r *Replica) servers() []raft.Server {
	return r.raft.GetConfiguration().Configuration().Servers // it is at hand and has no error
}

func (r *Replica) server(id string) (raft.Server, bool) {
	all := r.servers()
	i := slices.IndexFunc(all, func(s raft.Server) bool { return s.ID == raft.ServerID(id) })
	if i < 0 {
		return raft.Server{}, false
	}
	return all[i], true
}

// standing is what this node tells of itself.
func (r *Replica) standing() standing {
	s := standing{
		ID: r.id, Joining: r.gate != nil && r.gate.joining(), State: r.RaftStatus().State, Term: r.raft.CurrentTerm(),
		LastLog: position(lastEntry(r.raft)), Applied: r.raft.AppliedIndex(),
	}
	for _, server := range r.servers() {
		s.Members = append(s.Members, member{ID: string(server.ID), Address: string(server.Address), Voter: server.Suffrage == raft.Voter})
	}
	return s
}

// Members returns the members as this node knows them, in the order of their ids, each asked how it is. Before there is a cluster they are
// the peers that this node was told of.
func (r *Replica) Members(ctx context.Context) []view.Member {
	own := r.standing()
	if r.gate == nil {
		return []view.Member{shown(member{ID: r.id, Voter: true}, own, true)}
	}
	known := own.Members
	if len(known) == 0 {
		for id, address := range r.peers {
			known = append(known, member{ID: id, Address: address})
		}
	}
	addresses := make(map[string]string)
	for _, m := range known {
		addresses[m.ID] = m.Address
	}
	told := askAll(ctx, addresses, r.id)
	told[r.id] = own
	var all []view.Member
	for _, m := range known {
		s, ok := told[m.ID]
		all = append(all, shown(m, s, ok))
	}
	slices.SortFunc(all, func(a, b view.Member) int { return cmp.Compare(a.ID, b.ID) })
	newest := uint64(0)
	for _, m := range all {
		newest = max(newest, m.Term)
	}
	for i := range all { // one that has not heard of its successor yet leads nobody
		all[i].Leader = all[i].Leader && all[i].Term == newest
	}
	return all
}

func shown(m member, s standing, reachable bool) view.Member {
	v := view.Member{ID: m.ID, Address: m.Address, Voter: m.Voter, Reachable: reachable}
	if reachable {
		v.State, v.Leader, v.Joining = s.State, s.State == "leader", s.Joining
		v.Term, v.LastIndex, v.AppliedIndex = s.Term, s.LastLog.Index, s.Applied
	}
	return v
}

// AddMember adds a node, at its address for Raft, which must have been started with an empty directory. It becomes a voter when it has caught up.
// Its error is ErrNotLeader, or a *RefusedError.
func (r *Replica) AddMember(ctx context.Context, id, address string) error {
	if r.gate == nil {
		return refused("jobmanager %s runs alone: start it with --peers %s=HOST:PORT, where others find its --raft-addr", r.id, r.id)
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	if !r.Leads() {
		return ErrNotLeader
	}
	if old, ok := r.server(id); ok {
		if string(old.Address) == address {
			return refused("%s is a member already", id)
		}
		return refused("%s is a member already, at %s: remove that one first", id, old.Address)
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return refused("%v, want host:port", err)
	}
	told, err := ask(ctx, address)
	switch {
	case err != nil:
		return refused("no jobmanager answers at %s: start it first, with an empty directory, --id %s and --peers that name it and the members: %v", address, id, dialError(err))
	case told.ID != id:
		return refused("the jobmanager at %s is %s, not %s", address, told.ID, id)
	case !told.Joining:
		return refused("the directory of %s at %s is not empty: it holds what another cluster, or an earlier member, left", id, address)
	}
	return r.change(r.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(address), 0, applyTimeout), "jobmanager is a member and will vote when it has caught up", id, address)
}

// dialError leaves out what the sentence around it says.
func dialError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

func (r *Replica) change(future raft.IndexFuture, done, id, address string) error {
	if err := future.Error(); err != nil {
		return fmt.Errorf("change the members: %w", leaderError(err))
	}
	r.log.Info(done, "member", id, "address", address) //nolint:sloglint // one of a few sentences
	return nil
}

// RemoveMember removes a node. A leader that is to remove itself hands its leadership over and returns ErrNotLeader: the next leader does it.
// Its error is ErrNotLeader, ErrNoMember, or a *RefusedError.
func (r *Replica) RemoveMember(ctx context.Context, id string) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	if !r.Leads() {
		return ErrNotLeader
	}
	gone, ok := r.server(id)
	if !ok {
		return fmt.Errorf("%s: %w", id, ErrNoMember)
	}
	if gone.Suffrage == raft.Voter {
		if err := r.lives(ctx, id); err != nil {
			return err
		}
	}
	if id == r.id {
		if err := r.raft.LeadershipTransfer().Error(); err != nil {
			return fmt.Errorf("hand the leadership over: %w", leaderError(err))
		}
		return fmt.Errorf("the leadership was handed over, for this jobmanager is to go: %w", ErrNotLeader)
	}
	return r.change(r.raft.RemoveServer(gone.ID, 0, applyTimeout), "jobmanager is no member any more", id, string(gone.Address))
}

// lives returns why a cluster without some voter could decide nothing, nil if it could.
func (r *Replica) lives(ctx context.Context, without string) error {
	rest := make(map[string]string)
	for _, s := range r.servers() {
		if s.Suffrage == raft.Voter && string(s.ID) != without {
			rest[string(s.ID)] = string(s.Address)
		}
	}
	if len(rest) == 0 {
		return refused("%s is the only voter: without it nothing is left", without)
	}
	told := askAll(ctx, rest, r.id)
	var silent []string
	for id := range rest {
		if s, ok := told[id]; id != r.id && (!ok || s.Joining) {
			silent = append(silent, id)
		}
	}
	if here, quorum := len(rest)-len(silent), len(rest)/2+1; here < quorum {
		slices.Sort(silent)
		return refused("without %s %d of %d voters would have to be there, and %s not well: bring that back first", without, quorum, len(rest), areNot(silent))
	}
	return nil
}

func areNot(ids []string) string {
	if len(ids) == 1 {
		return ids[0] + " is"
	}
	return strings.Join(ids, ", ") + " are"
}

// grow has a leader take in those of its peers that have come with empty disks, and give a vote to members that have caught up. What fails
// is tried again, and raft tells of it.
func (r *Replica) grow(ctx context.Context) {
	tick := time.NewTicker(growInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if r.Leads() {
				r.growOnce(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (r *Replica) growOnce(ctx context.Context) {
	r.changing.Lock()
	defer r.changing.Unlock()
	if own, ok := r.server(r.id); ok && string(own.Address) != r.peers[r.id] {
		_ = r.change(r.raft.AddVoter(own.ID, raft.ServerAddress(r.peers[r.id]), 0, applyTimeout), "jobmanager has another address", r.id, r.peers[r.id])
		return
	}
	for id, address := range r.peers {
		s, ok := r.server(id)
		if ok && string(s.Address) == address {
			continue
		}
		told, err := ask(ctx, address)
		switch {
		case err != nil || told.ID != id:
		case !ok && told.Joining:
			_ = r.change(r.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(address), 0, applyTimeout), "jobmanager is a member and will vote when it has caught up", id, address)
		case ok && s.Suffrage == raft.Voter:
			_ = r.change(r.raft.AddVoter(s.ID, raft.ServerAddress(address), 0, applyTimeout), "jobmanager has another address", id, address)
		}
	}
	for _, s := range r.servers() {
		if s.Suffrage == raft.Voter {
			continue
		}
		if told, err := ask(ctx, string(s.Address)); err == nil && told.ID == string(s.ID) && !told.Joining {
			_ = r.change(r.raft.AddVoter(s.ID, s.Address, 0, applyTimeout), "jobmanager votes", string(s.ID), string(s.Address))
		}
	}
}
