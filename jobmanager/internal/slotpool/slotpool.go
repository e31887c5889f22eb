// Package slotpool knows the registered taskmanagers and who holds their slots.
//
// Jobs wait in line for slots, first come first served, so that a wide job is not starved by narrow ones. A taskmanager that
// goes away takes its slots with it at once; those who held them are told. One that is about to go keeps those that are held, and is
// dismissed when none is.
package slotpool

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"pencere/jobmanager/internal/scheduler"
	"pencere/jobmanager/internal/view"
	controlv1 "pencere/pkg/gen/pencere/control/v1"
)

// TaskManager is what a taskmanager says of itself when it registers, and the way to it.
type TaskManager struct {
	ID            string
	DataAddress   string // host:port of its exchange
	Slots         int
	CPUCores      int
	PhysicalBytes int64
	LimitBytes    int64
	Leaving       bool // about to go
	ReadsPeers    bool // see controlv1.Register
	// Send queues a message to it. It does not block; after the taskmanager went away it does nothing.
	Send func(*controlv1.ConnectResponse)
}

// Holder is a job's request for slots. Calls to holders come one at a time, in the order of what happened to the pool.
type Holder interface {
	// Parallelism says how many slots the job takes when so many are free; 0 lets it wait. It is asked while the pool is
	// locked: it must not call the pool.
	Parallelism(free int) int
	// Granted hands the slots over. They are the holder's until Release, or until their taskmanager is lost. Granted and
	// Lost must not block, but may call the pool. One that has begun beside a Release can still end after it.
	Granted(slots []Slot)
	// Lost says that a taskmanager with slots of the holder went away.
	Lost(taskManagerID, reason string)
}

// Slot is a granted slot.
type Slot struct {
	Index       int
	TaskManager TaskManager
}

// Pool is the pool of slots. It is safe for concurrent use.
type Pool struct {
	now func() time.Time

	mu      sync.Mutex
	members map[string]*member
	waiting []request
	tally   *tally // nil until somebody asks after a change
	due     []call
	changed func() // see OnChange
	telling bool   // somebody makes the calls that are due
}

type member struct {
	TaskManager
	holders   []held // by slot index
	dismissed bool
	heartbeat time.Time
	heap      int64
	resident  int64
}

type held struct {
	jobID  string
	holder Holder
}

type request struct {
	jobID  string
	holder Holder
}

// call is a call to a holder that is to be made.
type call struct {
	jobID string
	make  func()
}

// New returns an empty pool that takes the time of heartbeats from now.
func New(now func() time.Time) *Pool {
	return &Pool{now: now, members: make(map[string]*member)}
}

// Held is a slot that a job holds already when its taskmanager registers: the job was deployed there under an earlier leader.
type Held struct {
	Slot   int
	JobID  string
	Holder Holder
}

// Register adds a taskmanager, some of whose slots may be held. One that was registered under the same id is lost: it has started
// anew. unregister takes back this registration, and no later one under the same id; the holders of its slots are told.
func (p *Pool) Register(tm TaskManager, slots ...Held) (unregister func(reason string)) {
	m := &member{TaskManager: tm, holders: make([]held, tm.Slots), heartbeat: p.now()}
	for _, h := range slots {
		if h.Slot >= 0 && h.Slot < len(m.holders) {
			m.holders[h.Slot] = held{h.JobID, h.Holder}
		}
	}
	p.change(func() {
		if before := p.members[tm.ID]; before != nil {
			p.removeLocked(before, "it registered anew")
		}
		p.members[tm.ID] = m
	})
	return func(reason string) {
		p.change(func() {
			if p.members[tm.ID] == m {
				p.removeLocked(m, reason)
			}
		})
	}
}

func (p *Pool) removeLocked(m *member, reason string) {
	delete(p.members, m.ID)
	told := make(map[string]bool)
	for _, h := range m.holders {
		if h.holder != nil && !told[h.jobID] {
			told[h.jobID] = true
			p.due = append(p.due, call{h.jobID, func() { h.holder.Lost(m.ID, reason) }})
		}
	}
}

// Leave says that a taskmanager is about to go.
func (p *Pool) Leave(id string) {
	p.change(func() {
		if m := p.members[id]; m != nil {
			m.Leaving = true
		}
	})
}

// Heartbeat notes that a taskmanager is alive and what memory it uses, in bytes.
func (p *Pool) Heartbeat(id string, heap, resident int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.members[id]; m != nil {
		m.heartbeat, m.heap, m.resident = p.now(), heap, resident
	}
}

// OnChange has fn called after taskmanagers or free slots have come or gone, as holders are called.
func (p *Pool) OnChange(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = fn
}

// Reconsider asks the first in line again whether it takes the free slots: what it wants may have changed.
func (p *Pool) Reconsider() { p.change(func() {}) }

// Request puts a job in line for slots. What it holds it gives back by that, and is then the first in line: a job that only
// changes its slots does not lose them to those who come later.
func (p *Pool) Request(jobID string, holder Holder) {
	p.change(func() {
		p.withdrawLocked(jobID)
		at := len(p.waiting)
		if p.releaseLocked(jobID) {
			at = 0
		}
		p.waiting = slices.Insert(p.waiting, at, request{jobID, holder})
	})
}

// Extend asks for more slots for a job that keeps those that it holds, before all who wait: nobody is served by the loss of another's.
func (p *Pool) Extend(jobID string, holder Holder) {
	p.change(func() { p.waiting = slices.Insert(p.waiting, 0, request{jobID, holder}) })
}

// Reach returns how many slots a job could have: its own, and the free ones if no other job waits for slots. leaving says that it has
// others, of a taskmanager that is about to go.
func (p *Pool) Reach(jobID string) (slots int, leaving bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tally == nil {
		p.tally = p.countLocked()
	}
	slots = p.tally.own[jobID]
	if len(p.waiting) == 0 {
		slots += p.tally.free
	}
	return slots, p.tally.leaving[jobID]
}

// tally is how many slots there are. After each change all jobs ask.
type tally struct {
	free    int
	own     map[string]int  // by job, without those of taskmanagers that are about to go
	leaving map[string]bool // jobs that have such
}

func (p *Pool) countLocked() *tally {
	t := &tally{own: make(map[string]int), leaving: make(map[string]bool)}
	for _, m := range p.members {
		for _, h := range m.holders {
			switch {
			case h.holder != nil && m.Leaving:
				t.leaving[h.jobID] = true
			case h.holder != nil:
				t.own[h.jobID]++
			case !m.Leaving:
				t.free++
			}
		}
	}
	return t
}

// Release gives all slots of a job back, and its place in line.
func (p *Pool) Release(jobID string) {
	p.change(func() {
		p.withdrawLocked(jobID)
		p.releaseLocked(jobID)
	})
}

// Withdraw gives a job's place in line back. Its slots stay held.
func (p *Pool) Withdraw(jobID string) { p.change(func() { p.withdrawLocked(jobID) }) }

func (p *Pool) withdrawLocked(jobID string) {
	p.waiting = slices.DeleteFunc(p.waiting, func(r request) bool { return r.jobID == jobID })
	p.due = slices.DeleteFunc(p.due, func(c call) bool { return c.jobID == jobID })
}

// releaseLocked frees the slots of a job and reports whether it had any.
func (p *Pool) releaseLocked(jobID string) (had bool) {
	for _, m := range p.members {
		for i := range m.holders {
			if m.holders[i].holder != nil && m.holders[i].jobID == jobID {
				m.holders[i] = held{}
				had = true
			}
		}
	}
	return had
}

// change makes a change, serves the line as far as the free slots go, and tells holders what came of it.
func (p *Pool) change(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
	for p.grantLocked() {
		continue
	}
	p.tally = nil
	p.dismissLocked()
	if p.changed != nil && !slices.ContainsFunc(p.due, func(c call) bool { return c.jobID == "" }) {
		p.due = append(p.due, call{make: p.changed})
	}
	p.tellLocked()
}

// dismissLocked lets the taskmanagers go that are about to and have no slot held.
func (p *Pool) dismissLocked() {
	for _, m := range p.members {
		if m.Leaving && !m.dismissed && !slices.ContainsFunc(m.holders, func(h held) bool { return h.holder != nil }) {
			m.dismissed = true
			m.Send(&controlv1.ConnectResponse{Message: &controlv1.ConnectResponse_Dismissed{Dismissed: &controlv1.Dismissed{}}})
		}
	}
}

// grantLocked takes the first request out of the line if there are slots for it, and marks them as its own.
func (p *Pool) grantLocked() bool {
	if len(p.waiting) == 0 {
		return false
	}
	r := p.waiting[0]
	free, count := p.freeLocked()
	want := r.holder.Parallelism(count)
	if want <= 0 {
		return false
	}
	picked := scheduler.Slots(free, want)
	if picked == nil {
		return false
	}
	p.waiting = p.waiting[1:]
	slots := make([]Slot, len(picked))
	for i, s := range picked {
		m := p.members[s.TaskManagerID]
		m.holders[s.Index] = held(r)
		slots[i] = Slot{Index: s.Index, TaskManager: m.TaskManager}
	}
	p.due = append(p.due, call{r.jobID, func() { r.holder.Granted(slots) }})
	return true
}

// tellLocked makes the calls that are due, each without the lock, so that a holder may call the pool. Whoever comes
// meanwhile, perhaps from within such a call, leaves theirs to it.
func (p *Pool) tellLocked() {
	if p.telling {
		return
	}
	p.telling = true
	for len(p.due) > 0 {
		next := p.due[0]
		p.due = p.due[1:]
		p.mu.Unlock()
		next.make()
		p.mu.Lock()
	}
	p.telling = false
}

// freeLocked lists the free slots by taskmanager.
func (p *Pool) freeLocked() (all []scheduler.TaskManager, count int) {
	for id, m := range p.members {
		if m.Leaving {
			continue
		}
		tm := scheduler.TaskManager{ID: id}
		for i, h := range m.holders {
			if h.holder == nil {
				tm.Free = append(tm.Free, i)
			}
		}
		count += len(tm.Free)
		all = append(all, tm)
	}
	return all, count
}

// TaskManagers returns the registered taskmanagers by id.
func (p *Pool) TaskManagers() []view.TaskManager {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]view.TaskManager, 0, len(p.members))
	for _, m := range p.members {
		tm := view.TaskManager{
			ID: m.ID, DataAddress: m.DataAddress, Slots: m.Slots, CPUCores: m.CPUCores,
			PhysicalBytes: m.PhysicalBytes, LimitBytes: m.LimitBytes, HeapBytes: m.heap, ResidentBytes: m.resident,
			LastHeartbeat: m.heartbeat.UnixMilli(),
		}
		for _, h := range m.holders {
			if h.holder != nil {
				tm.Allocated = append(tm.Allocated, h.jobID)
			}
		}
		if !m.Leaving {
			tm.Free = tm.Slots - len(tm.Allocated)
		}
		all = append(all, tm)
	}
	slices.SortFunc(all, func(a, b view.TaskManager) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
