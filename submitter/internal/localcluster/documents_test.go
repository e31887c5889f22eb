package localcluster_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pencere/pkg/jobspec"
	"pencere/submitter/internal/client"
	"pencere/submitter/internal/replay"

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

// Documents, what JSON_VALUE takes out of them, and metadata are the same when the records are evaluated again by other code.
func TestDocumentsReplayed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, 1)
	all := []string{
		`{"user": {"city": "İzmir", "n": 7}, "at": "x"}`, ` [1, {"user": null}]`, `{"user":{"n":"7"}}`, `{"user":`, tombstone, "{\"a\":\"\xc3(\"}", `{"user":{"n":1.5,"n":2}}`, "null",
	}
	dir := t.TempDir()
	text := `
name: documents
source:
  kafka: {brokers: BROKERS, topic: ` + f.topic(partitions{all}) + `, bounded: latest}
  schema: document
  on_error: dead_letter
  metadata: {at: offset, time: timestamp, k: key, h: headers, x: headers.x, part: partition, means: timestamp-type, from: topic}
  watermark: {column: time}
compute: {n: "JSON_VALUE(document, '$.user.n' RETURNING INT DEFAULT -1 ON ERROR)"}
where: n <> 0 AND NOT document IS JSON SCALAR
select: [document, n, at, time, k, h, x, part, means, from, {query: "CAST(JSON_QUERY(document, '$' WITH CONDITIONAL WRAPPER) AS JSON)"}]
sink: {csv: {path: ` + dir + `}}
dead_letters: {csv: {path: ` + deadLetterDir(dir) + `}}
checkpoint: {interval: 100ms}
`
	j := f.submitText(text)
	j.dir = dir
	j.end(client.Finished)
	text = strings.ReplaceAll(text, "BROKERS", fmt.Sprintf("%q", strings.Join(f.broker.Addresses(), ",")))
	parsed, err := jobspec.Parse("job.yaml", []byte(text), func(string) (string, bool) { return "", false })
	f.check(err)
	for content, rows := range map[replay.Content]int{replay.Rows: 4, replay.DeadLetters: 2} {
		from := dir
		if content == replay.DeadLetters {
			from = deadLetterDir(dir)
		}
		results, err := replay.Directory(f.ctx, parsed, content, os.DirFS(from))
		f.check(err)
		if len(results) != 1 || !results[0].Same() || int(results[0].Rows) != rows || int(results[0].Found) != rows {
			t.Errorf("want %d rows in %s replayed: %v", rows, from, results)
		}
	}
	if got := j.rows(); len(got) != 4 || !strings.HasPrefix(got[1], `"{""user"": {""city"": ""İzmir"", ""n"": 7}, ""at"": ""x""}",7,0,`) {
		t.Errorf("rows %q", got)
	}
}
