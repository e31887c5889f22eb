package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The statuses in which a job has ended, by Flink's names.
const (
	Finished = "FINISHED"
	Failed   = "FAILED"
	Canceled = "CANCELED"
)

// Terminal reports whether a job with this status has ended for good.
func Terminal(status string) bool {
	return status == Finished || status == Failed || status == Canceled
}

// Spec is a job as it is submitted.
type Spec struct {
	Text []byte // YAML
	Name string // of its file: what errors call it
	// Vars are the values of the variables that the text names.
	Vars map[string]string
	// Savepoint is the folder of a savepoint that the job goes on from; "" for a job that begins.
	Savepoint string
	// AllowNonRestoredState lets it go on without state that it has no vertex for.
	AllowNonRestoredState bool
}

// Submitted is a job that was taken.
type Submitted struct {
	ID  string // 32 hexadecimal digits
	Web string // URL of its page
}

// Submit starts a job. What is wrong with its spec comes as an *APIError with status 400. An *AmbiguousError says that
// the job may run or not.
func (c *Client) Submit(ctx context.Context, spec Spec) (Submitted, error) {
	query := url.Values{"name": {spec.Name}}
	for name, value := range spec.Vars {
		query.Set("var."+name, value)
	}
	if spec.Savepoint != "" {
		query.Set("savepoint-path", spec.Savepoint)
		query.Set("allow-non-restored-state", strconv.FormatBool(spec.AllowNonRestoredState))
	}
	var answer struct {
		ID string `json:"jobid"`
	}
	post := call{method: http.MethodPost, path: "/jobs", query: query, contentType: "application/yaml", body: spec.Text, once: true}
	if err := c.do(ctx, post, &answer); err != nil {
		_, lost := errors.AsType[*transportError](err)
		if _, unreachable := errors.AsType[*UnreachableError](err); lost && !unreachable {
			return Submitted{}, &AmbiguousError{Err: err}
		}
		return Submitted{}, err
	}
	return Submitted{ID: answer.ID, Web: c.web("/#/jobs/" + answer.ID)}, nil
}

// Web returns the URL of the web UI of the jobmanager that answered last.
func (c *Client) Web() string { return c.web("/") }

func (c *Client) web(path string) string { return c.bases[c.answer.Load()].String() + path }

// JobSummary is a line of the list of jobs. Times are ms since 1970, -1 for not yet.
type JobSummary struct {
	ID         string         `json:"jid"`
	Name       string         `json:"name"`
	State      string         `json:"state"`
	StartTime  int64          `json:"start-time"`
	EndTime    int64          `json:"end-time"`
	DurationMs int64          `json:"duration"`
	Tasks      map[string]int `json:"tasks"`
}

// Jobs returns all jobs that are known, the ended ones too.
func (c *Client) Jobs(ctx context.Context) ([]JobSummary, error) {
	var answer struct {
		Jobs []JobSummary `json:"jobs"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/jobs/overview"}, &answer)
	return answer.Jobs, err
}

// Job is how a job is doing.
type Job struct {
	ID         string `json:"jid"`
	Name       string `json:"name"`
	State      string `json:"state"`
	DurationMs int64  `json:"duration"`
	Restarts   int    `json:"restarts"`
	Notice     string `json:"notice"` // what it waits for, "" for nothing
	// ManifestHead is the hash of the last entry of the job's manifest, "" without entries.
	ManifestHead string `json:"manifest-head"`
	// DeadLetterHead is the same of the manifest of its dead letters.
	DeadLetterHead string   `json:"dead-letter-manifest-head"`
	Vertices       []Vertex `json:"vertices"`
}

// Vertex is a part of a job.
type Vertex struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Parallelism int    `json:"parallelism"`
	Status      string `json:"status"`
	Metrics     struct {
		ReadRecords  int64 `json:"read-records"`
		WriteRecords int64 `json:"write-records"`
	} `json:"metrics"`
}

// Duration returns how long the job has run, or ran.
func (j Job) Duration() time.Duration { return time.Duration(j.DurationMs) * time.Millisecond }

// Job returns how a job is doing. One that is not known is an *APIError with status 404.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	var job Job
	err := c.do(ctx, call{method: http.MethodGet, path: "/jobs/" + id}, &job)
	return job, err
}

// Split is how far a partition was read.
type Split struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"current-offset"` // the next to read
	EndOffset int64  `json:"end-offset"`     // -1 for unknown
	Lag       int64  `json:"lag"`            // records; -1 for unknown
	State     string `json:"state"`          // reading, waiting or finished
	Reason    string `json:"reason"`         // why it waits
	Idle      bool   `json:"idle"`
}

// Splits returns how far each partition of a job was read.
func (c *Client) Splits(ctx context.Context, id string) ([]Split, error) {
	var answer struct {
		Splits []Split `json:"splits"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/jobs/" + id + "/splits"}, &answer)
	return answer.Splits, err
}

// Fates are what became of the records that were read: Read is the sum of those up to Open when the ledger balances.
type Fates struct {
	Read         int64 `json:"read"`
	Emitted      int64 `json:"emitted"`
	Filtered     int64 `json:"filtered"`
	Late         int64 `json:"late"`
	DeadLettered int64 `json:"dead-lettered"`
	Skipped      int64 `json:"skipped"`
	Collapsed    int64 `json:"collapsed"`
	Open         int64 `json:"open"`
	Lost         int64 `json:"lost"`        // gone before they could be read
	Truncations  int64 `json:"truncations"` // how often the partition was cut or made anew, by which nobody knows how many are gone
}

// SplitFates are those of the records of a partition.
type SplitFates struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Fates
	// The offsets that were read, from StartOffset to before NextOffset.
	StartOffset int64 `json:"start-offset"`
	NextOffset  int64 `json:"next-offset"`
}

// Ledger accounts for the records of a job as of a checkpoint, the newest; 0 for none yet.
type Ledger struct {
	Balanced     bool         `json:"balanced"`
	Imbalance    string       `json:"imbalance"` // what is wrong, "" for nothing
	CheckpointID uint64       `json:"checkpoint-id"`
	Total        Fates        `json:"total"`
	Splits       []SplitFates `json:"splits"`
}

// Ledger returns the ledger of a job. One that is not known is an *APIError with status 404.
func (c *Client) Ledger(ctx context.Context, id string) (Ledger, error) {
	var ledger Ledger
	err := c.do(ctx, call{method: http.MethodGet, path: "/jobs/" + id + "/ledger"}, &ledger)
	return ledger, err
}

// File is a part file of a job.
type File struct {
	Name  string `json:"name"`
	State string `json:"state"` // in-progress, pending or finished
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

// FileFinished is the state of a part file that is visible and never touched again.
const FileFinished = "finished"

// Files are the part files of a job.
type Files struct {
	Path  string `json:"path"` // the directory, as the job names it
	Files []File `json:"files"`
}

// Files returns the part files of a job.
func (c *Client) Files(ctx context.Context, id string) (Files, error) {
	var files Files
	err := c.do(ctx, call{method: http.MethodGet, path: "/jobs/" + id + "/files"}, &files)
	return files, err
}

// RootCause returns the newest failure of a job, "" when it had none.
func (c *Client) RootCause(ctx context.Context, id string) (string, error) {
	var answer struct {
		History struct {
			Entries []struct {
				Stacktrace string `json:"stacktrace"`
				TaskName   string `json:"taskName"`
			} `json:"entries"`
		} `json:"exceptionHistory"`
	}
	query := url.Values{"maxExceptions": {"1"}}
	if err := c.do(ctx, call{method: http.MethodGet, path: "/jobs/" + id + "/exceptions", query: query}, &answer); err != nil {
		return "", err
	}
	if len(answer.History.Entries) == 0 {
		return "", nil
	}
	newest := answer.History.Entries[0]
	if newest.TaskName == "" {
		return newest.Stacktrace, nil
	}
	return newest.TaskName + ": " + newest.Stacktrace, nil
}

// Cancel asks a job to end. One that is not known is an *APIError with status 404, one that has ended with 409.
func (c *Client) Cancel(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodPatch, path: "/jobs/" + id, query: url.Values{"mode": {"cancel"}}}, nil)
}

// Overview is the size of the cluster.
type Overview struct {
	TaskManagers   int `json:"taskmanagers"`
	SlotsTotal     int `json:"slots-total"`
	SlotsAvailable int `json:"slots-available"`
}

// Overview returns the size of the cluster.
func (c *Client) Overview(ctx context.Context) (Overview, error) {
	var overview Overview
	err := c.do(ctx, call{method: http.MethodGet, path: "/overview"}, &overview)
	return overview, err
}
