package calendar

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Dates, fields and texts agree with package time.
func TestAgainstTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(-62135596800000, 253402300799999).Draw(t, "ms") // years 1 to 9999
		at := time.UnixMilli(ms).UTC()
		days := FloorDiv(ms, Day)
		year, month, day := Date(days)
		if year != int64(at.Year()) || month != int(at.Month()) || day != at.Day() {
			t.Fatalf("Date(%d) = %d-%d-%d", days, year, month, day)
		}
		if back := Days(year, month, day); back != days {
			t.Fatalf("Days = %d, want %d", back, days)
		}
		if got, want := string(AppendTimestamp(nil, ms, 0, 3)), at.Format("2006-01-02 15:04:05.000"); got != want {
			t.Fatalf("text %s, want %s", got, want)
		}
		if back, _, ok := ParseTimestamp(at.Format("2006-01-02 15:04:05.000")); !ok || back != ms {
			t.Fatalf("parsed %d, want %d", back, ms)
		}
		isoYear, isoWeek := ISOWeek(days)
		if y, w := at.ISOWeek(); isoYear != int64(y) || isoWeek != int64(w) {
			t.Fatalf("week %d-%d, want %d-%d", isoYear, isoWeek, y, w)
		}
		if Weekday(days) != int64(at.Weekday()) {
			t.Fatalf("weekday %d, want %v", Weekday(days), at.Weekday())
		}
		p, err := CompilePattern("EEE d MMM yyyy, HH:mm:ss.SSS 'o''clock' DDD")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(p.Append(nil, ms, 0)), at.Format("Mon 2 Jan 2006, 15:04:05.000 o'clock 002"); got != want {
			t.Fatalf("formatted %s, want %s", got, want)
		}
	})
}

// Wall clocks and instants are inverse but in the hours that a zone skips or repeats; those follow java.time.
func TestZones(t *testing.T) {
	istanbul, err := time.LoadLocation("Europe/Istanbul")
	if err != nil {
		t.Fatal(err)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(-2208988800000, 4102444800000).Draw(t, "ms")
		for _, zone := range []*time.Location{istanbul, berlin, time.UTC} {
			local := Local(ms, zone)
			if back := Local(Instant(local, zone), zone); back != local {
				t.Fatalf("%s: %d became %d", zone, local, back)
			}
		}
	})
	for text, want := range map[string]string{
		"2025-03-30 02:30:00": "2025-03-30 01:30:00", // skipped: an hour later
		"2025-10-26 02:30:00": "2025-10-26 00:30:00", // twice: the first
		"2025-07-01 12:00:00": "2025-07-01 10:00:00",
	} {
		ms, _, _ := ParseTimestamp(text)
		if got := string(AppendTimestamp(nil, Instant(ms, berlin), 0, 0)); got != want {
			t.Errorf("%s in Berlin is %s UTC, want %s", text, got, want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("yyyy-MM-dd HH:mm:ss.SSS", "2025-03-04 11:22:33.123")
	f.Add("EEE, d MMM yy h:mm a", "Tue, 4 Mar 25 11:55 AM")
	f.Add("'", "")
	f.Fuzz(func(_ *testing.T, format, text string) {
		p, err := CompilePattern(format)
		if err != nil {
			return
		}
		p.Append(nil, 1741089349123, 456)
		p.Parse(text)
		p.ParseLeniently(text)
	})
}
