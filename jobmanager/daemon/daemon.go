// Package daemon is the jobmanager as a value: it wires the replicated log, the jobs, the taskmanagers' gateway and the REST
// API together and runs them.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"pencere/jobmanager/internal/gateway"
	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/replica"
	"pencere/jobmanager/internal/rest"
	"pencere/jobmanager/internal/slotpool"
	"pencere/pkg/connector/kafka"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/plan"
	"pencere/pkg/version"
	"pencere/web"

	"google.golang.org/grpc"
)

// Config is what a jobmanager is started with.
type Config struct {
	ID       string
	DataDir  string
	RestAddr string // host:port; port 0 takes a free one
	RPCAddr  string // host:port for taskmanagers; port 0 takes a free one
	RaftAddr string // host:port for the other jobmanagers; used with Peers
	// Peers are all jobmanagers, this one too, by id with their raft addresses; empty for one alone.
	Peers   map[string]string
	Version string
	// ForgetAfter is how long jobs that ended stay known; 0 keeps them for ever.
	ForgetAfter time.Duration
	Log         *slog.Logger
}

// Daemon is a jobmanager.
type Daemon struct {
	cfg        Config
	rest, rpc  net.Listener
	replica    *replica.Replica
	dispatcher *jobmaster.Dispatcher
	gateway    *gateway.Gateway
}

// New listens on the configured addresses and opens the data directory.
func New(cfg Config) (*Daemon, error) {
	d := &Daemon{cfg: cfg}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	pool := slotpool.New(time.Now)
	d.dispatcher = jobmaster.New(jobmaster.Config{
		Log: d.replica, Slots: pool, Splits: newEnumerator, Logger: cfg.Log,
		Now: time.Now, Random: rand.Float64, ForgetAfter: cfg.ForgetAfter,
	})
	d.gateway = gateway.New(pool, d.dispatcher, cfg.Log)
	return d, nil
}

// open takes the ports before the data directory: that one is taken already is the commonest mistake, and the soonest told.
func (d *Daemon) open() (err error) {
	if d.rest, err = net.Listen("tcp", d.cfg.RestAddr); err != nil {
		return fmt.Errorf("listen for REST (--rest-addr): %w", err)
	}
	if d.rpc, err = net.Listen("tcp", d.cfg.RPCAddr); err != nil {
		return fmt.Errorf("listen for taskmanagers (--rpc-addr): %w", err)
	}
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

// Run serves until ctx ends. Leadership comes and goes meanwhile; REST answers throughout. It stops the listeners first, so
// that nothing new comes in, and Close then shuts the log.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	grpcServer := grpc.NewServer()
	controlv1.RegisterJobManagerServiceServer(grpcServer, d.gateway)
	web := &http.Server{Handler: d.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { cancel(fmt.Errorf("serve taskmanagers: %w", grpcServer.Serve(d.rpc))) }()
	go func() {
		if err := web.Serve(d.rest); !errors.Is(err, http.ErrServerClosed) {
			cancel(fmt.Errorf("serve REST: %w", err))
		}
	}()
	d.cfg.Log.Info("jobmanager started", "id", d.cfg.ID, "rest_addr", d.RestAddr(), "rpc_addr", d.RPCAddr())
	d.lead(ctx)
	stop, stopped := context.WithTimeout(context.Background(), time.Second)
	defer stopped()
	if err := web.Shutdown(stop); err != nil {
		_ = web.Close() // answers that take longer are cut off
	}
	grpcServer.Stop()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Close shuts the log. A Daemon that did not run gives its ports back.
func (d *Daemon) Close() error {
	var errs []error
	for _, l := range []net.Listener{d.rest, d.rpc} {
		if l == nil {
			continue
		}
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if d.replica != nil {
		errs = append(errs, d.replica.Close())
	}
	return errors.Join(errs...)
}

func (d *Daemon) handler() http.Handler {
	return rest.New(rest.Config{
		Cluster: d.dispatcher, UI: web.Handler(), Version: d.cfg.Version, Revision: version.Commit(),
		Settings: d.settings(), Now: time.Now,
	})
}

// settings are shown as the jobmanager's configuration, by the names of its flags. None is a secret.
func (d *Daemon) settings() []rest.Setting {
	var peers []string
	for id, address := range d.cfg.Peers {
		peers = append(peers, id+"="+address)
	}
	slices.Sort(peers)
	return []rest.Setting{
		{Key: "data-dir", Value: d.cfg.DataDir},
		{Key: "forget-after", Value: d.cfg.ForgetAfter.String()},
		{Key: "id", Value: d.cfg.ID},
		{Key: "peers", Value: strings.Join(peers, ",")},
		{Key: "raft-addr", Value: d.cfg.RaftAddr},
		{Key: "rest-addr", Value: d.RestAddr()},
		{Key: "rpc-addr", Value: d.RPCAddr()},
	}
}

// lead follows this node's leadership until ctx ends. Lost and won again are two steps: what was run under the old term has
// ended before anything runs under the new one.
func (d *Daemon) lead(ctx context.Context) {
	var term sync.WaitGroup
	lose := func() {}
	for {
		select {
		case leads := <-d.replica.Leadership():
			lose()
			term.Wait()
			if !leads {
				d.cfg.Log.Warn("leadership lost")
				lose = func() {}
				continue
			}
			var leading context.Context
			leading, lose = context.WithCancel(ctx)
			term.Go(func() { d.leadTerm(leading) })
		case <-ctx.Done():
			lose()
			term.Wait()
			return
		}
	}
}

func (d *Daemon) leadTerm(ctx context.Context) {
	if err := d.replica.Ready(); err != nil {
		d.cfg.Log.Error("leadership not taken", "error", err)
		return
	}
	token := d.replica.Term()
	d.cfg.Log.Info("leading", "fencing_token", token)
	d.gateway.Lead(ctx, token)
	if err := d.dispatcher.Lead(ctx); err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("leadership ended", "error", err)
	}
}
