package daemon

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/rest"
)

// forwardedHeader marks a request that another jobmanager has passed on. It is not passed on again: two that take each other for
// the leader would do so for ever.
const forwardedHeader = "X-Pencere-Forwarded"

// forwarder answers REST on any jobmanager: one that does not lead passes requests on to the leader. While there is none, clients
// are told to try again.
type forwarder struct {
	local   http.Handler
	replica *replica.Replica
	leads   func() bool
}

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
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: leader})
			p.Out.Header.Set(forwardedHeader, "1")
		},
		FlushInterval: -1, // events are passed on at once
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			// A leader that was not reached has not done it; what one that died meanwhile has done nobody knows.
			status := http.StatusBadGateway
			if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
				status = http.StatusServiceUnavailable
			}
			refuse(w, status, err)
		},
	}
	proxy.ServeHTTP(w, r)
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
