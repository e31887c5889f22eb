package command

import (
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) listCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "list [-a]",
		Short: "Lists the jobs that run, or all that are known",
		Args:  cobra.NoArgs,
	}
	a.clusterFlags(c)
	c.Flags().BoolVarP(&all, "all", "a", false, "list the jobs that have ended too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cluster, err := a.connect()
		if err != nil {
			return err
		}
		defer cluster.Close()
		jobs, err := cluster.Jobs(c.Context())
		if err != nil {
			return err
		}
		if !all {
			jobs = slices.DeleteFunc(jobs, func(j client.JobSummary) bool { return client.Terminal(j.State) })
		}
		a.report(c.Name(), map[string]any{"jobs": slices.Concat([]client.JobSummary{}, jobs)}, func() { a.listJobs(jobs) })
		return nil
	}
	return c
}

func (a *app) listJobs(jobs []client.JobSummary) {
	if len(jobs) == 0 {
		a.note("No jobs.")
		return
	}
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tSTATE\tTASKS\tSTARTED\tDURATION")
	for _, j := range jobs {
		started := time.UnixMilli(j.StartTime).Format(time.DateTime)
		took := (time.Duration(j.DurationMs) * time.Millisecond).Round(time.Second)
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", j.ID, j.Name, j.State, j.Tasks["total"], started, took)
	}
	_ = table.Flush() // nobody is left to tell
}
