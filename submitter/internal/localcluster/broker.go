package localcluster

import (
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kfake"
)

// BrokerConfig says what an embedded Kafka broker begins with.
type BrokerConfig struct {
	// Topics are created at the start, each with so many partitions.
	Topics map[string]int32
	// Listen, if set, is used in place of net.Listen. A test can break the network with it.
	Listen func(network, address string) (net.Listener, error)
}

// Broker is a Kafka broker in this process (kfake): it speaks Kafka's protocol and keeps its records in memory. It listens on a
// free port of the loopback interface.
type Broker struct{ cluster *kfake.Cluster }

// StartBroker starts a broker, which serves until Close.
func StartBroker(cfg BrokerConfig) (*Broker, error) {
	options := []kfake.Opt{kfake.NumBrokers(1)}
	if cfg.Listen != nil {
		options = append(options, kfake.ListenFn(cfg.Listen))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, fmt.Errorf("start embedded kafka: %w", err)
	}
	for topic, partitions := range cfg.Topics {
		if err := cluster.CreateTopic(topic, partitions, nil); err != nil {
			cluster.Close()
			return nil, fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	return &Broker{cluster: cluster}, nil
}

// Addresses returns host:port of the broker.
func (b *Broker) Addresses() []string { return b.cluster.ListenAddrs() }

// Close stops the broker, and its records are gone.
func (b *Broker) Close() { b.cluster.Close() }
