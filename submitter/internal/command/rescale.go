package command

import (
	"fmt"
	"strconv"

	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) rescaleCommand() *cobra.Command {
	var wanted string
	c := &cobra.Command{
		Use:   "rescale JOB -p N|auto",
		Short: "Changes the parallelism of a job; JOB is its id, the beginning of its id, or its name",
		Long: "Changes the parallelism of a job that runs, as if its spec said so: N slots, or with auto as many as there are and have work.\n" +
			"The job takes a checkpoint and goes on from it. While there are fewer than N slots it stays as it is.\n" +
			"JOB is the job's id, the beginning of its id, or its name.\n" + exitCodesHelp,
		Args: oneArgument("one job"),
	}
	a.clusterFlags(c)
	c.Flags().StringVarP(&wanted, "parallelism", "p", "", "a number from 1 on, or auto")
	c.RunE = func(c *cobra.Command, args []string) error {
		bounds, err := parseBounds(wanted)
		if err != nil {
			return err
		}
		return a.withJob(c.Context(), args[0], func(cluster *client.Client, job client.JobSummary) error {
			if err := cluster.Rescale(c.Context(), job.ID, bounds); err != nil {
				return fmt.Errorf("rescale job %s: %w", job.ID, err)
			}
			a.report(c.Name(), map[string]string{"jobId": job.ID, "name": job.Name, "parallelism": wanted}, func() {
				fmt.Fprintf(a.Out, "Job %s (%s) is to run at parallelism %s.\n", job.Name, job.ID, wanted)
			})
			return nil
		})
	}
	return c
}

func parseBounds(text string) (client.Bounds, error) {
	if text == "auto" {
		return client.Bounds{Lower: 1}, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return client.Bounds{}, usage("-p %q: want a number from 1 on, or auto", text)
	}
	return client.Bounds{Lower: n, Upper: n}, nil
}
