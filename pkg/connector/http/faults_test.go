package http_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	connector "pencere/pkg/connector/http"
	"pencere/pkg/plan"
)

// hangUp breaks a connection off in the middle of an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = w.Write([]byte("[1,2"))
	panic(http.ErrAbortHandler)
}

func status(code int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	}
}

// What waiting may mend is waited for, and shown.
func TestWaits(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		says    string
	}{
		"500":        {status(500), "it answers 500 Internal Server Error since "},
		"503":        {status(503, "Retry-After", "0"), "it answers 503 Service Unavailable since "},
		"429":        {status(429, "Retry-After", "Mon, 01 Jan 2001 00:00:00 GMT"), "it answers 429 Too Many Requests since "},
		"408":        {status(408), "it answers 408 Request Timeout since "},
		"202":        {status(202), "it answers 202 Accepted since "},
		"broken off": {hangUp, "it broke the connection off since "},
		"no answer":  {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no whole answer within 50ms (source.http.timeout) since "},
		"slow answer": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("["))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "no whole answer within 50ms"},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, c.handler)
			source := a.source(t)
			source.Bounded, source.Timeout = true, 50*time.Millisecond
			if name == "500" || name == "408" {
				source.Timeout = 5 * time.Second
			}
			r := read(t, source)
			items := make(chan []string, 1)
			go func() { items <- r.toEnd() }()
			deadline := time.Now().Add(patience)
			for s := r.Status()[0]; s.State != connector.Waiting || !strings.HasPrefix(s.Reason, c.says) || !strings.Contains(s.Reason, "; next try in "); s = r.Status()[0] {
				if time.Now().After(deadline) {
					t.Fatalf("status %+v", s)
				}
				<-time.After(time.Millisecond)
			}
			a.set(answer("[1]"))
			want(t, <-items, "1")
		})
	}
}

// Retry-After is obeyed.
func TestRetryAfter(t *testing.T) {
	var first atomic.Int64
	a := serve(t, nil)
	a.set(func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(0, time.Now().UnixMilli()) {
			status(429, "Retry-After", "1")(w, r)
			return
		}
		answer("[1]")(w, r)
	})
	source := a.source(t)
	source.Bounded = true
	want(t, read(t, source).toEnd(), "1")
	if waited := time.Now().UnixMilli() - first.Load(); waited < 1000 {
		t.Errorf("asked again after %d ms", waited)
	}
}

func TestServerThatIsAway(t *testing.T) {
	a := serve(t, answer("[1]"))
	source := a.source(t)
	a.Close()
	r := read(t, source)
	go func() { _, _ = r.Poll(r.ctx) }()
	deadline := time.Now().Add(patience)
	for s := r.Status()[0]; !strings.HasPrefix(s.Reason, "connection refused since "); s = r.Status()[0] {
		if time.Now().After(deadline) {
			t.Fatalf("status %+v", s)
		}
		<-time.After(time.Millisecond)
	}
}

// What waiting does not mend ends reading, with the URL's name and what to do.
func TestRefusals(t *testing.T) {
	a := serve(t, answer("[1]"))
	plain := httptest.NewServer(answer("[1]"))
	t.Cleanup(plain.Close)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		change  func(*plan.HTTPSource)
		says    string
	}{
		"404": {handler: status(404), says: "/users: it answers 404 Not Found: correct the path of source.http.url"},
		"401": {handler: status(401), says: "/users: it answers 401 Unauthorized: set source.http.auth"},
		"403": {handler: status(403), says: "it answers 403 Forbidden: see what these credentials may read"},
		"418": {handler: status(418), says: "it answers 418 I'm a teapot: see what the server says of that"},
		"206": {handler: status(206), says: "it answers 206 Partial Content"},
		"unknown authority": {change: func(s *plan.HTTPSource) { s.CAFile = "" },
			says: "/users: its certificate is not trusted: x509: certificate signed by unknown authority: set source.http.ca_file"},
		"other host": {change: func(s *plan.HTTPSource) { s.URLs = []string{strings.Replace(a.URL, "127.0.0.1", "localhost", 1)} },
			says: "its certificate is for another host: x509: certificate is valid for example.com, *.example.com, not localhost: use a name of the certificate"},
		"no TLS": {change: func(s *plan.HTTPSource) { s.URLs = []string{strings.Replace(plain.URL, "http:", "https:", 1)} },
			says: "it does not speak TLS: correct the port, or write http:// in source.http.url"},
	} {
		t.Run(name, func(t *testing.T) {
			a.set(answer("[1]"))
			if c.handler != nil {
				a.set(c.handler)
			}
			source := a.source(t)
			source.URLs = []string{a.URL + "/users?key=s3cret"}
			if c.change != nil {
				c.change(&source)
			}
			r := read(t, source)
			_, err := r.poll()
			if refused, ok := errors.AsType[*connector.RequestError](err); !ok || !strings.Contains(refused.Error(), c.says) || strings.Contains(refused.Error(), "s3cret") {
				t.Errorf("error %v, want %q", err, c.says)
			}
			if _, again := r.poll(); !errors.Is(again, err) {
				t.Errorf("then %v", again)
			}
		})
	}
}

// An answer that cannot be used is one bad record, told once for as long as it stays the same.
func TestRefusedAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		change  func(*plan.HTTPSource)
		says    string
		body    string
	}{
		"garbage":   {handler: answer("<html>"), says: `it is no JSON: invalid character '<'`, body: "<html>"},
		"empty":     {handler: answer(""), says: "it is empty, and no JSON"},
		"cut":       {handler: answer(`[{"id":1},`), says: "it is no JSON: unexpected end of JSON input", body: `[{"id":1},`},
		"not UTF-8": {handler: answer("[\"\xff\"]"), says: "it is not valid UTF-8 (byte 2)", body: "[\"\xff\"]"},
		"HTML":      {handler: answer("[1]", "Content-Type", "text/html; charset=utf-8"), says: "it is text/html and not JSON", body: "[1]"},
		"no path":   {handler: answer(`{"users":[]}`), change: func(s *plan.HTTPSource) { s.Items = "$.data" }, says: "there is no $.data in it", body: `{"users":[]}`},
		"a text":    {handler: answer(`"x"`), says: "neither an array nor an object", body: `"x"`},
		"huge":      {handler: answer("[" + strings.Repeat(" ", 1<<20) + "1]"), says: "it is larger than source.http.max_response, 1048576 bytes", body: "[" + strings.Repeat(" ", 512<<10-1)},
		"huge in bits": {handler: func(w http.ResponseWriter, _ *http.Request) {
			for range 20 {
				_, _ = w.Write([]byte(strings.Repeat(" ", 100_000)))
				w.(http.Flusher).Flush()
			}
		}, says: "it is larger than source.http.max_response", body: strings.Repeat(" ", 512<<10)},
		"next page elsewhere": {handler: answer("[1]", "Content-Type", "application/json", "Link", "<https://elsewhere/>; rel=next"),
			change: func(s *plan.HTTPSource) { s.Pagination = &plan.HTTPPagination{Type: "link", MaxPages: 9} },
			says:   "its next page is on another server, https://elsewhere", body: "[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, c.handler)
			source := a.source(t)
			if c.change != nil {
				c.change(&source)
			}
			r := read(t, source)
			_, err := r.poll()
			refused, ok := errors.AsType[*connector.RefusedError](err)
			if !ok || !strings.Contains(refused.Reason, c.says) || string(refused.Body) != c.body || refused.Number != 0 ||
				!strings.HasPrefix(err.Error(), "the answer cannot be used: ") {
				t.Fatalf("error %v, want %q", err, c.says)
			}
			for before := len(a.asked()); len(a.asked()) < before+3; {
				if items, err := r.pollBriefly(); err != nil || len(items) > 0 {
					t.Fatalf("the same answer again gives %q, %v", items, err)
				}
			}
			r.restart()
			good := "[1]"
			if source.Items != "" {
				good = `{"data":[1]}`
			}
			a.set(answer(good))
			want(t, r.items(1), "1")
			a.set(c.handler)
			for err = nil; err == nil; {
				_, err = r.poll()
			}
			if refused, ok = errors.AsType[*connector.RefusedError](err); !ok || refused.Number == 0 {
				t.Errorf("after a good answer: %v", err)
			}
		})
	}
}

// A source that cannot be opened says why.
func TestBadCertificates(t *testing.T) {
	source := serve(t, answer("[1]")).source(t)
	source.CAFile = filepath.Join(t.TempDir(), "missing.pem")
	if _, err := connector.NewConfig(source); err == nil || !strings.Contains(err.Error(), "ca_file: ") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(source.CAFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := connector.NewConfig(source); err == nil || !strings.Contains(err.Error(), "missing.pem holds no certificate in PEM") {
		t.Errorf("a file of nonsense: %v", err)
	}
}

// Close ends a Poll that waits, and all that is on its way.
func TestClose(t *testing.T) {
	arrived := make(chan struct{}, 1)
	a := serve(t, func(_ http.ResponseWriter, r *http.Request) { arrived <- struct{}{}; <-r.Context().Done() })
	r := read(t, a.source(t))
	ended := make(chan error)
	go func() {
		_, err := r.Poll(r.ctx)
		ended <- err
	}()
	<-arrived
	r.Close()
	if err := <-ended; !errors.Is(err, connector.ErrClosed) {
		t.Errorf("Poll returned %v", err)
	}
}

// One URL that does not answer holds no other up.
func TestURLsAreApart(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	a := serve(t, answer("[1]"))
	source := a.source(t)
	source.URLs = []string{"http://" + silent.Addr().String(), a.URL + "/a?x=1", a.URL + "/a?x=2"}
	r := read(t, source)
	r.items(10)
	names := []string{}
	for _, s := range r.Status() {
		names = append(names, strings.TrimPrefix(s.Name, a.URL)+" "+string('0'+s.Partition))
	}
	want(t, names[1:], "/a 0", "/a 1")
}
