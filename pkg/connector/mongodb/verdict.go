package mongodb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/auth"
)

// AccessError says that the database does not let the job in, or not to what it writes.
type AccessError struct {
	Where string // the collection and its servers
	Err   error
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("%s: access refused: %v: check the credentials, authSource and TLS options of sink.mongodb.uri, and the user's roles", e.Where, e.Err)
}

// Unwrap returns what the database or the TLS layer said.
func (e *AccessError) Unwrap() error { return e.Err }

// verdict says what a bulk write's error means for its documents; what it does not name is written.
type verdict struct {
	fatal error // no document can be written, now or later
	again error // the whole bulk is to be sent again; it may be there
	split error // the bulk as a whole is refused, and one of its documents may be why
	// By index: documents that the database refuses, those of which there may be one already, and those to be sent again.
	refused, duplicate, repeat map[int]error
}

// The codes of MongoDB's errors (src/mongo/base/error_codes.yml) that say something of more than a document.
var (
	// Later it may work: the server stops, is no primary any more, is busy, or has no room.
	passing = []int{
		6, 7, 24, 46, 50, 64, 89, 91, 112, 133, 134, 189, 202, 246, 262, 290, 358, 384, 391, 462, 9001, 10107, 11600, 11602, 13388, 13435, 13436, 14031, 16500,
	}
	// Not before somebody changes something.
	denied   = []int{13, 18, 33, 8000}
	hopeless = []int{20, 59, 72, 73, 79, 100, 166, 303, 323}
)

// judge reads the error of a bulk write.
func judge(err error) verdict {
	bulk, isBulk := errors.AsType[mongo.BulkWriteException](err)
	if !isBulk {
		return judgeCommand(err)
	}
	v := verdict{refused: map[int]error{}, duplicate: map[int]error{}, repeat: map[int]error{}}
	for _, e := range bulk.WriteErrors {
		reason := fmt.Errorf("MongoDB: %s (code %d)", e.Message, e.Code)
		switch {
		case mongo.IsDuplicateKeyError(e.WriteError):
			v.duplicate[e.Index] = reason
		case slices.Contains(passing, e.Code):
			v.repeat[e.Index] = reason
		case slices.Contains(denied, e.Code):
			v.fatal = &AccessError{Err: reason}
		case slices.Contains(hopeless, e.Code):
			v.fatal = reason
		default:
			v.refused[e.Index] = reason
		}
	}
	if concern := bulk.WriteConcernError; concern != nil {
		reason := fmt.Errorf("MongoDB: %s (code %d)", concern.Message, concern.Code)
		if slices.Contains(hopeless, concern.Code) {
			v.fatal = reason
		}
		v.again = reason
	}
	return v
}

// judgeCommand reads an error that is not about single documents.
func judgeCommand(err error) verdict {
	if refusedByTLS(err) || refusedByAuth(err) {
		return verdict{fatal: &AccessError{Err: err}}
	}
	if command, ok := errors.AsType[mongo.CommandError](err); ok && !isPassing(command) {
		reason := fmt.Errorf("MongoDB: %s (code %d)", command.Message, command.Code)
		switch code := int(command.Code); {
		case slices.Contains(denied, code):
			return verdict{fatal: &AccessError{Err: reason}}
		case slices.Contains(hopeless, code):
			return verdict{fatal: reason}
		default:
			return verdict{split: reason}
		}
	}
	if _, ok := errors.AsType[mongo.MarshalError](err); ok || errors.Is(err, driver.ErrDocumentTooLarge) {
		return verdict{split: err}
	}
	return verdict{again: err}
}

func isPassing(e mongo.CommandError) bool {
	return slices.Contains(passing, int(e.Code)) || e.HasErrorLabel("RetryableWriteError") || mongo.IsNetworkError(e) || mongo.IsTimeout(e)
}

// refusedByAuth tells credentials that a server refused from one that went away while it looked at them.
func refusedByAuth(err error) bool {
	if _, ok := errors.AsType[*auth.Error](err); !ok {
		return false
	}
	_, network := errors.AsType[net.Error](err)
	return !network && !errors.Is(err, io.EOF) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

func refusedByTLS(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	return unverified || notTLS || alert || unknown || host
}

// reason says in a few words why a server does not answer.
func reason(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err + " (name " + dns.Name + ")"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return "connection closed by the server; is tls right in sink.mongodb.uri?"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}
