package jobspec

import (
	"time"

	"pencere/pkg/plan"
)

var deadLetterFields = mapping{
	begin: func(j *plan.Job) { j.DeadLetters = &plan.DeadLetters{} },
	oneOf: []string{"csv", "kafka"},
	fields: []field{
		{name: "csv", doc: "part files of CSV with the columns topic, partition, offset, timestamp, reason, encoding, key and value", shape: deadLetterFiles},
		{name: "kafka", doc: "a topic of a Kafka cluster", shape: deadLetterTopic},
	},
}

var deadLetterFiles = mapping{
	begin: func(j *plan.Job) { j.DeadLetters.CSV = &plan.DeadLetterFiles{} },
	fields: []field{
		{name: "path", required: true, doc: "the directory of the files, on the taskmanagers; another one than the sink's",
			shape:    one(text("a directory"), func(j *plan.Job, v string) { j.DeadLetters.CSV.Path = v }),
			examples: []string{"dead_letters"}},
		roll(func(j *plan.Job, v int64) { j.DeadLetters.CSV.RollSize = v },
			func(j *plan.Job, v time.Duration) { j.DeadLetters.CSV.RollInterval = v }),
	},
}

var deadLetterTopic = mapping{
	begin: func(j *plan.Job) { j.DeadLetters.Kafka = &plan.DeadLetterTopic{} },
	fields: []field{
		{name: "brokers", required: true, doc: "host:port of some brokers, a list or separated by commas",
			shape: texts{text("a broker"), ",", func(j *plan.Job) *[]string { return &j.DeadLetters.Kafka.Brokers }}},
		{name: "topic", required: true, doc: "the topic, which must be there",
			shape: one(text("a topic"), func(j *plan.Job, v string) { j.DeadLetters.Kafka.Topic = v })},
		{name: "properties", doc: "further settings of the client, under Kafka's names (security.protocol, sasl.mechanism, …)",
			shape: entriesOf[string]{anyScalar("a setting"), func(j *plan.Job, name, v string) {
				j.DeadLetters.Kafka.Properties = with(j.DeadLetters.Kafka.Properties, name, v)
			}}},
	},
}
