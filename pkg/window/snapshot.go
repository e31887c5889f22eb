package window

import (
	"encoding/binary"
	"io"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/rowkey"
)

// Snapshot is a store's windows and its watermark at one moment. It is for one goroutine, which need not be the store's:
// the store goes on meanwhile.
//
// Groups and keys are only ever appended, so a snapshot shares what there is of them with its store; only values of aggregates
// are copied.
type Snapshot struct {
	config    Config
	watermark eventtime.Watermark
	ahead     []ahead
	panes     []*pane // without slots
	shared    []*pane // the store's, whose memory panes read
}

// Snapshot returns the state as it is now. It must be released.
func (s *Store) Snapshot() *Snapshot {
	snapshot := &Snapshot{config: s.config, watermark: s.watermark, ahead: s.aheadOf(s.watermark)}
	for _, p := range s.panes {
		frozen := &pane{start: p.start, groups: p.groups.share(), keys: p.keys.share(), runs: p.runs}
		for _, a := range p.accumulators {
			frozen.accumulators = append(frozen.accumulators, a.copy())
		}
		p.readers.Add(1)
		snapshot.panes = append(snapshot.panes, frozen)
		snapshot.shared = append(snapshot.shared, p)
	}
	return snapshot
}

// Release lets the store use the memory again that the snapshot read. The snapshot is of no further use. A second call does nothing.
func (s *Snapshot) Release() {
	for _, p := range s.shared {
		p.readers.Add(-1)
	}
	s.panes, s.shared = nil, nil
}

// Encode writes the state by key group, of which there are maxParallelism, as keyed state of package checkpoint. Errors are w's.
//
// The head is the watermark, maxParallelism, what Restore checks of the configuration, and the ranges of key groups
// that are further than the watermark, if there are any. A key group holds windows to its end,
// each as its start, the number of its groups, their splits and keys, and then the values of each aggregate.
func (s *Snapshot) Encode(w io.Writer, maxParallelism int) error {
	head := binary.AppendVarint(nil, int64(s.watermark))
	head = binary.AppendUvarint(head, uint64(maxParallelism))
	k := checkpoint.NewKeyedWriter(w, appendAhead(appendLayout(head, layoutOf(s.config).withLateness(s.config)), s.ahead))
	sorted := make([]sortedGroups, len(s.panes))
	for i, p := range s.panes {
		sorted[i] = sortByKeyGroup(p, maxParallelism)
	}
	var payload []byte
	for keyGroup := range maxParallelism {
		payload = payload[:0]
		for i, p := range s.panes {
			if members := sorted[i].of(keyGroup); len(members) > 0 {
				payload = p.appendGroups(payload, members)
			}
		}
		if len(payload) == 0 {
			continue
		}
		if err := k.KeyGroup(keyGroup, payload); err != nil {
			return err
		}
	}
	return k.Close()
}

// member is a group of a pane, and the split of its first row.
type member struct {
	number uint32
	split  int32
}

// sortedGroups are the groups of a pane by key group, in each by number.
type sortedGroups struct {
	members []member
	ends    []uint32 // where each key group ends
}

func (s sortedGroups) of(keyGroup int) []member {
	from := uint32(0)
	if keyGroup > 0 {
		from = s.ends[keyGroup-1]
	}
	return s.members[from:s.ends[keyGroup]]
}

// sortByKeyGroup is a counting sort.
func sortByKeyGroup(p *pane, maxParallelism int) sortedGroups {
	ends := make([]uint32, maxParallelism+1)
	for i := range p.groups.count {
		ends[rowkey.KeyGroup(p.groups.at(uint32(i)).hash, maxParallelism)+1]++
	}
	for i := range maxParallelism {
		ends[i+1] += ends[i]
	}
	// ends[k] is where key group k begins, and is moved to where it ends.
	members := make([]member, p.groups.count)
	p.eachRun(func(split int32, first, end int) {
		for i := first; i < end; i++ {
			next := &ends[rowkey.KeyGroup(p.groups.at(uint32(i)).hash, maxParallelism)]
			members[*next] = member{number: uint32(i), split: split}
			*next++
		}
	})
	return sortedGroups{members: members, ends: ends[:maxParallelism]}
}

func (p *pane) appendGroups(dst []byte, members []member) []byte {
	dst = binary.AppendVarint(dst, p.start)
	dst = binary.AppendUvarint(dst, uint64(len(members)))
	for _, m := range members {
		dst = binary.AppendUvarint(dst, uint64(uint32(m.split)))
		dst = checkpoint.AppendText(dst, p.keys.at(p.groups.at(m.number).key))
	}
	for _, a := range p.accumulators {
		for _, m := range members {
			dst = a.appendState(dst, m.number)
		}
	}
	return dst
}
