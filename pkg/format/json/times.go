package json

import (
	"encoding/binary"
	"math"
	"time"

	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

const (
	dayMillis = 24 * 60 * 60 * 1000
	// maxYear is the largest year of java.time, in which Flink parses.
	maxYear = 999_999_999
)

// parseDate reads yyyy-MM-dd at the start of text as Java's ISO_LOCAL_DATE: a year of more than four digits needs a sign,
// and a plus needs more than four digits. Days are since 1970-01-01. With clamp a day that its month lacks, up to 31,
// becomes the month's last (java.time's SMART resolver), without it is an error (STRICT).
func parseDate(text []byte, clamp bool) (days int64, rest []byte, ok bool) {
	sign := byte(0)
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		sign, text = text[0], text[1:]
	}
	n := skipDigits(text, 0)
	if n < 4 || n > 10 || sign == 0 && n > 4 || sign == '+' && n == 4 || len(text) < n+6 {
		return 0, nil, false
	}
	year := 0
	for _, c := range text[:n] {
		year = year*10 + int(c-'0')
	}
	if year > maxYear || sign == '-' && year == 0 {
		return 0, nil, false
	}
	if sign == '-' {
		year = -year
	}
	month, okMonth := pair(text[n:], '-')
	day, okDay := pair(text[n+3:], '-')
	if !okMonth || !okDay || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, nil, false
	}
	if last := daysIn(year, month); day > last {
		if !clamp {
			return 0, nil, false
		}
		day = last
	}
	return epochDay(year, month, day), text[n+6:], true
}

// pair reads a separator and two digits.
func pair(text []byte, separator byte) (v int, ok bool) {
	if len(text) < 3 || text[0] != separator {
		return 0, false
	}
	return twoDigits(text[1], text[2])
}

func twoDigits(a, b byte) (v int, ok bool) {
	a, b = a-'0', b-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// epochDay returns the days since 1970-01-01 of a date of the proleptic Gregorian calendar. The year is taken to begin in
// March, which puts the leap day at its end (Hinnant, chrono-Compatible Low-Level Date Algorithms), and is moved by whole
// cycles of 400 years to be positive.
func epochDay(year, month, day int) int64 {
	const cycles = 2_500_000
	if month <= 2 {
		year--
		month += 12
	}
	y := uint64(year + 400*cycles)
	days := 365*y + y/4 - y/100 + y/400 + uint64(153*(month-3)+2)/5 + uint64(day) - 1
	return int64(days) - 719468 - cycles*146097
}

// parseClock reads HH:mm[:ss[.s{0,9}]] at the start of text, up to 24:00:00.
func parseClock(text []byte, secondsOptional bool) (of time.Duration, rest []byte, ok bool) {
	if len(text) < 5 {
		return 0, nil, false
	}
	hour, okHour := twoDigits(text[0], text[1])
	minute, okMinute := pair(text[2:], ':')
	if !okHour || !okMinute || minute > 59 {
		return 0, nil, false
	}
	of = time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	second, okSecond := pair(text[5:], ':')
	if !okSecond {
		return of, text[5:], secondsOptional && of <= 24*time.Hour
	}
	nanos, rest := parseFraction(text[8:])
	of += time.Duration(second)*time.Second + nanos
	return of, rest, second <= 59 && of <= 24*time.Hour
}

// parseFraction reads a point and up to nine digits, or nothing.
func parseFraction(text []byte) (nanos time.Duration, rest []byte) {
	if len(text) == 0 || text[0] != '.' {
		return 0, text
	}
	n := 1
	unit := time.Second
	for n < len(text) && n <= 9 && text[n]-'0' <= 9 {
		unit /= 10
		nanos += unit * time.Duration(text[n]-'0')
		n++
	}
	return nanos, text[n:]
}

// parseTime reads a TIME in milliseconds since midnight. 24:00:00 is midnight, and a fraction is checked and dropped, as
// Flink 1.20 does.
func parseTime(text []byte) (ms int64, ok bool) {
	of, rest, ok := parseClock(text, false)
	return of.Truncate(time.Second).Milliseconds() % dayMillis, ok && len(rest) == 0
}

// timestampLayout is one of the four layouts, by format and type.
type timestampLayout struct {
	iso       bool // seconds are optional
	zoned     bool // a final Z
	separator byte // between date and time
	wrong     string
}

func layoutOf(format TimestampFormat, zoned bool) timestampLayout {
	l := timestampLayout{iso: format == ISO8601, zoned: zoned, separator: ' '}
	l.wrong = "is not a timestamp in the layout yyyy-MM-dd HH:mm:ss[.fraction]"
	if l.iso {
		l.separator = 'T'
		l.wrong = "is not a timestamp in the layout yyyy-MM-ddTHH:mm[:ss[.fraction]]"
	}
	if zoned {
		l.wrong += "Z"
	}
	return l
}

// parse reads a timestamp. Three layouts resolve leniently in Flink: a day up to 31 is clamped to its month and 24:00 is
// the next day's midnight. ISO-8601 without zone is java.time's own ISO_LOCAL_DATE_TIME, which does not, and takes 't'.
func (l *timestampLayout) parse(text []byte) (v decimal128.Num, ok bool) {
	if l.zoned {
		last := len(text) - 1
		if last < 0 || text[last] != 'Z' {
			return v, false
		}
		text = text[:last]
	}
	strict := l.iso && !l.zoned
	days, rest, ok := parseDate(text, !strict)
	if !ok || len(rest) == 0 || rest[0] != l.separator && (!strict || rest[0] != 't') {
		return v, false
	}
	of, rest, ok := parseClock(rest[1:], l.iso)
	if !ok || len(rest) > 0 || strict && of >= 24*time.Hour {
		return v, false
	}
	if days > math.MaxInt64/dayMillis-1 || days < math.MinInt64/dayMillis {
		return v, false // beyond the milliseconds of 64 bits, where Flink wraps around
	}
	ms := days*dayMillis + of.Milliseconds()
	return sqltype.TimestampValue(ms, uint32(of%time.Millisecond)), true
}

// quick reads the string at b[i] where it is a common timestamp without zone. It returns none for all else, good or bad.
func (l *timestampLayout) quick(b []byte, i int) (v decimal128.Num, next int) {
	next = i + len(`"yyyy-MM-dd HH:mm:ss"`)
	if next > len(b) || b[next-1] != '"' {
		return v, none
	}
	ms, ok := parseCommon(b[i+1:next-1], l.separator)
	if !ok {
		return v, none
	}
	return sqltype.TimestampValue(ms, 0), next
}

// parseCommon reads the nineteen characters yyyy-MM-ddTHH:mm:ss of a date that exists in milliseconds since 1970; not ok
// says nothing about the text. It takes eight characters at a time: with the separators and the zeros' 0x30 taken off,
// every byte must be a digit's value or, for a separator, 0.
func parseCommon(text []byte, separator byte) (ms int64, ok bool) {
	if len(text) != 19 || text[10] != separator {
		return 0, false
	}
	date := binary.LittleEndian.Uint64(text) ^ 0x2d30302d30303030       // yyyy-MM-
	clock := binary.LittleEndian.Uint64(text[11:]) ^ 0x30303a30303a3030 // HH:mm:ss
	day10, day1 := uint64(text[8]-'0'), uint64(text[9]-'0')
	const notDigits = 0x7676767676767676 // added to a byte above 9 it sets the high bit
	wrong := (date + notDigits) | date | (clock + notDigits) | clock
	wrong = wrong&highs | date&0xff0000ff00000000 | clock&0x0000ff0000ff0000
	if wrong != 0 || day10 > 3 || day1 > 9 {
		return 0, false
	}
	date, clock = date*10+date>>8, clock*10+clock>>8 // the value of each two digits in the first's byte
	year := int(date&0xff*100 + date>>16&0xff)
	month, day := int(date>>40&0xff), int(day10*10+day1)
	hour, minute, second := clock&0xff, clock>>24&0xff, clock>>48&0xff
	if month < 1 || month > 12 || day == 0 || day > 28 && day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return epochDay(year, month, day)*dayMillis + int64(hour*3600+minute*60+second)*1000, true
}
