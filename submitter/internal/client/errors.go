package client

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// AddressError is an address that no jobmanager can have.
type AddressError struct {
	Address string
	Reason  string
}

func (e *AddressError) Error() string {
	if e.Address == "" {
		return e.Reason
	}
	return fmt.Sprintf("address %q: %s", e.Address, e.Reason)
}

// UnreachableError says that no jobmanager took a call in time.
type UnreachableError struct {
	Addresses []string
	Waited    time.Duration
	Err       error // of the last try of each
}

func (e *UnreachableError) Error() string {
	reason := strings.ReplaceAll(e.Err.Error(), "\n", "; ")
	if e.Waited < time.Second {
		return "no jobmanager is reached: " + reason
	}
	return fmt.Sprintf("no jobmanager is reached in %s: %s", e.Waited.Round(time.Second), reason)
}

// Unwrap returns why.
func (e *UnreachableError) Unwrap() error { return e.Err }

// APIError is a jobmanager's refusal.
type APIError struct {
	Host   string
	Status int // of HTTP
	// Messages are what it said, at least one.
	Messages []string
}

func (e *APIError) Error() string { return strings.Join(e.Messages, "\n") }

// transportError is a request without an answer.
type transportError struct {
	host string
	err  error
}

func (e *transportError) Error() string {
	cause := e.err
	if outer, ok := errors.AsType[*url.Error](e.err); ok { // it repeats method and URL
		cause = outer.Err
	}
	text := cause.Error()
	if strings.Contains(text, e.host) {
		return text
	}
	return e.host + ": " + text
}

func (e *transportError) Unwrap() error { return e.err }

// AmbiguousError is returned when nobody knows whether a jobmanager has read a call that must not be sent twice.
type AmbiguousError struct{ Err error }

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("no answer came, the job may have been submitted all the same; look with list: %v", e.Err)
}

// Unwrap returns why no answer came.
func (e *AmbiguousError) Unwrap() error { return e.Err }
