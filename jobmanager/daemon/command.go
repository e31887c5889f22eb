package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"pencere/jobmanager/internal/tracing"
	"pencere/pkg/cli"
	"pencere/pkg/version"

	"github.com/spf13/cobra"
)

// healthTimeout bounds a health check; container engines give up not much later.
const healthTimeout = 3 * time.Second

// Command returns the jobmanager's command line.
func Command() *cobra.Command {
	cfg := Config{Version: version.String()}
	var logger func(io.Writer) (*slog.Logger, error)
	command := &cobra.Command{
		Use:   "jobmanager",
		Short: "Schedules jobs onto taskmanagers and serves REST and the web UI",
		Long: "Schedules jobs onto taskmanagers and serves REST and the web UI.\n\n" +
			"Each flag can also be given in the environment: --data-dir is PENCERE_DATA_DIR.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := logger(c.ErrOrStderr())
			if err != nil {
				return err
			}
			cfg.Log = log
			return run(c.Context(), cfg)
		},
	}
	flags := command.PersistentFlags()
	flags.StringVar(&cfg.RestAddr, "rest-addr", ":8081", "host:port of REST and the web UI")
	flags = command.Flags()
	flags.StringVar(&cfg.MetricsAddr, "metrics-addr", ":9250", "host:port of /metrics, /health and /debug/pprof; empty for none")
	flags.StringVar(&cfg.ID, "id", "jm1", "name of this jobmanager among its peers")
	flags.StringVar(&cfg.DataDir, "data-dir", "data", "directory for the state of jobs")
	flags.StringVar(&cfg.CheckpointDir, "checkpoint-dir", "", "directory that all taskmanagers see too, s3://bucket or azblob://container, for large state; empty for DATA-DIR/checkpoints")
	flags.StringVar(&cfg.SavepointDir, "savepoint-dir", "", "directory, s3://bucket/folder or azblob://container/folder for savepoints of which nobody says where; empty for none")
	flags.StringVar(&cfg.RPCAddr, "rpc-addr", ":6123", "host:port for taskmanagers")
	flags.StringVar(&cfg.RaftAddr, "raft-addr", ":6124", "host:port for the other jobmanagers")
	flags.StringToStringVar(&cfg.Peers, "peers", nil, "all jobmanagers as jm1=host:6124,jm2=…, or this one and some to join; none for one alone")
	flags.DurationVar(&cfg.ForgetAfter, "forget-after", time.Hour, "how long jobs that ended stay known; 0 for ever")
	flags.DurationVar(&cfg.RescaleQuiet, "rescale-quiet", DefaultRescaleQuiet, "how long the slots must stay as they are before jobs follow them")
	flags.DurationVar(&cfg.RescaleCoolDown, "rescale-cool-down", DefaultRescaleCoolDown, "how long a job runs at least before it follows the slots again")
	flags.StringVar(&cfg.OTLPEndpoint, "otlp-endpoint", tracing.Environment(os.LookupEnv), "collector that OpenTelemetry traces of checkpoints and restarts go to, http://host:4317; empty for none, else as OTEL_EXPORTER_OTLP_ENDPOINT says")
	logger = cli.LogFlags(flags)
	command.AddCommand(healthCommand(&cfg))
	return command
}

func run(ctx context.Context, cfg Config) error {
	if len(cfg.Peers) > 0 && cfg.Peers[cfg.ID] == "" {
		return fmt.Errorf("--peers must name this jobmanager too: there is no %q in it", cfg.ID)
	}
	d, err := New(cfg)
	if err != nil {
		return err
	}
	err = d.Run(ctx)
	return errors.Join(err, d.Close())
}

func healthCommand(cfg *Config) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Asks the jobmanager on this machine whether it is well, for container health checks",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return cli.Health(c.Context(), http.DefaultClient, cfg.RestAddr, healthTimeout)
		},
	}
}
