package http

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"

	"pencere/pkg/plan"
	"pencere/pkg/polling"
	"pencere/pkg/version"
)

// Config is a checked plan.HTTPSource. It is immutable; Readers may share it.
type Config struct {
	source   plan.HTTPSource
	targets  map[name]*url.URL
	items    polling.Path
	key      polling.Path
	dedupes  bool
	paging   polling.Pagination
	maxPages int
	tls      *tls.Config
}

// name is what identifies a URL among those of a job.
type name struct {
	url       string // without user and query
	partition int32
}

// NewConfig checks a source and reads its file of certificates.
func NewConfig(source plan.HTTPSource) (Config, error) {
	c := Config{source: source, targets: make(map[name]*url.URL), maxPages: 1, dedupes: source.DedupeBy != ""}
	for _, split := range source.Splits() {
		target, err := url.Parse(split.URL)
		if err != nil {
			return Config{}, fmt.Errorf("%s is no URL", split.Name) // err would show the text
		}
		c.targets[name{split.Name, split.Partition}] = target
	}
	var err error
	if c.items, err = polling.ParsePath(source.Items); err != nil {
		return Config{}, fmt.Errorf("items: %w", err)
	}
	if c.key, err = polling.ParsePath(source.DedupeBy); err != nil {
		return Config{}, fmt.Errorf("dedupe_by: %w", err)
	}
	if c.paging, err = source.Paging(); err != nil {
		return Config{}, fmt.Errorf("pagination: %w", err)
	}
	if source.Pagination != nil {
		c.maxPages = source.Pagination.MaxPages
	}
	c.tls = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: source.InsecureSkipVerify} //nolint:gosec // the user's wish, of which the submitter and the log warn
	if source.CAFile != "" {
		if c.tls.RootCAs, err = readCertificates(source.CAFile); err != nil {
			return Config{}, fmt.Errorf("ca_file: %w", err)
		}
	}
	return c, nil
}

func readCertificates(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// client returns a client for all requests of a Reader.
func (c Config) client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = c.tls.Clone()
	return &http.Client{Transport: transport, CheckRedirect: c.redirect}
}

// redirect follows a redirect. Credentials are sent to the server of the URL alone.
func (c Config) redirect(next *http.Request, before []*http.Request) error {
	first := before[0].URL
	switch {
	case len(before) > c.source.MaxRedirects:
		return errRedirects
	case first.Scheme == "https" && next.URL.Scheme != "https":
		return errDowngrade
	}
	next.Header.Del("Referer") // it would tell the query
	if next.URL.Host != first.Host {
		next.Header.Del("Authorization")
		for header := range c.source.Headers {
			next.Header.Del(header)
		}
	}
	return nil
}

// header returns the headers of a request for a page, which is conditional where the answer before had validators.
func (c Config) header(etag, lastModified string) http.Header {
	h := http.Header{}
	h.Set("Accept", "application/json, application/x-ndjson;q=0.9, */*;q=0.1")
	h.Set("User-Agent", "pencere/"+version.String())
	if etag != "" {
		h.Set("If-None-Match", etag)
	}
	if lastModified != "" {
		h.Set("If-Modified-Since", lastModified)
	}
	for header, value := range maps.All(c.source.Headers) {
		h.Set(header, value)
	}
	return h
}

func (c Config) authorize(request *http.Request) {
	switch a := c.source.Auth; {
	case a == nil:
	case a.Token != "":
		request.Header.Set("Authorization", "Bearer "+a.Token)
	default:
		request.SetBasicAuth(a.Username, a.Password)
	}
}
