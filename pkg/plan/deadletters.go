package plan

import (
	"path/filepath"
	"strings"
	"time"
)

// deadLetterUser is the field of the job that hands over dead letters, "" when none does.
func (j *Job) deadLetterUser() string {
	switch {
	case j.Source.OnError == OnErrorDeadLetter:
		return "source.on_error"
	case j.Window != nil && j.Window.Late == LateDeadLetter:
		return "window.late"
	case j.Window == nil && j.Sink.MongoDB != nil && j.Sink.MongoDB.OnError == OnErrorDeadLetter:
		return "sink.mongodb.on_error"
	default:
		return ""
	}
}

func (c *compiler) checkDeadLetters() {
	d, user := c.job.DeadLetters, c.job.deadLetterUser()
	switch {
	case d == nil && user != "":
		c.add(user, "dead letters have nowhere to go; add a dead_letters block, such as dead_letters: {csv: {path: dead_letters}}")
	case d == nil:
	case user == "":
		c.add("dead_letters", "nothing is handed to the dead letters; set source.on_error, window.late or sink.mongodb.on_error to dead_letter, or leave this out")
	case d.CSV != nil && d.Kafka != nil:
		c.add("dead_letters.kafka", "csv and kafka exclude each other; keep one")
	case d.CSV != nil:
		c.checkDeadLetterFiles(d.CSV)
	case d.Kafka != nil:
		c.checkDeadLetterTopic(d.Kafka)
	default:
		c.add("dead_letters", "the dead letters have no place; set csv or kafka")
	}
}

func (c *compiler) checkDeadLetterFiles(f *DeadLetterFiles) {
	const path = "dead_letters.csv"
	sink := c.job.Sink.CSV
	switch {
	case strings.TrimSpace(f.Path) == "":
		c.add(path+".path", "the directory for the files has no name")
	case sink != nil && filepath.Clean(sink.Path) == filepath.Clean(f.Path):
		c.add(path+".path", "the sink writes to %s too; give the dead letters a directory of their own", f.Path)
	}
	if f.RollSize < 1 {
		c.add(path+".roll.size", "%d bytes is not a size", f.RollSize)
	}
	c.checkMillis(path+".roll.interval", f.RollInterval, time.Millisecond)
}

func (c *compiler) checkDeadLetterTopic(t *DeadLetterTopic) {
	const path = "dead_letters.kafka"
	c.checkBrokers(path+".brokers", t.Brokers)
	c.checkTopic(path+".topic", t.Topic)
}

// Sink returns the sink that writes the dead letters.
func (t DeadLetterTopic) Sink() KafkaSink {
	return KafkaSink{
		Brokers: t.Brokers, Topic: t.Topic, Properties: t.Properties, Delivery: DeliveryExactlyOnce,
		TransactionPrefix: DefaultTransactionPrefix, TransactionTimeout: DefaultTransactionTimeout,
	}
}
