package command

import (
	"fmt"

	"github.com/spf13/cobra"
)

// runResult is what run prints with --json. Counts are there with --wait.
type runResult struct {
	JobID string `json:"jobId"`
	Name  string `json:"name"`
	Web   string `json:"web"`
	*outcome
}

func (a *app) runCommand() *cobra.Command {
	var vars variables
	var wait bool
	c := &cobra.Command{
		Use:   "run [-m host:8081[,host2:8081]] [--wait] job.yaml",
		Short: "Submits a job and prints its id and web address",
		Long: "Checks a job spec, waits until a jobmanager is reached, submits the job, and prints its id and web address.\n" +
			"The spec is read from standard input for '-'. With --wait the job is followed to its end.\n" + exitCodesHelp,
		Args: oneArgument("one job spec, or - for standard input"),
	}
	a.clusterFlags(c)
	vars.flags(c)
	c.Flags().BoolVar(&wait, "wait", false, "follow the job to its end; the exit code is 0 only if it finishes")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := vars.parse(a.LookupEnv); err != nil {
			return err
		}
		return a.run(c, args[0], &vars, wait)
	}
	return c
}

func (a *app) run(c *cobra.Command, path string, vars *variables, wait bool) error {
	spec, job, err := a.readSpec(path, vars)
	if err != nil {
		return err
	}
	cluster, err := a.connect()
	if err != nil {
		return err
	}
	defer cluster.Close()
	submitted, err := cluster.Submit(c.Context(), spec)
	if err != nil {
		return err
	}
	result := runResult{JobID: submitted.ID, Name: job.Name, Web: submitted.Web}
	if !a.json {
		fmt.Fprintf(a.Out, "Job %s submitted: %s\n%s\n", job.Name, submitted.ID, submitted.Web)
	}
	if !wait {
		a.report(c.Name(), result, func() {})
		return nil
	}
	f := follower{app: a, cluster: cluster, id: submitted.ID}
	end, err := f.follow(c.Context())
	if err != nil {
		return &resultError{err: err, result: result}
	}
	result.outcome = &end
	if err := end.err(); err != nil {
		return &resultError{err: err, result: result}
	}
	a.report(c.Name(), result, func() { fmt.Fprintln(a.Out, end) })
	return nil
}
