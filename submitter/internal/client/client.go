// Package client talks to the REST API of the jobmanagers: to whichever of the addresses it was given answers and leads.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// DefaultPort is the jobmanager's REST port, for addresses without one.
const DefaultPort = "8081"

// attemptTimeout bounds one request to one address: a host that swallows packets must not use up the time of the others.
const attemptTimeout = 10 * time.Second

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 20

// Config says which jobmanagers to talk to.
type Config struct {
	// Addresses are host:port, host, or http(s) URLs, in any order; any may be down.
	Addresses []string
	// Timeout is how long a call looks for a jobmanager that answers; 0 tries each address once.
	Timeout time.Duration
	// Waiting, if set, is told each time all addresses were tried in vain and will be tried again.
	Waiting func(err error)
}

// Client is safe for concurrent use.
type Client struct {
	cfg    Config
	bases  []*url.URL
	answer atomic.Int64 // index of the address that answered last
	http   *http.Client
}

// New returns a client. It connects when it is used. A malformed address is an *AddressError.
func New(cfg Config) (*Client, error) {
	c := &Client{cfg: cfg, http: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}}
	for _, address := range cfg.Addresses {
		base, err := parseAddress(address)
		if err != nil {
			return nil, err
		}
		c.bases = append(c.bases, base)
	}
	if len(c.bases) == 0 {
		return nil, &AddressError{Reason: "no jobmanager is named"}
	}
	return c, nil
}

// Close drops the connections that are kept open.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func parseAddress(address string) (*url.URL, error) {
	text := address
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	base, err := url.Parse(text)
	if err != nil {
		return nil, &AddressError{Address: address, Reason: errors.Unwrap(err).Error()}
	}
	if base.Scheme != "http" && base.Scheme != "https" {
		return nil, &AddressError{Address: address, Reason: "want host:port, or an http or https URL"}
	}
	if base.Hostname() == "" {
		return nil, &AddressError{Address: address, Reason: "there is no host in it"}
	}
	if base.Port() == "" && base.Scheme == "http" {
		base.Host = net.JoinHostPort(base.Hostname(), DefaultPort)
	}
	return &url.URL{Scheme: base.Scheme, Host: base.Host, Path: strings.TrimSuffix(base.Path, "/")}, nil
}

// call is a request that may be sent to any jobmanager.
type call struct {
	method, path string
	query        url.Values
	contentType  string
	body         []byte
	// once is for what must not be done twice: it is sent again only when it is certain that nobody has read it.
	once bool
}

// do sends a call to the jobmanagers in turn, with growing pauses, until one has taken it, and decodes its answer. It returns an
// *UnreachableError when none did in time, and an *APIError when one refused.
func (c *Client) do(ctx context.Context, r call, into any) error {
	began := time.Now()
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, c.round(ctx, r, into) },
		backoff.WithBackOff(&backoff.ExponentialBackOff{
			InitialInterval: 50 * time.Millisecond, RandomizationFactor: 0.2, Multiplier: 1.6, MaxInterval: time.Second,
		}),
		backoff.WithMaxElapsedTime(max(c.cfg.Timeout, time.Nanosecond)),
		backoff.WithNotify(func(err error, _ time.Duration) {
			if c.cfg.Waiting != nil {
				c.cfg.Waiting(err)
			}
		}))
	if unreachable, ok := errors.AsType[*UnreachableError](err); ok {
		unreachable.Waited = time.Since(began)
	}
	return err
}

// round tries each address once, the one that answered last first.
func (c *Client) round(ctx context.Context, r call, into any) error {
	first := int(c.answer.Load())
	var errs []error
	for i := range c.bases {
		at := (first + i) % len(c.bases)
		err := c.attempt(ctx, c.bases[at], r, into)
		if err == nil {
			c.answer.Store(int64(at))
			return nil
		}
		if !again(err, r.once) || ctx.Err() != nil {
			return backoff.Permanent(err)
		}
		errs = append(errs, err)
	}
	return &UnreachableError{Addresses: c.cfg.Addresses, Err: errors.Join(errs...)}
}

// again reports whether another address, or the same one later, may take a call that ended with err.
func again(err error, once bool) bool {
	if refused, ok := errors.AsType[*APIError](err); ok {
		switch refused.Status {
		case http.StatusServiceUnavailable: // it does not lead
			return true
		case http.StatusBadGateway, http.StatusGatewayTimeout: // a proxy's; the jobmanager may have read it
			return !once
		}
		return false
	}
	dial, ok := errors.AsType[*net.OpError](err)
	return !once || ok && dial.Op == "dial"
}

// attempt sends a call to one address.
func (c *Client) attempt(ctx context.Context, base *url.URL, r call, into any) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	target := *base
	target.Path += r.path
	target.RawQuery = r.query.Encode()
	request, err := http.NewRequestWithContext(ctx, r.method, target.String(), bytes.NewReader(r.body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if r.contentType != "" {
		request.Header.Set("Content-Type", r.contentType)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return &transportError{host: base.Host, err: err}
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or does not matter
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return &transportError{host: base.Host, err: err}
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return refusal(base.Host, answer.StatusCode, body)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &APIError{Host: base.Host, Status: answer.StatusCode, Messages: []string{
			fmt.Sprintf("the answer to %s %s is not a jobmanager's: %v", r.method, r.path, err)}}
	}
	return nil
}

// refusal reads Flink's form of an error, {"errors": [...]}.
func refusal(host string, status int, body []byte) error {
	var told struct {
		Errors []string `json:"errors"`
	}
	if err := json.Unmarshal(body, &told); err != nil || len(told.Errors) == 0 {
		told.Errors = []string{http.StatusText(status)}
	}
	return &APIError{Host: host, Status: status, Messages: told.Errors}
}
