package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Finding is an answer to why a job gives no output.
type Finding struct {
	Severity string      `json:"severity"` // problem, waiting, ok or note
	Kind     string      `json:"kind"`     // its name for programs
	VertexID string      `json:"vertex-id"`
	Splits   []SplitName `json:"splits"` // that it is about
	Sentence string      `json:"sentence"`
	Remedy   string      `json:"remedy"` // "" when there is nothing to do
}

// SplitName names a partition.
type SplitName struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// NoWatermark is the watermark of a partition without a row so far.
const NoWatermark = -1 << 63

// Why is what is to be said of a job's output: findings, the most likely cause first, and what they rest on. Event times are ms
// since 1970.
type Why struct {
	Findings []Finding       `json:"findings"`
	Facts    WhyFacts        `json:"facts"`
	Whole    json.RawMessage `json:"-"` // all that the jobmanager says
}

// WhyFacts are those that people read; there are more in the answer.
type WhyFacts struct {
	OpenWindows int64        `json:"open-windows"` // at least so many
	Windows     []OpenWindow `json:"windows"`      // those that fire next, the soonest first
	Splits      []WhySplit   `json:"splits"`
}

// OpenWindow is a window that has not fired.
type OpenWindow struct {
	StartMs int64 `json:"start"`
	EndMs   int64 `json:"end"`
	FiresAt int64 `json:"fires-at"` // the least watermark that fires it
	Groups  int64 `json:"groups"`
}

// WhySplit is a partition with its event time.
type WhySplit struct {
	SplitName
	Offset    int64  `json:"current-offset"` // the next to read
	EndOffset int64  `json:"end-offset"`     // -1 for unknown
	State     string `json:"state"`          // reading, waiting or finished
	Watermark int64  `json:"watermark"`
	Idle      bool   `json:"idle"`   // left out of the watermark
	SilentMs  int64  `json:"silent"` // for how long no record has come
	// MissingMs is the event time from which on a record lets the first of the windows fire; nil when this partition does not hold it
	// back.
	MissingMs *int64 `json:"missing-event-time"`
}

// Why says why a job gives no output. A job that is not known is an *APIError with status 404.
func (c *Client) Why(ctx context.Context, id string) (Why, error) {
	var answer Why
	if err := c.do(ctx, call{method: http.MethodGet, path: "/jobs/" + id + "/why"}, &answer.Whole); err != nil {
		return Why{}, err
	}
	if err := json.Unmarshal(answer.Whole, &answer); err != nil {
		return Why{}, fmt.Errorf("read the answer: %w", err)
	}
	return answer, nil
}
