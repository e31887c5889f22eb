package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// probe looks for bounded splits whose last offsets hold no record, because compaction removed it: kgo moves over
// such offsets without a word, and no record will ever come to tell the end. What cannot be found out now is left for another time.
func (r *Reader) probe(ctx context.Context) {
	for _, p := range r.unfinished() {
		if p.Stop == Unbounded || !r.nothingLeft(ctx, p) {
			continue
		}
		r.client.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Partition}})
		r.mu.Lock()
		r.ended = append(r.ended, p)
		r.mu.Unlock()
	}
}

func (r *Reader) unfinished() []*progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	var splits []*progress
	for _, p := range r.splits {
		if !p.done && !p.empty() {
			splits = append(splits, p)
		}
	}
	return splits
}

// nothingLeft says whether the partition surely holds no record from the split's position up to its Stop.
func (r *Reader) nothingLeft(ctx context.Context, p *progress) bool {
	for next := p.next; next < p.Stop; {
		answer, ok := r.fetchOnce(ctx, p, next)
		if !ok {
			return false
		}
		if len(answer.RecordBatches) == 0 {
			return r.readable(answer) >= p.Stop
		}
		options := kgo.ProcessFetchPartitionOpts{
			Offset: next, Topic: p.Topic, Partition: p.Partition, IsolationLevel: r.isolation(),
		}
		parsed, after := kgo.ProcessFetchPartition(options, answer, kgo.DefaultDecompressor(), nil)
		if len(parsed.Records) > 0 {
			return parsed.Records[0].Offset >= p.Stop
		}
		if parsed.Err != nil || after <= next {
			return false
		}
		next = after
	}
	return true
}

// readable returns the offset up to which a fetch gives records, if there are any.
func (r *Reader) readable(answer *kmsg.FetchResponseTopicPartition) int64 {
	if r.cfg.committed {
		return answer.LastStableOffset
	}
	return answer.HighWatermark
}

func (r *Reader) isolation() kgo.IsolationLevel {
	if r.cfg.committed {
		return kgo.ReadCommitted()
	}
	return kgo.ReadUncommitted()
}

// fetchOnce asks the partition's leader, past kgo's own reading, for what there is at an offset, without waiting for more.
func (r *Reader) fetchOnce(ctx context.Context, p *progress, offset int64) (*kmsg.FetchResponseTopicPartition, bool) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	leader, _, err := r.client.PartitionLeader(p.Topic, p.Partition)
	if err != nil || leader < 0 {
		return nil, false
	}
	details, err := r.admin.Metadata(ctx, p.Topic)
	if err != nil {
		return nil, false
	}
	asked := kmsg.NewFetchRequestTopicPartition()
	asked.Partition, asked.FetchOffset, asked.PartitionMaxBytes = p.Partition, offset, 64<<10
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = p.Topic, details.Topics[p.Topic].ID
	topic.Partitions = append(topic.Partitions, asked)
	request := kmsg.NewPtrFetchRequest()
	request.MaxBytes = asked.PartitionMaxBytes
	request.Topics = append(request.Topics, topic)
	if r.cfg.committed {
		request.IsolationLevel = 1
	}
	response, err := request.RequestWith(ctx, r.client.Broker(int(leader)))
	if err != nil || response.ErrorCode != 0 || len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 {
		return nil, false
	}
	answer := &response.Topics[0].Partitions[0]
	return answer, answer.ErrorCode == 0
}

// missing returns an error when the brokers have not known a topic for too long.
func (r *Reader) missing() error {
	for _, p := range r.unfinished() {
		_, _, err := r.client.PartitionLeader(p.Topic, p.Partition)
		switch {
		case !errors.Is(err, kerr.UnknownTopicOrPartition):
			p.missingSince = time.Time{}
		case p.missingSince.IsZero():
			p.missingSince = time.Now()
		case time.Since(p.missingSince) > missingAfter:
			return &UnknownTopicError{Topic: p.Topic}
		}
	}
	return nil
}
