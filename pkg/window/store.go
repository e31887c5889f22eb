package window

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"pencere/pkg/eventtime"
	"pencere/pkg/ledger"
	"pencere/pkg/rowkey"
	"pencere/pkg/sqltype"
)

// Config says what a Store groups by and computes.
type Config struct {
	Keys       sqltype.Schema // the group columns; none makes one group of each window
	Aggregates []AggregateSpec
	// Reduced makes SUM and AVG out of a sum that begins at zero and a COUNT. It shows in corners only: AVG then adds in the type of
	// its argument and not in BIGINT or DOUBLE, SUM of -0.0 alone is 0.0, and a DECIMAL sum that 38 digits do not hold is NULL for
	// good, where it otherwise begins again with the next value. Flink's planner decides which it is; plan.Compile follows it.
	Reduced bool
	Window  Tumbling
	Alloc   memory.Allocator // of the batches that Fire emits; nil is Go's own
}

// Columns that a Store's input and output have beside those of Config.
const (
	WindowColumn = "$window" // input: BIGINT, the start of the row's window in ms
	HashColumn   = "$hash"   // input: BIGINT, the bits of rowkey.Hash of the row's key
	StartColumn  = "window_start"
	EndColumn    = "window_end"
)

// Input returns the columns of the batches that Add takes: the keys, the argument of each aggregate that has one, WindowColumn,
// HashColumn. This is all that needs to travel to the subtask that owns a group.
func (c Config) Input() sqltype.Schema {
	input := slices.Clone(c.Keys)
	for _, a := range c.Aggregates {
		if a.Arg.Kind != sqltype.Invalid {
			input = append(input, sqltype.Column{Name: a.Name, Type: a.Arg})
		}
	}
	bigint := sqltype.BigIntType.WithNotNull(true)
	return append(input, sqltype.Column{Name: WindowColumn, Type: bigint}, sqltype.Column{Name: HashColumn, Type: bigint})
}

// Result returns the columns of the batches that Fire emits: the keys, the aggregates, StartColumn and EndColumn as TIMESTAMP(3)
// on the wall clock by which windows are cut. The error is *UnsupportedError.
func (c Config) Result() (sqltype.Schema, error) {
	result := slices.Clone(c.Keys)
	for _, a := range c.Aggregates {
		t, err := ResultType(a.Func, a.Arg)
		if err != nil {
			return nil, err
		}
		result = append(result, sqltype.Column{Name: a.Name, Type: t})
	}
	bound := sqltype.TimestampType(3).WithNotNull(true)
	return append(result, sqltype.Column{Name: StartColumn, Type: bound}, sqltype.Column{Name: EndColumn, Type: bound}), nil
}

// Store holds the open windows of one subtask, and those that have fired and may still take rows. A window's groups keep the order
// in which their first rows came.
//
// A fired window's memory is kept for the next one, unless it is far more than was used.
type Store struct {
	config    Config
	input     *arrow.Schema
	result    *arrow.Schema
	types     []sqltype.Type // of the aggregates
	codec     *rowkey.Codec
	keys      []int // the places of the keys in the input
	watermark eventtime.Watermark

	panes    []*pane // by start
	spare    *pane   // a fired one, to be reused
	counts   ledger.Ledger
	restored bool
	// ahead are ranges of key groups that are further than watermark, furthest the greatest of theirs. They are few, and gone
	// as soon as watermark has caught up.
	ahead          []ahead
	furthest       eventtime.Watermark
	maxParallelism int // of the state that was restored

	// Scratch of Add and Fire.
	encoded rowkey.Keys
	groups  []uint32
	homes   [64]uint64
	batch   [][]byte
}

// NewStore returns a store without windows. Errors say what is wrong with config; *UnsupportedError for an aggregate.
func NewStore(config Config) (*Store, error) {
	if config.Window.Size < 1 {
		return nil, fmt.Errorf("window size must be 1 ms or more, got %d", config.Window.Size)
	}
	result, err := config.Result()
	if err != nil {
		return nil, err
	}
	if config.Alloc == nil {
		config.Alloc = memory.DefaultAllocator
	}
	s := &Store{
		config:    config,
		input:     config.Input().Arrow(),
		result:    result.Arrow(),
		codec:     rowkey.New(config.Keys),
		watermark: eventtime.None,
		furthest:  eventtime.None,
	}
	for i := range config.Aggregates {
		s.types = append(s.types, result[len(config.Keys)+i].Type)
	}
	for i := range config.Keys {
		s.keys = append(s.keys, i)
	}
	return s, nil
}

// Added counts what became of rows.
type Added struct {
	New       int // rows that opened a group
	Collapsed int // rows that joined one
	Late      int // rows whose window had expired by the watermark of this subtask, not taken: their split was idle and came back
}

// Add takes a batch of rows of one split, by its number in the job, 0 or more, with the columns of Config.Input. The error says
// that the batch has others; nothing of it is taken then. The batch is not retained.
func (s *Store) Add(split int32, batch arrow.RecordBatch) (Added, error) {
	if err := s.check(batch); err != nil {
		return Added{}, err
	}
	s.codec.Encode(&s.encoded, batch, s.keys)
	columns := batch.Columns()
	starts := columns[len(columns)-2].(*array.Int64).Values()
	hashes := columns[len(columns)-1].(*array.Int64).Values()
	s.groups = slices.Grow(s.groups[:0], len(starts))[:len(starts)]

	var added Added
	for from := 0; from < len(starts); {
		to, expired := s.run(starts, hashes, from)
		if p := s.unless(expired, starts[from]); p == nil {
			added.Late += to - from
		} else {
			first := p.groups.count
			fresh := s.group(p, hashes, from, to)
			p.attribute(split, first)
			s.accumulate(p, columns[len(s.keys):], from, to)
			p.joined(first, s.groups[from:to], len(p.accumulators) > 0)
			added.New += fresh
			added.Collapsed += to - from - fresh
		}
		from = to
	}
	s.counts.Of(split).Add(ledger.Entry{Open: int64(added.New), Collapsed: int64(added.Collapsed), Late: int64(added.Late)})
	return added, nil
}

// run returns the end of the rows from from on that are of one window, and whether that had expired for all of their keys or for none
// where they come from.
func (s *Store) run(starts, hashes []int64, from int) (to int, expired bool) {
	to = from + 1
	if s.furthest == eventtime.None {
		for to < len(starts) && starts[to] == starts[from] {
			to++
		}
		return to, false
	}
	expiry := s.config.Window.expiry(starts[from])
	expired = s.expiredAhead(hashes[from], expiry)
	for to < len(starts) && starts[to] == starts[from] && s.expiredAhead(hashes[to], expiry) == expired {
		to++
	}
	return to, expired
}

// unless is open for rows for whose keys the window has expired or not.
func (s *Store) unless(expired bool, start int64) *pane {
	if expired {
		return nil
	}
	return s.open(start)
}

// Ledger returns what became of the rows of each split since the store was made: Emitted, Collapsed, Late (as Added has it), and
// Open, which has the groups that Restore took over too. A group counts for the split of its first row.
func (s *Store) Ledger() ledger.Ledger { return slices.Clone(s.counts) }

func (s *Store) check(batch arrow.RecordBatch) error {
	if int(batch.NumCols()) != s.input.NumFields() {
		return fmt.Errorf("keyed batch has %d columns, want %d", batch.NumCols(), s.input.NumFields())
	}
	for i, field := range s.input.Fields() {
		if got := batch.Column(i).DataType(); !arrow.TypeEqual(got, field.Type) {
			return fmt.Errorf("column %q of a keyed batch is %s, want %s", field.Name, got, field.Type)
		}
	}
	return nil
}

// open returns the window that begins at start, making it if need be, or nil when it has expired.
func (s *Store) open(start int64) *pane {
	if s.config.Window.Expired(start, s.watermark) {
		return nil
	}
	p, fresh := s.pane(start)
	if fresh {
		p.fired = s.watermark >= p.deadline
	}
	return p
}

// pane returns the window that begins at start, and whether it made it.
func (s *Store) pane(start int64) (p *pane, fresh bool) {
	i, found := slices.BinarySearchFunc(s.panes, start, func(p *pane, start int64) int {
		switch {
		case p.start < start:
			return -1
		case p.start > start:
			return 1
		default:
			return 0
		}
	})
	if found {
		return s.panes[i], false
	}
	p = s.takePane()
	p.start, p.deadline, p.expiry = start, s.config.Window.deadline(start), s.config.Window.expiry(start)
	s.panes = slices.Insert(s.panes, i, p)
	return p, true
}

func (s *Store) takePane() *pane {
	if p := s.spare; p != nil {
		s.spare = nil
		return p
	}
	accumulators := make([]accumulator, len(s.config.Aggregates))
	for i, spec := range s.config.Aggregates {
		accumulators[i] = newAccumulator(spec, s.types[i], s.config.Reduced)
	}
	return newPane(accumulators)
}

// group finds the groups of the rows from from to to and returns how many of them are new.
func (s *Store) group(p *pane, hashes []int64, from, to int) (fresh int) {
	for ; from < to; from += len(s.homes) {
		block := hashes[from:min(from+len(s.homes), to)]
		// With a million groups each look into the table misses the CPU's caches. Looks that do not wait for each other miss
		// together, which halves the cost of a row.
		for i, hash := range block {
			s.homes[i] = p.slots[p.home(uint64(hash))]
		}
		for i, hash := range block {
			number, added := p.find(uint64(hash), s.encoded.Key(from+i), s.homes[i])
			s.groups[from+i] = number
			if added {
				fresh++
			}
		}
	}
	return fresh
}

func (s *Store) accumulate(p *pane, columns []arrow.Array, from, to int) {
	next := 0
	for i, a := range p.accumulators {
		var arg arrow.Array
		if s.config.Aggregates[i].Arg.Kind != sqltype.Invalid {
			arg = columns[next]
			next++
		}
		a.add(arg, from, s.groups[from:to], p.groups.count)
	}
}

// The bounds of an emitted batch: rows, and bytes of text in it unless one row has more.
const (
	maxRows = 4096
	maxText = 16 << 20
)

// Fire emits the results of the windows that watermark w closes, the earliest window first, in batches of at most 4096 rows with the
// columns of Config.Result, and forgets those that it expires. emit owns the batch: it releases it. An error of emit ends Fire and
// is returned as it is; the store is then of no further use. A watermark that is not newer than the last does nothing.
func (s *Store) Fire(w eventtime.Watermark, emit func(arrow.RecordBatch) error) error {
	if w <= s.watermark {
		return nil
	}
	s.watermark = w
	s.caughtUp()
	kept := s.panes[:0]
	for _, p := range s.panes {
		if err := s.fire(p, emit); err != nil {
			return err
		}
		if w < p.expiry {
			kept = append(kept, p)
		} else {
			s.recycle(p)
		}
	}
	clear(s.panes[len(kept):])
	s.panes = kept
	return nil
}

// fire emits a window if the watermark closes it and it has not fired.
func (s *Store) fire(p *pane, emit func(arrow.RecordBatch) error) error {
	switch {
	case s.watermark < p.deadline:
		return nil
	case p.fired:
		return s.update(p, emit)
	}
	if err := s.emit(p, 0, p.groups.count, emit); err != nil {
		return err
	}
	p.eachRun(func(split int32, first, end int) {
		s.counts.Of(split).Add(ledger.Entry{Emitted: int64(end - first), Open: int64(first - end)})
	})
	p.fired = true
	return nil
}

// emit emits the groups from first up to end.
func (s *Store) emit(p *pane, first, end int, emit func(arrow.RecordBatch) error) error {
	for first < end {
		count := s.collect(p, first, end)
		if err := emit(s.results(p, first, count)); err != nil {
			return err
		}
		first += count
	}
	return nil
}

// collect gathers the keys of the next batch, which begins with group first and ends before end, and returns how many there are.
func (s *Store) collect(p *pane, first, end int) int {
	s.batch = s.batch[:0]
	text := 0
	for i := first; i < end && len(s.batch) < maxRows; i++ {
		key := p.keys.at(p.groups.at(uint32(i)).key)
		text += len(key)
		for _, a := range p.accumulators {
			text += a.textSize(uint32(i))
		}
		if text > maxText && len(s.batch) > 0 {
			break
		}
		s.batch = append(s.batch, key)
	}
	return len(s.batch)
}

func (s *Store) results(p *pane, first, count int) arrow.RecordBatch {
	alloc := s.config.Alloc
	columns := s.codec.Decode(s.batch, alloc)
	for _, a := range p.accumulators {
		columns = append(columns, a.result(first, count, alloc))
	}
	columns = append(columns, s.bound(p.start, count), s.bound(s.config.Window.End(p.start), count))
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	return array.NewRecordBatch(s.result, columns, int64(count))
}

// bound makes a TIMESTAMP column that is ms in all rows.
func (s *Store) bound(ms int64, count int) arrow.Array {
	b := array.NewDecimal128Builder(s.config.Alloc, sqltype.TimestampType(3).Arrow().(*arrow.Decimal128Type))
	defer b.Release()
	b.Reserve(count)
	for range count {
		b.UnsafeAppend(sqltype.TimestampValue(ms, 0))
	}
	return b.NewArray()
}

// recycle keeps a fired pane's memory, unless a snapshot still reads it: then it goes with the snapshot.
func (s *Store) recycle(p *pane) {
	if s.spare == nil && !p.sparse() && p.readers.Load() == 0 {
		p.reset()
		s.spare = p
	}
}

// OpenWindow describes a window that has not fired.
type OpenWindow struct {
	Start, End int64               // wall clock, in ms
	FiresAt    eventtime.Watermark // the least watermark that fires it
	Groups     int
	Bytes      int64 // memory, about
}

// OpenWindows returns the windows that have not fired, by start.
func (s *Store) OpenWindows() []OpenWindow {
	var windows []OpenWindow
	for _, p := range s.panes {
		if !p.fired {
			windows = append(windows, OpenWindow{
				Start: p.start, End: s.config.Window.End(p.start), FiresAt: p.deadline, Groups: p.groups.count, Bytes: p.memory(),
			})
		}
	}
	return windows
}

// Memory returns about how many bytes all windows take, those too that have fired.
func (s *Store) Memory() int64 {
	var bytes int64
	for _, p := range s.panes {
		bytes += p.memory()
	}
	return bytes
}
