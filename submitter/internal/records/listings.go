package records

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"pencere/submitter/internal/listings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Listings says how sample listings come: in the order of their time, each once, unless it says otherwise.
type Listings struct {
	Topic     string
	Partition int32
	// Began is the first listing's time. Speed is how much faster than the clock the time goes on from there.
	Began time.Time
	Speed float64
	// Skew is by how much a listing's time may lie before that of its turn.
	Skew time.Duration
	// Duplicates is the share, from 0 to 1, of listings that are sent again at once.
	Duplicates float64
	// Late is the share of listings whose time lies LateBy before that of their turn.
	Late   float64
	LateBy time.Duration
	// Keyed gives each record its listing's id as key.
	Keyed bool
	Seed  uint64
}

// Check returns what is wrong with the configuration.
func (l Listings) Check() error {
	share := func(v float64) bool { return v >= 0 && v <= 1 }
	switch {
	case !(l.Speed > 0):
		return errors.New("speed must be more than 0")
	case !share(l.Duplicates), !share(l.Late):
		return errors.New("a share is from 0 to 1")
	case l.Skew < 0, l.LateBy < 0:
		return errors.New("a duration must not be less than 0")
	}
	return nil
}

// NewListings returns a source of sample listings, the same ones for the same configuration. It has no end.
func NewListings(cfg Listings) Source {
	return &samples{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 0))}
}

type samples struct {
	cfg       Listings
	random    *rand.Rand
	generator listings.Generator
	last      *kgo.Record
}

// Next implements Source.
func (s *samples) Next(due time.Duration) (*kgo.Record, error) {
	if s.last != nil && s.chance(s.cfg.Duplicates) {
		again := *s.last
		s.last = nil
		return &again, nil
	}
	at := s.cfg.Began.Add(time.Duration(float64(due) * s.cfg.Speed))
	if s.cfg.Skew > 0 {
		at = at.Add(-time.Duration(s.random.Int64N(int64(s.cfg.Skew))))
	}
	if s.chance(s.cfg.Late) {
		at = at.Add(-s.cfg.LateBy)
	}
	listing := s.generator.Next(at)
	value, err := json.Marshal(listing)
	if err != nil {
		return nil, err
	}
	record := &kgo.Record{Topic: s.cfg.Topic, Partition: s.cfg.Partition, Value: value}
	if s.cfg.Keyed {
		record.Key = strconv.AppendInt(nil, listing.ID, 10)
	}
	kept := *record
	s.last = &kept
	return record, nil
}

func (s *samples) chance(share float64) bool { return share > 0 && s.random.Float64() < share }
