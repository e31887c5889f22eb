package operator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pencere/pkg/connector/mongodb"
	"pencere/pkg/ledger"
	"pencere/taskmanager/internal/operator"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// drawer keeps documents, and refuses those of some ids when it is flushed.
type drawer struct {
	documents []string
	refuses   []int32
	pending   []mongodb.Document
	refused   []mongodb.Refusal
}

var errRefused = errors.New("validation failed")

func (d *drawer) Write(_ context.Context, document mongodb.Document) error {
	d.pending = append(d.pending, document)
	return nil
}

func (d *drawer) Flush(context.Context) error {
	for _, document := range d.pending {
		if slices.Contains(d.refuses, document.Body.Lookup("id").Int32()) {
			d.refused = append(d.refused, mongodb.Refusal{Row: document.Row, Err: errRefused})
			continue
		}
		text, err := bson.MarshalExtJSON(document.Body, false, false)
		if err != nil {
			return err
		}
		d.documents = append(d.documents, string(text))
	}
	d.pending = nil
	return nil
}

func (d *drawer) Refused() []mongodb.Refusal {
	refused := d.refused
	d.refused = nil
	return refused
}

func (*drawer) Tick(time.Time) error { return nil }
func (*drawer) Close()               {}

// letterBox keeps dead letters as text.
type letterBox struct {
	operator.DeadLetters
	letters []string
}

func (b *letterBox) Add(_ context.Context, l operator.DeadLetter) error {
	b.letters = append(b.letters, fmt.Sprintf("%s-%d-%d %s=%s: %s", l.Topic, l.Partition, l.Record.Offset, l.Record.Key, l.Record.Value, l.Reason))
	return nil
}

// mongoChain is a chain that ends in a drawer. more are settings of the sink, and the rest of the spec.
func mongoChain(t *testing.T, to *drawer, more, rest string) (*operator.Source, *operator.Sink, *operator.Counters) {
	t.Helper()
	spec := strings.Replace(chainSpec, `csv: {path: "${OUT}"}`, `mongodb: {uri: "mongodb://db", database: d, collection: c`+more+"}", 1) + rest
	program, counters := mustParse(t, spec), operator.NewCounters()
	alloc := checked(t)
	sink, err := operator.NewMongoSink(program, to, counters, alloc)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := operator.NewSource(program, sink, counters, alloc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(chain.Release)
	chain.AddSplit(splitOf(3))
	return chain, sink, counters
}

// A row has the place of its record for an _id. One that the sink cannot write is a dead letter and no longer emitted, with its own record, also
// behind a filter and when the reader has taken the record's memory back.
func TestMongoSinkHandsBack(t *testing.T) {
	to, box := &drawer{refuses: []int32{2, 6}}, &letterBox{}
	chain, sink, counters := mongoChain(t, to, ", on_error: dead_letter", "where: id <> 4\nselect: [id, product]\ndead_letters: {csv: {path: dead}}\n")
	chain.HandOver(box)
	sink.HandBack(chain)
	all := records(listing(1, "a", 0), listing(4, "b", 0), listing(2, "c", 0), listing(3, "d", 0), listing(6, "e", 0))
	for _, r := range all {
		r.Key = []byte("k" + fmt.Sprint(r.Offset))
	}
	if err := chain.Records(t.Context(), 0, all); err != nil {
		t.Fatal(err)
	}
	for _, r := range all { // the reader has other uses for it
		for i := range r.Value {
			r.Value[i] = 'x'
		}
		*r = kgo.Record{}
	}
	if entry := chain.Ledger()[0]; entry.Emitted != 4 {
		t.Errorf("before the checkpoint: %+v", entry)
	}
	if _, err := sink.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`{"_id":"listings-3-100","id":1,"product":"a"}`, `{"_id":"listings-3-103","id":3,"product":"d"}`}, to.documents); diff != "" {
		t.Error(diff)
	}
	want := []string{
		"listings-3-102 k102=" + listing(2, "c", 0) + ": sink: validation failed", "listings-3-104 k104=" + listing(6, "e", 0) + ": sink: validation failed",
	}
	if diff := cmp.Diff(want, box.letters); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(ledger.Entry{Split: 3, Read: 5, Emitted: 2, Filtered: 1, DeadLettered: 2}, chain.Ledger()[0]); diff != "" {
		t.Error(diff)
	}
	if counters.RowsWritten.Load() != 2 || counters.RefusedDeadLetters.Load() != 2 {
		t.Errorf("%d rows written, %d refused", counters.RowsWritten.Load(), counters.RefusedDeadLetters.Load())
	}
}

// Without a place for dead letters the record is named, whoever has refused it.
func TestMongoSinkFails(t *testing.T) {
	for name, c := range map[string]struct{ more, want string }{
		"the database": {", id: product", "record at topic listings, partition 3, offset 101: sink: validation failed"},
		"the encoder":  {", id: CAST(NULL AS STRING)", "record at topic listings, partition 3, offset 100: sink: the _id is NULL"},
	} {
		t.Run(name, func(t *testing.T) {
			chain, sink, _ := mongoChain(t, &drawer{refuses: []int32{2}}, c.more, "select: [id]\n")
			err := chain.Records(t.Context(), 0, records(listing(1, "a", 0), listing(2, "b", 0)))
			if err == nil {
				_, err = sink.Prepare(t.Context())
			}
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}
