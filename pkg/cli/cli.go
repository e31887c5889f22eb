// Package cli holds what the commands of all programs share: flags from the environment, logging, and how a program
// ends.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envPrefix begins the environment variable of each flag: --data-dir is PENCERE_DATA_DIR.
const envPrefix = "PENCERE_"

// FromEnvironment sets the flags that were not given on the command line from the environment. Its errors name the variables. An
// empty variable is a map without entries, as it is an empty list or text: compose files cannot leave a variable out.
func FromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := EnvName(f.Name)
		value, ok := lookup(name)
		noEntries := value == "" && f.Value.Type() == "stringToString"
		if ok && !f.Changed && !noEntries {
			if err := flags.Set(f.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("environment variable %s: %w", name, err))
			}
		}
	})
	return errors.Join(errs...)
}

// EnvName returns the environment variable of a flag.
func EnvName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// LogFlags adds --log-format and --log-level to a daemon's flags, and returns what makes the logger that they ask for.
func LogFlags(flags *pflag.FlagSet) func(to io.Writer) (*slog.Logger, error) {
	format := flags.String("log-format", "text", "text or json")
	level := flags.String("log-level", "info", "debug, info, warn or error")
	return func(to io.Writer) (*slog.Logger, error) { return Logger(to, *format, *level) }
}

// Logger returns a logger that writes lines of text or JSON from a level (debug, info, warn, error) on.
func Logger(to io.Writer, format, level string) (*slog.Logger, error) {
	var from slog.Level
	if err := from.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: from}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(to, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(to, options)), nil
	default:
		return nil, fmt.Errorf("log format %q: want text or json", format)
	}
}

// Main runs a daemon's command until it ends or SIGINT or SIGTERM asks it to, and returns the exit code: 0, or 1 after an
// error, which is printed. A second signal ends the process at once.
func Main(command *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	command.SilenceErrors, command.SilenceUsage = true, true
	command.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		return FromEnvironment(c.Flags(), os.LookupEnv)
	}
	if err := command.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintf(command.ErrOrStderr(), "%s: %v\n", command.Name(), err) // nobody to tell
		return 1
	}
	return 0
}
