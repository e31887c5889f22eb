package plan

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pencere/pkg/format/csv"
	"pencere/pkg/format/json"
)

func (c *compiler) checkJob() {
	if strings.TrimSpace(c.job.Name) == "" {
		c.add("name", "a job needs a name")
	}
	if c.job.MaxParallelism < 1 || c.job.MaxParallelism > MaxMaxParallelism {
		c.add("max_parallelism", "%d is not between 1 and %d", c.job.MaxParallelism, MaxMaxParallelism)
	} else if c.job.Parallelism < 0 || c.job.Parallelism > c.job.MaxParallelism {
		c.add("parallelism", "%d is not between 1 and max_parallelism, which is %d", c.job.Parallelism, c.job.MaxParallelism)
	}
	// LoadLocation takes "" for UTC and "Local" for the machine's own zone, which differs from machine to machine.
	zone, err := time.LoadLocation(c.job.TimeZone)
	if err != nil || c.job.TimeZone == "" || c.job.TimeZone == "Local" {
		c.add("time_zone", "unknown time zone %q; write a name of the IANA database such as Europe/Istanbul or UTC", c.job.TimeZone)
		return
	}
	c.zone = zone
}

func (c *compiler) checkSource() {
	source := c.job.Source
	switch {
	case source.Kafka == nil && source.HTTP == nil:
		c.add("source.kafka", "the job has no source; set source.kafka or source.http")
	case source.Kafka != nil && source.HTTP != nil:
		c.add(httpPath, "kafka and http exclude each other; keep one")
	case source.Kafka != nil:
		c.checkKafka(source.Kafka)
	default:
		c.checkHTTP(source.HTTP)
	}
	if len(source.Schema) == 0 {
		c.add("source.schema", "the schema has no column")
	}
	c.checkFormat(source)
	if w := source.Watermark; w != nil {
		c.checkMillis("source.watermark.delay", w.Delay, 0)
		c.checkMillis("source.watermark.idle_after", w.IdleAfter, 0)
	}
}

// topicName is what Kafka itself demands (org.apache.kafka.common.internals.Topic).
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (c *compiler) checkTopic(path, name string) {
	if !topicName.MatchString(name) || name == "." || name == ".." {
		c.add(path, "%q is no name of a topic: Kafka takes 1 to 249 letters, digits, '.', '_' and '-'", name)
	}
}

// ownField names the fields that stand for client settings.
var ownField = map[string]string{"bootstrap.servers": "brokers", "group.id": "group"}

func (c *compiler) checkKafka(k *KafkaSource) {
	c.checkBrokers("source.kafka.brokers", k.Brokers)
	switch {
	case len(k.Topics) == 0 && k.TopicPattern == "":
		c.add("source.kafka.topic", "there is nothing to read; set topic or topic_pattern")
	case len(k.Topics) > 0 && k.TopicPattern != "":
		c.add("source.kafka.topic_pattern", "topic and topic_pattern exclude each other; keep one")
	}
	for i, topic := range k.Topics {
		c.checkTopic("source.kafka.topic", topic)
		if slices.Contains(k.Topics[:i], topic) {
			c.add("source.kafka.topic", "topic %s is there twice", topic)
		}
	}
	if _, err := regexp.Compile(k.TopicPattern); err != nil {
		c.add("source.kafka.topic_pattern", "%v (the syntax is that of Go and RE2, without look-around)", err)
	}
	c.checkStart(k)
	c.checkMillis("source.kafka.discovery_interval", k.DiscoveryInterval, 0)
	switch k.OnDataLoss {
	case DataLossFail, DataLossEarliest, "":
	default:
		c.add("source.kafka.on_data_loss", "unknown mode %q; there are fail and earliest", k.OnDataLoss)
	}
	for _, property := range slices.Sorted(maps.Keys(k.Properties)) {
		if field := ownField[property]; field != "" {
			c.add("source.kafka.properties."+property, "set source.kafka.%s instead", field)
		}
	}
}

func (c *compiler) checkBrokers(path string, brokers []string) {
	if len(brokers) == 0 {
		c.add(path, "there is no broker to ask; write host:port")
	}
	for _, broker := range brokers {
		c.checkBroker(path, broker)
	}
}

func (c *compiler) checkBroker(path, broker string) {
	host, port := broker, "9092"
	if colon := strings.LastIndexByte(broker, ':'); colon >= 0 && !strings.HasSuffix(broker, "]") {
		host, port = broker[:colon], broker[colon+1:]
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if host == "" || strings.ContainsAny(host, " \t/") || err != nil || number == 0 {
		c.add(path, "%q is no address; write host:port", broker)
	}
}

func (c *compiler) checkStart(k *KafkaSource) {
	switch k.Start {
	case StartEarliest, StartLatest:
	case StartGroupOffsets:
		if k.Group == "" {
			c.add("source.kafka.start", "group-offsets needs source.kafka.group, whose offsets are meant")
		}
	case StartTimestamp:
		if k.StartTimestamp < 0 {
			c.add("source.kafka.start", "timestamp %d lies before 1970", k.StartTimestamp)
		}
	default:
		c.add("source.kafka.start", "unknown start %q; there are earliest, latest, group-offsets and timestamp", k.Start)
	}
}

func (c *compiler) checkJSON(source Source) {
	const path = "source.json"
	switch source.OnError {
	case OnErrorFail, OnErrorIgnore, OnErrorSkip, OnErrorDeadLetter:
	default:
		c.add("source.on_error", "unknown mode %q; there are fail, ignore, skip and dead_letter", source.OnError)
	}
	var options json.Options
	c.checkOptions(path, source.FormatOptions, func(flink map[string]string) (err error) {
		options, err = json.ParseOptions(flink)
		return err
	})
	if source.OnError == OnErrorIgnore && options.FailOnMissingField {
		c.add(path+".fail-on-missing-field", "errors are ignored, so a missing field cannot fail the record; drop one of the two")
	}
	if source.OnError != OnErrorIgnore && options.OnError == json.Ignore {
		c.add(path+".ignore-parse-errors", "contradicts source.on_error, which is %s; keep one of the two", source.OnError)
	}
}

// checkOptions lets the format judge each option by itself, so that each problem has its place, and then all of them
// together.
func (c *compiler) checkOptions(path string, options map[string]string, parse func(map[string]string) error) {
	before := len(c.problems)
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if err := parse(map[string]string{name: options[name]}); err != nil {
			c.add(path+"."+name, "%v", err)
		}
	}
	if len(c.problems) > before {
		return
	}
	if err := parse(options); err != nil {
		c.add(path, "%v", err)
	}
}

func (c *compiler) checkSink() {
	sink := c.job.Sink
	var set []string
	for _, connector := range []struct {
		name  string
		isSet bool
	}{{"csv", sink.CSV != nil}, {"kafka", sink.Kafka != nil}, {"mongodb", sink.MongoDB != nil}} {
		if connector.isSet {
			set = append(set, connector.name)
		}
	}
	switch {
	case len(set) == 0:
		c.add("sink.csv", "the job has no sink; set sink.csv, sink.kafka or sink.mongodb")
	case len(set) > 1:
		c.add("sink."+set[1], "%s exclude each other; keep one", strings.Join(set, " and "))
	case sink.CSV != nil:
		c.checkFiles(sink.CSV)
	case sink.Kafka != nil:
		c.checkKafkaSink(sink.Kafka)
	default:
		c.checkMongoSink(sink.MongoDB)
	}
}

func (c *compiler) checkFiles(sink *CSVSink) {
	if strings.TrimSpace(sink.Path) == "" {
		c.add("sink.csv.path", "the directory for the files has no name")
	}
	if sink.RollSize < 1 {
		c.add("sink.csv.roll.size", "%d bytes is not a size", sink.RollSize)
	}
	c.checkMillis("sink.csv.roll.interval", sink.RollInterval, time.Millisecond)
	c.checkCSV("sink.csv", sink.Options)
}

func (c *compiler) checkCSV(path string, options map[string]string) {
	c.checkOptions(path, options, func(flink map[string]string) error {
		_, err := csv.ParseOptions(flink)
		return err
	})
}

// shortestCheckpoint is Flink's least interval and timeout (CheckpointCoordinatorConfiguration).
const shortestCheckpoint = 10 * time.Millisecond

func (c *compiler) checkCheckpoint() {
	k := c.job.Checkpoint
	if k.Interval != 0 {
		c.checkMillis("checkpoint.interval", k.Interval, shortestCheckpoint)
	}
	c.checkMillis("checkpoint.min_pause", k.MinPause, 0)
	c.checkMillis("checkpoint.timeout", k.Timeout, shortestCheckpoint)
	if k.ToleratedFailures < 0 {
		c.add("checkpoint.tolerated_failures", "%d is negative", k.ToleratedFailures)
	}
	if k.MaxConcurrent < 0 {
		c.add("checkpoint.max_concurrent", "%d is negative", k.MaxConcurrent)
	}
	if k.Retained < 1 {
		c.add("checkpoint.retained", "%d is less than one checkpoint", k.Retained)
	}
}

func (c *compiler) checkRecovery() {
	c.checkCheckpoint()
	const path = "restart_strategy"
	r := c.job.Restart
	switch r.Type {
	case RestartNone:
	case RestartFixedDelay:
		if r.Attempts < 1 {
			c.add(path+".attempts", "%d is less than one attempt; for none set type: none", r.Attempts)
		}
		c.checkMillis(path+".delay", r.Delay, 0)
	case RestartExponential:
		c.checkExponential(path, r)
	case RestartFailureRate:
		if r.MaxFailures < 1 {
			c.add(path+".max_failures_per_interval", "%d is less than one failure; for none set type: none", r.MaxFailures)
		}
		c.checkMillis(path+".failure_rate_interval", r.FailureInterval, time.Millisecond)
		c.checkMillis(path+".delay", r.Delay, 0)
	default:
		c.add(path+".type", "unknown restart strategy %q; there are none, fixed-delay, failure-rate and exponential-delay", r.Type)
	}
}

func (c *compiler) checkExponential(path string, r RestartStrategy) {
	c.checkMillis(path+".initial_backoff", r.InitialBackoff, time.Millisecond)
	c.checkMillis(path+".max_backoff", r.MaxBackoff, time.Millisecond)
	c.checkMillis(path+".reset_backoff_threshold", r.ResetAfter, time.Millisecond)
	if r.MaxBackoff < r.InitialBackoff {
		c.add(path+".max_backoff", "%s is shorter than initial_backoff, which is %s", span(r.MaxBackoff), span(r.InitialBackoff))
	}
	if !(r.Multiplier >= 1) || math.IsInf(r.Multiplier, 0) {
		c.add(path+".backoff_multiplier", "%v is not a number from 1 on", r.Multiplier)
	}
	if !(r.Jitter >= 0 && r.Jitter <= 1) {
		c.add(path+".jitter_factor", "%v is not between 0 and 1", r.Jitter)
	}
	if r.MaxAttempts < 0 {
		c.add(path+".attempts_before_reset_backoff", "%d is less than one attempt", r.MaxAttempts)
	}
}

// checkMillis demands a whole number of milliseconds, least or more.
func (c *compiler) checkMillis(path string, d, least time.Duration) {
	switch {
	case d < least && least == 0:
		c.add(path, "%s is negative", span(d))
	case d < least:
		c.add(path, "%s is too short; the least is %s", span(d), span(least))
	case d%time.Millisecond != 0:
		c.add(path, "%s is not a whole number of milliseconds", span(d))
	}
}

// span prints a duration without the smaller units that are zero: 2h, not 2h0m0s.
func span(d time.Duration) string {
	text := d.String()
	if short, cut := strings.CutSuffix(text, "m0s"); cut {
		text = short + "m"
	}
	if short, cut := strings.CutSuffix(text, "h0m"); cut {
		text = short + "h"
	}
	return text
}

// quote writes a column's name as an SQL identifier.
func quote(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
