package localcluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pencere/submitter/internal/client"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// submitText starts the job of a spec in which BROKERS stands for the broker's addresses.
func (f *fixture) submitText(text string) job {
	f.t.Helper()
	text = strings.ReplaceAll(text, "BROKERS", fmt.Sprintf("%q", strings.Join(f.broker.Addresses(), ",")))
	submitted, err := f.jobs.Submit(f.ctx, client.Spec{Name: "job.yaml", Text: []byte(text)})
	f.check(err)
	return job{fixture: f, id: submitted.ID}
}

// values returns those of committed records in order, a tombstone for none.
func values(records []*kgo.Record) []string {
	all := []string{}
	for _, r := range records {
		if r.Value == nil {
			all = append(all, tombstone)
			continue
		}
		all = append(all, string(r.Value))
	}
	return all
}

// Documents of any shape reach a topic as they came, byte for byte, beside what stands beside them and what JSON_VALUE takes out of them;
// what is no JSON is a dead letter, byte for byte too; and the ledger knows of each record what became of it.
func TestDocuments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1)
	huge := `{"user":{"city":"Rize"},"text":"` + strings.Repeat("x", 600_000) + `"}`
	deep := strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000)
	good := []string{
		`{"user": {"city": "İzmir", "n": 1.50}, "user": {"city":"Ağrı\n"}}`, `[1, {"user": null}]`, `"text"`, `null`, huge, deep, `{"user":{"city":{}}}`,
	}
	bad := []string{`{"user":`, "\xff{}", "{\"a\":\"\xc3(\"}", "{} {}", "{\"a\":\"b\x01\"}"}
	var all []string
	for i, value := range good {
		all = append(all, value)
		if i < len(bad) {
			all = append(all, bad[i], tombstone)
		}
	}
	topic := f.topic(partitions{all})
	sink := f.sinkTopics()
	j := f.submitText(`
name: documents
source:
  kafka: {brokers: BROKERS, topic: ` + topic + `, bounded: latest}
  schema: document
  on_error: dead_letter
  metadata: {at: offset, time: timestamp}
  watermark: {column: time}
where: time > TO_TIMESTAMP_LTZ(0, 3)
select: [at, document, {city: "JSON_VALUE(document, 'lax $.user.city')"}]
sink: {kafka: {brokers: BROKERS, topic: ` + sink + `, key: "JSON_VALUE(document, '$.user.city' DEFAULT 'none' ON ERROR)"}}
dead_letters: {kafka: {brokers: BROKERS, topic: ` + deadTopic(sink) + `}}
checkpoint: {interval: 100ms}
`)
	j.end(client.Finished)
	var want []string
	for at, value := range all {
		if slices.Contains(good, value) {
			city := map[string]string{good[0]: `"Ağrı\n"`, huge: `"Rize"`}[value]
			if city == "" {
				city = "null"
			}
			want = append(want, fmt.Sprintf(`{"at":%d,"document":%s,"city":%s}`, at, value, city))
		}
	}
	written := f.committed(sink)
	got := values(written)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows differ (-want +got):\n%.2000s", diff)
	}
	for _, r := range written {
		if key := string(r.Key); strings.Contains(string(r.Value), `"city":null`) != (key == "none") {
			t.Errorf("%.100s has the key %q", r.Value, key)
		}
	}
	letters := values(f.committed(deadTopic(sink)))
	slices.Sort(letters)
	slices.Sort(bad)
	if diff := cmp.Diff(bad, letters); diff != "" {
		t.Errorf("dead letters differ (-want +got):\n%s", diff)
	}
	ledger, err := f.jobs.Ledger(f.ctx, j.id)
	f.check(err)
	if total := ledger.Total; total.Read != int64(len(all)) || total.Emitted != int64(len(good)) || total.DeadLettered != int64(len(bad)) || total.Skipped != int64(len(bad)) {
		t.Errorf("ledger %+v of %d records", total, len(all))
	}
}

// The format raw carries any bytes from topic to topic, an empty value and a tombstone apart.
func TestRaw(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1)
	all := []string{"\xff\x00 bytes", "", tombstone, "{"}
	sink := f.sinkTopics()
	f.submitText(`
name: raw
parallelism: 1
source: {kafka: {brokers: BROKERS, topic: ` + f.topic(partitions{all}) + `, bounded: latest}, format: raw}
sink: {kafka: {brokers: BROKERS, topic: ` + sink + `, format: raw, partitioner: fixed}}
checkpoint: {interval: 100ms}
`).end(client.Finished)
	if diff := cmp.Diff(all, values(f.committed(sink))); diff != "" {
		t.Errorf("values differ (-want +got):\n%s", diff)
	}
}
