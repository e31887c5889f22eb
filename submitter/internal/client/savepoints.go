package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// pollEvery is how often an operation that is under way is asked about.
const pollEvery = 100 * time.Millisecond

// Savepoint makes a savepoint of a job that goes on, in a new folder of dir, a directory or URL as the jobmanager sees it; "" is its
// default. It returns the folder once the savepoint is whole. A job that is not known is an *APIError with status 404, one that has
// ended with 409.
func (c *Client) Savepoint(ctx context.Context, jobID, dir string) (location string, err error) {
	return c.savepoint(ctx, jobID, "savepoints", map[string]any{"target-directory": orNull(dir)})
}

// Stop ends a job with a savepoint, as Savepoint does it, and returns when the job has ended. With drain all windows fire first, and
// no job with the same windows can go on from it.
func (c *Client) Stop(ctx context.Context, jobID, dir string, drain bool) (location string, err error) {
	return c.savepoint(ctx, jobID, "stop", map[string]any{"targetDirectory": orNull(dir), "drain": drain})
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// savepoint triggers an operation and waits for its end. The id of the trigger is drawn here, so that the call may be repeated.
func (c *Client) savepoint(ctx context.Context, jobID, trigger string, body map[string]any) (string, error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the program instead
	request := hex.EncodeToString(id[:])
	body["triggerId"] = request
	text, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	post := call{method: http.MethodPost, path: "/jobs/" + jobID + "/" + trigger, contentType: "application/json", body: text}
	if err := c.do(ctx, post, nil); err != nil {
		return "", err
	}
	return c.awaitSavepoint(ctx, "/jobs/"+jobID+"/savepoints/"+request)
}

func (c *Client) awaitSavepoint(ctx context.Context, path string) (string, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		var answer struct {
			Status struct {
				ID string `json:"id"`
			} `json:"status"`
			Operation struct {
				Location string `json:"location"`
			} `json:"operation"`
		}
		if err := c.do(ctx, call{method: http.MethodGet, path: path}, &answer); err != nil {
			return "", err
		}
		if answer.Status.ID == "COMPLETED" {
			return answer.Operation.Location, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}
