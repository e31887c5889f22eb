package http_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	connector "pencere/pkg/connector/http"
	"pencere/pkg/plan"
	"pencere/pkg/polling"
)

// patience bounds a test.
const patience = 30 * time.Second

// api is a server over TLS whose answers a test chooses. It keeps the requests.
type api struct {
	*httptest.Server
	mu       sync.Mutex
	handler  http.HandlerFunc
	requests []*http.Request
}

func serve(t *testing.T, handler http.HandlerFunc) *api {
	t.Helper()
	a := &api{handler: handler}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		handle := a.handler
		a.requests = append(a.requests, r)
		a.mu.Unlock()
		handle(w, r)
	}))
	a.Config.ErrorLog = nil
	t.Cleanup(a.Close)
	return a
}

// answer answers with text and headers, given as pairs.
func answer(text string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if len(headers) == 0 {
			headers = []string{"Content-Type", "application/json"}
		}
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		_, _ = w.Write([]byte(text)) // the client may have gone
	}
}

func (a *api) set(handler http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handler = handler
}

func (a *api) asked() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

// ca writes the server's certificate to a file.
func (a *api) ca(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// source is one that polls the server, and is patient with nothing.
func (a *api) source(t *testing.T) plan.HTTPSource {
	return plan.HTTPSource{
		URLs: []string{a.URL + "/users"}, Interval: 10 * time.Millisecond, Body: polling.Auto, CAFile: a.ca(t), DedupeKeys: 100,
		Timeout: 5 * time.Second, MaxResponse: 1 << 20, MaxRedirects: 3, InitialBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	}
}

// reading is a Reader and what came out of it.
type reading struct {
	*connector.Reader
	t      *testing.T
	ctx    context.Context
	source plan.HTTPSource
	splits []connector.Split
	done   map[int]bool
}

func read(t *testing.T, source plan.HTTPSource) *reading {
	t.Helper()
	r := &reading{t: t, source: source}
	for _, s := range source.Splits() {
		r.splits = append(r.splits, connector.Split{Name: s.Name, Partition: s.Partition})
	}
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r.open()
	t.Cleanup(func() { r.Close() })
	return r
}

func (r *reading) open() {
	r.t.Helper()
	config, err := connector.NewConfig(r.source)
	if err != nil {
		r.t.Fatal(err)
	}
	r.done = map[int]bool{}
	if r.Reader, err = connector.NewReader(config, r.splits); err != nil {
		r.t.Fatal(err)
	}
}

// poll takes what comes next, and keeps the positions behind it.
func (r *reading) poll() ([]string, error) {
	r.t.Helper()
	fetches, err := r.Poll(r.ctx)
	var items []string
	for _, f := range fetches {
		if f.First != r.splits[f.Split].Next || f.Next != f.First+int64(len(f.Items)) {
			r.t.Errorf("items %d to %d follow item %d", f.First, f.Next, r.splits[f.Split].Next)
		}
		for _, item := range f.Items {
			items = append(items, string(item))
		}
		if f.Done && r.done[f.Split] {
			r.t.Errorf("split %d is done twice", f.Split)
		}
		r.done[f.Split] = f.Done
		r.splits[f.Split].Next, r.splits[f.Split].Done = f.Next, f.Done
	}
	if refused, ok := errors.AsType[*connector.RefusedError](err); ok {
		r.splits[refused.Split].Next = refused.Number + 1
	}
	for i := range r.splits {
		r.splits[i].Position = r.Position(i)
	}
	return items, err
}

// pollBriefly is poll for a moment.
func (r *reading) pollBriefly() ([]string, error) {
	r.t.Helper()
	whole := r.ctx
	defer func() { r.ctx = whole }()
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(whole, 20*time.Millisecond)
	defer cancel()
	items, err := r.poll()
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return items, err
}

// items takes items until there are so many.
func (r *reading) items(n int) []string {
	r.t.Helper()
	var all []string
	for len(all) < n {
		items, err := r.poll()
		if err != nil {
			r.t.Fatalf("after %q: %v", all, err)
		}
		all = append(all, items...)
	}
	return all
}

// toEnd takes all items of a bounded source.
func (r *reading) toEnd() []string {
	r.t.Helper()
	all := []string{}
	for done := 0; done < len(r.splits); {
		items, err := r.poll()
		if err != nil {
			r.t.Fatalf("after %q: %v", all, err)
		}
		all = append(all, items...)
		done = 0
		for _, d := range r.done {
			if d {
				done++
			}
		}
	}
	return all
}

// restart ends the Reader without a word and opens another one at the positions that were there after the last poll.
func (r *reading) restart() {
	r.t.Helper()
	r.Close()
	r.open()
}
