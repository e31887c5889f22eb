package command

import (
	"context"
	"fmt"
	"strings"

	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) cancelCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cancel JOB",
		Short: "Asks a job to end; JOB is its id, the beginning of its id, or its name",
		Args:  oneArgument("one job"),
	}
	a.clusterFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withJob(c.Context(), args[0], func(cluster *client.Client, job client.JobSummary) error {
			if err := cluster.Cancel(c.Context(), job.ID); err != nil {
				return fmt.Errorf("cancel job %s: %w", job.ID, err)
			}
			a.report(c.Name(), map[string]string{"jobId": job.ID, "name": job.Name}, func() {
				fmt.Fprintf(a.Out, "Job %s (%s) is being cancelled.\n", job.Name, job.ID)
			})
			return nil
		})
	}
	return c
}

// withJob connects to the cluster and has do work on the job that is meant by wanted.
func (a *app) withJob(ctx context.Context, wanted string, do func(cluster *client.Client, job client.JobSummary) error) error {
	cluster, err := a.connect()
	if err != nil {
		return err
	}
	defer cluster.Close()
	jobs, err := cluster.Jobs(ctx)
	if err != nil {
		return err
	}
	job, err := findJob(jobs, wanted)
	if err != nil {
		return err
	}
	return do(cluster, job)
}

// findJob returns the job that is meant: by its whole id whatever its state, by the beginning of its id or by its name if just
// one that has not ended is so called.
func findJob(jobs []client.JobSummary, wanted string) (client.JobSummary, error) {
	var found []client.JobSummary
	for _, j := range jobs {
		if j.ID == strings.ToLower(wanted) {
			return j, nil
		}
		if !client.Terminal(j.State) && (j.Name == wanted || strings.HasPrefix(j.ID, strings.ToLower(wanted))) {
			found = append(found, j)
		}
	}
	switch {
	case wanted == "" || len(found) == 0:
		return client.JobSummary{}, usage("no running job is called %q; submitter list shows them", wanted)
	case len(found) > 1:
		ids := make([]string, len(found))
		for i, j := range found {
			ids[i] = j.ID
		}
		return client.JobSummary{}, usage("%q may be any of %d jobs; give an id: %s", wanted, len(found), strings.Join(ids, ", "))
	}
	return found[0], nil
}
