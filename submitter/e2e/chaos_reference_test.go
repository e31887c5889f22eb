//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// expectation is what a job must have made of a topic: computed by maps and loops, with nothing of the engine.
type expectation struct {
	rows map[string]int // how often each row is written
	// by partition
	read, late, skipped, filtered []int64
	open                          int64 // groups that wait in windows
}

// counted returns the number of rows.
func (e expectation) counted() int {
	n := 0
	for _, times := range e.rows {
		n += times
	}
	return n
}

// listing is a record as the jobs see it.
type listing struct {
	ID          int     `json:"id"`
	Product     string  `json:"product"`
	Description string  `json:"description"`
	Price       int64   `json:"price"`
	KDV         float64 `json:"kdv"`
	Timestamp   string  `json:"timestamp_column"`
}

const (
	windowMs = 20_000
	delayMs  = 5000
)

// windowed is a listing that is in time and the start of its window, in ms.
type windowed struct {
	listing
	start int64
}

// reference reads a topic. Of the windowed rows, fired ones are those whose window has closed by the end: all of them if the
// input is bounded.
func reference(topic [][][]byte, bounded bool) (inTime []windowed, closes int64, e expectation) {
	e.rows = make(map[string]int)
	closes = math.MaxInt64
	for _, partition := range topic {
		newest, late, skipped := int64(math.MinInt64+delayMs), int64(0), int64(0)
		for _, value := range partition {
			if value == nil {
				skipped++
				continue
			}
			l, ms := decode(value)
			start := ms - ms%windowMs
			if newest-delayMs >= start+windowMs-1 {
				late++
			} else {
				inTime = append(inTime, windowed{l, start})
			}
			newest = max(newest, ms)
		}
		closes = min(closes, newest-delayMs)
		e.read = append(e.read, int64(len(partition)))
		e.late, e.skipped, e.filtered = append(e.late, late), append(e.skipped, skipped), append(e.filtered, 0)
	}
	if bounded {
		closes = math.MaxInt64
	}
	return inTime, closes, e
}

func decode(value []byte) (listing, int64) {
	var l listing
	if err := json.Unmarshal(value, &l); err != nil {
		panic(err) // the test wrote it
	}
	at, err := time.Parse(timestampLayout, l.Timestamp)
	if err != nil {
		panic(err)
	}
	return l, at.UnixMilli()
}

// expectListings is the reference job: each listing once in each window.
func expectListings(topic [][][]byte, bounded bool) expectation {
	inTime, closes, e := reference(topic, bounded)
	open := make(map[string]bool)
	for _, w := range inTime {
		row := fmt.Sprintf(`%d,%s,"%s",%d,%s,%s,%q`, //nolint:gocritic // CSV quotes, not Go's
			w.ID, w.Product, w.Description, w.Price, double(w.KDV),
			double(float64(w.Price)*(1+w.KDV)), sqlTime(w.start))
		if closes >= w.start+windowMs-1 {
			e.rows[row] = 1
		} else {
			open[row] = true
		}
	}
	e.open = int64(len(open))
	return e
}

// expectTotals is the job with aggregates: money in cents, rates in hundredths.
func expectTotals(topic [][][]byte, bounded bool) expectation {
	type group struct {
		start   int64
		product string
	}
	type totals struct{ listings, total, withKDV, cheapest, dearest int64 }
	inTime, closes, e := reference(topic, bounded)
	groups := make(map[group]*totals)
	for _, w := range inTime {
		key := group{w.start, w.Product}
		if groups[key] == nil {
			groups[key] = &totals{cheapest: math.MaxInt64}
		}
		g, cents := groups[key], 100*w.Price
		g.listings++
		g.total += cents
		g.withKDV += cents * (100 + int64(math.Round(100*w.KDV)))
		g.cheapest, g.dearest = min(g.cheapest, cents), max(g.dearest, cents)
	}
	for key, g := range groups {
		if closes < key.start+windowMs-1 {
			e.open++
			continue
		}
		e.rows[fmt.Sprintf("%q,%s,%d,%s,%s,%s,%s", sqlTime(key.start), key.product, g.listings,
			decimal(g.total, 2), decimal(g.withKDV, 4), decimal(g.cheapest, 2), decimal(g.dearest, 2))] = 1
	}
	return e
}

// expectPassed is the job without a window, which leaves out what costs 1000 and more.
func expectPassed(topic [][][]byte, bounded bool) expectation {
	_, _, e := reference(topic, bounded)
	for p, partition := range topic {
		e.late[p] = 0
		for _, value := range partition {
			if value == nil {
				continue
			}
			l, _ := decode(value)
			if l.Price >= 1000 {
				e.filtered[p]++
				continue
			}
			//nolint:gocritic // CSV quotes, not Go's
			e.rows[fmt.Sprintf(`%d,%s,"%s",%d,%s`, l.ID, l.Product, l.Description, l.Price, double(float64(l.Price)*(1+l.KDV)))]++
		}
	}
	return e
}

func sqlTime(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateTime) }

// decimal writes a number that counts the last digit.
func decimal(v int64, scale int) string {
	unit := int64(math.Pow10(scale))
	return fmt.Sprintf("%d.%0*d", v/unit, scale, v%unit)
}
