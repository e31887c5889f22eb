// Package command is the submitter's command line.
//
// Results go to standard output, everything else to standard error. With --json standard output holds one JSON object,
// {"command", "ok", "result", "error"}, whatever happens. The exit code says what kind of end it was:
//
//	  0  done
//	  1  the job failed or was cancelled, or something went wrong at run time
//	  2  wrong usage, or an invalid job spec
//	  3  the cluster or Kafka is not reached, or this machine lacks something (a free port, a writable directory)
//	130  interrupted with Ctrl-C (128 + SIGINT); a job that runs on a cluster runs on
package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"pencere/pkg/cli"
	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitEnvironment = 3
	exitUnsupported = 4 // of verify --replay alone
	exitInterrupted = 130
)

const exitCodesHelp = `
Exit codes: 0 done; 1 the job failed or was cancelled, or a failure at run time; 2 wrong usage or an invalid job spec;
3 the cluster or Kafka is not reached, or a port or directory of this machine cannot be used; 130 interrupted.
Each flag can also be given in the environment: --timeout is PENCERE_TIMEOUT.`

// Streams are what a command reads and writes, and its environment.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal says that Err is a terminal, on which a line may be written over.
	Terminal  bool
	LookupEnv func(string) (string, bool)
}

// Main runs the command line of this process until it ends, or SIGINT or SIGTERM asks it to, and returns the exit code. A
// second signal kills.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, args, Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, LookupEnv: os.LookupEnv, Terminal: term.IsTerminal(int(os.Stderr.Fd())),
	})
}

// app is what the commands share.
type app struct {
	Streams
	json      bool
	addresses []string
	timeout   time.Duration
	began     bool // a command was found and its flags were read
}

// Run runs a command line and returns the exit code.
func Run(ctx context.Context, args []string, streams Streams) int {
	a := &app{Streams: streams}
	root := a.root()
	root.SetArgs(args)
	ran, err := root.ExecuteContextC(ctx)
	if err != nil && !a.began {
		a.json = a.json || slices.Contains(args, "--json")
		err = &usageError{err: err}
	}
	if err != nil {
		a.reportError(strings.TrimPrefix(ran.CommandPath(), root.Name()+" "), err)
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "submitter",
		Short:         "Submits jobs to a Pencere cluster and looks after them",
		Long:          "Submits jobs to a Pencere cluster and looks after them.\n" + exitCodesHelp,
		Args:          cobra.ArbitraryArgs, // RunE says it better
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := cli.FromEnvironment(c.Flags(), a.LookupEnv); err != nil {
				return err
			}
			a.began = true
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				return usage("there is no command %q; did you mean %s?", args[0], strings.Join(near, " or "))
			}
			return usage("there is no command %q", args[0])
		},
		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print the result as one JSON object")
	root.AddCommand(a.runCommand(), a.validateCommand(), a.schemaCommand(), a.listCommand(), a.cancelCommand(),
		a.verifyCommand(), a.ledgerCommand(), a.whyCommand(),
		a.savepointCommand(), a.stopCommand(), a.rescaleCommand(),
		a.clusterCommand(),
		a.topicsCommand(), a.produceCommand(), a.consumeCommand(),
		a.versionCommand(), a.demoCommand())
	return root
}

// clusterFlags are those of commands that talk to a cluster.
func (a *app) clusterFlags(c *cobra.Command) {
	c.Flags().StringSliceVarP(&a.addresses, "jobmanager", "m", []string{"localhost:" + client.DefaultPort},
		"host:port of each jobmanager's REST, in any order")
	c.Flags().DurationVar(&a.timeout, "timeout", 30*time.Second, "how long to wait for a jobmanager to be reached")
}

// connect returns a client, which says on standard error that it waits.
func (a *app) connect() (*client.Client, error) {
	told := false
	return client.New(client.Config{Addresses: a.addresses, Timeout: a.timeout, Waiting: func(err error) {
		if !told && !a.json {
			a.note("waiting up to %s: %v", a.timeout, err)
		}
		told = true
	}})
}

// oneArgument demands a single argument, of which what says what it is.
func oneArgument(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want %s, got %d arguments", what, len(args))
		}
		return nil
	}
}
