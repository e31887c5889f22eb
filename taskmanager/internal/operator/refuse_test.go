package operator_test

import (
	"errors"
	"strings"
	"testing"

	"pencere/pkg/ledger"
	"pencere/taskmanager/internal/operator"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A record that is refused before it is decoded fails the job, or is counted, as one that the decoder refuses.
func TestRefuse(t *testing.T) {
	cause := errors.New("the answer cannot be used")
	for mode, want := range map[string]ledger.Entry{
		"fail": {Split: 3, Read: 1}, "skip": {Split: 3, Read: 1, Skipped: 1}, "ignore": {Split: 3, Read: 1, Skipped: 1},
		"dead_letter": {Split: 3, Read: 1, DeadLettered: 1},
	} {
		t.Run(mode, func(t *testing.T) {
			spec := strings.Replace(chainSpec, "source:\n", "source:\n  on_error: "+mode+"\n", 1)
			if mode == "dead_letter" {
				spec += "dead_letters: {csv: {path: elsewhere}}\n"
			}
			dir, counters := t.TempDir(), operator.NewCounters()
			chain, err := operator.NewSource(mustParse(t, spec), &collected{}, counters, checked(t))
			if err != nil {
				t.Fatal(err)
			}
			defer chain.Release()
			letters := openDeadLetters(t, dir)
			chain.HandOver(letters)
			chain.AddSplit(splitOf(3))
			err = chain.Refuse(t.Context(), 0, &kgo.Record{Value: []byte("<html>"), Offset: 7}, cause)
			record, failed := errors.AsType[*operator.RecordError](err)
			if failed != (mode == "fail") || failed && (record.Offset != 7 || !errors.Is(err, cause)) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(want, chain.Ledger()[0]); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			if counters.RecordsIn.Load() != 1 || counters.Dropped.Load() != want.Skipped {
				t.Errorf("%d read, %d dropped", counters.RecordsIn.Load(), counters.Dropped.Load())
			}
			text := published(t, dir, letters)
			if mode == "dead_letter" && !strings.HasSuffix(text, "7,,\"the answer cannot be used\",text,,<html>\n") {
				t.Errorf("dead letter %q", text)
			}
			if err := letters.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Where an item lies is told by its number and its URL.
func TestRecordErrorOfItem(t *testing.T) {
	err := &operator.RecordError{Topic: "https://host/users", Offset: 7, Err: errors.New("bad")}
	if got := err.Error(); got != "item 7 of https://host/users: bad" {
		t.Error(got)
	}
}
