package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"pencere/submitter/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) clusterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Shows the jobmanagers of the cluster, and adds and removes them",
		Long:  "Shows the jobmanagers of the cluster, and adds and removes them.\n" + exitCodesHelp,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
		Args:  cobra.NoArgs,
	}
	c.AddCommand(a.clusterStatusCommand(), a.clusterAddCommand(), a.clusterRemoveCommand())
	return c
}

func (a *app) clusterStatusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Shows the jobmanagers: who leads, who votes, and how far each is",
		Long: "Shows the jobmanagers: who leads, who votes, and how far each is in the log. Any jobmanager answers, also while none leads.\n" +
			exitCodesHelp,
		Args: cobra.NoArgs,
	}
	a.clusterFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withCluster(func(cluster *client.Client) error {
			members, err := cluster.Members(c.Context())
			if err != nil {
				return err
			}
			a.report("cluster status", map[string]any{"members": members}, func() { showMembers(a.Out, members) })
			return nil
		})
	}
	return c
}

func showMembers(out io.Writer, members []client.Member) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tADDRESS\tSTATE\tVOTES\tTERM\tLAST INDEX\tAPPLIED")
	for _, m := range members {
		votes, address := "no", m.Address
		if m.Voter {
			votes = "yes"
		}
		if address == "" {
			address = "–"
		}
		if !m.Reachable {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t–\t–\t–\n", m.ID, address, "not reached", votes)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\n", m.ID, address, memberState(m), votes, m.Term, m.LastIndex, m.AppliedIndex)
	}
	_ = table.Flush() // nobody is left to tell
	fmt.Fprintln(out, health(members))
}

func memberState(m client.Member) string {
	switch {
	case m.Joining:
		return "catches up"
	case m.Leader:
		return "leads"
	default:
		return strings.ToLower(m.State)
	}
}

// health says how many jobmanagers may be lost.
func health(members []client.Member) string {
	voters, there := 0, 0
	for _, m := range members {
		if m.Voter {
			voters++
		}
		if m.Voter && m.Reachable && !m.Joining {
			there++
		}
	}
	leads := slices.ContainsFunc(members, func(m client.Member) bool { return m.Leader })
	switch quorum := voters/2 + 1; {
	case voters == 0:
		return "There is no cluster yet."
	case there < quorum:
		return fmt.Sprintf("%d of %d voters are there, %d are needed: nothing can be decided.", there, voters, quorum)
	case !leads:
		return fmt.Sprintf("%d of %d voters are there, and none leads yet.", there, voters)
	default:
		return fmt.Sprintf("%d of %d voters are there; %d more may be lost.", there, voters, there-quorum)
	}
}

func (a *app) clusterAddCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "add ID HOST:PORT",
		Short: "Adds a jobmanager and waits until it votes",
		Long: "Adds a jobmanager and waits, up to --timeout, until it votes. Start it first: with an empty --data-dir, --id ID, and --peers that name it\n" +
			"and at least one member. HOST:PORT is where the others reach its --raft-addr.\n" + exitCodesHelp,
		Args: cobra.ExactArgs(2),
	}
	a.clusterFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withCluster(func(cluster *client.Client) error {
			id, address := args[0], args[1]
			if err := cluster.AddMember(c.Context(), id, address); err != nil {
				return fmt.Errorf("add %s: %w", id, err)
			}
			if err := a.awaitVoter(c.Context(), cluster, id); err != nil {
				return err
			}
			a.report("cluster add", map[string]string{"id": id, "address": address}, func() {
				fmt.Fprintf(a.Out, "Jobmanager %s (%s) is a member and votes.\n", id, address)
			})
			return nil
		})
	}
	return c
}

// awaitVoter waits until a member votes.
func (a *app) awaitVoter(ctx context.Context, cluster *client.Client, id string) error {
	deadline := time.After(a.timeout)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		members, err := cluster.Members(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(members, func(m client.Member) bool { return m.ID == id && m.Voter }) {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("add %s: it is a member, but has not caught up in %s; it will vote when it has: see submitter cluster status", id, a.timeout)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (a *app) clusterRemoveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "remove ID",
		Short: "Removes a jobmanager, which may be the one that leads, or one that is gone",
		Long: "Removes a jobmanager, which may be the one that leads, or one that is gone for ever. End its program then: if it is to come back, it needs an\n" +
			"empty --data-dir.\n" + exitCodesHelp,
		Args: oneArgument("one jobmanager's id"),
	}
	a.clusterFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withCluster(func(cluster *client.Client) error {
			if err := cluster.RemoveMember(c.Context(), args[0]); err != nil {
				return fmt.Errorf("remove %s: %w", args[0], err)
			}
			a.report("cluster remove", map[string]string{"id": args[0]}, func() {
				fmt.Fprintf(a.Out, "Jobmanager %s is no member any more.\n", args[0])
			})
			return nil
		})
	}
	return c
}

func (a *app) withCluster(do func(*client.Client) error) error {
	cluster, err := a.connect()
	if err != nil {
		return err
	}
	defer cluster.Close()
	return do(cluster)
}
