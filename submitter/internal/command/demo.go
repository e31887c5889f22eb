package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"pencere/pkg/cli"
	"pencere/submitter/internal/demo"

	"github.com/spf13/cobra"
)

func (a *app) demoCommand() *cobra.Command {
	cfg := demo.Config{}
	var duration time.Duration
	var logLevel string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Shows a whole cluster at work in one process, with sample data",
		Long: "Starts a Kafka broker, a producer of second-hand listings, a jobmanager and two taskmanagers in this process, and runs the\n" +
			"reference job: listings with their VAT, each once in every 2-minute window, as CSV files. The listings' time runs\n" +
			"faster than the clock, so that windows end within seconds. Ctrl-C stops it; the files stay.\n" + exitCodesHelp,
		Args: cobra.NoArgs,
	}
	flags := c.Flags()
	flags.StringVar(&cfg.OutDir, "out", "out_data", "directory of the CSV files")
	flags.IntVar(&cfg.Port, "port", 8081, "port of REST and the web UI; 0 takes a free one")
	flags.Float64Var(&cfg.Rate, "rate", 100, "listings a second")
	flags.Float64Var(&cfg.Speed, "speed", 60, "how much faster than the clock the listings' time runs")
	flags.DurationVar(&duration, "duration", 0, "stop after so long; 0 runs until Ctrl-C")
	flags.StringVar(&logLevel, "log-level", "", "show the cluster's log from debug, info, warn or error on; none when empty")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkDemo(cfg, duration); err != nil {
			return err
		}
		cfg.Log = slog.New(slog.DiscardHandler)
		if logLevel != "" {
			log, err := cli.Logger(a.Err, "text", logLevel)
			if err != nil {
				return &usageError{err}
			}
			cfg.Log = log
		}
		ctx := c.Context()
		if duration > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, duration)
			defer cancel()
		}
		return a.demo(ctx, c.Name(), cfg)
	}
	return c
}

func checkDemo(cfg demo.Config, duration time.Duration) error {
	switch {
	case cfg.Port < 0 || cfg.Port > 65535:
		return usage("--port %d: want 0 to 65535", cfg.Port)
	case !(cfg.Rate > 0 && cfg.Rate <= 1e6):
		return usage("--rate %v: want more than 0 and at most 1000000 listings a second", cfg.Rate)
	case !(cfg.Speed > 0 && cfg.Speed <= 1e6):
		return usage("--speed %v: want more than 0 and at most 1000000", cfg.Speed)
	case duration < 0:
		return usage("--duration %v: want 0 or more", duration)
	}
	return nil
}

// demo runs the demo until ctx ends, which is how it is meant to end.
func (a *app) demo(ctx context.Context, command string, cfg demo.Config) error {
	screen := &demoScreen{app: a, began: time.Now()}
	end, err := demo.Run(ctx, cfg, screen)
	screen.clear()
	if err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
		return err
	}
	result := demoResult{
		Web: screen.start.Web, JobID: screen.start.JobID, OutDir: screen.start.OutDir, FirstFile: screen.first.Path,
		RecordsRead: end.RecordsRead, RowsWritten: end.RowsWritten, Files: end.Files,
	}
	a.report(command, result, func() {
		fmt.Fprintf(a.Out, "Stopped. %s records were read, %s rows are in %d files in %s\n",
			grouped(end.RecordsRead), grouped(end.RowsWritten), end.Files, cfg.OutDir)
	})
	return nil
}

// demoResult is what demo prints with --json.
type demoResult struct {
	Web         string `json:"web"`
	JobID       string `json:"jobId"`
	OutDir      string `json:"outDir"`
	FirstFile   string `json:"firstFile,omitempty"`
	RecordsRead int64  `json:"recordsRead"`
	RowsWritten int64  `json:"rowsWritten"`
	Files       int    `json:"files"`
}

// demoScreen implements demo.Screen.
type demoScreen struct {
	*app
	began  time.Time
	start  demo.Start
	first  demo.File
	saidAt time.Time
	rate   rate
	line   bool // the terminal's line is written on
}

// Started implements demo.Screen.
func (s *demoScreen) Started(start demo.Start) {
	s.start = start
	if s.json {
		return
	}
	fmt.Fprintf(s.Out, "Web UI   %s\nJob      %s\nKafka    %s\nFiles    %s\n\n", start.Web, start.JobID, start.Broker, start.OutDir)
	fmt.Fprintf(s.Out, "The first window ends in a moment. Ctrl-C stops.\n")
}

// FirstFile implements demo.Screen.
func (s *demoScreen) FirstFile(file demo.File) {
	s.first = file
	if s.json {
		return
	}
	s.clear()
	fmt.Fprintf(s.Out, "\nAfter %.1f s the first file is finished: %s\n", time.Since(s.began).Seconds(), file.Path)
	for _, row := range file.Rows {
		fmt.Fprintf(s.Out, "  %s\n", row)
	}
	if file.More > 0 {
		fmt.Fprintf(s.Out, "  ... and %s rows more\n", grouped(file.More))
	}
	fmt.Fprintln(s.Out)
}

// Progress implements demo.Screen.
func (s *demoScreen) Progress(p demo.Progress) {
	const terminalEvery = time.Second
	now := time.Now()
	perSecond := s.rate.of(p.RecordsRead, now)
	if s.json || !s.Terminal && now.Sub(s.saidAt) < plainEvery || s.Terminal && now.Sub(s.saidAt) < terminalEvery {
		return
	}
	s.saidAt = now
	line := fmt.Sprintf("%s: %s records read (%s/s), %s rows in %d files",
		p.State, grouped(p.RecordsRead), grouped(int64(perSecond)), grouped(p.RowsWritten), p.Files)
	if s.Terminal {
		s.line = true
		fmt.Fprintf(s.Err, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(s.Err, line)
}

func (s *demoScreen) clear() {
	if s.line {
		fmt.Fprint(s.Err, "\r\x1b[K")
	}
	s.line = false
}
