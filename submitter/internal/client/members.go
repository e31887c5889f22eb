package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Member is a jobmanager of the cluster.
type Member struct {
	ID           string `json:"id"`
	Address      string `json:"address"` // for Raft; "" for one alone
	Voter        bool   `json:"voter"`
	Leader       bool   `json:"leader"`
	Reachable    bool   `json:"reachable"` // the rest is only known of one that is
	Joining      bool   `json:"joining"`   // its disk was empty, and it has not caught up
	State        string `json:"state"`
	Term         int64  `json:"term"`
	LastIndex    int64  `json:"lastIndex"`
	AppliedIndex int64  `json:"appliedIndex"`
}

const membersPath = "/cluster/members"

// Members returns the jobmanagers as whichever of them answers knows them, in the order of their ids.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	var answer struct{ Members []Member }
	err := c.do(ctx, call{method: http.MethodGet, path: membersPath}, &answer)
	return answer.Members, err
}

// AddMember adds a jobmanager by the address that the others reach its Raft port at. It becomes a voter later, when it has caught up. A change
// that would harm the cluster is an *APIError with status 409.
func (c *Client) AddMember(ctx context.Context, id, address string) error {
	body, err := json.Marshal(map[string]string{"id": id, "address": address})
	if err != nil {
		return fmt.Errorf("encode member: %w", err)
	}
	return c.do(ctx, call{method: http.MethodPost, path: membersPath, contentType: "application/json", body: body, once: true}, nil)
}

// RemoveMember removes a jobmanager. An unknown one is an *APIError with status 404, and a change that would harm the cluster one with 409.
func (c *Client) RemoveMember(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: membersPath + "/" + url.PathEscape(id), once: true}, nil)
}
