package calendar

import (
	"strconv"
	"strings"
	"time"
)

// ParseDate reads year[-month[-day]][ anything], with blanks around the fields, as Flink's CAST to DATE: fields of any number of digits, years 0 to 9999. It returns days
// since 1970.
func ParseDate(s string) (days int64, ok bool) {
	if blank := strings.IndexByte(s, ' '); blank > 0 {
		s = s[:blank]
	}
	fields := strings.SplitN(s, "-", 3)
	values := [3]int{0, 1, 1}
	for i, f := range fields {
		f = strings.TrimFunc(f, func(r rune) bool { return r <= ' ' })
		v, err := strconv.Atoi(f)
		if err != nil || f[0] == '+' || f[0] == '-' {
			return 0, false
		}
		values[i] = v
	}
	year, month, day := values[0], values[1], values[2]
	if year > 9999 || month < 1 || month > 12 || day < 1 || day > DaysIn(int64(year), month) {
		return 0, false
	}
	return Days(int64(year), month, day), true
}

// ParseTime reads hour[:minute[:second[.fraction]]], and returns milliseconds since midnight.
func ParseTime(s string) (ms int64, ok bool) {
	s = strings.TrimSpace(s)
	fields := strings.SplitN(s, ":", 3)
	if len(fields) == 3 {
		whole, fraction, _ := strings.Cut(fields[2], ".")
		fields[2] = whole
		if strings.Trim(fraction, "0123456789") != "" {
			return 0, false
		}
		n, _ := strconv.Atoi((fraction + "000")[:3])
		ms = int64(n)
	}
	for i, f := range fields {
		v, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || v < 0 || v > [...]int{23, 59, 59}[i] {
			return 0, false
		}
		ms += int64(v) * [...]int64{Hour, Minute, Second}[i]
	}
	return ms, true
}

// ParseTimestamp reads yyyy-[M]M-[d]d[ [H]H:[m]m:[s]s[.fraction]], the fraction of up to 9 digits, as Flink's CAST to TIMESTAMP: a day beyond the
// month's last is that last day, 24:00:00 is the next midnight, years of more than four digits have a +.
func ParseTimestamp(s string) (ms int64, nanos uint32, ok bool) {
	date, clock, timed := strings.Cut(s, " ")
	days, ok := parseStrictDate(date)
	if !ok || !timed {
		return days * Day, 0, ok
	}
	second, fraction, _ := strings.Cut(clock, ".")
	n, ok := parseNanos(fraction)
	if !ok {
		return 0, 0, false
	}
	fields := strings.Split(second, ":")
	if len(fields) != 3 {
		return 0, 0, false
	}
	day := int64(0)
	for i, f := range fields {
		v, ok := parseField(f, 1, 2)
		if !ok || v > [...]int{24, 59, 59}[i] {
			return 0, 0, false
		}
		day += int64(v) * [...]int64{Hour, Minute, Second}[i]
	}
	if day > Day || day == Day && n > 0 {
		return 0, 0, false
	}
	return days*Day + day + int64(n/1_000_000), n % 1_000_000, true
}

// parseStrictDate reads yyyy-[M]M-[d]d.
func parseStrictDate(s string) (days int64, ok bool) {
	long := strings.HasPrefix(s, "+")
	fields := strings.Split(strings.TrimPrefix(s, "+"), "-")
	if len(fields) != 3 || long != (len(fields[0]) > 4) {
		return 0, false
	}
	year, ok1 := parseField(fields[0], 4, 9)
	month, ok2 := parseField(fields[1], 1, 2)
	day, ok3 := parseField(fields[2], 1, 2)
	if !ok1 || !ok2 || !ok3 || year < 1 || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, false
	}
	return Days(int64(year), month, min(day, DaysIn(int64(year), month))), true
}

// parseNanos reads up to 9 digits of a fraction.
func parseNanos(s string) (uint32, bool) {
	if s == "" {
		return 0, true
	}
	v, ok := parseField(s, 1, 9)
	for range 9 - len(s) {
		v *= 10
	}
	return uint32(v), ok
}

// parseField reads a number of least to most ASCII digits.
func parseField(s string, least, most int) (int, bool) {
	if len(s) < least || len(s) > most || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.Atoi(s)
	return v, err == nil
}

// Local returns the wall clock in zone, as milliseconds since 1970-01-01 00:00:00, at an instant in milliseconds since 1970 UTC.
func Local(ms int64, zone *time.Location) int64 {
	if zone == time.UTC {
		return ms
	}
	_, offset := time.UnixMilli(ms).In(zone).Zone()
	return ms + int64(offset)*Second
}

// Instant is the inverse of Local. Of a wall clock that a zone shows twice it takes the first instant; one that is skipped is moved on by the
// length of the gap (java.time's rule).
func Instant(ms int64, zone *time.Location) int64 {
	if zone == time.UTC {
		return ms
	}
	_, before := time.UnixMilli(ms - Day).In(zone).Zone()
	_, after := time.UnixMilli(ms + Day).In(zone).Zone()
	earlier := ms - int64(before)*Second
	if Local(earlier, zone) == ms || before == after {
		return earlier
	}
	if later := ms - int64(after)*Second; Local(later, zone) == ms {
		return later
	}
	return earlier
}

// AppendMonths appends an INTERVAL YEAR TO MONTH as Flink's CAST does: "+1-02".
func AppendMonths(dst []byte, months int32) []byte {
	sign, n := byte('+'), int64(months)
	if n < 0 {
		sign, n = '-', -n
	}
	dst = strconv.AppendInt(append(dst, sign), n/12, 10)
	return appendPadded(append(dst, '-'), n%12, 2)
}

// AppendDuration appends an INTERVAL DAY TO SECOND of milliseconds as Flink's CAST does: "+5 00:00:00.000".
func AppendDuration(dst []byte, ms int64) []byte {
	sign := byte('+')
	if ms < 0 {
		sign, ms = '-', -ms
	}
	dst = strconv.AppendInt(append(dst, sign), ms/Day, 10)
	return AppendTime(append(dst, ' '), ms%Day, 3)
}
