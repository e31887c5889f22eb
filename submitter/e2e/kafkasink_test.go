//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pencere/submitter/internal/client"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sinkPartitions is how many partitions the topics of these tests have.
const sinkPartitions = 2

// sinkJob writes each record to one topic, and to another one if it is no JSON.
const sinkJob = `
name: ${OUT}
parallelism: 2
source:
  kafka: {brokers: "${BROKER}", topic: "${TOPIC}", start: earliest%s}
  on_error: dead_letter
  schema: {id: INT, price: INT, timestamp_column: TIMESTAMP(3)}
  watermark: {column: timestamp_column, delay: 0s}
%s
sink:
  kafka: {brokers: "${BROKER}", topic: "${OUT}", key: CAST(id AS STRING), compression: "${CODEC}", transaction_timeout: 1m}
dead_letters:
  kafka: {brokers: "${BROKER}", topic: "${OUT}-dead"}
checkpoint: {interval: 200ms}
restart_strategy: {type: fixed-delay, attempts: 1000000, delay: 100ms}
`

// The jobs of sinkJob: one whose source writes to the topic, and one whose windows do.
const (
	passOn   = "select: [id, price]"
	inWindow = "window: {tumble: 1s, group_by: [id, price]}\nselect: [id, price]"
)

// sinkInput is a topic that grows.
type sinkInput struct {
	t     *testing.T
	kafka *kgo.Client
	topic string
	n     int
}

func newSinkInput(ctx context.Context, t *testing.T, broker string) *sinkInput {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	in := &sinkInput{t: t, kafka: kafka, topic: fmt.Sprintf("sink-in-%d", time.Now().UnixNano())}
	in.create(ctx, in.topic)
	return in
}

func (in *sinkInput) create(ctx context.Context, topics ...string) {
	in.t.Helper()
	created, err := kadm.NewClient(in.kafka).CreateTopics(ctx, sinkPartitions, 1, nil, topics...)
	if err == nil {
		err = created.Error()
	}
	if err != nil {
		in.t.Fatal(err)
	}
}

// write appends records, each 10 ms of event time after the one before. One in 25 is no JSON.
func (in *sinkInput) write(ctx context.Context, records int) {
	in.t.Helper()
	for range records {
		value := in.bad(in.n)
		if in.n%25 != 0 {
			at := firstListing.Add(time.Duration(in.n) * 10 * time.Millisecond)
			value = fmt.Sprintf(`{"id":%d,"price":%d,"timestamp_column":%q}`, in.n, in.n%977, at.Format(timestampLayout))
		}
		in.produce(ctx, in.n%sinkPartitions, value)
		in.n++
	}
	if err := in.kafka.Flush(ctx); err != nil {
		in.t.Fatal(err)
	}
}

func (*sinkInput) bad(n int) string { return fmt.Sprintf("bad %d", n) }

func (in *sinkInput) produce(ctx context.Context, partition int, value string) {
	in.kafka.Produce(ctx, &kgo.Record{Topic: in.topic, Partition: int32(partition), Value: []byte(value)}, func(_ *kgo.Record, err error) {
		if err != nil {
			in.t.Errorf("write the input: %v", err)
		}
	})
}

// expected returns the values that must be in the sink's topic and in that of the dead letters, each once.
func (in *sinkInput) expected() (rows, dead map[string]int) {
	rows, dead = map[string]int{}, map[string]int{}
	for n := range in.n {
		if n%25 == 0 {
			dead[in.bad(n)] = 1
		} else {
			rows[fmt.Sprintf(`{"id":%d,"price":%d}`, n, n%977)] = 1
		}
	}
	return rows, dead
}

// finish puts a record of the next day into each partition, which closes all windows.
func (in *sinkInput) finish(ctx context.Context) {
	in.t.Helper()
	for p := range sinkPartitions {
		in.produce(ctx, p, fmt.Sprintf(`{"id":-1,"price":1,"timestamp_column":%q}`, firstListing.AddDate(0, 0, 1).Format(timestampLayout)))
	}
	if err := in.kafka.Flush(ctx); err != nil {
		in.t.Fatal(err)
	}
}

// spec is a job on the input that writes to the topic out, which is made, and to its topic of dead letters.
func (in *sinkInput) spec(ctx context.Context, broker, out, body, ending, codec string) client.Spec {
	in.t.Helper()
	in.create(ctx, out, out+"-dead")
	return client.Spec{
		Name: out + ".yaml", Text: fmt.Appendf(nil, sinkJob, ending, body),
		Vars: map[string]string{"BROKER": broker, "TOPIC": in.topic, "OUT": out, "CODEC": codec},
	}
}

// topicReader reads a topic to its end, again and again.
type topicReader struct {
	kafka  *kgo.Client
	seen   map[string]int // how often each value
	codecs map[uint8]bool // of the records' batches
}

// readCommitted reads a topic as a consumer of isolation.level read_committed does.
func readCommitted(t *testing.T, broker, topic string) *topicReader {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	return &topicReader{kafka: kafka, seen: map[string]int{}, codecs: map[uint8]bool{}}
}

// await reads until as many different values are there as are wanted, and returns what differs from these.
func (r *topicReader) await(ctx context.Context, want map[string]int) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for len(r.seen) < len(want) && ctx.Err() == nil {
		r.poll(ctx)
	}
	return r.differs(want)
}

func (r *topicReader) poll(ctx context.Context) {
	r.kafka.PollFetches(ctx).EachRecord(func(record *kgo.Record) {
		r.seen[string(record.Value)]++
		r.codecs[record.Attrs.CompressionType()] = true
	})
}

// differs compares what was read, and names a few values at most.
func (r *topicReader) differs(want map[string]int) string {
	var differing []string
	for _, value := range slices.Sorted(maps.Keys(want)) {
		if r.seen[value] != want[value] {
			differing = append(differing, fmt.Sprintf("%s: %d times, want %d", value, r.seen[value], want[value]))
		}
	}
	for value, n := range r.seen {
		if want[value] == 0 {
			differing = append(differing, fmt.Sprintf("%s: %d times, want none", value, n))
		}
	}
	if len(differing) == 0 {
		return ""
	}
	return fmt.Sprintf("%d values differ: %q", len(differing), differing[:min(10, len(differing))])
}

// drain reads until nothing more can come: no transaction is open, and the stable end of the topic is read.
func (r *topicReader) drain(ctx context.Context, t *testing.T, topic string) {
	t.Helper()
	admin := kadm.NewClient(r.kafka)
	err := poll(ctx, 100*time.Millisecond, func() (bool, error) {
		ends, err := admin.ListEndOffsets(ctx, topic)
		if err != nil {
			return false, err
		}
		stable, err := admin.ListCommittedOffsets(ctx, topic)
		if err != nil {
			return false, err
		}
		settled := true
		ends.Each(func(end kadm.ListedOffset) {
			at, _ := stable.Lookup(topic, end.Partition)
			settled = settled && at.Offset == end.Offset
		})
		return settled, nil
	})
	if err != nil {
		t.Fatalf("topic %s still has an open transaction: %v", topic, err)
	}
	wait, cancel := context.WithTimeout(ctx, 2*time.Second) // all there is comes with the first fetches
	defer cancel()
	for wait.Err() == nil {
		r.poll(wait)
	}
}

// Whatever is killed, a consumer of what is committed sees each row and each dead letter once, and waits for nothing that died.
func TestKafkaSinkExactlyOnce(t *testing.T) {
	a := newArena(t, 2, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	in := newSinkInput(ctx, t, a.broker)
	ids := map[string]string{}
	for out, body := range map[string]string{"passed": passOn, "windows": inWindow} {
		submitted, err := a.jobs.Submit(ctx, in.spec(ctx, a.broker, out, body, "", "lz4"))
		if err != nil {
			t.Fatal(err)
		}
		ids[out] = submitted.ID
	}
	for i, victim := range []string{
		taskManagerName(0), taskManagerName(1), taskManagerName(0), broker, taskManagerName(1), jobManager, taskManagerName(0), taskManagerName(1),
	} {
		in.write(ctx, 3000)
		wait(ctx, time.Duration(i%4)*450*time.Millisecond) // some blows fall upon a start, others upon commits
		if err := a.strike(ctx, blow{victim: victim, kill: true, lasts: 200 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
	}
	in.write(ctx, 3000)
	in.finish(ctx)
	rows, dead := in.expected()
	passed := maps.Clone(rows)
	passed[`{"id":-1,"price":1}`] = sinkPartitions
	for topic, want := range map[string]map[string]int{"passed": passed, "passed-dead": dead, "windows": rows, "windows-dead": dead} {
		r := readCommitted(t, a.broker, topic)
		if diff := r.await(ctx, want); diff != "" {
			t.Errorf("topic %s, while the job runs: %s", topic, diff)
		}
	}
	for _, id := range ids {
		if err := a.jobs.Cancel(ctx, id); err != nil {
			t.Fatal(err)
		}
		a.awaitCanceled(ctx, id)
	}
	for topic, want := range map[string]map[string]int{"passed": passed, "passed-dead": dead, "windows": rows, "windows-dead": dead} {
		r := readCommitted(t, a.broker, topic)
		r.drain(ctx, t, topic)
		if diff := r.differs(want); diff != "" {
			t.Errorf("topic %s: %s", topic, diff)
		}
	}
}

// awaitCanceled waits until a job has ended.
func (a *arena) awaitCanceled(ctx context.Context, id string) {
	a.t.Helper()
	err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		job, err := a.jobs.Job(ctx, id)
		if err == nil && client.Terminal(job.State) && job.State != client.Canceled {
			err = fmt.Errorf("the job is %s", job.State)
		}
		return job.State == client.Canceled, err
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

// The brokers take every codec, and the records are compressed with it.
func TestKafkaSinkCodecs(t *testing.T) {
	c := startCluster(t, 1, 2)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	broker := kafkaBroker(t)
	in := newSinkInput(ctx, t, broker)
	in.write(ctx, 1000)
	rows, dead := in.expected()
	for number, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			out := in.topic + "-" + codec
			spec := in.spec(ctx, broker, out, passOn, ", bounded: latest", codec)
			path := filepath.Join(t.TempDir(), spec.Name)
			if err := os.WriteFile(path, spec.Text, 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"run", "-m", c.rest, "--wait", path}
			for name, value := range spec.Vars {
				args = append(args, "--var", name+"="+value)
			}
			c.submitter(args...)
			for topic, want := range map[string]map[string]int{out: rows, out + "-dead": dead} {
				r := readCommitted(t, broker, topic)
				r.drain(ctx, t, topic)
				if diff := r.differs(want); diff != "" {
					t.Errorf("topic %s: %s", topic, diff)
				}
				if diff := cmp.Diff(map[uint8]bool{uint8(number): true}, r.codecs); topic == out && diff != "" {
					t.Errorf("codecs of topic %s (-want +got):\n%s", topic, diff)
				}
			}
		})
	}
}
