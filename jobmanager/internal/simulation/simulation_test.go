// Package simulation_test runs the control plane of a job from a seed: the jobmanager's own dispatcher, masters, coordinator and
// gateway, and taskmanagers that speak its protocol, in virtual time, over a network that delays, mixes and loses what it carries.
package simulation_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pencere/jobmanager/internal/jobmaster"
	"pencere/jobmanager/internal/replica"
	"pencere/pkg/blobstore"
	"pencere/pkg/checkpoint"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

var (
	runs = flag.Int("simulation.runs", 100, "how many seeds are played")
	seed = flag.Uint64("simulation.seed", 1, "the first one")
)

// Whatever fails in whatever order: a checkpoint is announced only once the log has it, no number is used twice, one attempt at most
// publishes, every checkpoint is of all subtasks, no row is published twice, and what a user asked for is answered. When faults stop,
// the job ends, with each row that its last checkpoint is past published once.
func TestSimulation(t *testing.T) {
	adopted := int64(0)
	for n := range *runs {
		inWorld(t, *seed+uint64(n), func(w *world) {
			for range 300 + w.rng.IntN(3000) {
				w.step()
				if t.Failed() {
					return
				}
			}
			w.heal()
			adopted += w.adopted.Load()
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d times a jobmanager took running subtasks over", adopted)
	if *runs >= 100 && adopted < int64(*runs)/10 {
		t.Errorf("too seldom, in %d runs", *runs)
	}
}

// inWorld plays with a job that has just been submitted.
func inWorld(t *testing.T, seed uint64, play func(w *world)) {
	dir := t.TempDir()
	url, err := blobstore.URL(dir)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, dir, blobstore.New(url))
		defer w.storage.Close()
		defer w.stop()
		w.lead()
		w.submit()
		play(w)
	})
}

type world struct {
	*testing.T
	seed       uint64
	rng        *rand.Rand
	faults     bool
	memory     *replica.Memory
	storage    *blobstore.Store
	savepoints string
	splits     int
	rows       int64 // of a split
	trouble    int   // how often something breaks, in percent of the occasions
	retained   int
	windowless bool // each subtask of the job is a region
	trace      []string

	term         uint64
	jobManager   *jobManager // the newest
	taskManagers []*taskManager
	stalled      *taskManager // nothing gets through to or from it; nil for none
	born         int
	job          string

	edges     map[edge][]element
	deployed  map[ref]bool
	finished  map[ref]bool // subtasks that ended well
	gone      map[ref]bool // those that ended otherwise
	hidden    map[string]hiddenFile
	published map[string][]row
	seen      map[row]string // the file that has it

	mu          sync.Mutex
	parallelism map[int32]int // of attempts
	begun       map[uint64]string
	committed   map[uint64]checkpoint.Checkpoint
	newest      uint64
	adopted     atomic.Int64
	regional    int  // attempts of some subtasks that have begun
	harmed      bool // a stream or a program broke since the newest checkpoint: its commit may have been lost
}

type hiddenFile struct {
	rows           []row
	index, attempt int32
}

func newWorld(t *testing.T, seed uint64, dir string, storage *blobstore.Store) *world {
	rng := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it is to be the same again
	return &world{
		T: t, seed: seed, rng: rng, faults: true, memory: replica.NewMemory(), storage: storage, savepoints: dir,
		splits: 1 + rng.IntN(4), rows: int64(5 + rng.IntN(300)), retained: 1 + rng.IntN(3), windowless: rng.IntN(2) == 0, trouble: 1 + rng.IntN(100),
		edges: map[edge][]element{}, deployed: map[ref]bool{}, finished: map[ref]bool{}, gone: map[ref]bool{},
		hidden: map[string]hiddenFile{}, published: map[string][]row{}, seen: map[row]string{},
		parallelism: map[int32]int{}, begun: map[uint64]string{}, committed: map[uint64]checkpoint.Checkpoint{},
	}
}

func (w *world) settle() { synctest.Wait() }

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.Helper()
	w.Errorf("seed %d: "+format+"\nthe last steps:\n%s\nplay it again with -simulation.runs 1 -simulation.seed %[1]d",
		append(append([]any{w.seed}, args...), strings.Join(w.trace[max(0, len(w.trace)-80):], "\n"))...)
}

func (w *world) stop() {
	w.jobManager.kill()
	for _, tm := range w.taskManagers {
		if tm.link != nil {
			tm.link.cut()
		}
	}
	w.jobManager.running.Wait()
}

const spec = `
name: simulated
parallelism: %s
source:
  kafka: {brokers: "k:9092", topic: t, bounded: latest}
  schema: {id: INT, t: TIMESTAMP(3)}
  watermark: {column: t}
%ssink: {csv: {path: out}}
checkpoint: {interval: 2s, timeout: 6s, tolerated_failures: 1, max_concurrent: %d, retained: %d}
restart_strategy: {type: fixed-delay, attempts: 100000, delay: 300ms}
`

func (w *world) submit() {
	parallelism := []string{"1", "2", "3", "auto"}[w.rng.IntN(4)]
	window := "window: {tumble: 2m, group_by: [id]}\n"
	if w.windowless {
		window, parallelism = "", []string{"2", "3", "auto"}[w.rng.IntN(3)]
		w.splits++
	}
	id, err := w.jobManager.dispatcher.Submit(w.Context(), jobmaster.Spec{Text: fmt.Sprintf(spec, parallelism, window, 1+w.rng.IntN(3), w.retained), File: "job.yaml"})
	if err != nil {
		w.Fatal(err)
	}
	w.job = id
	w.note("job at parallelism %s, %d splits of %d rows, %d retained, without a window: %t", parallelism, w.splits, w.rows, w.retained, w.windowless)
	for range 3 {
		w.startTaskManager()
	}
	w.settle()
}

func (w *world) startTaskManager() {
	w.born++
	tm := &taskManager{w: w, id: fmt.Sprintf("tm:%d-x", w.born), slots: 1 + w.rng.IntN(2), tasks: map[ref]*task{}, late: map[ref]*task{}, held: map[ref]*controlv1.HeldSubtask{}}
	w.taskManagers = append(w.taskManagers, tm)
	w.note("%s starts", tm.id)
}

// step lets one thing happen. Now and then the stream of a taskmanager stalls, while all others go on.
func (w *world) step() {
	if w.rng.IntN(50) == 0 {
		w.stalled = nil
		if w.rng.IntN(2) == 0 {
			w.stalled = w.taskManagers[w.rng.IntN(len(w.taskManagers))]
			w.note("the stream of %s stalls", w.stalled.id)
		}
	}
	switch n := w.rng.IntN(100); {
	case n < 38:
		w.deliverMessage()
	case n < 60:
		w.deliverElement()
	case n < 74:
		w.readRow()
	case n < 86:
		w.pass(time.Duration(w.rng.IntN(800)) * time.Millisecond)
	case n < 90:
		w.reconnect()
	case n < 92:
		w.askForCheckpoint()
	case n < 94:
		w.askUser()
	case n < 96:
		w.losePeer()
	case w.rng.IntN(100) < w.trouble:
		w.breakSomething()
	}
	w.settle()
}

// pass lets time pass. Taskmanagers say that they are alive.
func (w *world) pass(d time.Duration) {
	w.note("%s pass", d)
	for _, tm := range w.taskManagers {
		if !tm.dead {
			tm.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_Heartbeat{Heartbeat: &controlv1.Heartbeat{}}})
		}
	}
	<-time.After(d)
}

// waiting is a message that can be delivered.
type waiting struct {
	tm   *taskManager
	link *link
	down bool
}

func (w *world) messages() (all []waiting) {
	for _, tm := range w.taskManagers {
		l := tm.link
		if l == nil || tm.dead || tm == w.stalled {
			continue
		}
		l.mu.Lock()
		if len(l.down) > 0 {
			all = append(all, waiting{tm, l, true})
		}
		if len(l.up) > 0 && l.ctx.Err() == nil {
			all = append(all, waiting{tm, l, false})
		}
		l.mu.Unlock()
	}
	return all
}

func (w *world) deliverMessage() bool {
	all := w.messages()
	if len(all) == 0 {
		return false
	}
	m := all[w.rng.IntN(len(all))]
	m.link.mu.Lock()
	if m.down {
		message := m.link.down[0]
		m.link.down = m.link.down[1:]
		m.link.mu.Unlock()
		w.note("%s hears %s", m.tm.id, brief(message))
		m.tm.receive(message)
	} else {
		message := m.link.up[0]
		m.link.up = m.link.up[1:]
		m.link.mu.Unlock()
		w.note("jobmanager hears %s say %s", m.tm.id, brief(message))
		m.link.delivered <- message
	}
	w.settle()
	return true
}

// brief cuts a message to what a reader of the trace needs.
func brief(m fmt.Stringer) string {
	text := m.String()
	return text[:min(len(text), 160)]
}

func (w *world) tasks() (all []*task) {
	for _, tm := range w.taskManagers {
		if !tm.dead {
			all = append(all, tm.sorted()...)
		}
	}
	return all
}

func (w *world) find(r ref) *task {
	for _, tm := range w.taskManagers {
		if t := tm.tasks[r]; t != nil && !tm.dead {
			return t
		}
	}
	return nil
}

func (w *world) deliverElement() bool {
	var ready []edge
	for e, queue := range w.edges {
		if to := w.find(e.to); len(queue) > 0 && to != nil && to.readable(e.from.index) {
			ready = append(ready, e)
		}
	}
	if len(ready) == 0 {
		return false
	}
	slices.SortFunc(ready, func(a, b edge) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	e := ready[w.rng.IntN(len(ready))]
	next := w.edges[e][0]
	w.edges[e] = w.edges[e][1:]
	w.find(e.to).take(e.from.index, next)
	return true
}

func (w *world) readRow() {
	var sources []*task
	for _, t := range w.tasks() {
		if t.source() {
			sources = append(sources, t)
		}
	}
	if len(sources) > 0 {
		sources[w.rng.IntN(len(sources))].read()
	}
}

// reconnect lets a taskmanager without a stream try the jobmanager, or one find that its stream is broken.
func (w *world) reconnect() {
	tm := w.taskManagers[w.rng.IntN(len(w.taskManagers))]
	switch {
	case tm.dead:
	case tm.link == nil:
		if !w.jobManager.over.Load() {
			w.connect(tm)
			w.note("%s connects", tm.id)
		}
	case tm.link.ctx.Err() != nil:
		w.note("%s finds its stream broken", tm.id)
		w.harmed = true // it may have stalled for so long that the jobmanager gave it up
		tm.lose()
		if w.rng.IntN(4) == 0 {
			w.note("the lease of %s ends", tm.id)
			tm.endLease()
		}
	}
}

func (w *world) askForCheckpoint() {
	for _, t := range w.tasks() {
		if t.writes() && w.rng.IntN(3) == 0 {
			t.tm.send(&controlv1.ConnectRequest{Message: &controlv1.ConnectRequest_CheckpointRequest{CheckpointRequest: &controlv1.CheckpointRequest{
				Subtask: t.deploy.GetSubtask(), LastCheckpointId: uint64(t.last),
			}}})
			return
		}
	}
}

// askUser asks for a savepoint, a checkpoint, a stop or a cancellation, the last two rarely.
func (w *world) askUser() {
	d := w.jobManager.dispatcher
	n := w.rng.IntN(120)
	if n == 0 || n < 10 && w.commitIsUnderWay() {
		w.note("the user cancels: %v", d.Cancel(w.Context(), w.job))
		return
	}
	kind := checkpoint.Periodic
	switch {
	case n < 3:
		kind = []checkpoint.Kind{checkpoint.Stop, checkpoint.Drain}[w.rng.IntN(2)]
	case n < 60:
		kind = checkpoint.Savepoint
	}
	trigger := fmt.Sprintf("%032d", len(w.jobManager.asked))
	err := d.Savepoint(jobmaster.SavepointRequest{JobID: w.job, Trigger: trigger, Kind: kind})
	w.note("the user asks for a %s: %v", kind, err)
	if err != nil {
		return
	}
	key := jobmaster.OperationKey{Kind: jobmaster.OperationCheckpoint, JobID: w.job, Trigger: trigger}
	if kind.IsSavepoint() {
		key.Kind = jobmaster.OperationSavepoint
	}
	w.jobManager.asked[key] = true
}

// commitIsUnderWay reports whether a taskmanager is about to hear of a commit.
func (w *world) commitIsUnderWay() bool {
	return slices.ContainsFunc(w.taskManagers, func(tm *taskManager) bool {
		if tm.link == nil {
			return false
		}
		tm.link.mu.Lock()
		defer tm.link.mu.Unlock()
		return slices.ContainsFunc(tm.link.down, func(m *controlv1.ConnectResponse) bool { return m.GetCheckpointCommit() != nil })
	})
}

// A cancellation at the instant of a commit: some subtasks lose their peers before they hear of the commit. All that the
// checkpoint holds is published all the same.
func TestCancelAtTheInstantOfACommit(t *testing.T) {
	const seeds, patience = 50, 4000
	reached := 0
	for n := range seeds {
		inWorld(t, *seed+uint64(n), func(w *world) {
			w.trouble = 0
			for range patience {
				if w.commitIsUnderWay() || w.ended() {
					break
				}
				w.step()
			}
			if !w.commitIsUnderWay() {
				return
			}
			reached++
			w.stalled = w.taskManagers[w.rng.IntN(len(w.taskManagers))]
			if err := w.jobManager.dispatcher.Cancel(w.Context(), w.job); err != nil {
				return // it was cancelled before
			}
			w.settle()
			for w.deliverMessage() {
				w.losePeer()
			}
			w.heal()
		})
	}
	if reached < seeds/2 {
		t.Errorf("a commit was under way in %d of %d runs", reached, seeds)
	}
}
