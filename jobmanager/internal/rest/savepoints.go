package rest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/pkg/checkpoint"
)

// maxRequestBytes bounds the JSON body of a request.
const maxRequestBytes = 64 << 10

// The bodies below are Flink's, with its two spellings of the directory. What a field without a use here is for, such as the
// savepoint's format, is left to it: there is one format.
type savepointBody struct {
	Directory *string `json:"target-directory"`
	CancelJob bool    `json:"cancel-job"`
	TriggerID *string `json:"triggerId"`
}

type stopBody struct {
	Directory *string `json:"targetDirectory"`
	Drain     bool    `json:"drain"`
	TriggerID *string `json:"triggerId"`
}

type checkpointBody struct {
	Type      *string `json:"checkpointType"`
	TriggerID *string `json:"triggerId"`
}

type disposalBody struct {
	Path *string `json:"savepoint-path"`
}

// triggerSavepoint is flink savepoint, and with cancel-job flink cancel -s: that one stops the job with the savepoint, so that no
// row is in both it and a job that goes on from it.
func (s *server) triggerSavepoint(r *http.Request) (any, error) {
	var body savepointBody
	if err := readBody(r, "SavepointTriggerRequestBody", &body); err != nil {
		return nil, err
	}
	kind := checkpoint.Savepoint
	if body.CancelJob {
		kind = checkpoint.Stop
	}
	return s.trigger(r, body.TriggerID, jobmaster.SavepointRequest{Kind: kind, Dir: orEmpty(body.Directory)})
}

// stop is flink stop.
func (s *server) stop(r *http.Request) (any, error) {
	var body stopBody
	if err := readBody(r, "StopWithSavepointRequestBody", &body); err != nil {
		return nil, err
	}
	kind := checkpoint.Stop
	if body.Drain {
		kind = checkpoint.Drain
	}
	return s.trigger(r, body.TriggerID, jobmaster.SavepointRequest{Kind: kind, Dir: orEmpty(body.Directory)})
}

// triggerCheckpoint is flink checkpoint. All checkpoints are full.
func (s *server) triggerCheckpoint(r *http.Request) (any, error) {
	var body checkpointBody
	if err := readBody(r, "CheckpointTriggerRequestBody", &body); err != nil {
		return nil, err
	}
	switch kind := orEmpty(body.Type); kind {
	case "", "CONFIGURED", "FULL", "INCREMENTAL":
	default:
		return nil, &problem{http.StatusBadRequest, []string{
			fmt.Sprintf("checkpointType %q: want CONFIGURED, FULL or INCREMENTAL", kind)}}
	}
	return s.trigger(r, body.TriggerID, jobmaster.SavepointRequest{Kind: checkpoint.Periodic})
}

// trigger begins what a request asks for. What cannot be is told at once: Flink's CLI understands no other form of a failure but a
// serialized Java exception.
func (s *server) trigger(r *http.Request, chosen *string, request jobmaster.SavepointRequest) (any, error) {
	var err error
	if request.JobID, err = hexID(r, "jobid"); err != nil {
		return nil, err
	}
	if request.Trigger, err = triggerID(chosen); err != nil {
		return nil, err
	}
	err = s.Cluster.Savepoint(request)
	var ended *jobmaster.TerminalError
	switch {
	case err == nil:
		return accepted{map[string]string{"request-id": request.Trigger}}, nil
	case errors.Is(err, jobmaster.ErrNoJob):
		return nil, notFound("Could not find Flink job (%s)", request.JobID)
	case errors.As(err, &ended):
		return nil, &problem{http.StatusConflict, []string{fmt.Sprintf("job %s: %v", request.JobID, err)}}
	case errors.Is(err, jobmaster.ErrNotLeading):
		return nil, err
	default:
		return nil, &problem{http.StatusBadRequest, []string{err.Error()}}
	}
}

// disposeSavepoint is flink savepoint -d. Alone of all triggers it answers with 200.
func (s *server) disposeSavepoint(r *http.Request) (any, error) {
	var body disposalBody
	if err := readBody(r, "SavepointDisposalRequest", &body); err != nil {
		return nil, err
	}
	if body.Path == nil {
		return nil, &problem{http.StatusBadRequest, []string{"Field savepoint-path must not be omitted or be null."}}
	}
	trigger, err := triggerID(nil)
	if err != nil {
		return nil, err
	}
	err = s.Cluster.DisposeSavepoint(trigger, *body.Path)
	switch {
	case errors.Is(err, jobmaster.ErrNotLeading):
		return nil, err
	case err != nil:
		return nil, &problem{http.StatusBadRequest, []string{err.Error()}}
	}
	return map[string]string{"request-id": trigger}, nil
}

func (s *server) savepointOperation(r *http.Request) (any, error) {
	return s.operation(r, jobmaster.OperationSavepoint, func(o jobmaster.Operation) any {
		return map[string]string{"location": o.Location}
	})
}

func (s *server) checkpointOperation(r *http.Request) (any, error) {
	return s.operation(r, jobmaster.OperationCheckpoint, func(o jobmaster.Operation) any {
		return map[string]checkpoint.ID{"checkpointId": o.CheckpointID}
	})
}

func (s *server) disposalOperation(r *http.Request) (any, error) {
	return s.operation(r, jobmaster.OperationDisposal, func(jobmaster.Operation) any { return struct{}{} })
}

var operationNames = map[jobmaster.OperationKind]string{
	jobmaster.OperationSavepoint: "savepoint", jobmaster.OperationCheckpoint: "checkpoint", jobmaster.OperationDisposal: "savepoint disposal",
}

// operation answers how far an operation is. done makes its result.
func (s *server) operation(r *http.Request, kind jobmaster.OperationKind, done func(jobmaster.Operation) any) (any, error) {
	key := jobmaster.OperationKey{Kind: kind}
	var err error
	if kind != jobmaster.OperationDisposal {
		if key.JobID, err = hexID(r, "jobid"); err != nil {
			return nil, err
		}
	}
	value := r.PathValue("trigger")
	id, ok := canonicalID(value)
	if !ok {
		return nil, badParameter("path", "triggerid", value)
	}
	key.Trigger = id
	o, err := s.Cluster.Operation(key)
	type status struct {
		ID string `json:"id"`
	}
	type answer struct {
		Status    status `json:"status"`
		Operation any    `json:"operation"`
	}
	switch {
	case errors.Is(err, jobmaster.ErrNoOperation) && key.JobID == "":
		return nil, notFound("There is no %s operation with triggerId=%s.", operationNames[kind], id)
	case errors.Is(err, jobmaster.ErrNoOperation):
		return nil, notFound("There is no %s operation with triggerId=%s for job %s.", operationNames[kind], id, key.JobID)
	case err != nil:
		return nil, err
	case !o.Done:
		return answer{Status: status{"IN_PROGRESS"}}, nil
	case o.Err != nil:
		return nil, &problem{http.StatusInternalServerError, []string{o.Err.Error()}}
	default:
		return answer{Status: status{"COMPLETED"}, Operation: done(o)}, nil
	}
}

// readBody reads a JSON body as Flink does: none is an empty one, unknown fields and what follows it are skipped. A browser that
// shows a page of another site is refused.
func readBody(r *http.Request, name string, into any) error {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return &problem{http.StatusForbidden, []string{err.Error()}}
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBytes+1))
	if err != nil {
		return &problem{http.StatusBadRequest, []string{fmt.Sprintf("read the request: %v", err)}}
	}
	if len(data) > maxRequestBytes {
		return &problem{http.StatusRequestEntityTooLarge, []string{fmt.Sprintf("a request may have %d bytes", maxRequestBytes)}}
	}
	err = json.NewDecoder(strings.NewReader(string(data))).Decode(into)
	if err != nil && !errors.Is(err, io.EOF) {
		return &problem{http.StatusBadRequest, []string{fmt.Sprintf("Request did not match expected format %s. %v", name, err)}}
	}
	return nil
}

// triggerID returns the id that the client chose, or a new one.
func triggerID(chosen *string) (string, error) {
	if chosen == nil {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
		return hex.EncodeToString(id[:]), nil
	}
	id, ok := canonicalID(*chosen)
	if !ok {
		return "", &problem{http.StatusBadRequest, []string{fmt.Sprintf("triggerId %q: want 32 hexadecimal digits", *chosen)}}
	}
	return id, nil
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
