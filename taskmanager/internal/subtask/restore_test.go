package subtask

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
	"pencere/pkg/connector/partfile"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
	"pencere/pkg/jobspec"
	"pencere/pkg/plan"
	"pencere/taskmanager/internal/exchange"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
)

// pipeline is an attempt of a windowed job of two splits: all its subtasks, in a synctest bubble.
type pipeline struct {
	t       *testing.T
	dir     string
	program *plan.Program
	plan    []byte
	bucket  func() (*blobstore.Bucket, error)

	parallelism, attempt int
	tasks                []*Subtask // sources, then windows
	readers              []*memoryReader
	cancel               context.CancelCauseFunc
	running              sync.WaitGroup

	mu   sync.Mutex
	sent []*controlv1.ConnectRequest
}

func newPipeline(t *testing.T, dir string) *pipeline { return newPipelineOf(t, dir, windowed) }

// newPipelineOf is newPipeline with another window, and what else the job says.
func newPipelineOf(t *testing.T, dir, more string) *pipeline {
	job, err := jobspec.Parse("job.yaml", []byte(fmt.Sprintf(spec, "", dir)+more), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	p := &pipeline{t: t, dir: dir, bucket: func() (*blobstore.Bucket, error) { return nil, errors.New("storage is away") }}
	if p.program, err = plan.Compile(job); err != nil {
		t.Fatal(err)
	}
	if p.plan, err = job.Encode(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pipeline) ref(vertex, index int) *controlv1.SubtaskRef {
	return &controlv1.SubtaskRef{
		JobId: "0123456789", VertexId: p.program.Vertices[vertex].ID, SubtaskIndex: int32(index), Attempt: int32(p.attempt),
	}
}

// start runs an attempt that goes on from a checkpoint, or begins.
func (p *pipeline) start(parallelism int, from *checkpoint.Checkpoint) {
	p.t.Helper()
	p.parallelism, p.tasks, p.readers = parallelism, nil, nil
	hub := exchange.NewHub()
	var ctx context.Context
	ctx, p.cancel = context.WithCancelCause(p.t.Context())
	for vertex := range 2 {
		for i := range parallelism {
			task, err := New(p.deployment(vertex, i, from), Host{
				TaskManagerID: "here", Hub: hub, Alloc: memory.DefaultAllocator, Now: time.Now, Running: func() {},
				Dial:     func(string) (grpc.ClientConnInterface, error) { return nil, errors.New("nobody is elsewhere") },
				Bucket:   func(context.Context, string) (*blobstore.Bucket, error) { return p.bucket() },
				Finished: func([]partfile.File) {}, Send: p.send,
			})
			if err != nil {
				p.t.Fatal(err)
			}
			if vertex == 0 {
				p.readers = append(p.readers, &memoryReader{wake: make(chan struct{}, 100)})
				task.openReader = p.readers[i].open
			}
			p.tasks = append(p.tasks, task)
			p.running.Go(func() {
				if err := task.Run(ctx); !errors.Is(err, ErrCanceled) {
					p.t.Errorf("subtask %v: %v", task.Ref(), err)
				}
			})
		}
	}
	synctest.Wait()
}

func (p *pipeline) deployment(vertex, index int, from *checkpoint.Checkpoint) *controlv1.DeploySubtask {
	p.t.Helper()
	d := &controlv1.DeploySubtask{Subtask: p.ref(vertex, index), Plan: p.plan, Parallelism: int32(p.parallelism)}
	for i := range p.parallelism {
		if vertex == 0 {
			d.Downstreams = append(d.Downstreams, &controlv1.Endpoint{Subtask: p.ref(1, i), TaskManagerId: "here"})
		} else {
			d.Upstreams = append(d.Upstreams, &controlv1.Endpoint{Subtask: p.ref(0, i), TaskManagerId: "here"})
		}
	}
	for number := range int32(2) {
		if vertex == 0 && checkpoint.SplitOwner(number, p.parallelism) == index {
			d.Splits = append(d.Splits, &controlv1.Split{Topic: "listings", Partition: number, Number: number, StopOffset: -1})
		}
	}
	if from != nil {
		states, err := checkpoint.Redistribute(*from, d.GetSubtask().GetVertexId(), p.parallelism, p.program.Job.MaxParallelism)
		if err != nil {
			p.t.Fatal(err)
		}
		d.Restored, d.RestoredId = states[index].Encode(), uint64(from.ID)
	}
	return d
}

// stop ends the attempt.
func (p *pipeline) stop() {
	p.cancel(ErrCanceled)
	p.running.Wait()
	p.attempt++
}

func (p *pipeline) send(m *controlv1.ConnectRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, m)
}

func (p *pipeline) said() []*controlv1.ConnectRequest {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := p.sent
	p.sent = nil
	return sent
}

// reading returns which source reads a split, and which of its splits that is.
func (p *pipeline) reading(number int32) (owner, at int) {
	owner = checkpoint.SplitOwner(number, p.parallelism)
	for before := range number {
		if checkpoint.SplitOwner(before, p.parallelism) == owner {
			at++
		}
	}
	return owner, at
}

// put has a split read records, a row for each second.
func (p *pipeline) put(number int32, next int64, seconds ...int) {
	owner, at := p.reading(number)
	f := records(at, seconds...)
	f.Next = next
	p.readers[owner].put(f)
}

// checkpoint takes one and returns it, balanced.
func (p *pipeline) checkpoint(id checkpoint.ID) *checkpoint.Checkpoint {
	p.t.Helper()
	p.said()
	for _, task := range p.tasks[:p.parallelism] {
		task.Trigger(id, checkpoint.Periodic)
	}
	c := &checkpoint.Checkpoint{ID: id, MaxParallelism: p.program.Job.MaxParallelism}
	for _, m := range p.said() {
		state, err := checkpoint.DecodeState(m.GetCheckpointAck().GetState())
		if err != nil {
			p.t.Fatalf("said %v: %v", m, err)
		}
		c.States = append(c.States, state)
	}
	if len(c.States) != 2*p.parallelism {
		p.t.Fatalf("%d subtasks acked", len(c.States))
	}
	if err := c.Ledger().Balance(func(split int32) string { return fmt.Sprint(split) }); err != nil {
		p.t.Error(err)
	}
	return c
}

// rows returns the published ids, sorted.
func (p *pipeline) rows() (ids []string) {
	synctest.Wait()
	files, err := filepath.Glob(filepath.Join(p.dir, "part-*.csv"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			p.t.Fatal(err)
		}
		for line := range strings.Lines(string(bytes.TrimSpace(text))) {
			id, _, _ := strings.Cut(strings.TrimSpace(line), ",")
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// A job goes on at another parallelism with its positions, its open windows, and its event time: what was late stays late.
func TestRestoreAtAnotherParallelism(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 2}, {2, 1}, {2, 3}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				p := newPipeline(t, dir)
				defer p.stop()
				p.start(size[0], nil)
				p.put(0, 3, 10, 20, 70)
				p.put(1, 2, 15, 30)
				first := p.checkpoint(1)
				p.put(1, 3, 31) // read again after the checkpoint, as the attempt dies
				p.stop()

				p.start(size[1], first)
				var starts []int64
				for _, r := range p.readers {
					for _, s := range r.splits {
						starts = append(starts, s.Start)
					}
				}
				slices.Sort(starts)
				if !slices.Equal(starts, []int64{2, 3}) {
					t.Errorf("splits are read from %v", starts)
				}
				p.put(0, 5, 5, 80) // second 5 is behind second 70 by a window's end, read by the attempt before
				p.put(1, 4, 31, 40)
				p.put(1, 5, 200)
				p.put(0, 6, 200)
				<-time.After(tick) // a source without splits has said so
				second := p.checkpoint(2)
				if rows := p.rows(); rows != nil {
					t.Errorf("rows %v are published before a commit", rows)
				}
				for _, task := range p.tasks {
					task.Commit(&controlv1.CheckpointCommit{CheckpointId: 2})
				}
				want := []string{"10", "15", "20", "30", "31", "40", "70", "80"}
				if rows := p.rows(); !slices.Equal(rows, want) {
					t.Errorf("rows %v, want %v", rows, want)
				}
				counts := second.Ledger()
				if l := counts.Of(0); l.Late != 1 || l.Read != 6 {
					t.Errorf("ledger of split 0: %+v", l)
				}
				p.stop()

				// Going on once more publishes what the checkpoint holds, which has happened, and nothing twice.
				p.start(size[0], second)
				if rows := p.rows(); !slices.Equal(rows, want) {
					t.Errorf("rows %v after going on, want %v", rows, want)
				}
			})
		})
	}
}

// The jobmanager may die between a commit and its announcement: the next attempt publishes.
func TestRestorePublishes(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline(t, dir)
		defer p.stop()
		p.start(2, nil)
		p.put(0, 2, 10, 70)
		p.put(1, 2, 15, 80)
		c := p.checkpoint(1)
		p.stop()
		p.start(1, c)
		if rows := p.rows(); !slices.Equal(rows, []string{"10", "15"}) {
			t.Errorf("rows %v", rows)
		}
	})
}

// So it is with dead letters, of all the sources there were; those of a checkpoint that never was are gone.
func TestRestorePublishesDeadLetters(t *testing.T) {
	dir, dead := t.TempDir(), t.TempDir()
	more := fmt.Sprintf("window: {tumble: 1m, group_by: [id], late: dead_letter}\ndead_letters: {csv: {path: %q}}\n", dead)
	synctest.Test(t, func(t *testing.T) {
		p := newPipelineOf(t, dir, more)
		defer p.stop()
		p.start(2, nil)
		p.put(0, 3, 10, 70, 5)
		p.put(1, 4, 15, 80, 6, 7)
		c := p.checkpoint(1)
		if n := published(t, dead); n != 0 {
			t.Errorf("%d dead letters are published before their checkpoint is committed", n)
		}
		p.put(0, 4, 9)
		p.checkpoint(2)
		p.stop()
		p.start(1, c)
		if n, ledger := published(t, dead), p.checkpoint(3).Ledger().Total(); n != 3 || ledger.DeadLettered != 3 || ledger.Late != 0 {
			t.Errorf("%d dead letters are published, the ledger has %+v", n, ledger)
		}
		left, err := filepath.Glob(filepath.Join(dead, ".part-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

// A subtask whose state cannot be kept declines, says why, and goes on.
func TestDecline(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := newPipeline(t, dir)
		defer p.stop()
		p.start(1, nil)
		f := records(0, make([]int, 20_000)...)
		for i, r := range f.Records {
			r.Value = fmt.Appendf(nil, `{"id":%d,"t":"2025-03-04 11:00:00"}`, i)
		}
		p.readers[0].put(f)
		p.said()
		p.tasks[0].Trigger(1, checkpoint.Periodic)
		var reason string
		for _, m := range p.said() {
			reason += m.GetCheckpointDecline().GetReason()
		}
		if !strings.Contains(reason, "storage is away") {
			t.Errorf("declined because %q", reason)
		}
	})
}

// A subtask whose last state cannot be kept fails: no checkpoint of the attempt could be without that state.
func TestLastStateNotKept(t *testing.T) {
	part := new(Subtask).newParticipant(nil, nil)
	part.unsaved <- errors.New("storage is away")
	if err := part.wait(t.Context()); err == nil || err.Error() != "storage is away" {
		t.Errorf("it ends with %v", err)
	}
}
