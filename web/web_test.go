package web_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"pencere/web"
)

func get(method, path string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, http.NoBody)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w
}

// reference finds the files that the page loads.
var reference = regexp.MustCompile(`(?:src|href)="\./([^"]+)"`)

func TestPageAndAllItLoads(t *testing.T) {
	index := get(http.MethodGet, "/", nil)
	if index.Code != http.StatusOK || index.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("GET / = %d %s", index.Code, index.Header().Get("Content-Type"))
	}
	if got := index.Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("Cache-Control of the page = %q, want no-cache", got)
	}

	want := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	seen := map[string]bool{}
	for _, match := range reference.FindAllStringSubmatch(index.Body.String(), -1) {
		name := match[1]
		ext := name[strings.LastIndexByte(name, '.'):]
		seen[ext] = true
		r := get(http.MethodGet, "/"+name, nil)
		if r.Code != http.StatusOK || r.Header().Get("Content-Type") != want[ext] {
			t.Errorf("GET /%s = %d %s, want 200 %s", name, r.Code, r.Header().Get("Content-Type"), want[ext])
		}
		cache := "no-cache"
		if strings.HasPrefix(name, "assets/") {
			cache = "public, max-age=31536000, immutable"
		}
		if got := r.Header().Get("Cache-Control"); got != cache {
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
	page := get(http.MethodGet, "/", nil).Body.String()
	if strings.Contains(page, "//") {
		t.Errorf("the page names another host:\n%s", page)
	}
}

func TestETagSparesTheBody(t *testing.T) {
	first := get(http.MethodGet, "/index.html", nil)
	again := get(http.MethodGet, "/index.html", http.Header{"If-None-Match": {first.Header().Get("ETag")}})
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("GET with the page's ETag = %d, want 304 and no body", again.Code)
	}
}

func TestUnknownPathsAreNotFound(t *testing.T) {
	for _, path := range []string{"/jobs", "/nosuch", "/assets/", "/assets", "/dist/index.html", "/index.html/", "/../web.go"} {
		r := get(http.MethodGet, path, nil)
		want := `{"errors":["Unable to load requested file ` + path + `."]}`
		if got := r.Body.String(); r.Code != http.StatusNotFound || got != want {
			t.Errorf("GET %s = %d %s, want 404 %s", path, r.Code, got, want)
		}
	}
	if r := get(http.MethodPost, "/", nil); r.Code != http.StatusNotFound {
		t.Errorf("POST / = %d, want 404", r.Code)
	}
}
