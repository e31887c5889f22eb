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

	"pencere/jobmanager/internal/replica"
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
	command.AddCommand(healthCommand(&cfg), recoverCommand())
	return command
}

func recoverCommand() *cobra.Command {
	var cfg replica.Config
	var logger func(io.Writer) (*slog.Logger, error)
	command := &cobra.Command{
		Use:   "recover",
		Short: "Makes a jobmanager that does not run the only member, when the disks of most others are lost",
		Long: "Makes a jobmanager that does not run the only member of its cluster, with what its --data-dir holds, when the disks of most others are lost\n" +
			"and nothing can be decided any more. What only they held is lost. A job may then have only an older checkpoint to go on from: if it writes\n" +
			"files and has published some since, it fails and names them; a topic would get those rows again.\n\n" +
			"Stop all jobmanagers; run this once, with the same --id, --data-dir and --peers, for the one that is left, the newest if there are several;\n" +
			"start it, and then the others with empty directories. It refuses while enough others answer, or one that holds more.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := logger(c.ErrOrStderr())
			if err != nil {
				return err
			}
			cfg.Log = log
			if err := knowsItself(cfg.ID, cfg.Peers); err != nil {
				return err
			}
			r, err := replica.Recover(c.Context(), cfg)
			if err != nil {
				return fmt.Errorf("recover %s: %w", cfg.ID, err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "Jobmanager %s is the only member now, with %d jobs, as of entry %d of term %d. Start it, and then the others with empty directories.\n",
				cfg.ID, r.Jobs, r.Index, r.Term)
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&cfg.ID, "id", "jm1", "name of this jobmanager among its peers")
	flags.StringVar(&cfg.Dir, "data-dir", "data", "directory for the state of jobs")
	flags.StringToStringVar(&cfg.Peers, "peers", nil, "all jobmanagers as jm1=host:6124,jm2=…")
	logger = cli.LogFlags(flags)
	return command
}

func knowsItself(id string, peers map[string]string) error {
	if peers[id] == "" {
		return fmt.Errorf("--peers must name this jobmanager too: there is no %q in it", id)
	}
	return nil
}

func run(ctx context.Context, cfg Config) error {
	if len(cfg.Peers) > 0 {
		if err := knowsItself(cfg.ID, cfg.Peers); err != nil {
			return err
		}
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
