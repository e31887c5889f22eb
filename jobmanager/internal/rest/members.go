package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/view"
)

// Members are the jobmanagers of the cluster. It is safe for concurrent use.
type Members interface {
	// Members returns them as this jobmanager knows them, in the order of their ids.
	Members(ctx context.Context) []view.Member
	// AddMember and RemoveMember change them. They return replica.ErrNotLeader, replica.ErrNoMember, or a *replica.RefusedError.
	AddMember(ctx context.Context, id, address string) error
	RemoveMember(ctx context.Context, id string) error
}

// MembersPath is where the jobmanagers are listed. It is answered by any of them, whoever leads.
const MembersPath = "/cluster/members"

type memberInfo struct {
	ID           string `json:"id"`
	Address      string `json:"address"` // for Raft
	Voter        bool   `json:"voter"`
	Leader       bool   `json:"leader"`
	Reachable    bool   `json:"reachable"`
	Joining      bool   `json:"joining"` // its disk was empty, and it has not caught up
	State        string `json:"state"`   // FOLLOWER, CANDIDATE, LEADER, SHUTDOWN, or "" of one that is not reached
	Term         int64  `json:"term"`
	LastIndex    int64  `json:"lastIndex"`
	AppliedIndex int64  `json:"appliedIndex"`
}

type memberList struct {
	Members []memberInfo `json:"members"`
}

func (s *server) members(r *http.Request) (any, error) {
	answer := memberList{Members: []memberInfo{}}
	for _, m := range s.Members.Members(r.Context()) {
		answer.Members = append(answer.Members, memberInfo{
			ID: m.ID, Address: m.Address, Voter: m.Voter, Leader: m.Leader, Reachable: m.Reachable, Joining: m.Joining,
			State: strings.ToUpper(m.State), Term: int64(m.Term), LastIndex: int64(m.LastIndex), AppliedIndex: int64(m.AppliedIndex),
		})
	}
	return answer, nil
}

func (s *server) addMember(r *http.Request) (any, error) {
	var body struct{ ID, Address string }
	if err := readBody(r, "MemberRequestBody", &body); err != nil {
		return nil, err
	}
	if body.ID == "" || body.Address == "" {
		return nil, &problem{http.StatusBadRequest, []string{`a member has an "id" and an "address", host:port of its --raft-addr`}}
	}
	if err := s.Members.AddMember(r.Context(), body.ID, body.Address); err != nil {
		return nil, memberProblem(err)
	}
	return accepted{struct{}{}}, nil
}

func (s *server) removeMember(r *http.Request) (any, error) {
	if err := s.Members.RemoveMember(r.Context(), r.PathValue("memberid")); err != nil {
		return nil, memberProblem(err)
	}
	return struct{}{}, nil
}

func memberProblem(err error) error {
	var refused *replica.RefusedError
	switch {
	case errors.As(err, &refused):
		return &problem{http.StatusConflict, []string{err.Error()}}
	case errors.Is(err, replica.ErrNoMember):
		return &problem{http.StatusNotFound, []string{err.Error()}}
	case errors.Is(err, replica.ErrNotLeader):
		return fmt.Errorf("%w: %w", jobmaster.ErrNotLeading, err)
	default:
		return err
	}
}
