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

// discovery finds a job's splits while it runs.
type discovery struct {
	enumerator Enumerator
	source     plan.KafkaSource
	first      bool // the job has not been told of its first splits, which may be none
	found      func(context.Context, []kafka.Split) error
}

func (d *discovery) run(ctx context.Context) error {
	if d.first {
		if err := d.once(ctx, true); err != nil {
			return err
		}
	}
	if d.source.Bounded || d.source.DiscoveryInterval <= 0 {
		return nil
	}
	tick := time.NewTicker(d.source.DiscoveryInterval)
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
