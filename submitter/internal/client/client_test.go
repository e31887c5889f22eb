package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pencere/submitter/internal/client"

	"github.com/google/go-cmp/cmp"
)

// jobManager answers as a jobmanager does, or as one that is ill.
func jobManager(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func newClient(t *testing.T, timeout time.Duration, addresses ...string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Addresses: addresses, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func refuse(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // a client that went away fails its own test
	}
}

func answer(body string) http.HandlerFunc { return refuse(http.StatusOK, body) }

// hangUp breaks the connection once the request was read.
func hangUp(http.ResponseWriter, *http.Request) {
	panic(http.ErrAbortHandler)
}

const notLeading = `{"errors":["this jobmanager does not lead"]}`

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"localhost":                 "http://localhost:8081/",
		"jobmanager:80":             "http://jobmanager:80/",
		"[::1]":                     "http://[::1]:8081/",
		"http://jm":                 "http://jm:8081/",
		"https://jm.example/flink/": "https://jm.example/flink/",
	} {
		if got := newClient(t, 0, address).Web(); got != want {
			t.Errorf("%s is %s, want %s", address, got, want)
		}
	}
	for _, address := range []string{"", ":8081", "ftp://jm", "jm:port", "http://", "jm:80 81"} {
		_, err := client.New(client.Config{Addresses: []string{address}})
		if wrong, ok := errors.AsType[*client.AddressError](err); !ok || wrong.Address != address {
			t.Errorf("address %q: error %v", address, err)
		}
	}
	if _, err := client.New(client.Config{}); err == nil {
		t.Error("a client without an address is taken")
	}
}

func TestSubmit(t *testing.T) {
	var got url.Values
	var body, contentType string
	leader := jobManager(t, func(w http.ResponseWriter, r *http.Request) {
		text := make([]byte, 100)
		n, _ := r.Body.Read(text)
		got, body, contentType = r.URL.Query(), string(text[:n]), r.Header.Get("Content-Type")
		refuse(http.StatusAccepted, `{"jobid":"abc","jobUrl":"/jobs/abc"}`)(w, r)
	})
	c := newClient(t, time.Minute, closedPort(t), jobManager(t, refuse(http.StatusServiceUnavailable, notLeading)), leader)
	submitted, err := c.Submit(t.Context(), client.Spec{Text: []byte("name: x"), Name: "a b.yaml", Vars: map[string]string{"TOPIC": "ä&b"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := (client.Submitted{ID: "abc", Web: "http://" + leader + "/#/jobs/abc"}); submitted != want {
		t.Errorf("submitted as %+v, want %+v", submitted, want)
	}
	if diff := cmp.Diff(url.Values{"name": {"a b.yaml"}, "var.TOPIC": {"ä&b"}}, got); diff != "" || body != "name: x" || contentType != "application/yaml" {
		t.Errorf("the jobmanager got %q as %s, query (-want +got):\n%s", body, contentType, diff)
	}
}

// What must not be done twice is not sent twice when it may have been read.
func TestSubmitIsSentOnce(t *testing.T) {
	var asked atomic.Int32
	ill := jobManager(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		hangUp(w, r)
	})
	well := jobManager(t, answer(`{"jobid":"abc"}`))
	_, err := newClient(t, time.Minute, ill, well).Submit(t.Context(), client.Spec{})
	if _, ok := errors.AsType[*client.AmbiguousError](err); !ok || asked.Load() != 1 {
		t.Errorf("asked %d times, error %v", asked.Load(), err)
	}
	// What does not matter twice is.
	if _, err := newClient(t, time.Minute, ill, well).Jobs(t.Context()); err != nil {
		t.Errorf("list: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   []string
	}{
		"wrong spec":   {http.StatusBadRequest, `{"errors":["job.yaml:1:1: a","job.yaml:2:2: b"]}`, []string{"job.yaml:1:1: a", "job.yaml:2:2: b"}},
		"no such job":  {http.StatusNotFound, `{"errors":["Job could not be found."]}`, []string{"Job could not be found."}},
		"another site": {http.StatusForbidden, `<html>`, []string{"Forbidden"}},
		"empty answer": {http.StatusInternalServerError, ``, []string{"Internal Server Error"}},
		"not JSON":     {http.StatusOK, `<html>`, []string{"the answer to GET /jobs/overview is not a jobmanager's: invalid character '<' looking for beginning of value"}},
		"other JSON":   {http.StatusOK, `{"jobs":7}`, nil},
	} {
		_, err := newClient(t, time.Minute, jobManager(t, refuse(c.status, c.body))).Jobs(t.Context())
		got, ok := errors.AsType[*client.APIError](err)
		if !ok || got.Status != c.status || c.want != nil && !slices.Equal(got.Messages, c.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// A cluster that is not there yet is waited for, and said to be.
func TestWaits(t *testing.T) {
	var asked, told atomic.Int32
	address := jobManager(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 4 {
			refuse(http.StatusServiceUnavailable, notLeading)(w, r)
			return
		}
		answer(`{"taskmanagers":2}`)(w, r)
	})
	c, err := client.New(client.Config{Addresses: []string{address}, Timeout: time.Minute, Waiting: func(error) { told.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	overview, err := c.Overview(t.Context())
	if err != nil || overview.TaskManagers != 2 || told.Load() != 3 {
		t.Errorf("%+v, %v, told %d times", overview, err, told.Load())
	}
}

func TestUnreachable(t *testing.T) {
	dead, follower := closedPort(t), jobManager(t, refuse(http.StatusServiceUnavailable, notLeading))
	for _, timeout := range []time.Duration{0, 100 * time.Millisecond} {
		began := time.Now()
		_, err := newClient(t, timeout, dead, follower).Submit(t.Context(), client.Spec{})
		unreachable, ok := errors.AsType[*client.UnreachableError](err)
		if !ok || !strings.Contains(err.Error(), dead+": connect: connection refused; ") || !strings.Contains(err.Error(), "does not lead") {
			t.Errorf("timeout %s: error %v", timeout, err)
		}
		if took := time.Since(began); ok && (unreachable.Waited > took || took > 10*time.Second) {
			t.Errorf("timeout %s: took %s, said to be %s", timeout, took, unreachable.Waited)
		}
	}
}

func TestContextEndsWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, err := client.New(client.Config{Addresses: []string{closedPort(t)}, Timeout: time.Hour, Waiting: func(error) { cancel() }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Jobs(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
