// Package tracing makes OpenTelemetry traces of what a jobmanager does with its jobs: one of each checkpoint, and one of each time that
// a job starts, restarts, changes its parallelism or is taken over.
//
// It sees the events and actions of the job's state machines, which its master hands to it, and sends spans by OTLP over gRPC
// (https://opentelemetry.io/docs/specs/otlp/).
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config says where spans go and whose they are.
type Config struct {
	// Endpoint is http://host:port, https://host:port, or host:port, which is http.
	Endpoint string
	ID       string // of the jobmanager
	Version  string
	Log      *slog.Logger
}

// Export sends spans in the background. Those that nobody takes are dropped: no job waits for them. It is safe for concurrent use.
type Export struct {
	provider *sdk.TracerProvider
}

// Environment returns the endpoint that OpenTelemetry's own variables name, "" for none.
func Environment(lookup func(string) (string, bool)) string {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		if endpoint, ok := lookup(name); ok && endpoint != "" {
			return endpoint
		}
	}
	return ""
}

// Open returns an Export to an endpoint, which need not be there yet. What else OpenTelemetry's variables say (OTEL_EXPORTER_OTLP_HEADERS,
// OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and their like) holds.
func Open(ctx context.Context, cfg Config) (*Export, error) {
	endpoint, err := endpointURL(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" && protocol != "grpc" {
			return nil, fmt.Errorf("%s=%s: want grpc, the protocol of a collector's port 4317", name, protocol)
		}
	}
	client, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", endpoint, err)
	}
	// What the environment says comes last, and wins.
	whose, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "pencere-jobmanager"),
		attribute.String("service.version", cfg.Version),
		attribute.String("service.instance.id", cfg.ID),
	), resource.WithFromEnv())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("describe this program in traces: %w", err), client.Shutdown(ctx))
	}
	told := &telling{SpanExporter: client, endpoint: endpoint, log: cfg.Log}
	return &Export{provider: sdk.NewTracerProvider(sdk.WithBatcher(told), sdk.WithResource(whose))}, nil
}

// Tracer makes the spans.
func (e *Export) Tracer() trace.Tracer { return e.provider.Tracer("pencere/jobmanager") }

// Close sends what has ended, until ctx does.
func (e *Export) Close(ctx context.Context) error { return e.provider.Shutdown(ctx) }

func endpointURL(text string) (string, error) {
	full := text
	if !strings.Contains(full, "://") {
		full = "http://" + full
	}
	u, err := url.Parse(full)
	switch {
	case err != nil:
		return "", fmt.Errorf("endpoint %q: %w", text, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Port() == "":
		return "", fmt.Errorf("endpoint %q: want http://host:4317, https://host:4317 or host:4317", text)
	default:
		return full, nil
	}
}

// telling says once that spans do not arrive, and once that they do again.
type telling struct {
	sdk.SpanExporter
	endpoint string
	log      *slog.Logger
	lost     atomic.Bool
}

// ExportSpans implements sdk.SpanExporter. Its error is told here, and nobody else is to tell it.
func (t *telling) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	switch err := t.SpanExporter.ExportSpans(ctx, spans); {
	case err == nil && t.lost.CompareAndSwap(true, false):
		t.log.Info("traces arrive again", "endpoint", t.endpoint)
	case err != nil && t.lost.CompareAndSwap(false, true):
		t.log.Warn("traces do not arrive: they are dropped until they do", "endpoint", t.endpoint, "error", err)
	}
	return nil
}
