package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"pencere/submitter/internal/client"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// rescalePartitions is how wide the job runs with two taskmanagers, rescaleSlots how wide with one.
	rescalePartitions = 4
	rescaleSlots      = 2
	// rescaleRate is the records a second that flow while the job rescales; windows of 200 ms fire.
	rescaleRate = 1000
	// beforeRescale is for how long the job runs in peace before each change.
	beforeRescale = 4 * time.Second
)

// printPauses runs a job with many open groups, has a second taskmanager join, leave (SIGTERM) and die (SIGKILL) in turn, and prints for how
// long at most nothing was published around each change.
func (b *bench) printPauses(ctx context.Context, out io.Writer) error {
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
	c, err := startCluster(ctx, b.dir, b.dir, rescaleSlots, "--rescale-quiet", "200ms", "--rescale-cool-down", "1s")
	if err != nil {
		return err
	}
	defer c.stop()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(b.topic), kgo.ProducerLinger(2*time.Millisecond),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		return fmt.Errorf("make kafka client: %w", err)
	}
	defer kafka.Close()
	if _, err := kadm.NewClient(kafka).CreateTopic(ctx, rescalePartitions, 1, nil, b.topic); err != nil {
		return fmt.Errorf("create topic %s on %s: %w", b.topic, broker, err)
	}
	text, err := specOf("rescale")
	if err != nil {
		return err
	}
	r := &rescaling{bench: b, cluster: c, kafka: kafka, out: filepath.Join(b.dir, "out"), pauses: make(map[string][]time.Duration)}
	submitted, err := c.client.Submit(ctx, client.Spec{Text: text, Name: "rescale.yaml",
		Vars: map[string]string{"BROKERS": broker, "TOPIC": b.topic, "OUT_DIR": r.out}})
	if err != nil {
		return err
	}
	r.job = submitted.ID
	return r.measure(ctx, out)
}

// rescaling is the job that is measured.
type rescaling struct {
	*bench
	cluster *cluster
	kafka   *kgo.Client
	job     string
	out     string
	second  *process // taskmanager; nil while there is one
	joined  int
	pauses  map[string][]time.Duration // without output, by what was done

	mu        sync.Mutex
	published []time.Time
}

func (r *rescaling) measure(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel(nil)
	failed := kgo.AbortingFirstErrPromise(r.kafka)
	begin := time.Now().UTC().Truncate(time.Hour).Add(-time.Hour)
	for id := range r.groups {
		r.kafka.Produce(ctx, kgo.SliceRecord(appendListing(nil, id, begin)), failed.Promise())
	}
	if err := errors.Join(r.kafka.Flush(ctx), failed.Err()); err != nil {
		return fmt.Errorf("fill topic %s: %w", r.topic, err)
	}
	beside.Go(func() { r.produce(ctx) })
	beside.Go(func() { r.watch(ctx) })
	if err := r.settle(ctx, "", rescaleSlots, time.Now()); err != nil {
		return err
	}
	if err := r.awaitRows(ctx); err != nil {
		return err
	}
	steps := []struct {
		what string
		do   func(context.Context) error
	}{{"join", r.join}, {"leave", r.end(syscall.SIGTERM)}, {"join", r.join}, {"death", r.end(syscall.SIGKILL)}}
	for n := range r.rescales {
		if err := sleep(ctx, beforeRescale); err != nil {
			return err
		}
		step, began := steps[n%len(steps)], time.Now()
		if err := step.do(ctx); err != nil {
			return err
		}
		width := rescaleSlots
		if r.second != nil {
			width = rescalePartitions
		}
		if err := r.settle(ctx, step.what, width, began); err != nil {
			return err
		}
	}
	return r.write(out)
}

// produce writes records whose time is the wall clock's until ctx ends.
func (r *rescaling) produce(ctx context.Context) {
	began, produced := time.Now(), 0
	_ = poll(ctx, 5*time.Millisecond, func() (bool, error) { // only ctx ends it
		now := time.Now()
		for due := int(now.Sub(began).Seconds() * rescaleRate); produced < due; produced++ {
			r.kafka.Produce(ctx, kgo.SliceRecord(appendListing(nil, produced, now.UTC())), nil)
		}
		return false, nil
	})
}

// watch notes when files are finished until ctx ends.
func (r *rescaling) watch(ctx context.Context) {
	files := 0
	_ = poll(ctx, 5*time.Millisecond, func() (bool, error) { // only ctx ends it
		now := 0
		entries, err := os.ReadDir(r.out)
		if err != nil {
			return false, nil //nolint:nilerr // the job has not begun
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "part-") {
				now++
			}
		}
		if now > files {
			r.mu.Lock()
			r.published = append(r.published, time.Now())
			r.mu.Unlock()
		}
		files = now
		return false, nil
	})
}

// awaitRows waits until the rows of all groups are published.
func (r *rescaling) awaitRows(ctx context.Context) error {
	return poll(ctx, 500*time.Millisecond, func() (bool, error) {
		rows, err := countVisible(r.out)
		return rows > r.groups, err
	})
}

func (r *rescaling) join(ctx context.Context) (err error) {
	r.joined++
	r.second, err = startProcess(ctx, filepath.Join(r.dir, fmt.Sprintf("taskmanager-%d.log", r.joined)), filepath.Join(r.dir, "taskmanager"),
		"--jobmanagers", r.cluster.jobManager.address("rpc_addr"), "--data-addr", freeAddress, "--metrics-addr", freeAddress, "--slots", fmt.Sprint(rescaleSlots))
	return err
}

func (r *rescaling) end(signal os.Signal) func(context.Context) error {
	return func(context.Context) error {
		p := r.second
		r.second = nil
		if err := p.command.Process.Signal(signal); err != nil {
			return err
		}
		if err := p.command.Wait(); err != nil && signal == syscall.SIGTERM {
			return fmt.Errorf("taskmanager that left: %w", err)
		}
		return nil
	}
}

// settle waits until the job runs so wide and publishes, and notes for how long at most it has published nothing since began.
func (r *rescaling) settle(ctx context.Context, what string, width int, began time.Time) error {
	err := r.cluster.await(ctx, r.job, 5*time.Millisecond, func(j client.Job) bool {
		return allRun(j) && !slices.ContainsFunc(j.Vertices, func(v client.Vertex) bool { return v.Parallelism != width })
	})
	if err != nil {
		return err
	}
	wide := time.Now()
	return poll(ctx, 5*time.Millisecond, func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		var gap time.Duration
		for i, at := range r.published {
			if i > 0 && at.After(began) {
				gap = max(gap, at.Sub(r.published[i-1]))
			}
			if at.After(wide) {
				if what != "" {
					r.pauses[what] = append(r.pauses[what], gap)
				}
				return true, nil
			}
		}
		return false, nil
	})
}

// write prints the pauses.
func (r *rescaling) write(out io.Writer) error {
	var all, gaps []time.Duration
	r.mu.Lock()
	for i := range r.published[1:] {
		gaps = append(gaps, r.published[i+1].Sub(r.published[i]))
	}
	r.mu.Unlock()
	line := func(what string, times []time.Duration) error {
		slices.Sort(times)
		_, err := fmt.Fprintf(out, "%-6s %3d times: p50 %5.0f ms, most %5.0f ms without output\n", what, len(times),
			milliseconds(times[(len(times)-1)/2]), milliseconds(times[len(times)-1]))
		return err
	}
	for _, what := range []string{"join", "leave", "death"} {
		if times := r.pauses[what]; len(times) > 0 {
			all = append(all, times...)
			if err := line(what, times); err != nil {
				return err
			}
		}
	}
	if err := line("all", all); err != nil {
		return err
	}
	slices.Sort(gaps)
	_, err := fmt.Fprintf(out, "%d groups; between two publications otherwise: p50 %.0f ms\n", r.groups, milliseconds(gaps[len(gaps)/2]))
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
