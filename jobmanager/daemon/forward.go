package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/rest"
)

// forwardedHeader marks a request that another jobmanager has passed on. It is not passed on again: two that take each other for
// the leader would do so for ever.
const forwardedHeader = "X-Pencere-Forwarded"

// forwarder answers REST on any jobmanager: one that does not lead passes requests on to the leader. While there is none, clients
// are told to try again.
type forwarder struct {
	local   http.Handler
	replica election
	leads   func() bool
}

// election says who leads.
type election interface {
	Leader() (restAddress string) // "" while nobody is known to
	Leads() bool
}

// leaderInterval is between two looks whether the leader that a request was passed on to still leads.
const leaderInterval = 100 * time.Millisecond

// errLeaderGone ends a request whose leader does not lead any more: a paused or cut off one would never answer.
var errLeaderGone = errors.New("the jobmanager that led is gone, and may have done it or not")

// ServeHTTP implements http.Handler.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if everywhere(r) || f.leads() {
		f.local.ServeHTTP(w, r)
		return
	}
	leader := f.replica.Leader()
	if leader == "" || r.Header.Get(forwardedHeader) != "" || f.replica.Leads() {
		refuse(w, http.StatusServiceUnavailable, jobmaster.ErrNotLeading)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	go f.watch(ctx, leader, cancel)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: leader})
			p.Out.Header.Set(forwardedHeader, "1")
		},
		FlushInterval: -1, // events are passed on at once
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			// A leader that was not reached has not done it; what one that died meanwhile has done nobody knows.
			status := http.StatusBadGateway
			if context.Cause(ctx) == errLeaderGone { //nolint:errorlint // it is this very one
				err = errLeaderGone
			}
			if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
				status = http.StatusServiceUnavailable
			}
			refuse(w, status, err)
		},
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

// watch cancels what was passed on to a leader when it leads no more.
func (f *forwarder) watch(ctx context.Context, leader string, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(leaderInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if f.replica.Leader() != leader {
				cancel(errLeaderGone)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// everywhere reports whether any jobmanager answers a request by itself: how it is, and how it sees the others, also while none leads.
func everywhere(r *http.Request) bool {
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	return path == "/health" || path == rest.MembersPath && r.Method == http.MethodGet
}

// refuse answers in Flink's form of an error.
func refuse(w http.ResponseWriter, status int, err error) {
	text, _ := json.Marshal(map[string][]string{"errors": {err.Error()}}) // strings always encode
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that went away is nobody's concern
}
