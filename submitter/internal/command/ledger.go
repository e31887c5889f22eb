package command

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) ledgerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ledger JOB",
		Short: "Accounts for every record that a job read; fails if one is missing or doubled",
		Long: `Shows for each split what became of the records that the job read, as of its newest checkpoint, where

  read = emitted + filtered + late + dead-lettered + skipped + collapsed + open

must hold. A record is collapsed when another one had opened its group, and open while its group's window is.
Lost records were gone from Kafka before they could be read (source.kafka.on_data_loss: earliest).
JOB is the job's id, the beginning of its id, or its name. The exit code is 1 when the ledger does not balance.`,
		Args: oneArgument("one job"),
	}
	a.clusterFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withJob(c.Context(), args[0], func(cluster *client.Client, job client.JobSummary) error {
			ledger, err := cluster.Ledger(c.Context(), job.ID)
			if err != nil {
				return fmt.Errorf("ledger of job %s: %w", job.ID, err)
			}
			if !ledger.Balanced {
				if !a.json {
					a.showLedger(ledger)
				}
				return &resultError{err: errors.New(ledger.Imbalance), result: ledger}
			}
			a.report(c.Name(), ledger, func() { a.showLedger(ledger) })
			return nil
		})
	}
	return c
}

func (a *app) showLedger(l client.Ledger) {
	if l.CheckpointID == 0 {
		fmt.Fprintln(a.Out, "No checkpoint yet: nothing is accounted for.")
		return
	}
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "SPLIT\tREAD\tEMITTED\tFILTERED\tLATE\tDEAD-LETTERED\tSKIPPED\tCOLLAPSED\tOPEN\tLOST\t")
	row := func(name string, f client.Fates) {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
			name, f.Read, f.Emitted, f.Filtered, f.Late, f.DeadLettered, f.Skipped, f.Collapsed, f.Open, f.Lost)
	}
	for _, s := range l.Splits {
		row(fmt.Sprintf("%s-%d", s.Topic, s.Partition), s.Fates)
	}
	row("total", l.Total)
	_ = table.Flush() // nobody is left to tell
	for _, s := range l.Splits {
		if s.Truncations > 0 {
			fmt.Fprintf(a.Out, "%s-%d was cut or made anew (found %d x): how many records are lost by that is not known.\n", s.Topic, s.Partition, s.Truncations)
		}
	}
	if l.Balanced {
		fmt.Fprintf(a.Out, "Balanced at checkpoint %d: each record that was read is accounted for once.\n", l.CheckpointID)
	}
}
