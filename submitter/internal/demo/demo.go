// Package demo shows the reference job at work on a machine with nothing but this program: a Kafka broker, a producer of
// listings, a jobmanager and two taskmanagers in one process.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pencere/compose/jobs"
	"pencere/submitter/internal/client"
	"pencere/submitter/internal/kafkaclient"
	"pencere/submitter/internal/listings"
	"pencere/submitter/internal/localcluster"
	"pencere/submitter/internal/records"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	taskManagers = 2
	slotsEach    = 2
	partitions   = 4
	// repeated is the share of listings that come twice, as from a producer that sends again after a lost answer: the job writes each once.
	repeated = 0.05
	// brokerWithin bounds how long the embedded broker may take to answer.
	brokerWithin = 10 * time.Second
	// lookEvery is how often the job is looked at.
	lookEvery = 200 * time.Millisecond
	// stopWithin bounds how long a clean end may take.
	stopWithin = 10 * time.Second
)

// Config says what the demo is to do.
type Config struct {
	OutDir string // of the CSV files; it is made if it is not there
	Port   int    // of REST and the web UI, on the loopback interface; 0 takes a free one
	// Rate is in listings a second, Speed how much faster than the clock their time runs.
	Rate, Speed float64
	Log         *slog.Logger // of the cluster
}

// Screen is told what happens, from one goroutine.
type Screen interface {
	// Started comes when the job is submitted.
	Started(Start)
	// FirstFile comes when rows can be seen for the first time.
	FirstFile(File)
	// Progress comes a few times a second.
	Progress(Progress)
}

// Start says where things are.
type Start struct {
	Web    string // URL of the job's page
	JobID  string
	OutDir string // absolute
	Broker string // host:port
}

// File is a finished part file.
type File struct {
	Path string
	Rows []string // the first ones
	// More is how many rows follow.
	More int64
}

// Progress is how far the job is.
type Progress struct {
	State       string
	RecordsRead int64
	RowsWritten int64 // in finished files
	Files       int   // finished
}

// Run runs the demo until ctx ends, and then stops it cleanly: the job is cancelled, nothing half is visible, and nothing
// runs any more. It returns how far the job came. A port or directory that cannot be used is an *EnvironmentError.
func Run(ctx context.Context, cfg Config, screen Screen) (Progress, error) {
	d := &demo{cfg: cfg, screen: screen}
	err := d.start(ctx)
	if err == nil {
		err = d.watch(ctx)
	}
	return d.progress, errors.Join(err, d.stop())
}

type demo struct {
	cfg      Config
	screen   Screen
	outDir   string // absolute
	broker   *localcluster.Broker
	cluster  *localcluster.Cluster
	jobID    string
	progress Progress
	shown    bool // the first file

	stopProducer context.CancelFunc
	produced     chan error // what the producer ended with
}

func (d *demo) start(ctx context.Context) (err error) {
	if d.outDir, err = prepareDir(d.cfg.OutDir); err != nil {
		return err
	}
	d.cluster, err = localcluster.Start(ctx, localcluster.Config{
		TaskManagers: taskManagers, SlotsEach: slotsEach, Log: d.cfg.Log,
		RestAddr: net.JoinHostPort("localhost", strconv.Itoa(d.cfg.Port)),
	})
	if err != nil {
		return portProblem(err, d.cfg.Port)
	}
	d.broker, err = localcluster.StartBroker(localcluster.BrokerConfig{Topics: map[string]int32{listings.Topic: partitions}})
	if err != nil {
		return err
	}
	if err := d.startProducer(ctx); err != nil {
		return err
	}
	brokers := strings.Join(d.broker.Addresses(), ",")
	submitted, err := d.cluster.Client().Submit(ctx, client.Spec{
		Name: "kdv-2min.yaml", Text: []byte(jobs.KDV2Min()),
		Vars: map[string]string{"KAFKA_BROKERS": brokers, "OUT_DIR": d.outDir},
	})
	if err != nil {
		return fmt.Errorf("submit the reference job: %w", err)
	}
	d.jobID = submitted.ID
	d.screen.Started(Start{Web: submitted.Web, JobID: d.jobID, OutDir: d.outDir, Broker: brokers})
	return nil
}

func (d *demo) startProducer(ctx context.Context) error {
	kafka, err := kafkaclient.Connect(ctx, kafkaclient.Config{Brokers: d.broker.Addresses(), Timeout: brokerWithin},
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner())) // a partition without records would hold event time back
	if err != nil {
		return err
	}
	source := records.NewListings(records.Listings{Topic: listings.Topic, Began: time.Now(), Speed: d.cfg.Speed, Duplicates: repeated})
	d.produced = make(chan error, 1)
	ctx, d.stopProducer = context.WithCancel(ctx)
	go func() {
		defer kafka.Close()
		d.produced <- records.Send(ctx, kafka, source, records.Pace{Rate: d.cfg.Rate}, func(*kgo.Record) {})
	}()
	return nil
}

// watch looks at the job until ctx ends, which is no error, or the job does, which is one.
func (d *demo) watch(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-tick.C:
		case err := <-d.produced:
			d.produced <- nil
			if ctx.Err() == nil {
				return fmt.Errorf("produce listings: %w", err)
			}
		case <-d.cluster.Done():
			return errors.New("the cluster ended")
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *demo) look(ctx context.Context) error {
	job, err := d.cluster.Client().Job(ctx, d.jobID)
	if err != nil {
		return err
	}
	files, err := d.cluster.Client().Files(ctx, d.jobID)
	if err != nil {
		return err
	}
	if client.Terminal(job.State) {
		cause, err := d.cluster.Client().RootCause(ctx, d.jobID)
		return errors.Join(fmt.Errorf("the job is %s: %s", job.State, cause), err)
	}
	d.progress = progressOf(job, files)
	if err := d.showFirst(files); err != nil {
		return err
	}
	d.screen.Progress(d.progress)
	return nil
}

func progressOf(job client.Job, files client.Files) Progress {
	p := Progress{State: job.State}
	if len(job.Vertices) > 0 {
		p.RecordsRead = job.Vertices[0].Metrics.ReadRecords
	}
	for _, f := range files.Files {
		if f.State == client.FileFinished {
			p.RowsWritten += f.Rows
			p.Files++
		}
	}
	return p
}

// previewRows is how many rows of the first file are shown.
const previewRows = 5

func (d *demo) showFirst(files client.Files) error {
	for _, f := range files.Files {
		if d.shown || f.State != client.FileFinished {
			continue
		}
		first := File{Path: filepath.Join(d.outDir, f.Name)}
		rows, err := firstLines(first.Path, previewRows)
		if err != nil {
			return err
		}
		first.Rows, first.More = rows, f.Rows-int64(len(rows))
		d.shown = true
		d.screen.FirstFile(first)
	}
	return nil
}

// stop ends what was started, in the opposite order.
func (d *demo) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	var errs []error
	if d.jobID != "" {
		errs = append(errs, d.cancelJob(ctx))
	}
	if d.stopProducer != nil {
		d.stopProducer()
		errs = append(errs, <-d.produced)
	}
	if d.cluster != nil {
		errs = append(errs, d.cluster.Close())
	}
	if d.broker != nil {
		d.broker.Close()
	}
	return errors.Join(errs...)
}

// cancelJob returns when the job has ended: its files are then as they stay.
func (d *demo) cancelJob(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for asked := false; ; asked = true {
		job, err := d.cluster.Client().Job(ctx, d.jobID)
		if err != nil {
			return fmt.Errorf("stop the job: %w", err)
		}
		if client.Terminal(job.State) {
			files, err := d.cluster.Client().Files(ctx, d.jobID)
			if err != nil {
				return fmt.Errorf("list the files of the job: %w", err)
			}
			d.progress = progressOf(job, files)
			return d.showFirst(files) // it may have come with the job's end
		}
		if !asked {
			if err := d.cluster.Client().Cancel(ctx, d.jobID); err != nil {
				return fmt.Errorf("stop the job: %w", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("stop the job, which is %s: %w", job.State, context.Cause(ctx))
		}
	}
}
