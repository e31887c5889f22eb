package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// ErrClosed is the error of a Reader or Enumerator that was closed.
var ErrClosed = errors.New("kafka client is closed")

// UnknownTopicError says that a topic does not exist, or that no topic matches a pattern.
type UnknownTopicError struct {
	Topic   string // a name, or the pattern
	Pattern bool
	Near    string // a topic that exists and was perhaps meant, or ""
}

func (e *UnknownTopicError) Error() string {
	if e.Pattern {
		return fmt.Sprintf("no topic matches the pattern %q: whole names are matched; mend the pattern, create a topic, or set a discovery interval to wait for one", e.Topic)
	}
	if e.Near != "" {
		return fmt.Sprintf("topic %q does not exist: did you mean %q?", e.Topic, e.Near)
	}
	return fmt.Sprintf("topic %q does not exist: create it or mend its name", e.Topic)
}

// DataLossError says that the next record to read is not in its partition any more, because of retention or because the
// partition was cut or made anew. Nothing is skipped silently: reading ends here, or, if the source wishes so, goes on from First and tells.
type DataLossError struct {
	Topic     string
	Partition int32
	// Wanted is the offset of the next record to read.
	Wanted int64
	// First and End are the range of offsets that can be read, [First, End), both -1 if the broker did not tell.
	First, End int64
	// Truncated says that the partition was cut or made anew: nobody knows how many records are gone by that.
	Truncated bool
}

func (e *DataLossError) Error() string {
	have := "what it holds is not known"
	if e.First >= 0 {
		have = fmt.Sprintf("the earliest there is has offset %d, the next to be written %d", e.First, e.End)
	}
	return fmt.Sprintf("topic %q partition %d: records from offset %d are gone (retention, or the topic was made anew); %s: "+
		"set source.kafka.on_data_loss to earliest to go on without them, start the job from a position that exists, or keep records for longer", e.Topic, e.Partition, e.Wanted, have)
}

// NoOffsetError says that a job is to start from its group's offsets and the group has none for a partition.
type NoOffsetError struct {
	Group     string
	Topic     string
	Partition int32
}

func (e *NoOffsetError) Error() string {
	return fmt.Sprintf("group %q has no committed offset for topic %q partition %d: "+
		"start from earliest or latest, or set the property auto.offset.reset to one of them", e.Group, e.Topic, e.Partition)
}

// AuthError says that the cluster does not let the job in, or not to something that it reads.
type AuthError struct {
	// What was refused: `broker host:9092` or `topic "orders"`.
	What string
	Err  error
}

func (e *AuthError) Error() string {
	return fmt.Sprintf("%s: access refused: %v: check security.protocol, sasl.*, ssl.* and the ACLs", e.What, e.Err)
}

func (e *AuthError) Unwrap() error { return e.Err }

// refused says whether err is the cluster's or the TLS layer's refusal, which no retry changes.
func refused(err error) bool {
	for _, code := range []error{
		kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState,
		kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	if _, ok := errors.AsType[*kadm.AuthError](err); ok {
		return true
	}
	return refusedByTLS(err)
}

func refusedByTLS(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return unverified || unknown || host || notTLS || alert
}

// reason says in a few words why a broker does not answer.
func reason(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.Err + " (name " + dns.Name + ")"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "connection closed by the broker"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "no answer in time"
	}
	if code, ok := errors.AsType[*kerr.Error](err); ok {
		return code.Description
	}
	return err.Error()
}
