package rest

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/pkg/jobspec"
)

const maxSpecBytes = 1 << 20

// submit takes a job spec as its body is written. Query parameters var.NAME are the variables that it names, name is
// the file that errors speak of, savepoint-path is what the job goes on from, allow-non-restored-state is Flink's.
func (s *server) submit(r *http.Request) (any, error) {
	if err := checkSpecType(r.Header.Get("Content-Type")); err != nil {
		return nil, err
	}
	spec, err := readSpec(r)
	if err != nil {
		return nil, err
	}
	id, err := s.Cluster.Submit(r.Context(), spec)
	if wrong, ok := errors.AsType[jobspec.Errors](err); ok {
		lines := make([]string, len(wrong))
		for i, e := range wrong {
			lines[i] = e.Error()
		}
		return nil, &problem{http.StatusBadRequest, lines}
	}
	if wrong, ok := errors.AsType[*jobmaster.RestoreError](err); ok {
		return nil, &problem{http.StatusBadRequest, wrong.Lines()}
	}
	if err != nil {
		return nil, err
	}
	return accepted{map[string]string{"jobid": id, "jobUrl": "/jobs/" + id}}, nil
}

// checkSpecType takes only types that a page of another site cannot send without asking first, which OPTIONS refuses.
func checkSpecType(contentType string) error {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = contentType
	}
	switch kind {
	case "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "application/octet-stream":
		return nil
	case "multipart/form-data":
		return &problem{http.StatusUnsupportedMediaType, []string{
			"A Java job graph cannot run here. Post a job spec (Content-Type: application/yaml), or use: submitter run job.yaml"}}
	default:
		return &problem{http.StatusUnsupportedMediaType, []string{
			fmt.Sprintf("Content-Type %q is not that of a job spec: send application/yaml", contentType)}}
	}
}

func readSpec(r *http.Request) (jobmaster.Spec, error) {
	spec := jobmaster.Spec{File: "job.yaml", Vars: make(map[string]string)}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return spec, &problem{http.StatusBadRequest, []string{fmt.Sprintf("query string: %v", err)}}
	}
	if name := query.Get("name"); name != "" {
		spec.File = name
	}
	spec.Savepoint = query.Get("savepoint-path")
	switch allow := query.Get("allow-non-restored-state"); allow {
	case "", "false":
	case "true":
		spec.AllowNonRestoredState = true
	default:
		return spec, badParameter("query", "allow-non-restored-state", allow)
	}
	for key, values := range query {
		if name, ok := strings.CutPrefix(key, "var."); ok {
			spec.Vars[name] = values[0]
		}
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxSpecBytes+1))
	if err != nil {
		return spec, &problem{http.StatusBadRequest, []string{fmt.Sprintf("read the job spec: %v", err)}}
	}
	if len(text) > maxSpecBytes {
		return spec, &problem{http.StatusRequestEntityTooLarge, []string{
			fmt.Sprintf("%s: a job spec may have %d bytes", spec.File, maxSpecBytes)}}
	}
	spec.Text = string(text)
	return spec, nil
}

// terminate is flink cancel. The mode stop is one that Flink dropped.
func (s *server) terminate(r *http.Request) (any, error) {
	switch mode := r.URL.Query().Get("mode"); strings.ToLower(mode) {
	case "", "cancel":
		return s.cancel(r)
	case "stop":
		if _, err := hexID(r, "jobid"); err != nil {
			return nil, err
		}
		return nil, &problem{http.StatusPermanentRedirect, []string{
			`The termination mode "stop" has been removed. For an ungraceful shutdown, please use "cancel" instead. ` +
				`For a graceful shutdown, please use "jobs/:jobId/stop" instead.`}}
	default:
		return nil, badParameter("query", "mode", mode)
	}
}

func (s *server) cancel(r *http.Request) (any, error) {
	id, err := hexID(r, "jobid")
	if err != nil {
		return nil, err
	}
	err = s.Cluster.Cancel(r.Context(), id)
	var ended *jobmaster.TerminalError
	switch {
	case errors.Is(err, jobmaster.ErrNoJob):
		return nil, notFound("Job could not be found.")
	case errors.As(err, &ended):
		return nil, &problem{http.StatusConflict, []string{fmt.Sprintf(
			"Job cancellation failed because the job has already reached another terminal state (%s).", ended.Status)}}
	case err != nil:
		return nil, err
	}
	return accepted{struct{}{}}, nil
}
