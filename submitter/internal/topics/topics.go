// Package topics looks after a Kafka cluster's topics.
package topics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// New is a topic that is to be made. Partitions and Replicas of -1 are as the cluster has them by default.
type New struct {
	Name       string
	Partitions int32
	Replicas   int16
	Configs    map[string]string
}

// Parse reads name, name:partitions or name:partitions:replicas into a topic, which has what template says otherwise.
func Parse(text string, template New) (New, error) {
	topic := template
	parts := strings.Split(text, ":")
	topic.Name = parts[0]
	if topic.Name == "" || len(parts) > 3 {
		return New{}, fmt.Errorf("topic %q: want NAME, NAME:PARTITIONS or NAME:PARTITIONS:REPLICAS", text)
	}
	for i, part := range parts[1:] {
		n, err := strconv.ParseInt(part, 10, 16)
		if err != nil || n < 1 {
			return New{}, fmt.Errorf("topic %q: %q is not a number from 1 on", text, part)
		}
		if i == 0 {
			topic.Partitions = int32(n)
		} else {
			topic.Replicas = int16(n)
		}
	}
	return topic, nil
}

// Topic is a topic that is there.
type Topic struct {
	Name       string      `json:"name"`
	Internal   bool        `json:"internal"`
	Partitions []Partition `json:"partitions"`
	// Configs are those that were set for the topic; the rest are the cluster's.
	Configs map[string]string `json:"configs,omitempty"`
}

// Replicas is how often each record is kept.
func (t Topic) Replicas() int {
	if len(t.Partitions) == 0 {
		return 0
	}
	return len(t.Partitions[0].Replicas)
}

// Partition is one of a topic's.
type Partition struct {
	Number   int32   `json:"partition"`
	Leader   int32   `json:"leader"` // broker id; -1 without one
	Replicas []int32 `json:"replicas"`
	InSync   []int32 `json:"inSync"`
	// Start is the offset of the first record, End that of the next one to come; both -1 where they are not known.
	Start int64 `json:"startOffset"`
	End   int64 `json:"endOffset"`
}

// Admin looks after topics. It may be used by several goroutines.
type Admin struct{ client *kadm.Client }

// NewAdmin returns an Admin that uses a client, which stays the caller's.
func NewAdmin(client *kgo.Client) Admin { return Admin{kadm.NewClient(client)} }

// Create makes a topic. made is false if there is one of the name; that is an error unless existing is allowed.
func (a Admin) Create(ctx context.Context, topic New, existing bool) (made bool, err error) {
	configs := make(map[string]*string)
	for key, value := range topic.Configs {
		configs[key] = &value
	}
	answer, err := a.client.CreateTopic(ctx, topic.Partitions, topic.Replicas, configs, topic.Name)
	if existing && errors.Is(err, kerr.TopicAlreadyExists) {
		return false, nil
	}
	if err != nil {
		return false, explain("create", topic.Name, err, answer.ErrMessage)
	}
	return true, nil
}

// List returns all topics by name.
func (a Admin) List(ctx context.Context, internal bool) ([]Topic, error) {
	details, err := a.client.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var topics []Topic
	for _, d := range details.Sorted() {
		if internal || !d.IsInternal {
			topics = append(topics, topicOf(d))
		}
	}
	return topics, nil
}

// Describe returns topics with their offsets and configs.
func (a Admin) Describe(ctx context.Context, names ...string) ([]Topic, error) {
	details, err := a.client.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	for _, name := range names {
		if err := details[name].Err; err != nil {
			return nil, explain("describe", name, err, "")
		}
	}
	starts, startsErr := a.client.ListStartOffsets(ctx, names...)
	ends, endsErr := a.client.ListEndOffsets(ctx, names...)
	configs, configsErr := a.client.DescribeTopicConfigs(ctx, names...)
	if err := errors.Join(startsErr, endsErr, configsErr); err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	var topics []Topic
	for _, name := range names {
		topic := topicOf(details[name])
		for i, p := range topic.Partitions {
			topic.Partitions[i].Start, topic.Partitions[i].End = offset(starts, name, p.Number), offset(ends, name, p.Number)
		}
		topic.Configs = ownConfigs(configs, name)
		topics = append(topics, topic)
	}
	return topics, nil
}

func offset(listed kadm.ListedOffsets, topic string, partition int32) int64 {
	if found, ok := listed.Lookup(topic, partition); ok && found.Err == nil {
		return found.Offset
	}
	return -1
}

// ownConfigs returns what was set for one topic.
func ownConfigs(all kadm.ResourceConfigs, name string) map[string]string {
	own := make(map[string]string)
	for _, resource := range all {
		if resource.Name != name {
			continue
		}
		for _, c := range resource.Configs {
			if c.Source == dynamicTopicConfig {
				own[c.Key] = c.MaybeValue()
			}
		}
	}
	return own
}

// dynamicTopicConfig is Kafka's ConfigSource.DYNAMIC_TOPIC_CONFIG.
const dynamicTopicConfig = 1

func topicOf(d kadm.TopicDetail) Topic {
	topic := Topic{Name: d.Topic, Internal: d.IsInternal, Partitions: []Partition{}}
	for _, number := range slices.Sorted(maps.Keys(d.Partitions)) {
		p := d.Partitions[number]
		topic.Partitions = append(topic.Partitions, Partition{
			Number: number, Leader: p.Leader, Replicas: p.Replicas, InSync: p.ISR, Start: -1, End: -1,
		})
	}
	return topic
}

// Delete deletes a topic with all its records.
func (a Admin) Delete(ctx context.Context, name string) error {
	answers, err := a.client.DeleteTopics(ctx, name)
	if err == nil {
		err = answers[name].Err
	}
	if err != nil {
		return explain("delete", name, err, answers[name].ErrMessage)
	}
	return nil
}

// Alter is what is to change about a topic.
type Alter struct {
	// Partitions is how many there are to be; 0 leaves them.
	Partitions int
	Set        map[string]string
	Unset      []string
}

// Alter changes a topic. Its partitions can only become more.
func (a Admin) Alter(ctx context.Context, name string, change Alter) error {
	if err := a.alterConfigs(ctx, name, change); err != nil {
		return err
	}
	if change.Partitions == 0 {
		return nil
	}
	answers, err := a.client.UpdatePartitions(ctx, change.Partitions, name)
	if err == nil {
		err = answers[name].Err
	}
	if err != nil {
		return explain("alter", name, err, answers[name].ErrMessage)
	}
	return nil
}

func (a Admin) alterConfigs(ctx context.Context, name string, change Alter) error {
	var configs []kadm.AlterConfig
	for _, key := range slices.Sorted(maps.Keys(change.Set)) {
		value := change.Set[key]
		configs = append(configs, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value})
	}
	for _, key := range change.Unset {
		configs = append(configs, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key})
	}
	if len(configs) == 0 {
		return nil
	}
	answers, err := a.client.AlterTopicConfigs(ctx, configs, name)
	if err != nil {
		return explain("alter", name, err, "")
	}
	answer, err := answers.On(name, nil)
	if err == nil {
		err = answer.Err
	}
	if err != nil {
		return explain("alter", name, err, answer.ErrMessage)
	}
	return nil
}

// explain puts what Kafka says of a topic into a sentence with a remedy where there is one.
func explain(what, name string, err error, message string) error {
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("%s topic %s: there is none of that name; see submitter topics list", what, name)
	case errors.Is(err, kerr.TopicAlreadyExists):
		return fmt.Errorf("%s topic %s: it is there already; --if-not-exists takes that for success", what, name)
	case message != "":
		return fmt.Errorf("%s topic %s: %w: %s", what, name, err, message)
	default:
		return fmt.Errorf("%s topic %s: %w", what, name, err)
	}
}
