package slotpool_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pencere/jobmanager/internal/slotpool"
	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"pgregory.net/rapid"
)

// job is a holder that wants a number of slots and notes what it is told.
type job struct {
	id      string
	want    int
	slots   []slotpool.Slot
	granted int
	lost    []string
	onGrant func()
	onLost  func()
}

func (j *job) Parallelism(free int) int {
	if free < j.want {
		return 0
	}
	return j.want
}

func (j *job) Granted(slots []slotpool.Slot) {
	j.slots = slots
	j.granted++
	if j.onGrant != nil {
		j.onGrant()
	}
}

func (j *job) Lost(taskManagerID, _ string) {
	j.lost = append(j.lost, taskManagerID)
	if j.onLost != nil {
		j.onLost()
	}
}

func newPool() *slotpool.Pool { return slotpool.New(func() time.Time { return time.UnixMilli(0) }) }

func taskManager(id string, slots int) slotpool.TaskManager {
	return slotpool.TaskManager{ID: id, Slots: slots, Send: func(*controlv1.ConnectResponse) {}}
}

// world is the pool beside a model of it: who has registered how often, and who waits in which order.
type world struct {
	pool       *slotpool.Pool
	members    map[string]int    // slots by taskmanager
	unregister map[string]func() // of the present registration
	stale      []func()          // of earlier ones
	leaving    map[string]int    // slots that were held when it said so, or later
	dismissed  map[string]int
	jobs       []*job // that were released or never asked are not here
	waiting    []*job
	next       int
}

func (w *world) register(t *rapid.T) {
	id := fmt.Sprint("tm", rapid.IntRange(0, 3).Draw(t, "taskmanager"))
	slots := rapid.IntRange(1, 4).Draw(t, "slots")
	if w.members[id] > 0 {
		w.stale = append(w.stale, w.unregister[id])
	}
	tm := taskManager(id, slots)
	tm.Leaving = rapid.IntRange(0, 4).Draw(t, "leaving") == 0
	delete(w.leaving, id)
	delete(w.dismissed, id)
	if tm.Leaving {
		w.leaving[id] = 0
	}
	tm.Send = func(m *controlv1.ConnectResponse) {
		if m.GetDismissed() != nil {
			w.dismissed[id]++
		}
	}
	unregister := w.pool.Register(tm)
	w.members[id] = slots
	w.unregister[id] = func() { unregister("gone") }
}

func (w *world) leave(t *rapid.T) {
	if len(w.members) == 0 {
		t.Skip("nobody is registered")
	}
	id := rapid.SampledFrom(slices.Sorted(keys(w.members))).Draw(t, "taskmanager")
	w.unregister[id]()
	w.stale = append(w.stale, w.unregister[id])
	delete(w.members, id)
	delete(w.unregister, id)
	delete(w.leaving, id)
	delete(w.dismissed, id)
}

func (w *world) sayLeave(t *rapid.T) {
	if len(w.members) == 0 {
		t.Skip("nobody is registered")
	}
	id := rapid.SampledFrom(slices.Sorted(keys(w.members))).Draw(t, "taskmanager")
	if _, told := w.leaving[id]; !told {
		w.leaving[id] = w.members[id]
	}
	w.pool.Leave(id)
}

// A registration that has ended already takes nothing away when its stream ends, too.
func (w *world) leaveAgain(t *rapid.T) {
	if len(w.stale) == 0 {
		t.Skip("nobody has left")
	}
	rapid.SampledFrom(w.stale).Draw(t, "stale")()
}

func (w *world) request(t *rapid.T) {
	j := &job{id: fmt.Sprint("job", w.next), want: rapid.IntRange(1, 5).Draw(t, "parallelism")}
	w.next++
	w.jobs = append(w.jobs, j)
	w.waiting = append(w.waiting, j)
	w.pool.Request(j.id, j)
}

func (w *world) release(t *rapid.T) {
	if len(w.jobs) == 0 {
		t.Skip("no job")
	}
	j := rapid.SampledFrom(w.jobs).Draw(t, "job")
	w.pool.Release(j.id)
	w.jobs = slices.DeleteFunc(w.jobs, func(o *job) bool { return o == j })
	w.waiting = slices.DeleteFunc(w.waiting, func(o *job) bool { return o == j })
}

// check compares what holders were told with what the pool shows and with the rules.
func (w *world) check(t *rapid.T) {
	for len(w.waiting) > 0 && w.waiting[0].granted > 0 {
		w.waiting = w.waiting[1:]
	}
	for _, j := range w.waiting {
		if j.granted > 0 {
			t.Fatalf("%s was served before %s, which came first", j.id, w.waiting[0].id)
		}
	}
	holds := make(map[string][]string) // jobs by taskmanager
	taken := make(map[string]bool)
	for _, j := range w.jobs {
		if j.granted > 1 || j.granted == 1 && len(j.slots) != j.want {
			t.Fatalf("%s was granted %d times, %d slots of %d", j.id, j.granted, len(j.slots), j.want)
		}
		if sorted := slices.Compact(slices.Sorted(slices.Values(j.lost))); len(sorted) != len(j.lost) {
			t.Fatalf("%s was told of the same loss twice: %v", j.id, j.lost)
		}
		for _, s := range j.slots {
			if slices.Contains(j.lost, s.TaskManager.ID) {
				continue
			}
			place := fmt.Sprint(s.TaskManager.ID, "/", s.Index)
			if taken[place] || s.Index >= w.members[s.TaskManager.ID] {
				t.Fatalf("%s has slot %s, which is another's or does not exist", j.id, place)
			}
			taken[place] = true
			holds[s.TaskManager.ID] = append(holds[s.TaskManager.ID], j.id)
		}
	}
	free := 0
	for _, tm := range w.pool.TaskManagers() {
		free += tm.Free
		slices.Sort(tm.Allocated)
		slices.Sort(holds[tm.ID])
		left := tm.Slots - len(tm.Allocated)
		if _, leaving := w.leaving[tm.ID]; leaving {
			w.checkLeaving(t, tm.ID, len(tm.Allocated))
			left = 0
		}
		if tm.Slots != w.members[tm.ID] || tm.Free != left || !slices.Equal(tm.Allocated, holds[tm.ID]) {
			t.Fatalf("%s shows %d slots, %d free, those of %v; want %d slots, those of %v",
				tm.ID, tm.Slots, tm.Free, tm.Allocated, w.members[tm.ID], holds[tm.ID])
		}
	}
	w.checkReach(t, holds, free)
	if len(w.waiting) > 0 && w.waiting[0].want <= free {
		t.Fatalf("%s waits for %d slots while %d are free", w.waiting[0].id, w.waiting[0].want, free)
	}
}

// checkReach checks what jobs are told that they could have.
func (w *world) checkReach(t *rapid.T, holds map[string][]string, free int) {
	if len(w.waiting) > 0 {
		free = 0
	}
	for _, j := range w.jobs {
		want, wantLeaving := free, false
		for id, jobs := range holds {
			n := len(slices.DeleteFunc(slices.Clone(jobs), func(other string) bool { return other != j.id }))
			if _, leaving := w.leaving[id]; leaving {
				wantLeaving = wantLeaving || n > 0
			} else {
				want += n
			}
		}
		if got, leaving := w.pool.Reach(j.id); got != want || leaving != wantLeaving {
			t.Fatalf("%s is told of %d slots, leaving %t; want %d, %t", j.id, got, leaving, want, wantLeaving)
		}
	}
}

// checkLeaving checks that a taskmanager that is about to go is given nothing, and is dismissed once, when nobody holds anything.
func (w *world) checkLeaving(t *rapid.T, id string, held int) {
	if held > w.leaving[id] {
		t.Fatalf("%s is about to go and has %d slots held, after %d", id, held, w.leaving[id])
	}
	w.leaving[id] = held
	want := 0
	if held == 0 {
		want = 1
	}
	if w.dismissed[id] != want {
		t.Fatalf("%s, of which %d slots are held, is dismissed %d times", id, held, w.dismissed[id])
	}
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestPoolKeepsItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			pool: newPool(), members: make(map[string]int), unregister: make(map[string]func()),
			leaving: make(map[string]int), dismissed: make(map[string]int),
		}
		t.Repeat(map[string]func(*rapid.T){
			"register": w.register, "say leave": w.sayLeave, "leave": w.leave, "leave again": w.leaveAgain,
			"request": w.request, "release": w.release, "": w.check,
		})
	})
}

// A taskmanager comes back before its old stream is known to have ended: the end of the old one takes nothing from the new.
func TestOldRegistrationEndsAfterTheNewOneBegan(t *testing.T) {
	pool := newPool()
	unregisterOld := pool.Register(taskManager("tm", 1))
	before := &job{id: "before", want: 1}
	pool.Request("before", before)
	pool.Register(taskManager("tm", 1))
	if !slices.Equal(before.lost, []string{"tm"}) {
		t.Fatalf("holder of the old registration was told of %v", before.lost)
	}
	pool.Release("before")
	after := &job{id: "after", want: 1}
	pool.Request("after", after)
	unregisterOld("its connection broke")
	if after.granted != 1 || len(after.lost) != 0 || len(pool.TaskManagers()) != 1 {
		t.Errorf("granted %d, lost %v, %d taskmanagers", after.granted, after.lost, len(pool.TaskManagers()))
	}
}

// Holders may call the pool from within Granted and Lost.
func TestHolderCallsThePool(t *testing.T) {
	pool := newPool()
	restarted := &job{id: "a", want: 2}
	a := &job{id: "a", want: 1, onLost: func() {
		pool.Release("a")
		pool.Request("a", restarted)
	}}
	b := &job{id: "b", want: 1, onGrant: func() { pool.Release("b") }}
	pool.Request("a", a)
	pool.Request("b", b)
	leave := pool.Register(taskManager("tm", 1))
	if a.granted != 1 || b.granted != 0 {
		t.Fatalf("granted %d and %d, want the first job only", a.granted, b.granted)
	}
	leave("gone")
	pool.Register(taskManager("tm", 2))
	if b.granted != 1 || restarted.granted != 1 || len(restarted.slots) != 2 {
		t.Errorf("granted %d and %d with %d slots, want both served in line", b.granted, restarted.granted, len(restarted.slots))
	}
}

// A job that asks for more slots keeps those that it has, and is served before those who wait for their first.
func TestExtend(t *testing.T) {
	pool := newPool()
	pool.Register(taskManager("steady", 1))
	lose := pool.Register(taskManager("tm", 1))
	first := &job{id: "a", want: 2}
	pool.Request("a", first)
	waits := &job{id: "b", want: 1}
	pool.Request("b", waits)
	lose("gone")
	more := &job{id: "a", want: 1}
	pool.Extend("a", more)
	if more.granted != 0 || waits.granted != 0 {
		t.Fatalf("granted %d and %d without a free slot", more.granted, waits.granted)
	}
	pool.Register(taskManager("new", 1))
	if more.granted != 1 || more.slots[0].TaskManager.ID != "new" || waits.granted != 0 || first.granted != 1 {
		t.Fatalf("granted %d more, %d to who waits; slots %v", more.granted, waits.granted, more.slots)
	}
	if slots, _ := pool.Reach("a"); slots != 2 {
		t.Errorf("the job has %d slots, want 2", slots)
	}
	again := &job{id: "a", want: 3}
	pool.Extend("a", &job{id: "a", want: 9})
	pool.Request("a", again) // all that it has and asks for is given back by this
	pool.Register(taskManager("newer", 1))
	if again.granted != 1 || len(again.slots) != 3 {
		t.Errorf("granted %d times, slots %v", again.granted, again.slots)
	}
}

// Calls from many goroutines: everybody is served in the end.
func TestPoolBesideItself(t *testing.T) {
	pool := newPool()
	var mu sync.Mutex
	served := 0
	pool.Register(taskManager("steady", 2))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for k := range 50 {
				pool.Register(taskManager(fmt.Sprint("tm", i), 1+k%3))("gone")
			}
		})
		all.Go(func() {
			for k := range 50 {
				id := fmt.Sprint("job", i, "-", k)
				done := make(chan struct{})
				j := &job{id: id, want: 1}
				j.onGrant = func() {
					mu.Lock()
					defer mu.Unlock()
					served++
					close(done)
				}
				pool.Request(id, j)
				select {
				case <-done:
				case <-time.After(10 * time.Second):
					t.Error("no slot in 10 s")
					return
				}
				pool.Release(id)
			}
		})
	}
	all.Wait()
	if served != 200 {
		t.Errorf("%d jobs were served, want 200", served)
	}
	if left := pool.TaskManagers(); len(left) != 1 || left[0].Free != 2 {
		t.Errorf("left behind: %+v", left)
	}
}
