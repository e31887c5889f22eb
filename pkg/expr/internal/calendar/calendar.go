// Package calendar converts between days, milliseconds and the fields of a date in the proleptic Gregorian calendar, and between
// these and text, as Flink's and Calcite's DateTimeUtils do. It is pure.
package calendar

// Milliseconds of the units of time.
const (
	Second int64 = 1000
	Minute       = 60 * Second
	Hour         = 60 * Minute
	Day          = 24 * Hour
)

// FloorDiv returns a / b rounded towards minus infinity; b is positive.
func FloorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// FloorMod returns a - b*FloorDiv(a, b).
func FloorMod(a, b int64) int64 { return a - b*FloorDiv(a, b) }

// Date returns the year, month and day of a number of days since 1970-01-01. (The algorithm is the well-known one that begins
// years in March: https://howardhinnant.github.io/date_algorithms.html.)
func Date(days int64) (year int64, month, day int) {
	z := days + 719468
	era := FloorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = int(doy - (153*mp+2)/5 + 1)
	month = int(mp + 3)
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

// Days is the inverse of Date. Days beyond the month's last run on into the next month.
func Days(year int64, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := FloorDiv(year, 400)
	yoe := year - era*400
	doy := int64((153*(month-3)+2)/5 + day - 1)
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

// IsLeap reports whether a year has 366 days.
func IsLeap(year int64) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// DaysIn returns the number of days of a month.
func DaysIn(year int64, month int) int {
	switch month {
	case 2:
		if IsLeap(year) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// AddMonths moves a number of days since 1970 by months; the day is clamped to the month's last.
func AddMonths(days, months int64) int64 {
	year, month, day := Date(days)
	total := year*12 + int64(month-1) + months
	year, month = FloorDiv(total, 12), int(FloorMod(total, 12))+1
	return Days(year, month, min(day, DaysIn(year, month)))
}

// AppendDate appends days since 1970 as yyyy-MM-dd: four digits of the year whatever it is, as Flink's CAST to STRING.
func AppendDate(dst []byte, days int64) []byte {
	year, month, day := Date(days)
	dst = appendPadded(dst, FloorMod(year, 10_000), 4)
	dst = appendPadded(append(dst, '-'), int64(month), 2)
	return appendPadded(append(dst, '-'), int64(day), 2)
}

// AppendTime appends milliseconds since midnight as HH:mm:ss, with digits digits after the point (0 to 3).
func AppendTime(dst []byte, ms int64, digits int) []byte {
	dst = appendPadded(dst, ms/Hour, 2)
	dst = appendPadded(append(dst, ':'), ms/Minute%60, 2)
	dst = appendPadded(append(dst, ':'), ms/Second%60, 2)
	return appendFraction(dst, ms%Second*1_000_000, digits)
}

// AppendTimestamp appends milliseconds since 1970 and the nanoseconds within the millisecond as yyyy-MM-dd HH:mm:ss, with digits digits
// after the point (0 to 9).
func AppendTimestamp(dst []byte, ms int64, nanos uint32, digits int) []byte {
	dst = AppendDate(dst, FloorDiv(ms, Day))
	day := FloorMod(ms, Day)
	dst = AppendTime(append(dst, ' '), day, 0)
	return appendFraction(dst, day%Second*1_000_000+int64(nanos), digits)
}

// appendFraction appends the first digits of nanoseconds after a point.
func appendFraction(dst []byte, nanos int64, digits int) []byte {
	if digits == 0 {
		return dst
	}
	dst = appendPadded(append(dst, '.'), nanos, 9)
	return dst[:len(dst)-9+digits]
}

// appendPadded appends n, not negative, in at least width digits.
func appendPadded(dst []byte, n int64, width int) []byte {
	var digits [20]byte
	i := len(digits)
	for ; n > 0 || len(digits)-i < width; n /= 10 {
		i--
		digits[i] = byte('0' + n%10)
	}
	return append(dst, digits[i:]...)
}
