package command

import (
	"context"
	"fmt"

	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

// runResult is what run prints with --json. Counts are there with --wait.
type runResult struct {
	JobID string `json:"jobId"`
	Name  string `json:"name"`
	Web   string `json:"web,omitempty"`
	*outcome
}

func (a *app) runCommand() *cobra.Command {
	var vars variables
	var wait, unlessRunning bool
	var from client.Spec // what of it flags say
	c := &cobra.Command{
		Use:   "run [-m host:8081[,host2:8081]] [--wait] job.yaml",
		Short: "Submits a job and prints its id and web address",
		Long: "Checks a job spec, waits until a jobmanager is reached, submits the job, and prints its id and web address.\n" +
			"The spec is read from standard input for '-'. With --wait the job is followed to its end.\n" +
			"With --from-savepoint the job goes on from a savepoint, at any parallelism: its folder is as the jobmanager sees it.\n" +
			exitCodesHelp,
		Args: oneArgument("one job spec, or - for standard input"),
	}
	a.clusterFlags(c)
	vars.flags(c)
	c.Flags().BoolVar(&wait, "wait", false, "follow the job to its end; the exit code is 0 only if it finishes")
	c.Flags().BoolVar(&unlessRunning, "unless-running", false, "submit nothing if a job of the name has not ended; that is no error")
	c.Flags().StringVar(&from.Savepoint, "from-savepoint", "", "folder of the savepoint to go on from, a directory or URL")
	c.Flags().BoolVar(&from.AllowNonRestoredState, "allow-non-restored-state", false,
		"go on from the savepoint even if the job has no place for some of its state")
	c.RunE = func(c *cobra.Command, args []string) error {
		if from.AllowNonRestoredState && from.Savepoint == "" {
			return usage("--allow-non-restored-state is about a savepoint: give --from-savepoint")
		}
		if err := vars.parse(a.LookupEnv); err != nil {
			return err
		}
		spec, job, err := a.readSpec(args[0], &vars)
		if err != nil {
			return err
		}
		a.warn(spec.Name, job)
		spec.Savepoint, spec.AllowNonRestoredState = from.Savepoint, from.AllowNonRestoredState
		return a.run(c, spec, job.Name, runOptions{wait: wait, unlessRunning: unlessRunning})
	}
	return c
}

type runOptions struct{ wait, unlessRunning bool }

func (a *app) run(c *cobra.Command, spec client.Spec, name string, options runOptions) error {
	cluster, err := a.connect()
	if err != nil {
		return err
	}
	defer cluster.Close()
	if options.unlessRunning {
		if running, err := runningJob(c.Context(), cluster, name); err != nil {
			return err
		} else if running != "" {
			a.report(c.Name(), runResult{JobID: running, Name: name}, func() { fmt.Fprintf(a.Out, "Job %s runs already: %s\n", name, running) })
			return nil
		}
	}
	submitted, err := cluster.Submit(c.Context(), spec)
	if err != nil {
		return err
	}
	result := runResult{JobID: submitted.ID, Name: name, Web: submitted.Web}
	if !a.json {
		fmt.Fprintf(a.Out, "Job %s submitted: %s\n%s\n", name, submitted.ID, submitted.Web)
	}
	if !options.wait {
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

// runningJob returns the id of a job of the name that has not ended, or "".
func runningJob(ctx context.Context, cluster *client.Client, name string) (string, error) {
	jobs, err := cluster.Jobs(ctx)
	if err != nil {
		return "", err
	}
	for _, job := range jobs {
		if job.Name == name && !client.Terminal(job.State) {
			return job.ID, nil
		}
	}
	return "", nil
}
