package operator_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	"pencere/pkg/eventtime"
	"pencere/pkg/format/csv"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/exchange"
	"pencere/taskmanager/internal/operator"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// run is how a job is run: with how many subtasks, and how many records at a time.
type run struct{ parallelism, fetch int }

// parse reads a spec as the jobmanager does, with its files in a new directory.
func parse(t *testing.T, spec string) (*plan.Program, error) {
	t.Helper()
	vars := map[string]string{"BROKERS": "localhost:9092", "TOPIC": "golden", "OUT": t.TempDir()}
	job, err := jobspec.Parse("golden.yaml", []byte(spec), func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	})
	if err != nil {
		return nil, err
	}
	return plan.Compile(job)
}

// cluster is the chains of a job, between a list of records in place of Kafka and the files of its sink.
type cluster struct {
	program *plan.Program
	gates   []*exchange.Gate // by window subtask; none without a window
	sources []*sourceSubtask
}

// sourceSubtask is a source chain with the event time of its splits.
type sourceSubtask struct {
	chain  *operator.Source
	out    operator.Output
	close  func() error // of its sink, where it has one
	clock  *eventtime.Combiner[int]
	splits []*recordSplit
}

// recordSplit is a partition and the records of it that are not read.
type recordSplit struct {
	records []*kgo.Record
}

// execute runs the program over the records of each partition and returns what it wrote, file after file.
func execute(t *testing.T, program *plan.Program, partitions [][][]byte, how run) ([]byte, error) {
	t.Helper()
	c := &cluster{program: program}
	subtasks, ctx := errgroup.WithContext(t.Context())
	defer func() {
		for _, gate := range c.gates {
			gate.Close(context.Canceled)
		}
	}()
	if program.Window != nil {
		for range how.parallelism {
			gate := exchange.NewGate(how.parallelism)
			c.gates = append(c.gates, gate)
		}
	}
	for i, gate := range c.gates {
		subtasks.Go(func() error { return c.runWindow(ctx, i, gate) })
	}
	subtasks.Go(func() error { return c.runSources(ctx, partitions, how) })
	if err := subtasks.Wait(); err != nil {
		return nil, err
	}
	return readFiles(t, program.Job.Sink.CSV.Path), nil
}

func (c *cluster) openSink(subtask int) (*operator.Sink, *partfile.Writer, error) {
	sink := c.program.Job.Sink.CSV
	options, err := csv.ParseOptions(sink.Options)
	if err != nil {
		return nil, nil, err
	}
	encoder, err := csv.NewEncoder(c.program.Sink, options)
	if err != nil {
		return nil, nil, err
	}
	writer, err := partfile.New(partfile.Config{Dir: sink.Path, Job: "golden", Subtask: subtask, Extension: ".csv"}, encoder)
	if err != nil {
		return nil, nil, err
	}
	return operator.NewSink(c.program, writer, operator.NewCounters(), memory.DefaultAllocator, func([]partfile.File) {}), writer, nil
}

func (c *cluster) runWindow(ctx context.Context, subtask int, gate *exchange.Gate) (err error) {
	defer func() {
		if err != nil {
			gate.Close(err)
		}
	}()
	sink, writer, err := c.openSink(subtask)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, writer.Close()) }()
	chain, err := operator.NewWindow(c.program, gate.Inputs(), sink, operator.NewCounters(), memory.DefaultAllocator, 0)
	if err != nil {
		return err
	}
	for {
		input, element, err := gate.Next(ctx)
		if err != nil {
			return err
		}
		done, err := chain.Element(ctx, input, element)
		if err != nil {
			return err
		}
		if done {
			return publish(sink)
		}
	}
}

// publish ends a sink as the last checkpoint of a job does.
func publish(sink *operator.Sink) error {
	state, err := sink.Prepare(context.Background())
	if err != nil {
		return err
	}
	return sink.Commit(state)
}

// runSources deals the partitions out to the source subtasks and reads all of them.
func (c *cluster) runSources(ctx context.Context, partitions [][][]byte, how run) (err error) {
	defer func() {
		for _, s := range c.sources {
			err = errors.Join(err, s.close())
		}
	}()
	for i := range how.parallelism {
		if err := c.openSource(i); err != nil {
			return err
		}
	}
	for i, values := range partitions {
		c.sources[i%how.parallelism].addSplit(int32(i), values)
	}
	for _, s := range c.sources {
		if err := s.read(ctx, how.fetch); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) openSource(subtask int) (err error) {
	s := &sourceSubtask{clock: eventtime.NewCombiner[int](), close: func() error { return nil }}
	if c.gates == nil {
		sink, writer, err := c.openSink(subtask)
		if err != nil {
			return err
		}
		s.out, s.close = sink, func() error { return errors.Join(publish(sink), writer.Close()) }
	} else {
		var senders []exchange.Sender
		for _, gate := range c.gates {
			senders = append(senders, gate.Input(subtask))
		}
		s.out = operator.NewKeyed(c.program, senders, operator.NewCounters(), memory.DefaultAllocator)
	}
	c.sources = append(c.sources, s)
	s.chain, err = operator.NewSource(c.program, s.out, operator.NewCounters(), memory.DefaultAllocator)
	return err
}

func (s *sourceSubtask) addSplit(partition int32, values [][]byte) {
	s.chain.AddSplit(checkpoint.Split{Number: partition, Topic: "golden", Partition: partition, Newest: math.MinInt64})
	s.clock.Add(len(s.splits))
	s.splits = append(s.splits, newSplit(partition, values))
}

func newSplit(partition int32, values [][]byte) *recordSplit {
	s := &recordSplit{}
	for offset, value := range values {
		s.records = append(s.records, &kgo.Record{Topic: "golden", Partition: partition, Offset: int64(offset), Value: value})
	}
	return s
}

// read reads so many records of each split in turns, and sends on the watermark after each turn.
func (s *sourceSubtask) read(ctx context.Context, fetch int) error {
	for unread := len(s.splits); unread > 0; {
		unread = 0
		for i, split := range s.splits {
			n := min(fetch, len(split.records))
			if err := s.chain.Records(ctx, i, split.records[:n]); err != nil {
				return err
			}
			split.records = split.records[n:]
			s.clock.Update(i, s.chain.Watermark(i))
			if len(split.records) == 0 {
				s.clock.Remove(i)
			} else {
				unread++
			}
		}
		if watermark, _ := s.clock.Watermark(); unread > 0 {
			if err := s.out.Watermark(ctx, watermark); err != nil {
				return err
			}
		}
	}
	return s.out.End(ctx)
}

// readFiles returns the published files of a directory, one after the other. Hidden ones do not count.
func readFiles(t *testing.T, dir string) []byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "part-*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	var all []byte
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return all
}
