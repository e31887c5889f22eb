package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pencere/pkg/plan"
)

func TestReaderBounded(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(3, "t"))
	c.produce("t", 0, 0, 500)
	c.produce("t", 2, 0, 20)
	splits := c.discover(c.config("t", bounded))
	c.produce("t", 0, 500, 5) // too late
	c.produce("t", 1, 0, 5)
	r := c.reader(c.config("t", bounded), splits...)
	r.finish(3)
	r.expect(0, 500)
	r.expect(1, 0)
	r.expect(2, 20)
	for i, want := range []int64{500, 0, 20} {
		if s := r.Status()[i]; s.State != Finished || s.Offset != want || s.Reason != "" {
			t.Errorf("status %d: %+v, want finished at %d", i, s, want)
		}
	}
}

// TestReaderCompacted takes the holes that compaction leaves for what they are.
func TestReaderCompacted(t *testing.T) {
	c := newCluster(t)
	settings := map[string]string{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0"}
	if err := c.CreateTopic("t", 1, settings); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		c.put(&kgo.Record{Topic: "t", Key: fmt.Append(nil, max(0, i%3-1)+i/19), Value: fmt.Append(nil, i)})
	}
	c.put(&kgo.Record{Topic: "t", Key: []byte("last"), Value: []byte("20")})
	c.Compact()
	first := c.PartitionInfo("t", 0).LogStartOffset
	cfg := c.config("t", bounded)
	r := c.reader(cfg, Split{Topic: "t", Start: first, Stop: 21})
	r.finish(1)
	if n := len(r.values[0]); n == 0 || n > 5 || r.values[0][n-1] != "20" {
		t.Errorf("read %v of a compacted topic", r.values[0])
	}
}

// TestReaderBoundedByCompaction ends splits whose last offsets, 18 to 21, hold no record any more: compaction leaves
// nothing of them, or a batch without records that only keeps a producer's sequence.
func TestReaderBoundedByCompaction(t *testing.T) {
	for name, left := range map[string][]byte{"nothing": nil, "an empty batch": emptyBatch(18, 21)} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(1, "t"))
			c.produce("t", 0, 0, 18)
			id := c.TopicInfo("t").TopicID
			c.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				asked := request.(*kmsg.FetchRequest)
				if len(asked.Topics) == 1 && asked.Topics[0].Partitions[0].FetchOffset < 18 {
					return nil, nil, false
				}
				p := kmsg.NewFetchResponseTopicPartition()
				p.HighWatermark, p.LastStableOffset = 22, 22
				if len(asked.Topics) == 1 && asked.Topics[0].Partitions[0].FetchOffset < 22 {
					p.RecordBatches = left
				}
				topic := kmsg.NewFetchResponseTopic()
				topic.Topic, topic.TopicID, topic.Partitions = "t", id, append(topic.Partitions, p)
				answer := asked.ResponseKind().(*kmsg.FetchResponse)
				answer.Topics = append(answer.Topics, topic)
				return answer, nil, true
			})
			r := c.reader(c.config("t", bounded), Split{Topic: "t", Stop: 22})
			r.finish(1)
			r.expect(0, 18)
			if r.next[0] != 22 {
				t.Errorf("done at %d, want 22", r.next[0])
			}
		})
	}
}

// emptyBatch is a record batch of the offsets first to last that holds no record.
func emptyBatch(first, last int64) []byte {
	const length, checksum, checked = 8, 17, 21 // places in a batch, by Kafka's message format
	batch := kmsg.RecordBatch{FirstOffset: first, Magic: 2, LastOffsetDelta: int32(last - first), ProducerID: 1}
	text := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(text[length:], uint32(len(text)-length-4))
	binary.BigEndian.PutUint32(text[checksum:], crc32.Checksum(text[checked:], crc32.MakeTable(crc32.Castagnoli)))
	return text
}

// transaction writes values in a transaction and ends it.
func (c *testCluster) transaction(id string, commit bool, values ...string) {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.TransactionalID(id), kgo.DefaultProduceTopic("t"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		c.t.Fatal(err)
	}
	for _, v := range values {
		if err := client.ProduceSync(c.ctx, kgo.StringRecord(v)).FirstErr(); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := client.EndTransaction(c.ctx, kgo.TransactionEndTry(commit)); err != nil {
		c.t.Fatal(err)
	}
}

func TestReaderBoundedByTransaction(t *testing.T) {
	for isolation, want := range map[string][]string{
		"read_uncommitted": {"a", "b", "lost", "c"},
		"read_committed":   {"a", "b", "c"},
	} {
		t.Run(isolation, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(1, "t"))
			c.transaction("one", true, "a", "b")
			c.transaction("two", false, "lost")
			c.transaction("three", true, "c")
			cfg := c.config("t", bounded, property("isolation.level", isolation))
			splits := c.discover(cfg)
			if splits[0].Stop != 7 { // 4 records and 3 markers
				t.Fatalf("split %+v, want stop 7", splits[0])
			}
			r := c.reader(cfg, splits...)
			r.finish(1)
			if diff := cmp.Diff(want, r.values[0]); diff != "" {
				t.Error(diff)
			}
			if r.next[0] != 7 {
				t.Errorf("done at %d, want 7", r.next[0])
			}
		})
	}
}

// TestReaderBoundedByAbort ends a bounded split whose last transaction was aborted and whose marker lies beyond Stop.
func TestReaderBoundedByAbort(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	c.transaction("one", false, "x", "y", "z")
	cfg := c.config("t", bounded, property("isolation.level", "read_committed"))
	r := c.reader(cfg, Split{Topic: "t", Stop: 3})
	r.finish(1)
	r.expect(0, 0)
}

func TestReaderTombstones(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	c.put(&kgo.Record{Topic: "t", Key: []byte("k"), Value: []byte("v")}, &kgo.Record{Topic: "t", Key: []byte("k")}, &kgo.Record{Topic: "t", Value: []byte{}})
	r := c.reader(c.config("t", bounded), c.discover(c.config("t", bounded))...)
	r.finish(1)
	if diff := cmp.Diff([]string{"v", "NULL", ""}, r.values[0]); diff != "" {
		t.Error(diff)
	}
}

// TestReaderMoreSplits adds partitions that were made while reading.
func TestReaderMoreSplits(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	e := c.enumerator(c.config("t"))
	first, err := e.Discover(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := c.reader(c.config("t"), first...)
	c.produce("t", 0, 0, 3)
	r.expect(0, 3)
	if _, err := c.admin.UpdatePartitions(c.ctx, 3, "t"); err != nil {
		t.Fatal(err)
	}
	c.produce("t", 2, 0, 7)
	var found []Split
	for len(found) == 0 { // brokers' answers are cached for a moment
		if found, err = e.Discover(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	want := []Split{{Topic: "t", Partition: 1, Stop: Unbounded}, {Topic: "t", Partition: 2, Stop: Unbounded}}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Fatal(diff)
	}
	r.Add(found...)
	r.Add(found...) // nothing new
	c.produce("t", 1, 0, 2)
	c.produce("t", 0, 3, 1)
	r.expect(2, 7)
	r.expect(1, 2)
	r.expect(0, 4)
	if again, err := e.Discover(c.ctx); err != nil || len(again) != 0 {
		t.Errorf("discovered %v again, %v", again, err)
	}
}

// TestReaderWithoutSplits waits, and begins when a split is added.
func TestReaderWithoutSplits(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	c.produce("t", 0, 0, 5)
	r := c.reader(c.config("t"))
	ctx, cancel := context.WithTimeout(c.ctx, 10*time.Millisecond)
	defer cancel()
	for {
		fetches, err := r.Poll(ctx)
		if len(fetches) > 0 {
			t.Fatal("read something")
		}
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.Add(Split{Topic: "t", Stop: 5}, Split{Topic: "t", Partition: 1, Start: 4, Stop: 4})
	r.finish(2)
	r.expect(0, 5)
}

func TestReaderBrokerAway(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	c.produce("t", 0, 0, 10)
	cfg := c.config("t")
	c.network.down()
	r := c.reader(cfg, Split{Topic: "t", Stop: Unbounded}, Split{Topic: "t", Partition: 1, Stop: Unbounded})
	waiting := func() bool {
		s := r.Status()[0]
		return s.State == Waiting && strings.Contains(s.Reason, c.ListenAddrs()[0]+": connection refused; retrying")
	}
	reading := func() bool { return r.Status()[0].State == Reading && r.Status()[1].State == Reading }
	if err := r.until(waiting); err != nil { // at start
		t.Fatal(err)
	}
	c.network.up()
	r.expect(0, 10)
	for round := range 3 { // while running
		c.network.down()
		if err := r.until(waiting); err != nil {
			t.Fatal(err)
		}
		c.produce("t", 0, 10+10*round, 10)
		c.produce("t", 1, 10*round, 10)
		c.network.up()
		r.expect(0, 20+10*round)
		r.expect(1, 10+10*round)
		if err := r.until(reading); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReaderBrokerRestarts stops the broker and starts it again on its port with its data.
func TestReaderBrokerRestarts(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	c := newCluster(t, kfake.DataDir(dir), kfake.Ports(port), kfake.SeedTopics(1, "t"))
	c.produce("t", 0, 0, 10)
	r := c.reader(c.config("t"), c.discover(c.config("t"))...)
	r.expect(0, 10)
	c.Close()
	if err := r.until(func() bool { return r.Status()[0].State == Waiting }); err != nil {
		t.Fatal(err)
	}
	again := newCluster(t, kfake.DataDir(dir), kfake.Ports(port))
	again.produce("t", 0, 10, 10)
	r.expect(0, 20)
}

func freePort(t *testing.T) int {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReaderLeaderMoves reads on while partitions change their broker.
func TestReaderLeaderMoves(t *testing.T) {
	c := newCluster(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "t"))
	r := c.reader(c.config("t"), Split{Topic: "t", Stop: Unbounded})
	for round := range 6 {
		c.produce("t", 0, 20*round, 20)
		r.expect(0, 20*(round+1))
		if err := c.MoveTopicPartition("t", 0, int32(round)%3); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReaderDataLoss(t *testing.T) {
	cases := []struct {
		name                string
		start               int64
		wanted, first, last int64
	}{
		{"deleted before reading", 3, 3, 10, 20},
		{"the first record deleted", 9, 9, 10, 20},
		{"beyond the end", 25, 25, 10, 20},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(1, "t"))
			c.produce("t", 0, 0, 20)
			if err := c.DeleteRecords("t", 0, 10); err != nil {
				t.Fatal(err)
			}
			r := c.reader(c.config("t"), Split{Topic: "t", Start: test.start, Stop: Unbounded})
			err := r.until(func() bool { return len(r.values[0]) > 0 })
			want := &DataLossError{Topic: "t", Wanted: test.wanted, First: test.first, End: test.last, Truncated: test.wanted > test.last}
			if diff := cmp.Diff(want, wantError[*DataLossError](t, err)); diff != "" {
				t.Error(diff)
			}
			if _, again := r.Poll(c.ctx); !errors.Is(again, err) {
				t.Errorf("the next poll said %v", again)
			}
		})
	}
}

// TestReaderDataLossWhileAway loses records that were not read while the broker could not be reached.
func TestReaderDataLossWhileAway(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	c.produce("t", 0, 0, 5)
	r := c.reader(c.config("t"), Split{Topic: "t", Stop: Unbounded})
	r.expect(0, 5)
	c.network.down()
	c.produce("t", 0, 5, 15)
	if err := c.DeleteRecords("t", 0, 12); err != nil {
		t.Fatal(err)
	}
	c.network.up()
	err := r.until(func() bool { return len(r.values[0]) > 5 })
	want := &DataLossError{Topic: "t", Wanted: 5, First: 12, End: 20}
	if diff := cmp.Diff(want, wantError[*DataLossError](t, err)); diff != "" {
		t.Error(diff)
	}
}

// TestReaderTopicMadeAnew must not take the new topic's records for the old one's.
func TestReaderTopicMadeAnew(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	c.produce("t", 0, 0, 5)
	r := c.reader(c.config("t"), Split{Topic: "t", Stop: Unbounded})
	r.expect(0, 5)
	if err := c.DeleteTopic("t"); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateTopic("t", 1, nil); err != nil {
		t.Fatal(err)
	}
	err := r.until(func() bool { return len(r.values[0]) > 5 })
	_ = wantError[*UnknownTopicError](t, err)
}

// TestReaderMemory holds fetches while reading goes on: what they point to must stay as it was until Release.
func TestReaderMemory(t *testing.T) {
	const records = 1000
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.Lz4Compression(), kgo.SnappyCompression()} {
		c := newCluster(t, kfake.SeedTopics(2, "t"))
		client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic("t"), kgo.ProducerBatchMaxBytes(2048))
		if err != nil {
			t.Fatal(err)
		}
		for i := range records {
			client.Produce(c.ctx, &kgo.Record{Value: bytes.Repeat(fmt.Appendf(nil, "%d.", i), 1+i%40)}, nil)
		}
		if err := client.Flush(c.ctx); err != nil {
			t.Fatal(err)
		}
		client.Close()
		cfg := c.config("t", bounded, property("fetch.max.bytes", "1200"))
		holdAndCheck(t, c.reader(cfg, c.discover(cfg)...), records)
	}
}

// holdAndCheck reads everything, keeping some fetches for a while, and compares each value when it is released.
func holdAndCheck(t *testing.T, r *testReader, records int) {
	t.Helper()
	type held struct {
		Fetch
		copies []string
	}
	var holding []held
	seen := make(map[string]bool)
	random := rand.New(rand.NewPCG(1, 2))
	release := func(i int) {
		h := holding[i]
		for j, record := range h.Records {
			if string(record.Value) != h.copies[j] {
				t.Fatalf("offset %d changed before its release", record.Offset)
			}
			seen[h.copies[j]] = true
		}
		r.Release(h.Fetch)
		holding = slices.Delete(holding, i, i+1)
	}
	for done := 0; done < 2; {
		fetches, err := r.Poll(r.cluster.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fetches {
			h := held{Fetch: f}
			for _, record := range f.Records {
				h.copies = append(h.copies, string(record.Value))
			}
			if f.Done {
				done++
			}
			holding = append(holding, h)
		}
		for len(holding) > 5 {
			release(random.IntN(len(holding)))
		}
	}
	for len(holding) > 0 {
		release(0)
	}
	if len(seen) != records {
		t.Errorf("read %d different values, want %d", len(seen), records)
	}
}

func TestReaderCommit(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	cfg := c.config("t")
	cfg.source.Group = "g"
	r := c.reader(cfg, c.discover(cfg)...)
	if err := r.Commit(c.ctx, []Position{{"t", 0, 7}, {"t", 1, 9}}); err != nil {
		t.Fatal(err)
	}
	stored, err := c.admin.FetchOffsets(c.ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	for partition, want := range []int64{7, 9} {
		if o, ok := stored.Lookup("t", int32(partition)); !ok || o.At != want {
			t.Errorf("partition %d committed %+v, want %d", partition, o, want)
		}
	}
	if err := c.reader(c.config("t")).Commit(c.ctx, []Position{{"t", 0, 1}}); err != nil {
		t.Errorf("without a group: %v", err)
	}
}

// TestReaderClose ends a wait at once, also while the broker is away.
func TestReaderClose(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	for _, away := range []bool{false, true} {
		r := c.reader(c.config("t"), Split{Topic: "t", Stop: Unbounded})
		if away {
			c.network.down()
		}
		polled := make(chan error)
		go func() {
			polled <- r.until(func() bool { return false })
		}()
		begin := time.Now()
		r.Close()
		if err := <-polled; !errors.Is(err, ErrClosed) {
			t.Errorf("away %t: the poll ended by %v", away, err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("away %t: closing took %v", away, took)
		}
	}
}

func TestReaderRefused(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "ali", "right"))
	secured := []func(*plan.KafkaSource){
		property("security.protocol", "SASL_PLAINTEXT"), property("sasl.username", "ali"), property("sasl.password", "wrong"),
	}
	cfg := c.config("t", secured...)
	// The embedded broker hangs up on a wrong password, which also a broker does that wants TLS.
	r := c.reader(cfg, Split{Topic: "t", Stop: Unbounded})
	if err := r.until(func() bool { return strings.Contains(r.Status()[0].Reason, "sasl.*") }); err != nil {
		t.Fatal(err)
	}
	// Kafka says what is wrong.
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		answer := request.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		answer.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return answer, nil, true
	})
	_ = wantError[*AuthError](t, r.until(func() bool { return false }))
	_, err := c.enumerator(cfg).Discover(c.ctx)
	_ = wantError[*AuthError](t, err)
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the error tells the password: %v", err)
	}
}
