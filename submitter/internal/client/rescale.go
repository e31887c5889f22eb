package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Bounds are how many slots a job takes, at least and at most; both from 1 on.
type Bounds struct {
	Lower int `json:"lowerBound"`
	Upper int `json:"upperBound"`
}

// Rescale sets the bounds of a job's parallelism; Upper 0 stands for the job's max_parallelism. It returns when they are kept: the job
// follows. A parallelism that cannot be is an *APIError with status 400, a job that has ended one with 409.
func (c *Client) Rescale(ctx context.Context, id string, b Bounds) error {
	var job struct {
		Vertices []struct {
			ID             string `json:"id"`
			MaxParallelism int    `json:"maxParallelism"`
		} `json:"vertices"`
	}
	if err := c.do(ctx, call{method: http.MethodGet, path: "/jobs/" + id}, &job); err != nil {
		return err
	}
	body := make(map[string]map[string]Bounds)
	for _, v := range job.Vertices {
		bounds := b
		if bounds.Upper == 0 {
			bounds.Upper = v.MaxParallelism
		}
		body[v.ID] = map[string]Bounds{"parallelism": bounds}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode bounds: %w", err)
	}
	return c.do(ctx, call{
		method: http.MethodPut, path: "/jobs/" + id + "/resource-requirements", contentType: "application/json", body: data,
	}, nil)
}
