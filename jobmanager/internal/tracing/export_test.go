package tracing_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pencere/jobmanager/internal/tracing"
)

func TestEndpoints(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://collector:4317":  "",
		"https://collector:4317": "",
		"collector:4317":         "",
		"[::1]:4317":             "",
		"collector":              `endpoint "collector": want http://host:4317, https://host:4317 or host:4317`,
		"ftp://collector:4317":   `endpoint "ftp://collector:4317": want http://host:4317, https://host:4317 or host:4317`,
		":4317":                  `endpoint ":4317": want http://host:4317, https://host:4317 or host:4317`,
		"http://a b:1":           `endpoint "http://a b:1": parse "http://a b:1": invalid character " " in host name`,
	} {
		export, err := tracing.Open(t.Context(), tracing.Config{Endpoint: endpoint, Log: slog.New(slog.DiscardHandler)})
		switch {
		case want == "" && err != nil, want != "" && (err == nil || err.Error() != want):
			t.Errorf("%s: %v, want %q", endpoint, err, want)
		case err == nil:
			if err := export.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestOnlyGRPC(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	_, err := tracing.Open(t.Context(), tracing.Config{Endpoint: "collector:4318"})
	if err == nil || err.Error() != "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf: want grpc, the protocol of a collector's port 4317" {
		t.Error(err)
	}
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:4317"}
	lookup := func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
	if got := tracing.Environment(lookup); got != "http://all:4317" {
		t.Error(got)
	}
	env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = "http://traces:4317"
	if got := tracing.Environment(lookup); got != "http://traces:4317" {
		t.Error(got)
	}
	clear(env)
	if got := tracing.Environment(lookup); got != "" {
		t.Error(got)
	}
}

// Without a collector nobody waits, and the log says so once.
func TestNoCollector(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")     // milliseconds between exports
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50") // milliseconds for each
	var log bytes.Buffer
	export, err := tracing.Open(t.Context(), tracing.Config{Endpoint: "127.0.0.1:1", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		_, span := export.Tracer().Start(t.Context(), "checkpoint")
		span.End()
		<-time.After(10 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := export.Close(ctx); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "traces do not arrive"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
}
