package javafmt

import (
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

const (
	// MillisPerDay is the length of a day in ms.
	MillisPerDay = 24 * 60 * 60 * 1000
	// MaxTimeText is above the longest timestamp in bytes: a year of nine digits, sign, nanoseconds, zone.
	MaxTimeText = 48
)

// AppendTimestamp appends a timestamp as "yyyy-MM-dd", a separator, "HH:mm:ss" and a fraction of as many digits as it needs,
// whatever the precision of its type is.
func AppendTimestamp(dst []byte, value decimal128.Num, separator byte) []byte {
	ms, nanos := sqltype.TimestampParts(value)
	day := ms / MillisPerDay
	if ms %= MillisPerDay; ms < 0 {
		day, ms = day-1, ms+MillisPerDay
	}
	dst = AppendDate(dst, day)
	dst = append(dst, separator)
	return AppendTime(dst, ms, nanos)
}

// AppendTime appends a time of day, in milliseconds and nanoseconds of the last one, as Java's ISO_LOCAL_TIME does.
func AppendTime(dst []byte, ms int64, nanos uint32) []byte {
	second := uint32(ms / 1000)
	dst = append2(dst, second/3600)
	dst = append(dst, ':')
	dst = append2(dst, second/60%60)
	dst = append(dst, ':')
	dst = append2(dst, second%60)
	fraction := uint32(ms%1000)*1_000_000 + nanos
	if fraction == 0 {
		return dst
	}
	dst = append(dst, '.')
	for place := uint32(100_000_000); fraction > 0 && place > 0; place /= 10 {
		dst = append(dst, '0'+byte(fraction/place%10))
		fraction %= place
	}
	return dst
}

// AppendDate appends the date that is days after 1970-01-01 as Java's ISO_LOCAL_DATE does: the proleptic Gregorian
// calendar, a year of at least four digits, with '+' if it has more, '-' before the year 0.
func AppendDate(dst []byte, days int64) []byte {
	year, month, day := civil(days)
	switch {
	case year < 0:
		dst, year = append(dst, '-'), -year
	case year > 9999:
		dst = append(dst, '+')
	}
	if year > 9999 {
		dst = appendPadded(dst, uint64(year), 0)
	} else {
		dst = append2(append2(dst, uint32(year/100)), uint32(year%100))
	}
	dst = append(dst, '-')
	dst = append2(dst, month)
	dst = append(dst, '-')
	return append2(dst, day)
}

// civil converts days since 1970-01-01 to a date, with Howard Hinnant's civil_from_days
// (https://howardhinnant.github.io/date_algorithms.html): years begin in March, so that the leap day is their last.
func civil(days int64) (year int64, month, day uint32) {
	const daysPerEra = 146097 // 400 years
	days += 719468            // since 0000-03-01
	era := days / daysPerEra
	if days < 0 {
		era = (days - daysPerEra + 1) / daysPerEra
	}
	ofEra := uint32(days - era*daysPerEra)
	yearOfEra := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*ofYear + 2) / 153 // March is 0
	day = ofYear - (153*shifted+2)/5 + 1
	month = shifted + 3
	year = int64(yearOfEra) + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

func append2(dst []byte, n uint32) []byte { return append(dst, '0'+byte(n/10), '0'+byte(n%10)) }
