// Package slotpool knows the registered taskmanagers and who holds their slots.
//
// Jobs wait in line for slots, first come first served, so that a wide job is not starved by narrow ones. A taskmanager that
// goes away takes its slots with it at once; those who held them are told.
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
	// Send queues a message to it. It does not block; after the taskmanager went away it does nothing.
	Send func(*controlv1.ConnectResponse)
}

// Holder is a job that wants slots. Its methods are called without any lock of the pool held, one at a time for one
// request; they must not block.
type Holder interface {
	// Parallelism says how many slots the job takes when so many are free; 0 lets it wait.
	Parallelism(free int) int
	// Granted hands the slots over. They are the holder's until it calls Release or their taskmanager is lost.
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
	notify  sync.Mutex // serializes calls to holders; never taken while mu is held
}

type member struct {
	TaskManager
	holders   []held // by slot index
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

// New returns an empty pool that takes the time of heartbeats from now.
func New(now func() time.Time) *Pool {
	return &Pool{now: now, members: make(map[string]*member)}
}

// Register adds a taskmanager. One that was registered under the same id is lost first: it has started anew.
func (p *Pool) Register(tm TaskManager) {
	p.Unregister(tm.ID, "it registered anew")
	p.mu.Lock()
	p.members[tm.ID] = &member{TaskManager: tm, holders: make([]held, tm.Slots), heartbeat: p.now()}
	p.mu.Unlock()
	p.grant()
}

// Unregister removes a taskmanager and tells the holders of its slots.
func (p *Pool) Unregister(id, reason string) {
	p.mu.Lock()
	m := p.members[id]
	delete(p.members, id)
	p.mu.Unlock()
	if m == nil {
		return
	}
	told := make(map[string]bool)
	p.notify.Lock()
	defer p.notify.Unlock()
	for _, h := range m.holders {
		if h.holder != nil && !told[h.jobID] {
			told[h.jobID] = true
			h.holder.Lost(id, reason)
		}
	}
}

// Heartbeat notes that a taskmanager is alive and what memory it uses, in bytes.
func (p *Pool) Heartbeat(id string, heap, resident int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.members[id]; m != nil {
		m.heartbeat, m.heap, m.resident = p.now(), heap, resident
	}
}

// Request puts a job in line for slots. It has no request and no slots yet.
func (p *Pool) Request(jobID string, holder Holder) {
	p.mu.Lock()
	p.waiting = append(p.waiting, request{jobID, holder})
	p.mu.Unlock()
	p.grant()
}

// Release gives all slots of a job back, and its place in line.
func (p *Pool) Release(jobID string) {
	p.mu.Lock()
	p.waiting = slices.DeleteFunc(p.waiting, func(r request) bool { return r.jobID == jobID })
	for _, m := range p.members {
		for i := range m.holders {
			if m.holders[i].jobID == jobID {
				m.holders[i] = held{}
			}
		}
	}
	p.mu.Unlock()
	p.grant()
}

// grant serves the line as far as the free slots go.
func (p *Pool) grant() {
	p.notify.Lock()
	defer p.notify.Unlock()
	for {
		r, slots := p.next()
		if r.holder == nil {
			return
		}
		r.holder.Granted(slots)
	}
}

// next takes the first request out of the line if there are slots for it, and marks them as its own.
func (p *Pool) next() (request, []Slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		return request{}, nil
	}
	r := p.waiting[0]
	free, count := p.free()
	want := r.holder.Parallelism(count)
	if want <= 0 {
		return request{}, nil
	}
	picked := scheduler.Slots(free, want)
	if picked == nil {
		return request{}, nil
	}
	p.waiting = p.waiting[1:]
	slots := make([]Slot, len(picked))
	for i, s := range picked {
		m := p.members[s.TaskManagerID]
		m.holders[s.Index] = held{r.jobID, r.holder}
		slots[i] = Slot{Index: s.Index, TaskManager: m.TaskManager}
	}
	return r, slots
}

func (p *Pool) free() (all []scheduler.TaskManager, count int) {
	for id, m := range p.members {
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
		tm.Free = tm.Slots - len(tm.Allocated)
		all = append(all, tm)
	}
	slices.SortFunc(all, func(a, b view.TaskManager) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
