package kafka

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pencere/pkg/plan"
)

// What a Reader asks of a broker unless a property says otherwise: an answer of so many bytes, or, when there is less,
// whatever there is, after so long if there is nothing.
const (
	defaultFetchMaxBytes = 1 << 20
	defaultFetchMaxWait  = 500 * time.Millisecond
	// maxBatchBytes bounds, in bytes, what a compressed batch may become.
	maxBatchBytes = 64 << 20
)

// Config is a checked plan.KafkaSource. It is immutable; Enumerators and Readers may share it.
type Config struct {
	source  plan.KafkaSource
	pattern *regexp.Regexp // nil: source.Topics
	// client are the options of every client, fetch those of clients that read.
	client, fetch []kgo.Opt
	committed     bool // isolation.level is read_committed
	reset         plan.StartMode
	// What is asked of a broker at most, in bytes; see budget.
	fetchMaxBytes, partitionMaxBytes int32
}

// NewConfig checks a source and reads the files that its ssl.* properties name. The error joins all that is wrong,
// among it a PropertyError for each property that is unknown or has a bad value.
func NewConfig(source plan.KafkaSource) (Config, error) {
	c := Config{source: source}
	errs := []error{c.checkSource()}
	s := settings{values: source.Properties, used: make(map[string]bool), elsewhere: readElsewhere}
	c.client = clientOptions(source.Brokers, &s)
	c.readFetch(&s)
	errs = append(errs, s.problems()...)
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}

func (c *Config) checkSource() error {
	s := c.source
	var errs []error
	if len(s.Brokers) == 0 {
		errs = append(errs, errors.New("brokers: none given: name at least one as host:port"))
	}
	if (len(s.Topics) == 0) == (s.TopicPattern == "") {
		errs = append(errs, errors.New("topics: give either names or a pattern"))
	}
	if s.TopicPattern != "" {
		var err error
		if c.pattern, err = regexp.Compile(`^(?:` + s.TopicPattern + `)$`); err != nil {
			errs = append(errs, fmt.Errorf("topic pattern %q: %w", s.TopicPattern, err))
		}
	}
	switch s.OnDataLoss {
	case plan.DataLossFail, plan.DataLossEarliest, "": // a plan that is older than the choice has none
	default:
		errs = append(errs, fmt.Errorf("on data loss: %q is neither fail nor earliest", s.OnDataLoss))
	}
	switch s.Start {
	case plan.StartEarliest, plan.StartLatest, plan.StartTimestamp:
	case plan.StartGroupOffsets:
		if s.Group == "" {
			errs = append(errs, errors.New("start: group-offsets needs a group"))
		}
	default:
		errs = append(errs, fmt.Errorf("start: %q is none of earliest, latest, group-offsets, timestamp", s.Start))
	}
	return errors.Join(errs...)
}

// clientOptions are those of every client of the brokers. They take the properties that concern connections and security, with Kafka's
// defaults where they fit a client that never gives up.
func clientOptions(brokers []string, s *settings) []kgo.Opt {
	id := s.text("client.id")
	if id == "" {
		id = "pencere"
	}
	backoff, limit := s.millis("retry.backoff.ms", 100*time.Millisecond), s.millis("retry.backoff.max.ms", time.Second)
	return append([]kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID(id),
		kgo.MaxDecompressBatchBytes(maxBatchBytes),
		// A leader that moved is looked for at most so often; the default of 5 s would be a visible gap.
		kgo.MetadataMinAge(500 * time.Millisecond),
		kgo.DisableClientMetrics(),
		kgo.RetryBackoffFn(func(fails int) time.Duration {
			return min(backoff<<min(max(fails-1, 0), 16), limit)
		}),
		kgo.RequestTimeoutOverhead(s.millis("request.timeout.ms", 10*time.Second)),
		kgo.DialTimeout(s.millis("socket.connection.setup.timeout.ms", 10*time.Second)),
		kgo.ConnIdleTimeout(s.millis("connections.max.idle.ms", 9*time.Minute)),
		kgo.MetadataMaxAge(s.millis("metadata.max.age.ms", 5*time.Minute)),
	}, s.security()...)
}

// readFetch takes the properties that concern reading.
func (c *Config) readFetch(s *settings) {
	c.fetchMaxBytes = s.bytes("fetch.max.bytes", defaultFetchMaxBytes)
	c.partitionMaxBytes = s.bytes("max.partition.fetch.bytes", c.fetchMaxBytes)

	c.fetch = append(c.fetch,
		kgo.FetchMinBytes(s.bytes("fetch.min.bytes", 1)),
		kgo.FetchMaxWait(s.millis("fetch.max.wait.ms", defaultFetchMaxWait)),
		kgo.BrokerMaxReadBytes(max(100<<20, c.fetchMaxBytes)),
		kgo.Rack(s.text("client.rack")),
		// Kafka's consumers fall back silently to another offset; a job must not.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		// They end a bounded split that ends with one, and let the lag of a transactional topic reach zero.
		kgo.KeepControlRecords(),
	)
	if !s.flag("check.crcs", true) {
		c.fetch = append(c.fetch, kgo.DisableFetchCRCValidation())
	}
	c.committed = s.choice("isolation.level", "read_committed", "read_uncommitted") == "read_committed"
	if c.committed {
		c.fetch = append(c.fetch, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	switch s.choice("auto.offset.reset", "none", "earliest", "latest") {
	case "earliest":
		c.reset = plan.StartEarliest
	case "latest":
		c.reset = plan.StartLatest
	}
}

// ReadOptions returns the options of a client that reads as a Reader does: brokers, security, and isolation level. The caller may append to
// them.
func (c Config) ReadOptions() []kgo.Opt {
	options := slices.Clone(c.client)
	if c.committed {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	return options
}
