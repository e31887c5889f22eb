package replica

import (
	"errors"
	"io"
	"sync"

	"pencere/jobmanager/internal/membership"

	"github.com/hashicorp/raft"
)

// errJoining is what a node answers whose disk was empty and that has not caught up.
var errJoining = errors.New("this jobmanager's disk was empty, and it has not caught up yet")

// gate is a transport that a node with an empty disk takes part through: closed at first, then above a floor, at last open. See package
// membership for why.
type gate struct {
	*raft.NetworkTransport
	rpcs   chan raft.RPC
	closed chan struct{}
	close  sync.Once

	mu    sync.Mutex
	open  bool
	floor *membership.Floor // nil while closed
}

// newGate begins to take calls. Close ends that.
func newGate(transport *raft.NetworkTransport, open bool) *gate {
	g := &gate{NetworkTransport: transport, rpcs: make(chan raft.RPC), closed: make(chan struct{}), open: open}
	go g.run()
	return g
}

func (g *gate) run() {
	for {
		select {
		case rpc := <-g.NetworkTransport.Consumer():
			if g.refuse(rpc) {
				continue
			}
			select {
			case g.rpcs <- rpc:
			case <-g.closed:
				return
			}
		case <-g.closed:
			return
		}
	}
}

func (g *gate) set(open bool, floor *membership.Floor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.floor = open, floor
}

func (g *gate) state() (open bool, floor *membership.Floor) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.floor
}

// joining reports whether the gate is not open yet.
func (g *gate) joining() bool {
	open, _ := g.state()
	return !open
}

// refuse answers a call that the gate does not let in, and reports whether it did.
func (g *gate) refuse(rpc raft.RPC) bool {
	open, floor := g.state()
	if open {
		return false
	}
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}
	if floor == nil {
		if rpc.Reader != nil {
			_, _ = io.Copy(io.Discard, rpc.Reader) // what follows on the connection is the next call
		}
		rpc.Respond(nil, errJoining)
		return true
	}
	last := func(term, index uint64) membership.Position { return membership.Position{Term: term, Index: index} }
	switch c := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		if floor.AdmitsLeader(c.Term) {
			return false
		}
		rpc.Respond(&raft.AppendEntriesResponse{RPCHeader: header, Term: floor.Term}, nil)
	case *raft.InstallSnapshotRequest:
		if floor.AdmitsLeader(c.Term) {
			return false
		}
		_, _ = io.Copy(io.Discard, rpc.Reader) // as above
		rpc.Respond(&raft.InstallSnapshotResponse{RPCHeader: header, Term: floor.Term}, nil)
	case *raft.RequestVoteRequest:
		if floor.AdmitsVote(c.Term, last(c.LastLogTerm, c.LastLogIndex)) {
			return false
		}
		rpc.Respond(&raft.RequestVoteResponse{RPCHeader: header, Term: floor.Term}, nil)
	case *raft.RequestPreVoteRequest:
		if floor.AdmitsVote(c.Term, last(c.LastLogTerm, c.LastLogIndex)) {
			return false
		}
		rpc.Respond(&raft.RequestPreVoteResponse{RPCHeader: header, Term: floor.Term}, nil)
	default: // to stand for election at once
		rpc.Respond(nil, errJoining)
	}
	return true
}

// Consumer implements raft.Transport.
func (g *gate) Consumer() <-chan raft.RPC { return g.rpcs }

// SetHeartbeatHandler implements raft.Transport.
func (g *gate) SetHeartbeatHandler(handle func(raft.RPC)) {
	if handle == nil {
		g.NetworkTransport.SetHeartbeatHandler(nil)
		return
	}
	g.NetworkTransport.SetHeartbeatHandler(func(rpc raft.RPC) {
		if !g.refuse(rpc) {
			handle(rpc)
		}
	})
}

// RequestVote implements raft.Transport.
func (g *gate) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if g.joining() {
		return errJoining
	}
	return g.NetworkTransport.RequestVote(id, target, args, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (g *gate) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if g.joining() {
		return errJoining
	}
	return g.NetworkTransport.RequestPreVote(id, target, args, resp)
}

// Close implements raft.WithClose.
func (g *gate) Close() error {
	g.close.Do(func() { close(g.closed) })
	return g.NetworkTransport.Close()
}
