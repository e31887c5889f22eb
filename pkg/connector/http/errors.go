package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"
)

// ErrClosed is the error of a Reader that was closed.
var ErrClosed = errors.New("http source is closed")

// RequestError says why a URL cannot be read and will not be for as long as nobody mends it. It ends reading.
type RequestError struct {
	Name   string // of the URL
	Reason string
	Remedy string
}

func (e *RequestError) Error() string { return fmt.Sprintf("%s: %s: %s", e.Name, e.Reason, e.Remedy) }

// RefusedError says that an answer came that cannot be used. It counts as one record of its split, and reading goes on with the next poll.
type RefusedError struct {
	Split  int   // as in Fetch
	Number int64 // of the record
	Body   []byte
	Time   time.Time
	Reason string
}

func (e *RefusedError) Error() string { return "the answer cannot be used: " + e.Reason }

// mostRefused is how much of an answer that cannot be used is kept: what any broker takes as a record.
const mostRefused = 512 << 10

// What is wrong with a redirect.
var (
	errRedirects = errors.New("too many redirects")
	errDowngrade = errors.New("redirect from https to http")
)

// failure is why a request gave no answer. One with a remedy will fail again in the same way.
type failure struct {
	reason, remedy string
	after          time.Duration // the server wants it to be left alone for so long; 0 does not say
}

func (f *failure) Error() string { return f.reason }

// failureOf says what an error of the client means.
func failureOf(err error, timeout time.Duration) *failure {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL, which may hold secrets
	}
	unknown, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	host, isHost := errors.AsType[x509.HostnameError](err)
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	_, isPlain := errors.AsType[tls.RecordHeaderError](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	operation, isOperation := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, errRedirects):
		return &failure{reason: "it redirects too often", remedy: "set source.http.url to where it ends, or raise source.http.max_redirects"}
	case errors.Is(err, errDowngrade):
		return &failure{reason: "it redirects from https to http, where everybody can read along", remedy: "correct source.http.url"}
	case isUnknown:
		return &failure{reason: "its certificate is not trusted: " + unknown.Error(), remedy: "set source.http.ca_file to the certificate of its authority"}
	case isHost:
		return &failure{reason: "its certificate is for another host: " + host.Error(), remedy: "use a name of the certificate in source.http.url"}
	case isInvalid:
		return &failure{reason: "its certificate is not valid: " + invalid.Error(), remedy: "renew the server's certificate, or set the clock of the taskmanager"}
	case isPlain, errors.Is(err, http.ErrSchemeMismatch):
		return &failure{reason: "it does not speak TLS", remedy: "correct the port, or write http:// in source.http.url"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isOperation && operation.Timeout():
		return &failure{reason: fmt.Sprintf("no whole answer within %s (source.http.timeout)", timeout)}
	case isDNS:
		return &failure{reason: "its host is not found: " + dns.Error()}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &failure{reason: "connection refused"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return &failure{reason: "it broke the connection off"}
	default:
		return &failure{reason: err.Error()}
	}
}

// refusals are the answers that do not change by waiting, and what to do about each.
var refusals = map[int]string{
	http.StatusBadRequest:              "correct source.http.url and its headers",
	http.StatusUnauthorized:            "set source.http.auth, or renew the credentials",
	http.StatusForbidden:               "see what these credentials may read, and source.http.auth",
	http.StatusNotFound:                "correct the path of source.http.url",
	http.StatusMethodNotAllowed:        "correct source.http.url to one that answers GET",
	http.StatusNotAcceptable:           "set the header Accept in source.http.headers to what it serves",
	http.StatusProxyAuthRequired:       "see the proxy that HTTPS_PROXY of the taskmanager names",
	http.StatusGone:                    "correct source.http.url: what was there is gone",
	http.StatusRequestURITooLong:       "shorten source.http.url",
	http.StatusNotImplemented:          "correct source.http.url to one that answers GET",
	http.StatusHTTPVersionNotSupported: "put a proxy before the server",
}

// failureOfStatus says what a status other than success means; nil for success.
func failureOfStatus(response *http.Response, now time.Time) *failure {
	code := response.StatusCode
	answers := fmt.Sprintf("it answers %d %s", code, http.StatusText(code))
	switch {
	case code == http.StatusOK, code == http.StatusNonAuthoritativeInfo, code == http.StatusNoContent, code == http.StatusNotModified:
		return nil
	case refusals[code] != "":
		return &failure{reason: answers, remedy: refusals[code]}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code == http.StatusAccepted, code >= 500:
		return &failure{reason: answers, after: retryAfter(response.Header.Get("Retry-After"), now)}
	default:
		return &failure{reason: answers, remedy: "see what the server says of that, and correct source.http.url"}
	}
}
