package window

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"pencere/pkg/checkpoint"
	"pencere/pkg/eventtime"
	"pencere/pkg/rowkey"
	"pencere/pkg/sqltype"
)

// Restore takes over the groups of a range of key groups from what Snapshot.Encode wrote: size bytes of r. It is called on a new
// store, once for each old subtask that had some of these key groups, with just those that it had. The store's watermark is the least
// of theirs, so that nothing is late that any of them still waited for; a window that fired in one of them stays fired for its key groups.
//
// Errors are *MismatchError when the state was made by a job that groups otherwise, *checkpoint.CorruptError, and those of r. The
// store is of no further use then.
func (s *Store) Restore(r io.ReaderAt, size int64, keyGroups checkpoint.KeyGroups) error {
	reader, err := checkpoint.NewKeyedReader(r, size)
	if err != nil {
		return err
	}
	d := checkpoint.NewDecoder("head of a window's state", reader.Head())
	watermark, maxParallelism := eventtime.Watermark(d.Varint()), d.Int(math.MaxInt32)
	written := readLayout(d)
	old := restored{watermark: watermark, lateness: written.takeLateness(d)}
	if maxParallelism == 0 {
		d.Fail("no key groups")
	}
	further := readAhead(d, maxParallelism)
	if err := d.Finish(); err != nil {
		return err
	}
	if err := compareLayouts(written, layoutOf(s.config)); err != nil {
		return err
	}
	if !s.restored || watermark < s.watermark {
		s.restored, s.watermark = true, watermark
	}
	s.maxParallelism = maxParallelism
	s.restoreAhead(keyGroups, watermark, further)
	return reader.Each(keyGroups, func(keyGroup int, payload []byte) error {
		d := checkpoint.NewDecoder("window's state", payload)
		old.watermark = reached(keyGroup, watermark, further)
		old.belongs = func(hash uint64) bool { return rowkey.KeyGroup(hash, maxParallelism) == keyGroup }
		for d.Len() > 0 {
			s.restoreGroups(d, old)
		}
		return d.Finish()
	})
}

// restored is what groups are read from.
type restored struct {
	watermark eventtime.Watermark
	lateness  int64                  // of the job that wrote them
	belongs   func(hash uint64) bool // to the key group
}

// restoreGroups reads the groups of one window. Those of a window that the job would have forgotten, as it allows less lateness than
// the one before, are left out.
func (s *Store) restoreGroups(d *checkpoint.Decoder, from restored) {
	start := d.Varint()
	groups := d.Count(2)
	was := s.config.Window
	was.Lateness = from.lateness
	if was.Expired(start, from.watermark) {
		d.Fail("the window that begins at %d has fired", start)
		return
	}
	if s.config.Window.Expired(start, from.watermark) {
		s.readGroups(d, s.takePane(), groups, from.belongs, func(uint32, int32) {})
		return
	}
	p, _ := s.pane(start)
	fired := from.watermark >= p.deadline
	if fired && !p.fired { // another subtask's watermark was behind: its groups were not emitted
		p.fired = true
		p.joined(0, nil, false)
	}
	s.readGroups(d, p, groups, from.belongs, func(number uint32, split int32) {
		if fired {
			return
		}
		s.counts.Of(split).Open++
		if p.fired {
			p.fresh = append(p.fresh, number)
		}
	})
}

// readGroups reads groups of a window and tells each.
func (s *Store) readGroups(d *checkpoint.Decoder, p *pane, groups int, belongs func(uint64) bool, read func(number uint32, split int32)) {
	for range groups {
		split, key := int32(d.Int(math.MaxInt32)), d.Bytes()
		hash := rowkey.Hash(key)
		if d.Err() != nil {
			return
		}
		if !belongs(hash) {
			d.Fail("a group is of another key group")
			return
		}
		number, added := p.find(hash, key, p.slots[p.home(hash)])
		if !added {
			d.Fail("a group is there twice")
			return
		}
		p.attribute(split, int(number))
		read(number, split)
	}
	for _, a := range p.accumulators {
		for range groups {
			a.readState(d)
		}
	}
}

// layout is what state and job must have in common, as texts.
type layout struct {
	keys       []string // as "price BIGINT"
	aggregates []string // as "SUM BIGINT"
	window     []string // size, offset and zone; then the lateness unless it is 0, which may change
}

func layoutOf(c Config) (l layout) {
	for _, k := range c.Keys {
		l.keys = append(l.keys, k.Name+" "+k.Type.Nullable().String())
	}
	for _, a := range c.Aggregates {
		arg := "*"
		if a.Arg.Kind != sqltype.Invalid {
			arg = a.Arg.Nullable().String()
		}
		l.aggregates = append(l.aggregates, a.Func+" "+arg)
	}
	zone := "without a zone"
	if c.Window.Zone != nil {
		zone = c.Window.Zone.String()
	}
	l.window = []string{strconv.FormatInt(c.Window.Size, 10) + " ms", strconv.FormatInt(c.Window.Offset, 10) + " ms", zone}
	return l
}

const comparedOfWindow = 3

// withLateness adds the lateness to the layout of c.
func (l layout) withLateness(c Config) layout {
	if c.Window.Lateness > 0 {
		l.window = append(l.window, strconv.FormatInt(c.Window.Lateness, 10)+" ms")
	}
	return l
}

// takeLateness cuts the lateness off.
func (l *layout) takeLateness(d *checkpoint.Decoder) int64 {
	if len(l.window) <= comparedOfWindow {
		return 0
	}
	text, _ := strings.CutSuffix(l.window[comparedOfWindow], " ms")
	lateness, err := strconv.ParseInt(text, 10, 64)
	if err != nil || lateness < 0 {
		d.Fail("lateness %q", l.window[comparedOfWindow])
	}
	l.window = slices.Delete(l.window, comparedOfWindow, comparedOfWindow+1)
	return lateness
}

func appendLayout(dst []byte, l layout) []byte {
	for _, part := range [][]string{l.keys, l.aggregates, l.window} {
		dst = binary.AppendUvarint(dst, uint64(len(part)))
		for _, text := range part {
			dst = checkpoint.AppendText(dst, text)
		}
	}
	return dst
}

func readLayout(d *checkpoint.Decoder) (l layout) {
	for _, part := range []*[]string{&l.keys, &l.aggregates, &l.window} {
		*part = make([]string, d.Count(1))
		for i := range *part {
			(*part)[i] = d.Text()
		}
	}
	return l
}

// MismatchError says that state does not fit the job that is to go on from it.
type MismatchError struct {
	What    string // as "group column 2"
	Was, Is string // in the state and in the job; "" for none
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("state does not fit the job: %s was %s and is %s", e.What, orNone(e.Was), orNone(e.Is))
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func compareLayouts(was, is layout) error {
	if err := compareParts(numbered("group column"), was.keys, is.keys); err != nil {
		return err
	}
	if err := compareParts(numbered("aggregate"), was.aggregates, is.aggregates); err != nil {
		return err
	}
	names := []string{"window size", "window offset", "window time zone"}
	return compareParts(func(i int) string { return names[min(i, len(names)-1)] }, was.window, is.window)
}

func numbered(what string) func(int) string {
	return func(i int) string { return fmt.Sprintf("%s %d", what, i+1) }
}

func compareParts(name func(i int) string, was, is []string) error {
	at := func(part []string, i int) string {
		if i < len(part) {
			return part[i]
		}
		return ""
	}
	for i := range max(len(was), len(is)) {
		if a, b := at(was, i), at(is, i); a != b {
			return &MismatchError{What: name(i), Was: a, Is: b}
		}
	}
	return nil
}
