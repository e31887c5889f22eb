package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pencere/submitter/internal/client"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// latencyWindow is short, so that many windows are measured.
	latencyWindow = 2 * time.Second
	// beat is how often records are produced and the directory is looked at: the error of a figure.
	beat = 5 * time.Millisecond
)

// printLatency runs the reference job with short windows and no delay over records whose time is the wall clock's, and prints how long
// after the end of a window, which is when a record passes it, its last rows are in a finished file.
func (b *bench) printLatency(ctx context.Context, out io.Writer) error {
	broker := b.kafka
	if broker == "" {
		address, stop, err := startBroker(ctx)
		if err != nil {
			return err
		}
		defer stop()
		broker = address
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	c, err := startCluster(ctx, b.dir, b.dir, 1)
	if err != nil {
		return err
	}
	defer c.stop()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(b.topic), kgo.ProducerLinger(0))
	if err != nil {
		return fmt.Errorf("make kafka client: %w", err)
	}
	defer kafka.Close()
	if _, err := kadm.NewClient(kafka).CreateTopic(ctx, 1, 1, nil, b.topic); err != nil {
		return fmt.Errorf("create topic %s on %s: %w", b.topic, broker, err)
	}
	text, err := specOf("reference")
	if err != nil {
		return err
	}
	spec := strings.NewReplacer(", bounded: latest", "", "delay: 5s", "delay: 0s", "tumble: 2m", "tumble: 2s").Replace(string(text))
	dir := filepath.Join(b.dir, "out")
	job, err := c.client.Submit(ctx, client.Spec{Text: []byte(spec), Name: "latency.yaml",
		Vars: map[string]string{"BROKERS": broker, "TOPIC": b.topic, "OUT_DIR": dir}})
	if err != nil {
		return err
	}
	if err := c.await(ctx, job.ID, beat, allRun); err != nil {
		return err
	}
	visible, produced, err := b.produceAndWatch(ctx, kafka, dir)
	if err != nil {
		return err
	}
	rows, err := countVisible(dir)
	if err != nil {
		return err
	}
	return writeLatency(out, visible, produced, rows)
}

// produceAndWatch produces for the time that was asked for and returns when each window, by its start, was last seen to grow.
func (b *bench) produceAndWatch(ctx context.Context, kafka *kgo.Client, dir string) (visible map[time.Time]time.Duration, produced int, err error) {
	visible, seen := make(map[time.Time]time.Duration), make(map[string]bool)
	failed := kgo.AbortingFirstErrPromise(kafka)
	began := time.Now()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for now := began; now.Sub(began) < b.latency; {
		for due := int(now.Sub(began).Seconds() * float64(b.rate)); produced < due; produced++ {
			kafka.Produce(ctx, kgo.SliceRecord(appendListing(nil, produced, now.UTC())), failed.Promise())
		}
		if err := look(dir, seen, visible); err != nil {
			return nil, produced, err
		}
		select {
		case now = <-tick.C:
		case <-ctx.Done():
			return nil, produced, context.Cause(ctx)
		}
	}
	return visible, produced, errors.Join(kafka.Flush(ctx), failed.Err())
}

// look notes for the windows in files that are new how long ago they ended. The start is a row's last field, in quotes.
func look(dir string, seen map[string]bool, visible map[time.Time]time.Duration) error {
	now := time.Now()
	files, err := filepath.Glob(filepath.Join(dir, "part-*.csv"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if seen[path] {
			continue
		}
		seen[path] = true
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			fields := strings.Split(string(line), `"`)
			start, err := time.Parse(time.DateTime, fields[len(fields)-2])
			if err != nil {
				return fmt.Errorf("window of a row in %s: %w", path, err)
			}
			visible[start] = now.Sub(start.Add(latencyWindow))
		}
	}
	return nil
}

// writeLatency prints the quantiles over all windows.
func writeLatency(out io.Writer, visible map[time.Time]time.Duration, produced, rows int) error {
	var sorted []time.Duration
	for _, took := range visible {
		sorted = append(sorted, took)
	}
	slices.Sort(sorted)
	if len(sorted) == 0 {
		return errors.New("no window was finished: measure for longer")
	}
	quantile := func(q float64) float64 { return milliseconds(sorted[int(q*float64(len(sorted)-1)+0.5)]) }
	_, err := fmt.Fprintf(out, "window end to finished file: p50 %.0f ms, p99 %.0f ms, most %.0f ms; %d windows of %s, %d records, %d rows\n",
		quantile(0.5), quantile(0.99), quantile(1), len(sorted), latencyWindow, produced, rows)
	return err
}

// countVisible counts the rows of the finished files. Those of windows that are open are not there.
func countVisible(dir string) (rows int, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "part-*.csv"))
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		rows += bytes.Count(text, []byte("\n"))
	}
	return rows, err
}
