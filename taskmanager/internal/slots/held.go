package slots

import (
	"slices"

	controlv1 "pencere/pkg/gen/pencere/control/v1"

	"google.golang.org/protobuf/proto"
)

// pastKept is how many subtasks that have ended stay known, for a jobmanager that was not there when they did.
const pastKept = 200

// note keeps what is reported of a subtask that was deployed here.
func (t *Table) note(u *controlv1.SubtaskUpdate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := keyOf(u.GetSubtask())
	before := t.held[k]
	if before == nil || hasEnded(before.GetUpdate()) {
		return
	}
	now := proto.CloneOf(before)
	now.Update = u
	t.held[k] = now
	if !hasEnded(u) {
		return
	}
	t.past = append(t.past, k)
	if len(t.past) > pastKept {
		delete(t.held, t.past[0])
		t.past = t.past[1:]
	}
}

func hasEnded(u *controlv1.SubtaskUpdate) bool {
	return u.GetState() >= controlv1.SubtaskState_SUBTASK_STATE_FINISHED
}

// send passes on what a subtask says, and keeps its last state.
func (t *Table) send(m *controlv1.ConnectRequest) {
	if ended := m.GetSubtaskEnded(); ended != nil {
		t.mu.Lock()
		k := keyOf(ended.GetSubtask())
		if before := t.held[k]; before != nil {
			now := proto.CloneOf(before)
			now.Ended = ended
			t.held[k] = now
		}
		t.mu.Unlock()
	}
	t.cfg.Send(m)
}

// Held returns the subtasks that run, and those that have ended not long ago, with what was last reported of each.
func (t *Table) Held() []*controlv1.HeldSubtask {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*controlv1.HeldSubtask
	for _, h := range t.held {
		if h.GetUpdate() != nil {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b *controlv1.HeldSubtask) int {
		return compareRefs(a.GetUpdate().GetSubtask(), b.GetUpdate().GetSubtask())
	})
	return all
}
