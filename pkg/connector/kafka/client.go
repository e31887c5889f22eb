package kafka

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/plan"
)

// ClientOptions returns the options of a client that is no job's: one that sends records, looks after topics, or reads to show. It
// takes the same properties for the connection and its security as a source does, and those of Kafka's producer. The error joins a
// PropertyError for each property that is unknown or has a bad value.
func ClientOptions(brokers []string, properties map[string]string) ([]kgo.Opt, error) {
	if len(brokers) == 0 {
		return nil, errors.New("brokers: none given: name at least one as host:port")
	}
	s := settings{values: properties, used: make(map[string]bool), elsewhere: map[string]string{"bootstrap.servers": "is given as brokers"}}
	opts := append(clientOptions(brokers, &s), s.producing()...)
	if err := errors.Join(s.problems()...); err != nil {
		return nil, err
	}
	return opts, nil
}

// producing takes the properties of Kafka's producer. Their defaults are Kafka's: each record is acknowledged by all replicas, and
// sent once.
func (s *settings) producing() []kgo.Opt {
	compression := s.choice("compression.type", string(plan.CompressionNone), string(plan.CompressionGzip),
		string(plan.CompressionSnappy), string(plan.CompressionLZ4), string(plan.CompressionZstd))
	opts := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[plan.Compression(compression)]),
		kgo.ProducerLinger(time.Duration(s.whole("linger.ms", 5)) * time.Millisecond),
		kgo.ProducerBatchMaxBytes(s.bytes("max.request.size", 1<<20)),
		kgo.RecordDeliveryTimeout(s.millis("delivery.timeout.ms", 2*time.Minute)),
	}
	switch s.choice("acks", "all", "-1", "1", "0") {
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	}
	return opts
}

// whole returns a whole number from 0 on.
func (s *settings) whole(name string, absent int64) int64 {
	if value, ok := s.lookup(name); ok && value == "0" {
		return 0
	}
	return s.number(name, absent, "milliseconds")
}
