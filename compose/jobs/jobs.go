// Package jobs holds the example jobs, for programs that run them without a file at hand.
package jobs

import _ "embed"

//go:embed kdv-2min.yaml
var kdv2min string

// KDV2Min returns the spec of the reference job, which reads the variables KAFKA_BROKERS and OUT_DIR.
func KDV2Min() string { return kdv2min }

//go:embed kafka-to-mongo.yaml
var kafkaToMongo string

// KafkaToMongo returns the spec of the job that stores a topic in a MongoDB. It reads the variables KAFKA_BROKERS, TOPIC, MONGO_URI and
// DEAD_LETTER_DIR.
func KafkaToMongo() string { return kafkaToMongo }
