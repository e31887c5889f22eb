package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"pencere/submitter/internal/topics"

	"github.com/spf13/cobra"
)

func (a *app) topicsCommand() *cobra.Command {
	var k kafkaFlags
	c := &cobra.Command{
		Use:   "topics",
		Short: "Creates, lists, describes, changes and deletes Kafka's topics",
		Long:  "Creates, lists, describes, changes and deletes Kafka's topics.\n" + exitCodesHelp,
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return usage("there is no command %q; there are create, list, describe, alter and delete", args[0])
		},
	}
	k.add(c)
	c.AddCommand(a.topicsCreate(&k), a.topicsList(&k), a.topicsDescribe(&k), a.topicsAlter(&k), a.topicsDelete(&k))
	return c
}

// withTopics connects to Kafka and has do work on its topics.
func (a *app) withTopics(ctx context.Context, k *kafkaFlags, do func(topics.Admin) error) error {
	client, err := a.connectKafka(ctx, *k)
	if err != nil {
		return err
	}
	defer client.Close()
	return do(topics.NewAdmin(client))
}

func (a *app) topicsCreate(k *kafkaFlags) *cobra.Command {
	template := topics.New{}
	var existing bool
	c := &cobra.Command{
		Use:   "create TOPIC[:PARTITIONS[:REPLICAS]]...",
		Short: "Creates topics; a comma may stand between them, too",
		Args:  someTopic,
	}
	flags := c.Flags()
	flags.Int32Var(&template.Partitions, "partitions", -1, "number of partitions of topics that do not say it; -1 is Kafka's default")
	flags.Int16Var(&template.Replicas, "replicas", -1, "how often each record is kept; -1 is Kafka's default")
	flags.StringToStringVar(&template.Configs, "config", nil, "config of the topics as key=value: retention.ms, cleanup.policy, …")
	flags.BoolVar(&existing, "if-not-exists", false, "a topic that is there already is no error")
	c.RunE = func(c *cobra.Command, args []string) error {
		var wanted []topics.New
		for arg := range strings.SplitSeq(strings.Join(args, ","), ",") {
			topic, err := topics.Parse(arg, template)
			if err != nil {
				return &usageError{err}
			}
			wanted = append(wanted, topic)
		}
		return a.withTopics(c.Context(), k, func(admin topics.Admin) error {
			created := []string{}
			for _, topic := range wanted {
				made, err := admin.Create(c.Context(), topic, existing)
				if err != nil {
					return &resultError{err: err, result: topicNames{created}}
				}
				if !made {
					a.note("Topic %s is there already.", topic.Name)
					continue
				}
				created = append(created, topic.Name)
				if !a.json {
					fmt.Fprintf(a.Out, "Topic %s is created.\n", topic.Name)
				}
			}
			a.report("topics "+c.Name(), topicNames{created}, func() {})
			return nil
		})
	}
	return c
}

// topicNames is what create, alter and delete print with --json: the topics that were.
type topicNames struct {
	Topics []string `json:"topics"`
}

func (a *app) topicsList(k *kafkaFlags) *cobra.Command {
	var internal bool
	c := &cobra.Command{Use: "list", Short: "Lists topics", Args: cobra.NoArgs}
	c.Flags().BoolVar(&internal, "internal", false, "Kafka's own topics too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return a.withTopics(c.Context(), k, func(admin topics.Admin) error {
			found, err := admin.List(c.Context(), internal)
			if err != nil {
				return err
			}
			a.report("topics "+c.Name(), found, func() {
				table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "TOPIC\tPARTITIONS\tREPLICAS")
				for _, t := range found {
					fmt.Fprintf(table, "%s\t%d\t%d\n", t.Name, len(t.Partitions), t.Replicas())
				}
				_ = table.Flush() // to standard output, as every other line
			})
			return nil
		})
	}
	return c
}

func (a *app) topicsDescribe(k *kafkaFlags) *cobra.Command {
	c := &cobra.Command{Use: "describe TOPIC...", Short: "Shows topics with their partitions, offsets and configs", Args: someTopic}
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withTopics(c.Context(), k, func(admin topics.Admin) error {
			found, err := admin.Describe(c.Context(), args...)
			if err != nil {
				return err
			}
			a.report("topics "+c.Name(), found, func() {
				for _, t := range found {
					a.showTopic(t)
				}
			})
			return nil
		})
	}
	return c
}

func (a *app) showTopic(t topics.Topic) {
	fmt.Fprintf(a.Out, "%s: %d partitions, %d replicas\n", t.Name, len(t.Partitions), t.Replicas())
	for _, key := range slices.Sorted(maps.Keys(t.Configs)) {
		fmt.Fprintf(a.Out, "  %s=%s\n", key, t.Configs[key])
	}
	table := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "PARTITION\tLEADER\tIN SYNC\tSTART\tEND\tRECORDS\t")
	for _, p := range t.Partitions {
		fmt.Fprintf(table, "%d\t%d\t%d of %d\t%d\t%d\t%d\t\n", p.Number, p.Leader, len(p.InSync), len(p.Replicas), p.Start, p.End, p.End-p.Start)
	}
	_ = table.Flush() // to standard output, as every other line
}

func (a *app) topicsAlter(k *kafkaFlags) *cobra.Command {
	var change topics.Alter
	c := &cobra.Command{
		Use:   "alter TOPIC",
		Short: "Gives a topic more partitions or other configs",
		Args:  oneArgument("one topic"),
	}
	flags := c.Flags()
	flags.IntVar(&change.Partitions, "partitions", 0, "number of partitions that there are to be; they can only become more")
	flags.StringToStringVar(&change.Set, "config", nil, "config to set as key=value")
	flags.StringSliceVar(&change.Unset, "delete-config", nil, "config to leave to the cluster's default again")
	c.RunE = func(c *cobra.Command, args []string) error {
		if change.Partitions < 0 {
			return usage("--partitions %d: want more than there are", change.Partitions)
		}
		if change.Partitions == 0 && len(change.Set) == 0 && len(change.Unset) == 0 {
			return usage("nothing to change: give --partitions, --config or --delete-config")
		}
		return a.withTopics(c.Context(), k, func(admin topics.Admin) error {
			if err := admin.Alter(c.Context(), args[0], change); err != nil {
				return err
			}
			a.report("topics "+c.Name(), topicNames{args}, func() { fmt.Fprintf(a.Out, "Topic %s is changed.\n", args[0]) })
			return nil
		})
	}
	return c
}

func (a *app) topicsDelete(k *kafkaFlags) *cobra.Command {
	c := &cobra.Command{Use: "delete TOPIC...", Short: "Deletes topics with all their records", Args: someTopic}
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.withTopics(c.Context(), k, func(admin topics.Admin) error {
			for i, name := range args {
				if err := admin.Delete(c.Context(), name); err != nil {
					return &resultError{err: err, result: topicNames{args[:i]}}
				}
				if !a.json {
					fmt.Fprintf(a.Out, "Topic %s is deleted.\n", name)
				}
			}
			a.report("topics "+c.Name(), topicNames{args}, func() {})
			return nil
		})
	}
	return c
}

// someTopic demands an argument.
func someTopic(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("want a topic")
	}
	return nil
}
