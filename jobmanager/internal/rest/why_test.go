package rest_test

import (
	"encoding/json"
	"testing"
	"time"

	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/eventtime"
	"pencere/pkg/plan"

	"github.com/google/go-cmp/cmp"
)

type whyAnswer struct {
	Findings []struct {
		Severity, Kind, Sentence, Remedy string
		VertexID                         string `json:"vertex-id"`
		Splits                           []struct {
			Topic     string
			Partition int32
		}
	}
	Facts struct {
		OpenWindows int64 `json:"open-windows"`
		Windows     []struct{ Start, End, Groups int64 }
		Splits      []struct {
			Partition int32
			Watermark int64
			Missing   *int64 `json:"missing-event-time"`
		}
		Records struct{ Read, Late int64 }
		Output  struct{ Rows int64 }
	}
}

func askWhy(t *testing.T, cluster *fixedCluster, path string) whyAnswer {
	t.Helper()
	answer := get(t, newAPI(cluster), path)
	if answer.Code != 200 {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	var got whyAnswer
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// One partition is silent: the answer names it, and the record that it lacks.
func TestWhy(t *testing.T) {
	cluster := newCluster()
	job := cluster.jobs[runningJob]
	job.Restarts, job.Failures = 0, nil
	job.Plan.Source.Kafka = &plan.KafkaSource{Topics: []string{"kdv"}, Start: plan.StartEarliest}
	job.Plan.Source.Watermark = &plan.Watermark{Column: "ts", Delay: 5 * time.Second}
	job.Plan.Window = &plan.Window{Size: 2 * time.Minute}
	job.SplitNames = []view.SplitName{{Topic: "kdv"}, {Topic: "kdv", Partition: 1}}
	source, keyed := &job.Vertices[0], &job.Vertices[1]
	end := int64(1741087560000)
	source.Subtasks[1].Splits[0].Watermark = eventtime.Watermark(end - 60_000)
	source.Subtasks[1].Splits[0].SilentMs = 40_000
	for i := range keyed.Subtasks {
		keyed.Subtasks[i].Metrics.OpenWindows = 3
		keyed.Subtasks[i].Windows = []view.Window{
			{Start: end - 120_000, End: end, FiresAt: eventtime.Watermark(end - 1), Groups: 6},
			{Start: end, End: end + 120_000, FiresAt: eventtime.Watermark(end + 119_999), Groups: 1},
		}
	}
	cluster.jobs[runningJob] = job
	cluster.files = []view.File{{Name: "a", State: view.FileFinished, Rows: 5, Modified: asked - 1000}, {Name: "b", State: view.FilePending, Rows: 2}}

	got := askWhy(t, cluster, "/v1/jobs/"+runningJob+"/why")
	if diff := cmp.Diff(got, askWhy(t, cluster, "/jobs/"+runningJob+"/why")); diff != "" {
		t.Errorf("without /v1 it is another:\n%s", diff)
	}
	first := got.Findings[0]
	if first.Severity != "problem" || first.Kind != "watermark-held-back" || first.VertexID != sourceVertex || len(first.Splits) != 1 || first.Splits[0].Partition != 1 {
		t.Errorf("first finding %+v", first)
	}
	want := "Partition 1 holds the watermark back, without a record for 40 s, at 2025-03-04 11:25:00: the others have passed the end of window [2025-03-04 11:24:00, 2025-03-04 11:26:00) with 12 rows."
	if first.Sentence != want {
		t.Errorf("sentence\n got %s\nwant %s", first.Sentence, want)
	}
	facts := got.Facts
	if facts.OpenWindows != 3 || len(facts.Windows) != 2 || facts.Windows[0].Groups != 12 || facts.Output.Rows != 5 || facts.Records.Read != 3000 {
		t.Errorf("facts %+v", facts)
	}
	if s := facts.Splits; len(s) != 2 || s[0].Missing != nil || s[1].Missing == nil || *s[1].Missing != end+4_999 {
		t.Errorf("splits %+v", s)
	}
}

// Every job has an answer, whatever became of it.
func TestWhyOfAnyJob(t *testing.T) {
	cluster := newCluster()
	cluster.jobs[unknownJob] = newJob(unknownJob, jobfsm.Initializing)
	for id, job := range cluster.jobs {
		if got := askWhy(t, cluster, "/jobs/"+id+"/why"); len(got.Findings) == 0 || got.Findings[0].Sentence == "" {
			t.Errorf("%s: %+v", job.Status, got)
		}
	}
	delete(cluster.jobs, unknownJob)
	answer := get(t, newAPI(cluster), "/jobs/"+unknownJob+"/why")
	checkError(t, "no such job", answer.Code, answer.Body.Bytes(), 404, "Job "+unknownJob+" not found")
}
