package localcluster_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pencere/submitter/internal/client"
)

// bounded are inputs that a job reads to their end.
var bounded = []struct {
	name  string
	spec  spec
	topic partitions
	late  int
}{
	{name: "out of order", topic: partitions{records(at(1, 10), at(2, 7), at(3, 124), at(4, 119.999), at(5, 121), at(1, 9), at(6, 120))}},
	{name: "late", late: 3, topic: partitions{
		records(at(1, 119), at(2, 124.998), at(3, 119), at(4, 125), at(5, 119), at(6, 120), at(7, -1), at(8, 245), at(9, 121)),
	}},
	{name: "late by its own partition alone", late: 1, topic: partitions{
		records(at(1, 10), at(2, 11), at(3, 12)),
		records(at(4, 100_000), at(5, 100_001)),
		records(at(6, 0), at(7, 130), at(8, 1)),
	}},
	{name: "window edges", topic: partitions{
		records(at(1, -0.001), at(2, 0), at(3, 0.001), at(4, 119.999), at(5, 120), at(6, 120.001), at(7, 239.999), at(8, 240)),
	}},
	{name: "before 1970", topic: partitions{records(
		listing{1, 100, 0.1, time.Unix(-121, 0).UTC()}, listing{2, 100, 0.1, time.Unix(-120, 0).UTC()},
		listing{3, 100, 0.1, time.UnixMilli(-1).UTC()}, listing{4, 100, 0.1, time.Unix(0, 0).UTC()},
		listing{5, 100, 0.1, time.Date(1923, 10, 29, 20, 30, 0, 0, time.UTC)},
		listing{6, 100, 0.1, time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)},
	)}, late: 2},
	{name: "NULL timestamps", topic: partitions{
		records(listing{id: 1, price: 100, kdv: 0.1}, at(2, 10), at(3, 20)),
		records(listing{id: 4, price: 100, kdv: 0.1}),
		records(at(5, 10), listing{id: 6, price: 100, kdv: 0.1}, at(7, 500)),
	}, late: 1},
	{name: "NULL keys", topic: partitions{{
		`{"id":null,"product":null,"price":5,"kdv":null,"timestamp_column":"2025-03-04 12:00:01"}`,
		`{"product":null,"description":null,"price":5,"timestamp_column":"2025-03-04 12:00:02"}`,
		`{"id":1,"product":"","price":5,"timestamp_column":"2025-03-04 12:00:02"}`,
	}}},
	{name: "a jump ahead fires everything", topic: partitions{records(at(1, 10), at(2, 130), at(3, 250), at(4, 31_536_000), at(5, 11))}, late: 1},
	{name: "more partitions than subtasks", topic: spread(7, 700)},
	{name: "fewer partitions than subtasks", topic: spread(1, 100)},
	{name: "empty partitions", topic: partitions{nil, records(at(1, 10), at(2, 200)), nil, nil}},
	{name: "nothing at all", topic: partitions{nil, nil}},
	{name: "tombstones", topic: partitions{append(records(at(1, 10)), tombstone, at(2, 20).json(), tombstone)}},
	{name: "malformed records are skipped", spec: spec{onError: "skip"}, topic: malformed},
	{name: "malformed records are skipped without a window", spec: spec{onError: "skip", passThrough: true}, topic: malformed},
	{name: "no window", spec: spec{passThrough: true}, topic: spread(3, 999)},
	{name: "windows of a day", spec: spec{window: 24 * time.Hour}, topic: spread(2, 500)},
	{name: "windows of 90 s", spec: spec{window: 90 * time.Second}, topic: spread(2, 500)},
}

// malformed are records that are wrong in many ways, among good ones.
var malformed = partitions{
	{
		at(1, 10).json(), `{`, `not json`, `[]`, `"text"`, `{"id":"seven","timestamp_column":"2025-03-04 12:00:01"}`,
		`{"id":3000000000,"timestamp_column":"2025-03-04 12:00:01"}`, `{"id":2,"price":1e400,"timestamp_column":"2025-03-04 12:00:01"}`,
		`{"id":3,"timestamp_column":"yesterday"}`, `{"id":4,"timestamp_column":"2025-13-01 12:00:01"}`, at(3, 30).json(),
	},
	{`{"id":5,`, at(4, 125).json()},
}

// spread makes n listings, some repeated and slightly out of order, over so many partitions. None is late.
func spread(partitionCount, n int) partitions {
	random := rand.New(rand.NewPCG(uint64(partitionCount), uint64(n)))
	topic := make(partitions, partitionCount)
	for i := range n {
		p := random.IntN(partitionCount)
		l := at(i, float64(i)+4*random.Float64())
		l.at = l.at.Truncate(time.Millisecond)
		topic[p] = append(topic[p], l.json())
		if i%10 == 0 {
			topic[p] = append(topic[p], l.json())
		}
	}
	return topic
}

func TestBounded(t *testing.T) {
	for _, taskManagers := range []int{1, 2} {
		for _, parallelism := range []int{1, 2} {
			t.Run(fmt.Sprintf("taskmanagers=%d,parallelism=%d", taskManagers, parallelism), func(t *testing.T) {
				f := newFixture(t, taskManagers)
				for _, c := range bounded {
					s := c.spec
					s.parallelism = parallelism
					t.Run(c.name, func(t *testing.T) { f.with(t).readToEnd(s, c.topic, c.late) })
				}
			})
		}
	}
}

// with returns the fixture for a part of its test.
func (f *fixture) with(t *testing.T) *fixture {
	part := *f
	part.t = t
	f.topics++
	part.topics = f.topics * 1000
	return &part
}

// readToEnd runs a job over a topic to its end and compares what it writes with the oracle's rows.
func (f *fixture) readToEnd(s spec, topic partitions, late int) {
	f.t.Helper()
	s.bounded = true
	s.topic = f.topic(topic)
	want, tooLate := s.oracle(topic)
	if tooLate != late {
		f.t.Fatalf("the oracle finds %d late rows, want %d", tooLate, late)
	}
	j := f.submit(s)
	j.end(client.Finished)
	j.wantRows(append([]string{}, want...))
	j.nothingHidden()
	j.proved(topic, len(want))
}

// A record that cannot be read fails the job, which says where the record is and what is wrong with it.
func TestMalformedFails(t *testing.T) {
	f := newFixture(t, 1)
	for name, c := range map[string]struct{ record, says string }{
		"no JSON":      {`{"id":`, ""},
		"wrong type":   {`{"id":"seven"}`, "id"},
		"no timestamp": {`{"id":7,"timestamp_column":"yesterday"}`, "timestamp_column"},
	} {
		t.Run(name, func(t *testing.T) {
			f := f.with(t)
			topic := f.topic(partitions{records(at(1, 1)), append(records(at(2, 1), at(3, 2)), c.record)})
			j := f.submit(spec{topic: topic, bounded: true, parallelism: 1})
			j.end(client.Failed)
			cause, err := f.jobs.RootCause(f.ctx, j.id)
			f.check(err)
			for _, want := range []string{topic, "partition 1", "offset 2", c.says} {
				if !strings.Contains(cause, want) {
					t.Errorf("the failure does not name %q: %s", want, cause)
				}
			}
			j.wantRows([]string{})
			j.nothingHidden()
		})
	}
}

// With on_error: ignore a field that cannot be read is NULL, and a record that is no JSON is left out.
func TestMalformedIgnored(t *testing.T) {
	f := newFixture(t, 1)
	topic := f.topic(partitions{{
		at(1, 10).json(), `{"id":2`, `nonsense`,
		`{"id":3,"product":"Kitap","price":"many","kdv":0.1,"timestamp_column":"2025-03-04 12:00:01"}`,
		`{"id":"x","product":"Kitap","price":5,"kdv":0.1,"timestamp_column":"2025-03-04 12:00:01"}`,
		`{"id":5,"product":"Kitap","price":100,"kdv":0.1,"timestamp_column":"yesterday"}`,
	}})
	j := f.submit(spec{topic: topic, bounded: true, parallelism: 1, onError: "ignore", passThrough: true})
	j.end(client.Finished)
	j.wantRows([]string{
		`,Kitap,,5,0.1,5.5,"2025-03-04 12:00:01"`,
		`1,Kitap,"ikinci el 1",101,0.1,111.10000000000001,"2025-03-04 12:00:10"`,
		`3,Kitap,,,0.1,,"2025-03-04 12:00:01"`,
		`5,Kitap,,100,0.1,110.00000000000001,`,
	})
}

func TestMillionRecords(t *testing.T) {
	const groups, repeats, partitionCount = 100_000, 10, 4
	topic := make(partitions, partitionCount)
	once := make(partitions, 1) // what the rows come from
	for i := range groups {
		value := at(i, float64(i)/100).json()
		once[0] = append(once[0], value)
		for r := range repeats {
			p := (i + r) % partitionCount
			topic[p] = append(topic[p], value)
		}
	}
	f := newFixture(t, 2)
	s := spec{parallelism: 2, bounded: true, topic: f.topic(topic)}
	began := time.Now()
	j := f.submit(s)
	j.end(client.Finished)
	t.Logf("read %d records in %s", groups*repeats, time.Since(began))
	want, _ := s.oracle(once)
	j.wantRows(want)
	j.bytesArrive()
}

// bytesArrive fails unless the second vertex has read about as many bytes as the first has written, over local edges and others.
func (j job) bytesArrive() {
	j.t.Helper()
	var answer struct {
		Vertices []struct {
			Metrics struct {
				Read    int64 `json:"read-bytes"`
				Written int64 `json:"write-bytes"`
			}
		}
	}
	j.check(json.Unmarshal([]byte(j.get("/jobs/"+j.id)), &answer))
	written, read := answer.Vertices[0].Metrics.Written, answer.Vertices[1].Metrics.Read
	if read < written*9/10 || read > written*11/10 {
		j.t.Errorf("%d bytes were written and %d read", written, read)
	}
}
