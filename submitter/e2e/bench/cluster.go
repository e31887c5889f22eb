package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"pencere/submitter/internal/client"
)

// process is one of the programs.
type process struct {
	command *exec.Cmd
	started map[string]any // what it logged when it was ready
}

// startProcess starts a program and waits for the line of its log that says so. Its log goes to logFile.
func startProcess(ctx context.Context, logFile, program string, args ...string) (*process, error) {
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, program, append(args, "--log-format", "json")...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	output, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &process{command: command}
	lines := bufio.NewReader(io.TeeReader(output, log))
	for want := filepath.Base(program) + " started"; p.started["msg"] != want; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			told, _ := os.ReadFile(logFile) // the more, the better
			return nil, errors.Join(fmt.Errorf("%s ended while it started:\n%s", program, told), command.Wait(), log.Close())
		}
		p.started = nil
		_ = json.Unmarshal(line, &p.started) // a line that is not JSON is not the one
	}
	go func() {
		_, _ = io.Copy(io.Discard, lines) // until the program ends
		_ = log.Close()
	}()
	return p, nil
}

func (p *process) pid() int { return p.command.Process.Pid }

// address returns where the program listens, by the name that its log has for it.
func (p *process) address(name string) string {
	address, _ := p.started[name].(string)
	return address
}

// stop ends the program as a container engine does.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = p.command.Wait()                          // what it was for was judged already
}

// cluster is a jobmanager and a taskmanager.
type cluster struct {
	jobManager, taskManager *process
	client                  *client.Client
	answered                time.Duration // from the jobmanager's start to its first answer
}

// freeAddress listens on a free port of the loopback interface.
const freeAddress = "127.0.0.1:0"

// startCluster starts the programs in bin, which work in dir, the jobmanager with more flags.
func startCluster(ctx context.Context, bin, dir string, slots int, flags ...string) (c *cluster, err error) {
	c = &cluster{}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	began := time.Now()
	if c.jobManager, err = startProcess(ctx, filepath.Join(dir, "jobmanager.log"), filepath.Join(bin, "jobmanager"),
		append([]string{"--data-dir", filepath.Join(dir, "data"), "--rest-addr", freeAddress, "--rpc-addr", freeAddress, "--raft-addr", freeAddress,
			"--metrics-addr", freeAddress}, flags...)...); err != nil {
		return nil, err
	}
	if c.client, err = client.New(client.Config{Addresses: []string{c.jobManager.address("rest_addr")}, Timeout: time.Minute}); err != nil {
		return nil, err
	}
	if _, err = c.client.Overview(ctx); err != nil {
		return nil, err
	}
	c.answered = time.Since(began)
	if c.taskManager, err = startProcess(ctx, filepath.Join(dir, "taskmanager.log"), filepath.Join(bin, "taskmanager"),
		"--jobmanagers", c.jobManager.address("rpc_addr"), "--data-addr", freeAddress, "--metrics-addr", freeAddress,
		"--slots", strconv.Itoa(slots)); err != nil {
		return nil, err
	}
	return c, poll(ctx, 10*time.Millisecond, func() (bool, error) {
		overview, err := c.client.Overview(ctx)
		return overview.SlotsAvailable > 0, err
	})
}

// stop ends the programs that were started.
func (c *cluster) stop() {
	for _, p := range []*process{c.taskManager, c.jobManager} {
		if p != nil {
			p.stop()
		}
	}
	if c.client != nil {
		c.client.Close()
	}
}

// runToEnd runs a job until it has finished.
func (c *cluster) runToEnd(ctx context.Context, spec client.Spec) (running, finished time.Duration, err error) {
	began := time.Now()
	job, err := c.client.Submit(ctx, spec)
	if err != nil {
		return 0, 0, err
	}
	if err := c.await(ctx, job.ID, 2*time.Millisecond, allRun); err != nil {
		return 0, 0, err
	}
	running = time.Since(began)
	err = c.await(ctx, job.ID, 20*time.Millisecond, func(j client.Job) bool { return j.State == client.Finished })
	return running, time.Since(began), err
}

// await looks at a job every so often until it is as wanted. A job that ends otherwise is an error.
func (c *cluster) await(ctx context.Context, id string, every time.Duration, wanted func(client.Job) bool) error {
	return poll(ctx, every, func() (bool, error) {
		job, err := c.client.Job(ctx, id)
		if err != nil || wanted(job) {
			return err == nil, err
		}
		if client.Terminal(job.State) {
			cause, err := c.client.RootCause(ctx, id)
			return false, errors.Join(fmt.Errorf("job %s is %s: %s", job.Name, job.State, cause), err)
		}
		return false, nil
	})
}

// allRun reports whether every vertex of a job has begun to process.
func allRun(job client.Job) bool {
	for _, v := range job.Vertices {
		if v.Status != "RUNNING" && v.Status != client.Finished {
			return false
		}
	}
	return len(job.Vertices) > 0
}

// poll asks every so often, at once first, until the answer is yes.
func poll(ctx context.Context, every time.Duration, ask func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
