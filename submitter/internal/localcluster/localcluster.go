// Package localcluster runs a whole cluster in one process, for the demo and for tests: the same jobmanager and taskmanagers
// that the programs run, on ports of the loopback interface, and, where wanted, a Kafka broker beside them.
package localcluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
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
	// JobManagers is how many there are, one of which leads; 0 is one alone.
	JobManagers  int
	TaskManagers int
	SlotsEach    int
	// DataDir is where the jobmanager keeps its jobs; "" is a temporary directory that Close removes.
	DataDir string
	// RestAddr is where REST and the web UI listen, host:port; "" is a free port of the loopback interface.
	RestAddr string
	// RescaleQuiet and RescaleCoolDown are the jobmanager's; 0 for its defaults.
	RescaleQuiet, RescaleCoolDown time.Duration
	// OTLPEndpoint is where the jobmanagers' traces go; "" is nowhere.
	OTLPEndpoint string
	Log          *slog.Logger
}

// Cluster is a running cluster. Its methods are safe for concurrent use.
type Cluster struct {
	cfg       Config
	temporary string // directory to remove, or ""
	client    *client.Client
	cancel    context.CancelCauseFunc
	ctx       context.Context //nolint:containedctx // the lifetime of the daemons, which is the cluster's
	running   sync.WaitGroup

	mu          sync.Mutex
	jobManagers []*jobManager
	errs        []error // of daemons that ended by themselves
}

// jobManager is one of the jobmanagers.
type jobManager struct {
	daemon *jobmanager.Daemon
	cfg    jobmanager.Config // with the addresses that it listens on
	stop   func()
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
	configs, err := c.jobManagerConfigs(dir, rest)
	if err != nil {
		return err
	}
	for _, cfg := range configs {
		started, err := c.startJobManager(cfg)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.jobManagers = append(c.jobManagers, started)
		c.mu.Unlock()
	}
	for range c.cfg.TaskManagers {
		if _, err := c.AddTaskManager(); err != nil {
			return err
		}
	}
	if c.client, err = client.New(client.Config{Addresses: c.RestAddrs(), Timeout: time.Minute}); err != nil {
		return err
	}
	if err := c.AwaitJobManagers(ctx); err != nil {
		return err
	}
	return c.awaitTaskManagers(ctx, c.cfg.TaskManagers)
}

// jobManagerConfigs are those of all jobmanagers. Several must know each other's ports before the first one starts.
func (c *Cluster) jobManagerConfigs(dir, rest string) ([]jobmanager.Config, error) {
	first := jobmanager.Config{
		ID: "jm1", DataDir: dir, RestAddr: rest, RPCAddr: loopback, RaftAddr: loopback, Version: version.String(),
		RescaleQuiet:    cmp.Or(c.cfg.RescaleQuiet, jobmanager.DefaultRescaleQuiet),
		RescaleCoolDown: cmp.Or(c.cfg.RescaleCoolDown, jobmanager.DefaultRescaleCoolDown),
		OTLPEndpoint:    c.cfg.OTLPEndpoint,
		Log:             c.cfg.Log.With("program", "jobmanager"),
	}
	if c.cfg.JobManagers <= 1 {
		return []jobmanager.Config{first}, nil
	}
	peers := make(map[string]string)
	var configs []jobmanager.Config
	for i := range c.cfg.JobManagers {
		cfg := first
		cfg.ID, cfg.Peers = fmt.Sprintf("jm%d", i+1), peers
		cfg.DataDir, cfg.CheckpointDir = filepath.Join(dir, cfg.ID), filepath.Join(dir, "checkpoints")
		cfg.Log = cfg.Log.With("id", cfg.ID)
		if i > 0 {
			cfg.RestAddr = loopback
		}
		free, err := net.Listen("tcp", loopback) //nolint:noctx // the address is this machine's: nothing to wait for
		if err != nil {
			return nil, fmt.Errorf("find a port for Raft: %w", err)
		}
		defer func() { _ = free.Close() }() //nolint:gocritic // all at once at the end, so that each is another one
		cfg.RaftAddr = free.Addr().String()
		peers[cfg.ID] = cfg.RaftAddr
		configs = append(configs, cfg)
	}
	return configs, nil
}

func (c *Cluster) startJobManager(cfg jobmanager.Config) (*jobManager, error) {
	d, err := jobmanager.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("start jobmanager: %w", err)
	}
	cfg.RestAddr, cfg.RPCAddr = d.RestAddr(), d.RPCAddr()
	ctx, cancel := context.WithCancel(c.ctx)
	ended := make(chan struct{})
	c.goRun(func() error {
		defer close(ended)
		defer cancel()
		return errors.Join(d.Run(ctx), d.Close())
	})
	return &jobManager{daemon: d, cfg: cfg, stop: func() {
		cancel()
		<-ended
	}}, nil
}

// StopJobManager ends a jobmanager, by its place among them, as its program's end would.
func (c *Cluster) StopJobManager(i int) { c.jobManager(i).stop() }

// StartJobManager starts a jobmanager that has ended again, on the same data and addresses.
func (c *Cluster) StartJobManager(i int) error {
	started, err := c.startJobManager(c.jobManager(i).cfg)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobManagers[i] = started
	return nil
}

// RestartJobManager ends the first jobmanager and starts it again.
func (c *Cluster) RestartJobManager() error {
	c.StopJobManager(0)
	return c.StartJobManager(0)
}

// RecoverJobManager makes a jobmanager that has ended the only member, by its program's command for that.
func (c *Cluster) RecoverJobManager(ctx context.Context, i int) error {
	cfg := c.jobManager(i).cfg
	args := []string{"recover", "--id", cfg.ID, "--data-dir", cfg.DataDir}
	for id, address := range cfg.Peers {
		args = append(args, "--peers", id+"="+address)
	}
	command := jobmanager.Command()
	command.SetArgs(args)
	command.SetOut(io.Discard)
	command.SetErr(io.Discard)
	return command.ExecuteContext(ctx)
}

// AddJobManager starts a further jobmanager, which knows of all others and is no member yet. It returns its id and its address for Raft.
func (c *Cluster) AddJobManager() (id, address string, err error) {
	first := c.jobManager(0).cfg
	free, err := net.Listen("tcp", loopback) //nolint:noctx // the address is this machine's: nothing to wait for
	if err != nil {
		return "", "", fmt.Errorf("find a port for Raft: %w", err)
	}
	cfg := first
	cfg.ID, cfg.RaftAddr = fmt.Sprintf("jm%d", len(c.RestAddrs())+1), free.Addr().String()
	cfg.Peers = maps.Clone(first.Peers)
	cfg.Peers[cfg.ID] = cfg.RaftAddr
	cfg.DataDir, cfg.RestAddr, cfg.RPCAddr = filepath.Join(filepath.Dir(first.DataDir), cfg.ID), loopback, loopback
	cfg.Log = c.cfg.Log.With("program", "jobmanager", "id", cfg.ID)
	if err := free.Close(); err != nil {
		return "", "", fmt.Errorf("find a port for Raft: %w", err)
	}
	started, err := c.startJobManager(cfg)
	if err != nil {
		return "", "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.jobManagers = append(c.jobManagers, started)
	return cfg.ID, cfg.RaftAddr, nil
}

// Leader returns the place of the jobmanager that leads, -1 while none does.
func (c *Cluster) Leader() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.IndexFunc(c.jobManagers, func(j *jobManager) bool { return j.daemon.Leads() })
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

// TaskManager is a running taskmanager.
type TaskManager struct {
	// Stop ends it at once, Leave as SIGTERM does: when its jobs go on elsewhere. Both return when it has ended.
	Stop, Leave func()
}

// AddTaskManager starts a further taskmanager. stop ends it at once and returns when it has ended.
func (c *Cluster) AddTaskManager() (stop func(), err error) {
	started, err := c.StartTaskManager()
	return started.Stop, err
}

// StartTaskManager starts a further taskmanager.
func (c *Cluster) StartTaskManager() (TaskManager, error) {
	d, err := taskmanager.New(taskmanager.Config{
		JobManagers: c.RPCAddrs(), Slots: c.cfg.SlotsEach, DataAddr: loopback, Version: version.String(),
		Log: c.cfg.Log.With("program", "taskmanager"),
	})
	if err != nil {
		return TaskManager{}, fmt.Errorf("start taskmanager: %w", err)
	}
	ctx, cancel := context.WithCancel(c.ctx)
	ended := make(chan struct{})
	c.goRun(func() error {
		defer close(ended)
		defer cancel()
		return d.Run(ctx)
	})
	end := func(how func()) func() {
		return func() {
			how()
			<-ended
		}
	}
	return TaskManager{Stop: end(cancel), Leave: end(d.Leave)}, nil
}

// AwaitJobManagers returns when all jobmanagers are members of the cluster and vote.
func (c *Cluster) AwaitJobManagers(ctx context.Context) error {
	return c.await(ctx, "jobmanagers", func() (int, error) {
		members, err := c.client.Members(ctx)
		there := 0
		for _, m := range members {
			if m.Voter && m.Reachable && !m.Joining {
				there++
			}
		}
		return there, err
	}, max(1, c.cfg.JobManagers))
}

// awaitTaskManagers returns when at least n taskmanagers are registered.
func (c *Cluster) awaitTaskManagers(ctx context.Context, n int) error {
	return c.await(ctx, "taskmanagers", func() (int, error) {
		overview, err := c.client.Overview(ctx)
		return overview.TaskManagers, err
	}, n)
}

// await returns when at least n of something are there.
func (c *Cluster) await(ctx context.Context, what string, count func() (int, error), n int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		there, err := count()
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if there >= n {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s, %d of %d are there: %w", what, there, n, context.Cause(ctx))
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
}

// RestAddr returns host:port of REST and the web UI, at the first jobmanager.
func (c *Cluster) RestAddr() string { return c.RestAddrs()[0] }

func (c *Cluster) jobManager(i int) *jobManager {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jobManagers[i]
}

// RestAddrs returns host:port of REST at each jobmanager.
func (c *Cluster) RestAddrs() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jobManagers {
		all = append(all, j.cfg.RestAddr)
	}
	return all
}

// RPCAddrs returns host:port of gRPC at each jobmanager.
func (c *Cluster) RPCAddrs() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jobManagers {
		all = append(all, j.cfg.RPCAddr)
	}
	return all
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
