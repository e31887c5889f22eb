package replica

import "strings"

// States lists the states of a node, by the names of Raft.
var States = []string{"follower", "candidate", "leader", "shutdown"}

// RaftStatus is how a node stands in Raft.
type RaftStatus struct {
	State     string // one of States
	Term      uint64
	LastIndex uint64 // of the newest entry of its log
	Applied   uint64 // the newest entry that is in the table
}

// RaftStatus returns how this node stands. It is not of one moment.
func (r *Replica) RaftStatus() RaftStatus {
	return RaftStatus{
		State: strings.ToLower(r.raft.State().String()), Term: r.raft.CurrentTerm(), LastIndex: r.raft.LastIndex(), Applied: r.raft.AppliedIndex(),
	}
}
