package daemon

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// elected is a leader's address, "" for none.
type elected struct{ leader atomic.Value }

func (e *elected) Leader() string { return e.leader.Load().(string) }
func (e *elected) Leads() bool    { return false }

func forwarding(t *testing.T, leader string) (*elected, string) {
	t.Helper()
	e := new(elected)
	e.leader.Store(leader)
	local := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("here")) })
	server := httptest.NewServer(&forwarder{local: local, replica: e, leads: func() bool { return false }})
	t.Cleanup(server.Close)
	return e, server.URL
}

func answer(t *testing.T, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var text strings.Builder
	if err := answer.Write(&text); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(text.String(), "\r\n\r\n")
	return answer.StatusCode, body
}

// What is asked of every jobmanager is answered by any; the rest is passed on to the leader, or refused while there is none.
func TestForwarding(t *testing.T) {
	leader := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("leader " + r.URL.Path)) }))
	defer leader.Close()
	e, url := forwarding(t, leader.Listener.Addr().String())
	for path, want := range map[string]string{"/health": "here", "/v1/cluster/members": "here", "/jobs": "leader /jobs"} {
		if code, text := answer(t, http.MethodGet, url+path); code != http.StatusOK || text != want {
			t.Errorf("GET %s: %d %q, want %q", path, code, text, want)
		}
	}
	if _, text := answer(t, http.MethodPost, url+"/cluster/members"); text != "leader /cluster/members" {
		t.Errorf("a change of the members: %q", text)
	}
	e.leader.Store("")
	if code, _ := answer(t, http.MethodGet, url+"/jobs"); code != http.StatusServiceUnavailable {
		t.Errorf("without a leader: %d", code)
	}
}

// A request that was passed on to a leader who is paused, or cut off, ends when another one leads.
func TestForwardedToOneThatIsGone(t *testing.T) {
	asked, done := make(chan struct{}), make(chan struct{})
	leader := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-done
	}))
	defer leader.Close()
	defer close(done)
	e, url := forwarding(t, leader.Listener.Addr().String())
	go func() {
		<-asked
		e.leader.Store("")
	}()
	if code, text := answer(t, http.MethodGet, url+"/jobs"); code != http.StatusBadGateway || text != `{"errors":["`+errLeaderGone.Error()+`"]}` {
		t.Errorf("%d %s", code, text)
	}
}
