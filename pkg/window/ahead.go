package window

import (
	"encoding/binary"
	"slices"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/rowkey"
)

// ahead is a range of key groups that came from a subtask whose watermark was further than the store's is now. Subtasks differ where
// inputs fell silent and came back, each subtask hearing of it at another time. What has fired there stays fired.
type ahead struct {
	keyGroups checkpoint.KeyGroups
	watermark eventtime.Watermark
}

// restoreAhead takes over how far event time was in a range of key groups, and in parts of it. Further ranges may come, whose
// watermark may be less than all before.
func (s *Store) restoreAhead(keyGroups checkpoint.KeyGroups, w eventtime.Watermark, further []ahead) {
	s.ahead = append(s.ahead, ahead{keyGroups, w})
	for _, a := range further {
		own := checkpoint.KeyGroups{First: max(a.keyGroups.First, keyGroups.First), Last: min(a.keyGroups.Last, keyGroups.Last)}
		if own.First <= own.Last {
			s.ahead = append(s.ahead, ahead{own, a.watermark})
		}
	}
	s.furthest = eventtime.None
	for _, a := range s.aheadOf(s.watermark) {
		s.furthest = max(s.furthest, a.watermark)
	}
}

// aheadOf returns the ranges that are further than a watermark.
func (s *Store) aheadOf(w eventtime.Watermark) (further []ahead) {
	for _, a := range s.ahead {
		if a.watermark > w {
			further = append(further, a)
		}
	}
	return further
}

// caughtUp forgets the ranges that the store's watermark has reached.
func (s *Store) caughtUp() {
	if s.ahead = s.aheadOf(s.watermark); s.ahead == nil {
		s.furthest = eventtime.None
	}
}

// expiredAhead reports whether the window that a watermark of expiry expires had done so for the key group of a hash.
func (s *Store) expiredAhead(hash int64, expiry eventtime.Watermark) bool {
	if s.furthest < expiry {
		return false
	}
	keyGroup := rowkey.KeyGroup(uint64(hash), s.maxParallelism)
	return slices.ContainsFunc(s.ahead, func(a ahead) bool { return a.watermark >= expiry && a.holds(keyGroup) })
}

func (a ahead) holds(keyGroup int) bool {
	return a.keyGroups.First <= keyGroup && keyGroup <= a.keyGroups.Last
}

// reached is how far event time was in a key group, at least w.
func reached(keyGroup int, w eventtime.Watermark, further []ahead) eventtime.Watermark {
	for _, a := range further {
		if a.holds(keyGroup) {
			w = max(w, a.watermark)
		}
	}
	return w
}

func appendAhead(dst []byte, all []ahead) []byte {
	if len(all) == 0 {
		return dst // as state was before it had ranges
	}
	dst = binary.AppendUvarint(dst, uint64(len(all)))
	for _, a := range all {
		dst = binary.AppendUvarint(dst, uint64(a.keyGroups.First))
		dst = binary.AppendUvarint(dst, uint64(a.keyGroups.Last))
		dst = binary.AppendVarint(dst, int64(a.watermark))
	}
	return dst
}

func readAhead(d *checkpoint.Decoder, maxParallelism int) []ahead {
	if d.Len() == 0 {
		return nil
	}
	all := make([]ahead, d.Count(3))
	for i := range all {
		first, last := d.Int(maxParallelism-1), d.Int(maxParallelism-1)
		all[i] = ahead{checkpoint.KeyGroups{First: first, Last: last}, eventtime.Watermark(d.Varint())}
	}
	return all
}
