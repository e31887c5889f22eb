package kafka

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"pencere/pkg/nearest"
)

// PropertyError says what is wrong with a client property. It never holds the value of a secret.
type PropertyError struct {
	Property string
	Message  string
	Near     string // a known property that was perhaps meant, or ""
}

func (e *PropertyError) Error() string {
	if e.Near != "" {
		return fmt.Sprintf("property %s: %s: did you mean %s?", e.Property, e.Message, e.Near)
	}
	return fmt.Sprintf("property %s: %s", e.Property, e.Message)
}

// readElsewhere are Kafka's properties that a source sets in another way, and the way.
var readElsewhere = map[string]string{
	"bootstrap.servers":               "is given as brokers",
	"group.id":                        "is given as group",
	"enable.auto.commit":              "has no use: offsets are committed when a checkpoint is complete",
	"auto.commit.interval.ms":         "has no use: offsets are committed when a checkpoint is complete",
	"key.deserializer":                "has no use: the format decodes records",
	"value.deserializer":              "has no use: the format decodes records",
	"partition.discovery.interval.ms": "is given as discovery_interval",
	"max.poll.records":                "has no use: use fetch.max.bytes to bound memory",
}

// settings takes properties by name: it remembers which names were asked for, so that the rest are unknown, and what was wrong.
type settings struct {
	values map[string]string
	used   map[string]bool
	// elsewhere are the properties that are set in another way, and the way.
	elsewhere map[string]string
	errs      []error
}

func (s *settings) lookup(name string) (string, bool) {
	s.used[name] = true
	value, ok := s.values[name]
	return strings.TrimSpace(value), ok
}

func (s *settings) fail(name, format string, args ...any) {
	s.errs = append(s.errs, &PropertyError{Property: name, Message: fmt.Sprintf(format, args...)})
}

// text returns a value, "" when there is none.
func (s *settings) text(name string) string {
	value, _ := s.lookup(name)
	return value
}

// choice returns one of the values; the first is the default.
func (s *settings) choice(name string, values ...string) string {
	value, ok := s.lookup(name)
	if !ok {
		return values[0]
	}
	for _, v := range values {
		if strings.EqualFold(v, value) {
			return v
		}
	}
	s.fail(name, "%q is none of %s", value, strings.Join(values, ", "))
	return values[0]
}

func (s *settings) flag(name string, absent bool) bool {
	values := []string{"true", "false"}
	if !absent {
		slices.Reverse(values)
	}
	return s.choice(name, values...) == "true"
}

func (s *settings) millis(name string, absent time.Duration) time.Duration {
	return time.Duration(s.number(name, absent.Milliseconds(), "milliseconds")) * time.Millisecond
}

func (s *settings) bytes(name string, absent int32) int32 {
	return int32(s.number(name, int64(absent), "bytes"))
}

// number returns a whole number from 1 to that of Java's int, which is what the properties are.
func (s *settings) number(name string, absent int64, unit string) int64 {
	value, ok := s.lookup(name)
	if !ok {
		return absent
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < 1 {
		s.fail(name, "%q is not a whole number of %s from 1 to %d", value, unit, math.MaxInt32)
		return absent
	}
	return n
}

// problems returns what was wrong with the properties that were asked for, and an error for each that was not.
func (s *settings) problems() []error {
	errs := s.errs
	known := slices.Sorted(maps.Keys(s.used))
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if s.used[name] {
			continue
		}
		if why, ok := s.elsewhere[name]; ok {
			errs = append(errs, &PropertyError{Property: name, Message: why})
			continue
		}
		errs = append(errs, &PropertyError{Property: name, Message: "not known", Near: nearest.Name(name, known)})
	}
	return errs
}
