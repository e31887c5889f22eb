package command

import (
	"context"
	"time"

	"pencere/submitter/internal/kafkaclient"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// kafkaFlags are those of commands that talk to Kafka.
type kafkaFlags struct {
	brokers    []string
	properties map[string]string
	timeout    time.Duration
}

func (k *kafkaFlags) add(c *cobra.Command) {
	flags := c.PersistentFlags()
	flags.StringSliceVarP(&k.brokers, "brokers", "b", []string{"localhost:9092"}, "host:port of Kafka's brokers, in any order")
	flags.StringToStringVarP(&k.properties, "property", "X", nil,
		"property of Kafka's own, as key=value: security.protocol, sasl.username, sasl.password, ssl.ca.location, compression.type, acks, …")
	flags.DurationVar(&k.timeout, "timeout", 30*time.Second, "how long to wait for a broker that does not answer")
}

// connectKafka returns a client whose cluster has answered. It says on standard error that it waits.
func (a *app) connectKafka(ctx context.Context, k kafkaFlags, options ...kgo.Opt) (*kgo.Client, error) {
	told := false
	return kafkaclient.Connect(ctx, kafkaclient.Config{
		Brokers: k.brokers, Properties: k.properties, Timeout: k.timeout, Waiting: func(err error) {
			if !told && !a.json {
				a.note("waiting up to %s: %v", k.timeout, err)
			}
			told = true
		},
	}, options...)
}
