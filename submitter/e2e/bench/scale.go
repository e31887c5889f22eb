package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"pencere/submitter/internal/client"
	"pencere/submitter/internal/fleet"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// scaleSlots is the slots of a taskmanager.
	scaleSlots = 10
	// wide is the subtasks of the job whose scheduling is measured.
	wide = 1000
	// scaleFor is for how long the jobmanager's CPU time is taken.
	scaleFor = 20 * time.Second
)

// scaleJob is one without a window, and therefore of one vertex.
const scaleJob = `
name: ${NAME}
parallelism: ${PARALLELISM}
max_parallelism: 1000
source:
  kafka: {brokers: "${BROKERS}", topic: "${TOPIC}", start: earliest}
  schema: {id: INT, product: STRING, t: TIMESTAMP(3)}
  watermark: {column: t}
sink: {csv: {path: "/nowhere/${NAME}"}}
checkpoint: {interval: ${INTERVAL}}
`

// scaleWindow makes it one of two vertices.
const scaleWindow = `window: {tumble: 2m, group_by: [product]}
`

// printScale runs a jobmanager beside many taskmanagers that only speak, and prints what it takes.
func (b *bench) printScale(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	broker, stop, err := startBroker(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := createTopic(ctx, broker, b.topic, 4); err != nil {
		return err
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	p, err := startProcess(ctx, filepath.Join(b.dir, "jobmanager.log"), filepath.Join(b.dir, "jobmanager"), "--data-dir", filepath.Join(b.dir, "data"),
		"--rest-addr", freeAddress, "--rpc-addr", freeAddress, "--raft-addr", freeAddress, "--metrics-addr", freeAddress)
	if err != nil {
		return err
	}
	defer p.stop()
	s := &scale{bench: b, broker: broker, jobManager: p, out: out}
	if s.client, err = client.New(client.Config{Addresses: []string{p.address("rest_addr")}, Timeout: time.Minute}); err != nil {
		return err
	}
	defer s.client.Close()
	began := time.Now()
	s.fleet = fleet.Start(ctx, p.address("rpc_addr"), b.taskManagers, scaleSlots)
	defer s.fleet.Wait()
	defer cancel(nil)
	if err := poll(ctx, 10*time.Millisecond, func() (bool, error) {
		overview, err := s.client.Overview(ctx)
		if err == nil {
			err = s.fleet.Err()
		}
		return overview.TaskManagers == b.taskManagers, err
	}); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d taskmanagers of %d slots registered in %.1f s\n", b.taskManagers, scaleSlots, time.Since(began).Seconds())
	return s.measure(ctx)
}

func createTopic(ctx context.Context, broker, topic string, partitions int32) error {
	kafka, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return fmt.Errorf("make kafka client: %w", err)
	}
	defer kafka.Close()
	if _, err := kadm.NewClient(kafka).CreateTopic(ctx, partitions, 1, nil, topic); err != nil {
		return fmt.Errorf("create topic %s on %s: %w", topic, broker, err)
	}
	return nil
}

// scale is a jobmanager with its fleet.
type scale struct {
	*bench
	broker     string
	jobManager *process
	client     *client.Client
	fleet      *fleet.Fleet
	out        io.Writer
}

func (s *scale) measure(ctx context.Context) error {
	// The wide jobs run alone first, then beside all others, in the slots that these leave.
	if err := s.alone(ctx); err != nil {
		return err
	}
	began := time.Now()
	each := max((s.taskManagers*scaleSlots-wide)/(s.fleetJobs-1), 1)
	for n := range s.fleetJobs - 1 {
		if _, err := s.submit(ctx, fmt.Sprintf("job-%d", n), scaleJob, each); err != nil {
			return err
		}
	}
	submitted := time.Since(began)
	want := s.fleet.Deployed()
	if err := s.awaitSlots(ctx, s.taskManagers*scaleSlots-each*(s.fleetJobs-1)); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d jobs of parallelism %d submitted in %.1f s, one after the other; all run %.1f s after the first (%d subtasks)\n",
		s.fleetJobs-1, each, submitted.Seconds(), time.Since(began).Seconds(), s.fleet.Deployed()-want)
	if err := s.alone(ctx); err != nil {
		return err
	}
	if _, err := s.schedule(ctx, "wide", scaleJob, wide, wide); err != nil {
		return err
	}
	return s.rest(ctx)
}

// alone schedules the wide jobs and cancels them.
func (s *scale) alone(ctx context.Context) error {
	for _, j := range []struct {
		name, spec            string
		parallelism, subtasks int
	}{{"wide", scaleJob, wide, wide}, {"wide-window", scaleJob + scaleWindow, wide / 2, wide}} {
		free, err := s.client.Overview(ctx)
		if err != nil {
			return err
		}
		id, err := s.schedule(ctx, j.name, j.spec, j.parallelism, j.subtasks)
		if err != nil {
			return err
		}
		if err := s.client.Cancel(ctx, id); err != nil {
			return err
		}
		if err := s.awaitSlots(ctx, free.SlotsAvailable); err != nil {
			return err
		}
	}
	return nil
}

// schedule submits a job and prints how long it takes until its subtasks are deployed and run.
func (s *scale) schedule(ctx context.Context, name, spec string, parallelism, subtasks int) (string, error) {
	cpu, err := cpuOf(s.jobManager.pid())
	if err != nil {
		return "", err
	}
	before, began := s.fleet.Deployed(), time.Now()
	id, err := s.submit(ctx, name, spec, parallelism)
	if err != nil {
		return "", err
	}
	err = poll(ctx, time.Millisecond, func() (bool, error) { return s.fleet.Deployed() >= before+int64(subtasks), s.fleet.Err() })
	if err != nil {
		return "", err
	}
	deployed := time.Since(began)
	err = poll(ctx, 5*time.Millisecond, func() (bool, error) {
		job, err := s.client.Job(ctx, id)
		return err == nil && allRun(job), err
	})
	if err != nil {
		return "", err
	}
	run := time.Since(began)
	after, err := cpuOf(s.jobManager.pid())
	_, _ = fmt.Fprintf(s.out, "%s: %d subtasks of parallelism %d: %.0f ms from the submission until all are deployed, %.0f ms until all run; %.0f ms of CPU\n",
		name, subtasks, parallelism, milliseconds(deployed), milliseconds(run), milliseconds(after-cpu))
	return id, err
}

func (s *scale) submit(ctx context.Context, name, spec string, parallelism int) (string, error) {
	text := strings.ReplaceAll(spec, "${INTERVAL}", s.interval.String())
	job, err := s.client.Submit(ctx, client.Spec{Text: []byte(text), Name: name + ".yaml", Vars: map[string]string{
		"NAME": name, "PARALLELISM": fmt.Sprint(parallelism), "BROKERS": s.broker, "TOPIC": s.topic}})
	return job.ID, err
}

// awaitSlots waits until so many slots are free.
func (s *scale) awaitSlots(ctx context.Context, free int) error {
	return poll(ctx, 100*time.Millisecond, func() (bool, error) {
		overview, err := s.client.Overview(ctx)
		if err == nil {
			err = s.fleet.Err()
		}
		return overview.SlotsAvailable == free, err
	})
}

// rest prints what the jobmanager takes while nothing happens but heartbeats, and checkpoints at their interval.
func (s *scale) rest(ctx context.Context) error {
	if err := sleep(ctx, 3*time.Second); err != nil {
		return err
	}
	before, err := cpuOf(s.jobManager.pid())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := sleep(ctx, scaleFor); err != nil {
		return err
	}
	after, err := cpuOf(s.jobManager.pid())
	if err != nil {
		return err
	}
	share := (after - before).Seconds() / time.Since(began).Seconds()
	resident, err := memoryOf(s.jobManager.pid(), residentNow)
	if err != nil {
		return err
	}
	peak, err := memoryOf(s.jobManager.pid(), residentPeak)
	if err != nil {
		return err
	}
	if aborts := s.fleet.Aborts(); aborts > 0 {
		return fmt.Errorf("subtasks were told %d times that a checkpoint will not be", aborts)
	}
	_, err = fmt.Fprintf(s.out, "at rest, with a checkpoint of each job every %s: %.1f %% of one core; memory %.0f MiB, at most %.0f MiB\n",
		s.interval, share*100, resident, peak)
	return err
}
