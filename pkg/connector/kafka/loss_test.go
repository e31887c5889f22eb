package kafka

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"

	"pencere/pkg/plan"
)

func goOn(s *plan.KafkaSource) { s.OnDataLoss = plan.DataLossEarliest }

// numbers are the values from the first to before the last.
func numbers(from, to int) (values []string) {
	for n := from; n < to; n++ {
		values = append(values, fmt.Sprint(n))
	}
	return values
}

// losses polls until the split gave the last value, and returns what it said was lost. Its values must be those wanted.
func (r *testReader) losses(want []string) (losses []DataLossError) {
	r.cluster.t.Helper()
	got := []string{}
	for !slices.Contains(got, want[len(want)-1]) {
		fetches, err := r.Poll(r.cluster.ctx)
		if err != nil {
			r.cluster.t.Fatal(err)
		}
		for _, f := range fetches {
			if f.Loss != nil {
				losses = append(losses, *f.Loss)
			}
			for _, record := range f.Records {
				got = append(got, string(record.Value))
			}
			r.Release(f)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.cluster.t.Error(diff)
	}
	return losses
}

// A job that wishes so goes on from the earliest record, reads each that there is once, and says what is lost.
func TestReaderGoesOnAfterDataLoss(t *testing.T) {
	for _, test := range []struct {
		name  string
		start int64
		lost  int64
		stop  int64
	}{
		{"deleted before reading", 3, 7, Unbounded},
		{"the first record deleted", 9, 1, Unbounded},
		{"beyond the end", 25, 0, Unbounded},
		{"bounded", 3, 7, 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(1, "t"))
			c.produce("t", 0, 0, 20)
			if err := c.DeleteRecords("t", 0, 10); err != nil {
				t.Fatal(err)
			}
			r := c.reader(c.config("t", goOn), Split{Topic: "t", Start: test.start, Stop: test.stop})
			losses := r.losses(numbers(10, 20))
			want := []DataLossError{{Topic: "t", Wanted: test.start, First: 10, End: 20, Truncated: test.start > 20}}
			if diff := cmp.Diff(want, losses); diff != "" {
				t.Error(diff)
			}
			if lost := losses[0].Lost(test.stop); lost != test.lost {
				t.Errorf("%d records are lost, want %d", lost, test.lost)
			}
		})
	}
}

// Only what the split was to read counts as lost.
func TestLost(t *testing.T) {
	for _, test := range []struct{ wanted, first, stop, want int64 }{
		{3, 10, Unbounded, 7}, {3, 10, 10, 7}, {3, 10, 8, 5}, {3, 3, 8, 0}, {25, 10, Unbounded, 0}, {3, 10, 3, 0},
	} {
		loss := DataLossError{Wanted: test.wanted, First: test.first}
		if got := loss.Lost(test.stop); got != test.want {
			t.Errorf("from %d to %d, before %d: %d records are lost, want %d", test.wanted, test.first, test.stop, got, test.want)
		}
	}
}

// What a bounded split was to read is gone, and it ends.
func TestReaderEndsAfterDataLoss(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	c.produce("t", 0, 0, 20)
	if err := c.DeleteRecords("t", 0, 10); err != nil {
		t.Fatal(err)
	}
	r := c.reader(c.config("t", goOn), Split{Topic: "t", Start: 2, Stop: 8})
	r.finish(1)
	if len(r.values[0]) > 0 {
		t.Errorf("values %v", r.values[0])
	}
}

func TestReaderGoesOnAfterDataLossWhileAway(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, "t"))
	c.produce("t", 0, 0, 5)
	r := c.reader(c.config("t", goOn), Split{Topic: "t", Stop: Unbounded})
	r.expect(0, 5)
	c.network.down()
	c.produce("t", 0, 5, 15)
	if err := c.DeleteRecords("t", 0, 12); err != nil {
		t.Fatal(err)
	}
	c.network.up()
	if diff := cmp.Diff([]DataLossError{{Topic: "t", Wanted: 5, First: 12, End: 20}}, r.losses(numbers(12, 20))); diff != "" {
		t.Error(diff)
	}
}

// A topic made anew is read from its beginning.
func TestReaderGoesOnWithTopicMadeAnew(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, "t"))
	c.produce("t", 0, 0, 5)
	r := c.reader(c.config("t", goOn), Split{Topic: "t", Stop: Unbounded}, Split{Topic: "t", Partition: 1, Stop: Unbounded})
	r.expect(0, 5)
	if err := c.DeleteTopic("t"); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateTopic("t", 2, nil); err != nil {
		t.Fatal(err)
	}
	c.produce("t", 0, 100, 3)
	losses := r.losses(numbers(100, 103))
	if len(losses) != 2 || losses[0].Wanted != 5 || losses[0].First != 0 || !losses[0].Truncated || !losses[1].Truncated {
		t.Errorf("losses %+v", losses)
	}
	c.produce("t", 1, 200, 3)
	if more := r.losses(numbers(200, 203)); len(more) > 0 {
		t.Errorf("losses %v", more)
	}
}
