package command

import (
	"context"
	"fmt"

	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

// savepointResult is what savepoint and stop print with --json.
type savepointResult struct {
	JobID    string `json:"jobId"`
	Name     string `json:"name"`
	Location string `json:"location"`
}

func (a *app) savepointCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "savepoint JOB [DIR]",
		Short: "Makes a savepoint of a job, which goes on; JOB is its id, the beginning of its id, or its name",
		Long: "Makes a savepoint of a job, which goes on, and prints its folder. JOB is the job's id, the beginning of its id, or its name;\n" +
			"DIR is a directory or URL as the jobmanager sees it, its --savepoint-dir otherwise.\n" + exitCodesHelp,
		Args: cobra.RangeArgs(1, 2),
	}
	a.clusterFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		dir := ""
		if len(args) > 1 {
			dir = args[1]
		}
		return a.savepoint(c, args[0], "Savepoint of job %s (%s): %s\n", func(ctx context.Context, cluster *client.Client, id string) (string, error) {
			return cluster.Savepoint(ctx, id, dir)
		})
	}
	return c
}

// savepoint has take make a savepoint of the job that is meant, and prints where it is in the words of done.
func (a *app) savepoint(c *cobra.Command, wanted, done string, take func(ctx context.Context, cluster *client.Client, id string) (string, error)) error {
	return a.withJob(c.Context(), wanted, func(cluster *client.Client, job client.JobSummary) error {
		location, err := take(c.Context(), cluster, job.ID)
		if err != nil {
			return fmt.Errorf("%s job %s: %w", c.Name(), job.ID, err)
		}
		a.report(c.Name(), savepointResult{JobID: job.ID, Name: job.Name, Location: location}, func() {
			fmt.Fprintf(a.Out, done, job.Name, job.ID, location)
		})
		return nil
	})
}
