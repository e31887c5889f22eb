package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) whyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "why JOB",
		Short: "Says why a job gives no output: what holds it back, and what to do about it",
		Long: `Says in plain sentences why a job gives no output, the most likely cause first, each with its remedy; then how far each partition is
and which record it lacks for the next window to fire.

A finding is a problem (somebody must do something), waiting (it may come by itself), ok, or a note.
JOB is the job's id, the beginning of its id, or its name. With --json the result has all facts.
` + exitCodesHelp,
		Args: oneArgument("one job"),
	}
	a.clusterFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withJob(c.Context(), args[0], func(cluster *client.Client, job client.JobSummary) error {
			answer, err := cluster.Why(c.Context(), job.ID)
			if err != nil {
				return fmt.Errorf("why of job %s: %w", job.ID, err)
			}
			a.report(c.Name(), answer.Whole, func() { showWhy(a.Out, job, answer) })
			return nil
		})
	}
	return c
}

func showWhy(out io.Writer, job client.JobSummary, w client.Why) {
	fmt.Fprintf(out, "Job %s (%s) is %s.\n\n", job.Name, job.ID, job.State)
	for _, f := range w.Findings {
		fmt.Fprintf(out, "%-7s  %s\n", f.Severity, f.Sentence)
		if f.Remedy != "" {
			fmt.Fprintf(out, "%-7s  → %s\n", "", f.Remedy)
		}
	}
	showWindows(out, w.Facts)
	showSplits(out, w.Facts)
}

func showWindows(out io.Writer, facts client.WhyFacts) {
	if len(facts.Windows) == 0 {
		return
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OPEN WINDOW\tEND\tFIRES AT WATERMARK\tROWS")
	for _, w := range facts.Windows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", eventTime(w.StartMs), eventTime(w.EndMs), eventTime(w.FiresAt), grouped(w.Groups))
	}
	_ = table.Flush() // nobody is left to tell
	if more := facts.OpenWindows - int64(len(facts.Windows)); more > 0 {
		fmt.Fprintf(out, "and %s more\n", grouped(more))
	}
}

func showSplits(out io.Writer, facts client.WhyFacts) {
	if len(facts.Splits) == 0 {
		return
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PARTITION\tSTATE\tOFFSET\tEND\tSILENT FOR\tWATERMARK\tNEXT WINDOW WANTS")
	for _, s := range facts.Splits {
		end, wants := "?", "–"
		if s.EndOffset >= 0 {
			end = grouped(s.EndOffset)
		}
		if s.MissingMs != nil {
			wants = "≥ " + eventTime(*s.MissingMs)
		}
		state := s.State
		if s.Idle {
			state += ", idle"
		}
		silent := (time.Duration(s.SilentMs) * time.Millisecond).Truncate(time.Second)
		fmt.Fprintf(table, "%s-%d\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Topic, s.Partition, state, grouped(s.Offset), end, silent, eventTime(s.Watermark), wants)
	}
	_ = table.Flush() // nobody is left to tell
}

// eventTime writes ms of event time as a wall clock, which is UTC for instants.
func eventTime(ms int64) string {
	if ms == client.NoWatermark {
		return "none"
	}
	return strings.TrimSuffix(time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000"), ".000")
}
