// Package localcluster runs a whole cluster in one process, for the demo and for tests: the same jobmanager and taskmanagers
// that the programs run, on ports of the loopback interface, and, where wanted, a Kafka broker beside them.
package localcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	jobmanager "pencere/jobmanager/daemon"
	"pencere/pkg/version"
	"pencere/submitter/internal/client"
	taskmanager "pencere/taskmanager/daemon"
)

const loopback = "127.0.0.1:0"

// Config says what a cluster consists of.
type Config struct {
	TaskManagers int
	SlotsEach    int
	// DataDir is where the jobmanager keeps its jobs; "" is a temporary directory that Close removes.
	DataDir string
	// RestAddr is where REST and the web UI listen, host:port; "" is a free port of the loopback interface.
	RestAddr string
	Log      *slog.Logger
}

// Cluster is a running cluster. Its methods are safe for concurrent use.
type Cluster struct {
	cfg       Config
	temporary string // directory to remove, or ""
	client    *client.Client
	cancel    context.CancelCauseFunc
	ctx       context.Context //nolint:containedctx // the lifetime of the daemons, which is the cluster's
	running   sync.WaitGroup

	mu             sync.Mutex
	jobManager     *jobmanager.Daemon
	jobManagerCfg  jobmanager.Config // with the addresses that it listens on
	stopJobManager func()
	errs           []error // of daemons that ended by themselves
}

// Start starts a cluster and returns when all taskmanagers are registered, or ctx has ended. Close must follow.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c := &Cluster{cfg: cfg}
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	dir := c.cfg.DataDir
	if dir == "" {
		made, err := os.MkdirTemp("", "pencere-")
		if err != nil {
			return fmt.Errorf("make a directory for the jobmanager: %w", err)
		}
		dir, c.temporary = made, made
	}
	rest := c.cfg.RestAddr
	if rest == "" {
		rest = loopback
	}
	err := c.startJobManager(jobmanager.Config{
		ID: "jm1", DataDir: dir, RestAddr: rest, RPCAddr: loopback, RaftAddr: loopback, Version: version.String(),
		Log: c.cfg.Log.With("program", "jobmanager"),
	})
	if err != nil {
		return err
	}
	for range c.cfg.TaskManagers {
		if _, err := c.AddTaskManager(); err != nil {
			return err
		}
	}
	if c.client, err = client.New(client.Config{Addresses: []string{c.RestAddr()}, Timeout: time.Minute}); err != nil {
		return err
	}
	return c.awaitTaskManagers(ctx, c.cfg.TaskManagers)
}

func (c *Cluster) startJobManager(cfg jobmanager.Config) error {
	d, err := jobmanager.New(cfg)
	if err != nil {
		return fmt.Errorf("start jobmanager: %w", err)
	}
	cfg.RestAddr, cfg.RPCAddr = d.RestAddr(), d.RPCAddr()
	ctx, cancel := context.WithCancel(c.ctx)
	ended := make(chan struct{})
	c.mu.Lock()
	c.jobManager, c.jobManagerCfg = d, cfg
	c.stopJobManager = func() {
		cancel()
		<-ended
	}
	c.mu.Unlock()
	c.goRun(func() error {
		defer close(ended)
		defer cancel()
		return errors.Join(d.Run(ctx), d.Close())
	})
	return nil
}

// RestartJobManager ends the jobmanager, as its program's end would, and starts it again on the same data and addresses.
func (c *Cluster) RestartJobManager() error {
	c.mu.Lock()
	cfg, stop := c.jobManagerCfg, c.stopJobManager
	c.mu.Unlock()
	stop()
	return c.startJobManager(cfg)
}

// goRun runs a daemon. One that fails ends the cluster.
func (c *Cluster) goRun(run func() error) {
	c.running.Go(func() {
		if err := run(); err != nil {
			c.mu.Lock()
			c.errs = append(c.errs, err)
			c.mu.Unlock()
			c.cancel(err)
		}
	})
}

// AddTaskManager starts a further taskmanager. stop ends it, as its program's end would, and returns when it has.
func (c *Cluster) AddTaskManager() (stop func(), err error) {
	d, err := taskmanager.New(taskmanager.Config{
		JobManagers: []string{c.current().RPCAddr()}, Slots: c.cfg.SlotsEach, DataAddr: loopback, Version: version.String(),
		Log: c.cfg.Log.With("program", "taskmanager"),
	})
	if err != nil {
		return nil, fmt.Errorf("start taskmanager: %w", err)
	}
	ctx, cancel := context.WithCancel(c.ctx)
	ended := make(chan struct{})
	c.goRun(func() error {
		defer close(ended)
		defer cancel()
		return d.Run(ctx)
	})
	return func() {
		cancel()
		<-ended
	}, nil
}

// awaitTaskManagers returns when at least n taskmanagers are registered.
func (c *Cluster) awaitTaskManagers(ctx context.Context, n int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		overview, err := c.client.Overview(ctx)
		if err != nil {
			return fmt.Errorf("wait for taskmanagers: %w", err)
		}
		if overview.TaskManagers >= n {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for taskmanagers, %d of %d are there: %w", overview.TaskManagers, n, context.Cause(ctx))
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
}

// RestAddr returns host:port of REST and the web UI.
func (c *Cluster) RestAddr() string { return c.current().RestAddr() }

func (c *Cluster) current() *jobmanager.Daemon {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jobManager
}

// Client returns a client of the cluster. Close closes it.
func (c *Cluster) Client() *client.Client { return c.client }

// Done is closed when the cluster has ended, by Close or because a daemon failed.
func (c *Cluster) Done() <-chan struct{} { return c.ctx.Done() }

// Close ends the cluster, waits until nothing of it runs any more, and returns what has failed in its life.
func (c *Cluster) Close() error {
	c.cancel(context.Canceled)
	c.running.Wait()
	if c.client != nil {
		c.client.Close()
	}
	errs := c.errs
	if c.temporary != "" {
		errs = append(errs, os.RemoveAll(c.temporary))
	}
	return errors.Join(errs...)
}
