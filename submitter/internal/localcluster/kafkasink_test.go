package localcluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pencere/pkg/jobspec"
	"pencere/pkg/manifest"
	"pencere/submitter/internal/replay"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// deadTopic is the topic of the dead letters of a job that writes to a topic.
func deadTopic(sink string) string { return sink + "-dead" }

// committed returns the records of a topic that a reader of isolation.level read_committed sees.
func (f *fixture) committed(topic string) []*kgo.Record {
	f.t.Helper()
	stable, err := f.admin.ListCommittedOffsets(f.ctx, topic)
	f.check(err)
	kafka, err := kgo.NewClient(kgo.SeedBrokers(f.broker.Addresses()...), kgo.ConsumeTopics(topic), kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	f.check(err)
	defer kafka.Close()
	left := map[int32]bool{}
	stable.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = true
		}
	})
	var records []*kgo.Record
	for len(left) > 0 {
		fetches := kafka.PollFetches(f.ctx)
		f.check(fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			end, _ := stable.Lookup(topic, r.Partition)
			if r.Offset < end.Offset && !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if r.Offset >= end.Offset-1 {
				delete(left, r.Partition)
			}
		})
	}
	return records
}

// topicRows returns the values, sorted, and fails for one whose key or header is not its row's.
func (f *fixture) topicRows(topic string) []string {
	f.t.Helper()
	var rows []string
	for _, r := range f.committed(topic) {
		cells := strings.SplitN(string(r.Value), ",", 3)
		if len(r.Headers) != 1 || string(r.Headers[0].Value) != cells[0] || strings.Trim(cells[1], `"`) != string(r.Key) {
			f.t.Errorf("record %s has the key %s and the headers %v", r.Value, r.Key, r.Headers)
		}
		rows = append(rows, string(r.Value))
	}
	slices.Sort(rows)
	return rows
}

// topicLetters returns the dead letters of a topic as spec.judge writes them, sorted.
func (f *fixture) topicLetters(topic string) []string {
	f.t.Helper()
	var letters []string
	for _, r := range f.committed(topic) {
		header := map[string]string{}
		for _, h := range r.Headers {
			header[h.Key] = string(h.Value)
		}
		kind, _, _ := strings.Cut(header["reason"], " ")
		letters = append(letters, strings.Join([]string{header["partition"], header["offset"], strings.TrimSuffix(kind, ":"), string(r.Value)}, ","))
		if header["topic"] == "" || header["timestamp"] == "" {
			f.t.Errorf("dead letter %s has the headers %v", r.Value, header)
		}
	}
	slices.Sort(letters)
	return letters
}

// sinkTopics makes the topics of a job that writes to one.
func (f *fixture) sinkTopics() string {
	f.t.Helper()
	for _, topic := range []string{"result", deadTopic("result")} {
		_, err := f.admin.CreateTopic(f.ctx, 2, 1, nil, topic)
		f.check(err)
	}
	return "result"
}

// Whatever dies in the middle of a job that writes to a topic, what is committed there holds each row once, and so do the dead letters.
func TestKafkaSinkExactlyOnce(t *testing.T) {
	for _, passThrough := range []bool{false, true} {
		for _, parallelism := range []int{1, 2} {
			for seed := range uint64(2) {
				t.Run(fmt.Sprintf("pass-through=%t,parallelism=%d,seed=%d", passThrough, parallelism, seed), func(t *testing.T) {
					t.Parallel()
					c := newChaos(t, seed)
					c.bad = true
					all := c.listings(20_000)
					s := spec{
						parallelism: parallelism, passThrough: passThrough, restarts: 1000, window: 10 * time.Second, bounded: true,
						topic: c.topic(all), deadLetters: true, sink: c.sinkTopics(),
					}
					j := c.submit(s)
					c.killToTheEnd(j, 250*time.Millisecond)
					want, _, dead := s.judge(all)
					if diff := cmp.Diff(want, c.topicRows(s.sink)); diff != "" {
						t.Errorf("rows differ (-want +got):\n%s", diff)
					}
					if diff := cmp.Diff(dead, c.topicLetters(deadTopic(s.sink))); diff != "" {
						t.Errorf("dead letters differ (-want +got):\n%s", diff)
					}
					j.replayedTopic(s, len(want))
				})
			}
		}
	}
}

// replayedTopic fails unless the records that the ledger accounts for give just the records of the sink's topic when they are evaluated again.
func (j job) replayedTopic(s spec, rows int) {
	j.t.Helper()
	parsed, err := jobspec.Parse("job.yaml", []byte(s.yaml(j.broker.Addresses(), j.dir)), func(string) (string, bool) { return "", false })
	j.check(err)
	ledger, err := j.jobs.Ledger(j.ctx, j.id)
	j.check(err)
	ended := replay.Ended{ID: j.id, Finished: true}
	for _, split := range ledger.Splits {
		ended.Read = append(ended.Read, manifest.OffsetRange{Topic: split.Topic, Partition: split.Partition, From: split.StartOffset, To: split.NextOffset})
	}
	result, err := replay.SinkTopic(j.ctx, parsed, ended)
	j.check(err)
	if !result.Same() || int(result.Rows) != rows || int(result.Found) != rows {
		j.t.Errorf("want %d rows of the topic replayed: %v", rows, result)
	}
}
