//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"pencere/submitter/internal/client"
)

// stopWithin is how long a program may take to end after SIGTERM.
const stopWithin = 10 * time.Second

// cluster is a jobmanager and taskmanagers, each a process of its own.
type cluster struct {
	t     *testing.T
	rest  string // host:port
	rpc   string
	jobs  *client.Client
	began time.Time // when the jobmanager's process was started
}

// startCluster starts the programs, which are stopped at the end of the test, and waits until all are registered.
func startCluster(t *testing.T, taskManagers, slots int) *cluster {
	t.Helper()
	program(t, "jobmanager") // built before the clock starts
	c := &cluster{t: t, began: time.Now()}
	started := c.start("jobmanager", "jobmanager started", "--data-dir", t.TempDir(), "--rest-addr", "127.0.0.1:0",
		"--rpc-addr", "127.0.0.1:0", "--raft-addr", "127.0.0.1:0", "--metrics-addr", "")
	c.rest, c.rpc = started["rest_addr"].(string), started["rpc_addr"].(string)
	var err error
	c.jobs, err = client.New(client.Config{Addresses: []string{c.rest}, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.jobs.Close)
	for range taskManagers {
		c.start("taskmanager", "registered", "--jobmanagers", c.rpc, "--slots", strconv.Itoa(slots), "--data-addr", "127.0.0.1:0", "--metrics-addr", "")
	}
	return c
}

// start runs a program until the end of the test and returns the line of its log that has the message.
func (c *cluster) start(name, message string, args ...string) map[string]any {
	c.t.Helper()
	command := exec.Command(program(c.t, name), append(args, "--log-format", "json")...)
	stderr, err := command.StderrPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { c.stop(name, command) })
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) == nil && line["msg"] == message {
			go func() { _, _ = io.Copy(io.Discard, stderr) }() // so that it never waits for a reader
			return line
		}
		c.t.Logf("%s: %s", name, lines.Bytes())
	}
	c.t.Fatalf("%s ended before it said %q", name, message)
	return nil
}

// stop ends a program as a service manager does, and fails the test when it does not end cleanly.
func (c *cluster) stop(name string, command *exec.Cmd) {
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Errorf("stop %s: %v", name, err)
	}
	kill := time.AfterFunc(stopWithin, func() { _ = command.Process.Kill() }) // Wait tells
	defer kill.Stop()
	if err := command.Wait(); err != nil {
		c.t.Errorf("%s did not end cleanly: %v", name, err)
	}
}

// submitter runs the submitter's program with JSON output and returns its result.
func (c *cluster) submitter(args ...string) map[string]any {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, program(c.t, "submitter"), append(args, "--json")...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	var answer struct {
		OK     bool           `json:"ok"`
		Result map[string]any `json:"result"`
	}
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil || err != nil || !answer.OK {
		c.t.Fatalf("submitter %v: %v, %v\n%s", args, err, jsonErr, out)
	}
	return answer.Result
}

// program returns the path of a program.
func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}
