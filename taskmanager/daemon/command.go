package daemon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"pencere/pkg/cli"
	"pencere/pkg/version"

	"github.com/spf13/cobra"
)

// healthTimeout bounds a health check; container engines give up not much later.
const healthTimeout = 3 * time.Second

// Command returns the taskmanager's command line.
func Command() *cobra.Command {
	cfg := Config{Version: version.String()}
	var logger func(io.Writer) (*slog.Logger, error)
	var memoryMiB int64
	command := &cobra.Command{
		Use:   "taskmanager",
		Short: "Runs subtasks of jobs in its slots",
		Long: "Runs subtasks of jobs in its slots.\n\n" +
			"SIGTERM or SIGINT makes it leave: jobs that run here take a checkpoint, at which their sources stop, and go on at the slots that are\n" +
			"left; then it ends. A second signal ends it at once.\n\n" +
			"Each flag can also be given in the environment: --slots is PENCERE_SLOTS.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := logger(c.ErrOrStderr())
			if err != nil {
				return err
			}
			cfg.Log, cfg.MemoryLimit = log, memoryMiB<<20
			d, err := New(cfg)
			if err != nil {
				return err
			}
			running, stop := context.WithCancel(context.WithoutCancel(c.Context()))
			defer stop()
			defer context.AfterFunc(c.Context(), d.Leave)()
			return d.Run(running)
		},
	}
	command.PersistentFlags().StringVar(&cfg.MetricsAddr, "metrics-addr", ":9249", "host:port of /metrics, /health and /debug/pprof; empty for none")
	flags := command.Flags()
	flags.StringSliceVar(&cfg.JobManagers, "jobmanagers", []string{"localhost:6123"}, "host:port of each jobmanager, in any order")
	flags.IntVar(&cfg.Slots, "slots", 1, "subtasks of each vertex that run at once")
	flags.StringVar(&cfg.DataAddr, "data-addr", ":6121", "host:port on which other taskmanagers send batches")
	flags.StringVar(&cfg.AdvertiseAddr, "advertise-addr", "", "host:port that other taskmanagers dial, where it differs from --data-addr")
	flags.Int64Var(&memoryMiB, "memory", 0, "memory to use at most, in MiB; 0 for three quarters of the machine's")
	flags.DurationVar(&cfg.Lease, "lease", DefaultLease, "how long subtasks run on while no jobmanager leads")
	flags.DurationVar(&cfg.LeaveTimeout, "leave-timeout", DefaultLeaveTimeout, "how long it waits at most for jobs to go on elsewhere when it is to end")
	logger = cli.LogFlags(flags)
	command.AddCommand(&cobra.Command{
		Use:   "health",
		Short: "Asks the taskmanager on this machine whether it is well, for container health checks",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return cli.Health(c.Context(), http.DefaultClient, cfg.MetricsAddr, healthTimeout)
		},
	})
	return command
}
