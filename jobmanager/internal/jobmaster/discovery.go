package jobmaster

import (
	"context"
	"fmt"
	"time"

	"pencere/pkg/connector/kafka"
	"pencere/pkg/plan"
)

// Enumerator finds the splits of a source; see kafka.Enumerator.
type Enumerator interface {
	Restore(splits []kafka.Split)
	Discover(ctx context.Context) ([]kafka.Split, error)
	Waiting() string
	Close()
}

// NewEnumerator opens an enumerator of a source.
type NewEnumerator func(source plan.KafkaSource) (Enumerator, error)

// urls are the splits of an HTTP source: there are no others than its spec names.
type urls struct{ source *plan.HTTPSource }

func (urls) Restore([]kafka.Split) {}

func (u urls) Discover(context.Context) ([]kafka.Split, error) {
	var splits []kafka.Split
	for _, s := range u.source.Splits() {
		splits = append(splits, kafka.Split{Topic: s.Name, Partition: s.Partition, Stop: kafka.Unbounded})
	}
	return splits, nil
}

func (urls) Waiting() string { return "" }

func (urls) Close() {}

// enumerator opens what finds the job's splits, and says how often to look again.
func (m *master) enumerator() (e Enumerator, interval time.Duration, err error) {
	source := m.program.Job.Source
	if source.HTTP != nil {
		return urls{source.HTTP}, 0, nil
	}
	if !source.Kafka.Bounded {
		interval = source.Kafka.DiscoveryInterval
	}
	e, err = m.cfg.Splits(*source.Kafka)
	return e, interval, err
}

// discovery finds a job's splits while it runs.
type discovery struct {
	enumerator Enumerator
	interval   time.Duration // of looking again; 0 never
	first      bool          // the job has not been told of its first splits, which may be none
	found      func(context.Context, []kafka.Split) error
}

func (d *discovery) run(ctx context.Context) error {
	if d.first {
		if err := d.once(ctx, true); err != nil {
			return err
		}
	}
	if d.interval <= 0 {
		return nil
	}
	tick := time.NewTicker(d.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := d.once(ctx, false); err != nil {
				return err
			}
		}
	}
}

func (d *discovery) once(ctx context.Context, evenIfNone bool) error {
	splits, err := d.enumerator.Discover(ctx)
	if err != nil {
		return fmt.Errorf("find splits: %w", err)
	}
	if len(splits) == 0 && !evenIfNone {
		return nil
	}
	return d.found(ctx, splits)
}
