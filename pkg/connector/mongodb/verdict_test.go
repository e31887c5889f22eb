package mongodb

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"pencere/pkg/plan"
)

func failed(index, code int, message string) mongo.BulkWriteError {
	return mongo.BulkWriteError{WriteError: mongo.WriteError{Index: index, Code: code, Message: message}}
}

// Each error of the driver has one meaning for the documents of its bulk.
func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"documents": {
			mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{
				failed(0, 11000, "E11000 duplicate key"), failed(2, 121, "Document failed validation"), failed(3, 52, "dollar"), failed(5, 112, "WriteConflict"),
			}},
			"refused [2 3] duplicate [0] repeat [5]",
		},
		"no rights":                {mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{failed(0, 13, "not authorized")}}, "access"},
		"a view":                   {mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{failed(0, 166, "is a view")}}, "fatal"},
		"the majority is too slow": {mongo.BulkWriteException{WriteConcernError: &mongo.WriteConcernError{Code: 64, Message: "timed out"}}, "again"},
		"a majority of nothing":    {mongo.BulkWriteException{WriteConcernError: &mongo.WriteConcernError{Code: 100, Message: "not enough"}}, "fatal again"},
		"not primary":              {mongo.CommandError{Code: 10107, Message: "not primary"}, "again"},
		"shutting down":            {mongo.CommandError{Code: 91, Labels: []string{"RetryableWriteError"}}, "again"},
		"network":                  {mongo.CommandError{Labels: []string{"NetworkError"}, Wrapped: io.EOF}, "again"},
		"unknown command error":    {mongo.CommandError{Code: 15, Message: "nested too deeply"}, "split"},
		"unauthorized":             {mongo.CommandError{Code: 13, Message: "not authorized"}, "access"},
		"no retryable writes":      {mongo.CommandError{Code: 20, Message: "this deployment does not support retryable writes"}, "fatal"},
		"too large":                {fmt.Errorf("x: %w", driver.ErrDocumentTooLarge), "split"},
		"cannot be marshalled":     {mongo.MarshalError{Err: errors.New("no")}, "split"},
		"no server":                {topology.ServerSelectionError{Wrapped: context.DeadlineExceeded}, "again"},
		"reset":                    {topology.ConnectionError{Wrapped: syscall.ECONNRESET}, "again"},
		"certificate":              {topology.ConnectionError{Wrapped: x509.UnknownAuthorityError{}}, "access"},
		"timeout":                  {context.DeadlineExceeded, "again"},
	} {
		if got := inWords(judge(c.err)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func inWords(v verdict) string {
	var words []string
	if _, ok := errors.AsType[*AccessError](v.fatal); ok {
		words = append(words, "access")
	} else if v.fatal != nil {
		words = append(words, "fatal")
	}
	if v.again != nil {
		words = append(words, "again")
	}
	if v.split != nil {
		words = append(words, "split")
	}
	for _, some := range []struct {
		name string
		of   map[int]error
	}{{"refused", v.refused}, {"duplicate", v.duplicate}, {"repeat", v.repeat}} {
		if len(some.of) > 0 {
			words = append(words, fmt.Sprintf("%s %v", some.name, slices.Sorted(maps.Keys(some.of))))
		}
	}
	return strings.Join(words, " ")
}

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"no such host (name db)": &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "db"}},
		"connection refused":     &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"no answer in time":      topology.ConnectionError{Wrapped: context.DeadlineExceeded},
		"connection closed by the server; is tls right in sink.mongodb.uri?": topology.ConnectionError{Wrapped: io.EOF},
	} {
		if got := reason(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// A stored document is the row's if it has what the row has; readers may have added to it.
func TestIncludes(t *testing.T) {
	marshal := func(d bson.D) bson.Raw {
		raw, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	row := marshal(bson.D{{Key: "_id", Value: "a"}, {Key: "v", Value: int32(1)}, {Key: "d.e", Value: bson.D{{Key: "x", Value: 1.5}}}})
	for _, c := range []struct {
		stored bson.D
		want   bool
	}{
		{bson.D{{Key: "_id", Value: "a"}, {Key: "v", Value: int32(1)}, {Key: "d.e", Value: bson.D{{Key: "x", Value: 1.5}}}}, true},
		{bson.D{{Key: "_id", Value: "a"}, {Key: "d.e", Value: bson.D{{Key: "x", Value: 1.5}}}, {Key: "seen", Value: true}, {Key: "v", Value: int32(1)}}, true},
		{bson.D{{Key: "_id", Value: "a"}, {Key: "v", Value: int64(1)}, {Key: "d.e", Value: bson.D{{Key: "x", Value: 1.5}}}}, false},
		{bson.D{{Key: "_id", Value: "a"}, {Key: "v", Value: int32(1)}}, false},
		{bson.D{{Key: "_id", Value: "a"}, {Key: "v", Value: int32(1)}, {Key: "d", Value: bson.D{{Key: "e", Value: bson.D{{Key: "x", Value: 1.5}}}}}}, false},
	} {
		if got := includes(marshal(c.stored), row); got != c.want {
			t.Errorf("%v: %v, want %v", c.stored, got, c.want)
		}
	}
}

// What the driver says of a URI never tells the password, and majority is what is written with.
func TestConfig(t *testing.T) {
	for uri, says := range map[string]string{
		"mongodb://user:s3cr%40t@host:99999/":                    "port must be in the range",
		"mongodb://user:s3cr%40t@host/?tlsCAFile=/nowhere/x.pem": "/nowhere/x.pem",
		"mongodb://user:s3cr@t@host/":                            "sink.mongodb.uri",
		"mongodb://user:s3cr%4@host/":                            "sink.mongodb.uri",
		"mongodb://user:s3cr%40t@host/?authMechanism=x":          "sink.mongodb.uri",
		"mongodb://host/?w=0":                                    "w=0",
	} {
		_, err := NewConfig(plan.MongoSink{URI: uri}, false)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "s3cr") {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for uri, want := range map[string]any{"mongodb://host": "majority", "mongodb://host/?journal=true": "majority", "mongodb://host/?w=2": 2} {
		config, err := NewConfig(plan.MongoSink{URI: uri}, false)
		if err != nil || config.client.WriteConcern.W != want {
			t.Errorf("%s: %v, %v", uri, config.client, err)
		}
	}
}
