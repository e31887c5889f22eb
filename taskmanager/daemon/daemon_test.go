package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func config() Config {
	return Config{
		JobManagers: []string{"127.0.0.1:1"}, Slots: 2, DataAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0",
		Version: "test", Log: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T) (d *Daemon, stop func()) {
	t.Helper()
	d, err := New(config())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return d, func() {
		cancel(errors.New("interrupt signal received")) // as signal.NotifyContext says it
		if err := <-ended; err != nil {
			t.Errorf("the end of a taskmanager that was asked to end: %v", err)
		}
	}
}

func TestMetricsAndHealth(t *testing.T) {
	d, stop := start(t)
	defer stop()
	for path, want := range map[string]string{"/health": "", "/metrics": "process_resident_memory_bytes "} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.metrics.Addr().String()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Close = true
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d %v %.200s", path, answer.StatusCode, err, text)
		}
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	cycle := func() {
		_, stop := start(t)
		stop()
	}
	cycle() // what starts once for a process is started now
	before := runtime.NumGoroutine()
	cycle()
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("goroutines are left: %s", stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}

func TestIDAndAddress(t *testing.T) {
	cfg := config()
	cfg.AdvertiseAddr = "worker-1:7000"
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^worker-1:7000-[0-9a-f]{6}$`).MatchString(d.ID()) {
		t.Errorf("id %q", d.ID())
	}
	_ = d.close()
	cfg.AdvertiseAddr, cfg.DataAddr = "", ":0"
	if d, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.close() }()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.ID(), host+":") {
		t.Errorf("id %q does not begin with the host's name %q", d.ID(), host)
	}
}

func TestNewRefuses(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	for want, change := range map[string]func(*Config){
		"name at least one with --jobmanagers":        func(c *Config) { c.JobManagers = nil },
		"needs at least 1 slot, got 0":                func(c *Config) { c.Slots = 0 },
		"(--memory) must not be negative, got -1 MiB": func(c *Config) { c.MemoryLimit = -1 << 20 },
		"listen for peers (--data-addr): ":            func(c *Config) { c.DataAddr = busy.Addr().String() },
		"listen for metrics (--metrics-addr): ":       func(c *Config) { c.MetricsAddr = busy.Addr().String() },
	} {
		cfg := config()
		change(&cfg)
		d, err := New(cfg)
		if err == nil {
			t.Errorf("started without %q: %v", want, d.close())
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestCommand(t *testing.T) {
	execute := func(arguments ...string) error {
		command := Command()
		command.SetArgs(arguments)
		command.SetOut(&bytes.Buffer{})
		command.SetErr(&bytes.Buffer{})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return command.ExecuteContext(ctx)
	}
	if err := execute("--log-level", "loud"); err == nil || !strings.Contains(err.Error(), `log level "loud"`) {
		t.Errorf("log level: %v", err)
	}
	if err := execute("--slots", "0"); err == nil || !strings.Contains(err.Error(), "at least 1 slot") {
		t.Errorf("slots: %v", err)
	}
	d, stop := start(t)
	address := d.metrics.Addr().String()
	if err := execute("health", "--metrics-addr", address); err != nil {
		t.Errorf("health of one that runs: %v", err)
	}
	stop()
	if err := execute("health", "--metrics-addr", address); err == nil {
		t.Error("one that has ended is well")
	}
}

func TestMemoryFiles(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if kib, ok := procField(write("MemFree: 1 kB\nMemTotal:   24576 kB\n"), "MemTotal:"); !ok || kib != 24576 {
		t.Errorf("MemTotal %d, %t", kib, ok)
	}
	if _, ok := procField(write("MemTotal: much kB\n"), "MemTotal:"); ok {
		t.Error("a text was read as a number")
	}
	if _, ok := procField(filepath.Join(t.TempDir(), "none"), "MemTotal:"); ok {
		t.Error("a file that is not there was read")
	}
	for text, want := range map[string]int64{"1073741824\n": 1 << 30, "max\n": 0, "0\n": 0, "9223372036854771712\n": 0} {
		limit, ok := cgroupLimit(write(text))
		if ok != (want > 0) || ok && limit != want {
			t.Errorf("limit %q is read as %d, %t", text, limit, ok)
		}
	}
	if physicalMemory() <= 0 || residentMemory() < 0 {
		t.Errorf("memory %d, resident %d", physicalMemory(), residentMemory())
	}
}
