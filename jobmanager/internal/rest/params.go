package rest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/view"
)

func badParameter(kind, name, value string) error {
	return &problem{http.StatusBadRequest, []string{fmt.Sprintf(
		"Bad request, could not parse parameters: Cannot resolve %s parameter (%s) from value %q.", kind, name, value)}}
}

// hexID reads the id of a job or vertex. Upper case is tolerated.
func hexID(r *http.Request, name string) (string, error) {
	value := r.PathValue(name)
	id, ok := canonicalID(value)
	if !ok {
		return "", badParameter("path", name, value)
	}
	return id, nil
}

func canonicalID(value string) (string, bool) {
	if _, err := hex.DecodeString(value); err != nil || len(value) != 32 {
		return "", false
	}
	return strings.ToLower(value), true
}

// index reads a number from 0.
func index(r *http.Request, name string) (int, error) {
	value := r.PathValue(name)
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < 0 {
		return 0, badParameter("path", name, value)
	}
	return int(n), nil
}

// list reads a query parameter that holds values between commas; it may be given several times.
func list(r *http.Request, name string) []string {
	var values []string
	for _, v := range r.URL.Query()[name] {
		for part := range strings.SplitSeq(v, ",") {
			if part != "" {
				values = append(values, part)
			}
		}
	}
	return values
}

func (s *server) job(r *http.Request) (view.Job, error) {
	id, err := hexID(r, "jobid")
	if err != nil {
		return view.Job{}, err
	}
	return s.jobByID(id)
}

func (s *server) jobByID(id string) (view.Job, error) {
	job, err := s.Cluster.Job(id)
	if errors.Is(err, jobmaster.ErrNoJob) {
		return view.Job{}, notFound("Job %s not found", id)
	}
	return job, err
}

// vertex finds the vertex that a path names. Flink words a missing one in two ways; unknown is the one of the path.
func (s *server) vertex(r *http.Request, unknown string) (view.Job, view.Vertex, error) {
	jobID, err := hexID(r, "jobid")
	if err != nil {
		return view.Job{}, view.Vertex{}, err
	}
	id, err := hexID(r, "vertexid")
	if err != nil {
		return view.Job{}, view.Vertex{}, err
	}
	job, err := s.jobByID(jobID)
	if err != nil {
		return view.Job{}, view.Vertex{}, err
	}
	for _, v := range job.Vertices {
		if v.ID == id {
			return job, v, nil
		}
	}
	return view.Job{}, view.Vertex{}, notFound(unknown, id)
}

const (
	noJobVertex = "JobVertex %s not found"
	noVertex    = "No vertex with ID '%s' exists."
)

func (s *server) subtask(r *http.Request) (view.Vertex, view.Subtask, error) {
	i, err := index(r, "subtaskindex")
	if err != nil {
		return view.Vertex{}, view.Subtask{}, err
	}
	_, v, err := s.vertex(r, noVertex)
	if err != nil {
		return view.Vertex{}, view.Subtask{}, err
	}
	for _, sub := range v.Subtasks {
		if sub.Index == i {
			return v, sub, nil
		}
	}
	return view.Vertex{}, view.Subtask{}, notFound("Invalid subtask index for vertex %s", v.ID)
}

// attempt finds an attempt of a subtask. Only the current one is kept.
func (s *server) attempt(r *http.Request) (view.Vertex, view.Subtask, error) {
	n, err := index(r, "attempt")
	if err != nil {
		return view.Vertex{}, view.Subtask{}, err
	}
	v, sub, err := s.subtask(r)
	if err != nil {
		return view.Vertex{}, view.Subtask{}, err
	}
	if sub.Attempt != n {
		return view.Vertex{}, view.Subtask{}, notFound("Invalid attempt num %d", n)
	}
	return v, sub, nil
}
