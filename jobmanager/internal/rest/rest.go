// Package rest is the jobmanager's HTTP API: Flink's REST API v1
// (https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/ops/rest_api/), so that Flink's CLI, its dashboard
// and the monitors written for it work here, and beside it, in the same style, what Flink has no place for.
//
// Answers hold the fields of Flink 1.20 and of 2.x together: clients skip a field that they do not know, and refuse an
// answer in which a number is missing. Times are ms since 1970, durations ms, sizes bytes; "not yet" is -1.
package rest

import (
	"context"
	"net/http"
	"time"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/view"
)

// Cluster is what the API shows and changes. It is safe for concurrent use; what it returns belongs to the caller.
type Cluster interface {
	// Jobs returns all jobs in any order.
	Jobs() []view.Job
	// Job returns a job, or jobmaster.ErrNoJob.
	Job(id string) (view.Job, error)
	// Files returns the directory that a job writes to and its part files, or jobmaster.ErrNoJob.
	Files(id string) (dir string, files []view.File, err error)
	TaskManagers() []view.TaskManager
	// Submit starts a job and returns its id. What is wrong with the spec comes as jobspec.Errors; a jobmanager that
	// does not lead returns jobmaster.ErrNotLeading.
	Submit(ctx context.Context, spec jobmaster.Spec) (jobID string, err error)
	// Cancel asks a job to end. It returns jobmaster.ErrNoJob, or a *jobmaster.TerminalError for one that ended otherwise.
	Cancel(ctx context.Context, id string) error
	// Savepoint begins a savepoint or checkpoint. It returns jobmaster.ErrNoJob, jobmaster.ErrNoSavepointDir, a *jobmaster.TerminalError
	// for a job that has ended, or what is wrong with the directory.
	Savepoint(r jobmaster.SavepointRequest) error
	// Rescale sets the bounds of a job's parallelism. It returns jobmaster.ErrNoJob, a *jobmaster.TerminalError or a *jobmaster.BoundsError.
	Rescale(ctx context.Context, id string, b elastic.Bounds) error
	// DisposeSavepoint begins to remove the savepoint at a location.
	DisposeSavepoint(trigger, location string) error
	// Operation says how far either is, or returns jobmaster.ErrNoOperation.
	Operation(key jobmaster.OperationKey) (jobmaster.Operation, error)
}

// Setting is a line of the jobmanager's configuration.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Config is what the API is made of.
type Config struct {
	Cluster Cluster
	Members Members
	// UI answers every GET that is not the API's: the web UI's files, or 404 in Flink's form.
	UI http.Handler
	// Version and Revision of the program are shown as Flink's are.
	Version, Revision string
	// Settings are listed as they are: secrets must be masked.
	Settings []Setting
	Now      func() time.Time
}

type server struct {
	Config
	mux *http.ServeMux
}

// New returns the API, each path with and without the prefix /v1. It is safe for concurrent use.
func New(cfg Config) http.Handler {
	s := &server{Config: cfg, mux: http.NewServeMux()}
	for pattern, h := range s.handlers() {
		s.mux.Handle(pattern, answering(h))
	}
	s.mux.HandleFunc("GET /jobs/{jobid}/spec", s.spec)
	s.mux.HandleFunc("GET /jobs/{jobid}/files/{name}", s.filePreview)
	return s
}

// handler returns what is written as JSON with status 200, or with 202 for an accepted. The status and the texts of an
// error are those of a *problem, else of an internal error.
type handler func(r *http.Request) (any, error)

func (s *server) handlers() map[string]handler {
	const (
		job        = "/jobs/{jobid}"
		checkpoint = job + "/checkpoints/details/{checkpointid}"
		vertex     = job + "/vertices/{vertexid}"
		subtask    = vertex + "/subtasks/{subtaskindex}"
		tm         = "/taskmanagers/{taskmanagerid}"
	)
	return map[string]handler{
		"GET /health":                 s.health,
		"GET /overview":               s.overview,
		"GET /config":                 s.dashboardConfig,
		"GET /datasets":               s.datasets,
		"GET /jobmanager/config":      s.jobmanagerConfig,
		"GET /jobmanager/environment": s.jobmanagerEnvironment,
		"GET /jobmanager/metrics":     s.jobmanagerMetrics,
		"POST /savepoint-disposal":    s.disposeSavepoint,
		"GET /taskmanagers":           s.taskManagers,
		"GET /taskmanagers/metrics":   s.taskManagersMetrics,
		"GET " + tm:                   s.taskManager,

		"GET /savepoint-disposal/{trigger}": s.disposalOperation,

		"GET " + MembersPath:                    s.members,
		"POST " + MembersPath:                   s.addMember,
		"DELETE " + MembersPath + "/{memberid}": s.removeMember,

		"GET " + tm + "/metrics": s.taskManagerMetrics,

		"GET /jobs":          s.jobIDs,
		"POST /jobs":         s.submit,
		"GET /jobs/overview": s.jobsOverview,
		"GET /jobs/metrics":  s.jobsMetrics,

		"GET " + job:                             s.jobDetails,
		"PATCH " + job:                           s.terminate,
		"GET " + job + "/yarn-cancel":            s.cancel,
		"GET " + job + "/status":                 s.jobStatus,
		"GET " + job + "/plan":                   s.jobPlan,
		"GET " + job + "/config":                 s.jobConfig,
		"GET " + job + "/exceptions":             s.jobExceptions,
		"GET " + job + "/execution-result":       s.executionResult,
		"GET " + job + "/accumulators":           s.jobAccumulators,
		"GET " + job + "/metrics":                s.jobMetrics,
		"GET " + job + "/checkpoints":            s.checkpoints,
		"GET " + job + "/checkpoints/config":     s.checkpointsConfig,
		"POST " + job + "/checkpoints":           s.triggerCheckpoint,
		"GET " + job + "/checkpoints/{trigger}":  s.checkpointOperation,
		"POST " + job + "/savepoints":            s.triggerSavepoint,
		"GET " + job + "/savepoints/{trigger}":   s.savepointOperation,
		"POST " + job + "/stop":                  s.stop,
		"GET " + job + "/ledger":                 s.ledger,
		"GET " + job + "/why":                    s.why,
		"GET " + job + "/files":                  s.files,
		"GET " + job + "/resource-requirements":  s.resourceRequirements,
		"PUT " + job + "/resource-requirements":  s.setResourceRequirements,
		"GET " + job + "/splits":                 s.splits,
		"GET " + job + "/jobmanager/config":      s.jobmanagerConfig,
		"GET " + job + "/jobmanager/environment": s.jobmanagerEnvironment,

		"GET " + checkpoint:                          s.checkpointDetails,
		"GET " + checkpoint + "/subtasks/{vertexid}": s.checkpointTask,

		"GET " + vertex:                            s.vertexDetails,
		"GET " + vertex + "/subtasktimes":          s.subtaskTimes,
		"GET " + vertex + "/taskmanagers":          s.vertexTaskManagers,
		"GET " + vertex + "/watermarks":            s.watermarks,
		"GET " + vertex + "/backpressure":          s.backpressure,
		"GET " + vertex + "/flamegraph":            s.flameGraph,
		"GET " + vertex + "/accumulators":          s.vertexAccumulators,
		"GET " + vertex + "/metrics":               s.vertexMetrics,
		"GET " + vertex + "/jm-operator-metrics":   s.coordinatorMetrics,
		"GET " + vertex + "/subtasks/accumulators": s.subtasksAccumulators,
		"GET " + vertex + "/subtasks/metrics":      s.subtasksMetrics,

		"GET " + subtask:                                      s.subtaskDetails,
		"GET " + subtask + "/metrics":                         s.subtaskMetrics,
		"GET " + subtask + "/attempts/{attempt}":              s.attemptDetails,
		"GET " + subtask + "/attempts/{attempt}/accumulators": s.attemptAccumulators,
	}
}
