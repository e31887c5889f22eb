// Package daemon is the taskmanager as a value: it wires the slots, the exchange and the agent together and runs them.
package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"pencere/pkg/arrowpool"
	"pencere/pkg/blobstore"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	exchangev1 "pencere/pkg/gen/pencere/exchange/v1"
	"pencere/pkg/monitoring"
	"pencere/taskmanager/internal/agent"
	"pencere/taskmanager/internal/exchange"
	"pencere/taskmanager/internal/slots"
	"pencere/taskmanager/internal/subtask"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Config is what a taskmanager is started with.
type Config struct {
	JobManagers []string // host:port of each jobmanager's gRPC
	Slots       int
	DataAddr    string // where the exchange listens, host:port; port 0 takes a free one
	// AdvertiseAddr is what peers dial; "" is DataAddr with this host's name where it has none.
	AdvertiseAddr string
	MetricsAddr   string // where /metrics, /health and /debug/pprof listen; "" is nowhere
	// MemoryLimit bounds the memory of the process, in bytes; 0 takes three quarters of the machine's.
	MemoryLimit int64
	// Lease is for how long subtasks run on while no jobmanager leads; 0 is DefaultLease.
	Lease time.Duration
	// LeaveTimeout is for how long Run goes on at most after Leave; 0 is DefaultLeaveTimeout.
	LeaveTimeout time.Duration
	Version      string
	Log          *slog.Logger
}

// DefaultLease outlasts the restart of a jobmanager's machine.
const DefaultLease = 5 * time.Minute

// DefaultLeaveTimeout is enough for a checkpoint of much state.
const DefaultLeaveTimeout = 30 * time.Second

// maxMessage bounds a message of the exchange, in bytes. A batch is cut near 1 MiB, but one row may be larger.
const maxMessage = 256 << 20

// pooledMemory is how many bytes of free batch buffers are kept.
const pooledMemory = 32 << 20

// Daemon is a taskmanager.
type Daemon struct {
	cfg     Config
	id      string
	limit   int64
	data    net.Listener
	metrics net.Listener
	hub     *exchange.Hub
	peers   peers
	buckets blobstore.Buckets
	agent   *agent.Agent
	table   *slots.Table
}

// New listens on the configured addresses. The taskmanager is not known to anybody before Run.
func New(cfg Config) (*Daemon, error) {
	if len(cfg.JobManagers) == 0 {
		return nil, errors.New("no jobmanager given: name at least one with --jobmanagers host:port")
	}
	if cfg.Slots < 1 {
		return nil, fmt.Errorf("a taskmanager needs at least 1 slot, got %d", cfg.Slots)
	}
	if cfg.MemoryLimit < 0 {
		return nil, fmt.Errorf("the memory limit (--memory) must not be negative, got %d MiB", cfg.MemoryLimit>>20)
	}
	d := &Daemon{cfg: cfg, hub: exchange.NewHub(), limit: cfg.MemoryLimit}
	if d.limit == 0 {
		d.limit = physicalMemory() / 4 * 3
	}
	var err error
	if d.data, err = net.Listen("tcp", cfg.DataAddr); err != nil { //nolint:noctx // the address is this machine's: nothing to wait for
		return nil, fmt.Errorf("listen for peers (--data-addr): %w", err)
	}
	if cfg.MetricsAddr != "" {
		if d.metrics, err = net.Listen("tcp", cfg.MetricsAddr); err != nil { //nolint:noctx // the address is this machine's: nothing to wait for
			return nil, errors.Join(fmt.Errorf("listen for metrics (--metrics-addr): %w", err), d.data.Close())
		}
	}
	advertised, err := d.advertised()
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	d.id = advertised + "-" + randomSuffix()
	d.wire(advertised)
	return d, nil
}

// advertised is the address that peers dial.
func (d *Daemon) advertised() (string, error) {
	if d.cfg.AdvertiseAddr != "" {
		return d.cfg.AdvertiseAddr, nil
	}
	host, port, err := net.SplitHostPort(d.data.Addr().String())
	if err != nil {
		return "", fmt.Errorf("own address: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return net.JoinHostPort(host, port), nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("own host name (or give --advertise-addr): %w", err)
	}
	return net.JoinHostPort(name, port), nil
}

func randomSuffix() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

func (d *Daemon) wire(advertised string) {
	d.agent = agent.New(agent.Config{
		JobManagers: d.cfg.JobManagers,
		Register: &controlv1.Register{
			TaskManagerId: d.id, DataAddress: advertised, Slots: int32(d.cfg.Slots), CpuCores: int32(runtime.NumCPU()),
			PhysicalMemoryBytes: physicalMemory(), MemoryLimitBytes: d.limit, Version: d.cfg.Version, ReadsPeers: true,
		},
		Lease: cmp.Or(d.cfg.Lease, DefaultLease), LeaveTimeout: cmp.Or(d.cfg.LeaveTimeout, DefaultLeaveTimeout), Log: d.cfg.Log,
	})
	d.table = slots.New(slots.Config{
		Host: subtask.Host{
			TaskManagerID: d.id, Hub: d.hub, Dial: d.peers.dial, Alloc: arrowpool.New(pooledMemory), Now: time.Now, Bucket: d.buckets.Open,
			// Half of the memory is for state; batches, buffers and the garbage between two collections need the rest.
			StateBudget: d.limit / 2 / int64(d.cfg.Slots),
		},
		Send: d.agent.Send, Memory: d.memory, Log: d.cfg.Log,
	})
}

// ID returns the taskmanager's id, "host:port-xxxxxx".
func (d *Daemon) ID() string { return d.id }

// Leave has the jobs go on elsewhere, without reading anything twice, and then ends Run. It may be called at any time, and again.
func (d *Daemon) Leave() { d.agent.Leave() }

// Run serves until ctx ends, or the taskmanager has left. It then stops the subtasks before the exchange, which they send over.
func (d *Daemon) Run(ctx context.Context) error {
	debug.SetMemoryLimit(d.limit)
	boundGarbage(ctx)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.WaitForHandlers(true))
	exchangev1.RegisterExchangeServiceServer(server, d.hub)
	serving, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	go func() {
		if err := server.Serve(d.data); err != nil {
			fail(fmt.Errorf("serve peers: %w", err))
		}
	}()
	if d.metrics != nil {
		web := &http.Server{Handler: monitoring.Handler(d.collector()), ReadHeaderTimeout: 10 * time.Second}
		go func() {
			if err := web.Serve(d.metrics); !errors.Is(err, http.ErrServerClosed) {
				fail(fmt.Errorf("serve metrics: %w", err))
			}
		}()
		defer func() { _ = web.Close() }() // nobody waits for its answers
	}
	d.cfg.Log.Info("taskmanager started", "task_manager_id", d.id, "slots", d.cfg.Slots, "data_addr", d.data.Addr().String(),
		"metrics_addr", d.metricsAddr(), "memory_limit_mib", d.limit>>20)
	err := d.agent.Run(serving, d.table)
	d.table.Wait()
	d.peers.close()
	server.Stop()
	if ctx.Err() != nil || errors.Is(err, agent.ErrLeft) {
		return nil
	}
	return err
}

func (d *Daemon) collector() reportCollector {
	return reportCollector{reports: d.table.Heartbeat, slots: d.cfg.Slots, limit: d.limit, now: time.Now}
}

// metricsAddr returns the address of /metrics, "" for none.
func (d *Daemon) metricsAddr() string {
	if d.metrics == nil {
		return ""
	}
	return d.metrics.Addr().String()
}

func (d *Daemon) close() error {
	err := d.data.Close()
	if d.metrics != nil {
		err = errors.Join(err, d.metrics.Close())
	}
	return err
}

// peers are the connections to other taskmanagers, one to each, made when first needed.
type peers struct {
	mu    sync.Mutex
	conns map[string]*grpc.ClientConn
}

func (p *peers) dial(address string) (grpc.ClientConnInterface, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if conn, ok := p.conns[address]; ok {
		return conn, nil
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, err
	}
	if p.conns == nil {
		p.conns = make(map[string]*grpc.ClientConn)
	}
	p.conns[address] = conn
	return conn, nil
}

func (p *peers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.Close() // its streams have ended
	}
}

// memory returns what the process uses and may use.
func (d *Daemon) memory() (heap, limit, resident int64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), d.limit, residentMemory()
}
