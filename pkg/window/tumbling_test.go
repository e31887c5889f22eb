package window_test

import (
	"math"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"

	"pencere/pkg/eventtime"
	"pencere/pkg/sqltype"
	"pencere/pkg/window"
)

// zones have summer time, summer time by half an hour, none any more, and none ever.
var zones = []string{"", "UTC", "America/Los_Angeles", "Europe/Istanbul", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Berlin"}

func drawWindow(t *rapid.T) window.Tumbling {
	w := window.Tumbling{
		Size:   rapid.SampledFrom([]int64{1, 7, 1000, 90_000, 120_000, 3_600_000, 86_400_000, 7 * 86_400_000}).Draw(t, "size"),
		Offset: rapid.Int64Range(-200_000_000, 200_000_000).Draw(t, "offset"),
	}
	if name := rapid.SampledFrom(zones).Draw(t, "zone"); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Zone = zone
	}
	if rapid.Bool().Draw(t, "allows lateness") {
		w.Lateness = rapid.Int64Range(1, 2*w.Size).Draw(t, "lateness")
	}
	return w
}

// wall is what a clock in the zone shows, made of the calendar's fields.
func wall(ms int64, zone *time.Location) int64 {
	if zone == nil {
		return ms
	}
	c := time.UnixMilli(ms).In(zone)
	return time.Date(c.Year(), c.Month(), c.Day(), c.Hour(), c.Minute(), c.Second(), c.Nanosecond(), time.UTC).UnixMilli()
}

var instants = rapid.OneOf(
	rapid.Int64Range(-300_000, 300_000),
	rapid.Int64Range(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()),
)

// A row lies in its window, and the windows lie on the grid that the offset gives.
func TestStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindow(t)
		ms := instants.Draw(t, "ms")
		start := w.Start(ms)
		if at := wall(ms, w.Zone); start > at || at >= w.End(start) || w.End(start)-start != w.Size {
			t.Fatalf("row of %d is in [%d, %d)", at, start, w.End(start))
		}
		if (start-w.Offset)%w.Size != 0 {
			t.Fatalf("window begins at %d", start)
		}
	})
}

// No window fires before a row that belongs to it can come: one of time t comes after watermark t-1 at the earliest.
func TestFiredAfterRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindow(t)
		ms := instants.Draw(t, "ms")
		start := w.Start(ms)
		if name := "Australia/Lord_Howe"; w.Zone != nil && w.Zone.String() == name {
			return // Flink takes every change of the clock for one of an hour
		}
		if w.Zone != nil && w.Zone.String() == "Europe/Istanbul" {
			return // nor does it know an hour passed twice in a zone that has given up summer time
		}
		if w.Fired(start, eventtime.Watermark(ms-1)) {
			t.Fatalf("window %d fired before its row of %d", start, ms)
		}
		if !w.Fired(start, eventtime.End) || w.Fired(start, eventtime.None) {
			t.Fatalf("window %d does not fire just between the ends of time", start)
		}
	})
}

// The times are those in the comments of Flink's TimeWindowUtil.
func TestFiredInLosAngeles(t *testing.T) {
	w := window.Tumbling{Size: 3_600_000, Zone: mustZone(t, "America/Los_Angeles")}
	for _, c := range []struct {
		last string // the last second of the window
		at   int64  // the watermark that fires it
	}{
		{"2021-03-14 01:59:59", 1615715999999},
		{"2021-03-14 02:59:59", 1615716000000}, // skipped: as soon as the clock skips
		{"2021-03-14 03:59:59", 1615719599999},
		{"2021-11-07 00:59:59", 1636271999999},
		{"2021-11-07 01:59:59", 1636279199999}, // passed twice: after the second time
		{"2021-11-07 02:59:59", 1636282799999},
	} {
		last, err := time.Parse(time.DateTime, c.last)
		if err != nil {
			t.Fatal(err)
		}
		start := last.UnixMilli() + 1000 - w.Size
		if w.Fired(start, eventtime.Watermark(c.at-1)) || !w.Fired(start, eventtime.Watermark(c.at)) {
			t.Errorf("the window that ends after %s does not fire just at %d", c.last, c.at)
		}
	}
}

// A day in summer time's first and last week begins at the local midnight.
func TestDays(t *testing.T) {
	zone := mustZone(t, "America/Los_Angeles")
	w := window.Tumbling{Size: 86_400_000, Zone: zone}
	for _, day := range []int{13, 14, 15} {
		for _, hour := range []int{0, 1, 3, 23} {
			ms := time.Date(2021, time.March, day, hour, 30, 0, 0, zone).UnixMilli()
			if got, want := w.Start(ms), time.Date(2021, time.March, day, 0, 0, 0, 0, time.UTC).UnixMilli(); got != want {
				t.Errorf("March %d, %d:30 is in the window of %s", day, hour, time.UnixMilli(got).UTC())
			}
		}
	}
}

func TestFiredAtTheEndOfTime(t *testing.T) {
	w := window.Tumbling{Size: 1, Zone: mustZone(t, "Europe/Berlin")}
	if w.Fired(math.MaxInt64, 0) {
		t.Error("the last window has fired")
	}
}

// An assigner agrees, row by row, with Tumbling and with a generator that is asked before each row.
func TestAssigner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindow(t)
		delay := rapid.Int64Range(0, 2*w.Size).Draw(t, "delay")
		a := window.NewAssigner(w)
		splits := []*eventtime.Generator{eventtime.NewGenerator(delay), eventtime.NewGenerator(delay)}
		models := []*eventtime.Generator{eventtime.NewGenerator(delay), eventtime.NewGenerator(delay)}
		origin := instants.Draw(t, "origin")
		near := rapid.Int64Range(-5*w.Size, 5*w.Size)

		var got window.Assigned
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			split := rapid.IntRange(0, 1).Draw(t, "split")
			b := array.NewDecimal128Builder(memory.DefaultAllocator, sqltype.TimestampType(3).Arrow().(*arrow.Decimal128Type))
			var starts []int64
			var late []bool
			for range rapid.IntRange(0, 8).Draw(t, "rows") {
				before, ms := models[split].Watermark(), int64(0)
				if rapid.IntRange(0, 9).Draw(t, "null") == 0 {
					b.AppendNull()
				} else {
					ms = origin + near.Draw(t, "ms")
					b.Append(sqltype.TimestampValue(ms, 999_999))
					models[split].Observe(ms)
				}
				starts = append(starts, w.Start(ms))
				late = append(late, w.Expired(w.Start(ms), before))
			}
			got.Reset()
			a.Assign(&got, b.NewArray(), splits[split])
			for i := range starts {
				if got.Starts[i] != starts[i] || got.Late[i] != late[i] {
					t.Fatalf("row %d: window %d, late %v; want %d, %v", i, got.Starts[i], got.Late[i], starts[i], late[i])
				}
			}
			if len(got.Starts) != len(starts) || splits[split].Watermark() != models[split].Watermark() {
				t.Fatalf("%d rows to watermark %d, want %d to %d", len(got.Starts), splits[split].Watermark(), len(starts), models[split].Watermark())
			}
		}
	})
}
