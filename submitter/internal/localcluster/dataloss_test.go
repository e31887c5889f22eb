package localcluster_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pencere/submitter/internal/client"

	"github.com/twmb/franz-go/pkg/kadm"
)

// lossy makes a topic whose first records were deleted before the group had read them, and returns its job.
func (f *fixture) lossy(s spec, topic partitions, read, deleted int64) job {
	f.t.Helper()
	s.topic, s.group = f.topic(topic), "lossy-"+s.onDataLoss
	positions, gone := make(kadm.Offsets), make(kadm.Offsets)
	positions.AddOffset(s.topic, 0, read, -1)
	gone.AddOffset(s.topic, 0, deleted, -1)
	f.check(f.admin.CommitAllOffsets(f.ctx, s.group, positions))
	_, err := f.admin.DeleteRecords(f.ctx, gone)
	f.check(err)
	return f.submit(s)
}

// Records that are gone before a job has read them end it, with what to do, or are left out and counted, as it wishes.
func TestDataLoss(t *testing.T) {
	topic := partitions{records(at(1, 1), at(2, 2), at(3, 3), at(4, 4), at(5, 5), at(6, 6))}

	f := newFixture(t, 1)
	j := f.lossy(spec{bounded: true, onDataLoss: "fail"}, topic, 1, 4)
	j.end(client.Failed)
	cause, err := j.jobs.RootCause(j.ctx, j.id)
	f.check(err)
	for _, want := range []string{`topic "topic-1" partition 0`, "offset 1", "earliest there is has offset 4", "source.kafka.on_data_loss to earliest"} {
		if !strings.Contains(cause, want) {
			t.Errorf("%q does not say %q", cause, want)
		}
	}

	s := spec{passThrough: true, onDataLoss: "earliest"}
	j = f.lossy(s, topic, 1, 4)
	want, _ := s.oracle(partitions{topic[0][4:]})
	j.awaitRows(want)
	j.poll("3 records are lost", func() bool { return j.metric("numRecordsLost") == "3" })
	ledger, err := j.jobs.Ledger(j.ctx, j.id)
	f.check(err)
	if !ledger.Balanced || ledger.Total.Read != 2 {
		t.Errorf("ledger %+v", ledger)
	}
	j.cancel()
}

// metric returns a metric of the first subtask of the job's source, "" while there is none.
func (j job) metric(name string) string {
	j.t.Helper()
	now, err := j.jobs.Job(j.ctx, j.id)
	j.check(err)
	url := fmt.Sprintf("http://%s/jobs/%s/vertices/%s/subtasks/0/metrics?get=%s", j.cluster.RestAddr(), j.id, now.Vertices[0].ID, name)
	request, err := http.NewRequestWithContext(j.ctx, http.MethodGet, url, http.NoBody)
	j.check(err)
	response, err := http.DefaultClient.Do(request)
	j.check(err)
	defer response.Body.Close()
	var metrics []struct{ Value string }
	j.check(json.NewDecoder(response.Body).Decode(&metrics))
	if len(metrics) != 1 { // its first heartbeat is to come
		return ""
	}
	return metrics[0].Value
}
