package operator_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"pencere/pkg/eventtime"
	"pencere/taskmanager/internal/operator"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Metadata columns stand behind those of the format, for just the records that make rows, and the event time may be one.
func TestMetadata(t *testing.T) {
	spec := strings.Replace(chainSpec, "  schema: {id: INT, product: STRING, t: TIMESTAMP(3)}\n  watermark: {column: t, delay: 5s}",
		`  on_error: skip
  schema: document
  metadata:
    topic: topic
    part: partition
    at: offset
    t: timestamp
    means: timestamp-type
    epoch: leader-epoch
    k: key
    trace: headers.trace
    none: headers.x
    all: headers
  watermark: {column: t, delay: 5s}`, 1)
	out := &collected{}
	chain, err := operator.NewSource(mustParse(t, spec+"where: k IS NULL OR k <> X'00'\n"), out, operator.NewCounters(), checked(t))
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Release()
	chain.AddSplit(splitOf(3))
	at := func(ms int64, r kgo.Record) *kgo.Record {
		r.Topic, r.Partition, r.Timestamp = "listings", 3, time.UnixMilli(ms)
		return &r
	}
	err = chain.Records(t.Context(), 0, []*kgo.Record{
		at(1_000, kgo.Record{Offset: 7, Value: []byte(`{"a": 1}`), Key: []byte("k"), LeaderEpoch: 4, Headers: []kgo.RecordHeader{
			{Key: "trace", Value: []byte("first")}, {Key: `a"`, Value: nil}, {Key: "trace", Value: []byte("last")}, {Key: "e", Value: []byte{}},
		}}),
		at(9_000, kgo.Record{Offset: 8, Value: []byte(`{`)}),
		at(3_500, kgo.Record{Offset: 9, Value: []byte(`[]`), LeaderEpoch: -1, Key: []byte{}}),
		at(-1, kgo.Record{Offset: 10, Value: []byte(`2`), Key: []byte{0}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	// Bytes show in base64, timestamps as the 128 bits that hold them.
	want := []string{
		`{"a": 1}|listings|3|7|` + milliseconds("1000") + `|CreateTime|4|aw==|bGFzdA==|(null)|{"a\"":null,"trace":"bGFzdA==","e":""}`,
		`[]|listings|3|9|` + milliseconds("3500") + `|CreateTime|(null)||(null)|(null)|{}`,
	}
	if !slices.Equal(out.rows, want) {
		t.Errorf("rows\n%s\nwant\n%s", strings.Join(out.rows, "\n"), strings.Join(want, "\n"))
	}
	if got := chain.Watermark(0); got != eventtime.Watermark(3_500-5_000) {
		t.Errorf("watermark %d", got)
	}
	if l := chain.Ledger()[0]; l.Read != 4 || l.Skipped != 1 || l.Filtered != 1 || l.Emitted != 2 {
		t.Errorf("ledger %+v", l)
	}
}

// milliseconds is how a timestamp of so many milliseconds shows in a batch.
func milliseconds(ms string) string {
	return map[string]string{"1000": "18446744073709551616000", "3500": "64563604257983430656000"}[ms]
}

// The format raw keeps all bytes, and a record without a value as NULL.
func TestRawSource(t *testing.T) {
	spec := strings.Replace(chainSpec, "  schema: {id: INT, product: STRING, t: TIMESTAMP(3)}\n  watermark: {column: t, delay: 5s}", "  format: raw", 1)
	out := &collected{}
	chain, err := operator.NewSource(mustParse(t, spec), out, operator.NewCounters(), checked(t))
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Release()
	chain.AddSplit(splitOf(3))
	err = chain.Records(t.Context(), 0, []*kgo.Record{{Value: []byte("\xff\x00")}, {Value: nil}, {Value: []byte{}}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/wA=", "(null)", ""}; !slices.Equal(out.rows, want) {
		t.Errorf("rows %q, want %q", out.rows, want)
	}
	if l := chain.Ledger()[0]; l.Read != 3 || l.Emitted != 3 {
		t.Errorf("ledger %+v", l)
	}
}

// sizes is an output that keeps how many rows each batch had.
type sizes struct {
	collected
	rows []int64
}

func (s *sizes) Rows(_ context.Context, rows operator.Rows) error {
	s.rows = append(s.rows, rows.Batch.NumRows())
	rows.Batch.Release()
	return nil
}

// A batch is cut by all bytes that it holds: keys and headers count when they are columns.
func TestMetadataIsBounded(t *testing.T) {
	for metadata, want := range map[string][]int64{"{h: headers.h}": {3, 3, 2}, "{}": {8}} {
		spec := strings.Replace(chainSpec, "  schema: {id: INT, product: STRING, t: TIMESTAMP(3)}\n  watermark: {column: t, delay: 5s}", "  format: raw\n  metadata: "+metadata, 1)
		out := &sizes{}
		chain, err := operator.NewSource(mustParse(t, spec), out, operator.NewCounters(), checked(t))
		if err != nil {
			t.Fatal(err)
		}
		chain.AddSplit(splitOf(3))
		all := make([]*kgo.Record, 8)
		for i := range all {
			all[i] = &kgo.Record{Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "h", Value: make([]byte, 400<<10)}}}
		}
		if err := chain.Records(t.Context(), 0, all); err != nil {
			t.Fatal(err)
		}
		chain.Release()
		if !slices.Equal(out.rows, want) {
			t.Errorf("metadata %s: batches of %v rows, want %v", metadata, out.rows, want)
		}
	}
}
