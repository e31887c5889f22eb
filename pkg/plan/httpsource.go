package plan

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"pencere/pkg/polling"
)

// HTTPSource asks URLs for JSON, again and again. Each URL is a split.
type HTTPSource struct {
	URLs []string
	// Interval is the time from the beginning of a poll to the next one's. A Bounded source polls each URL once and ends.
	Interval time.Duration
	Bounded  bool
	Body     polling.Framing
	// Items is the path to the items in an answer; "" is the answer itself.
	Items      string
	Headers    map[string]string
	Auth       *HTTPAuth // nil sends no credentials
	Pagination *HTTPPagination
	// ItemsPerSecond bounds how fast the items of each URL are read; 0 does not.
	ItemsPerSecond float64
	// DedupeBy is the path to an item's key: an item that is as it was when its key came last is left out. "" reads all items.
	DedupeBy string
	// DedupeKeys is how many keys of each URL are remembered.
	DedupeKeys int
	// CAFile names certificates (PEM) that are trusted in place of the system's; InsecureSkipVerify trusts any.
	CAFile             string
	InsecureSkipVerify bool
	Timeout            time.Duration // of a request, with its answer's body
	MaxResponse        int64         // bytes of an answer's body
	MaxRedirects       int           // of a request
	// InitialBackoff and MaxBackoff bound the time before a request that failed is made again.
	InitialBackoff, MaxBackoff time.Duration
}

// HTTPAuth are credentials. Either Token is set, for "Bearer", or Username, for "Basic".
type HTTPAuth struct {
	Username, Password string
	Token              string
}

// HTTPPagination says how the pages of a URL follow each other; see polling.Pagination.
type HTTPPagination struct {
	Type      polling.Scheme
	Field     string
	Parameter string
	First     int64
	// MaxPages bounds the pages of a poll.
	MaxPages int
}

// Defaults and bounds of an HTTPSource.
const (
	DefaultHTTPInterval   = time.Minute
	DefaultHTTPTimeout    = 30 * time.Second
	DefaultMaxResponse    = 16 << 20 // bytes
	MaxMaxResponse        = 1 << 30
	DefaultMaxRedirects   = 5
	DefaultDedupeKeys     = 10_000
	MaxDedupeKeys         = 100_000 // 1.6 MB of state for each URL
	DefaultMaxPages       = 1000
	DefaultInitialBackoff = 500 * time.Millisecond
	DefaultMaxBackoff     = time.Minute
)

// HTTPSplit is a URL as a split of its job.
type HTTPSplit struct {
	// Name is the URL without credentials and query, which may hold secrets. Partition tells those of one name apart.
	Name      string
	Partition int32
	URL       string
}

// Splits returns the source's splits, in the order of its URLs, which are valid.
func (s *HTTPSource) Splits() []HTTPSplit {
	splits := make([]HTTPSplit, len(s.URLs))
	next := make(map[string]int32)
	for i, text := range s.URLs {
		name := urlName(text)
		splits[i] = HTTPSplit{Name: name, Partition: next[name], URL: text}
		next[name]++
	}
	return splits
}

func urlName(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// Paging returns how the pages follow each other, of a source that was checked.
func (s *HTTPSource) Paging() (polling.Pagination, error) {
	p := s.Pagination
	if p == nil {
		return polling.Pagination{}, nil
	}
	paging := polling.Pagination{Scheme: p.Type, Parameter: p.Parameter, First: p.First}
	if p.Type != polling.Next {
		return paging, nil
	}
	var err error
	paging.Field, err = polling.ParsePath(p.Field)
	return paging, err
}

const httpPath = "source.http"

func (c *compiler) checkHTTP(h *HTTPSource) {
	if len(h.URLs) == 0 {
		c.add(httpPath+".url", "there is nothing to read; write https://host/path")
	}
	for i, text := range h.URLs {
		c.checkURL(text)
		if slices.Contains(h.URLs[:i], text) {
			c.add(httpPath+".url", "%s is there twice", urlName(text))
		}
	}
	if !h.Bounded {
		c.checkMillis(httpPath+".poll", h.Interval, time.Millisecond)
	}
	switch h.Body {
	case polling.Auto, polling.JSON:
	case polling.NDJSON:
		if h.Items != "" {
			c.add(httpPath+".items", "of ndjson each line is an item; a path belongs to body: json")
		}
	default:
		c.add(httpPath+".body", "unknown body %q; there are auto, json and ndjson", h.Body)
	}
	c.checkPath(httpPath+".items", h.Items)
	c.checkPath(httpPath+".dedupe_by", h.DedupeBy)
	if h.DedupeKeys < 1 || h.DedupeKeys > MaxDedupeKeys {
		c.add(httpPath+".dedupe_keys", "%d is not between 1 and %d", h.DedupeKeys, MaxDedupeKeys)
	}
	c.checkHeaders(h)
	c.checkPages(h)
	c.checkRequests(h)
}

func (c *compiler) checkURL(text string) {
	const path = httpPath + ".url"
	u, err := url.Parse(text)
	switch {
	case err != nil:
		c.add(path, "this is no URL; write https://host/path") // the error would show the text, which may hold secrets
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		c.add(path, "%q is no URL of HTTP; write https://host/path", urlName(text))
	case u.User != nil:
		c.add(path, "credentials do not belong in a URL, which is shown; set %s.auth.basic", httpPath)
	}
}

func (c *compiler) checkPath(at, text string) {
	if _, err := polling.ParsePath(text); err != nil {
		c.add(at, "%v", err)
	}
}

// headerName and headerValue are what RFC 9110 allows.
var (
	headerName  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	headerValue = regexp.MustCompile(`^[\t\x20-\x7e\x80-\xff]*$`)
)

func (c *compiler) checkHeaders(h *HTTPSource) {
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		path := httpPath + ".headers." + name
		switch {
		case !headerName.MatchString(name):
			c.add(path, "%q is no name of a header", name)
		case !headerValue.MatchString(h.Headers[name]):
			c.add(path, "the value has a character that no header can hold, such as a line's end")
		case strings.EqualFold(name, "Authorization") && h.Auth != nil:
			c.add(path, "%s.auth sets this header; keep one", httpPath)
		case strings.EqualFold(name, "If-None-Match"), strings.EqualFold(name, "If-Modified-Since"):
			c.add(path, "the source sets this header from the answer before")
		}
	}
	switch a := h.Auth; {
	case a == nil:
	case a.Token != "" && a.Username != "":
		c.add(httpPath+".auth.bearer", "basic and bearer exclude each other; keep one")
	case a.Token == "" && a.Username == "":
		c.add(httpPath+".auth.basic", "there are no credentials; set basic or bearer")
	case !headerValue.MatchString(a.Token):
		c.add(httpPath+".auth.bearer", "the token has a character that no header can hold, such as a line's end")
	case strings.Contains(a.Username, ":"):
		c.add(httpPath+".auth.basic.username", "a name with a colon cannot be sent")
	}
}

func (c *compiler) checkPages(h *HTTPSource) {
	p := h.Pagination
	if p == nil {
		return
	}
	const path = httpPath + ".pagination"
	switch p.Type {
	case polling.Link, polling.Page:
	case polling.Next:
		c.checkPath(path+".field", p.Field)
		if h.Body == polling.NDJSON {
			c.add(path+".type", "ndjson has no field for a next page; write link or page")
		}
	default:
		c.add(path+".type", "unknown type %q; there are link, next and page", p.Type)
	}
	if p.MaxPages < 1 {
		c.add(path+".max_pages", "%d is not a number of pages", p.MaxPages)
	}
}

func (c *compiler) checkRequests(h *HTTPSource) {
	if h.ItemsPerSecond < 0 {
		c.add(httpPath+".items_per_second", "%v is not a rate", h.ItemsPerSecond)
	}
	if h.CAFile != "" && h.InsecureSkipVerify {
		c.add(httpPath+".ca_file", "insecure_skip_verify trusts any certificate; keep one of the two")
	}
	c.checkMillis(httpPath+".timeout", h.Timeout, time.Millisecond)
	if h.MaxResponse < 1 || h.MaxResponse > MaxMaxResponse {
		c.add(httpPath+".max_response", "%d bytes is not between 1 and %d", h.MaxResponse, MaxMaxResponse)
	}
	if h.MaxRedirects < 0 {
		c.add(httpPath+".max_redirects", "%d is not a number of redirects", h.MaxRedirects)
	}
	c.checkMillis(httpPath+".retry.initial", h.InitialBackoff, time.Millisecond)
	c.checkMillis(httpPath+".retry.max", h.MaxBackoff, time.Millisecond)
	if h.MaxBackoff < h.InitialBackoff {
		c.add(httpPath+".retry.max", "%s is shorter than retry.initial, which is %s", span(h.MaxBackoff), span(h.InitialBackoff))
	}
}

// Warning says what a job allows that its user should know of.
type Warning struct {
	Path string // of the setting in the job spec
	Text string
}

func (w Warning) String() string { return fmt.Sprintf("%s: %s", w.Path, w.Text) }

// Warnings returns what is to be said of a job that can run.
func (j Job) Warnings() []Warning {
	var all []Warning
	if h := j.Source.HTTP; h != nil && h.InsecureSkipVerify {
		all = append(all, Warning{httpPath + ".insecure_skip_verify",
			"certificates are not verified: whoever is on the way can read and change what is sent, credentials too; set ca_file instead"})
	}
	return all
}
