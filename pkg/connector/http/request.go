package http

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"pencere/pkg/polling"
)

// request asks for a page.
type request struct {
	name               string
	target, page       *url.URL
	number             int // of pages before it
	etag, lastModified string
	due                time.Time
}

// page is what came of a request.
type page struct {
	began, came        time.Time
	unchanged          bool // it is as the validators say
	items              [][]byte
	body               polling.Digest
	next               *url.URL
	etag, lastModified string
	refused            string // why the answer cannot be used; "" for one that can
	excerpt            []byte // of the body that was refused
}

// longestWish is for how long a server is left alone at most when it asks for that.
const longestWish = time.Hour

// retryAfter reads the header Retry-After: seconds or a date. It returns 0 when that says nothing.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(longestWish/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(date.Sub(now), 0), longestWish)
	}
	return 0
}

// postponed is a failure after which the server wants to be left alone.
type postponed struct {
	*failure
	wish *backoff.RetryAfterError
}

func (p postponed) Unwrap() []error { return []error{p.failure, p.wish} }

// get asks until there is an answer. Failures that waiting may mend are told to notify. The error is a *RequestError or ctx's.
func (r *Reader) get(ctx context.Context, q request, notify func(reason string, next time.Duration)) (*page, error) {
	source := r.cfg.source
	answer, err := backoff.Retry(ctx, func() (*page, error) {
		answer, failed := r.try(ctx, q)
		switch {
		case failed == nil:
			return answer, nil
		case ctx.Err() != nil:
			return nil, backoff.Permanent(context.Cause(ctx))
		case failed.remedy != "":
			return nil, backoff.Permanent(&RequestError{Name: q.name, Reason: failed.reason, Remedy: failed.remedy})
		case failed.after > source.InitialBackoff:
			return nil, postponed{failed, &backoff.RetryAfterError{Duration: failed.after}}
		}
		return nil, failed
	},
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			InitialInterval: source.InitialBackoff, RandomizationFactor: 0.2, Multiplier: 2, MaxInterval: source.MaxBackoff,
		}),
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, next time.Duration) { notify(err.Error(), next) }),
	)
	return answer, err
}

// try asks once.
func (r *Reader) try(ctx context.Context, q request) (*page, *failure) {
	within, cancel := context.WithTimeout(ctx, r.cfg.source.Timeout)
	defer cancel()
	began := time.Now()
	ask, err := http.NewRequestWithContext(within, http.MethodGet, q.page.String(), http.NoBody)
	if err != nil {
		return nil, &failure{reason: "its address is malformed", remedy: "correct source.http.url"}
	}
	ask.Header = r.cfg.header(q.etag, q.lastModified)
	if host := ask.Header.Get("Host"); host != "" {
		ask.Host = host
	}
	r.cfg.authorize(ask)
	response, err := r.client.Do(ask)
	if err != nil {
		return nil, failureOf(err, r.cfg.source.Timeout)
	}
	defer response.Body.Close()
	if failed := failureOfStatus(response, time.Now()); failed != nil {
		return nil, failed
	}
	answer := &page{began: began, etag: response.Header.Get("ETag"), lastModified: response.Header.Get("Last-Modified")}
	if response.StatusCode == http.StatusNotModified {
		answer.unchanged, answer.came = true, time.Now()
		return answer, nil
	}
	most := r.cfg.source.MaxResponse
	body, err := read(response.Body, response.ContentLength, most)
	if err == nil {
		err = within.Err() // a server that sees a request given up may end its answer early, as if it were whole
	}
	if err != nil {
		return nil, failureOf(err, r.cfg.source.Timeout)
	}
	answer.came, answer.body = time.Now(), polling.DigestOf(body)
	switch {
	case int64(len(body)) > most:
		err = errors.New("it is larger than source.http.max_response, " + strconv.FormatInt(most, 10) + " bytes; raise that, or ask for pages")
	case response.StatusCode == http.StatusNoContent:
	default:
		err = r.understand(answer, q, response, body)
	}
	if err != nil {
		answer.refused, answer.excerpt = err.Error(), body[:min(len(body), mostRefused)]
		answer.items, answer.next = nil, nil
	}
	return answer, nil
}

// read returns the body, and a byte more than most of one that is longer. Of a body that says its length, memory is taken once.
func read(body io.Reader, length, most int64) ([]byte, error) {
	limited := io.LimitReader(body, most+1)
	if length < 0 || length > most {
		return io.ReadAll(limited)
	}
	text := make([]byte, length)
	_, err := io.ReadFull(limited, text)
	return text, err
}

// understand finds the items and the next page. The error says why the answer cannot be used.
func (r *Reader) understand(answer *page, q request, response *http.Response, body []byte) error {
	framing := r.cfg.source.Body
	if framing == polling.Auto {
		var err error
		if framing, err = polling.FramingOf(response.Header.Get("Content-Type")); err != nil {
			return err
		}
	}
	path := r.cfg.items
	if framing == polling.NDJSON {
		path = polling.Path{}
	}
	var err error
	if answer.items, err = polling.Items(body, framing, path); err != nil {
		return err
	}
	paging := r.cfg.paging
	if framing == polling.NDJSON && paging.Scheme == polling.Next {
		return errors.New("it is NDJSON, which has no field for a next page; set pagination.type to link or page")
	}
	answer.next, err = paging.NextPage(q.target, polling.Answer{
		URL: q.page, Number: q.number, Links: response.Header.Values("Link"), Body: body, Items: len(answer.items),
	})
	return err
}

// sinceText shows when failures began.
func sinceText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// spanText shows how long it takes until the next try, in whole seconds.
func spanText(d time.Duration) string {
	text := (time.Duration(math.Ceil(max(d, 0).Seconds())) * time.Second).String()
	text = strings.TrimSuffix(text, "m0s")
	if !strings.HasSuffix(text, "s") {
		text += "m"
	}
	return text
}
