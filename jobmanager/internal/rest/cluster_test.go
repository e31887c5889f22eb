package rest_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobfsm"
	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/rest"
	"pencere/jobmanager/internal/view"
	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/plan"
	"pencere/web"
)

// The ids of the recorded cluster, and one that no job has.
const (
	runningJob       = "caf2e25754f645769b7e2abf332b6ef5"
	finishedJob      = "449371faada4f5b5f67dbbb302f75bb5"
	failedJob        = "9ae81a840775348f4ff86fc70b19876b"
	canceledJob      = "06be52d9e9459c7f9d6919a292281774"
	failedAtStartJob = "776c36390214d126a02e377bbe7aebec"
	unknownJob       = "00000000000000000000000000000001"

	sourceVertex = "cbc357ccb763df2852fee8c4fc7d55f2"
	windowVertex = "90bea66de1c231edf33913ecd54406c1"
	writerVertex = "ce35b437e17c7be0ffdb62e9e0203720"

	taskManagerID = "127.0.0.1:37317-6ab837"
)

var statuses = map[string]jobfsm.Status{
	runningJob:                         jobfsm.Running,
	"1080df016d71b0b4fe7db1c91a3a37fd": jobfsm.Running,
	"8217c1bd7f133fdd57035b14330c3556": jobfsm.Running,
	finishedJob:                        jobfsm.Finished,
	"8dac374c02c10e3322e11ca3c71ef58a": jobfsm.Finished,
	"2ee955d9bacd482d85b13113dff8eb0b": jobfsm.Running,
	"2f3958722c1003e4a85f51df17d83ce5": jobfsm.Running,
	failedJob:                          jobfsm.Failed,
	"6de64ab9149f409353a608ae514ac9ea": jobfsm.Failed,
	failedAtStartJob:                   jobfsm.Failed,
	canceledJob:                        jobfsm.Canceled,
}

// Times of the jobs below, in ms.
const (
	submitted = 1_795_407_539_000
	deployed  = submitted + 2_000
	running   = submitted + 3_000
	ended     = submitted + 60_000
	asked     = submitted + 90_000
)

// fixedCluster is a cluster that never changes.
type fixedCluster struct {
	jobs      map[string]view.Job
	managers  []view.TaskManager
	dir       string
	files     []view.File
	submitted func(jobmaster.Spec) (string, error)
	asked     []jobmaster.SavepointRequest
	disposed  string
}

func (c *fixedCluster) Jobs() []view.Job {
	var jobs []view.Job
	for _, j := range c.jobs {
		jobs = append(jobs, j)
	}
	return jobs
}

func (c *fixedCluster) Job(id string) (view.Job, error) {
	j, ok := c.jobs[id]
	if !ok {
		return view.Job{}, jobmaster.ErrNoJob
	}
	return j, nil
}

func (c *fixedCluster) Files(id string) (string, []view.File, error) {
	if _, err := c.Job(id); err != nil {
		return "", nil, err
	}
	return c.dir, c.files, nil
}

func (c *fixedCluster) TaskManagers() []view.TaskManager { return c.managers }

func (c *fixedCluster) Submit(_ context.Context, spec jobmaster.Spec) (string, error) {
	return c.submitted(spec)
}

func (c *fixedCluster) Rescale(context.Context, string, elastic.Bounds) error { return nil }

func (c *fixedCluster) Cancel(_ context.Context, id string) error {
	j, err := c.Job(id)
	if err != nil {
		return err
	}
	if j.Status.Terminal() && j.Status != jobfsm.Canceled {
		return &jobmaster.TerminalError{Status: j.Status}
	}
	return nil
}

func newCluster() *fixedCluster {
	c := &fixedCluster{
		jobs: make(map[string]view.Job),
		managers: []view.TaskManager{{
			ID: taskManagerID, DataAddress: "localhost:40947", Slots: 4, Free: 2, CPUCores: 2, PhysicalBytes: 25_276_510_208,
			LimitBytes: 512 << 20, HeapBytes: 20 << 20, ResidentBytes: 30 << 20, LastHeartbeat: asked - 500,
			Allocated: []string{runningJob, runningJob},
		}},
		submitted: func(jobmaster.Spec) (string, error) { return strings.Repeat("ab", 16), nil },
	}
	for id, status := range statuses {
		c.jobs[id] = newJob(id, status)
	}
	early := c.jobs[failedAtStartJob]
	early.Vertices = nil
	early.Failures = []view.Failure{{Time: ended, Message: "the plan is of a newer version"}}
	c.jobs[failedAtStartJob] = early
	return c
}

func newJob(id string, status jobfsm.Status) view.Job {
	j := view.Job{
		ID: id, Name: "kdv-2min", Status: status, Start: submitted, Spec: "name: kdv-2min\n", Parallelism: 2,
		Plan:  plan.Job{MaxParallelism: 128, Sink: plan.Sink{CSV: &plan.CSVSink{}}},
		Since: map[jobfsm.Status]int64{jobfsm.Initializing: submitted, jobfsm.Created: submitted + 10, jobfsm.Running: submitted + 20},
	}
	state := map[jobfsm.Status]jobfsm.SubtaskState{
		jobfsm.Running: jobfsm.SubtaskRunning, jobfsm.Finished: jobfsm.SubtaskFinished,
		jobfsm.Failed: jobfsm.SubtaskFailed, jobfsm.Canceled: jobfsm.SubtaskCanceled, jobfsm.Restarting: jobfsm.SubtaskCanceled,
	}[status]
	if status.Terminal() {
		j.End, j.Since[status] = ended, ended
	} else {
		j.Attempt, j.Restarts = 1, 1
	}
	if status == jobfsm.Failed || status == jobfsm.Running {
		j.Failures = []view.Failure{{
			Time: ended, Message: "read topic kdv: no such topic\nask for another one", Task: "Source: src[1] -> Calc[2] (1/2)",
			TaskManagerID: taskManagerID, Endpoint: "localhost:40947",
		}}
	}
	j.Vertices = []view.Vertex{
		newVertex(sourceVertex, "Source: src[1] -> Calc[2]", 2, state),
		newVertex(windowVertex, "GroupWindowAggregate[4] -> Calc[5]", 2, state),
		newVertex(writerVertex, "Sink: csv[6]", 1, state),
	}
	j.Checkpoints = newCheckpoints(id)
	for i := range j.Vertices {
		for s := range j.Vertices[i].Subtasks {
			j.Vertices[i].Subtasks[s].Attempt = j.Attempt
		}
	}
	return j
}

// newCheckpoints are those of the recorded jobs, as far as they have any.
func newCheckpoints(job string) view.Checkpoints {
	newest := map[string]uint64{runningJob: 97, canceledJob: 13, finishedJob: 3}[job]
	c := view.Checkpoints{Config: view.CheckpointConfig{Interval: 5_000, Timeout: 600_000}, Completed: int(newest)}
	for id := newest; id > max(newest, 10)-10; id-- {
		ended := newCheckpoint(id, view.CheckpointCompleted)
		ended.Discarded = id < newest
		c.History = append(c.History, *ended)
		c.Durations, c.Sizes = append(c.Durations, int64(id)), append(c.Sizes, 1000*int64(id))
	}
	if newest > 0 {
		c.LatestCompleted = &c.History[0]
	}
	if job == runningJob {
		c.Failed, c.Restores = 5, 1
		c.LatestSavepoint = newCheckpoint(30, view.CheckpointCompleted)
		c.LatestSavepoint.Kind = checkpoint.Savepoint
		c.LatestFailed = newCheckpoint(72, view.CheckpointFailed)
		c.LatestFailed.Failure = "declined by subtask x/0: disk full"
		c.Restored = &view.Restored{ID: 71, At: running}
	}
	return c
}

// newCheckpoint is triggered 1 s after the start for each of its number, and takes 23 ms. Nobody acks one that failed, and
// not everybody one that is in progress.
func newCheckpoint(id uint64, status view.CheckpointStatus) *view.Checkpoint {
	c := &view.Checkpoint{ID: id, Status: status, Triggered: running + 1000*int64(id)}
	ack := func(i int, after, bytes int64) view.CheckpointAck {
		return view.CheckpointAck{Index: i, At: c.Triggered + after, Bytes: bytes}
	}
	c.Tasks = []view.CheckpointTask{
		{VertexID: sourceVertex, Subtasks: 2, Acks: []view.CheckpointAck{ack(0, 17, 276), ack(1, 18, 276)}},
		{VertexID: windowVertex, Subtasks: 2, Acks: []view.CheckpointAck{ack(0, 20, 60_000), ack(1, 23, 60_870)}},
		{VertexID: writerVertex, Subtasks: 1, Acks: []view.CheckpointAck{ack(0, 18, 0)}},
	}
	switch status {
	case view.CheckpointCompleted:
		c.Ended = c.Triggered + 25
	case view.CheckpointInProgress:
		c.Tasks[1].Acks = c.Tasks[1].Acks[:1]
	case view.CheckpointFailed:
		c.Ended = c.Triggered + 3
		for i := range c.Tasks {
			c.Tasks[i].Acks = nil
		}
	}
	return c
}

func newVertex(id, name string, parallelism int, state jobfsm.SubtaskState) view.Vertex {
	v := view.Vertex{ID: id, Name: name, Parallelism: parallelism, MaxParallelism: 128, Keyed: id != sourceVertex}
	for i := range parallelism {
		s := view.Subtask{
			Index: i, State: state, Start: deployed, TaskManagerID: taskManagerID, Endpoint: "localhost:40947",
			Since: map[jobfsm.SubtaskState]int64{
				jobfsm.SubtaskCreated: submitted + 100, jobfsm.SubtaskScheduled: submitted + 200, jobfsm.SubtaskDeploying: deployed,
				jobfsm.SubtaskInitializing: deployed + 300, jobfsm.SubtaskRunning: running,
			},
			Metrics: view.Metrics{
				RecordsIn: 1000 * int64(i+1), RecordsOut: 900, BytesIn: 150_000, BytesOut: 90_000,
				InputWatermark: 1_741_087_600_000, OutputWatermark: eventtime.None, BusyMs: 400, IdleMs: 50_000,
				BackpressuredMs: 10, RecordsInPerSecond: 2.5, BusyPerSecond: 2, IdlePerSecond: 997.5, BackpressuredPerSec: 0.5,
			},
		}
		if state.Terminal() {
			s.End = ended
			s.Since[state] = ended
		}
		if !v.Keyed {
			s.Splits = []view.Split{{
				Topic: "kdv", Partition: int32(i), Offset: 40, EndOffset: 50 - 51*int64(i), State: view.SplitReading,
				Watermark: 1_741_087_600_000,
			}}
		}
		v.Subtasks = append(v.Subtasks, s)
	}
	return v
}

func newAPI(cluster rest.Cluster) http.Handler {
	return rest.New(rest.Config{
		Cluster: cluster, UI: web.Handler(), Version: "1.20.5", Revision: "0980485",
		Settings: []rest.Setting{{Key: "rest.port", Value: "8081"}},
		Now:      func() time.Time { return time.UnixMilli(asked).UTC() },
	})
}

// ask sends a request and returns the whole answer.
func ask(t testing.TB, api http.Handler, method, uri, body string, headers map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, uri, strings.NewReader(body))
	for name, value := range maps.All(headers) {
		r.Header.Set(name, value)
	}
	return serve(api, r)
}

func serve(api http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w
}

func get(t testing.TB, api http.Handler, uri string) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, api, http.MethodGet, uri, "", nil)
}
