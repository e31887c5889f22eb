package operator_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/operator"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Dead letters for which there is no room, as the brokers are away, wait no longer than the subtask lives.
func TestDeadLetterTopicEndsWithItsSubtask(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "dead"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	config, err := kafka.NewWriterConfig(plan.KafkaSink{
		Brokers: cluster.ListenAddrs(), Topic: "dead", Delivery: plan.DeliveryAtLeastOnce, Properties: map[string]string{"buffer.memory": "1000"},
	})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := kafka.OpenWriter(t.Context(), config, kafka.Owner{JobID: "job", Vertex: "dead", Parallelism: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	letters := operator.NewDeadLetterTopic(writer)
	cluster.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for err == nil {
		err = letters.Add(ctx, operator.DeadLetter{Topic: "t", Record: &kgo.Record{Value: make([]byte, 400)}, Reason: "because"})
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if err := letters.Close(); err != nil {
		t.Error(err)
	}
}
