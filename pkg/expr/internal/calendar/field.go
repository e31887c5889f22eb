package calendar

import "pencere/pkg/expr/syntax"

// Field returns EXTRACT(unit FROM x) of a wall clock: ms since 1970 and the nanoseconds within the millisecond. Flink divides towards zero here,
// so that times before 1970 that are not midnight have the fields of the day after (and negative fractions of a second).
func Field(unit syntax.Unit, ms int64, nanos uint32) int64 {
	switch unit {
	case syntax.Hour:
		return ms % Day / Hour
	case syntax.Minute:
		return ms % Hour / Minute
	case syntax.Second:
		return ms % Minute / Second
	case syntax.Millisecond:
		return ms % Second
	case syntax.Microsecond:
		return ms%Second*1000 + int64(nanos/1000)
	case syntax.Nanosecond:
		return ms%Second*1_000_000 + int64(nanos)
	case syntax.Epoch:
		return ms / Second
	default:
		return dateField(unit, ms/Day)
	}
}

// dateField returns a field of a number of days since 1970.
func dateField(unit syntax.Unit, days int64) int64 {
	year, month, day := Date(days)
	switch unit {
	case syntax.Year:
		return year
	case syntax.Quarter:
		return int64(month-1)/3 + 1
	case syntax.Month:
		return int64(month)
	case syntax.Day:
		return int64(day)
	case syntax.Week:
		_, week := ISOWeek(days)
		return week
	case syntax.ISOYear:
		isoYear, _ := ISOWeek(days)
		return isoYear
	case syntax.DOW:
		return Weekday(days) + 1
	case syntax.ISODOW:
		return (Weekday(days)+6)%7 + 1
	case syntax.DOY:
		return days - Days(year, 1, 1) + 1
	case syntax.Decade:
		return year / 10
	case syntax.Century:
		return rounds(year, 100)
	default:
		return rounds(year, 1000)
	}
}

// rounds numbers the centuries and millennia: 2000 is in the 20th, 2001 in the 21st.
func rounds(year, length int64) int64 {
	if year > 0 {
		return (year + length - 1) / length
	}
	return -((length - year - 1) / length)
}

// Weekday returns 0 for Sunday to 6 for Saturday.
func Weekday(days int64) int64 { return FloorMod(days+4, 7) }

// ISOWeek returns the ISO 8601 year and week of a day.
func ISOWeek(days int64) (year, week int64) {
	thursday := days - (Weekday(days)+6)%7 + 3
	year, _, _ = Date(thursday)
	return year, (thursday-Days(year, 1, 1))/7 + 1
}

// Length returns the size of a unit in months or in milliseconds; both are 0 for what has no length.
func Length(unit syntax.Unit) (months, ms int64) {
	switch unit {
	case syntax.Year:
		return 12, 0
	case syntax.Quarter:
		return 3, 0
	case syntax.Month:
		return 1, 0
	case syntax.Week:
		return 0, 7 * Day
	case syntax.Day:
		return 0, Day
	case syntax.Hour:
		return 0, Hour
	case syntax.Minute:
		return 0, Minute
	case syntax.Second:
		return 0, Second
	case syntax.Millisecond:
		return 0, 1
	default:
		return 0, 0
	}
}

// Rounds reports whether times can be rounded to a unit.
func Rounds(unit syntax.Unit) bool {
	months, ms := Length(unit)
	return months+ms > 0 || unit == syntax.Decade || unit == syntax.Century || unit == syntax.Millennium
}

// LongerThanHour reports whether a unit does not fit into a day.
func LongerThanHour(unit syntax.Unit) bool {
	_, ms := Length(unit)
	return ms == 0 || ms > Hour
}

// Floor rounds ms since 1970 down to a unit; weeks begin on Sunday. From months on it is Flink's day of a time before 1970, see Field.
func Floor(unit syntax.Unit, ms int64) int64 {
	if _, size := Length(unit); size > 0 && size <= Day {
		return FloorDiv(ms, size) * size
	}
	return floorDate(unit, ms/Day) * Day
}

// Ceil rounds ms since 1970 up to a unit. From weeks on only the day counts, not its time.
func Ceil(unit syntax.Unit, ms int64) int64 {
	if _, size := Length(unit); size > 0 && size <= Day {
		return -FloorDiv(-ms, size) * size
	}
	days := ms / Day
	first := floorDate(unit, days)
	if first == days {
		return days * Day
	}
	if unit == syntax.Week {
		return (first + 7) * Day
	}
	return AddMonths(first, monthsOf(unit)) * Day
}

// monthsOf is the number of months of a unit from MONTH on.
func monthsOf(unit syntax.Unit) int64 {
	switch unit {
	case syntax.Decade:
		return 120
	case syntax.Century:
		return 1200
	case syntax.Millennium:
		return 12000
	default:
	}
	months, _ := Length(unit)
	return months
}

// floorDate returns the first day of the unit that holds a day.
func floorDate(unit syntax.Unit, days int64) int64 {
	year, month, _ := Date(days)
	switch unit {
	case syntax.Week:
		return days - Weekday(days)
	case syntax.Month:
		return Days(year, month, 1)
	case syntax.Quarter:
		return Days(year, (month-1)/3*3+1, 1)
	case syntax.Decade:
		return Days(FloorDiv(year, 10)*10, 1, 1)
	case syntax.Century:
		return Days(FloorDiv(year-1, 100)*100+1, 1, 1)
	case syntax.Millennium:
		return Days(FloorDiv(year-1, 1000)*1000+1, 1, 1)
	default:
		return Days(year, 1, 1)
	}
}

// MonthsBetween returns the whole months from start to end, both in ms, negative if end is earlier. It is Calcite's subtractMonths, which is not the
// same in both directions.
func MonthsBetween(start, end int64) int64 {
	from, to := FloorDiv(start, Day), FloorDiv(end, Day)
	months := monthsBetweenDays(from, to)
	if AddMonths(from, months) == to && FloorMod(end, Day) < FloorMod(start, Day) {
		months--
	}
	return months
}

func monthsBetweenDays(from, to int64) int64 {
	if to < from {
		return -monthsBetweenDays(to, from)
	}
	y0, m0, _ := Date(from)
	y1, m1, _ := Date(to)
	months := (y1-y0)*12 + int64(m1-m0)
	if AddMonths(from, months) > to {
		months--
	}
	return months
}
