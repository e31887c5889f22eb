package subtask

import (
	"context"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/kafka"
	"pencere/pkg/plan"
)

// reader reads the splits of a source. Kafka's words are those of all sources: what others have for an offset and a topic is their
// adapter's to say.
type reader interface {
	Poll(ctx context.Context) ([]kafka.Fetch, error)
	Release(f kafka.Fetch)
	Add(splits []checkpoint.Split)
	Status() []kafka.SplitStatus
	// Position returns what of a split's position the offset behind the last Fetch does not hold, nil for nothing.
	Position(split int) []byte
	// Commit tells others of positions, where there is somebody to tell.
	Commit(ctx context.Context, positions []kafka.Position) error
	Close()
}

// open opens the reader of a source.
func (s *Subtask) open(source plan.Source, splits []checkpoint.Split) (reader, error) {
	if source.HTTP != nil {
		return s.openHTTP(*source.HTTP, splits)
	}
	config, err := kafka.NewConfig(*source.Kafka)
	if err != nil {
		return nil, err
	}
	r, err := kafka.NewReader(config, kafkaSplits(splits))
	if err != nil {
		return nil, err
	}
	return kafkaReader{r}, nil
}

// kafkaReader reads topics, of which an offset says all.
type kafkaReader struct{ *kafka.Reader }

func (r kafkaReader) Add(splits []checkpoint.Split) { r.Reader.Add(kafkaSplits(splits)...) }

func (kafkaReader) Position(int) []byte { return nil }

func kafkaSplits(splits []checkpoint.Split) []kafka.Split {
	all := make([]kafka.Split, len(splits))
	for i, s := range splits {
		all[i] = kafka.Split{Topic: s.Topic, Partition: s.Partition, Start: s.Next, Stop: s.Stop}
	}
	return all
}
