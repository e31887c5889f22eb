// Package kafkaclient connects the submitter's own commands to Kafka.
package kafkaclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pencere/pkg/connector/kafka"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config says where Kafka is.
type Config struct {
	Brokers []string // host:port, in any order
	// Properties are Kafka's own, for security and tuning.
	Properties map[string]string
	// Timeout bounds how long a broker that does not answer is waited for.
	Timeout time.Duration
	// Waiting, if set, is called when no broker has answered yet and it is tried again.
	Waiting func(error)
}

// UnreachableError says that no broker answered in time.
type UnreachableError struct {
	Brokers []string
	Timeout time.Duration
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no broker of %s answered within %s: %v", strings.Join(e.Brokers, ","), e.Timeout, e.Err)
}

// Unwrap returns what the last attempt ended with.
func (e *UnreachableError) Unwrap() error { return e.Err }

// PropertiesError says what is wrong with brokers or properties.
type PropertiesError struct{ Err error }

func (e *PropertiesError) Error() string { return e.Err.Error() }

// Unwrap returns the joined problems.
func (e *PropertiesError) Unwrap() error { return e.Err }

// retryEvery is the pause between two attempts to reach a broker.
const retryEvery = 500 * time.Millisecond

// Connect returns a client whose cluster has answered, with further options. The error is a *PropertiesError, an *UnreachableError or
// the end of ctx.
func Connect(ctx context.Context, cfg Config, options ...kgo.Opt) (*kgo.Client, error) {
	opts, err := kafka.ClientOptions(cfg.Brokers, cfg.Properties)
	if err != nil {
		return nil, &PropertiesError{err}
	}
	client, err := kgo.NewClient(append(opts, options...)...)
	if err != nil {
		return nil, &PropertiesError{err}
	}
	if err := reach(ctx, client, cfg); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

func reach(ctx context.Context, client *kgo.Client, cfg Config) error {
	limit, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	var last error
	for {
		err := client.Ping(limit)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if last == nil || !errors.Is(err, context.DeadlineExceeded) {
			last = err
		}
		if limit.Err() == nil && cfg.Waiting != nil {
			cfg.Waiting(err)
		}
		select {
		case <-limit.Done():
			return &UnreachableError{cfg.Brokers, cfg.Timeout, last}
		case <-time.After(retryEvery):
		}
	}
}
