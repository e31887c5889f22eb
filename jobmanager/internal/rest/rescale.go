package rest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/view"
)

// requirements is Flink's JobResourceRequirementsBody, by vertex.
type requirements map[string]vertexRequirements

type vertexRequirements struct {
	Parallelism parallelismBounds `json:"parallelism"`
}

type parallelismBounds struct {
	Lower int `json:"lowerBound"`
	Upper int `json:"upperBound"`
}

func (s *server) resourceRequirements(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	answer := make(requirements)
	for _, v := range j.Vertices {
		answer[v.ID] = vertexRequirements{parallelismBounds{j.Bounds.Least(), cmp.Or(j.Bounds.Upper, v.MaxParallelism)}}
	}
	return answer, nil
}

// setResourceRequirements changes the bounds of a job's parallelism. They are those of all vertices, which share their slots.
func (s *server) setResourceRequirements(r *http.Request) (any, error) {
	j, err := s.job(r)
	if err != nil {
		return nil, err
	}
	var body requirements
	if err := readBody(r, "JobResourceRequirementsBody", &body); err != nil {
		return nil, err
	}
	bounds, err := body.of(j)
	if err != nil {
		return nil, &problem{http.StatusBadRequest, []string{err.Error()}}
	}
	err = s.Cluster.Rescale(r.Context(), j.ID, bounds)
	var ended *jobmaster.TerminalError
	var refused *jobmaster.BoundsError
	switch {
	case errors.As(err, &ended):
		return nil, &problem{http.StatusConflict, []string{fmt.Sprintf("job %s: %v", j.ID, err)}}
	case errors.As(err, &refused):
		return nil, &problem{http.StatusBadRequest, []string{err.Error()}}
	case err != nil:
		return nil, err
	default:
		return struct{}{}, nil
	}
}

// of returns the one pair of bounds that a body has for all vertices of a job.
func (b requirements) of(j view.Job) (elastic.Bounds, error) {
	var bounds elastic.Bounds
	for i, v := range j.Vertices {
		wanted, ok := b[v.ID]
		next := elastic.Bounds{Lower: wanted.Parallelism.Lower, Upper: wanted.Parallelism.Upper}
		switch {
		case !ok:
			return bounds, fmt.Errorf("vertex %s (%s) is missing: all vertices of the job must be there", v.ID, v.Name)
		case next.Lower < 1 || next.Upper < 1:
			return bounds, fmt.Errorf("vertex %s (%s): lowerBound and upperBound must be at least 1, got %d and %d", v.ID, v.Name, next.Lower, next.Upper)
		case i > 0 && next != bounds:
			return bounds, fmt.Errorf("vertex %s (%s) has other bounds than the one before: all vertices of a job share their slots", v.ID, v.Name)
		}
		bounds = next
	}
	if len(b) != len(j.Vertices) {
		return bounds, fmt.Errorf("%d vertices are given, the job has %d", len(b), len(j.Vertices))
	}
	return bounds, nil
}
