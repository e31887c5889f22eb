package cli_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"pencere/pkg/cli"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestFlagsFromTheEnvironment(t *testing.T) {
	set := func(arguments ...string) (*pflag.FlagSet, *int, *string) {
		flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
		slots, dir := flags.Int("slots", 1, ""), flags.String("data-dir", "data", "")
		if err := flags.Parse(arguments); err != nil {
			t.Fatal(err)
		}
		return flags, slots, dir
	}
	lookup := func(env map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			value, ok := env[name]
			return value, ok
		}
	}
	flags, slots, dir := set("--slots", "3")
	if err := cli.FromEnvironment(flags, lookup(map[string]string{"PENCERE_SLOTS": "5", "PENCERE_DATA_DIR": "/d"})); err != nil {
		t.Fatal(err)
	}
	if *slots != 3 || *dir != "/d" {
		t.Errorf("slots %d, data-dir %q; the command line wins, then the environment", *slots, *dir)
	}
	flags, _, _ = set()
	err := cli.FromEnvironment(flags, lookup(map[string]string{"PENCERE_SLOTS": "many"}))
	if err == nil || !strings.Contains(err.Error(), "environment variable PENCERE_SLOTS: ") {
		t.Errorf("error %v does not name the variable", err)
	}
}

// A compose file that has no peers to name still sets the variable.
func TestEmptyEnvironment(t *testing.T) {
	flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
	peers := flags.StringToString("peers", nil, "")
	list := flags.StringSlice("jobmanagers", []string{"localhost"}, "")
	flags.Int("slots", 1, "")
	empty := func(string) (string, bool) { return "", true }
	err := cli.FromEnvironment(flags, empty)
	if err == nil || !strings.HasPrefix(err.Error(), "environment variable PENCERE_SLOTS: ") || strings.Contains(err.Error(), "PEERS") {
		t.Errorf("error %v, want one of the number alone", err)
	}
	if len(*peers) != 0 || len(*list) != 0 {
		t.Errorf("peers %v, jobmanagers %v", *peers, *list)
	}
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	log, err := cli.Logger(&out, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud")
	if text := out.String(); strings.Contains(text, "quiet") || !strings.Contains(text, `"msg":"loud"`) {
		t.Errorf("log %q", text)
	}
	if _, err := cli.Logger(&out, "xml", "info"); err == nil || err.Error() != `log format "xml": want text or json` {
		t.Errorf("format: %v", err)
	}
	if _, err := cli.Logger(&out, "text", "loud"); err == nil || err.Error() != `log level "loud": want debug, info, warn or error` {
		t.Errorf("level: %v", err)
	}
}

func TestMainsExitCode(t *testing.T) {
	var out bytes.Buffer
	command := &cobra.Command{Use: "thing", RunE: func(*cobra.Command, []string) error { return errors.New("disk full") }}
	command.SetErr(&out)
	command.SetArgs(nil)
	if code := cli.Main(command); code != 1 || out.String() != "thing: disk full\n" {
		t.Errorf("code %d, %q", code, out.String())
	}
	waits := &cobra.Command{Use: "thing", RunE: func(c *cobra.Command, _ []string) error {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		select {
		case <-c.Context().Done():
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("no signal came")
		}
	}}
	waits.SetArgs(nil)
	if code := cli.Main(waits); code != 0 {
		t.Errorf("code %d after SIGTERM", code)
	}
}

func TestHealth(t *testing.T) {
	well := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" || !well {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	ask := func(address string) error {
		return cli.Health(t.Context(), server.Client(), address, 5*time.Second)
	}
	_, port, _ := strings.Cut(address, ":")
	for _, a := range []string{address, ":" + port, "0.0.0.0:" + port} {
		if err := ask(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	well = false
	if err := ask(address); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("unwell: %v", err)
	}
	if err := ask("nonsense"); err == nil || !strings.Contains(err.Error(), `address "nonsense"`) {
		t.Errorf("bad address: %v", err)
	}
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hangs.Close()
	err := cli.Health(t.Context(), hangs.Client(), strings.TrimPrefix(hangs.URL, "http://"), 50*time.Millisecond)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
}
