package replay

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pencere/pkg/jobspec"
	"pencere/pkg/plan"

	"github.com/twmb/franz-go/pkg/kgo"
)

// toTopic is the spec of a job that writes its rows to a topic. sink and rest are added to it.
func toTopic(t *testing.T, sink, rest string) plan.Job {
	t.Helper()
	text := fmt.Sprintf(`
name: records
source:
  kafka: {brokers: "k:9092", topic: t}
  schema: {b: BOOLEAN, i: INT, f: FLOAT, d: DOUBLE, n: "DECIMAL(10, 2)", s: STRING, x: BYTES, day: DATE, at: TIMESTAMP(3), z: TIMESTAMP_LTZ(3)}
  watermark: {column: at}
sink: {kafka: {brokers: "k:9092", topic: out%s}}
%s`, sink, rest)
	job, err := jobspec.Parse("job.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return job
}

const fullRecord = `{"b":true,"i":-7,"f":0.5,"d":1e21,"n":18000,"s":"a\"\\\n\u0001ğ","x":"AP8=","day":"2025-03-04","at":"2025-03-04 11:55:49.250","z":"2025-03-04 11:55:49Z"}`

// Records are as Flink's formats write them, with keys and headers beside.
func TestRecords(t *testing.T) {
	const quoted = `"s":"a\"\\\n\u0001ğ"`
	for _, c := range []struct{ sink, rest, record, want string }{
		{"", "", fullRecord, `key null, value "{\"b\":true,\"i\":-7,\"f\":0.5,\"d\":1.0E21,\"n\":1.8E+4,` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(quoted) +
			`,\"x\":\"AP8=\",\"day\":\"2025-03-04\",\"at\":\"2025-03-04 11:55:49.25\",\"z\":\"2025-03-04 11:55:49Z\"}"`},
		{", json: {encode.decimal-as-plain-number: true, timestamp-format.standard: ISO-8601}", "select: [n, at]", fullRecord, `key null, value "{\"n\":18000,\"at\":\"2025-03-04T11:55:49.25\"}"`},
		{"", "select: [d, f, s]", `{"d":"NaN","f":"-Infinity"}`, `key null, value "{\"d\":\"NaN\",\"f\":\"-Infinity\",\"s\":null}"`},
		{", json: {encode.ignore-null-fields: true}", "select: [s, i, d]", `{"i":1}`, `key null, value "{\"i\":1}"`},
		{", key: s, headers: {first: x, second: CAST(i AS STRING)}", "select: [i]", `{"i":1,"x":"AP8="}`, `key null, header "first": "\x00\xff", header "second": "1", value "{\"i\":1}"`},
		{", key: s, headers: {first: x}", "select: [i]", `{"i":1,"s":""}`, `key "", header "first": null, value "{\"i\":1}"`},
		{", format: csv", "select: [i, s]", `{"i":1,"s":"a,b"}`, `key null, value "1,\"a,b\""`},
	} {
		got, err := replayRecords(toTopic(t, c.sink, c.rest), [][][]byte{{[]byte(c.record)}})
		if err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%s %s:\n got %q, %v\nwant %q", c.sink, c.rest, got, err, c.want)
		}
	}
}

// What cannot be known of a topic is said, and is no pass.
func TestTopicsBeyond(t *testing.T) {
	windowed := "window: {tumble: 1m, group_by: [i]}\nselect: [i]\n"
	for _, c := range []struct {
		job  plan.Job
		want string
	}{
		{toTopic(t, ", delivery: at_least_once", "select: [i]"), "delivery: at_least_once"},
		{toTopic(t, "", windowed), "which of them have fired is not written down"},
		{lossless(t, "TIMESTAMP(3)", ""), "a sink that is no topic"},
	} {
		_, err := SinkTopic(t.Context(), c.job, Ended{Finished: true})
		if beyond, ok := errors.AsType[*UnsupportedError](err); !ok || !strings.Contains(beyond.What, c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// Keys of windows are over what their groups have.
func TestRecordsOfWindows(t *testing.T) {
	grouped := "window: {tumble: 1m, group_by: [i, s]}\nselect: [i, window_end]\n"
	e, err := NewEvaluator(toTopic(t, ", key: s", grouped))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Add(&kgo.Record{Topic: "t", Value: []byte(fullRecord)}); err != nil {
		t.Fatal(err)
	}
	rows, _, err := e.Rows(math.MaxInt64)
	if err != nil || len(rows) != 1 || !strings.HasSuffix(rows[0].Text, `value "{\"i\":-7,\"window_end\":\"2025-03-04 11:56:00\"}"`) || !strings.HasPrefix(rows[0].Text, `key "a\"\\\n\x01ğ"`) {
		t.Errorf("%v, %v", rows, err)
	}
}
