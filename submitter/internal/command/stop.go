package command

import (
	"context"

	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) stopCommand() *cobra.Command {
	var drain bool
	var dir string
	c := &cobra.Command{
		Use:   "stop JOB [--drain] [--savepoint-dir DIR]",
		Short: "Ends a job with a savepoint; JOB is its id, the beginning of its id, or its name",
		Long: "Ends a job with a savepoint and prints its folder: submitter run --from-savepoint goes on from it, exactly where the job ended.\n" +
			"JOB is the job's id, the beginning of its id, or its name. The job is FINISHED then.\n" + exitCodesHelp,
		Args: oneArgument("one job"),
	}
	a.clusterFlags(c)
	c.Flags().BoolVar(&drain, "drain", false, "fire all windows first, for a job that is not to go on")
	c.Flags().StringVar(&dir, "savepoint-dir", "", "directory or URL as the jobmanager sees it; its own --savepoint-dir otherwise")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.savepoint(c, args[0], "Job %s (%s) has stopped with a savepoint: %s\n", func(ctx context.Context, cluster *client.Client, id string) (string, error) {
			return cluster.Stop(ctx, id, dir, drain)
		})
	}
	return c
}
