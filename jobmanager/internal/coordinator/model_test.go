package coordinator_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pencere/jobmanager/internal/coordinator"
	"pencere/pkg/checkpoint"

	"pgregory.net/rapid"
)

// world is a job around a coordinator: subtasks that pass barriers on and end, a network that delivers their reports late, twice, or never,
// a log, and a blob storage. It checks every action against what has happened.
type world struct {
	*rapid.T
	c        *coordinator.Coordinator
	now      time.Time
	retained int
	most     int // checkpoints under way

	attempt  int
	alive    bool // the attempt
	failed   bool // FailJob was wanted
	subtasks map[checkpoint.Subtask]*task
	away     []checkpoint.Subtask // those that are about to begin again
	network  []coordinator.Event  // not delivered yet
	log      []coordinator.Event  // answers not given yet

	begun     checkpoint.ID // the newest
	reserved  checkpoint.ID
	flying    []checkpoint.ID // triggered or to be committed, and neither complete nor aborted, by ID
	acks      map[checkpoint.ID]map[checkpoint.Subtask]string
	ended     map[checkpoint.Subtask]coordinator.Ended // delivered, of the attempt
	committed map[checkpoint.ID]checkpoint.Checkpoint  // in the log, not subsumed
	commit    *coordinator.Commit                      // sent to the log, not answered
	answered  checkpoint.ID                            // the last one that the log took
	complete  *checkpoint.Checkpoint                   // the last one announced

	blobs     map[string]bool // delivered, by whether they were handed out again
	savepoint map[string]bool // requests, by whether they were answered
}

type task struct {
	attempt int
	passed  checkpoint.ID // the newest barrier
	ended   bool
}

func newWorld(t *rapid.T) *world {
	config := coordinator.Config{
		Interval: time.Duration(rapid.IntRange(0, 10).Draw(t, "interval")) * time.Second, MinPause: time.Duration(rapid.IntRange(0, 3).Draw(t, "pause")) * time.Second,
		FiredPause: time.Duration(rapid.IntRange(0, 2).Draw(t, "fired pause")) * time.Second,
		Timeout:    20 * time.Second, TolerableFailures: rapid.IntRange(0, 3).Draw(t, "tolerable"), Retained: rapid.IntRange(1, 3).Draw(t, "retained"),
		MaxConcurrent: rapid.IntRange(0, 3).Draw(t, "concurrent"),
	}
	most := max(config.MaxConcurrent, 1)
	if config.MinPause > 0 {
		most = 1
	}
	return &world{
		T: t, c: coordinator.New(config, nil, 0), now: start, retained: config.Retained, most: most, attempt: -1,
		acks: map[checkpoint.ID]map[checkpoint.Subtask]string{}, committed: map[checkpoint.ID]checkpoint.Checkpoint{},
		blobs: map[string]bool{}, savepoint: map[string]bool{},
	}
}

func (w *world) step(e coordinator.Event) {
	w.deliver(e)
	for _, a := range w.c.Step(w.now, e) {
		w.do(a)
	}
	w.checkBlobs()
}

// deliver notes what the coordinator is about to know.
func (w *world) deliver(e coordinator.Event) {
	switch e := e.(type) {
	case coordinator.Acked:
		w.own(e.State)
		if w.acks[e.ID] == nil {
			w.acks[e.ID] = map[checkpoint.Subtask]string{}
		}
		w.acks[e.ID][e.State.Subtask] = e.State.Blobs()[0].Key
	case coordinator.Ended:
		w.own(e.State)
		task, away := w.subtasks[e.State.Subtask], slices.Contains(w.away, e.State.Subtask)
		if _, twice := w.ended[e.State.Subtask]; !twice && w.alive && task != nil && e.Attempt == task.attempt && !away {
			w.ended[e.State.Subtask] = e
		}
	case coordinator.Reserved:
		w.reserved = e.Through
	case coordinator.Committed:
		for _, id := range w.commit.Subsumed {
			delete(w.committed, id)
		}
		w.committed[e.ID] = w.commit.Checkpoint
		w.answered, w.commit = e.ID, nil
	case coordinator.CommitFailed:
		w.commit = nil
	}
}

func (w *world) own(s checkpoint.State) {
	for _, b := range s.Blobs() {
		w.blobs[b.Key] = false // also when it was handed out before: it is handed out again
	}
}

func (w *world) do(a coordinator.Action) {
	switch a := a.(type) {
	case coordinator.Reserve:
		w.log = append(w.log, coordinator.Reserved(a))
	case coordinator.Trigger:
		w.begin(a.ID)
		for _, s := range a.Sources {
			if rapid.IntRange(0, 9).Draw(w.T, "lost trigger") > 0 {
				w.barrier(a.ID, s)
			}
		}
		for _, s := range w.sorted() {
			if s.VertexID != "s" {
				w.barrier(a.ID, s)
			}
		}
	case coordinator.Commit:
		if !slices.Contains(w.flying, a.Checkpoint.ID) {
			w.begin(a.Checkpoint.ID)
		}
		if w.flying[0] != a.Checkpoint.ID {
			w.Fatalf("%d is committed before others that are under way: %v", a.Checkpoint.ID, w.flying)
		}
		w.checkCommit(a)
	case coordinator.NotifyComplete:
		if a.ID != w.answered {
			w.Fatalf("%d is announced, but %d was committed", a.ID, w.answered)
		}
		c := w.committed[a.ID]
		w.lands(a.ID)
		w.complete = &c
		w.answer(a.Request)
	case coordinator.Abort:
		w.lands(a.ID)
		w.answer(a.Request)
	case coordinator.Refuse:
		w.answer(a.Request)
	case coordinator.Discard:
		for _, b := range a.Blobs {
			if handedOut, known := w.blobs[b.Key]; !known || handedOut {
				w.Fatalf("blob %s is handed out, known %t, already handed out %t", b.Key, known, handedOut)
			}
			w.blobs[b.Key] = true
		}
	case coordinator.FailJob:
		w.failed = true
	case coordinator.WakeAt:
		if !a.Time.After(w.now) {
			w.Fatalf("wake at %s, now is %s", a.Time, w.now)
		}
	}
}

// lands is that a checkpoint is under way no more.
func (w *world) lands(id checkpoint.ID) {
	at := slices.Index(w.flying, id)
	if at < 0 {
		w.Fatalf("%d is not under way: %v are", id, w.flying)
	}
	w.flying = slices.Delete(w.flying, at, at+1)
}

func (w *world) begin(id checkpoint.ID) {
	if len(w.flying) >= w.most || id <= w.begun || id > w.reserved || !w.alive || w.failed || w.away != nil {
		w.Fatalf("checkpoint %d begins after %d, %v are under way, reserved through %d, attempt alive %t, failed %t, %v do not run",
			id, w.begun, w.flying, w.reserved, w.alive, w.failed, w.away)
	}
	w.flying, w.begun = append(w.flying, id), id
}

// barrier lets a subtask pass a barrier on and sends its ack.
func (w *world) barrier(id checkpoint.ID, s checkpoint.Subtask) {
	if task := w.subtasks[s]; !task.ended {
		task.passed = id
		w.network = append(w.network, coordinator.Acked{ID: id, State: state(s, fmt.Sprintf("%d/%s-%d-%d", id, s.VertexID, s.Index, task.attempt))})
	}
}

func (w *world) sorted() []checkpoint.Subtask {
	return slices.SortedFunc(maps.Keys(w.subtasks), func(a, b checkpoint.Subtask) int {
		return cmp.Or(cmp.Compare(a.VertexID, b.VertexID), cmp.Compare(a.Index, b.Index))
	})
}

func (w *world) answer(request string) {
	if answered, made := w.savepoint[request]; request != "" && (answered || !made) {
		w.Fatalf("request %s is answered, made %t, already answered %t", request, made, answered)
	}
	w.savepoint[request] = true
}

// checkCommit wants a state of each subtask: its ack of this checkpoint, or its final one if it had not passed on the barrier.
func (w *world) checkCommit(a coordinator.Commit) {
	if w.commit != nil {
		w.Fatalf("commit of %d while %d is being committed", a.Checkpoint.ID, w.commit.Checkpoint.ID)
	}
	w.commit = &a
	if len(a.Checkpoint.States) != len(w.subtasks) {
		w.Fatalf("checkpoint %d has %d states of %d subtasks", a.Checkpoint.ID, len(a.Checkpoint.States), len(w.subtasks))
	}
	for _, s := range a.Checkpoint.States {
		got := s.Blobs()[0].Key
		if acked, ok := w.acks[a.Checkpoint.ID][s.Subtask]; ok && acked == got {
			continue
		}
		end, ok := w.ended[s.Subtask]
		if !ok || end.Last >= a.Checkpoint.ID || end.State.Blobs()[0].Key != got {
			w.Fatalf("checkpoint %d has state %s of %v, which neither acked nor ended with it before", a.Checkpoint.ID, got, s.Subtask)
		}
	}
	var periodic []checkpoint.ID
	for id, c := range w.committed {
		if c.Kind == checkpoint.Periodic {
			periodic = append(periodic, id)
		}
	}
	want := 0
	if a.Checkpoint.Kind == checkpoint.Periodic {
		want = max(0, len(periodic)+1-w.retained)
	}
	slices.Sort(periodic)
	if !slices.Equal(a.Subsumed, periodic[:want]) {
		w.Fatalf("checkpoint %d subsumes %v of %v, want %d", a.Checkpoint.ID, a.Subsumed, periodic, want)
	}
	w.log = append(w.log, coordinator.Committed{ID: a.Checkpoint.ID})
}

// checkBlobs wants each blob that came either in use or handed out, never both, never neither.
func (w *world) checkBlobs() {
	used := map[string]bool{}
	use := func(s checkpoint.State) {
		for _, b := range s.Blobs() {
			used[b.Key] = true
		}
	}
	for _, c := range w.committed {
		for _, s := range c.States {
			use(s)
		}
	}
	for _, e := range w.ended {
		use(e.State)
	}
	if w.commit != nil {
		for _, s := range w.commit.Checkpoint.States {
			use(s)
		}
	}
	for _, id := range w.flying {
		for s, key := range w.acks[id] {
			if (w.commit == nil || w.commit.Checkpoint.ID != id) && w.subtasks[s] != nil {
				used[key] = true
			}
		}
	}
	for key, handedOut := range w.blobs {
		if handedOut == used[key] {
			w.Fatalf("blob %s is in use: %t, handed out: %t", key, used[key], handedOut)
		}
	}
}

func (w *world) begins() {
	w.attempt++
	w.alive, w.failed, w.away = true, false, nil
	w.subtasks, w.ended = map[checkpoint.Subtask]*task{}, map[checkpoint.Subtask]coordinator.Ended{}
	e := coordinator.Started{Attempt: w.attempt}
	for i := range rapid.IntRange(1, 3).Draw(w.T, "subtasks") {
		e.Sources = append(e.Sources, checkpoint.Subtask{VertexID: "s", Index: i})
		e.Others = append(e.Others, checkpoint.Subtask{VertexID: "w", Index: i})
	}
	for _, s := range slices.Concat(e.Sources, e.Others) {
		w.subtasks[s] = &task{attempt: w.attempt}
	}
	w.step(e)
	w.network = append(w.network, coordinator.Running{Attempt: w.attempt})
}

func (w *world) dies() {
	w.alive = false
	w.ended = map[checkpoint.Subtask]coordinator.Ended{}
	w.step(coordinator.AttemptEnded{Reason: "crash"})
}

// interrupts has some subtasks, or more of them, fail while the others go on.
func (w *world) interrupts() {
	ids := rapid.Permutation(w.sorted()).Draw(w.T, "order")[:rapid.IntRange(1, len(w.subtasks)).Draw(w.T, "interrupted")]
	for _, s := range ids {
		delete(w.ended, s)
		if !slices.Contains(w.away, s) {
			w.away = append(w.away, s)
		}
	}
	w.step(coordinator.Interrupted{Subtasks: ids, Reason: "a region failed"})
}

// restarts has them begin again.
func (w *world) restarts() {
	w.attempt++
	e := coordinator.Restarted{Attempt: w.attempt, Subtasks: w.away}
	for _, s := range w.away {
		w.subtasks[s] = &task{attempt: w.attempt}
	}
	w.away = nil
	w.step(e)
	w.network = append(w.network, coordinator.Running{Attempt: w.attempt})
}

func (w *world) some() checkpoint.Subtask { return rapid.SampledFrom(w.sorted()).Draw(w.T, "subtask") }

func (w *world) ends(s checkpoint.Subtask) {
	if task := w.subtasks[s]; !task.ended {
		task.ended = true
		w.network = append(w.network, coordinator.Ended{
			Attempt: task.attempt, Last: task.passed, State: state(s, fmt.Sprintf("end/%s-%d-%d", s.VertexID, s.Index, task.attempt)),
		})
	}
}

// happen lets one thing happen.
func (w *world) happen() {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(w.T, "ms")) * time.Millisecond)
	switch what := rapid.IntRange(0, 18).Draw(w.T, "what"); {
	case !w.alive:
		w.begins()
	case what <= 7 && len(w.network) > 0:
		i := rapid.IntRange(0, len(w.network)-1).Draw(w.T, "message")
		e := w.network[i]
		if rapid.IntRange(0, 9).Draw(w.T, "again") > 0 {
			w.network = slices.Delete(w.network, i, i+1)
		}
		if rapid.IntRange(0, 19).Draw(w.T, "lost") > 0 {
			w.step(e)
		}
	case what <= 10 && len(w.log) > 0:
		w.logAnswers()
	case what == 11:
		w.ends(w.some())
	case what == 12:
		s := w.some()
		w.step(coordinator.Fired{Attempt: w.subtasks[s].attempt, Subtask: s, Last: w.subtasks[s].passed})
	case what == 13:
		request := fmt.Sprint("request-", len(w.savepoint))
		w.savepoint[request] = false
		w.step(coordinator.Requested{Request: request, Kind: checkpoint.Kind(rapid.IntRange(0, 3).Draw(w.T, "kind"))})
	case what == 14 && w.begun > 0:
		w.network = append(w.network, coordinator.Declined{
			Attempt: w.attempt - rapid.IntRange(0, 1).Draw(w.T, "of"), ID: w.begun - checkpoint.ID(rapid.IntRange(0, 1).Draw(w.T, "old")), Subtask: w.some(), Reason: "no",
		})
	case what == 16 && !w.failed:
		w.interrupts()
	case what == 17 && !w.failed && w.away != nil:
		w.restarts()
	case what == 15 && (w.failed || rapid.IntRange(0, 3).Draw(w.T, "crash") == 0):
		w.dies()
	default:
		w.step(coordinator.Tick{})
	}
}

func (w *world) logAnswers() {
	e := w.log[0]
	w.log = w.log[1:]
	if c, commit := e.(coordinator.Committed); commit && rapid.IntRange(0, 4).Draw(w.T, "refused") == 0 {
		e = coordinator.CommitFailed{ID: c.ID, Reason: "refused"}
	}
	w.step(e)
}

// Whatever happens in whatever order: IDs grow and are reserved first, no more checkpoints than allowed are under way, none is committed without a
// fitting state of each subtask or announced before it is committed, every blob is in use or handed out, and every request is answered
// once. And once nothing fails any more, a job whose subtasks end has a final checkpoint.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(0, 150).Draw(t, "steps") {
			w.happen()
		}
		w.settle()
		w.goesOn()
		for _, s := range w.sorted() {
			w.ends(s)
		}
		w.settle()
		if w.complete == nil || w.complete.Attempt != w.attempt || len(w.ended) != len(w.subtasks) {
			t.Fatalf("all subtasks ended, but the last checkpoint is %+v", w.complete)
		}
		w.dies()
		for request, answered := range w.savepoint {
			if !answered {
				t.Fatalf("request %s was never answered", request)
			}
		}
		maps.DeleteFunc(w.committed, func(_ checkpoint.ID, c checkpoint.Checkpoint) bool { return !c.Kind.IsSavepoint() })
		w.step(coordinator.JobEnded{})
	})
}

// goesOn has all subtasks run, some of them perhaps since earlier.
func (w *world) goesOn() {
	if w.alive && !w.failed && w.away == nil && rapid.Bool().Draw(w.T, "interrupt") {
		w.interrupts()
	}
	if w.alive && !w.failed && w.away != nil {
		for s, task := range w.subtasks { // whose report was lost does not say it again
			if _, told := w.ended[s]; task.ended && !told && !slices.Contains(w.away, s) {
				w.away = append(w.away, s)
			}
		}
		w.restarts()
	} else {
		w.begins()
	}
}

// settle delivers all that is under way.
func (w *world) settle() {
	for len(w.network)+len(w.log) > 0 {
		if len(w.log) > 0 {
			e := w.log[0]
			w.log = w.log[1:]
			w.step(e)
			continue
		}
		e := w.network[0]
		w.network = w.network[1:]
		w.step(e)
	}
}
