package http

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"pencere/pkg/polling"
)

// Split is a URL, and how far it was read.
type Split struct {
	Name      string // of plan.HTTPSplit
	Partition int32
	Next      int64  // the number of the next item
	Position  []byte // what Reader.Position returned; empty for a URL that was never read
	Done      bool   // a bounded source has read it to its end
}

// Fetch is a run of items of one split.
type Fetch struct {
	// Split is the split's index: the first of NewReader is 0, and so on through the splits of each Add.
	Split int
	// First is the number of the first of Items, which are numbered without a gap. Nobody writes to their bytes.
	First int64
	Items [][]byte
	Next  int64     // the number of the item that comes next
	Time  time.Time // when the answer came that has the items
	// Done says that the split is read to its end. It is said once for each split of a bounded source.
	Done bool
}

// Reader polls the splits of one source subtask. Poll and Position are for one goroutine; the rest is safe for any.
//
// Of each split one answer is in memory, and one more is on its way only when that was handed out wholly.
type Reader struct {
	cfg      Config
	client   *http.Client
	ctx      context.Context //nolint:containedctx // the lifetime of the requests
	cancel   context.CancelFunc
	requests sync.WaitGroup
	arrivals chan arrival
	added    chan struct{} // holds a token when there are new splits

	mu     sync.Mutex
	splits []*progress
	err    error // what ended reading
}

type arrival struct {
	split  *progress
	answer *page
	err    error
}

// progress is how far a split was read. Reader.mu guards what Status shows: next, done and trouble.
type progress struct {
	Split
	at       int
	target   *url.URL
	limiter  *rate.Limiter // nil: as fast as can be
	position polling.Position
	next     int64
	done     bool
	told     bool // that it is done
	asked    bool // a request is on its way
	answer   *page
	items    [][]byte // of answer, that are left
	trouble  trouble
}

// trouble is why a split has no answer.
type trouble struct {
	reason      string // "" for none
	since, next time.Time
	tries       int
}

// NewReader makes a Reader of the splits, of which there may be none. It asks nothing before the first Poll.
func NewReader(cfg Config, splits []Split) (*Reader, error) {
	r := &Reader{cfg: cfg, client: cfg.client(), arrivals: make(chan arrival), added: make(chan struct{}, 1)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.Add(splits...)
	err := r.failure()
	return r, err
}

// Add starts to read further splits.
func (r *Reader) Add(splits ...Split) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range splits {
		p := &progress{Split: s, at: len(r.splits), next: s.Next, done: s.Done, target: r.cfg.targets[name{s.Name, s.Partition}]}
		if p.target == nil && r.err == nil {
			r.err = fmt.Errorf("the source has no URL %s (%d)", s.Name, s.Partition)
		}
		remembered := 0
		if r.cfg.dedupes {
			remembered = r.cfg.source.DedupeKeys
		}
		var err error
		if p.position, err = polling.DecodePosition(s.Position, remembered); err != nil && r.err == nil {
			r.err = fmt.Errorf("%s: %w", s.Name, err)
		}
		if perSecond := r.cfg.source.ItemsPerSecond; perSecond > 0 {
			p.limiter = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))
		}
		r.splits = append(r.splits, p)
	}
	select {
	case r.added <- struct{}{}:
	default:
	}
}

func (r *Reader) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Poll returns items, waiting for them if need be. The slice is valid until the next Poll.
//
// Errors: that of ctx, after which Poll may be called again; *RefusedError, after which it may be, too; ErrClosed; and what ends
// reading, as every later Poll says too: *RequestError.
func (r *Reader) Poll(ctx context.Context) ([]Fetch, error) {
	for {
		if err := r.failure(); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fetches, wait, err := r.take()
		if len(fetches) > 0 || err != nil {
			return fetches, err
		}
		if err := r.wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// take hands out what is there. Where there is nothing, wait is how long it takes until a split may be read on; 0 for until an
// answer comes.
func (r *Reader) take() (fetches []Fetch, wait time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.splits {
		if p.answer != nil && p.answer.refused != "" {
			if len(fetches) > 0 {
				continue // it is the next Poll's
			}
			if err := r.refuse(p); err != nil {
				return nil, 0, err
			}
		}
		f, pause := r.handOut(p)
		if len(f.Items) > 0 || f.Done {
			fetches = append(fetches, f)
		}
		if pause > 0 && (wait == 0 || pause < wait) {
			wait = pause
		}
		r.ask(p)
	}
	return fetches, wait, nil
}

// wait waits for an answer, new splits, or so long.
func (r *Reader) wait(ctx context.Context, pause time.Duration) error {
	var over <-chan time.Time
	if pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case a := <-r.arrivals:
		return r.arrive(a)
	case <-r.added:
	case <-over:
	case <-r.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// arrive takes an answer.
func (r *Reader) arrive(a arrival) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := a.split
	p.asked, p.trouble = false, trouble{}
	if a.err != nil {
		r.err = a.err
		return a.err
	}
	position := &p.position
	if position.UnderWay == nil {
		position.PolledMs = a.answer.began.UnixMilli()
		position.UnderWay = &polling.Progress{}
	}
	p.answer, p.items = a.answer, position.UnderWay.Resume(a.answer.body, a.answer.items)
	return nil
}

// refuse ends a poll whose answer cannot be used. The error is nil when that was told before.
func (r *Reader) refuse(p *progress) error {
	a := p.answer
	p.answer, p.position.UnderWay = nil, nil
	p.position.ETag, p.position.LastModified = "", ""
	r.polled(p)
	if p.position.Refused == a.body {
		return nil
	}
	p.position.Refused = a.body
	refused := &RefusedError{Split: p.at, Number: p.next, Body: a.excerpt, Time: a.came, Reason: a.refused}
	p.next++
	return refused
}

// handOut hands out the items that are due. pause is how long the rate holds the next one back.
func (r *Reader) handOut(p *progress) (f Fetch, pause time.Duration) {
	f = Fetch{Split: p.at, First: p.next}
	if p.answer != nil {
		f.Time = p.answer.came
		f.Items, pause = p.due(r.cfg.key)
		p.next += int64(len(f.Items))
		if pause == 0 {
			r.turn(p)
		}
	}
	f.Next = p.next
	if p.done && !p.told {
		p.told, f.Done = true, true
	}
	return f, pause
}

// due takes the items that may be handed out now.
func (p *progress) due(key polling.Path) (items [][]byte, pause time.Duration) {
	if p.limiter == nil && p.position.Seen == nil {
		items, p.items = p.items, nil // all of them, so that no position is between two
		return items, 0
	}
	now := time.Now()
	for len(p.items) > 0 {
		if p.limiter != nil && p.limiter.TokensAt(now) < 1 {
			return items, p.untilNext(now)
		}
		item := p.items[0]
		p.items = p.items[1:]
		digest := polling.DigestOf(item)
		p.position.UnderWay.Take(digest)
		if p.position.Seen != nil && p.position.Seen.Observe(keyOf(item, key, digest), digest) {
			continue
		}
		if p.limiter != nil {
			p.limiter.AllowN(now, 1)
		}
		items = append(items, item)
	}
	return items, 0
}

// untilNext is how long it takes until the rate allows an item.
func (p *progress) untilNext(now time.Time) time.Duration {
	missing := 1 - p.limiter.TokensAt(now)
	return max(time.Duration(missing/float64(p.limiter.Limit())*float64(time.Second)), time.Millisecond)
}

// keyOf returns the digest of an item's key. An item without one is its own.
func keyOf(item []byte, path polling.Path, digest polling.Digest) polling.Digest {
	if polling.Valid(item) {
		if key, found := path.Find(item); found {
			return polling.DigestOf(key)
		}
	}
	return digest
}

// turn goes on to the next page, or ends the poll, when all items of an answer are handed out.
func (r *Reader) turn(p *progress) {
	a, under := p.answer, p.position.UnderWay
	p.answer, p.items = nil, nil
	if a.next != nil && under.Number+1 >= r.cfg.maxPages {
		r.err = &RequestError{Name: p.Name, Reason: fmt.Sprintf("it has more than %d pages", r.cfg.maxPages),
			Remedy: "raise source.http.pagination.max_pages, or see that its pages do not go round in a circle"}
		return
	}
	if a.next != nil {
		p.position.UnderWay = &polling.Progress{Page: a.next.String(), Number: under.Number + 1}
		return
	}
	p.position.UnderWay, p.position.Refused = nil, 0
	if !a.unchanged {
		p.position.ETag, p.position.LastModified = a.etag, a.lastModified
	}
	r.polled(p)
}

// polled notes the end of a poll.
func (r *Reader) polled(p *progress) { p.done = r.cfg.source.Bounded }

// ask sends the next request of a split on its way, if none is and its items are handed out.
func (r *Reader) ask(p *progress) {
	if p.asked || p.done || p.answer != nil || r.err != nil {
		return
	}
	p.asked = true
	q := r.nextRequest(p)
	r.requests.Go(func() {
		answer, err := r.askWhenDue(p, q)
		select {
		case r.arrivals <- arrival{split: p, answer: answer, err: err}:
		case <-r.ctx.Done():
		}
	})
}

// nextRequest asks for the page where the split is, or for a new poll's first one when that is due.
func (r *Reader) nextRequest(p *progress) request {
	q := request{name: p.Name, target: p.target, page: r.cfg.paging.FirstPage(p.target)}
	under := p.position.UnderWay
	if under == nil {
		if p.position.PolledMs > 0 {
			q.due = time.UnixMilli(p.position.PolledMs).Add(r.cfg.source.Interval)
		}
		if r.cfg.paging.Scheme == "" { // a first page that is as it was says nothing of those behind it
			q.etag, q.lastModified = p.position.ETag, p.position.LastModified
		}
		return q
	}
	q.number = under.Number
	if page, err := url.Parse(under.Page); err == nil && under.Number > 0 {
		q.page = page
	}
	return q
}

func (r *Reader) askWhenDue(p *progress, q request) (*page, error) {
	if wait := time.Until(q.due); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			return nil, ErrClosed
		}
	}
	return r.get(r.ctx, q, func(reason string, next time.Duration) {
		r.mu.Lock()
		defer r.mu.Unlock()
		now := time.Now()
		if p.trouble.tries == 0 {
			p.trouble.since = now
		}
		p.trouble.reason, p.trouble.next = reason, now.Add(next)
		p.trouble.tries++
	})
}

// Position returns what of a split's position its number does not hold, behind all that Poll has returned.
func (r *Reader) Position(split int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.splits[split].position.Encode()
}

// Close ends the requests. A Poll that waits returns ErrClosed.
func (r *Reader) Close() {
	r.cancel()
	r.requests.Wait()
	r.client.CloseIdleConnections()
}

// State says what becomes of a split now.
type State string

// The states of a split.
const (
	Reading  State = "reading"
	Waiting  State = "waiting" // for an answer; Reason says why there is none
	Finished State = "finished"
)

// Status is how a split stands.
type Status struct {
	Name      string
	Partition int32
	Next      int64 // number of the next item that Poll will return
	State     State
	Reason    string // for people; "" unless Waiting
}

// Status returns how each split stands, in the order of NewReader and Add.
func (r *Reader) Status() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Status, 0, len(r.splits))
	for _, p := range r.splits {
		s := Status{Name: p.Name, Partition: p.Partition, Next: p.next, State: Reading}
		switch t := p.trouble; {
		case p.done:
			s.State = Finished
		case t.reason != "":
			s.State = Waiting
			s.Reason = fmt.Sprintf("%s since %s; next try in %s", t.reason, sinceText(t.since), spanText(time.Until(t.next)))
		}
		all = append(all, s)
	}
	return slices.Clip(all)
}
