// Package daemon is the jobmanager as a value: it wires the replicated log, the jobs, the taskmanagers' gateway and the REST
// API together and runs them.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"pencere/jobmanager/internal/elastic"
	"pencere/jobmanager/internal/gateway"
	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/rest"
	"pencere/jobmanager/internal/slotpool"
	"pencere/jobmanager/internal/tracing"
	"pencere/pkg/blobstore"
	"pencere/pkg/connector/kafka"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/monitoring"
	"pencere/pkg/plan"
	"pencere/pkg/version"
	"pencere/web"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
)

// Config is what a jobmanager is started with.
type Config struct {
	ID      string
	DataDir string
	// CheckpointDir is where large state of checkpoints is kept: a directory that all taskmanagers see too, or a URL; "" is
	// the folder checkpoints of DataDir.
	CheckpointDir string
	// SavepointDir is where savepoints go of which the user does not say where, a directory or a URL; "" demands that it is said.
	SavepointDir string
	RestAddr     string // host:port; port 0 takes a free one
	RPCAddr      string // host:port for taskmanagers; port 0 takes a free one
	RaftAddr     string // host:port for the other jobmanagers; used with Peers
	MetricsAddr  string // where /metrics, /health and /debug/pprof listen; "" is nowhere
	// Peers are all jobmanagers, this one too, by id with their raft addresses; empty for one alone.
	Peers   map[string]string
	Version string
	// ForgetAfter is how long jobs that ended stay known; 0 keeps them for ever.
	ForgetAfter time.Duration
	// Grace is for how long a new leader waits for taskmanagers to come with the subtasks that they run; 0 is 5 s.
	Grace time.Duration
	// RescaleQuiet is for how long the slots must have stayed as they are before jobs follow them; 0 is at once.
	RescaleQuiet time.Duration
	// RescaleCoolDown is for how long a job runs at least before it changes its parallelism.
	RescaleCoolDown time.Duration
	// OTLPEndpoint is the collector that traces of checkpoints and restarts go to, as http://host:4317; "" is none.
	OTLPEndpoint string
	Log          *slog.Logger
}

// DefaultRescaleQuiet and DefaultRescaleCoolDown are those of the command line.
const (
	DefaultRescaleQuiet    = time.Second
	DefaultRescaleCoolDown = 5 * time.Second
)

// defaultGrace is many times what a taskmanager takes to find a new leader.
const defaultGrace = 5 * time.Second

// tracesTimeout bounds how long the end of the program waits for a collector.
const tracesTimeout = 2 * time.Second

// Daemon is a jobmanager.
type Daemon struct {
	cfg        Config
	rest, rpc  net.Listener
	metrics    net.Listener // nil for none
	replica    *replica.Replica
	storage    *blobstore.Store
	traces     *tracing.Export // nil for none
	dispatcher *jobmaster.Dispatcher
	gateway    *gateway.Gateway
}

// New listens on the configured addresses and opens the data directory.
func New(cfg Config) (*Daemon, error) {
	d := &Daemon{cfg: cfg}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	var tracer trace.Tracer
	if d.traces != nil {
		tracer = d.traces.Tracer()
	}
	pool := slotpool.New(time.Now)
	d.dispatcher = jobmaster.New(jobmaster.Config{
		Log: d.replica, Slots: pool, Splits: newEnumerator, Storage: d.storage, OwnStorage: cfg.CheckpointDir == "", Logger: cfg.Log, Version: cfg.Version,
		Now: time.Now, Random: rand.Float64, ForgetAfter: cfg.ForgetAfter, SavepointDir: cfg.SavepointDir,
		Grace: cmp.Or(cfg.Grace, defaultGrace), Rescale: elastic.Config{Quiet: cfg.RescaleQuiet, CoolDown: cfg.RescaleCoolDown},
		Tracer: tracer,
	})
	d.gateway = gateway.New(pool, d.dispatcher, cfg.Log)
	return d, nil
}

// open takes the ports before the data directory: that one is taken already is the commonest mistake, and the soonest told.
func (d *Daemon) open() (err error) {
	if d.rest, err = net.Listen("tcp", d.cfg.RestAddr); err != nil { //nolint:noctx // the address is this machine's: nothing to wait for
		return fmt.Errorf("listen for REST (--rest-addr): %w", err)
	}
	if d.rpc, err = net.Listen("tcp", d.cfg.RPCAddr); err != nil { //nolint:noctx // the address is this machine's: nothing to wait for
		return fmt.Errorf("listen for taskmanagers (--rpc-addr): %w", err)
	}
	if d.cfg.MetricsAddr != "" {
		if d.metrics, err = net.Listen("tcp", d.cfg.MetricsAddr); err != nil { //nolint:noctx // the address is this machine's: nothing to wait for
			return fmt.Errorf("listen for metrics (--metrics-addr): %w", err)
		}
	}
	if d.cfg.OTLPEndpoint != "" {
		traces := tracing.Config{Endpoint: d.cfg.OTLPEndpoint, ID: d.cfg.ID, Version: d.cfg.Version, Log: d.cfg.Log}
		if d.traces, err = tracing.Open(context.Background(), traces); err != nil {
			return fmt.Errorf("open traces (--otlp-endpoint): %w", err)
		}
	}
	url, err := blobstore.URL(cmp.Or(d.cfg.CheckpointDir, filepath.Join(d.cfg.DataDir, "checkpoints")))
	if err != nil {
		return err
	}
	d.storage = blobstore.New(url)
	d.replica, err = replica.Open(replica.Config{
		ID: d.cfg.ID, Dir: d.cfg.DataDir, Addr: d.cfg.RaftAddr, Peers: d.cfg.Peers, Log: d.cfg.Log,
	})
	return err
}

func newEnumerator(source plan.KafkaSource) (jobmaster.Enumerator, error) {
	config, err := kafka.NewConfig(source)
	if err != nil {
		return nil, err
	}
	return kafka.NewEnumerator(config)
}

// RestAddr returns the address that REST listens on.
func (d *Daemon) RestAddr() string { return d.rest.Addr().String() }

// RPCAddr returns the address that taskmanagers dial.
func (d *Daemon) RPCAddr() string { return d.rpc.Addr().String() }

// MetricsAddr returns the address of /metrics, "" for none.
func (d *Daemon) MetricsAddr() string {
	if d.metrics == nil {
		return ""
	}
	return d.metrics.Addr().String()
}

// Run serves until ctx ends. Leadership comes and goes meanwhile; REST answers throughout, also while the masters of jobs stop.
// It fails when it cannot serve, or leads and cannot keep the state of jobs. Close then shuts the log.
func (d *Daemon) Run(ctx context.Context) error {
	serving, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	grpcServer := grpc.NewServer(gateway.ServerOptions()...)
	controlv1.RegisterJobManagerServiceServer(grpcServer, d.gateway)
	server := &http.Server{Handler: d.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := grpcServer.Serve(d.rpc); err != nil {
			fail(fmt.Errorf("serve taskmanagers: %w", err))
		}
	}()
	go func() {
		if err := server.Serve(d.rest); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve REST: %w", err))
		}
	}()
	if d.metrics != nil {
		watched := &http.Server{Handler: monitoring.Handler(d.collector()), ReadHeaderTimeout: 10 * time.Second}
		go func() {
			if err := watched.Serve(d.metrics); !errors.Is(err, http.ErrServerClosed) {
				fail(fmt.Errorf("serve metrics: %w", err))
			}
		}()
		defer func() { _ = watched.Close() }() // nobody waits for its answers
	}
	d.cfg.Log.Info("jobmanager started", "id", d.cfg.ID, "rest_addr", d.RestAddr(), "rpc_addr", d.RPCAddr(), "metrics_addr", d.MetricsAddr())
	d.lead(serving, fail)
	stop, stopped := context.WithTimeout(context.Background(), time.Second)
	defer stopped()
	if err := server.Shutdown(stop); err != nil {
		_ = server.Close() // answers that take longer are cut off
	}
	grpcServer.Stop()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(serving)
}

// Close shuts the log. A Daemon that did not run gives its ports back.
func (d *Daemon) Close() error {
	var errs []error
	for _, l := range []net.Listener{d.rest, d.rpc, d.metrics} {
		if l == nil {
			continue
		}
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if d.traces != nil {
		ctx, cancel := context.WithTimeout(context.Background(), tracesTimeout)
		defer cancel()
		if err := d.traces.Close(ctx); err != nil {
			d.cfg.Log.Warn("last traces not sent", "error", err)
		}
	}
	if d.storage != nil {
		errs = append(errs, d.storage.Close())
	}
	if d.replica != nil {
		errs = append(errs, d.replica.Close())
	}
	return errors.Join(errs...)
}

func (d *Daemon) collector() clusterCollector {
	return clusterCollector{cluster: d.dispatcher, raft: d.replica.RaftStatus, now: time.Now}
}

func (d *Daemon) handler() http.Handler {
	local := rest.New(rest.Config{
		Cluster: d.dispatcher, Members: d.replica, UI: web.Handler(), Version: d.cfg.Version, Revision: version.Commit(),
		Settings: d.settings(), Now: time.Now,
	})
	if len(d.cfg.Peers) == 0 {
		return local
	}
	return &forwarder{local: local, replica: d.replica, leads: d.dispatcher.Leads}
}

// Leads reports whether this jobmanager leads.
func (d *Daemon) Leads() bool { return d.dispatcher.Leads() }

// restAddress is where the other jobmanagers find REST: at the host that they find Raft at.
func (d *Daemon) restAddress() string {
	host, _, err := net.SplitHostPort(d.cfg.Peers[d.cfg.ID])
	if err != nil {
		return d.RestAddr()
	}
	_, port, err := net.SplitHostPort(d.RestAddr())
	if err != nil {
		return d.RestAddr()
	}
	return net.JoinHostPort(host, port)
}

// settings are shown as the jobmanager's configuration, by the names of its flags. None is a secret.
func (d *Daemon) settings() []rest.Setting {
	var peers []string
	for id, address := range d.cfg.Peers {
		peers = append(peers, id+"="+address)
	}
	slices.Sort(peers)
	return []rest.Setting{
		{Key: "checkpoint-dir", Value: d.storage.URL()},
		{Key: "data-dir", Value: d.cfg.DataDir},
		{Key: "forget-after", Value: d.cfg.ForgetAfter.String()},
		{Key: "id", Value: d.cfg.ID},
		{Key: "metrics-addr", Value: d.MetricsAddr()},
		{Key: "otlp-endpoint", Value: d.cfg.OTLPEndpoint},
		{Key: "peers", Value: strings.Join(peers, ",")},
		{Key: "raft-addr", Value: d.cfg.RaftAddr},
		{Key: "rescale-cool-down", Value: d.cfg.RescaleCoolDown.String()},
		{Key: "rescale-quiet", Value: d.cfg.RescaleQuiet.String()},
		{Key: "rest-addr", Value: d.RestAddr()},
		{Key: "rpc-addr", Value: d.RPCAddr()},
		{Key: "savepoint-dir", Value: d.cfg.SavepointDir},
	}
}

// lead follows this node's leadership until ctx ends. Lost and won again are two steps: what was run under the old term has
// ended before anything runs under the new one.
func (d *Daemon) lead(ctx context.Context, fail func(error)) {
	var term sync.WaitGroup
	lose := func() {}
	for {
		select {
		case leads := <-d.replica.Leadership():
			lose()
			term.Wait()
			if !leads {
				d.cfg.Log.Warn("leadership lost")
				continue
			}
			var leading context.Context
			leading, lose = context.WithCancel(ctx)
			term.Go(func() {
				if err := d.leadTerm(leading); err != nil {
					fail(err)
				}
			})
		case <-ctx.Done():
			lose()
			term.Wait()
			return
		}
	}
}

// leadTerm leads until ctx ends or another node does. Its error is that of a leader who cannot lead: nobody else will while it
// lives.
func (d *Daemon) leadTerm(ctx context.Context) error {
	err := d.replica.Ready()
	if err == nil && len(d.cfg.Peers) > 0 {
		err = d.replica.Announce(ctx, d.restAddress())
	}
	if err == nil {
		token := d.replica.Term()
		d.cfg.Log.Info("leading", "fencing_token", token)
		// Taskmanagers leave when no job runs here any more: to one that does, the end of their sessions would be their loss.
		serving, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		var sessions sync.WaitGroup
		err = d.dispatcher.Lead(ctx, func() {
			sessions.Go(func() { d.gateway.Lead(serving, token) })
		})
		stop()
		sessions.Wait()
	}
	switch {
	case errors.Is(err, replica.ErrNotLeader):
		d.cfg.Log.Warn("leadership ended", "error", err)
		return nil
	case errors.Is(err, context.Canceled):
		return nil
	default:
		return fmt.Errorf("lead: %w", err)
	}
}
