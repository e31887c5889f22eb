package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"

	"pencere/pkg/manifest"
	"pencere/pkg/manifestdir"
	"pencere/submitter/internal/client"
	"pencere/submitter/internal/replay"

	"github.com/spf13/cobra"
)

const verifyHelp = `Proves a directory of part files by its manifest: nothing is missing, edited, extra, or out of order. That needs no
cluster. With -m the end of each job's chain is compared with the one that the jobmanager knows, too: who has written a whole
manifest anew is found by that alone.

With --replay the records that the manifest covers are read again from Kafka, and an evaluator that shares nothing with the engine but the
grammar of expressions computes what must have become of them: the files must hold just those rows, byte for byte. The spec, and
--var or the environment for its variables, are those that the job was submitted with; brokers may be others. With --dead-letters as well,
DIR is the directory of the job's dead letters: it must hold just the records that are bad or late, as they came, each with its reason.
With --job in place of DIR it is the topic of sink.kafka that must hold just the rows, keys and headers, as a reader of read_committed sees it:
of the records that the ledger of the job accounts for, which has ended. Nobody else may have written to that topic.

Exit codes: 0 the directory is proved; 1 it is not: something is wrong, the rows are not those of the replay, or a job has not ended, so that
more is to come; 2 wrong usage, or there is no such directory; 3 the jobmanager that -m names is not reached, or Kafka does not give what
is to be read; 4 the spec has a part that the replay does not know, which is named.`

// errNotProved is the end of a verification that found something; the report says what.
var errNotProved = errors.New("the directory is not proved")

// verified is what verify prints with --json.
type verified struct {
	manifest.Report
	Proved bool `json:"proved"`
	// Compared are the ids of the jobs whose ends were compared with the jobmanager's.
	Compared []string `json:"compared"`
	// Replayed are the results of --replay.
	Replayed []replay.Replayed `json:"replayed,omitempty"`
}

func (a *app) verifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Proves that a directory holds what jobs wrote, and nothing else",
		Long:  verifyHelp,
	}
	a.clusterFlags(c)
	jobManager := c.Flags().Lookup("jobmanager")
	jobManager.DefValue = "none"
	var spec string
	c.Flags().StringVar(&spec, "replay", "", "the job spec by which the records are read again and evaluated")
	content := replay.Rows
	c.Flags().BoolFunc("dead-letters", "with --replay: DIR holds the job's dead letters", func(string) error { content = replay.DeadLetters; return nil })
	var job string
	c.Flags().StringVar(&job, "job", "", "with --replay, in place of DIR: the id of a job that has ended, whose sink is a topic")
	c.Args = func(c *cobra.Command, args []string) error {
		if job != "" && len(args) == 0 && spec != "" && content == replay.Rows {
			return nil
		}
		if job != "" {
			return errors.New("--job is in place of a directory, and needs --replay alone")
		}
		return oneArgument("one directory")(c, args)
	}
	var vars variables
	vars.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := vars.parse(a.LookupEnv); err != nil {
			return err
		}
		if job != "" {
			return a.verifyTopic(c, spec, &vars, job)
		}
		if content == replay.DeadLetters && spec == "" {
			return usage("--dead-letters needs --replay: without it every directory is proved alike")
		}
		report, err := verifyDir(args[0])
		if err != nil {
			return err
		}
		result := verified{Report: report, Compared: []string{}}
		if spec != "" {
			if err := a.replay(c.Context(), replayOf{spec, content, args[0]}, &vars, &result); err != nil {
				return err
			}
		}
		var unreached error
		if jobManager.Changed {
			unreached = a.compare(c.Context(), &result)
		}
		result.Proved = result.Report.Proved() && unreached == nil && !slices.ContainsFunc(result.Replayed, differs)
		return a.reportVerified(c.Name(), result, unreached)
	}
	return c
}

func differs(r replay.Replayed) bool { return !r.Same() }

// replayOf says what is to be replayed.
type replayOf struct {
	spec    string
	content replay.Content
	dir     string
}

// replay evaluates what the manifest of a directory covers. What is not intact is not replayed: the report says what is wrong.
func (a *app) replay(ctx context.Context, of replayOf, vars *variables, result *verified) error {
	_, job, err := a.readSpec(of.spec, vars)
	if err != nil || !result.Intact() {
		return err
	}
	result.Replayed, err = replay.Directory(ctx, job, of.content, os.DirFS(of.dir))
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

func verifyDir(dir string) (manifest.Report, error) {
	report, err := manifestdir.Verify(os.DirFS(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return report, usage("there is no directory %s", dir)
	}
	return report, err
}

// reportVerified prints what was found. unreached is why there was no comparison that was asked for.
func (a *app) reportVerified(command string, result verified, unreached error) error {
	err := unreached
	if err == nil && !result.Proved {
		err = errNotProved
	}
	if a.json && err != nil {
		return &resultError{err: err, result: result}
	}
	a.report(command, result, func() {
		fmt.Fprint(a.Out, result.Report)
		for _, replayed := range result.Replayed {
			fmt.Fprint(a.Out, replayed)
		}
		for _, id := range result.Compared {
			fmt.Fprintf(a.Out, "job %s: compared with the jobmanager\n", id)
		}
	})
	return err
}

// compare adds to a report what the jobmanager knows better. The error is that none is reached.
func (a *app) compare(ctx context.Context, result *verified) error {
	cluster, err := a.connect()
	if err != nil {
		return err
	}
	defer cluster.Close()
	for _, found := range result.Jobs {
		job, err := cluster.Job(ctx, found.ID)
		if refused, ok := errors.AsType[*client.APIError](err); ok && refused.Status == http.StatusNotFound {
			result.Notes = append(result.Notes, manifest.Note{File: manifest.Dir, Text: fmt.Sprintf("job %s is not known to the jobmanager", found.ID)})
			continue
		}
		if err != nil {
			return fmt.Errorf("compare with the jobmanager: %w", err)
		}
		result.Compared = append(result.Compared, found.ID)
		compareHeads(found, job, &result.Report)
	}
	return nil
}

// compareHeads compares the end of a chain with the jobmanager's. While a job goes on, the directory may be behind.
func compareHeads(found manifest.JobReport, job client.Job, report *manifest.Report) {
	switch head := found.Head.String(); {
	case head == job.ManifestHead, head == job.DeadLetterHead: // whichever of its directories this is
	case !client.Terminal(job.State):
		report.Notes = append(report.Notes, manifest.Note{File: manifest.Dir, Text: fmt.Sprintf("job %s goes on: the jobmanager is further", found.ID)})
	default:
		report.Problems = append(report.Problems, manifest.Problem{
			Kind: manifest.ChainBroken, File: manifest.Dir, Job: found.ID,
			Differences: []manifest.Difference{{What: "end of the chain at the jobmanager", Expected: job.ManifestHead, Got: head}},
		})
	}
}
