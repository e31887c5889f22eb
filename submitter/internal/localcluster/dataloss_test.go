package localcluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

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
	j.awaitLoss(2, 3)
	answer := j.get("/jobs/" + j.id + "/why")
	for _, sentence := range []string{"3 records were gone from Kafka before the job had read that far, in partition 0", "retention.ms"} {
		if !strings.Contains(answer, sentence) {
			t.Errorf("%q is not in %s", sentence, answer)
		}
	}
	j.cancel()
}

// awaitLoss waits until a balanced ledger says how much was read and lost.
func (j job) awaitLoss(read, lost int64) {
	j.t.Helper()
	j.poll(fmt.Sprintf("%d records read, %d lost", read, lost), func() bool {
		ledger, err := j.jobs.Ledger(j.ctx, j.id)
		j.check(err)
		return ledger.Balanced && ledger.Total.Read == read && ledger.Total.Lost == lost && ledger.Total.Truncations == 0 && ledger.Splits[0].Lost == lost
	})
}

// What is lost is counted once, though the job dies and goes on from a checkpoint, and then from a savepoint, at other parallelisms.
func TestDataLossIsCountedOnce(t *testing.T) {
	f := newFixture(t, 0)
	stop, err := f.cluster.AddTaskManager()
	f.check(err)
	topic := partitions{records(at(1, 1), at(2, 2), at(3, 3), at(4, 4), at(5, 5), at(6, 6))}
	s := spec{passThrough: true, onDataLoss: "earliest", restarts: 3}
	j := f.lossy(s, topic, 1, 4)
	s.topic, s.group = "topic-1", "lossy-earliest"
	j.awaitLoss(2, 3)
	_, err = f.cluster.AddTaskManager()
	f.check(err)
	stop()
	more := records(at(7, 7), at(8, 8), at(9, 9), at(10, 10))
	f.produce(s.topic, partitions{more[:1]})
	j.awaitLoss(3, 3)
	now, err := f.jobs.Job(f.ctx, j.id)
	f.check(err)
	if now.Restarts == 0 {
		t.Error("the job was to begin again")
	}

	location, err := f.jobs.Stop(f.ctx, j.id, t.TempDir(), false)
	f.check(err)
	j.end(client.Finished)
	f.produce(s.topic, partitions{more[1:]})
	gone := make(kadm.Offsets)
	gone.AddOffset(s.topic, 0, 9, -1)
	_, err = f.admin.DeleteRecords(f.ctx, gone)
	f.check(err)
	s.parallelism = 1
	again := j.resume(s, location)
	again.awaitLoss(4, 5)
	again.cancel()
}

// Dead letters and what is lost or left out are counted while no checkpoint is.
func TestLiveCounts(t *testing.T) {
	f := newFixture(t, 1)
	j := f.submit(spec{topic: f.topic(partitions{append(records(at(1, 100), at(2, 1)), "{", tombstone)}), deadLetters: true, window: time.Second, parallelism: 1, interval: time.Hour})
	for name, want := range map[string]string{"numRecordsDeadLettered": "2", "numLateRecordsDeadLettered": "1", "numRecordsEmpty": "1"} {
		j.poll(name+" is "+want, func() bool { return j.metric(name) == want })
	}
	if answer := j.get("/jobs/" + j.id + "/why"); !strings.Contains(answer, "2 records of 4 were handed to the dead letters") {
		t.Error(answer)
	}
	ledger, err := j.jobs.Ledger(j.ctx, j.id)
	f.check(err)
	if ledger.CheckpointID != 0 {
		t.Errorf("there is a checkpoint: %+v", ledger)
	}
	j.cancel()
}

// metric returns a metric of the first subtask of the job's source, "" while there is none.
func (j job) metric(name string) string {
	j.t.Helper()
	now, err := j.jobs.Job(j.ctx, j.id)
	j.check(err)
	answer := j.get(fmt.Sprintf("/jobs/%s/vertices/%s/subtasks/0/metrics?get=%s", j.id, now.Vertices[0].ID, name))
	var metrics []struct{ Value string }
	j.check(json.Unmarshal([]byte(answer), &metrics))
	if len(metrics) != 1 { // its first heartbeat is to come
		return ""
	}
	return metrics[0].Value
}

// get returns what the jobmanager answers.
func (j job) get(path string) string {
	j.t.Helper()
	request, err := http.NewRequestWithContext(j.ctx, http.MethodGet, "http://"+j.cluster.RestAddr()+path, http.NoBody)
	j.check(err)
	response, err := http.DefaultClient.Do(request)
	j.check(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	j.check(err)
	return string(answer)
}
