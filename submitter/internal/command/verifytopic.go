package command

import (
	"fmt"

	"pencere/pkg/manifest"
	"pencere/submitter/internal/client"
	"pencere/submitter/internal/replay"

	"github.com/spf13/cobra"
)

// verifiedTopic is what verify prints of a topic with --json.
type verifiedTopic struct {
	Proved   bool              `json:"proved"`
	Replayed []replay.Replayed `json:"replayed"`
}

// verifyTopic replays what the last checkpoint of a job that has ended accounts for against the topic that it wrote to.
func (a *app) verifyTopic(c *cobra.Command, spec string, vars *variables, wanted string) error {
	_, job, err := a.readSpec(spec, vars)
	if err != nil {
		return err
	}
	return a.withJob(c.Context(), wanted, func(cluster *client.Client, found client.JobSummary) error {
		if !client.Terminal(found.State) {
			return fmt.Errorf("job %s is %s: its topic is complete when it has ended; stop it with submitter stop %[1]s", found.ID, found.State)
		}
		if found.Name != job.Name {
			return &replay.UnsupportedError{What: "another job: the spec is that of " + job.Name}
		}
		ledger, err := cluster.Ledger(c.Context(), found.ID)
		if err != nil {
			return fmt.Errorf("ledger of job %s: %w", found.ID, err)
		}
		ended := replay.Ended{ID: found.ID, Finished: found.State == client.Finished}
		for _, s := range ledger.Splits {
			ended.Read = append(ended.Read, manifest.OffsetRange{Topic: s.Topic, Partition: s.Partition, From: s.StartOffset, To: s.NextOffset})
		}
		replayed, err := replay.SinkTopic(c.Context(), job, ended)
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		result := verifiedTopic{Proved: replayed.Same() && ledger.Balanced, Replayed: []replay.Replayed{replayed}}
		if !ledger.Balanced {
			err = fmt.Errorf("job %s: %s", found.ID, ledger.Imbalance)
		} else if !result.Proved {
			err = errNotProved
		}
		if a.json && err != nil {
			return &resultError{err: err, result: result}
		}
		a.report(c.Name(), result, func() { fmt.Fprint(a.Out, replayed) })
		return err
	})
}
