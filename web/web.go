// Package web holds the jobmanager's web UI: its source, and the build of it that is embedded here and served.
//
// The UI is one page whose places are fragments (#/jobs/…), so every address the server sees names a file.
// After a change of the source, "npm ci && npm run build" in this folder makes dist anew, byte for byte the same
// wherever it runs.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed all:dist
var dist embed.FS

// contentTypes are those of the files that a build makes. The machine's own table is not asked: it differs from
// one to the next, and a browser runs no script of a wrong type.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// The build puts a hash of the content into the names under assets/, so what such a name holds never changes. All
// other files are asked for anew each time, and their ETag spares sending them again.
const (
	assets         = "assets/"
	cacheForever   = "public, max-age=31536000, immutable"
	cacheIfCurrent = "no-cache"
)

// securityPolicy lets the page load and call nothing but the server it came from, and nobody frame it.
const securityPolicy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

type file struct {
	content     []byte
	contentType string
	cache       string
	etag        string
}

// Handler serves the UI: its page at "/" and its other files by name. Anything else is 404 with Flink's error body
// for a GET that no handler takes, so that it can stand behind the REST API's own paths; so is any method but GET
// and HEAD. It is safe for concurrent use.
func Handler() http.Handler {
	files := mustLoad()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		f, ok := files[name]
		if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
			notFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.contentType)
		h.Set("Cache-Control", f.cache)
		h.Set("ETag", f.etag)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", securityPolicy)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.content))
	})
}

// mustLoad reads the embedded files by their names below dist. It panics only when the build put a file there that
// contentTypes does not know, which the package's test finds.
func mustLoad() map[string]file {
	files := map[string]file{}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		f, err := load(name)
		files[strings.TrimPrefix(name, "dist/")] = f
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("embedded web UI: %v", err)) //nolint:forbidigo // the build is wrong, and the package's test finds it
	}
	return files
}

func load(name string) (file, error) {
	content, err := dist.ReadFile(name)
	if err != nil {
		return file{}, err
	}
	contentType, ok := contentTypes[path.Ext(name)]
	if !ok {
		return file{}, fmt.Errorf("%s: no content type for this kind of file", name)
	}
	sum := sha256.Sum256(content)
	f := file{content: content, contentType: contentType, cache: cacheIfCurrent, etag: `"` + hex.EncodeToString(sum[:16]) + `"`}
	if strings.HasPrefix(name, "dist/"+assets) {
		f.cache = cacheForever
	}
	return f, nil
}

func notFound(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(map[string][]string{"errors": {"Unable to load requested file " + r.URL.Path + "."}})
	if err != nil {
		body = []byte(`{"errors":["Not found."]}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(http.StatusNotFound)
	// A client that went away is no concern of ours.
	_, _ = w.Write(body)
}
