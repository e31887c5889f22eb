package window

import (
	"cmp"
	"slices"

	"pencere/pkg/ledger"

	"github.com/apache/arrow-go/v18/arrow"
)

// lateRows is what rows have changed in a window since it fired, which it may within the allowed lateness.
type lateRows struct {
	fired   bool
	fresh   []uint32 // groups that were never emitted, each once
	changed []uint32 // groups that were, in any order and number
}

// joined notes the groups of rows that were added to the pane: those from number first on are new. The row of a group that has no
// aggregates does not change.
func (p *pane) joined(first int, groups []uint32, aggregates bool) {
	if !p.fired {
		return
	}
	for number := first; number < p.groups.count; number++ {
		p.fresh = append(p.fresh, uint32(number))
	}
	for _, number := range groups {
		if aggregates && int(number) < first {
			p.changed = append(p.changed, number)
		}
	}
}

func (p *pane) written() { p.fresh, p.changed = p.fresh[:0], p.changed[:0] }

// splitOf returns the split of a group's first row.
func (p *pane) splitOf(number uint32) int32 {
	i, found := slices.BinarySearchFunc(p.runs, number, func(r splitRun, number uint32) int { return cmp.Compare(r.first, number) })
	if !found {
		i--
	}
	return p.runs[i].split
}

// Update emits anew what rows have changed in windows that have fired: the rows of new groups, and with aggregates of all groups that
// a row has joined. It is to be called after Add, before a snapshot; emit is as for Fire.
func (s *Store) Update(emit func(arrow.RecordBatch) error) error {
	for _, p := range s.panes {
		if err := s.update(p, emit); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) update(p *pane, emit func(arrow.RecordBatch) error) error {
	if len(p.fresh)+len(p.changed) == 0 {
		return nil
	}
	numbers := slices.Concat(p.fresh, p.changed)
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	for first := 0; first < len(numbers); {
		end := first + 1
		for end < len(numbers) && numbers[end] == numbers[end-1]+1 {
			end++
		}
		if err := s.emit(p, int(numbers[first]), int(numbers[end-1])+1, emit); err != nil {
			return err
		}
		first = end
	}
	for _, number := range p.fresh {
		s.counts.Of(p.splitOf(number)).Add(ledger.Entry{Emitted: 1, Open: -1})
	}
	p.written()
	return nil
}
