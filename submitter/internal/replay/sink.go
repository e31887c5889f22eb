package replay

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/manifest"
	"pencere/pkg/plan"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Ended is a job that has ended, as its jobmanager knows it.
type Ended struct {
	ID       string
	Finished bool                   // by itself, or stopped with a savepoint: it has neither failed nor been cancelled
	Read     []manifest.OffsetRange // what its last checkpoint accounts for, by partition
}

// SinkTopic replays a job that has ended against the topic of its sink, which nobody else may have written to: all that is committed there must
// be its rows. Errors are those of Directory.
func SinkTopic(ctx context.Context, job plan.Job, ended Ended) (Replayed, error) {
	result := Replayed{Jobs: []string{ended.ID}, Name: job.Name, Missing: []Difference{}, Extra: []Difference{}, Notes: []string{}}
	switch {
	case job.Sink.Kafka == nil:
		return result, unsupported("a sink that is no topic: name its directory")
	case job.Source.Kafka == nil:
		return result, unsupported("a source that is not Kafka")
	case job.Window != nil && (!ended.Finished || !job.Source.Kafka.Bounded):
		return result, unsupported("the topic of a job with windows that did not come to the end of its input: which of them have fired is not written down")
	}
	source, err := kafka.NewConfig(*job.Source.Kafka)
	if err != nil {
		return result, err
	}
	e, err := NewEvaluator(job)
	if err != nil {
		return result, err
	}
	read := slices.DeleteFunc(slices.Clone(ended.Read), isEmpty)
	topic := NewTopic(source)
	if len(read) > 0 {
		if err := checkStart(ctx, job, chain{ranges: read}, topic); err != nil {
			return result, err
		}
	}
	err = topic.Read(ctx, read, func(r *kgo.Record) error {
		result.Records++
		return e.Add(r)
	})
	if err == nil {
		err = result.compareTopic(ctx, e, *job.Sink.Kafka)
	}
	return result.judged(err)
}

func isEmpty(r manifest.OffsetRange) bool { return r.From >= r.To }

// compareTopic compares the rows that must be there with the records that are.
func (r *Replayed) compareTopic(ctx context.Context, e *Evaluator, sink plan.KafkaSink) error {
	rows, _, err := e.Rows(math.MaxInt64)
	if err != nil {
		return err
	}
	config, err := kafka.NewConfig(plan.KafkaSource{Brokers: sink.Brokers, Topics: []string{sink.Topic}, Start: plan.StartEarliest, Properties: sink.Properties})
	if err != nil {
		return err
	}
	topic := NewTopic(config)
	written, err := topic.committed(ctx, sink.Topic)
	if err != nil {
		return err
	}
	r.Rows = int64(len(rows))
	balance, windows, holders := map[string]int64{}, map[string]int64{}, map[string]string{}
	for _, row := range rows {
		balance[row.Text]++
		if row.Window != nil {
			windows[row.Text] = *row.Window
		}
	}
	err = topic.Read(ctx, written, func(record *kgo.Record) error {
		r.Found++
		text := recordText(record)
		balance[text]--
		if balance[text] < 0 {
			holders[text] = fmt.Sprintf("%s-%d, offset %d", record.Topic, record.Partition, record.Offset)
		}
		return nil
	})
	r.differ(balance, windows, holders)
	return err
}

// committed returns what of a topic is there to read for those who read what is committed. Records that are gone could be rows.
func (t Topic) committed(ctx context.Context, topic string) ([]manifest.OffsetRange, error) {
	client, err := kgo.NewClient(t.options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	admin := kadm.NewClient(client)
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	ends, err2 := admin.ListCommittedOffsets(ctx, topic)
	if err2 == nil {
		err2 = ends.Error()
	}
	if err != nil || err2 != nil {
		return nil, &UnreadError{fmt.Errorf("offsets of topic %s: %w", topic, cmp.Or(err, err2))}
	}
	var ranges []manifest.OffsetRange
	for _, end := range ends.Offsets().Sorted() {
		start, _ := starts.Lookup(end.Topic, end.Partition)
		if start.Offset > 0 {
			return nil, &UnreadError{fmt.Errorf("%s-%d begins at offset %d: the records before are gone", end.Topic, end.Partition, start.Offset)}
		}
		if end.At > 0 {
			ranges = append(ranges, manifest.OffsetRange{Topic: end.Topic, Partition: end.Partition, From: 0, To: end.At})
		}
	}
	return ranges, nil
}
