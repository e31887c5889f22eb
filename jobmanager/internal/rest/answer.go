package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"path"
	"strings"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/pkg/javafmt"
)

// ServeHTTP answers a request as Flink's router does: there is no HEAD, OPTIONS or 405, a trailing slash does not
// matter, and a GET that nothing takes is one for a file of the UI.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	routed, ok := route(r)
	if ok {
		_, pattern := s.mux.Handler(routed)
		ok = pattern != ""
	}
	switch {
	case ok:
		s.mux.ServeHTTP(w, routed)
	case r.Method == http.MethodGet:
		s.UI.ServeHTTP(w, fileRequest(r))
	default:
		fail(w, &problem{http.StatusNotFound, []string{"Not found: " + r.URL.RequestURI()}})
	}
}

// route returns the request by its bare path: without the API's version and a trailing slash. It is false for what the
// mux would answer by itself, with a redirect or by taking a HEAD for a GET.
func route(r *http.Request) (*http.Request, bool) {
	escaped := r.URL.EscapedPath()
	if bare, ok := strings.CutPrefix(escaped, "/v1/"); ok {
		escaped = "/" + bare
	}
	if len(escaped) > 1 {
		escaped = strings.TrimSuffix(escaped, "/")
	}
	if r.Method == http.MethodHead || !strings.HasPrefix(escaped, "/") || path.Clean(escaped) != escaped {
		return nil, false
	}
	unescaped, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, false
	}
	routed := new(http.Request)
	*routed = *r
	routed.URL = new(url.URL)
	*routed.URL = *r.URL
	routed.URL.Path, routed.URL.RawPath = unescaped, escaped
	return routed, true
}

// fileRequest names the index of a folder that is asked for, as Flink does; the root stays.
func fileRequest(r *http.Request) *http.Request {
	if r.URL.Path == "/" || !strings.HasSuffix(r.URL.Path, "/") {
		return r
	}
	named := new(http.Request)
	*named = *r
	named.URL = &url.URL{Path: r.URL.Path + "index.html"}
	return named
}

// accepted is an answer with status 202.
type accepted struct{ body any }

// problem is an error that a client is told.
type problem struct {
	status int
	texts  []string
}

func (p *problem) Error() string { return strings.Join(p.texts, "\n") }

func notFound(format string, args ...any) error {
	return &problem{http.StatusNotFound, []string{fmt.Sprintf(format, args...)}}
}

// internal is Flink's form of an exception that no handler expected.
func internal(format string, args ...any) *problem {
	text := fmt.Sprintf("<Exception on server side:\n%s\nEnd of exception on server side>", fmt.Sprintf(format, args...))
	return &problem{http.StatusInternalServerError, []string{"Internal server error.", text}}
}

func answering(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := h(r)
		if err != nil {
			fail(w, err)
			return
		}
		status := http.StatusOK
		if a, ok := body.(accepted); ok {
			status, body = http.StatusAccepted, a.body
		}
		write(w, status, body)
	}
}

func fail(w http.ResponseWriter, err error) {
	var p *problem
	switch {
	case errors.As(err, &p):
	case errors.Is(err, jobmaster.ErrNotLeading): // Flink's clients try again after a 503
		p = &problem{http.StatusServiceUnavailable, []string{err.Error()}}
	default:
		p = internal("%v", err)
	}
	write(w, p.status, map[string][]string{"errors": p.texts})
}

func write(w http.ResponseWriter, status int, body any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // plan descriptions hold <br/>
	if err := encoder.Encode(body); err != nil {
		fail(w, fmt.Errorf("encode the answer: %w", err))
		return
	}
	writeText(w, status, "application/json; charset=UTF-8", text.Bytes())
}

// writeText writes a handler's answer. A client that went away is nobody's concern.
func writeText(w http.ResponseWriter, status int, contentType string, text []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// double is written as Java does: 1.0, and NaN as a string, which JSON has no number for.
type double float64

// MarshalJSON implements json.Marshaler.
func (d double) MarshalJSON() ([]byte, error) {
	text := javafmt.AppendDouble(nil, float64(d))
	if math.IsNaN(float64(d)) || math.IsInf(float64(d), 0) {
		return fmt.Appendf(nil, "%q", text), nil
	}
	return text, nil
}
