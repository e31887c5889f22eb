package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"pencere/web"
)

func get(t *testing.T, method, path string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// reference finds the files that the page loads.
var reference = regexp.MustCompile(`(?:src|href)="\./([^"]+)"`)

func TestPageAndAllItLoads(t *testing.T) {
	index := get(t, http.MethodGet, "/", nil)
	page := body(t, index)
	if index.StatusCode != http.StatusOK || index.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("GET / = %d %s", index.StatusCode, index.Header.Get("Content-Type"))
	}
	if got := index.Header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control of the page = %q, want no-cache", got)
	}

	want := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	seen := map[string]bool{}
	for _, match := range reference.FindAllStringSubmatch(page, -1) {
		name := match[1]
		ext := name[strings.LastIndexByte(name, '.'):]
		seen[ext] = true
		r := get(t, http.MethodGet, "/"+name, nil)
		if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != want[ext] {
			t.Errorf("GET /%s = %d %s, want 200 %s", name, r.StatusCode, r.Header.Get("Content-Type"), want[ext])
		}
		cache := "no-cache"
		if strings.HasPrefix(name, "assets/") {
			cache = "public, max-age=31536000, immutable"
		}
		if got := r.Header.Get("Cache-Control"); got != cache {
			t.Errorf("Cache-Control of %s = %q, want %q", name, got, cache)
		}
	}
	for ext := range want {
		if !seen[ext] {
			t.Errorf("the page loads no %s file", ext)
		}
	}
}

func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	page := body(t, get(t, http.MethodGet, "/", nil))
	if strings.Contains(page, "//") {
		t.Errorf("the page names another host:\n%s", page)
	}
}

func TestETagSparesTheBody(t *testing.T) {
	first := get(t, http.MethodGet, "/index.html", nil)
	again := get(t, http.MethodGet, "/index.html", http.Header{"If-None-Match": {first.Header.Get("ETag")}})
	if again.StatusCode != http.StatusNotModified || body(t, again) != "" {
		t.Errorf("GET with the page's ETag = %d, want 304 and no body", again.StatusCode)
	}
}

func TestUnknownPathsAreNotFound(t *testing.T) {
	for _, path := range []string{"/jobs", "/nosuch", "/assets/", "/assets", "/dist/index.html", "/index.html/", "/../web.go"} {
		r := get(t, http.MethodGet, path, nil)
		want := `{"errors":["Unable to load requested file ` + path + `."]}`
		if got := body(t, r); r.StatusCode != http.StatusNotFound || got != want {
			t.Errorf("GET %s = %d %s, want 404 %s", path, r.StatusCode, got, want)
		}
	}
	if r := get(t, http.MethodPost, "/", nil); r.StatusCode != http.StatusNotFound {
		t.Errorf("POST / = %d, want 404", r.StatusCode)
	}
}
