package expr

import (
	"time"

	"pencere/pkg/expr/internal/calendar"
	"pencere/pkg/sqltype"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

func isInterval(t sqltype.Type) bool {
	return t.Kind == sqltype.IntervalYearMonth || t.Kind == sqltype.IntervalDayTime
}

// readTimes reads texts as DATE, TIME, TIMESTAMP or TIMESTAMP_LTZ.
func readTimes(to sqltype.Type, zone *time.Location) kernel {
	switch to.Kind {
	case sqltype.Date:
		return readTexts(to, func(s string) (int32, bool) { v, ok := calendar.ParseDate(s); return int32(v), ok })
	case sqltype.Time:
		return readTexts(to, func(s string) (int32, bool) { v, ok := calendar.ParseTime(s); return int32(v), ok })
	case sqltype.Timestamp, sqltype.TimestampLTZ:
		return readTexts(to, func(s string) (decimal128.Num, bool) {
			ms, nanos, ok := calendar.ParseTimestamp(s)
			if to.Kind == sqltype.TimestampLTZ {
				ms = calendar.Instant(ms, zone)
			}
			return cutTimestamp(ms, nanos, to.Precision), ok
		})
	default:
		return nil
	}
}

// cutTimestamp keeps precision digits of the second's fraction, dropping the others.
func cutTimestamp(ms int64, nanos uint32, precision int) decimal128.Num {
	switch {
	case precision < 3:
		unit := [...]int64{1000, 100, 10}[precision]
		return sqltype.TimestampValue(calendar.FloorDiv(ms, unit)*unit, 0)
	case precision < 9:
		unit := [...]uint32{1_000_000, 100_000, 10_000, 1000, 100, 10}[precision-3]
		nanos -= nanos % unit
	}
	return sqltype.TimestampValue(ms, nanos)
}

// truncatedTimestamp is cutTimestamp as Flink casts: a time before 1970 with digits to drop moves towards 1970.
func truncatedTimestamp(ms int64, nanos uint32, precision int) decimal128.Num {
	if precision < 3 && ms < 0 {
		unit := [...]int64{1000, 100, 10}[precision]
		return sqltype.TimestampValue(ms/unit*unit, 0)
	}
	return cutTimestamp(ms, nanos, precision)
}

// castTime casts between times, nil if there is no such cast.
func castTime(from, to sqltype.Type, zone *time.Location) (kernel, outcome) {
	switch {
	case from.IsTimestamp() && to.IsTimestamp():
		return mapTimestamps(func(ms int64, nanos uint32) decimal128.Num {
			return truncatedTimestamp(shift(ms, from, to, zone), nanos, to.Precision)
		}), total
	case from.Kind == sqltype.Date && to.IsTimestamp():
		return mapCells(func(days int32) decimal128.Num {
			return sqltype.TimestampValue(shift(int64(days)*calendar.Day, sqltype.TimestampType(0), to, zone), 0)
		}), total
	case from.Kind == sqltype.Time && to.IsTimestamp():
		return mapCells(func(ms int32) decimal128.Num {
			return sqltype.TimestampValue(shift(int64(ms), sqltype.TimestampType(0), to, zone), 0)
		}), total
	case from.IsTimestamp() && to.Kind == sqltype.Date:
		return mapTimestamps(func(ms int64, _ uint32) int32 { return dateOf(ms, from, zone) }), total
	case from.IsTimestamp() && to.Kind == sqltype.Time:
		return timestampToTime(from, zone), mayFail
	}
	return nil, total
}

// shift moves a time between wall clock and instant as the types want.
func shift(ms int64, from, to sqltype.Type, zone *time.Location) int64 {
	switch {
	case from.Kind == sqltype.Timestamp && to.Kind == sqltype.TimestampLTZ:
		return calendar.Instant(ms, zone)
	case from.Kind == sqltype.TimestampLTZ && to.Kind == sqltype.Timestamp:
		return calendar.Local(ms, zone)
	}
	return ms
}

// mapTimestamps makes a kernel of a function of a timestamp.
func mapTimestamps[R fixed](f func(ms int64, nanos uint32) R) kernel {
	return mapCells(func(v decimal128.Num) R { return f(sqltype.TimestampParts(v)) })
}

// dateOf returns the day of a timestamp. Flink divides milliseconds towards zero for TIMESTAMP, so that a time before 1970 that is not
// midnight falls on the next day; it does not for TIMESTAMP_LTZ.
func dateOf(ms int64, t sqltype.Type, zone *time.Location) int32 {
	if t.Kind == sqltype.TimestampLTZ {
		return int32(calendar.FloorDiv(calendar.Local(ms, zone), calendar.Day))
	}
	return int32(ms / calendar.Day)
}

// timestampToTime returns the time of day. Before 1970 Flink's remainder of a TIMESTAMP is negative, which no TIME can be: it fails there when
// the value is read; so does this.
func timestampToTime(from sqltype.Type, zone *time.Location) kernel {
	return func(c *call) error {
		src, dst := c.args[0].n128, room[int32](c.out, c.n)
		mask := c.args[0].mask()
		for i := range dst {
			ms := src[i&mask].HighBits()
			if from.Kind == sqltype.TimestampLTZ {
				dst[i] = int32(calendar.FloorMod(calendar.Local(ms, zone), calendar.Day))
				continue
			}
			dst[i] = int32(ms % calendar.Day)
			if dst[i] < 0 && c.wanted(i) {
				if err := c.reject(i, "the time of day of %s is not defined before 1970", calendar.AppendTimestamp(nil, ms, 0, 3)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}
